"""Functions compiled by numba when they are first called, and kept on disk."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def cached_njit(function: F, *, stamp: str | None = None, **options: Any) -> F:
    """Compile a function at its first call for each kind of arguments, and keep the code on disk if it can.

    Args:
        function: in numba's part of Python.
        stamp: of the sources; code kept under another one is stale. By default numba's own, which knows the function's
            file alone.
        **options: of `numba.njit`.
    """
    compile_lazily = njit(nogil=True, **options)
    kept: Any = compile_lazily(function)
    try:
        kept.enable_caching()
        file = kept._cache._cache_file
        # Two processes that compile for different arguments at once would otherwise give their files one name.
        file._data_name_pattern = file._data_name_pattern.replace("{number:d}", f"{os.getpid()}.{{number:d}}")
        if stamp is not None:
            file._source_stamp = stamp
        _drop_unreadable(file)
    except (
        RuntimeError,
        AttributeError,
        OSError,
    ):  # no folder that can be written to, or a numba that keeps code otherwise
        return cast(F, compile_lazily(function))
    return cast(F, kept)


def _drop_unreadable(file: Any) -> None:
    """Remove an index that cannot be read: damaged, or of code that named modules which are gone."""
    try:
        file._load_index()
    except (OSError, AttributeError):
        raise
    except Exception:  # whatever unpickling raises
        Path(file._index_path).unlink(missing_ok=True)


def has_cache_folder(function: Any) -> bool:
    """Return whether there is a folder where code of a compiled function is kept."""
    return hasattr(getattr(function, "_cache", None), "_cache_file")


def is_cached(function: Any) -> bool:
    """Return whether fresh code of a compiled function is kept on disk, for some kind of arguments."""
    try:
        return bool(function._cache._cache_file._load_index())
    except (AttributeError, OSError):  # it is not kept
        return False
