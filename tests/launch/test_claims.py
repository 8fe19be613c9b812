"""What is claimed, and what is not: models that draw by themselves, vacuous controls, labels that are noise."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builds import HERE
from torch import Tensor, nn

import lth
from lth.models import seeded

SMALL: dict[str, Any] = {
    "execution": HERE,
    "progress": False,
    "duration": "30it",
    "evaluate_every": 10,
    "batch_size": 20,
}


class DrawnElsewhere(nn.Module):
    """Weights drawn by generators that are not PyTorch's: numpy's and Python's global ones."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(64, 40), nn.Linear(40, num_classes)
        bound = 1 / math.sqrt(64)
        hidden = np.random.uniform(-bound, bound, (40, 64))  # noqa: NPY002 - what people write
        self.hidden.weight.data = torch.as_tensor(hidden, dtype=torch.float32)
        output = [[random.gauss(0, 0.1) for _ in range(40)] for _ in range(num_classes)]
        self.output.weight.data = torch.tensor(output)

    def forward(self, x: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.output(self.hidden(x.flatten(1)).tanh())


class DrawnAnew(nn.Module):
    """Weights drawn by a generator that nobody can seed."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(64, 40), nn.Linear(40, num_classes)
        values = np.random.default_rng().uniform(-0.1, 0.1, (40, 64))
        self.hidden.weight.data = torch.as_tensor(values, dtype=torch.float32)

    def forward(self, x: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.output(self.hidden(x.flatten(1)).tanh())


def test_draws_of_numpy_and_python_follow_the_seed(tmp_path: Path) -> None:
    """The ticket starts from the dense network's own weights, and the same call twice is one study."""
    places: dict[str, Any] = {"store": tmp_path / "store", "out": tmp_path / "out"}
    first, again = (
        lth.find_ticket(DrawnElsewhere, "digits", **places, **SMALL, levels=1, replicates=2) for _ in range(2)
    )
    assert first.id == again.id
    assert first.results["rows"] == again.results["rows"]
    for replicate in (0, 1):
        ticket = first.ticket(1, replicate)
        start = ticket.starting_weights(DrawnElsewhere)
        with seeded(ticket.document["seeds"]["init"]):
            fresh = DrawnElsewhere().state_dict()
        for name, mask in ticket.masks.items():
            assert torch.equal(start[name][mask], fresh[name][mask])
            assert not start[name][~mask].any()


def test_a_model_that_draws_anew_every_time_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"DrawnAnew.*seed") as error:
        lth.find_ticket(DrawnAnew, "digits", store=tmp_path / "store", out=tmp_path / "out", **SMALL, levels=1)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def from_a_checkpoint() -> nn.Module:
    """A network whose weights come from a file: every draw is the same."""
    generator = torch.Generator().manual_seed(5)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
    return network


def test_a_control_that_starts_from_the_tickets_weights_is_named(tmp_path: Path) -> None:
    found = lth.find_ticket(
        from_a_checkpoint, "digits", store=tmp_path / "store", out=tmp_path / "out", **SMALL, levels=2, replicates=2
    )
    digests: dict[tuple[str, Any], set[str]] = {}
    for row in found.results["rows"]:
        digests.setdefault((row["arm"], row["at"]["level"]), set()).add(row["start_digest"])
    for level in (1, 2):
        assert digests["reinit", level] & digests["ticket", level]
        assert not digests["random", level] & digests["ticket", level]
    text = " ".join(found.verdict["sentences"])
    assert "controls nothing" in text
    assert "reinit" in text
    place = found.verdict["match"] or found.verdict["furthest"]
    assert place["controls"]["reinit"]["is_vacuous"]
    assert not place["controls"]["random"]["is_vacuous"]


def noise(share: float = 0.85, seed: int = 3) -> dict[str, np.ndarray]:
    """Features and labels that know nothing of each other; most labels are of one class."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(1200, 16)).astype(np.float32)
    y = (generator.random(1200) > share).astype(np.int64)
    return {"x_train": x[:800], "y_train": y[:800], "x_test": x[800:], "y_test": y[800:]}


def perceptron(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, num_classes))


def test_noise_has_no_tickets(tmp_path: Path) -> None:
    """Sparse networks score what always answering the larger class does, and so nothing is claimed."""
    found = lth.find_ticket(
        perceptron, noise(), store=tmp_path / "store", out=tmp_path / "out",
        **{**SMALL, "duration": "150it", "evaluate_every": 50}, levels=8, rate=0.4, replicates=3, margin=0.005,
    )  # fmt: skip
    constant = found.results["constant"]["accuracy"]
    assert constant == pytest.approx(0.85, abs=0.05)
    tickets = [row["end"]["test/accuracy"] for row in found.results["rows"] if row["arm"] == "ticket"]
    assert max(value for value in tickets if value is not None) > constant - 0.05  # as good as it gets
    verdict = found.verdict
    assert (verdict["found"], verdict["match"], verdict["winning"]) == (False, None, None)
    assert verdict["confirmed"] is not True
    text = " ".join([verdict["title"], *verdict["sentences"]])
    assert "looks at no input" in text or "constant" in text
    assert f"{100 * constant:.2f}" in text


def test_noise_has_no_supermasks(tmp_path: Path) -> None:
    found = lth.supermask(
        perceptron, noise(), store=tmp_path / "store", out=tmp_path / "out",
        **{**SMALL, "duration": "150it"}, replicates=3, draws=2,
    )  # fmt: skip
    assert (found.verdict["found"], found.verdict["confirmed"]) == (False, None)
    assert found.verdict["title"].startswith("No supermask")


def test_what_can_be_learned_is_claimed(tmp_path: Path) -> None:
    """The same shares of classes, but the first feature tells them."""
    data = noise()
    for part in ("train", "test"):
        data[f"x_{part}"][:, 0] += 6 * data[f"y_{part}"]
    found = lth.find_ticket(
        perceptron, data, store=tmp_path / "store", out=tmp_path / "out", lr=0.01,
        **{**SMALL, "duration": "150it", "evaluate_every": 50}, levels=2, rate=0.4, replicates=3, margin=0.02,
    )  # fmt: skip
    assert found.verdict["found"]
    assert found.verdict["match"] is not None
