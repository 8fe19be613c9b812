"""Tables of choices: names that users write, what they stand for, and how a wrong one is answered."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeVar

from lth.config.errors import SettingsError

T = TypeVar("T")


class Table(dict[str, T]):
    """Entries by name, open to a script's own: `TABLE["mine"] = entry`.

    Args:
        kind: what an entry is, for messages ("criterion").
        entries: those that `lth` brings.
    """

    def __init__(self, kind: str, entries: dict[str, T]) -> None:
        super().__init__(entries)
        self.kind = kind
        self._brought = dict(entries)

    def pick(self, name: str) -> T:
        """Return the entry of this name.

        Raises:
            SettingsError: if there is none; suggests the nearest name.
        """
        return self[check_choice(self.kind, name, self)]

    def own(self) -> dict[str, T]:
        """Return the entries that a script added or replaced: what worker processes must be given."""
        return {name: entry for name, entry in self.items() if self._brought.get(name) is not entry}

    def __reduce__(self) -> tuple[object, ...]:
        return Table, (self.kind, dict(self))


MANY = 30
"""Choices that are not listed where one of them is near."""


def check_choice(kind: str, name: str, choices: Iterable[str]) -> str:
    """Return the name itself, if it is one of the choices.

    Args:
        kind: what is named, for the message ("criterion").
        name: what the user wrote.
        choices: what is allowed.
    Raises:
        SettingsError: if it is not; suggests the nearest choice.

    Example:
        >>> check_choice("criterion", "large_finl", ["large_final", "random"])
        Traceback (most recent call last):
        lth.config.errors.SettingsError: unknown criterion 'large_finl'. Did you mean 'large_final'? Choices: ...
    """
    choices = list(choices)
    if name in choices:
        return name
    near = get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if near and len(choices) > MANY:
        raise SettingsError(f"unknown {kind} {name!r}.{hint}")
    raise SettingsError(f"unknown {kind} {name!r}.{hint} Choices: {', '.join(choices)}")
