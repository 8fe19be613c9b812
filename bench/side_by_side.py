"""Processes that measure at the same time, as workers train at the same time."""

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from typing import Any, TypeVar

T = TypeVar("T")


def side_by_side(number: int, run: Callable[..., T], *args: Any) -> list[T]:
    """What `run(lane, wait, *args)` returns in each of so many fresh processes; `wait` meets the others.

    Args:
        number: of processes.
        run: a function of a module; the lane is 0 to number - 1, `wait()` returns when all have called it.
        args: what else it needs.
    Raises:
        ChildProcessError: if one of them ends without a result, whatever ended it; the others are killed.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(number)
    processes, readers = [], []
    try:
        for lane in range(number):
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=_lane, args=(run, lane, barrier, writer, args))
            process.start()
            processes.append(process)
            readers.append(reader)
            writer.close()  # the process alone holds it now: its death ends the pipe
        found = dict(_received(processes, readers))
    except BaseException:
        for process in processes:
            process.kill()
        raise
    finally:
        for process in processes:
            process.join()
    return [found[lane] for lane in range(number)]


def _received(processes: list[Any], readers: list[Any]) -> Iterator[tuple[int, Any]]:
    """Each lane with its result, as they come."""
    lanes = {reader: lane for lane, reader in enumerate(readers)}
    while lanes:
        ready: list[Any] = wait(lanes)
        for reader in ready:
            lane = lanes.pop(reader)
            try:
                yield lane, reader.recv()
            except (EOFError, OSError):
                processes[lane].join()
                raise ChildProcessError(
                    f"lane {lane} of the bench ended with exit code {processes[lane].exitcode} and no result; "
                    "the others were stopped"
                ) from None


def _lane(run: Callable[..., Any], lane: int, barrier: Any, writer: Any, args: tuple[Any, ...]) -> None:
    writer.send(run(lane, barrier.wait, *args))  # an exception ends the process: it prints it, with exit code 1
