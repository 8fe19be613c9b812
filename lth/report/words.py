"""Numbers in words, the same in captions, tiles, tables and tooltips. Accuracies arrive as fractions."""

import json
from collections.abc import Mapping
from typing import Any

from lth.report.study import Interval, Results

MINUS = "\N{MINUS SIGN}"


def remaining(density: float) -> str:
    """The weights that remain, in percent, three significant digits: 0.21234 -> '21.2'."""
    return f"{100 * density:.3g}"


def number(value: float | None, digits: int = 0, signed: bool = False) -> str:
    """One number with a true minus sign and thousands commas; 'n/a' where there is none."""
    if value is None:
        return "n/a"
    text = f"{value:{'+' if signed else ''},.{digits}f}"
    return text.replace("-", MINUS)


def points(interval: Interval) -> str:
    """The mean of a difference of accuracies, in signed percentage points: '+0.12'."""
    return number(None if interval["mean"] is None else 100 * interval["mean"], 2, signed=True)


def point_range(interval: Interval, confidence: float) -> str:
    """The interval of a difference of accuracies in words; says so where there is none."""
    if interval["low"] is None or interval["high"] is None:
        return "one replicate: no interval"
    low, high = (number(100 * end, 2, signed=True) for end in (interval["low"], interval["high"]))
    return f"{100 * confidence:g} % interval {low} to {high}"


def num_replicates(results: Results) -> int:
    """How many replicates the study has."""
    return len(results["dense"]["test_accuracy"]["values"])


def over_replicates(results: Results) -> str:
    """One sentence on what lines and bands mean in this study."""
    count = num_replicates(results)
    if count == 1:
        return "One replicate: lines are its values, and there is no interval."
    return (
        f"Lines are means over {count} replicates, bands their {100 * results['confidence']:g} % Student-t intervals."
    )


def engines(results: Results) -> str:
    """What trained the networks: 'sparse', or 'sparse (60 networks), torch (5 networks)'."""
    counts = results.get("engines") or {}
    if len(counts) < 2:
        return next(iter(counts), str(results["environment"].get("engine", "not recorded")))
    return ", ".join(f"{engine} ({count} networks)" for engine, count in counts.items())


def subject(config: Mapping[str, Any]) -> str:
    """What was studied: 'lenet-300-100 on mnist'."""
    return f"{_name(config.get('model'))} on {_name(config.get('data'))}"


def _name(value: Any) -> str:
    """The name in a field that is a name or a table with a name."""
    return str(value.get("name", "a network")) if isinstance(value, Mapping) else str(value)


def plain_fields(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested configuration as dotted names and plain text, in its own order."""
    fields: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            fields |= plain_fields(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            fields[f"{prefix}{key}"] = value
        else:
            fields[f"{prefix}{key}"] = json.dumps(value)
    return fields
