"""Numbers in words, by the unit of their metric: the same in sentences, tables, figures and a terminal."""

import math

from lth.analysis.documents import Interval
from lth.analysis.reading import Measure
from lth.config import Metric

DIGITS = {"fraction": 2, "nats": 3, "bits": 3, "steps": 0}
"""Unit -> digits after the point; all others have three significant ones."""

SHARES = {
    "rate": "of the remaining weights at each level",
    "per_level": "of all prunable weights at each level",
    "rates": "of the remaining weights at each level",
    "level_rates": "of the remaining weights",
}
"""Setting -> what its shares are counted of."""


def scale(metric: Measure | Metric) -> int:
    """Return what values are multiplied by to be shown: 100 for fractions, which are shown in percent."""
    return 100 if metric.unit == "fraction" else 1


def digits_for(metric: Measure | Metric, *values: float | None, significant: int = 3) -> int:
    """Return how many digits after the point the values need."""
    if metric.unit in DIGITS:
        return DIGITS[metric.unit]
    largest = max((abs(value) for value in values if value), default=1.0)
    return min(max(significant - 1 - math.floor(math.log10(largest)), 0), 6)


def share_words(setting: str, value: object) -> str:
    """Return what a setting's shares are counted of, in parentheses and after a space; empty where it holds none."""
    return f" ({SHARES[setting]})" if value and setting in SHARES else ""


def number(value: float | None, metric: Measure | Metric, *, signed: bool = False, digits: int | None = None) -> str:
    """Return a value without its unit: '98.03', '1.482', '4.41'; 'none' where there is none."""
    if value is None:
        return "none"
    digits = digits_for(metric, value) if digits is None else digits
    return f"{value * scale(metric):{'+' if signed else ''}z,.{digits}f}"


def show(value: float | None, metric: Measure | Metric) -> str:
    """Return a value in words: '98.03 %', '1.482', '4.41', '5,200'."""
    return number(value, metric) + (" %" if metric.unit == "fraction" and value is not None else "")


def unit_of_difference(metric: Measure) -> str:
    """Return the unit behind a difference, with the space before it; empty for plain numbers."""
    return {"fraction": " points", "nats": " nats", "bits": " bits", "steps": " steps"}.get(metric.unit, "")


def show_margin(margin: float, metric: Measure) -> str:
    """Return a margin in words: '0.5 points', '0.02 nats'."""
    return f"{margin * scale(metric):.4g}{unit_of_difference(metric)}"


ALIKE = "the same in all replicates"


def is_alike(difference: Interval) -> bool:
    """Return whether several replicates differ by the same amount: their interval has no width."""
    return difference["low"] is not None and difference["low"] == difference["high"]


def show_range(difference: Interval, metric: Measure, confidence: float) -> str:
    """Return the interval of a difference in words: '95 % interval -0.02 to +0.26'; empty without one.

    Where all replicates differ alike, there is no spread to judge by, and no interval is shown. Steps differ by no more
    than the last step, where it is known.
    """
    low, high = difference["low"], difference["high"]
    if low is None or high is None:
        return ""
    if is_alike(difference):
        return ALIKE
    if metric.last_step is not None:
        low, high = max(low, -metric.last_step), min(high, metric.last_step)
    ends = (number(end, metric, signed=True, digits=_digits(difference, metric)) for end in (low, high))
    return f"{percent(confidence)} interval {' to '.join(ends)}"


def show_mean(difference: Interval, metric: Measure) -> str:
    """Return the mean of a difference, with as many digits as its interval: '+0.12 points'."""
    text = number(difference["mean"], metric, signed=True, digits=_digits(difference, metric))
    return text + (unit_of_difference(metric) if difference["mean"] is not None else "")


def show_paired(difference: Interval, metric: Measure, confidence: float, brackets: str = " ({})") -> str:
    """Return a mean difference with its interval: '+0.12 points (95 % interval -0.02 to +0.26)'."""
    between = show_range(difference, metric, confidence)
    return show_mean(difference, metric) + (brackets.format(between) if between else "")


def _digits(difference: Interval, metric: Measure) -> int:
    return digits_for(metric, difference["mean"], difference["low"], difference["high"], significant=2)


def bounded(values: Interval, metric: Measure) -> tuple[float | None, float | None]:
    """Return the ends of an interval, those of a fraction inside [0, 1], of steps from 0 to the last that is known."""
    if metric.unit not in ("fraction", "steps") or values["low"] is None or values["high"] is None:
        return values["low"], values["high"]
    most = 1.0 if metric.unit == "fraction" else metric.last_step
    return max(values["low"], 0.0), values["high"] if most is None else min(values["high"], most)


def percent(fraction: float) -> str:
    """Return a level of confidence: 0.95 -> '95 %'."""
    return f"{100 * fraction:g} %"


def remaining(density: float) -> str:
    """Return a density in percent, without the sign: '51.2', '5.6', '0.51'."""
    if density >= 0.0995:
        return f"{100 * density:.3g}"
    return f"{100 * density:.1f}" if density >= 0.01 else f"{100 * density:.2g}"


def duration(seconds: float) -> str:
    """Return a rough duration in words: '12 s', '3 min', '1.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size_words(size: int) -> str:
    """Return a number of bytes in words.

    Example:
        >>> size_words(43_291)
        '43 kB'
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"
