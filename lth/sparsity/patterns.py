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


def owners(names: Iterable[str], patterns: Iterable[str]) -> dict[str, str | None]:
    """For each name the one pattern that it matches, or None.

    Raises:
        ValueError: if a pattern matches no name, or a name matches several patterns: their order must not decide.
    """
    names, patterns = list(names), list(patterns)
    matching(names, patterns)
    found: dict[str, str | None] = {}
    for name in names:
        matched = [pattern for pattern in patterns if fnmatchcase(name, pattern)]
        if len(matched) > 1:
            raise ValueError(f"{name!r} matches several patterns: {', '.join(matched)}. Make them exclude each other")
        found[name] = matched[0] if matched else None
    return found
