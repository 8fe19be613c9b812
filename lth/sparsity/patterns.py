"""Parameter names chosen by shell-style patterns."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that match at least one pattern, in the order of `names`.

    Args:
        names: parameter names, as in `module.named_parameters()`.
        patterns: shell-style patterns (`*`, `?`, `[...]`); a full name matches itself.
    Raises:
        ValueError: if a pattern matches no name (most often it is misspelt).
    """
    names = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"pattern {pattern!r} matches no parameter. Names: {', '.join(names)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def first_match(name: str, patterns: Iterable[str]) -> str | None:
    """The first pattern that `name` matches, or None."""
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)
