"""The user's own functions, by names that can be imported."""

import functools
import importlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from lth.config import SettingsError
from lth.models.check import first_line

_IMPORTING: ContextVar[bool] = ContextVar("importing", default=False)


def resolve_function(name: str, kind: str = "function") -> Callable[..., Any]:
    """Return the function, or class, at an importable `package.module:function`.

    Args:
        name: of the function; a dotted path after the colon is followed.
        kind: what it is for, for messages.
    Raises:
        ValueError: if it cannot be imported, or is not to be called.
    """
    module_name, _, path = name.partition(":")
    token = _IMPORTING.set(True)
    try:
        function = functools.reduce(getattr, path.split("."), importlib.import_module(module_name))
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        is_unknown = isinstance(error, ImportError | AttributeError)  # else the user's module failed by itself
        raise (SettingsError if is_unknown else ValueError)(
            f"cannot import the {kind} {name!r}: {first_line(error)}. Give an importable "
            "`package.module:function` (the current folder is on the path)"
        ) from error
    finally:
        _IMPORTING.reset(token)
    if not callable(function):
        raise SettingsError(f"{name!r} is a {type(function).__name__}; a function or class is needed")
    return function


def is_importing() -> bool:
    """Return whether the caller runs because `resolve_function` imports its module."""
    return _IMPORTING.get()
