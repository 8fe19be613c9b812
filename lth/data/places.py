"""Where data sets lie on disk, and where they come from."""

import os
from collections.abc import Sequence
from pathlib import Path


def cache() -> Path:
    """Return the user's cache, where data sets go for which no folder is given."""
    import pooch  # see download.py

    return Path(pooch.os_cache("lth"))


def roots(folder: Path | None) -> list[Path]:
    """Return the folders that are looked through, in this order: the one given, LTH_DATA_DIR, the user's cache.

    Args:
        folder: with one, the cache is left out.
    """
    from_environment = os.environ.get("LTH_DATA_DIR")
    first = [folder.expanduser()] if folder is not None else []
    second = [Path(from_environment).expanduser()] if from_environment else []
    return [*first, *second, *([cache()] if folder is None else [])]


def target(name: str, folder: Path | None) -> Path:
    """Return the folder that a data set is downloaded into."""
    return (cache() if folder is None else folder.expanduser()) / name


def mirrors(name: str, public: Sequence[str]) -> Sequence[str]:
    """Return the addresses to download a data set from: LTH_MIRROR/NAME if that is set, else the public ones."""
    own = os.environ.get("LTH_MIRROR")
    return (f"{own.rstrip('/')}/{name}/",) if own else public
