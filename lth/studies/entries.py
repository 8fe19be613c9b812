"""Single weights in settings: by name, or by coordinate where the network is a transformer whose family is known."""

from collections.abc import Sequence
from typing import TypeVar

from torch import nn

from lth.config import StudySettings
from lth.lineage import Ablated, WeightsNode
from lth.lineage.kinds.ablated import Place
from lth.sparsity import entries_of
from lth.superweights import Coordinate
from lth.superweights.projections import DownProjection, down_projections

S = TypeVar("S", bound=StudySettings)

FIELDS = ("watch", "protect", "prune_first", "transplant", "scale_weights")
"""Settings that hold single weights; in the last one each has a factor behind it."""


def with_names(settings: S, module: nn.Module) -> S:
    """Return settings in which single weights stand by name, `2,447,666` as `h.2.mlp.c_proj:447,666`.

    Raises:
        ValueError: if there is no such weight, or a coordinate is of a network whose family is not known.
    """
    given = {name: texts for name, texts in settings.flat().items() if name in FIELDS and texts}
    named = {name: [named_entry(module, text) for text in texts] for name, texts in given.items()}
    for texts in named.values():
        entries_of(module, [text.partition("*")[0] for text in texts])
    changed = {name: texts for name, texts in named.items() if texts != list(given[name])}
    return settings.with_(**changed) if changed else settings


def named_entry(module: nn.Module, text: str) -> str:
    """Return an entry by the name of its parameter, with the factor behind it if there is one."""
    entry, star, factor = text.partition("*")
    if ":" in entry:
        return text
    return f"{entry_text(projection_of(module, wanted := Coordinate.parse(entry)), wanted)}{star}{factor}"


def projection_of(module: nn.Module, coordinate: Coordinate) -> DownProjection:
    """Return the down-projection that a coordinate lies in.

    Raises:
        ValueError: if it lies outside of the network, or its family is not known.
    """
    projections = down_projections(module)
    for projection in projections:
        if (projection.block, projection.expert) == (coordinate.block, coordinate.expert):
            outputs, inputs = projection.shape
            if coordinate.output < outputs and coordinate.input < inputs:
                return projection
            raise ValueError(
                f"{str(coordinate)!r}: {projection.name} has outputs 0 to {outputs - 1} and inputs 0 to {inputs - 1}"
            )
    experts = [each.expert for each in projections if each.block == coordinate.block]
    of = f" with experts {experts[0]} to {experts[-1]} behind them" if experts and experts[-1] is not None else ""
    raise ValueError(f"{str(coordinate)!r}: down-projections are in blocks 0 to {projections[-1].block}{of}")


def entry_text(projection: DownProjection, coordinate: Coordinate) -> str:
    """Return a coordinate as an entry, without the ending `.weight`."""
    place: tuple[int, ...] = (coordinate.output, coordinate.input)
    if projection.expert is not None:  # the matrices of all experts are one parameter, whose entries stand as stored
        place = (projection.expert, *(place[::-1] if projection.is_transposed else place))
    return f"{projection.name.removesuffix('.weight')}:{','.join(map(str, place))}"


def places_of(module: nn.Module, texts: Sequence[str]) -> tuple[Place, ...]:
    """Return where some entries stand."""
    return tuple((entry.name, entry.index) for entry in entries_of(module, texts))


def scaled(start: WeightsNode, module: nn.Module, scalings: Sequence[str]) -> WeightsNode:
    """Return a start in which some weights are multiplied by their factors; the start itself without any."""
    by_factor: dict[float, list[str]] = {}
    for scaling in scalings:
        entry, _, factor = scaling.partition("*")
        by_factor.setdefault(float(factor), []).append(entry)
    for each, entries in by_factor.items():
        start = Ablated(of=start, places=places_of(module, entries), factor=each)
    return start
