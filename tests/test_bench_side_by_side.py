"""Processes side by side meet and answer; one that dies ends them all with its lane and its exit code."""

import multiprocessing
import os
import signal
from collections.abc import Callable

import pytest

from bench.side_by_side import side_by_side


def double(lane: int, wait: Callable[[], object], numbers: list[int]) -> int:
    wait()
    return 2 * numbers[lane]


def end(lane: int, wait: Callable[[], object], how: str) -> None:
    """The second lane ends while the first one waits for it."""
    if lane == 0:
        wait()
    elif how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        os._exit(3)
    else:
        raise ValueError("a failed measurement")


def test_results_come_by_lane() -> None:
    assert side_by_side(2, double, [3, 4]) == [6, 8]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("how", "code"), [("killed", -9), ("exit", 3), ("raises", 1)])
def test_a_dead_process_ends_them_all(how: str, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ChildProcessError, match=rf"lane 1 of the bench ended with exit code {code} and no result"):
        side_by_side(2, end, how)
    assert not multiprocessing.active_children()
    assert ("a failed measurement" in capfd.readouterr().err) == (how == "raises")
