"""Durations with their unit: `5000it` is optimizer steps, `50ep` epochs."""

import re
from typing import Annotated

from pydantic import AfterValidator

_PATTERN = re.compile(r"(\d+)\s*(it|ep)")


def _check(text: str) -> str:
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a whole number and its unit, '5000it' or '50ep'")
    return f"{int(match[1])}{match[2]}"


Duration = Annotated[str, AfterValidator(_check)]
"""A whole number and its unit: `it` (optimizer steps) or `ep` (epochs)."""


def to_steps(duration: str, steps_per_epoch: int) -> int:
    """Optimizer steps in a duration.

    Raises:
        ValueError: if the text is no duration.
    """
    text = _check(duration)
    count = int(text[:-2])
    return count * steps_per_epoch if text.endswith("ep") else count
