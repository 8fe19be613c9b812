"""Processes that measure at the same time, as workers train at the same time."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch.multiprocessing

P = ParamSpec("P")
T = TypeVar("T")


def side_by_side(number: int, run: Callable[..., T], *args: Any) -> list[T]:
    """What `run(lane, wait, *args)` returns in each of so many fresh processes; `wait` meets the others.

    Args:
        number: of processes.
        run: a function of a module; the lane is 0 to number - 1, `wait()` returns when all have called it.
        args: what else it needs.
    Raises:
        RuntimeError: if one of them fails.
    """
    context = torch.multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(number), context.Queue()
    processes = [context.Process(target=_lane, args=(run, lane, barrier, results, args)) for lane in range(number)]
    for process in processes:
        process.start()
    found = dict(results.get() for _ in processes)
    for process in processes:
        process.join()
    if failed := [result for result in found.values() if isinstance(result, Exception)]:
        raise RuntimeError(f"a process of the bench failed: {failed[0]!r}")
    return [found[lane] for lane in range(number)]


def _lane(run: Callable[..., Any], lane: int, barrier: Any, results: Any, args: tuple[Any, ...]) -> None:
    try:
        results.put((lane, run(lane, barrier.wait, *args)))
    except Exception as error:
        barrier.abort()  # or the others would wait for ever
        results.put((lane, RuntimeError(repr(error))))
