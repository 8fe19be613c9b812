"""What a function may be given by name."""

import functools
import inspect
import types
from collections.abc import Callable, Collection, Mapping
from numbers import Integral, Real
from typing import Any, Union, get_args, get_origin

from lth.config.errors import SettingsError

KINDS = {bool: "true or false", int: "a whole number", float: "a number"}
"""What is asked for by a type, in words; arguments of other types are taken as they come."""


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
    """Check that a user's arguments are among a function's parameters, and numbers where it asks for numbers.

    Args:
        kind: what is named, for the message ("model").
        name: what the user calls it.
        function: what is given the arguments.
        arguments: by name.
        reserved: parameters that users do not set.
    Raises:
        SettingsError: if one is not; lists those that are, or says what is wanted.
    """
    names, takes_any = parameters_of(function)
    allowed = [each for each in names if each not in reserved]
    wanted = _types_of(function)
    for argument, value in arguments.items():
        if argument in reserved:
            raise SettingsError(f"{kind} {name!r}: {argument} is not for you to set; leave it out")
        if argument not in allowed and not takes_any:
            raise SettingsError(
                f"{kind} {name!r} takes no argument {argument!r}. Its arguments: {', '.join(allowed) or 'none'}"
            )
        allowed_types = wanted.get(argument, ())
        if allowed_types and not any(_is_a(value, each) for each in allowed_types):
            words = " or ".join("none" if each is types.NoneType else KINDS[each] for each in allowed_types)
            raise SettingsError(f"{kind} {name!r}: {argument} is {words}; found {value!r}")


def _types_of(function: Callable[..., Any]) -> dict[str, tuple[type, ...]]:
    """Return the types that parameters ask for, of those that ask for KINDS alone, or for nothing in their place."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except Exception:  # no signature, or annotations that cannot be read here
        return {}
    wanted = {}
    for name, each in parameters.items():
        is_union = get_origin(each.annotation) in (Union, types.UnionType)
        asked = get_args(each.annotation) if is_union else (each.annotation,)
        if all(one in KINDS or one is types.NoneType for one in asked):
            wanted[name] = asked
    return wanted


def _is_a(value: Any, kind: type) -> bool:
    if kind is types.NoneType or kind is bool:
        return value is None if kind is types.NoneType else isinstance(value, bool)
    return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
