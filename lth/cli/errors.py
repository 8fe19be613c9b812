"""How commands fail: one line, and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

from lth.config import SettingsError


class UsageError(Exception):
    """The command line or a settings file is wrong: exit code 2."""


class CommandError(Exception):
    """A command cannot be done: exit code 1. The message says what to do."""


@contextmanager
def settings_as_usage() -> Iterator[None]:
    """Fail with exit code 2 where settings are wrong: they stand on the command line, or in its file."""
    try:
        yield
    except SettingsError as error:
        raise UsageError(str(error)) from error
