"""Lists and tables written as text, on a command line or in YAML."""

from typing import Annotated, Any

from pydantic import BeforeValidator


def split_names(value: Any) -> Any:
    """`"a,b"` as ("a", "b"), `"none"` as (); anything else as it is."""
    if not isinstance(value, str):
        return value
    return () if value.strip().lower() in ("none", "") else tuple(part.strip() for part in value.split(","))


def split_pairs(value: Any) -> Any:
    """`"a=1,b=2"` as {"a": "1", "b": "2"}, `"none"` as {}; anything else as it is."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in split_names(value)]
    for name, equals, content in pairs:
        if not (name and equals and content):
            raise ValueError(f"{value!r} must read NAME=VALUE,NAME=VALUE")
    return {name.strip(): _scalar(content.strip()) for name, _, content in pairs}


def _scalar(text: str) -> Any:
    """A flag, number or text; numbers with colons between them (`0.9:0.999`) are several."""
    if ":" in text:
        return tuple(_scalar(part) for part in text.split(":"))
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


Names = Annotated[tuple[str, ...], BeforeValidator(split_names)]
"""Several names: a list, or text with commas; `none` for none."""

Numbers = Annotated[tuple[float, ...], BeforeValidator(split_names)]
"""Several numbers: a list, or text with commas; `none` for none."""

Rates = Annotated[dict[str, float], BeforeValidator(split_pairs)]
"""Numbers by name pattern: a table, or text `PATTERN=RATE,...`."""

Options = Annotated[dict[str, Any], BeforeValidator(split_pairs)]
"""Values by name: a table, or text `NAME=VALUE,...`."""
