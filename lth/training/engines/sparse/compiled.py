"""How the engine's functions are compiled, and how stale code is told from fresh."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lth.sparsity.numba_cache import cached_njit

RELAXED = ("contract", "reassoc", "nsz")
"""Fused multiply-adds and any order of a sum are welcome; NaN and infinity keep their meaning."""

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Return a function that calls those of other files: its code is fresh while all files of this folder are."""
    return cached_njit(function, stamp=_digest_of_folder(), error_model="numpy", fastmath=set(RELAXED))


@cache
def _digest_of_folder() -> str:
    """Return SHA-256 of all that compiled code may come from."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
