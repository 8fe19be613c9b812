"""A stack that does not fit into memory is done in halves; what was begun goes on.

The network raises PyTorch's own error where too many members are in one program: PyTorch tells a function under
`vmap` how many there are.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import Notes, assert_same_content, built, content, files_in, runs, study
from torch import Tensor, nn

from lth.lineage import BuildError, Execution, Store, build
from lth.studies import Study

MOST = 10**9
"""Members that fit."""

ALLOWED_CALLS = 10**9
"""Calls of larger stacks that still fit, before another program takes the memory."""


class Weighed(torch.autograd.Function):
    """Passes its input on, if that many members fit."""

    generate_vmap_rule = False

    @staticmethod
    def forward(inputs: Tensor) -> Tensor:
        """One network alone."""
        weigh(1)
        return inputs.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing to keep."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient as it is."""
        return gradient

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], inputs: Tensor) -> tuple[Tensor, int | None]:
        """Several at once."""
        weigh(info.batch_size)
        return inputs.clone(), in_dims[0]


def weigh(size: int) -> None:
    """Raises what PyTorch raises, if so many members are too many."""
    global ALLOWED_CALLS
    if size > MOST:
        if ALLOWED_CALLS == 0:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} GiB")
        ALLOWED_CALLS -= 1


class Heavy(nn.Module):
    """64-16-10, ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(64, 16), nn.Linear(16, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        hidden = self.hidden(inputs.flatten(1)).relu()
        return self.output(Weighed.apply(hidden))


def heavy() -> nn.Module:
    """The network above."""
    return Heavy()


def memory_for(monkeypatch: pytest.MonkeyPatch, most: int, *, from_call: int = 0) -> None:
    """From some call on, that many members fit."""
    monkeypatch.setattr(f"{__name__}.MOST", most)
    monkeypatch.setattr(f"{__name__}.ALLOWED_CALLS", from_call)


def stacked(population: int | None, snapshot_seconds: float = 1000.0) -> Execution:
    """Here, that many at most in one program."""
    return Execution(workers=0, population=population, snapshot_seconds=snapshot_seconds, engine="torch")


def dense_networks(replicates: int, **fields: Any) -> Study:
    """A study whose only targets are its dense networks."""
    made = study(heavy, replicates=replicates, levels=1, controls=(), **fields)
    return replace(made, runs=tuple(run for run in made.runs if run.arm == "dense"))


class Steps(Notes):
    """Notes at which steps trainings were, too."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[str, list[int]] = {}

    def progress(self, key: str, step: int, accuracy: float | None) -> None:
        """Notes it."""
        self.steps.setdefault(key, []).append(step)


@pytest.mark.parametrize("most", [2, 1])
def test_halves_are_as_if_they_had_been_stacks_from_the_beginning(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four dense networks at once do not fit; the rest of the study goes on with as many as do."""
    made = study(heavy, replicates=4, levels=1, controls=(), duration="12it")
    small = built(tmp_path / "small", made, stacked(most))
    memory_for(monkeypatch, most)
    store = Store(tmp_path / "halved")
    with pytest.warns(UserWarning, match="networks at once did not fit into memory") as warned:
        assert build(made.targets, store, made.sources, stacked(4)) == {}
    assert [str(warning.message) for warning in warned] == [
        "4 networks at once did not fit into memory: going on with 2 at once",
        "2 networks at once did not fit into memory: going on with 1 at once",
    ][: 3 - most]
    assert_same_content(store, small, made)
    assert {store.manifest(key)["provenance"]["population"] for key in content(store, made)} == {most}
    assert {path.name for path in (store.root / "work").iterdir()} == {".lock"}


def test_members_with_snapshots_go_on_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program takes the memory in the middle of a training, after its checkpoint."""
    made = study(heavy, replicates=4, levels=1, controls=(), precision="float64", rewind_to="5it", duration="20it")
    whole = built(tmp_path / "whole", made, stacked(4))
    memory_for(monkeypatch, 2, from_call=14)
    store, notes = Store(tmp_path / "halved"), Steps()
    with pytest.warns(UserWarning, match="4 networks at once did not fit into memory: going on with 2 at once"):
        assert build(made.targets, store, made.sources, stacked(4, 0.0), notes) == {}
    expected = content(whole, made)
    for trained in runs(made, "dense"):
        steps = notes.steps[trained.key]
        assert (steps[0], steps[-1]) == (0, 20)
        assert steps == sorted(steps)  # nobody started over
        assert store.manifest(trained.key)["provenance"]["steps"] < 15
        assert store.manifest(trained.key)["provenance"]["signature"] == "torch/cpu/2-vmap"
    for key, (weights, metrics) in content(store, made).items():
        for name, value in expected[key][0].items():
            torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-9, msg=name)
        assert metrics["iterations"] == expected[key][1]["iterations"]


def test_one_network_that_does_not_fit_is_an_error_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, store = dense_networks(2), Store(tmp_path)
    memory_for(monkeypatch, 0)
    with (
        pytest.warns(UserWarning, match="2 networks at once"),
        pytest.raises(BuildError, match=r"one network alone does not fit.*\(CUDA out of memory.*\)\. Take a smaller"),
    ):
        build(made.targets, store, made.sources, stacked(2))
    assert not any("lease.json" in name for name in files_in(store.root))
    memory_for(monkeypatch, 10)
    assert build(made.targets, store, made.sources, stacked(2)) == {}


def test_as_many_as_fit_are_one_on_a_cpu(tmp_path: Path) -> None:
    made = dense_networks(2)
    store = built(tmp_path, made, stacked(None))
    assert [store.manifest(key)["provenance"]["population"] for key in content(store, made)] == [1, 1]
