"""Building in this process: interruptions, populations, and stores that a build meets half done."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from builds import HERE, Notes, assert_same_content, built, content, files_in, interrupt, jobs, study

from lth.lineage import BuildError, Checkpoint, Execution, Store, StoreError, build, plan, write_file
from lth.lineage.executors.workers import IN_WORKER
from lth.lineage.journal import StoreJournal
from lth.lineage.lease import LeaseLost, Leases
from lth.lineage.reader import Reader
from lth.lineage.work import Hooks
from lth.studies.prepare import Study
from lth.training import History, Interrupted, Snapshot, Where

OFTEN = Execution(workers=0, snapshot_seconds=0.0)


@pytest.mark.parametrize("execution", [OFTEN, Execution(workers=2, snapshot_seconds=0.0)], ids=["here", "workers"])
def test_ctrl_c_stops_and_the_rest_resumes(execution: Execution, tmp_path: Path) -> None:
    """Wherever the work is done, and however it is cut up, the numbers are the same."""
    made = study(rewind_to="5it", levels=1, controls=(), duration="400it")
    whole = built(tmp_path / "whole", made)
    store, handler = Store(tmp_path / "store"), signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        build(made.targets, store, made.sources, execution, Notes(12, interrupt))
    assert signal.getsignal(signal.SIGINT) is handler
    dense = jobs(made, "dense")[0]
    assert not store.has(dense)
    left = files_in(store.work_folder(dense.key))
    assert "snapshot" in left
    assert "lease.json" not in left
    todo = plan(made.targets, store)
    assert (len(todo.works), todo.works[0].checkpoints) == (2, ())
    assert build(made.targets, store, made.sources, HERE) == {}
    assert_same_content(store, whole, *made.targets)
    assert list((store.root / "work").iterdir()) == []


@pytest.mark.parametrize("execution", [OFTEN, Execution(workers=1, snapshot_seconds=0.0)], ids=["here", "workers"])
def test_a_training_that_was_taken_over_is_left_alone(
    execution: Execution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process was not heard of for a minute: it notices, writes no more, waits, and goes on when it may again."""
    monkeypatch.setattr("lth.lineage.backoff.WAIT_SECONDS", 0.01)
    duration = "300it" if execution.in_workers else "40it"  # a worker goes on while the lease is taken
    made = study(levels=1, controls=(), duration=duration)
    store, others, waited = Store(tmp_path / "store"), Leases(), list[bool]()
    folder = store.work_folder(jobs(made, "dense")[0].key)

    class Waiting(Notes):
        def waiting(self, keys: object) -> None:
            waited.append(others.is_held(folder))
            others.release(folder)

    def take_over() -> None:
        past = time.time() - 61
        os.utime(folder / "lease.json", (past, past))
        assert others.acquire(folder)

    notes = Waiting(5, take_over)
    assert build(made.targets, store, made.sources, execution, notes) == {}
    assert waited[0]
    assert ["taken over" in text for text in notes.texts] == [True]
    assert [notes.started_keys.count(key) for key in dict.fromkeys(notes.started_keys)] == [2, 1]
    assert_same_content(store, built(tmp_path / "whole", made), *made.targets)


def test_a_lost_training_writes_no_snapshot(tmp_path: Path) -> None:
    made, store = study(), Store(tmp_path)
    job = jobs(made, "dense")[0]
    hooks = Hooks(is_ours=lambda key: False)
    journal = StoreJournal(Reader(store, made.sources), {job.key: job}, (), None, Where(), hooks, {})
    newest = store.work_folder(job.key) / "snapshot"
    write_file(newest, b"the new owner's")
    with pytest.raises(LeaseLost, match=f"{job.key[:8]} was taken over"):
        journal.save_snapshot(job.key, Snapshot(7, History(), {}, "torch"))
    assert files_in(tmp_path) == {f"work/{job.key}/snapshot": b"the new owner's"}


def test_a_build_within_a_worker_of_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(levels=1, controls=())
    monkeypatch.setenv(IN_WORKER, "1")
    with pytest.raises(ValueError, match="inside a worker process of another search"):
        build(made.targets, Store(tmp_path / "store"), made.sources, HERE)
    assert not (tmp_path / "store").exists()


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    made = study(duration="100000it")

    def twice() -> None:
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        build(made.targets, Store(tmp_path), made.sources, OFTEN, Notes(1, twice))


def test_a_finished_study_starts_nothing(tmp_path: Path, finished: tuple[Study, Store]) -> None:
    made, whole = finished
    before, notes = files_in(whole.root), Notes()
    assert build(made.targets, whole, made.sources, Execution(workers=2), notes) == {}
    assert files_in(whole.root) == before
    assert (notes.started_keys, notes.plans[0].works) == ([], ())


def test_everything_is_started_and_finished_once(tmp_path: Path) -> None:
    made, notes = study(replicates=2, controls=()), Notes()
    build(made.targets, Store(tmp_path), made.sources, HERE, notes)
    keys = sorted(node.key for node in made.targets)
    assert sorted(notes.finished_keys) == keys
    assert sorted(set(notes.started_keys)) == keys


def test_another_study_may_want_a_checkpoint_that_the_interrupted_one_did_not(tmp_path: Path) -> None:
    """The dense network is the same, its snapshot lies past the rewind step: it must not be skipped."""
    one, other, store = study(controls=()), study(controls=(), rewind_to="5it"), Store(tmp_path / "store")
    assert jobs(one, "dense") == jobs(other, "dense")
    with pytest.raises(Interrupted):
        build(one.targets, store, one.sources, OFTEN, Notes(12, interrupt))
    assert build(other.targets, store, other.sources, HERE) == {}
    assert store.has(Checkpoint(trained=jobs(other, "dense")[0], step=5))
    assert_same_content(store, built(tmp_path / "whole", other), *other.targets)


def test_a_stack_equals_one_at_a_time(tmp_path: Path) -> None:
    made = study(replicates=3, precision="float64", rewind_to="5it")
    alone = built(tmp_path / "alone", made, Execution(workers=0, engine="torch"))
    stacked = built(tmp_path / "stacked", made, Execution(workers=0, population=4, engine="torch"))
    one, other = content(alone, *made.targets), content(stacked, *made.targets)
    for key, (weights, metrics) in one.items():
        for name, value in weights.items():
            torch.testing.assert_close(other[key][0][name], value, rtol=0, atol=1e-9)
        for curve, values in metrics["curves"].items():
            assert other[key][1]["curves"][curve] == pytest.approx(values, abs=1e-9)
    sizes = [stacked.manifest(key)["provenance"]["population"] for key in one]
    assert (sizes[0], max(sizes)) == (3, 4)  # three dense networks; then the arms of a level share stacks
    assert {alone.manifest(key)["provenance"]["population"] for key in one} == {1}


def test_a_damaged_parent_is_named_and_heals_when_removed(tmp_path: Path) -> None:
    made = study(controls=(), levels=1)
    dense, ticket = made.targets
    store = built(tmp_path / "store", made)
    whole = content(store, *made.targets)
    shutil.rmtree(store.folder(ticket.key))
    shutil.rmtree(store.folder(ticket.masks.key))
    path = store.folder(dense.key) / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    for execution, error in ((HERE, StoreError), (Execution(workers=1), BuildError)):
        with pytest.raises(error, match=f"{path} is damaged.*remove the folder {path.parent}"):
            build(made.targets, store, made.sources, execution)
    shutil.rmtree(path.parent)
    assert build(made.targets, store, made.sources, HERE) == {}
    assert content(store, *made.targets)[ticket.key][1] == whole[ticket.key][1]


def test_a_damaged_snapshot_is_named(tmp_path: Path) -> None:
    made, store = study(), Store(tmp_path)
    with pytest.raises(Interrupted):
        build(made.targets, store, made.sources, OFTEN, Notes(12, interrupt))
    path = store.work_folder(jobs(made, "dense")[0].key) / "snapshot"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"{path} is damaged.*remove it"):
        build(made.targets, store, made.sources, HERE)
    for left in path.parent.glob("snapshot*"):
        left.unlink()
    assert build(made.targets, store, made.sources, HERE) == {}


def test_a_store_that_cannot_be_written_is_an_error_before_any_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    made, notes = study(), Notes()
    with pytest.raises(StoreError, match="cannot write"):
        build(made.targets, Store(tmp_path / "file" / "store"), made.sources, HERE, notes)
    assert notes.started_keys == []


def test_threads_are_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    made = study(levels=1, controls=(), duration="2it")
    store = built(tmp_path, made)
    assert torch.get_num_threads() == before
    assert store.manifest(made.targets[0].key)["provenance"]["threads"] == 1
