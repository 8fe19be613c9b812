"""What a function may be given by name."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lth.config.errors import SettingsError


def parameters_of(function: Callable[..., Any]) -> tuple[list[str], bool]:
    """Return the parameters that a function takes by name, and whether it takes any others too.

    What `functools.partial` has fixed is left out: it is decided.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C have no signature
        return [], True
    fixed = function.keywords if isinstance(function, functools.partial) else {}
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [each.name for each in parameters if each.kind in by_name and each.name not in fixed]
    return names, any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)


def missing_from(function: Callable[..., Any], given: Collection[str]) -> list[str]:
    """Return the parameters without a default that are not among those given."""
    names, _ = parameters_of(function)
    parameters = inspect.signature(function).parameters if names else {}
    return [name for name in names if parameters[name].default is inspect.Parameter.empty and name not in given]


def check_arguments(
    kind: str, name: str, function: Callable[..., Any], arguments: Mapping[str, Any], reserved: Collection[str] = ()
) -> None:
    """Check that a user's arguments are among a function's parameters.

    Args:
        kind: what is named, for the message ("model").
        name: what the user calls it.
        function: what is given the arguments.
        arguments: by name.
        reserved: parameters that users do not set.
    Raises:
        SettingsError: if one is not; lists those that are.
    """
    names, takes_any = parameters_of(function)
    allowed = [each for each in names if each not in reserved]
    for argument in arguments:
        if argument in reserved:
            raise SettingsError(f"{kind} {name!r}: {argument} is not for you to set; leave it out")
        if argument not in allowed and not takes_any:
            raise SettingsError(
                f"{kind} {name!r} takes no argument {argument!r}. Its arguments: {', '.join(allowed) or 'none'}"
            )
