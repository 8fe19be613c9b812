"""Names with arguments behind them."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from lth.config.arguments import check_arguments, missing_from, parameters_of
from lth.config.text import split_arguments, split_pairs


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("gpt", "gpt", {}),
        ("gpt:width=64,depth=2", "gpt", {"width": 64, "depth": 2}),
        ("gpt: width = 64, bias=false, rate=1e-3, kind=a b", "gpt",
         {"width": 64, "bias": False, "rate": 1e-3, "kind": "a b"}),
        ("package.module:make", "package.module:make", {}),
        ("package.module:make:width=64", "package.module:make", {"width": 64}),
        ("a.b:C.make:betas=0.9:0.99,at=x:y", "a.b:C.make", {"betas": (0.9, 0.99), "at": "x:y"}),
        (r"C:\data\mine.npz", r"C:\data\mine.npz", {}),
        (r"C:\data\mine.txt:block=8", r"C:\data\mine.txt", {"block": 8}),
        ("/a=b/c.npz", "/a=b/c.npz", {}),
        ("/a=b/c.txt:block=8", "/a=b/c.txt", {"block": 8}),
        ("https://host:80/data:block=3?x=1", "https://host:80/data:block=3?x=1", {}),
        ("mine:url=https://host/a", "mine", {"url": "https://host/a"}),
    ],
)  # fmt: skip
def test_split_arguments(text: str, name: str, arguments: dict[str, Any]) -> None:
    assert split_arguments(text) == (name, arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpt:width=64,depth", "must read NAME=VALUE"),
        ("gpt:width=", "must read NAME=VALUE"),
        ("gpt:width=64,width=32", "gives width more than once"),
    ],
)
def test_arguments_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_arguments(text)


def test_only_numbers_with_colons_are_several() -> None:
    assert split_pairs("a=0.9:0.999,b=pkg.mod:f,c=1:x") == {"a": (0.9, 0.999), "b": "pkg.mod:f", "c": "1:x"}


def make(width: int, depth: int = 2, *, seed: int = 0) -> None:
    """A function with parameters."""


def typed(width: int, rate: "float | None" = None, bias: bool = True, *, name: str = "", kind=None) -> None:  # type: ignore[no-untyped-def]
    """A function that says what it takes."""


@pytest.mark.parametrize(
    ("argument", "value", "wanted"),
    [
        ("width", "sixty", "a whole number"),
        ("width", 64.5, "a whole number"),
        ("width", True, "a whole number"),
        ("rate", "fast", "a number or none"),
        ("bias", 1, "true or false"),
    ],
)
def test_the_wrong_kind_of_argument_is_named(argument: str, value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^model 'mine': {argument} is {wanted}; found {value!r}$"):
        check_arguments("model", "mine", typed, {argument: value})
    with pytest.raises(ValueError, match=f"{argument} is {wanted}"):
        check_arguments("model", "mine", partial(typed, name="fixed"), {argument: value})


def test_arguments_of_the_right_kind_are_taken() -> None:
    check_arguments("model", "mine", typed, {"width": np.int64(3), "rate": 1, "bias": False, "name": 3, "kind": "any"})
    check_arguments("model", "mine", typed, {"rate": None})


def test_arguments_are_checked_against_the_signature() -> None:
    check_arguments("model", "mine", make, {"width": 1, "depth": 2})
    with pytest.raises(ValueError, match="^model 'mine' takes no argument 'wide'. Its arguments: width, depth$"):
        check_arguments("model", "mine", make, {"wide": 1}, reserved=("seed",))
    with pytest.raises(ValueError, match="model 'mine': seed is not for you to set"):
        check_arguments("model", "mine", make, {"seed": 1}, reserved=("seed",))
    check_arguments("model", "any", lambda **options: options, {"what": 1})
    with pytest.raises(ValueError, match="takes no argument 'width'. Its arguments: depth, seed"):
        check_arguments("model", "fixed", partial(make, width=3), {"width": 1})
    assert parameters_of(partial(make, 3)) == (["depth", "seed"], False)
    assert missing_from(make, ()) == ["width"]
    assert missing_from(make, ("width",)) == missing_from(partial(make, width=3), ()) == []
