"""What was told is noted by several processes at once, and told once; what is damaged is told again."""

import threading
from pathlib import Path

import pytest
from tracked_runs import Held, Memory

from lth.lineage import Store
from lth.tracking import Series, Teller, TrackedStudy
from lth.tracking.record import Told

KEY = "5" * 64
ROWS = [(step, {"validation/loss": 1.0 / (1 + step)}) for step in (0, 20, 40)]


def test_processes_see_what_others_noted(tmp_path: Path) -> None:
    one, other = Told(tmp_path, "memory:a"), Told(tmp_path, "memory:a")
    one.note("a", 20)
    one.note("b", 40, closed=True)
    other.note("a", 10)
    other.note_results("f00d")
    for told in (one, other, Told(tmp_path, "memory:a")):
        told.look()
        assert (told.last, told.closed, told.concluded) == ({"a": 20, "b": 40}, {"b"}, {"f00d"})
    assert Told(tmp_path, "memory:b").last == {}
    other.forget()
    one.forget()
    assert Told(tmp_path, "memory:a").last == {}


def test_damage_counts_as_not_told(tmp_path: Path) -> None:
    Told(tmp_path, "memory").note("a", 20)
    [path] = tmp_path.rglob("*.jsonl")
    damaged = b'\xff\xfe\n[1]\n7\n"results"\n{"key": ["x"], "step": 1, "closed": true}\n{"results": {}}\n{"key": "b"}\n'
    path.write_bytes(path.read_bytes() + damaged + b"[" * 100_000 + b'\n{"key": "c", "step": 3')
    told = Told(tmp_path, "memory")
    assert (told.last, told.closed, told.concluded) == ({"a": 20}, set(), set())


def test_a_training_that_goes_on_in_another_process_is_told_once(tmp_path: Path) -> None:
    held, store = Held(), Store(tmp_path)
    study = TrackedStudy("0123456789ab", "find-ticket", "experiment", {}, (Series(KEY, "dense", {}),))
    first, second = (Teller("memory", Memory(held=held), study, store) for _ in range(2))
    first.rows(KEY, ROWS[:2])
    store.work_folder(KEY).mkdir(parents=True)
    (store.work_folder(KEY) / "snapshot").touch()
    second.rows(KEY, ROWS)  # one that goes on reports all of its evaluations
    assert held.curves == {"dense": {"validation/loss": [(step, values["validation/loss"]) for step, values in ROWS]}}


def test_one_begins_before_the_others(tmp_path: Path) -> None:
    one, other = Told(tmp_path, "memory"), Told(tmp_path, "memory")
    with pytest.raises(ConnectionError), one.beginning():
        raise ConnectionError
    order = []

    def follow() -> None:
        with other.beginning():
            order.append("other")

    thread = threading.Thread(target=follow)
    with one.beginning():
        thread.start()
        thread.join(0.3)
        order.append("one")
    thread.join()
    assert order == ["one", "other"]
