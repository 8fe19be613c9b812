"""Which interventions test a candidate: itself, its row, its neuron, what it causes, and the controls beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from lth.superweights.coordinates import Coordinate
from lth.superweights.interventions import Intervention

SCALES = (0.2, 0.5, 0.8, 1.2, 1.5, 2.0, 3.0)
"""Factors of the scale curve beside 0 and 1."""

BASELINE = Intervention()
"""The network as it is."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One intervention of a battery.

    Attributes:
        group: what it acts on: `weight`, `row`, `column`, `activation`, `pair` or `control`.
        intervention: what is done.
        is_control: whether it leaves the weight (and others of its matrix that do harm) alone and takes out as many
            weights or more: what the weight's effect must exceed.
    """

    group: str
    intervention: Intervention
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class Controls:
    """How many controls a battery has.

    Attributes:
        single: random weights, one by one.
        together: random weights, all together.
        largest: other weights of the largest magnitude, all together.
        rows: other rows of the largest norm, all together.
        lines: random rows and random neurons, one by one, each.
    """

    single: int = 5
    together: int = 1000
    largest: int = 50
    rows: int = 5
    lines: int = 3


def causal_test(coordinate: Coordinate) -> Intervention:
    """Return the intervention that decides: the weight zeroed."""
    return Intervention(kind="scale", coordinates=(coordinate,))


def battery(
    coordinate: Coordinate,
    shape: tuple[int, int],
    *,
    constant: float | None = None,
    others: Sequence[Coordinate] = (),
    spared: Sequence[Coordinate] = (),
    controls: Controls | None = None,
) -> list[Trial]:
    """Return all trials of a candidate, the causal test first.

    Args:
        coordinate: of the candidate.
        shape: (output, input) of its matrix; a control that asks for more than there is asks for half of it.
        constant: mean of the output channel at the candidate's token over prompts; without it that trial is left out.
        others: further candidates, zeroed together with this one.
        spared: other weights of the matrix that do harm by themselves: no control takes them out, since one weight
            alone cannot do more harm than others like it together.
        controls: how many there are.
    """
    at = (coordinate,)
    trials = [Trial("weight", causal_test(coordinate))]
    trials += [Trial("weight", Intervention(kind="scale", coordinates=at, factor=factor)) for factor in SCALES]
    others_here = tuple(each for each in spared if each != coordinate)
    trials += _lines(coordinate, others_here)
    if coordinate.expert is None:
        trials.append(Trial("activation", Intervention(kind="restore", coordinates=at)))
        if constant is not None:
            trials.append(Trial("activation", Intervention(kind="constant", coordinates=at, value=constant)))
    pairs = [(coordinate, other) for other in others if other != coordinate]
    trials += [Trial("pair", Intervention(kind="scale", coordinates=pair)) for pair in pairs]
    return trials + _controls((coordinate, *others_here), shape, controls or Controls())


def _lines(coordinate: Coordinate, spared: Sequence[Coordinate]) -> list[Trial]:
    """Return the trials of the weight's row and neuron, with and without it; and without those spared there too."""
    at = (coordinate,)
    return [
        Trial("row", Intervention(kind="row", coordinates=at, factor=0.5)),
        Trial("row", Intervention(kind="row", coordinates=at)),
        *_without("row", at, [each for each in spared if each.output == coordinate.output]),
        Trial("column", Intervention(kind="column", coordinates=at)),
        *_without("column", at, [each for each in spared if each.input == coordinate.input]),
    ]


def _without(line: str, at: tuple[Coordinate, ...], spared: Sequence[Coordinate]) -> list[Trial]:
    """Return the trials of a line without the weight: a control only where it takes out nothing that is spared."""
    alone = Trial(line, Intervention(kind=f"{line}-without", coordinates=at), is_control=not spared)
    both = Intervention(kind=f"{line}-without", coordinates=(*at, *spared))
    return [alone, Trial(line, both, is_control=True)] if spared else [alone]


def _controls(at: tuple[Coordinate, ...], shape: tuple[int, int], controls: Controls) -> list[Trial]:
    """Return the trials that leave the weight, and those that are spared, alone."""
    outputs, inputs = shape
    others, rows, columns = len(at) - 1, len({each.output for each in at}), len({each.input for each in at})
    changes = [Intervention(kind="random", coordinates=at, seed=seed) for seed in range(controls.single)]
    for kind, count, available in (
        ("random", controls.together, outputs * inputs - others),
        ("largest", controls.largest, outputs * inputs - others),
        ("largest-rows", controls.rows, outputs - rows + 1),
    ):
        if count and available > 1:
            changes.append(Intervention(kind=kind, coordinates=at, count=min(count, max(1, available // 2))))
    for kind, available in (("random-rows", outputs - rows), ("random-columns", inputs - columns)):
        if available:
            changes += [Intervention(kind=kind, coordinates=at, seed=seed) for seed in range(controls.lines)]
    return [Trial("control", change, is_control=True) for change in changes]
