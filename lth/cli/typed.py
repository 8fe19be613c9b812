"""The command that this process runs, as it was typed: kept with the studies that it makes."""

import shlex
from collections.abc import Sequence
from contextvars import ContextVar

from lth.analysis.labels import Labels, numbered, ran_now
from lth.config import Running, as_settings_error

_TOKENS = ContextVar[tuple[str, ...]]("tokens", default=())


def note_typed(tokens: Sequence[str]) -> None:
    """Note what stands behind `lth` on the command line."""
    _TOKENS.set(tuple(tokens))


def typed() -> str | None:
    """Return the command line, as a shell takes it; None in a job of a cluster that ends what a user has submitted."""
    tokens = _TOKENS.get()
    return None if not tokens or "--conclude" in tokens else shlex.join(["lth", *tokens])


def labels_of(running: Running, count: int) -> list[Labels]:
    """Return what each of the studies of this command is called, with the command.

    Raises:
        SettingsError: if a name becomes too long by its number.
    """
    command = typed()
    with as_settings_error():
        return numbered(Labels(running.name, running.tags, (ran_now(command),) if command else ()), count)
