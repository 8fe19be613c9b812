"""Parameter names chosen by shell-style patterns."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def matches(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a pattern stands for, in their order.

    A pattern that is one of the names stands for that name alone, whatever characters it has; any other is a
    shell-style pattern (`*`, `?`, `[...]`).
    """
    names = list(names)
    return [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that match at least one pattern, in the order of `names`.

    Args:
        names: parameter names, as in `module.named_parameters()`.
        patterns: names or shell-style patterns (see `matches`).
    Raises:
        ValueError: if a pattern matches no name (most often it is misspelt).
    """
    names = list(names)
    chosen: set[str] = set()
    for pattern in patterns:
        matched = matches(pattern, names)
        if not matched:
            raise ValueError(f"pattern {pattern!r} matches no parameter. Names: {', '.join(names)}")
        chosen.update(matched)
    return [name for name in names if name in chosen]


def owners(names: Iterable[str], patterns: Iterable[str]) -> dict[str, str | None]:
    """Return for each name the one pattern that it matches, or None.

    Raises:
        ValueError: if a pattern matches no name, or a name matches several patterns: their order must not decide.
    """
    names, patterns = list(names), list(patterns)
    matching(names, patterns)
    owned = {pattern: set(matches(pattern, names)) for pattern in patterns}
    result: dict[str, str | None] = {}
    for name in names:
        matched = [pattern for pattern in patterns if name in owned[pattern]]
        if len(matched) > 1:
            raise ValueError(f"{name!r} matches several patterns: {', '.join(matched)}. Make them exclude each other")
        result[name] = matched[0] if matched else None
    return result
