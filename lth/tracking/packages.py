"""Packages that trackers need and `lth` does not."""

from importlib.util import find_spec


def need(package: str, extra: str) -> None:
    """Check that a package is installed, without loading it.

    Raises:
        ValueError: if it is not; says how to get it.
    """
    try:
        is_there = find_spec(package) is not None
    except (ImportError, ValueError):
        is_there = False
    if not is_there:
        raise ValueError(f'{package} is not installed: pip install "lth[{extra}]"')
