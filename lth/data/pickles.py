"""Reading pickled arrays without running a pickle: plain values and numpy arrays of numbers, anything else is refused.

A pickle is a small program. Here its steps are read, never run: those of an allow-list build the values, and what would
call numpy makes a description of the array, which is checked against its bytes.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 2**29
"""Bytes of a file, at most, by default."""

STEPS = 2**22
"""Steps of a pickle, at most: each may make a list, which takes many times the byte that it is written as."""

COPIES = 4
"""Bytes that calls of numpy may make, in multiples of the file's: an array is made once or twice from what is there."""

AXES = 32
"""Axes of an array, at most."""

NUMBERS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "b1")
"""Types of arrays that are read."""

GLOBALS = {
    "_codecs encode": "encode",
    "__builtin__ bytes": "encode",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    **dict.fromkeys(("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"), "reconstruct"),
    **dict.fromkeys(("numpy.core.numeric _frombuffer", "numpy._core.numeric _frombuffer"), "frombuffer"),
}
"""What a pickle may name: how numpy writes arrays, and how Python writes bytes in its older formats."""

VALUES = (
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
)  # fmt: skip
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_DICT": dict, "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Name:
    """One of GLOBALS."""

    name: str


@dataclass(slots=True, eq=False)
class _Type:
    """A type of numbers, as `<i4`."""

    code: str


@dataclass(slots=True, eq=False)
class _Array:
    """An array that is to come, with what it holds once that is known."""

    values: Any = None


class _Mark:
    pass


def read_pickle(path: Path, largest: int = LARGEST) -> Any:
    """Return what a pickle file holds: None, numbers, str, bytes, lists, tuples, dicts, and numpy arrays of numbers.

    Strings of Python 2 come as bytes.

    Args:
        path: the file.
        largest: bytes of it, at most.
    Raises:
        ValueError: if the file is larger, no whole pickle, or holds anything else, which is named.
    """
    size = path.stat().st_size
    if size > largest:
        raise ValueError(f"{path} has {size:,} bytes, expected {largest:,} at most: it is another file")
    try:
        return _Reader().read(path.read_bytes())
    except _Refused as error:
        raise ValueError(f"{path}: {error}; it was not read") from None
    except Exception as error:  # of many kinds, as the steps of a pickle may be in any order
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ValueError(f"{path} is no whole pickle of plain values ({reason}): fetch the file again") from error


class _Refused(ValueError):
    pass


class _Reader:
    """The stack that the steps of a pickle work on."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.bytes_left = 0

    def read(self, content: bytes) -> Any:
        self.bytes_left = COPIES * len(content)
        for number, (step, argument, _) in enumerate(pickletools.genops(content)):
            if number == STEPS:
                raise _Refused(f"it has more than {STEPS:,} steps: it is another file")
            if step.name == "STOP":
                [value] = self.stack
                _check_plain([value])
                return value
            self._do(step.name, argument)
        raise _Refused("it ends too soon")

    def _do(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in VALUES:
            stack.append(bytes(argument) if isinstance(argument, bytearray) else argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name]())
        elif name in ("SHORT_BINSTRING", "BINSTRING", "STRING"):
            stack.append(argument.encode("latin-1"))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            found = self.memo[argument]
            stack.append(found.values if isinstance(found, _Array) and found.values is not None else found)
        elif name == "MARK":
            stack.append(_Mark)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(self._named(" ".join(reversed([stack.pop(), stack.pop()])) if argument is None else argument))
        elif name in ("REDUCE", "BUILD"):
            given, target = stack.pop(), stack.pop()
            stack.append(self._counted(_called(target, given) if name == "REDUCE" else _built(target, given)))
        elif name not in ("PROTO", "FRAME"):
            self._collect(name)

    def _collect(self, name: str) -> None:
        """Put the last values into a tuple, a list or a dict."""
        stack = self.stack
        few = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2}.get(name)
        if few is None and name not in ("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS"):
            raise _Refused(f"it holds the step {name}, and only plain values and arrays of numbers are read")
        items = [stack.pop() for _ in range(few)][::-1] if few else self._since_mark()
        if not name.startswith("TUPLE"):
            _check_plain(items)
        if name.startswith("TUPLE"):
            stack.append(tuple(items))
        elif name == "LIST":
            stack.append(items)
        elif name.startswith("APPEND"):
            _of(list, stack[-1]).extend(items)
        else:
            if name == "DICT":
                stack.append({})
            _of(dict, stack[-1]).update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def _since_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self.stack.pop()) is not _Mark:
            items.append(item)
        return items[::-1]

    def _counted(self, made: Any) -> Any:
        """Return what was made of bytes that are there, unless the same ones are used again and again."""
        self.bytes_left -= made.nbytes if isinstance(made, np.ndarray) else len(made) if isinstance(made, bytes) else 0
        if self.bytes_left < 0:
            raise _Refused("its arrays take many times the bytes that are there")
        return made

    def _named(self, name: str) -> _Name:
        if name not in GLOBALS:
            raise _Refused(
                f"it holds {name[:80].replace(' ', '.')!r}, and only plain values and numpy arrays of numbers are read"
            )
        return _Name(GLOBALS[name])


def _called(target: _Name, given: tuple[Any, ...]) -> Any:
    """Return what numpy's own functions would make of these arguments, as a description."""
    match _of(_Name, target).name, given:
        case "encode", (str() as text, "latin1" | "latin-1"):
            return text.encode("latin-1")
        case "encode", ():
            return b""
        case "dtype", (str() | bytes() as code, *_):
            text = code if isinstance(code, str) else code.decode()
            if text not in NUMBERS:
                raise _Refused(f"it holds an array of type {text[:20]!r}, and only numbers are read")
            return _Type(text)
        case "reconstruct", (_Name(name="ndarray"), *_):
            return _Array()
        case "frombuffer", (bytes() as content, _Type() as kind, tuple() as shape, "C" | "F" as order):
            return _array(content, kind, shape, order)
    raise _Refused(f"numpy.{target.name} is called with something else than an array's parts")


def _built(target: Any, given: tuple[Any, ...]) -> Any:
    """Return a type or an array with what numpy stored of it."""
    match target, given:
        case _Type(), (_, str() | bytes() as order, *rest):
            text = order if isinstance(order, str) else order.decode()
            if text not in ("<", ">", "|", "=") or any(each not in (None, -1, 0) for each in rest):
                raise _Refused("it holds an array with fields, and only numbers are read")
            target.code = text + target.code
        case _Array(), (1, tuple() as shape, _Type() as kind, bool() as is_fortran, bytes() as content):
            target.values = _array(content, kind, shape, "F" if is_fortran else "C")
        case _:
            raise _Refused(f"it sets the state of a {type(target).__name__.lstrip('_').lower()}")
    return target if isinstance(target, _Type) else target.values


def _array(content: bytes, kind: _Type, shape: tuple[Any, ...], order: Any) -> Any:
    """Return an array of its own, whose shape fits the bytes that are there."""
    numbers = np.frombuffer(content, np.dtype(kind.code))
    is_shape = len(shape) <= AXES and all(type(size) is int and 0 <= size < 2**63 for size in shape)
    if not is_shape or math.prod(shape) != len(numbers):
        words = shape if is_shape else "unknown"
        raise _Refused(f"an array of shape {words} does not fit the {len(content):,} bytes that are there")
    return numbers.reshape(shape, order=order).copy()


def _check_plain(values: list[Any]) -> None:
    if any(value is _Mark or isinstance(value, _Name | _Type | _Array) for value in values):
        raise _Refused("it holds a function, a type or an array without values")


def _key(value: Any) -> Any:
    if not isinstance(value, str | bytes | int):
        raise _Refused(f"a {type(value).__name__} names an entry")
    return value


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise _Refused(f"it adds to a {type(value).__name__}, or calls one")
    return value
