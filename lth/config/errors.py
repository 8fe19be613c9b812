"""Errors of settings, whatever way they come."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError


class SettingsError(ValueError):
    """A setting that is unknown, out of range, or fits neither the others nor the model and the data."""


@contextmanager
def as_settings_error() -> Iterator[None]:
    """Raise what is wrong as an error of the settings, in one line."""
    try:
        yield
    except SettingsError:
        raise
    except ValidationError as error:
        raise SettingsError(in_one_line(error)) from error
    except ValueError as error:
        raise SettingsError(str(error)) from error


def reason_of(error: BaseException) -> str:
    """Return what an exception of a library says, on one line; its type where it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def in_one_line(error: ValidationError) -> str:
    """Return what pydantic found, as one line for users."""
    problems = []
    for problem in error.errors():
        path = [part for part in problem["loc"] if isinstance(part, str)]  # without the place in a list
        option = path[-1] if path else "settings"
        message = problem["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        if problem["type"] == "extra_forbidden":
            problems.append(f"unknown setting {option!r}")
        elif message.startswith(f"{option}:") or not path:
            problems.append(message)
        else:
            is_said = repr(problem["input"]) in message or problem["type"] == "value_error"
            problems.append(f"{option}: {message}" + ("" if is_said else f" (found {problem['input']!r})"))
    return "; ".join(problems)
