"""What a figure is: panels, a caption and a key; drawn by the page's script in a browser, or as a PNG."""

from dataclasses import dataclass
from typing import Any, Literal

import vl_convert

from lth.report.theme import Palette, vega_config

Spec = dict[str, Any]


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
    """The Vega-Lite specification of an altair chart, less what the page decides: theme, width, schema address."""
    spec: Spec = chart.to_dict(validate=False)
    return {key: value for key, value in spec.items() if key not in ("config", "width", "$schema")}


def without_legends(spec: Spec) -> Spec:
    """The specification with every legend off: the page writes keys in HTML, which wrap on narrow screens."""
    changed = {**spec}
    for channel, encoding in spec.get("encoding", {}).items():
        if channel in ("color", "strokeDash"):
            changed["encoding"] = {**changed["encoding"], channel: {**encoding, "legend": None}}
    if "layer" in spec:
        changed["layer"] = [without_legends(layer) for layer in spec["layer"]]
    return changed


def _drawn_part(spec: Spec) -> Spec:
    """The specification without its unseen layers, which only catch the pointer and cost a picture seconds."""
    changed = {**spec}
    if "layer" in spec:
        seen = [layer for layer in spec["layer"] if layer.get("mark", {}).get("opacity") != 0]
        changed["layer"] = [_drawn_part(layer) for layer in seen]
    return changed


def draw_png(figure: Figure, palette: Palette, categories: tuple[str, ...]) -> bytes:
    """The figure as a PNG image at twice its nominal size, 760 points wide or 340 to 420 a panel."""
    panels = [_drawn_part(spec) for spec in figure.panels]
    if len(panels) == 1:
        spec: Spec = {**panels[0], "width": 760}
    else:
        columns = min(3, len(panels))
        width = 340 if columns == 3 else 420
        data = {name: table for each in panels for name, table in each.pop("datasets").items()}  # named by content
        concat = [{**each, "width": width} for each in panels]
        spec = {"concat": concat, "datasets": data, "columns": columns, "spacing": 28}
    config = vega_config(palette, categories)
    image: bytes = vl_convert.vegalite_to_png({**spec, "padding": 16, "config": config}, scale=2)
    return image
