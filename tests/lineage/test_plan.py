"""The plan: pure, complete, and nothing twice."""

import shutil
from pathlib import Path

from builds import HERE, Notes, built, files_in, jobs, study, weights_in

from lth.lineage import Checkpoint, Store, Trained, build, plan
from lth.studies.prepare import Study


def test_planning_touches_nothing(tmp_path: Path, finished: tuple[Study, Store]) -> None:
    made, store = finished
    todo = plan(made.targets, Store(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
    before = files_in(store.root)
    assert plan(made.targets, store).works == ()
    assert files_in(store.root) == before
    assert len(todo.works) == 7


def test_an_empty_store_needs_everything_in_order(tmp_path: Path, finished: tuple[Study, Store]) -> None:
    made, _ = finished
    todo = plan(made.targets, Store(tmp_path))
    assert todo.done == ()
    assert [work.key for work in todo.works] == [node.key for node in made.targets]
    dense = jobs(made, "dense")[0]
    assert [work.checkpoints for work in todo.works] == [(5,)] + [()] * 6
    assert all(work.finish and work.until is None for work in todo.works)
    assert todo.works[0].needs == frozenset()
    last = todo.works[-1]
    assert last.needs == {dense.key, jobs(made, "ticket")[0].key}
    arms = {point.job.key: point.arm for point in made.points}
    assert {arms[work.key]: work.steps for work in todo.works} == {
        "dense": 30,
        "ticket": 25,
        "reinit": 30,
        "random": 25,
    }
    assert todo.steps == 30 + 2 * (25 + 30 + 25)


def test_only_the_targets_derivation_is_planned(tmp_path: Path, finished: tuple[Study, Store]) -> None:
    made, _ = finished
    ticket = jobs(made, "ticket")[1]
    wanted = [jobs(made, "dense")[0].key, jobs(made, "ticket")[0].key, ticket.key]
    assert [work.key for work in plan([ticket], Store(tmp_path)).works] == wanted


def test_studies_that_share_a_dense_network_train_it_once(tmp_path: Path) -> None:
    one, other = study(rate=0.5, controls=(), levels=1), study(rate=0.2, controls=(), levels=1)
    store = built(tmp_path, one)
    todo = plan(other.targets, store)
    assert [work.key for work in todo.works] == [jobs(other, "ticket")[0].key]
    assert [node.key for node in todo.done] == [jobs(one, "dense")[0].key]
    notes = Notes()
    build(other.targets, store, other.sources, HERE, notes)
    assert notes.started_keys == [jobs(other, "ticket")[0].key]


def test_a_missing_rewind_checkpoint_is_trained_up_to_its_step_only(tmp_path: Path) -> None:
    made = study(rewind_to="5it", controls=(), levels=1)
    store = built(tmp_path, made)
    dense, ticket = made.targets
    checkpoint = Checkpoint(trained=dense, step=5)
    weights, dense_files = weights_in(store, checkpoint), files_in(store.folder(dense.key))
    for node in (checkpoint, ticket):
        shutil.rmtree(store.folder(node.key))
    todo = plan(made.targets, store)
    first, second = todo.works
    assert (first.key, first.checkpoints, first.finish, first.until, first.steps) == (dense.key, (5,), False, 5, 5)
    assert (second.key, second.steps, todo.done) == (ticket.key, 25, (dense,))
    build(made.targets, store, made.sources, HERE)
    assert all(value.equal(weights_in(store, checkpoint)[name]) for name, value in weights.items())
    assert files_in(store.folder(dense.key)) == dense_files
    assert isinstance(ticket, Trained)
    assert store.has(ticket)
    assert plan(made.targets, store).works == ()
