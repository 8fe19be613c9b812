"""Axes on which studies have places: how they are titled, scaled and written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lth.analysis.documents import Results
from lth.report.words import first_capital


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: values are multiplied by `scale` to be shown, with `unit` behind them in keys."""

    name: str
    title: str
    scale: int = 1
    unit: str = ""

    def text(self, value: float | str | None) -> str:
        """Return a value without its unit: '21.2', '3', 'conv1'; empty where there is none."""
        if value is None:
            return ""
        if not isinstance(value, int | float):
            return str(value)
        return f"{100 * value:.3g}" if self.scale == 100 else f"{value:,g}" if abs(value) < 1e6 else f"{value:,.0f}"

    def shown(self, value: float | str) -> str:
        """Return a value with its unit: '21.2 %'."""
        return f"{self.text(value)}{self.unit}"


PERCENT = {"density": "Weights remaining (%)", "sparsity": "Weights removed (%)", "target": "Target sparsity (%)"}
"""Axes that are shown in percent, with their titles."""


def axis_of(results: Results, name: str, words: str = "") -> Axis:
    """Return an axis of a study; its title is the study's own (`words`), the verdict's, or the usual one."""
    own = results["verdict"].get("axis_words", {}).get(name)
    if name in PERCENT:
        return Axis(name, own or words or PERCENT[name], 100, " %")
    return Axis(name, own or words or first_capital(name.replace("_", " ")))


def main_axis(results: Results, places: Iterable[Mapping[str, float | str]]) -> Axis | None:
    """Return the axis that tells these places apart best: the densities, or the study's own axis; None without any."""
    values: dict[str, set[float | str]] = {}
    for place in places:
        for name, value in place.items():
            values.setdefault(name, set()).add(value)
    names = sorted(values, key=lambda name: (-len(values[name]), name not in PERCENT, name != results["axis"]))
    return axis_of(results, names[0]) if names and len(values[names[0]]) > 0 else None
