"""Steps of all weights, and the controls beside a ticket, in a real search whose values are taken from the store."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, jobs, tiny, weights_in
from torch import Tensor

from lth.config import SettingsError
from lth.data import load_data
from lth.launch.conclude import conclude_study
from lth.lineage import Combined, Dense, Permuted, Reader, Store, Trained, build, derivation
from lth.models import LeNet300100
from lth.studies.find_ticket import FIND_TICKET
from lth.studies.find_ticket_settings import ARMS, FindTicket
from lth.studies.prepare import Study, prepare

CONTROLS = tuple(each.name for each in ARMS if each.role == "control")
SIZES = {"1.weight": 1024, "3.weight": 160}


def prepared(**fields: Any) -> Study:
    """A search with steps of 30 points: 70 and 40 % of the weights."""
    given = {"per_level": 0.3, "levels": 2, "replicates": 1, "duration": "20it", "batch_size": 20, "lr": 0.01}
    settings = FindTicket(model="tiny", data="digits", evaluate_every=10, controls=CONTROLS, **{**given, **fields})
    return prepare(FIND_TICKET, settings, tiny, load_data("digits"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Store]:
    made, store = prepared(rewind_to="5it"), Store(tmp_path_factory.mktemp("store"))
    assert build(made.targets, store, made.sources, HERE) == {}
    return made, store


def counts(masks: dict[str, Tensor]) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


def test_a_level_removes_as_many_of_all_weights_each_time(finished: tuple[Study, Store]) -> None:
    made, store = finished
    reader = Reader(store, made.sources)
    first, second = (reader.masks(ticket.masks) for ticket in jobs(made, "ticket"))
    assert counts(first) == {name: round(0.7 * size) for name, size in SIZES.items()}
    assert counts(second) == {name: round(0.4 * size) for name, size in SIZES.items()}
    assert all(bool((second[name] <= first[name]).all()) for name in first)
    planned = [point.at["density"] for point in made.points if point.arm == "ticket"]
    assert planned == [829 / 1184, 474 / 1184]
    assert "0.3 of all a level" in jobs(made, "ticket")[0].masks.words()


def test_levels_that_leave_nothing_and_no_rates_by_pattern() -> None:
    with pytest.raises(ValueError, match="leaves none at level 4: ask for at most 3"):
        prepared(levels=4)
    settings = FindTicket(model="lenet-300-100", per_level=0.1, levels=9)
    made = prepare(FIND_TICKET, settings, LeNet300100, load_data("digits"))
    assert made.settings.flat()["rates"] == {}  # else the output layer would have half the rate
    assert [each.at["density"] for each in made.points if each.arm == "ticket"][::5] == pytest.approx(
        [1 - 0.1 * level for level in range(1, 10)], abs=1e-4
    )


def test_permuted_weights_are_those_of_the_start(finished: tuple[Study, Store]) -> None:
    made, store = finished
    reader = Reader(store, made.sources)
    initial = reader.weights(jobs(made, "dense")[0].start)
    orders = []
    for ticket, control in zip(jobs(made, "ticket"), jobs(made, "permuted"), strict=True):
        assert isinstance(control.start, Combined)
        assert isinstance(control.start.kept, Permuted)
        assert control.masks == ticket.masks
        assert (ticket.first_step, control.first_step) == (5, 0)
        shuffled, start = reader.weights(control.start.kept), reader.weights(control.start)
        for name, value in initial.items():
            assert torch.equal(shuffled[name], value) == (name not in SIZES)
            assert torch.equal(shuffled[name].flatten().sort().values, value.flatten().sort().values)
        for name, mask in reader.masks(control.masks).items():
            assert torch.equal(start[name], shuffled[name].where(mask, torch.zeros(())))
        orders.append(shuffled["1.weight"])
    assert not torch.equal(*orders)


def test_one_shot_cuts_the_start_with_no_training_before(finished: tuple[Study, Store]) -> None:
    made, store = finished
    reader = Reader(store, made.sources)
    initial = reader.weights(jobs(made, "dense")[0].start)
    for ticket, control in zip(jobs(made, "ticket"), jobs(made, "one-shot"), strict=True):
        assert [node for node in derivation(control).values() if isinstance(node, Trained)] == [control]
        masks, start = reader.masks(control.masks), reader.weights(control.start)
        assert counts(masks) == counts(reader.masks(ticket.masks))
        assert control.first_step == 0
        for name, mask in masks.items():
            assert initial[name][mask].abs().min() > initial[name][~mask].abs().max()
            assert torch.equal(start[name], initial[name].where(mask, torch.zeros(())))
            assert not bool(weights_in(store, control)[name][~mask].any())


def test_every_control_is_named_in_what_is_concluded(finished: tuple[Study, Store], tmp_path: Path) -> None:
    made, store = finished
    results = conclude_study(made, store, tmp_path).results
    said = " ".join(results["verdict"]["sentences"])
    assert all(f"Control {name}, " in said for name in CONTROLS)
    assert [arm["name"] for arm in results["arms"] if arm["role"] == "control"] == list(CONTROLS)
    page = (tmp_path / "report.html").read_text()
    assert "0.3 (of all prunable weights at each level)" in page
    assert "of the remaining weights" not in page


@pytest.mark.parametrize("fields", [{"sparsifier": "gradual"}, {"pruned": "soft"}, {"criterion": "snip"}])
def test_controls_beside_other_searches(fields: dict[str, Any]) -> None:
    made = prepared(**fields)
    initial = jobs(made, "dense")[0].start
    for ticket, control in zip(jobs(made, "ticket"), jobs(made, "one-shot"), strict=True):
        assert isinstance(control.start, Combined)
        assert control.start.kept == initial
        assert isinstance(control.masks, Dense) == isinstance(ticket.masks, Dense) == ("pruned" in fields)


def test_a_criterion_of_a_search_is_not_that_of_one_shot() -> None:
    """Whatever a search chooses by, the control is one of magnitude; so its jobs are those of another search."""
    assert jobs(prepared(criterion="random"), "one-shot") == jobs(prepared(), "one-shot")
    assert jobs(prepared(criterion="random"), "ticket") != jobs(prepared(), "ticket")
    with pytest.raises(SettingsError, match="unknown criterion"):
        prepared(criterion="larg")
