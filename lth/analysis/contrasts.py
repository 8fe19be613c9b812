"""Several searches side by side: what each reached, and the pairs of them that differ in one thing only."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import stdev
from typing import Any

from lth.analysis.documents import Details, Interval, Results
from lth.analysis.reading import arms_of, num_replicates, over_replicates, value_of
from lth.analysis.statistics import paired_difference

TARGETS = (0.8, 0.5, 0.33)
"""Densities at which studies are compared, each at its own nearest level."""

NEAR = 0.13
"""How far a level may be from them, as a logarithm."""

FACTORS: Mapping[str, frozenset[str]] = {
    "Initialisation": frozenset({"model"}),
    "Protecting a weight": frozenset({"protect"}),
    "Pruning a weight first": frozenset({"prune_first", "protect"}),
    "Scaling a weight of the initial network": frozenset({"scale_weights"}),
    "Transplanting a trained weight": frozenset({"transplant"}),
    "One-shot or iterative": frozenset({"schedule"}),
    "Global or layerwise": frozenset({"scope", "rates"}),
    "Budget: steps of a training": frozenset({"duration", "evaluate_every", "levels"}),
    "Learning-rate schedule": frozenset({"lr_decay", "final_lr", "warmup"}),
    "Rate of a round": frozenset({"rate", "levels"}),
    "Schedule of rates": frozenset({"schedule", "rate", "per_level", "levels", "level_rates"}),
}
"""What two studies may differ in to be a contrast, by its question; the first that holds all differences counts."""

SAME = 0.03
"""How far two densities may be from each other, as a logarithm, for a verdict on what else differs."""

IDLE = frozenset({"controls", "watch", "super_weights", "prompts", "model_structure"})
"""Settings that no ticket's values depend on."""


@dataclass(frozen=True, slots=True)
class Side:
    """One study at one density: the subject beside the baseline, and what became of the watched weights."""

    density: float
    value: Interval
    difference: Interval
    deviation: float | None
    kept: Interval | None
    matrix: Interval | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two studies that differ in one thing, at one density: the second minus the first, replicate by replicate."""

    question: str
    names: tuple[str, str]
    densities: tuple[float, float]
    difference: Interval
    matrix: Interval | None


Study = tuple[str, Results, Details]


def sides(results: Results, details: Details) -> dict[float, Side]:
    """Return a study at each of TARGETS that it comes near to; empty where it has no densities or no baseline."""
    subjects = {arm["name"] for arm in arms_of(results, "subject")}
    found = {
        float(row["at"]["density"]) for row in results["rows"] if row["arm"] in subjects and "density" in row["at"]
    }
    chosen: dict[float, Side] = {}
    for target in TARGETS:
        near = min(found, key=lambda density: abs(math.log(density / target)), default=0.0)
        if near and abs(math.log(near / target)) <= NEAR:
            chosen[target] = _side(results, details, near, subjects)
    return chosen


def _side(results: Results, details: Details, density: float, subjects: Collection[str]) -> Side:
    value = _over(results, density, subjects)
    baseline = _over(results, 1.0, {arm["name"] for arm in arms_of(results, "baseline")})
    known = [each for each in value["values"] if each is not None]
    return Side(
        density=density,
        value=value,
        difference=paired_difference(value["values"], baseline["values"], results["confidence"]),
        deviation=stdev(known) if len(known) > 1 else None,
        kept=_watched(results, details, density, "is_kept"),
        matrix=_watched(results, details, density, "of_matrix"),
    )


def _over(results: Results, density: float, arms: Collection[str]) -> Interval:
    values: dict[int, list[float]] = {}
    for row in results["rows"]:
        value = value_of(results, row, "primary")
        if row["arm"] in arms and row["at"].get("density") == density and value is not None:
            values.setdefault(row["replicate"], []).append(value)
    return over_replicates(values, num_replicates(results), results["confidence"])


def _watched(results: Results, details: Details, density: float, column: str) -> Interval | None:
    """Return the mean of a column over the watched weights, in percent, over replicates; None without any."""
    values: dict[int, list[float]] = {}
    for row in details["tables"].get("watched", []):
        if row["new_density"] is not None and abs(row["new_density"] - density) < 1e-9:
            values.setdefault(row["replicate"], []).append(100.0 * float(row[column]))
    return over_replicates(values, num_replicates(results), results["confidence"]) if values else None


def contrasts(studies: Sequence[Study]) -> list[Contrast]:
    """Return every pair that differs in one of FACTORS, at the densities that both come near to, by question."""
    found = [each for pair in combinations(studies, 2) for each in _contrast(*pair)]
    order = list(FACTORS)
    return sorted(found, key=lambda each: order.index(each.question))


def _contrast(first: Study, second: Study) -> Iterator[Contrast]:
    question = question_of(first[1]["config"], second[1]["config"])
    if question is None or first[1]["primary"] != second[1]["primary"]:
        return
    confidence = first[1]["confidence"]
    left, right = sides(*first[1:]), sides(*second[1:])
    for target in TARGETS:
        if target in left and target in right:
            a, b = left[target], right[target]
            count = min(len(a.value["values"]), len(b.value["values"]))
            matrix = None
            if a.matrix and b.matrix:
                matrix = paired_difference(b.matrix["values"][:count], a.matrix["values"][:count], confidence)
            difference = paired_difference(b.value["values"][:count], a.value["values"][:count], confidence)
            yield Contrast(question, (first[0], second[0]), (a.density, b.density), difference, matrix)


def is_apart(first: float, second: float) -> bool:
    """Return whether two densities differ so much that their difference alone may decide."""
    return abs(math.log(first / second)) > SAME


def question_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """Return which of FACTORS two configurations differ in; None if in none, or in more."""
    names = {name for name in {*first, *second} if first.get(name) != second.get(name)} - IDLE
    if len(names) > 1 and "one-shot" in (first.get("schedule"), second.get("schedule")):
        return None  # a rate means something else there
    return next((question for question, fields in FACTORS.items() if names and names <= fields), None)
