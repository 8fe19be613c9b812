"""Published experiments: settings as in the papers, bands, and what documents of hand-made numbers come to."""

import gzip
import itertools
import json
import shutil
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lth.data.cifar import COUNTS
from lth.launch.reproduce import left_out, load_experiments, other_subject, with_beside
from lth.lineage import Trained, derivation
from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS, STUDIES, Published
from lth.studies.experiments.experiment import comparison, is_inside
from lth.studies.experiments.frankle_carbin import CONVS, Conv
from lth.studies.experiments.measures import at, combined, difference, highest_at_start, mean, of_table, shrunk
from lth.studies.prepare import Study

VISION = [name for name in EXPERIMENTS if not name.startswith(("lwh-", "bert-"))]
MNIST = [name for name in VISION if EXPERIMENTS[name].settings(1).data == "mnist"]
REAL = Path(__file__).parents[2] / "docs" / "results" / "lenet-mnist.json"


TRAIN, TEST = 8_000, 20


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with drawn images as MNIST, Fashion-MNIST and CIFAR-10: 8,000 to train on, 20 to test."""
    folder = tmp_path_factory.mktemp("data")
    draws = np.random.default_rng(0)
    _write_mnist(folder / "mnist", draws)
    _write_mnist(folder / "fashion-mnist", draws)
    (folder / "cifar-10-batches-bin").mkdir()
    for name, count in {**{f"data_batch_{number}": TRAIN // 5 for number in range(1, 6)}, "test_batch": TEST}.items():
        images = draws.integers(0, 256, (count, 1 + 3072), np.uint8)
        images[:, 0] %= 10
        (folder / "cifar-10-batches-bin" / f"{name}.bin").write_bytes(images.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COUNTS, "train", TRAIN)
        patch.setitem(COUNTS, "test", TEST)
        yield folder


def _write_mnist(folder: Path, draws: np.random.Generator) -> None:
    folder.mkdir()
    for name, count in (("train", TRAIN), ("t10k", TEST)):
        images, labels = draws.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(">I", 0x800 + array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
            with gzip.open(folder / f"{name}-{kind}-ubyte.gz", "wb", compresslevel=1) as file:
                file.write(header + array.tobytes())


VGG_19 = "vgg-19:init=glorot"
WHOLE = ["*shortcut*", "output.weight"]
PAPERS: dict[str, dict[str, Any]] = {
    "frankle-carbin-fig4": {"model": "lenet-300-100", "lr": 1.2e-3, "duration": "50000it", "levels": 21},
    "frankle-carbin-fig5-conv2": {"model": "conv-2", "lr": 2e-4, "duration": "20000it"},
    "frankle-carbin-fig5-conv4": {"model": "conv-4", "lr": 3e-4, "duration": "25000it"},
    "frankle-carbin-fig5-conv6": {"model": "conv-6", "lr": 3e-4, "duration": "30000it"},
    "frankle-carbin-fig5-conv2-dropout": {"model": "conv-2:dropout=0.5", "lr": 3e-4, "duration": "20000it"},
    "frankle-carbin-fig5-conv4-dropout": {"model": "conv-4:dropout=0.5", "lr": 2e-4, "duration": "25000it"},
    "frankle-carbin-fig5-conv6-dropout": {"model": "conv-6:dropout=0.5", "lr": 2e-4, "duration": "30000it"},
    "frankle-carbin-fig7-warmup": {"model": VGG_19, "lr": 0.1, "warmup": "10000it", "duration": "112480it"},
    "frankle-carbin-fig7-high": {"model": VGG_19, "lr": 0.1, "warmup": "0it", "batch_size": 64},
    "frankle-carbin-fig7-low": {"model": VGG_19, "lr": 0.01, "warmup": "0it", "scope": "global"},
    "frankle-carbin-fig8-warmup": {"lr": 0.03, "warmup": "20000it", "never_prune": WHOLE},
    "frankle-carbin-fig8-high": {"model": "frankle-resnet-18", "lr": 0.1, "duration": "30000it", "batch_size": 128},
    "zhou-supermasks-fc": {"optimizer": "sgd", "lr": 100.0, "batch_size": 250, "rescale": False, "draws": 10},
    "zhou-supermasks-conv2": {"model": "conv-2", "rescale": True, "weights": "signed_constant"},
    "zhou-supermasks-heuristic-fc": {"criterion": "large_final_same_sign", "schedule": "one-shot"},
    "rewinding-vgg19": {"model": VGG_19, "lr": 0.1, "rewind_steps": ["0it", "100it"], "duration": "112480it"},
    "rewinding-resnet18": {"model": "frankle-resnet-18", "lr": 0.1, "rewind_steps": ["0it", "500it"]},
    "renda-resnet20": {
        "duration": "71108it",
        "rewind_steps": ["0it", "4701it"],
        "batch_size": 128,
        "weight_decay": 2e-4,
        "lr_milestones": ["35554it", "53136it"],
    },
    "linear-mode-connectivity-lenet": {"duration": "24000it", "connect_levels": [0, 15], "rewind_to": ["0it"]},
    "linear-mode-connectivity-resnet20": {"duration": "63000it", "rewind_to": ["0it", "500it", "2000it"]},
    "linear-mode-connectivity-vgg16": {"model": "vgg-16", "lr": 0.1, "rewind_to": ["0it", "1000it"]},
}
"""What the papers say of settings, at full scale."""


@pytest.mark.parametrize("name", PAPERS)
def test_full_scale_is_as_the_paper_ran_it(name: str) -> None:
    flat = EXPERIMENTS[name].settings(1).flat()
    assert {key: flat[key] for key in PAPERS[name]} == PAPERS[name]


@pytest.mark.parametrize(("conv", "rate"), [("conv2", 0.1), ("conv4", 0.1), ("conv6", 0.15)])
def test_convolutions_have_a_rate_of_their_own(conv: str, rate: float) -> None:
    flat = EXPERIMENTS[f"frankle-carbin-fig5-{conv}"].settings(1).flat()
    assert (flat["rate"], flat["rates"]) == (0.2, {"convolutions.*": rate, "output.weight": 0.1})
    assert (flat["optimizer"], flat["batch_size"], flat["replicates"], flat["validation"]) == ("adam", 60, 5, 5000)


def test_criteria_and_actions_share_the_protocol_of_the_authors() -> None:
    for name in (*EXPERIMENT_GROUPS["zhou-criteria"], *EXPERIMENT_GROUPS["zhou-actions"]):
        flat = EXPERIMENTS[name].settings(1).flat()
        assert (flat["levels"], flat["rate"], flat["rates"]) == (24, 0.2, {"output.weight": 0.1})
        assert (flat["duration"], flat["batch_size"], flat["lr"]) == ("50380it", 60, 1.2e-3)


@pytest.mark.parametrize("name", VISION)
def test_every_experiment_is_said_in_full(name: str) -> None:
    experiment = EXPERIMENTS[name]
    assert experiment.rows, name
    assert all((experiment.bands, experiment.chosen, experiment.figure_words))
    plots = {plot.name for plot in STUDIES[experiment.study].plots}
    assert {figure for figure in experiment.figures if isinstance(figure, str)} <= plots
    assert experiment.may_lack_data == (experiment.settings(1).data != "mnist")
    for row in experiment.rows:
        assert row.source
        low, high = row.band
        assert (low, high) != (None, None)
        assert low is None or high is None or low < high
        assert row.value is None or is_inside(row.band, row.value)
    names = list(EXPERIMENTS)
    assert all(names.index(other) < names.index(name) for other in experiment.beside)  # run before it, in a table, too


@pytest.mark.parametrize("name", VISION)
def test_shorter_trainings_shrink_alike(name: str) -> None:
    full, small = (EXPERIMENTS[name].settings(scale).flat() for scale in (1, 0.1))
    for key in ("duration", "warmup"):
        whole, tenth = (int(flat[key].removesuffix("it")) for flat in (full, small))
        assert tenth == round(whole / 10)
    milestones = [[int(each.removesuffix("it")) for each in flat["lr_milestones"]] for flat in (full, small)]
    assert milestones[1] == [round(step / 10) for step in milestones[0]]
    shrinks = {"duration", "warmup", "lr_milestones", "evaluate_every", "rewind_to", "rewind_steps"}
    assert {key for key in full if full[key] != small[key]} <= shrinks


def imagined(study: Study) -> tuple[Any, Any]:
    """The documents of a study that was not run: every network at 90 %, every barrier at one point."""
    rows = [
        {"arm": point.arm, "replicate": point.replicate, "at": dict(point.at), "end": {"test/accuracy": 0.9},
         "at_best": {"test/accuracy": 0.9}, "best_step": 100}
        for point in study.points
    ]  # fmt: skip
    lines = {(row["arm"], row["at"].get("rewind_step"), row["at"].get("density")) for row in rows}
    table = [
        {"arm": arm, "rewind_step": step, "density": density, "mean": 0.01, "low": None, "high": None}
        for arm, step, density in lines
    ]
    curves = [{"arm": arm.name, "steps": [0], "values": {"validation/accuracy": [0.9]}} for arm in study.arms]
    arms = [{"name": arm.name, "role": arm.role} for arm in study.arms]
    config = study.settings.flat()
    results = {"rows": rows, "arms": arms, "confidence": 0.95, "config": config}
    return results, {"tables": {"barriers": table}, "curves": curves}


CIFAR = (
    "frankle-carbin-fig5-conv6-dropout",
    "frankle-carbin-fig8-warmup",
    "rewinding-resnet18",
    "linear-mode-connectivity-resnet20",
    "renda-resnet20",
    "morcos-transfer-cifar10-to-fashion",
)
"""One of each kind; the others differ in numbers alone."""


@pytest.mark.parametrize("name", [*MNIST, *CIFAR])
def test_each_plans_and_every_number_finds_its_rows(name: str, tiny: Path) -> None:
    experiment = EXPERIMENTS[name]
    [study] = load_experiments([experiment], 0.005 if name in CIFAR else 0.0001, 1, tiny)
    results, details = imagined(study)
    numbers = comparison(experiment, results, details, 1.0, beside=dict.fromkeys(experiment.beside, results))
    assert [number["ours"]["mean"] is not None for number in numbers] == [True] * len(numbers)  # type: ignore[index]
    split = f"published split of {experiment.data_rows[0]:,} and 10,000"
    assert other_subject(experiment, study) == f"other data: {TRAIN:,} and {TEST} rows, not the {split}"
    jobs = [job for job in derivation(*study.targets).values() if isinstance(job, Trained)]
    whole = experiment.settings(1).flat()
    steps = int(whole["duration"].removesuffix("it"))
    if experiment.study in ("find-ticket", "connect", "supermask"):
        assert experiment.steps == whole["replicates"] * len(jobs) * steps
    assert 0 < experiment.steps <= whole["replicates"] * len(jobs) * steps


def test_data_of_the_source_count_too(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTH_MIRROR", "http://127.0.0.1:9")
    name = "morcos-transfer-cifar100-to-cifar10"
    assert "cifar-100 could not be downloaded" in left_out({name: EXPERIMENTS[name]}, tiny)[name]

    shutil.copytree(tiny / "fashion-mnist", tmp_path / "fashion-mnist")
    shutil.copytree(tiny / "cifar-10-batches-bin", tmp_path / "cifar-10-batches-bin")
    (tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    name = "morcos-transfer-cifar10-to-fashion"
    paper = EXPERIMENTS[name]
    small = replace(
        paper, settings=lambda scale: paper.settings(scale).with_(model="conv-2", levels=1), data_rows=(TRAIN, TEST)
    )
    assert "lacks data_batch_3.bin of cifar-10" in left_out({name: small}, tmp_path)[name]
    with pytest.warns(UserWarning, match="not the whole of cifar-10"):
        assert left_out({name: small}, tmp_path, is_partial=True) == {}
    with pytest.warns(UserWarning, match="not the whole of cifar-10"):
        [study] = load_experiments([small], 0.005, 1, tmp_path, is_partial=True)
    assert study.settings.data_sets == {"data": "fashion-mnist", "source_data": "cifar-10:partial=true"}
    assert other_subject(small, study).startswith("other data: those of the source are not the whole of cifar-10")


def test_what_one_compares_with_is_run_before_it() -> None:
    assert with_beside("zhou-actions-freeze") == ("zhou-actions-rewind", "zhou-actions-freeze")
    assert with_beside("frankle-carbin-fig4") == ("frankle-carbin-fig4",)


def row(arm: str, replicate: int, density: float, value: float, best_step: int = 100) -> dict[str, Any]:
    named = {"test/accuracy": value}
    where = {"arm": arm, "replicate": replicate, "at": {"density": density}}
    return {**where, "end": named, "at_best": named, "best_step": best_step}


def test_measures_by_hand() -> None:
    rows = [row("dense", 0, 1.0, 0.9, 200), row("dense", 1, 1.0, 0.8, 400)]
    rows += [row("ticket", r, d, value, 100) for r, d, value in ((0, 0.14, 0.91), (0, 0.5, 0.5), (1, 0.14, 0.83))]
    results: Any = {"rows": rows, "confidence": 0.95}
    details: Any = {
        "tables": {"barriers": [
            {"arm": arm, "rewind_step": step, "mean": value, "low": None, "high": None}
            for arm, step, value in (("ticket", 0, 0.05), ("ticket", 100, 0.01), ("random", 100, 0.3))
        ]},
        "curves": [
            {"arm": "ticket", "steps": [0, 10], "values": {"validation/accuracy": [value, 0.9]}} for value in (0.3, 0.4)
        ],
    }  # fmt: skip
    ticket = at("ticket", density=0.135)
    assert ticket(results) == [0.91, 0.83]
    assert at("ticket", "best_step", density=0.5)(results) == [100.0, None]
    assert at("nobody")(results) == []
    assert mean(ticket)(results, details)["values"] == pytest.approx([91, 83])  # type: ignore[index]
    assert difference(ticket, at("dense"))(results, details)["mean"] == pytest.approx(2)  # type: ignore[index]
    assert difference(ticket, at("nobody"))(results, details) is None
    ratio = combined(at("dense", "best_step"), at("ticket", "best_step", density=0.14), lambda a, b: a / b)
    assert ratio(results, details)["values"] == [2.0, 4.0]  # type: ignore[index]
    assert of_table("barriers", arm="ticket", rewind_step=90)(results, details)["mean"] == 1.0  # type: ignore[index]
    assert of_table("barriers", arm="dense", rewind_step=90)(results, details) is None
    assert highest_at_start("ticket", "validation/accuracy")(results, details)["mean"] == 40.0  # type: ignore[index]


def test_a_step_of_the_paper_is_found_in_shorter_trainings() -> None:
    config = {"duration": "630it"}
    table = [{"arm": "ticket", "rewind_step": step, "density": 0.168, "mean": step / 100, "low": None, "high": None}
             for step in (0, 5, 20)]  # fmt: skip
    rows = [{**row("ticket", 0, 0.168, step / 100), "at": {"rewind_step": step, "density": 0.168, "share": 0.0}}
            for step in (0, 5, 20)]  # fmt: skip
    results: Any = {"rows": rows, "confidence": 0.95, "config": config}
    numbers = comparison(
        EXPERIMENTS["linear-mode-connectivity-resnet20"], results, {"tables": {"barriers": table}}, 0.01
    )  # type: ignore[typeddict-item]
    ours = {number["words"].partition(" (")[0]: number["ours"]["mean"] for number in numbers}  # type: ignore[index]
    assert ours["barrier of tickets with 16.8 % of the weights, copies part at step 500"] == 5.0
    assert ours["barrier of the dense network, copies part at step 2,000"] == 20.0
    assert at("ticket", rewind_step=shrunk(500, 63_000))(results) == [0.05]


def test_rows_of_another_run_stand_beside_ones_own() -> None:
    own: Any = {"rows": [row("ticket", r, 0.135, 0.97 + r / 100) for r in (0, 1)], "confidence": 0.95}
    other: Any = {"rows": [row("ticket", r, 0.135, 0.98 + r / 100) for r in (0, 1)]}
    experiment = EXPERIMENTS["zhou-actions-freeze"]
    [alone] = comparison(experiment, own, {}, 1.0)  # type: ignore[typeddict-item]
    assert (alone["ours"], alone["verdict"]) == (None, "not measured")
    [number] = comparison(experiment, own, {}, 1.0, beside={"zhou-actions-rewind": other})  # type: ignore[typeddict-item]
    assert number["ours"]["mean"] == pytest.approx(-1.0)  # type: ignore[index]
    assert (number["published"], number["band"], number["verdict"]) == (None, [None, 0.0], "inside")
    [small] = comparison(experiment, own, {}, 0.5, beside={"zhou-actions-rewind": other})  # type: ignore[typeddict-item]
    assert small["verdict"] == "not comparable at this scale"


@pytest.mark.parametrize(
    ("band", "inside"), [((0.0, 1.0), [0, 1]), ((None, 1.0), [-9, 0, 1]), ((0.0, None), [0, 1, 9])]
)
def test_ends_of_a_band_are_inside(band: Any, inside: list[float]) -> None:
    assert [value for value in (-9, 0, 1, 9) if is_inside(band, value)] == inside
    assert Published("x", lambda results, details: None, None, band, "a paper").value is None


def test_the_finished_run_of_lenet_is_inside_every_band() -> None:
    old = json.loads(REAL.read_text())
    arms = [("dense", 1.0, old["dense"])]
    arms += [(arm, each["density"], values) for each in old["levels"] for arm, values in each["arms"].items()]
    rows = [
        row(arm, replicate, density, accuracy, int(step))
        for arm, density, values in arms
        for replicate, (accuracy, step) in enumerate(
            zip(values["test_accuracy"]["values"], values["early_stop_iteration"]["values"], strict=True)
        )
    ]
    config = EXPERIMENTS["frankle-carbin-fig4"].settings(1).flat()
    same = ("model", "data", "levels", "replicates", "duration", "lr", "batch_size", "rate", "controls", "validation")
    assert {key: old["config"][key] for key in same} == {key: config[key] for key in same}
    results: Any = {"rows": rows, "confidence": 0.95}
    numbers = comparison(EXPERIMENTS["frankle-carbin-fig4"], results, {}, 1.0)  # type: ignore[typeddict-item]
    assert [number["verdict"] for number in numbers] == ["inside"] * 5
    ours = [number["ours"]["mean"] for number in numbers]  # type: ignore[index]
    assert ours == pytest.approx([28.2, 0.35, -0.09, 2.11, 0.55], abs=0.05)


def test_names_of_tables_and_experiments_differ() -> None:
    assert not EXPERIMENTS.keys() & EXPERIMENT_GROUPS.keys()
    assert set(itertools.chain(*EXPERIMENT_GROUPS.values())) <= EXPERIMENTS.keys()


@pytest.mark.parametrize("conv", CONVS, ids=lambda conv: conv.name)
def test_levels_have_the_densities_that_the_paper_reports(conv: Conv) -> None:
    from lth.models import MODELS

    entry = MODELS[conv.name.lower()]
    weights = {name: each.numel() for name, each in entry.make(**entry.arguments).named_parameters() if each.ndim > 1}
    rates = {name: conv.conv_rate if "conv" in name else 0.1 if "output" in name else 0.2 for name in weights}
    densities = [
        100 * sum(count * (1 - rates[name]) ** level for name, count in weights.items()) / sum(weights.values())
        for level in range(conv.levels + 1)
    ]
    for published in (conv.faster[0], conv.better[0]):
        assert min(abs(density - published) for density in densities) < 0.25
    assert densities[-1] < 2 < densities[-3]
