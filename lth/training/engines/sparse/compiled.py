"""How the engine's functions are compiled, and how stale code is told from fresh."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

RELAXED = ("contract", "reassoc", "nsz")
"""Fused multiply-adds and any order of a sum are welcome; NaN and infinity keep their meaning."""

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compiles a function at its first call for each kind of arguments, and keeps the code on disk if it can."""
    compile_lazily = njit(nogil=True, error_model="numpy", fastmath=set(RELAXED))
    kept: Any = compile_lazily(function)
    try:
        kept.enable_caching()
        # Numba would keep code until the function's own file changes; here functions call those of other files.
        kept._cache._cache_file._source_stamp = _digest_of_folder()
    except (RuntimeError, AttributeError):  # no folder that can be written to, or a numba that keeps code otherwise
        return cast(F, compile_lazily(function))
    return cast(F, kept)


@cache
def _digest_of_folder() -> str:
    """SHA-256 of all that compiled code may come from."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
