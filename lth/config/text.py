"""Lists and tables written as text, on a command line or in YAML."""

import re
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BeforeValidator

ENTRY = r"[^:*]+:\d+(,\d+)*|\d+,\d+,\d+(,\d+)?"
ENTRY_WORDS = "NAME:OUTPUT,INPUT, as h.2.mlp.c_proj:447,666, or BLOCK,OUTPUT,INPUT of a transformer, as 2,447,666"


def split_names(value: Any) -> Any:
    """Return `"a,b"` as ("a", "b"), `"none"` as (), anything else as it is."""
    if not isinstance(value, str):
        return value
    return () if value.strip().lower() in ("none", "") else tuple(part.strip() for part in value.split(","))


def split_each(value: Any) -> Any:
    """Return `"a,b"` and ["a,b"] as ("a", "b"), `"none"` as (), anything else as it is."""
    if isinstance(value, list | tuple):
        return tuple(part for each in value for part in ([each] if not isinstance(each, str) else split_names(each)))
    return split_names(value)


def split_pairs(value: Any) -> Any:
    """Return `"a=1,b=2"` as {"a": "1", "b": "2"}, `"none"` as {}, anything else as it is."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in split_names(value)]
    for name, equals, content in pairs:
        if not (name and equals and content):
            raise ValueError(f"{value!r} must read NAME=VALUE,NAME=VALUE")
    return {name.strip(): _scalar(content.strip()) for name, _, content in pairs}


def split_arguments(text: str) -> tuple[str, dict[str, Any]]:
    """Return a name and the arguments behind it: `"gpt2:n_layer=4"` as ("gpt2", {"n_layer": 4}).

    What has no `:NAME=` stays as it is: `package.module:function`, `C:\\data.npz`, an address with `://`.

    Raises:
        ValueError: if an argument is not NAME=VALUE, or is given twice.

    Example:
        >>> split_arguments("package.module:make:width=64")
        ('package.module:make', {'width': 64})
    """
    match = re.fullmatch(r"(.+?)\s*:\s*([A-Za-z_]\w*\s*=.*)", text, re.DOTALL)
    if match is None or "://" in match[1]:
        return text, {}
    arguments = split_pairs(match[2])
    names = [part.partition("=")[0].strip() for part in split_names(match[2])]
    if len(arguments) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{text!r} gives {twice} more than once: give each argument once")
    return match[1], arguments


PARTIAL = "partial"
"""The argument of a data set that lets files be missing."""


def with_partial(data: str) -> str:
    """Return the name of a data set with `partial=true` among its arguments.

    Example:
        >>> with_partial("cifar-10"), with_partial("cifar-10:binary=true")
        ('cifar-10:partial=true', 'cifar-10:binary=true,partial=true')
    """
    _, arguments = split_arguments(data)
    if PARTIAL in arguments:
        return data
    return f"{data}{',' if arguments else ':'}{PARTIAL}=true"


def without_partial(data: str) -> str:
    """Return the name alone of a data set whose only argument is `partial=true`, any other as it stands."""
    name, arguments = split_arguments(data)
    return name if arguments == {PARTIAL: True} else data


PART_WORDS = {"train": "training images", "test": "test images"}
FEWER = re.compile(r"([\d,]+) in place of ([\d,]+) \((train|test)\)")
"""How the note of a data set counts what it lacks (`lth.data.cifar`)."""


def named_data(name: str, note: str = "") -> str:
    """Return what data are called; of a data set that lacks files also how much of it there is.

    Args:
        name: as settings have it.
        note: what is to be known of the data.

    Example:
        >>> named_data("cifar-10:partial=true", "not the whole of cifar-10: 10,000 in place of 50,000 (train) images")
        'cifar-10 (10,000 of 50,000 training images)'
    """
    fewer = [f"{count} of {of} {PART_WORDS[part]}" for count, of, part in FEWER.findall(note)]
    bare = without_partial(name)
    if not fewer:
        return name if bare == name else f"{bare} (in part)"
    return f"{bare} ({' and '.join(fewer)})"


def last_part(name: str) -> str:
    """Return what people call a model by: of a folder the last part of its path, of a function in a script its name.

    Example:
        >>> last_part("/models/minilm/"), last_part("__main__:make"), last_part("hub:google-bert/bert-base-uncased")
        ('minilm', 'make', 'hub:google-bert/bert-base-uncased')
    """
    name = name.removeprefix("__main__:")
    return name if ":" in name else PurePath(name).name or name


def _scalar(text: str) -> Any:
    """Return a flag, number or text; numbers with colons between them (`0.9:0.999`) are several."""
    if ":" in text:
        parts = tuple(_scalar(part) for part in text.split(":"))
        return text if any(isinstance(part, str) for part in parts) else parts
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def split_entries(value: Any) -> Any:
    """Return `"h.2.mlp.c_proj:447,666;head:3,1"` as ("h.2.mlp.c_proj:447,666", "head:3,1"), `"none"` as ().

    Raises:
        ValueError: if an entry is neither NAME:INDEX,INDEX nor BLOCK,OUTPUT,INPUT.
    """
    entries = _split(value)
    for entry in entries if isinstance(entries, tuple) else ():
        if not re.fullmatch(ENTRY, entry):
            raise ValueError(f"{entry!r} must read {ENTRY_WORDS}; put ; between several")
    return entries


def split_scalings(value: Any) -> Any:
    """Return `"h.2.mlp.c_proj:447,666*0.5;head:3,1*2"` as one text for each weight and its factor, `"none"` as ().

    Raises:
        ValueError: if one is not ENTRY*FACTOR.
    """
    scalings = _split(value)
    for scaling in scalings if isinstance(scalings, tuple) else ():
        entry, _, factor = scaling.partition("*")
        if not re.fullmatch(ENTRY, entry) or not re.fullmatch(r"-?\d+(\.\d*)?(e[+-]?\d+)?", factor):
            raise ValueError(
                f"{scaling!r} must read ENTRY*FACTOR, as h.2.mlp.c_proj:447,666*0.5, where an entry reads "
                f"{ENTRY_WORDS}; put ; between several"
            )
    return scalings


def split_texts(value: Any) -> Any:
    """Return `"To be;or not"` as ("To be", "or not"), `"none"` as (), anything else as it is."""
    if not isinstance(value, str):
        return value
    return () if value.strip().lower() in ("none", "") else tuple(value.split(";"))


def _split(value: Any) -> Any:
    if isinstance(value, str):
        value = [] if value.strip().lower() in ("none", "") else value.split(";")
    return tuple(re.sub(r"\s", "", str(each)) for each in value) if isinstance(value, list | tuple) else value


Names = Annotated[tuple[str, ...], BeforeValidator(split_names)]
"""Several names: a list, or text with commas; `none` for none."""

SeveralNames = Annotated[tuple[str, ...], BeforeValidator(split_each)]
"""Several names, each of which may hold several with commas between them; `none` for none."""

Numbers = Annotated[tuple[float, ...], BeforeValidator(split_names)]
"""Several numbers: a list, or text with commas; `none` for none."""

Rates = Annotated[dict[str, float], BeforeValidator(split_pairs)]
"""Numbers by name pattern: a table, or text `PATTERN=RATE,...`."""

Options = Annotated[dict[str, Any], BeforeValidator(split_pairs)]
"""Values by name: a table, or text `NAME=VALUE,...`."""

Entries = Annotated[tuple[str, ...], BeforeValidator(split_entries)]
"""Single weights, as NAME:OUTPUT,INPUT, or BLOCK,OUTPUT,INPUT for the down-projection of a transformer's block: a list,
or text with semicolons; `none` for none."""

Texts = Annotated[tuple[str, ...], BeforeValidator(split_texts)]
"""Several texts: a list, or text with semicolons; `none` for none."""

Scalings = Annotated[tuple[str, ...], BeforeValidator(split_scalings)]
"""Single weights with a factor each, as ENTRY*FACTOR: a list, or text with semicolons; `none` for none."""
