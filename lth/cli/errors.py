"""How commands fail: one line, and an exit code."""


class UsageError(Exception):
    """The command line or a settings file cannot be understood: exit code 2."""


class CommandError(Exception):
    """A command cannot be done: exit code 1. The message says what to do."""
