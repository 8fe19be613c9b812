"""Noise on the weights that matter least: what is trained, that dropout is as strong, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, tiny
from rows import arm, results
from torch import nn

from lth.config import Sparsifier
from lth.data import load_data
from lth.lineage import Reader, Store, Trained, build
from lth.models.dropout import InputDropout, with_dropout
from lth.studies import settings_of
from lth.studies.prepare import Study, prepare
from lth.studies.selective_noise import ARMS, RIVALS, SELECTIVE_NOISE, _verdict, dropout_of
from lth.training import SPARSIFIERS
from lth.training.sparsifiers import Application, View


def made(factory: Any = tiny, **settings: Any) -> Study:
    """A small study of a tiny network."""
    given = {"shares": "0.3", "replicates": 1, "duration": "20it", "batch_size": 200, "evaluate_every": 10}
    settings = {**given, "model": factory.__name__, **settings}
    return prepare(SELECTIVE_NOISE, settings_of(SELECTIVE_NOISE, settings), factory, load_data("digits"))


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(("share", "scale"), [(0.2, 1.0), (0.5, 1.0), (0.3, 0.4)])
def test_noise_and_dropout_change_preactivations_as_much(share: float, scale: float, distribution: str) -> None:
    """By the definition of the study: squared change of z = w x over the sum of w^2 x^2, noise as it is really put."""
    generator = torch.Generator().manual_seed(1)
    layer = nn.Linear(600, 400, bias=False)
    with torch.no_grad():
        layer.weight.normal_(0.01, 0.3, generator=generator)
    inputs = torch.randn(200, 600, generator=generator).relu() * torch.rand(600, generator=generator)
    weight = layer.weight.detach()
    before = inputs @ weight.T
    size = float((inputs.square() @ weight.square().T).mean())

    everything = {"weight": torch.ones_like(weight, dtype=torch.bool)}
    settings = Sparsifier(method="noise", density=1 - share, noise=distribution, noise_scale=scale)
    view = View(
        settings=settings,
        scope="layerwise",
        application=Application(0, 1 - share, "noise"),
        weights={"weight": weight},
        masks=everything,
        allowed=everything,
        start={"weight": weight},
        gradients={},
        originals={},
        traces={},
        generator=generator,
    )
    noisy = SPARSIFIERS["noise"].change(view).values["weight"]
    of_noise = float((inputs @ noisy.T - before).square().mean()) / size

    p = dropout_of(share, scale)
    torch.manual_seed(2)
    dropping = with_dropout(layer.train(), InputDropout(p=p, weights=("weight",)))
    with torch.no_grad():
        of_dropout = float((dropping(inputs) - before).square().mean()) / size
    assert of_dropout == pytest.approx(p / (1 - p), rel=0.05)
    assert of_noise == pytest.approx(share * scale**2, rel=0.05)
    assert of_noise == pytest.approx(of_dropout, rel=0.08)


def test_arms_start_alike_and_what_is_measured_holds_no_noise(tmp_path: Path) -> None:
    study, store = made(), Store(tmp_path)
    assert build(study.targets, store, study.sources, HERE) == {}
    reader = Reader(store, study.sources)
    jobs = {each.arm: each.job for each in study.points}
    assert all(isinstance(job, Trained) for job in jobs.values())
    starts = [reader.weights(job.start) for job in jobs.values()]  # type: ignore[attr-defined]
    assert all(torch.equal(value, each[name]) for each in starts for name, value in starts[0].items())
    assert jobs["dropout"].model.dropout == InputDropout(p=0.3 / 1.3, weights=("1.weight", "3.weight"))  # type: ignore[attr-defined]
    noise = jobs["selective noise"]
    assert isinstance(noise, Trained)
    history = reader.document(noise)
    assert [each["step"] for each in history["mask_changes"]] == [0, 4, 8, 12, 16, 20]
    assert [each["density"] for each in history["mask_changes"]] == pytest.approx([0.7] * 5 + [1.0], abs=0.001)
    start, end = starts[0]["1.weight"], reader.weights(noise)["1.weight"]
    none = jobs["none"]
    assert isinstance(none, Trained)
    trains = reader.weights(none)["1.weight"] != start  # weights of pixels that are always blank do not
    untouched = (start == end) & trains  # low in every epoch, so never trained: back at its own value, bit for bit
    assert 0.1 < float(untouched.float().mean()) < 0.3
    assert float(start[untouched].abs().median()) < float(start.abs().quantile(0.2))
    assert float(end.abs().min()) < 1e-2
    assert not (end == 0).any()  # nothing was pruned
    assert "with noise on 30 %" in noise.words()


class Recurrent(nn.Module):
    """A network with a layer that dropout does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.output = nn.GRU(8, 8, batch_first=True), nn.Linear(8, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.output(self.layer(inputs)[0][:, -1])
        return outputs


@pytest.mark.parametrize(
    ("factory", "settings", "words"),
    [
        (Recurrent, {}, "dropout does not reach layer.weight_ih_l0, of a GRU"),
        (tiny, {"criterion": "random"}, "criterion: 'random' is the control"),
        (tiny, {"criterion": "snip"}, "criterion: 'snip' runs the network on examples"),
        (tiny, {"noise": "cauchy"}, "unknown distribution 'cauchy'"),
        (tiny, {"shares": "0.2,1"}, "found 1; a share lies between 0 and 1"),
        (tiny, {"shares": "none"}, "found none; give one share at least"),
    ],
)
def test_bad_input_gets_one_clear_line(factory: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made(factory, **settings)
    if factory is Recurrent:
        assert made(factory, never_prune="layer.*").points


@pytest.mark.parametrize(
    ("values", "words", "found"),
    [
        (
            [0.95, 0.963, 0.955, 0.961],
            "better than none at 20 %; better than dropout at 20 %; better",
            True,
        ),
        ([0.90, 0.92, 0.93, 0.91], "No effect of selective noise is settled.", True),
        ([0.85, 0.861, 0.85, 0.862], "worse than none at 20 %; worse than dropout", False),
    ],
)
def test_the_verdict_names_what_is_settled(values: list[float | None], words: str, found: bool) -> None:
    base: list[float | None] = [0.90, 0.91, 0.90, 0.915]
    rows = [*arm("none", 0, base), *arm("selective noise", 1, values)]
    rows += [*arm("random noise", 1, base), *arm("dropout", 1, base)]
    arms = [{"name": each.name, "words": each.words, "role": each.role} for each in ARMS]
    config = {"model": "lenet-300-100", "data": "digits", "noise_scale": 1.0}
    rows = [{**row, "at": {"share": 0.2 * row["at"]["level"]}} for row in rows]
    document = results(rows, arms=arms, config=config, axis="share")
    from lth.analysis.pairs import compare_pairs
    from lth.analysis.reading import metric_of

    made_of = compare_pairs([(values, base)] * 3, metric_of(document, "primary"), 0.95)
    pairs = {(0.2, rival): pair for rival, pair in zip(RIVALS, made_of, strict=True)}
    verdict = _verdict(document, [0.2], pairs)
    assert words in verdict["sentences"][0]
    assert verdict["found"] == found
    assert "as strong as dropout 0.167" in verdict["sentences"][1]
    unlearned = _verdict({**document, "constant": {"accuracy": 0.95}}, [0.2], pairs)
    assert (unlearned["found"], unlearned["summary"]) == (False, "selective noise: no gain")
