"""Single weights in settings: by name, or by coordinate where the network is a transformer whose family is known."""

from collections.abc import Sequence
from typing import TypeVar

from torch import nn

from lth.config import StudySettings
from lth.lineage import Ablated, WeightsNode
from lth.lineage.kinds.ablated import Place
from lth.sparsity import entries_of
from lth.superweights import Coordinate
from lth.superweights.places import projection_at
from lth.superweights.projections import down_projections

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
    return text if ":" in entry else f"{entry_of(module, Coordinate.parse(entry))}{star}{factor}"


def entry_of(module: nn.Module, coordinate: Coordinate) -> str:
    """Return a coordinate as an entry, without the ending `.weight`.

    Raises:
        ValueError: if it lies outside of the network, or its family is not known.
    """
    by_place = {(each.block, each.expert): each for each in down_projections(module)}
    projection = projection_at(coordinate, by_place)
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
