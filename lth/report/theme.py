"""Colours and the Vega-Lite configuration for a light and a dark page; a figure itself names no colour.

Categories are coloured after Okabe and Ito's palette, which stays distinct under the common colour-vision deficiencies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"

OTHER: Literal["heatmap"] = "heatmap"
"""Range of the theme for what are neither arms nor studies; Vega-Lite knows no name of our own."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one scheme: `categories` of arms or studies, `neutral` of the baseline, `ramp` from first to last.

    The ramp names its two ends twice, because Vega takes the colours of n values from its inner n / (n + 1).
    """

    background: str
    surface: str
    ink: str
    muted: str
    line: str
    neutral: str
    categories: tuple[str, ...]
    ramp: tuple[str, ...]


LIGHT = Palette(
    background="#ffffff",
    surface="#f4f6f8",
    ink="#1b2430",
    muted="#5b6675",
    line="#dde2e8",
    neutral="#6b7480",
    categories=("#0072b2", "#d55e00", "#009e73", "#aa3f86", "#8a6d00", "#3f3f9c", "#7a4a2b", "#2f8f9d"),
    ramp=("#172f8f", "#172f8f", "#7a22a8", "#cc3b7c", "#ef7b3f", "#d8ab10", "#d8ab10"),
)
DARK = Palette(
    background="#12161c",
    surface="#1b212a",
    ink="#e8ecf1",
    muted="#a2adba",
    line="#303947",
    neutral="#a9b3bf",
    categories=("#56b4e9", "#ff8c42", "#35c89b", "#e08cc4", "#e3c84a", "#9d9df2", "#d0a184", "#7fd3de"),
    ramp=("#6f9bff", "#6f9bff", "#c37bf0", "#f2709c", "#f7945f", "#f5d95a", "#f5d95a"),
)


def category_colors(palette: Palette, num_categories: int, *, has_baseline: bool) -> tuple[str, ...]:
    """Return a colour a category, over again where they run out; the last is the baseline's, where there is one."""
    colors = [palette.categories[index % len(palette.categories)] for index in range(num_categories)]
    return (*colors, palette.neutral) if has_baseline else tuple(colors)


def vega_config(palette: Palette, categories: Sequence[str]) -> dict[str, Any]:
    """Return the Vega-Lite configuration of one scheme.

    Args:
        palette: the scheme.
        categories: colours of the nominal scale of the figures (arms, or studies).
    """
    label = {"labelColor": palette.muted, "titleColor": palette.ink, "labelFont": FONT, "titleFont": FONT}
    return {
        "background": palette.background,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **label,
            "labelFontSize": 12,
            "titleFontSize": 12.5,
            "titleFontWeight": "normal",
            "titlePadding": 10,
            "labelPadding": 5,
            "gridColor": palette.line,
            "gridWidth": 0.75,
            "domain": False,
            "tickColor": palette.line,
            "tickSize": 4,
        },
        "axisX": {"grid": False, "domain": True, "domainColor": palette.muted, "tickColor": palette.muted},
        "legend": {
            **label,
            "orient": "top",
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titleOrient": "left",
            "symbolType": "stroke",
            "symbolOpacity": 1,
            "symbolStrokeWidth": 3,
            "symbolSize": 160,
            "columns": 7,
            "labelLimit": 260,
        },
        "title": {"anchor": "start", "color": palette.ink, "font": FONT, "fontSize": 13, "offset": 8},
        "line": {"strokeWidth": 2.2, "strokeJoin": "round"},
        "text": {"color": palette.ink, "font": FONT, "fontSize": 12},
        "range": {
            "category": list(categories),
            OTHER: list(palette.categories),
            "ordinal": {"scheme": list(palette.ramp)},
        },
        "style": {
            "interval": {"color": palette.ink, "strokeWidth": 1.4},
            "replicate": {"color": palette.ink, "opacity": 0.45},
            "reference-area": {"color": palette.muted, "opacity": 0.22},
            "reference-line": {"color": palette.muted, "strokeDash": [3, 3], "strokeWidth": 1.3},
        },
    }
