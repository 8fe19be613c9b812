"""How studies differ: each beside the first one, paired over replicates, at every place that both have."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lth.analysis.contrasts import NEAR, SAME
from lth.analysis.documents import Interval, Results
from lth.analysis.facts import amount
from lth.analysis.pairs import Pair, compare_pairs
from lth.analysis.reading import Cell, Place, arms_of, cells, metric_of, rows_of

INDEX = "level"
"""The axis that only counts densities: two levels of one density are one place, whatever their numbers."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A study minus the first one, at one place.

    Attributes:
        arms: what both are there: one name, or two where they differ.
        place: where, in few words: '21 %', 'share 0.4', or empty for a baseline of one place.
        first: values of the first study; `other` those of the other one.
        pair: their difference, and whether it is settled among all of a comparison.
        is_same: whether both have the very same trainings there, so that there is nothing to compare.
        is_apart: whether their densities alone may make the difference, so that it is not tested.
        is_end: whether the last places of both stand beside each other, as they share none.
    """

    arms: tuple[str, ...]
    place: str
    first: Interval
    other: Interval
    pair: Pair
    is_same: bool
    is_apart: bool
    is_end: bool

    @property
    def arm(self) -> str:
        """What both are, in words."""
        return " and ".join(self.arms)


@dataclass(frozen=True, slots=True)
class Against:
    """A study beside the first one: their names, their differences, and whether they were measured on the same data."""

    first: str
    other: str
    gaps: tuple[Gap, ...]
    is_same_data: bool

    @property
    def compared(self) -> tuple[Gap, ...]:
        """Where the two have networks of their own, at one place or near."""
        return tuple(gap for gap in self.gaps if not gap.is_same and not gap.is_apart)


Named = tuple[str, Results]


@dataclass(frozen=True, slots=True)
class _Two:
    """One arm at one place of the first study, and its counterpart in another."""

    own: Cell
    its: Cell
    is_same: bool
    is_apart: bool
    is_only: bool
    is_end: bool

    @property
    def is_tested(self) -> bool:
        """Whether a difference would say something of what else the studies differ in."""
        return not self.is_same and not self.is_apart

    @property
    def values(self) -> tuple[list[float | None], list[float | None]]:
        """Those of the other and of the first study, of replicates that both have."""
        own, its = self.own["interval"]["values"], self.its["interval"]["values"]
        count = min(len(own), len(its))
        return its[:count], own[:count]


def compare_studies(studies: Sequence[Named]) -> list[Against]:
    """Return every study but the first beside the first, at each place that both have, in the primary metric.

    Compared are the first one's baseline with the arm of its name, and subjects of one name (the first subject of each
    where no name is the same). Two places are one where they agree on every axis, densities to within 3 %; where no
    place of an arm does, those are compared that are near (densities to within 13 %), and the last ones stand beside
    each other, which are tested where their densities are not what sets them apart. What is settled is so among all
    differences of all studies (Holm); networks that both studies share are no difference.

    Args:
        studies: names and results documents, which have one primary metric.
    """
    (first_name, first), *others = studies
    metric, confidence = metric_of(first, "primary"), first["confidence"]
    found = [list(_shared(first, other)) for _, other in others]
    flat = [two for shared in found for two in shared]
    tested = iter(compare_pairs([two.values for two in flat if two.is_tested], metric, confidence))
    rest = iter(compare_pairs([two.values for two in flat if not two.is_tested], metric, confidence))
    digest = first["config"].get("data_digest")
    return [
        Against(
            first_name,
            name,
            tuple(_gap(two, next(tested if two.is_tested else rest)) for two in shared),
            digest == other["config"].get("data_digest"),
        )
        for (name, other), shared in zip(others, found, strict=True)
    ]


def _gap(two: _Two, pair: Pair) -> Gap:
    places = dict.fromkeys(amount(_without_index(cell["at"])) for cell in (two.own, two.its))
    return Gap(
        arms=tuple(dict.fromkeys((two.own["arm"], two.its["arm"]))),
        place="" if two.is_only else " and ".join(filter(None, places)),
        first=two.own["interval"],
        other=two.its["interval"],
        pair=pair,
        is_same=two.is_same,
        is_apart=two.is_apart,
        is_end=two.is_end,
    )


def _shared(first: Results, other: Results) -> Iterator[_Two]:
    """Give the cells that stand beside each other: of the baselines, then of the subjects."""
    all_own, all_its = ([each for each in cells(of, "primary") if each["interval"]["mean"] is not None]
                        for of in (first, other))  # fmt: skip
    for role in ("baseline", "subject"):
        for one, two in _same_arms(first, other, role):
            own = [cell for cell in all_own if cell["arm"] == one]
            its = [cell for cell in all_its if cell["arm"] == two]
            is_only = role == "baseline" and len(own) == len(its) == 1
            near = list(_same_places(own, its))
            are_shared = any(distance <= SAME for *_, distance in near)
            for mine, theirs, distance in near:
                is_same = _keys(first, mine) == _keys(other, theirs)
                yield _Two(mine, theirs, is_same, distance > SAME and are_shared, is_only, is_end=False)
            last = () if are_shared else zip(own[-1:], its[-1:], strict=False)
            for mine, theirs in last:
                if any(mine is cell and theirs is its_cell for cell, its_cell, _ in near):
                    continue
                is_same = _keys(first, mine) == _keys(other, theirs)
                is_apart = math.isfinite(distance := _distance(mine["at"], theirs["at"])) and distance > NEAR
                is_end = not is_only and len(own) + len(its) > 2
                yield _Two(mine, theirs, is_same, is_apart, is_only, is_end)


def _keys(results: Results, cell: Cell) -> set[str]:
    return {row["key"] for row in rows_of(results, cell["arm"], cell["at"])}


def _same_arms(first: Results, other: Results, role: str) -> list[tuple[str, str]]:
    """Return the arms that are compared: of one name; the first subjects where no subject has the name of one."""
    own, its = ([arm["name"] for arm in arms_of(results, role)] for results in (first, other))
    if role == "baseline":
        its = [arm["name"] for arm in arms_of(other)]  # a dense network is one, whatever it is for
    same = [(name, name) for name in own if name in its]
    return same or (list(zip(own[:1], its[:1], strict=False)) if role == "subject" else [])


def _same_places(own: Sequence[Cell], its: Sequence[Cell]) -> Iterator[tuple[Cell, Cell, float]]:
    """Give cells near each other, each the other's nearest, and how far apart their densities are."""
    for cell in own:
        near = min(its, key=lambda each: _distance(cell["at"], each["at"]), default=None)
        if near is None or (distance := _distance(cell["at"], near["at"])) > NEAR:
            continue
        back = min(own, key=lambda each: _distance(each["at"], near["at"]))
        if back is cell:
            yield cell, near, distance


def _distance(first: Place, other: Place) -> float:
    """Return how far two densities are apart, as a logarithm; infinite where anything else differs."""
    first, other = _without_index(first), _without_index(other)
    rest = [{name: value for name, value in at.items() if name != "density"} for at in (first, other)]
    densities = [at.get("density") for at in (first, other)]
    if rest[0] != rest[1] or (densities[0] is None) != (densities[1] is None):
        return math.inf
    if densities[0] == densities[1]:
        return 0.0
    if not all(isinstance(each, int | float) and each > 0 for each in densities):
        return math.inf
    return abs(math.log(float(densities[0] or 1) / float(densities[1] or 1)))


def _without_index(at: Place) -> Place:
    return {name: value for name, value in at.items() if name != INDEX} if "density" in at else at
