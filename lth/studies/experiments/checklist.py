"""Published numbers of networks that others trained: nothing is trained here, so that they are no study.

An entry of CHECKLISTS lists them; `lth reproduce NAME` shows each as not run, and with `--model` measures those of the
network that is at hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lth.config import Table

if TYPE_CHECKING:
    from lth.superweights.interventions import Intervention
    from lth.superweights.known import KnownImpact, KnownRow, KnownWeight


@dataclass(frozen=True, slots=True)
class Listed:
    """One published number of one network.

    Attributes:
        model: its name on the Hugging Face hub.
        words: what the number is.
        published: what was reported; None where only the place was.
        band: lowest and highest value that count as the same finding; None leaves an end open.
        source: where it was reported.
        quantity: `value` of a weight, `ratio` of perplexities or relative `change` of the loss under an intervention;
            `elsewhere` for what is not measured here.
        intervention: what is done to the network; None where the number is not measured here.
        digits: decimals to show.
    """

    model: str
    words: str
    published: float | None
    band: tuple[float | None, float | None]
    source: str
    quantity: str
    intervention: "Intervention | None" = None
    digits: int = 2


@dataclass(frozen=True, slots=True)
class Checklist:
    """Published numbers of several networks.

    Attributes:
        words: one line.
        source: where they are from.
        rows: gives them.
    """

    words: str
    source: str
    rows: Callable[[], list[Listed]]


LITTLE = 0.05
"""Relative change of the loss below which a row is said to do little."""


def _weights() -> list[Listed]:
    from lth.superweights.known import registry

    weights = [row for known in registry().weights for row in _of_weight(known)]
    return weights + [row for impact in registry().impact for row in _of_impact(impact)]


def _of_weight(known: "KnownWeight") -> list[Listed]:
    from lth.superweights.battery import causal_test
    from lth.superweights.known import MIN_RATIO, VALUE_TOLERANCE

    zeroed, rows = causal_test(known.coordinate), []
    if known.value is not None:
        ends = sorted((known.value * (1 - VALUE_TOLERANCE), known.value * (1 + VALUE_TOLERANCE)))
        words = f"value of ({known.coordinate})"
        rows.append(Listed(known.model, words, known.value, (ends[0], ends[1]), known.source, "value", zeroed, 3))
    words, effect = f"({known.coordinate}) zeroed, times perplexity", known.effect
    if effect is None:
        return [*rows, Listed(known.model, words, None, (MIN_RATIO, None), known.source, "ratio", zeroed)]
    ratio = effect.zeroed / effect.base
    band = _band_of_ratio(ratio, MIN_RATIO)
    metric = effect.metric.removeprefix("perplexity").removeprefix(", ")
    words = f"{words} ({metric})" if metric else words
    return [*rows, Listed(known.model, words, ratio, band, known.source, "ratio", zeroed)]


def _band_of_ratio(ratio: float, least: float) -> tuple[float, float]:
    """Return from the square root to the square: texts, contexts and files of weights differ. Nothing stays nothing."""
    return (ratio**0.5, ratio**2) if ratio >= least else (1 / least, least)


def _of_impact(impact: "KnownImpact") -> list[Listed]:
    """Return a line of the published table; perplexity on Wikitext-2 beside that of the untouched network."""
    from lth.superweights.interventions import Intervention
    from lth.superweights.known import MIN_RATIO, of_model, registry

    model, rows = impact.model, list[Listed]()
    (known,), base = of_model(registry().weights, model), of_model(registry().impact, model)[0]
    if impact.wikitext2 and base.wikitext2 and impact.kind != "none":
        at = (known.coordinate,)
        change = impact.kind and Intervention(kind=impact.kind, coordinates=at, factor=impact.factor)
        ratio = impact.wikitext2 / base.wikitext2
        words, band = f"{impact.change}, times perplexity (Wikitext-2)", _band_of_ratio(ratio, MIN_RATIO)
        rows.append(Listed(model, words, ratio, band, impact.source, "ratio", change or None))
    for words, value in (("mean accuracy over zero-shot tasks, %", impact.average), ("perplexity, C4", impact.c4)):
        if value is not None:
            band = (0.95 * value, 1.05 * value)
            rows.append(Listed(model, f"{impact.change}, {words}", value, band, impact.source, "elsewhere"))
    return rows


def _rows() -> list[Listed]:
    from lth.superweights.known import registry

    return [_of_row(known) for known in registry().rows]


def _of_row(known: "KnownRow") -> Listed:
    from lth.superweights.coordinates import Coordinate
    from lth.superweights.interventions import Intervention

    at = Coordinate(block=known.block, output=known.output, input=0)  # its row is the same for every input
    words = f"row {known.output} of block {known.block} zeroed, relative change of the loss ({known.base:g} nats)"
    band = (-LITTLE, LITTLE) if known.change < LITTLE else (known.change / 2, 2 * known.change)
    zeroed = Intervention(kind="row", coordinates=(at,))
    return Listed(known.model, words, known.change, band, known.source, "change", zeroed, 3)


CHECKLISTS: Table[Checklist] = Table(
    "checklist",
    {
        "super-weights": Checklist(
            "Single weights whose removal ruins a language model: place, value, effect",
            "Yu et al. 2024, arXiv:2411.07191, and others",
            _weights,
        ),
        "super-rows": Checklist(
            "Rows that stand out: what zeroing one does to the loss",
            "Georgakopoulos-Soares lab, row census",
            _rows,
        ),
    },
)
