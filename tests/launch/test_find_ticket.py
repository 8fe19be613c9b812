"""The Python API: functions, arrays and modules of the user's own; nothing is trained twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builds import HERE, Notes, metrics_in
from pydantic import TypeAdapter
from torch import nn

import lth
from lth.analysis.documents import Results
from lth.data import load_data
from lth.lineage import Reader, Store, Trained, derivation, plan
from lth.models import resolve_factory
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare

SMALL: dict[str, Any] = {"levels": 1, "replicates": 2, "duration": "30it", "evaluate_every": 10, "rate": 0.5}


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 1, 6, 6)).astype(np.float32)
    y = (x.mean((1, 2, 3)) > 0).astype(np.int64)
    return {"x_train": x[:200], "y_train": y[:200], "x_test": x[200:], "y_test": y[200:]}


def prepared(found: lth.Found) -> Study:
    """The study that was run, prepared again from the settings in its results."""
    config = {
        name: value
        for name, value in found.results["config"].items()
        if name not in ("data_digest", "model_structure") and value is not None
    }
    study = STUDIES[found.results["study"]]
    settings = settings_of(study, config)
    return prepare(study, settings, resolve_factory(settings.model), load_data(settings.data))


def test_any_module_on_own_arrays_in_worker_processes(tmp_path: Path) -> None:
    def make_model(num_classes: int) -> nn.Module:  # a closure: it reaches the workers by value
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, num_classes))

    found = lth.find_ticket(
        make_model, arrays(), model_name="tiny-conv", store=tmp_path / "store", out=tmp_path / "out", progress=False,
        execution=lth.Execution(workers=1), batch_size=20, **SMALL,
    )  # fmt: skip
    assert {row["at"]["density"] for row in found.results["rows"] if row["arm"] == "ticket"} == {0.5}
    ticket = lth.read_ticket(found.tickets[0])
    module = make_model(2)
    lth.apply_masks(ticket, module)
    assert int((module[4].weight == 0).sum()) == 64
    with pytest.raises(ValueError, match="another architecture"):
        lth.apply_masks(ticket, nn.Sequential(nn.Conv2d(1, 5, 3)))


def test_results_follow_the_documented_format(small_found: lth.Found) -> None:
    results = small_found.results
    TypeAdapter(Results).validate_python(results)
    assert (results["format"], results["version"], results["primary"]) == ("lth.results", 2, "accuracy")
    arms = {"dense": [0], "ticket": [1, 2, 3], "reinit": [1, 2, 3], "random": [1, 2, 3]}
    assert {arm: sorted({row["at"]["level"] for row in results["rows"] if row["arm"] == arm}) for arm in arms} == arms
    for row in results["rows"]:
        for measured in (row["end"], row["at_best"]):
            assert set(measured) >= {"test/accuracy", "test/loss", "test/accuracy of class 0"}
        assert row["at_best"]["test/loss"] is not None
        assert row["best_step"] in range(0, 201, 50) or row["best_step"] == 20  # where a ticket starts
    densities = {row["at"]["level"]: row["at"]["density"] for row in results["rows"]}
    assert densities[3] == pytest.approx(0.125, abs=0.01)
    assert 0.05 < (results["constant"]["accuracy"] or 0) < 0.15


def test_a_row_is_what_its_training_measured(small_found: lth.Found) -> None:
    store = Store(small_found.folder.parent / "store")
    jobs = {point.job.key: point.job for point in prepared(small_found).points}
    for row in small_found.results["rows"]:
        metrics = metrics_in(store, jobs[row["key"]])
        assert (row["end"], row["at_best"], row["best_step"]) == (
            metrics["end"],
            metrics["at_best"],
            metrics["best"]["step"],
        )
        assert row["start_digest"] == metrics["start_digest"]


def test_a_finished_study_trains_nothing(small_found: lth.Found) -> None:
    made = prepared(small_found)
    assert made.id == small_found.id
    assert plan(made.targets, Store(small_found.folder.parent / "store")).works == ()


def test_masks_nest_and_kept_weights_rewind_bit_for_bit(small_found: lth.Found) -> None:
    made = prepared(small_found)
    reader = Reader(Store(small_found.folder.parent / "store"), made.sources)
    tickets = [point.job for point in made.points if (point.arm, point.replicate) == ("ticket", 0)]
    dense = next(point.job for point in made.points if (point.arm, point.replicate) == ("dense", 0))
    assert isinstance(dense, Trained)
    origin, before = reader.weights(dense.at(20)), None
    for trained in tickets:
        assert isinstance(trained, Trained)
        masks, start, end = reader.masks(trained.masks), reader.weights(trained.start), reader.weights(trained)
        for name, mask in masks.items():
            assert torch.equal(start[name][mask], origin[name][mask])
            assert not end[name][~mask].any()
            assert before is None or not (mask & ~before[name]).any()
        before = masks
    kinds = {node.kind_name for node in derivation(tickets[-1]).values()}
    assert kinds == {"Initial", "Dense", "Trained", "Checkpoint", "Pruned", "Combined", "Zeros"}


def test_a_diverging_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        lth.BuildError, match="nothing could be measured: .*diverged at step.*Try a lower --lr"
    ) as error:
        lth.find_ticket(
            store=tmp_path / "store", out=tmp_path / "out", execution=HERE, progress=False, optimizer="sgd", lr=1e9,
            **SMALL,
        )  # fmt: skip
    assert "\n" not in str(error.value)


def test_what_another_study_has_done_is_not_done_again(tmp_path: Path) -> None:
    """The dense networks of two searches are one."""
    notes = Notes()

    class Attached(Notes):
        def __enter__(self) -> Notes:
            return notes

        def __exit__(self, *_: object) -> None: ...

    for rate in (0.5, 0.2):
        lth.find_ticket(
            store=tmp_path / "store", out=tmp_path / "out", execution=HERE, progress=lambda _: Attached(),
            controls="none", **{**SMALL, "rate": rate},
        )  # fmt: skip
    assert [len(each.works) for each in notes.plans] == [4, 2]
    assert len(set(notes.finished_keys)) == len(notes.finished_keys) == 6


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((), {"levls": 3}, r"unknown setting 'levls'. Did you mean 'levels'\?$"),
        ((), {"stor": "here"}, r"unknown setting 'stor'. Did you mean 'store'\?$"),
        ((), {"exection": None}, r"unknown setting 'exection'. Did you mean 'execution'\?$"),
        ((), {"zzzz": 1}, "unknown setting 'zzzz'. Choices: model, data, "),
        ((), {"workers": 3}, r"said by execution=lth.Execution\(workers=...\)"),
        (("lenet-300-10",), {}, "unknown model 'lenet-300-10'. Did you mean 'lenet-300-100'"),
        (("lenet-300-100", "digts"), {}, "unknown data set 'digts'. Did you mean 'digits'"),
        (("lenet-300-100", {"x_train": 1, "y_train": 2}), {}, "data lacks x_test, y_test: found x_train, y_train"),
        ((lambda: nn.Linear(64, 10),), {}, r"has no name of its own: give it one \(model_name\)"),
        (
            (),
            {"execution": lth.Execution(workers=0, engine="sprase")},
            "unknown engine 'sprase'. Did you mean 'sparse'",
        ),
        ((), {"kept": "rewnd"}, "unknown choice for kept weights 'rewnd'. Did you mean 'rewind'"),
        ((), {"sparsifier": "riggl"}, "unknown sparsifier 'riggl'. Did you mean 'rigl'"),
        ((), {"rewind_to": "30it"}, "rewind_to 30it is step 30, but training ends at step 30"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line_and_leaves_nothing(
    arguments: tuple[Any, ...], settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        lth.find_ticket(*arguments, store=tmp_path / "store", out=tmp_path / "out", progress=False, **SMALL | settings)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_study_is_named() -> None:
    with pytest.raises(ValueError, match="unknown study 'find-tickets'. Did you mean 'find-ticket'"):
        lth.study("find-tickets")
