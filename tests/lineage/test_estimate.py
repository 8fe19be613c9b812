"""How long a study should take: from what the same engine did before, else measured."""

from pathlib import Path
from typing import Any

import pytest

from lth.data import load_data
from lth.lineage import Execution, Plan, Reader, Store, build, plan
from lth.lineage.estimate import Estimate, estimate, longest_chain
from lth.models import MODELS
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study, prepare

TORCH = Execution(workers=0, engine="torch")


def study(name: str = "find-ticket", **fields: Any) -> Study:
    """A study of LeNet-300-100 on the digits; by default two levels without controls, 20 steps each."""
    settings = {"levels": 2, "controls": (), "scope": "global", "rate": 0.5} if name == "find-ticket" else {}
    given = {"replicates": 1, "duration": "20it", **settings, **fields}
    return prepare(STUDIES[name], settings_of(STUDIES[name], given), MODELS["lenet-300-100"].make, load_data("digits"))


def estimated(made: Study, store: Store, execution: Execution = TORCH) -> tuple[Plan, Estimate]:
    todo = plan(made.targets, store)
    return todo, estimate(todo, todo, Reader(store, made.sources), execution)


def test_only_trainings_by_the_same_engine_alone_on_a_cpu_count(tmp_path: Path) -> None:
    made, store = study(), Store(tmp_path)
    build(made.targets[:2], store, made.sources, TORCH)
    assert [job.density for job in made.targets] == pytest.approx([1.0, 0.5, 0.25])
    _, found = estimated(made, store)
    assert found.source == "the median of 2 finished trainings"
    assert list(found.seconds) == [made.targets[2].key]
    provenance = [store.manifest(job.key)["provenance"] for job in made.targets[:2]]
    assert list(found.seconds.values()) == pytest.approx([sum(each["seconds"] for each in provenance) / 2])
    _, by_sparse = estimated(made, store, Execution(workers=0, engine="sparse"))
    assert "measured now" in by_sparse.source
    assert "finished" not in by_sparse.source


def test_members_of_a_stack_do_not_count(tmp_path: Path) -> None:
    made, store = study(replicates=2, levels=1), Store(tmp_path)
    build(made.targets[:2], store, made.sources, Execution(workers=0, population=2, engine="torch"))
    _, found = estimated(made, store)
    assert found.source == "20 steps measured now"


def test_measured_where_nothing_is_recorded(tmp_path: Path) -> None:
    made, store = study(), Store(tmp_path / "store")
    todo, found = estimated(made, store)
    assert found.source == "20 steps measured now"
    assert found.seconds.keys() == {node.key for node in made.targets}
    assert min(found.seconds.values()) > 0
    # Each level waits for the one before, so no number of workers makes it faster.
    assert longest_chain(todo, found.seconds) == pytest.approx(sum(found.seconds.values()))
    assert found.total(todo, 1) == found.total(todo, 8)
    assert not list(tmp_path.iterdir())


def test_replicates_run_side_by_side(tmp_path: Path) -> None:
    todo, found = estimated(study(replicates=3), Store(tmp_path))
    assert found.total(todo, 1) == pytest.approx(3 * longest_chain(todo, found.seconds))
    assert found.total(todo, 3) == pytest.approx(longest_chain(todo, found.seconds))


def test_nothing_to_do_is_not_measured(tmp_path: Path) -> None:
    made, store = study(levels=1), Store(tmp_path)
    build(made.targets, store, made.sources, TORCH)
    todo, found = estimated(made, store)
    assert (dict(found.seconds), found.source) == ({}, "nothing is to be trained")
    assert found.total(todo, 2) == 0


@pytest.mark.parametrize("name", ["supermask", "connect", "stability"])
def test_every_study_can_be_estimated(name: str, tmp_path: Path) -> None:
    todo, found = estimated(study(name, **({"levels": 1} if name == "stability" else {})), Store(tmp_path))
    assert found.seconds.keys() == {work.key for work in todo.works}
    assert min(found.seconds.values()) > 0
    assert found.source == "20 steps measured now"
