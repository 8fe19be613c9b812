"""Memory of a process, as Linux counts it: pages that it holds."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path


def growth(run: Callable[[], object]) -> float:
    """Most megabytes that this process holds during a call, beyond those before it.

    Not from `getrusage`: its peak begins at that of the process that started this one.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back, so that the call cannot hide in it
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts over
    before = _megabytes("VmRSS")
    run()
    return _megabytes("VmHWM") - before


def _megabytes(entry: str) -> float:
    """VmRSS is now, VmHWM the most so far."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[entry].split()[0]) / 1024
