"""Where jobs run changes no bit; workers that die or cannot begin are named, and no more start than should."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from builds import HERE, Notes, assert_same_content, built, content, jobs, study, tiny
from torch import nn

from lth.config import Table
from lth.lineage import BuildError, Evaluated, Execution, Job, Overlapped, Reader, Store, WorkerDied, build
from lth.lineage.executors import workers
from lth.lineage.executors.workers import IN_WORKER, WORKER_BYTES, workers_that_fit
from lth.lineage.tables import OPEN, add_entries, own_entries
from lth.sparsity import CRITERIA, Evidence


def test_here_and_workers_give_the_same_bits(tmp_path: Path) -> None:
    """Of trainings of both engines, and of measurements."""

    def convolutional() -> nn.Module:  # a closure: it reaches workers by value
        body = nn.Sequential(nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU())
        return nn.Sequential(body, nn.Dropout(0.2), nn.Flatten(), nn.Linear(36, 10))

    targets: list[Job] = []
    models = {}
    for factory in (tiny, convolutional):
        made = study(factory, rewind_to="5it", controls=("random",))
        models |= made.sources.models
        dense, tickets = jobs(made, "dense")[0], jobs(made, "ticket")
        measured = Evaluated(weights=(dense, *tickets), data=dense.data, task=dense.training.task, renew_norms=True)
        targets += [*made.targets, measured, Overlapped(first=tickets[0].masks, second=tickets[1].masks)]
    sources = replace(made.sources, models=models)
    stores = [Store(tmp_path / name) for name in ("here", "workers")]
    for store, execution in zip(stores, (HERE, Execution(workers=2)), strict=True):
        assert build(targets, store, sources, execution) == {}
    assert {store.manifest(key)["provenance"]["engine"] for key in content(store, *targets)} >= {"sparse", "torch"}
    assert_same_content(*stores, *targets)


def mortal() -> nn.Module:
    """A network that ends the worker process in which it is made."""
    if os.environ.get(IN_WORKER):
        os._exit(7)
    return tiny()


def test_a_worker_that_dies_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    made, store = study(mortal, levels=1, controls=()), Store(tmp_path / "store")
    with pytest.raises(WorkerDied, match=r"a worker process ended unexpectedly \(exit code 7;.*run the same command"):
        build(made.targets, store, made.sources, Execution(workers=1))
    assert not list((store.root / "work").glob("*/lease.json"))
    assert build(made.targets, store, made.sources, HERE) == {}
    assert_same_content(store, built(tmp_path / "whole", made), *made.targets)


class Unreadable:
    """A value that reaches a worker, and fails there."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return fail, ("this module needs what is not installed",)


def fail(text: str) -> None:
    if os.environ.get(IN_WORKER):
        raise ImportError(text)


def test_what_a_worker_cannot_load_is_an_error_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(levels=1, controls=())
    monkeypatch.setitem(made.sources.functions, "mine:unused", Unreadable())  # type: ignore[arg-type]
    with pytest.raises(BuildError, match="a job failed: this module needs what is not installed") as error:
        build(made.targets, Store(tmp_path), made.sources, Execution(workers=1))
    assert "\n" not in str(error.value)
    assert "ImportError" in error.value.traceback


def test_a_failure_in_a_worker_carries_its_traceback(tmp_path: Path) -> None:
    def broken() -> nn.Module:
        module = tiny()
        if os.environ.get(IN_WORKER):
            module.register_forward_hook(lambda *_: 1 / 0)  # type: ignore[arg-type, return-value]
        return module

    made = study(broken, levels=1, controls=())
    with pytest.raises(BuildError, match="division by zero") as error:
        build(made.targets, Store(tmp_path), made.sources, Execution(workers=1, engine="torch"))
    assert "ZeroDivisionError" in error.value.traceback
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("free", "asked", "bytes_each", "expected"),
    [
        (None, 8, 10**9, 8),
        (10 * WORKER_BYTES, 3, 0, 3),
        (10 * WORKER_BYTES, 20, 0, 9),
        (10 * WORKER_BYTES, 20, WORKER_BYTES, 4),
        (0, 4, 0, 1),
    ],
)
def test_workers_are_as_many_as_asked_for_or_as_memory_carries(
    free: int | None, asked: int, bytes_each: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "free_memory", lambda: free)
    assert workers_that_fit(asked, bytes_each) == expected


def test_what_data_takes_counts_for_each_worker() -> None:
    made = study()
    parts = next(iter(made.sources.data.values())).parts
    assert made.sources.bytes_each() > sum(len(part) for part in parts.values()) * 64


def test_free_memory_is_known_on_linux() -> None:
    if not Path("/proc/meminfo").exists():
        pytest.skip("reads /proc")
    free = workers.free_memory()
    assert free is not None
    assert 0 < free < 2**50


@pytest.mark.parametrize(("free", "expected"), [(None, 2), (WORKER_BYTES, 1)])
def test_no_more_workers_start_than_there_is_work_and_memory(
    free: int | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs, four workers asked for; what memory does not carry is said."""
    started: list[object] = []
    start = workers.subprocess.Popen

    def counted(*arguments: object, **keywords: object) -> object:
        started.append(start(*arguments, **keywords))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(workers, "free_memory", lambda: free)
    monkeypatch.setattr(workers.subprocess, "Popen", counted)
    made, notes = study(levels=1, controls=(), duration="4it"), Notes()
    assert build(made.targets, Store(tmp_path), made.sources, Execution(workers=4), notes) == {}
    assert len(started) == expected
    said = [text for text in notes.texts if "instead of" in text]
    assert said == ([] if expected == 2 else ["1 worker instead of 2: memory carries no more"])
    assert all(process.poll() is not None for process in started)  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", OPEN, ids=lambda table: table.kind)
def test_entries_of_a_script_are_found_and_added(table: Table[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """In every open table, new names and replaced ones; what lth brings stays at home."""
    first = next(iter(table))
    assert table.kind not in own_entries()
    with monkeypatch.context() as patch:
        mine, other = object(), object()
        patch.setitem(table, "mine", mine)
        patch.setitem(table, first, other)
        sent = own_entries()
        assert sent == {table.kind: {"mine": mine, first: other}}
    assert "mine" not in table
    with monkeypatch.context() as patch:
        patch.setitem(table, first, table[first])
        patch.setitem(table, "mine", None)
        add_entries(sent)
        assert (table["mine"], table[first]) == (mine, other)
    assert own_entries() == {}


def test_every_open_table_has_a_kind_of_its_own() -> None:
    """Entries travel under it."""
    kinds = [table.kind for table in OPEN]
    assert len(set(kinds)) == len(kinds)


def test_a_replaced_entry_decides_in_workers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_rows(evidence: Evidence) -> dict[str, torch.Tensor]:
        return {name: -torch.arange(value.numel()).view(value.shape).float() for name, value in evidence.end.items()}

    monkeypatch.setitem(CRITERIA, "mine", first_rows)
    made = study(levels=1, controls=(), criterion="mine", duration="4it")
    store = built(tmp_path, made, Execution(workers=1))
    mask = Reader(store, made.sources).masks(jobs(made, "ticket")[0].masks)["1.weight"]
    assert mask[:8].all()
    assert not mask[8:].any()
    assert set(content(store, *made.targets)) == {job.key for job in made.targets}
