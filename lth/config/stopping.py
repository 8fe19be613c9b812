"""How a running process is asked to stop: Ctrl-C, or a signal of a cluster's scheduler. No torch is loaded here.

A build looks at the flag between steps, saves and ends. Schedulers send SIGTERM (preemption, cancelling), or a signal
that a script asks for some time before the time limit: SIGUSR1 with Slurm, SIGUSR2 with LSF. Programs may get them
while they still import; `catching` therefore comes before everything that takes long.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

BY_SCHEDULER = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
REQUEUE = 75
"""Exit code of a process that was told to stop before its time limit, and wants to be started again (EX_TEMPFAIL)."""

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: REQUEUE, signal.SIGUSR2: REQUEUE}
"""By the signal that stopped a build whose work is saved."""

_asked: list[signal.Signals] = []


@contextlib.contextmanager
def catching(is_wanted: bool) -> Iterator[None]:
    """Note the signals of schedulers, where that is wanted: a build ends at its next step, one that follows at once."""
    if not is_wanted or threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked.clear()
    previous = {number: signal.signal(number, _note) for number in BY_SCHEDULER}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def stopped_by() -> signal.Signals | None:
    """Return the first signal that asked this process to stop; None where none has."""
    return _asked[0] if _asked else None


def exit_code(*, is_one_of_several: bool = False) -> int:
    """Return the exit code of a build that was stopped.

    Args:
        is_one_of_several: whether other ranks train along: one that stopped because another was told to did not end of
            its own will.
    """
    if (number := stopped_by()) is not None:
        return EXIT_CODES[number]
    return REQUEUE if is_one_of_several else EXIT_CODES[signal.SIGINT]


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Give what tells whether this process was asked to stop, by Ctrl-C too; a second Ctrl-C ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: bool(_asked)
        return
    ours = [each for each in BY_SCHEDULER if signal.getsignal(each) in (signal.SIG_DFL, _note)]
    previous = {number: signal.signal(number, _note) for number in (signal.SIGINT, *ours)}
    if _note not in previous.values():
        _asked.clear()
    try:
        yield lambda: bool(_asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _note(number: int, frame: FrameType | None) -> None:
    if _asked and number == signal.SIGINT:
        raise KeyboardInterrupt
    _asked.append(signal.Signals(number))
