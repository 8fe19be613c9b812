"""Names that users write, checked against a table."""

from collections.abc import Iterable
from difflib import get_close_matches


def check_choice(kind: str, name: str, choices: Iterable[str]) -> str:
    """The name itself, if it is one of the choices.

    Args:
        kind: what is named, for the message ("criterion").
        name: what the user wrote.
        choices: what is allowed.
    Raises:
        ValueError: if it is not; suggests the nearest choice.

    Example:
        >>> check_choice("criterion", "large_finl", ["large_final", "random"])
        Traceback (most recent call last):
        ValueError: unknown criterion 'large_finl'. Did you mean 'large_final'? Choices: large_final, random
    """
    choices = list(choices)
    if name in choices:
        return name
    near = get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {kind} {name!r}.{hint} Choices: {', '.join(choices)}")
