"""How long a study should take: from what the same engine did before, else measured."""

from pathlib import Path

import pytest

from lth.cli.plan import _density_by_key, _recorded, _seconds, longest_chain
from lth.config import FindTicket
from lth.data import load_data
from lth.lineage import Execution, Store, build, plan
from lth.models import LeNet300100
from lth.studies import Study, find_ticket_study

TORCH = Execution(workers=0, engine="torch")


def study(**fields: object) -> Study:
    """LeNet-300-100 on the digits: two levels without controls, 20 steps each."""
    settings = {"levels": 2, "replicates": 1, "duration": "20it", "controls": (), "scope": "global", "rate": 0.5}
    return find_ticket_study(FindTicket(**{**settings, **fields}), LeNet300100, load_data("digits"))


def test_only_trainings_by_the_same_engine_alone_on_a_cpu_count(tmp_path: Path) -> None:
    made, store = study(), Store(tmp_path)
    build(made.targets[:2], store, made.sources, TORCH)
    densities = _density_by_key(made)
    assert list(densities.values()) == pytest.approx([1.0, 0.5, 0.25])
    found = _recorded(made, store, densities, "torch")
    assert {density: len(seconds) for density, seconds in found.items()} == {1.0: 1, densities[made.targets[1].key]: 1}
    assert _recorded(made, store, densities, "sparse") == {}
    provenance = store.manifest(made.targets[0].key)["provenance"]
    assert found[1.0] == [provenance["seconds"] / 20]
    seconds, source = _seconds(made, plan(made.targets, store), store, TORCH)
    assert source == "the median of 2 finished trainings"
    assert list(seconds) == [made.targets[2].key]
    assert list(seconds.values()) == pytest.approx([10 * sum(each[0] for each in found.values())])


def test_members_of_a_stack_do_not_count(tmp_path: Path) -> None:
    made, store = study(replicates=2, levels=1), Store(tmp_path)
    build(made.targets[:2], store, made.sources, Execution(workers=0, population=2, engine="torch"))
    assert _recorded(made, store, _density_by_key(made), "torch") == {}


def test_measured_where_nothing_is_recorded(tmp_path: Path) -> None:
    made, store = study(), Store(tmp_path)
    todo = plan(made.targets, store)
    seconds, source = _seconds(made, todo, store, TORCH)
    assert source == "20 steps measured now"
    assert seconds.keys() == {node.key for node in made.targets}
    assert min(seconds.values()) > 0
    assert longest_chain(todo, seconds) == pytest.approx(sum(seconds.values()))  # each level waits for the one before
    assert not tmp_path.exists() or not list(tmp_path.iterdir())


def test_nothing_to_do_is_not_measured(tmp_path: Path) -> None:
    made, store = study(levels=1), Store(tmp_path)
    build(made.targets, store, made.sources, TORCH)
    assert _seconds(made, plan(made.targets, store), store, TORCH) == ({}, "nothing is to be trained")
