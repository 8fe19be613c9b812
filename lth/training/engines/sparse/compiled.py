"""How the engine's functions are compiled, and how stale code is told from fresh."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

RELAXED = ("contract", "reassoc", "nsz")
"""Fused multiply-adds and any order of a sum are welcome; NaN and infinity keep their meaning."""

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compiles a function at its first call for each kind of arguments, and keeps the code on disk."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", fastmath=set(RELAXED))(function))


def forget_stale_code() -> None:
    """Lets compiled code that is older than any file of this folder be compiled again.

    Numba keeps the code of a function until that function's own file changes; here functions call those of other files.
    So all files get the time of the newest.
    """
    files = list(Path(__file__).parent.glob("*.py"))
    newest = max(file.stat().st_mtime_ns for file in files)
    for file in files:
        if file.stat().st_mtime_ns != newest and os.access(file, os.W_OK):
            os.utime(file, ns=(newest, newest))
