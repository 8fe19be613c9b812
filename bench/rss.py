"""Memory of a process, as the system counts it: pages that it holds."""

import resource
from collections.abc import Callable
from pathlib import Path


def growth(run: Callable[[], object]) -> float:
    """Most megabytes that this process held during a call, beyond those before it.

    Where the system has no /proc, growth below an earlier peak stays unseen.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forgets earlier peaks
        before = _status("VmRSS")
    except OSError:
        before = _largest()
        run()
        return _largest() - before
    run()
    return _status("VmHWM") - before


def _status(entry: str) -> float:
    """Megabytes by an entry of Linux's own account. `getrusage` would begin at the peak of the parent process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{entry}:")) / 1024


def _largest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
