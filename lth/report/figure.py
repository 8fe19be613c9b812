"""What a figure is: panels, a caption and keys; drawn by the page's script, as a PNG, or in a notebook."""

from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import vl_convert

from lth.report.theme import Palette, vega_config

Spec = dict[str, Any]
WIDTH = 760
UNSEEN = 0

REPLICATES = "each replicate"
"""Description of layers that are drawn on request."""


@dataclass(frozen=True, slots=True)
class Key:
    """The legend of one channel: its title, and for each value of the scale the words beside its stroke."""

    channel: Literal["color", "strokeDash"]
    title: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: Vega-Lite specifications without width or colours, side by side where there are several."""

    name: str
    title: str
    caption: str
    panels: tuple[Spec, ...]
    keys: tuple[Key, ...] = ()


def panel(chart: Any) -> Spec:
    """Return the Vega-Lite specification of an altair chart, less what the page decides: theme, width, schema."""
    spec: Spec = chart.to_dict(validate=False)
    return {key: value for key, value in spec.items() if key not in ("config", "width", "$schema")}


def without_legends(spec: Spec) -> Spec:
    """Return the specification with every legend off: the page writes keys in HTML, which wrap on narrow screens."""
    changed = {**spec}
    for channel, encoding in spec.get("encoding", {}).items():
        if channel in ("color", "strokeDash"):
            changed["encoding"] = {**changed["encoding"], channel: {**encoding, "legend": None}}
    if "layer" in spec:
        changed["layer"] = [without_legends(layer) for layer in spec["layer"]]
    return changed


def without_replicates(spec: Spec) -> Spec:
    """Return the specification without the layers of single replicates."""
    layers = [each for each in spec.get("layer", []) if each.get("description") != REPLICATES]
    return {**spec, "layer": [without_replicates(each) for each in layers]} if "layer" in spec else spec


def has_replicates(figure: Figure) -> bool:
    """Return whether a figure has layers of single replicates."""
    return any(without_replicates(spec) != spec for spec in figure.panels)


def full_spec(figure: Figure, palette: Palette, categories: tuple[str, ...], *, replicates: bool = False) -> Spec:
    """Return one specification of all panels with the theme, 760 points wide or 340 to 420 a panel."""
    panels = [{**each} if replicates else without_replicates(each) for each in figure.panels]
    if len(panels) == 1:
        spec: Spec = {**panels[0], "width": WIDTH}
    else:
        columns = min(3, len(panels))
        width = 340 if columns == 3 else 420
        data = {name: table for each in panels for name, table in each.pop("datasets", {}).items()}
        concat = [{**each, "width": width} for each in panels]
        spec = {"concat": concat, "datasets": data, "columns": columns, "spacing": 28}
    return {**spec, "padding": 16, "config": vega_config(palette, categories)}


def as_chart(figure: Figure, palette: Palette, categories: tuple[str, ...]) -> alt.TopLevelMixin:
    """Return the figure as an altair chart with its theme and legends."""
    chart: alt.TopLevelMixin = alt.Chart.from_dict(full_spec(figure, palette, categories))
    return chart


def draw_svg(figure: Figure, palette: Palette, categories: tuple[str, ...], *, replicates: bool = False) -> str:
    """Return the figure as an SVG drawing, with single replicates where they are asked for."""
    spec = full_spec(figure, palette, categories, replicates=replicates)
    drawing: str = vl_convert.vegalite_to_svg(_drawn_part(spec))
    return drawing


def svg_to_png(svg: str) -> bytes:
    """Return a drawing as a PNG image at twice its nominal size."""
    image: bytes = vl_convert.svg_to_png(svg, scale=2)
    return image


def svg_to_pdf(svg: str) -> bytes:
    """Return a drawing as a PDF page of its size."""
    page: bytes = vl_convert.svg_to_pdf(svg)
    return page


def _drawn_part(spec: Spec) -> Spec:
    """Return the specification without unseen layers, which only catch the pointer and cost a picture seconds."""
    changed = {**spec}
    for nested in ("layer", "concat"):
        if nested in spec:
            seen = [each for each in spec[nested] if not _is_unseen(each)]
            changed[nested] = [_drawn_part(each) for each in seen]
    return changed


def _is_unseen(spec: Spec) -> bool:
    mark = spec.get("mark", {})
    return isinstance(mark, dict) and mark.get("opacity") == UNSEEN
