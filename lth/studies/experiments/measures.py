"""What experiments measure of a study's documents: values at a place, their means, differences and ratios."""

from collections.abc import Callable, Mapping, Sequence

from lth.analysis.documents import At, Details, Interval, Results, TableRow

Values = Callable[[Results], list[float | None]]
"""One value a replicate; none where the arm is not there."""
Place = float | Callable[[Results], float]
"""A value on an axis, or what finds it from a study's settings."""
Measure = Callable[[Results, Details], Interval | None]
"""Our value and its interval; None where it was not measured."""


def shrunk(step: int, steps: int) -> Place:
    """Return the place of a step of the paper in our trainings, which may be shorter.

    Args:
        step: of the paper's.
        steps: how many those are.
    """
    return lambda results: step * int(results["config"]["duration"].removesuffix("it")) / steps


def _found(near: Mapping[str, Place], results: Results) -> dict[str, float]:
    return {axis: place(results) if callable(place) else place for axis, place in near.items()}


def at(arm: str, quantity: str = "end/test/accuracy", **near: Place) -> Values:
    """Return what gives the values of an arm at the place nearest to one, in the order of the replicates.

    Args:
        arm: its name.
        quantity: `end/NAME`, `at_best/NAME` (at the best step), or `best_step`.
        near: values on the study's axes, as density=0.135; each is looked for among what the ones before it leave.
    """

    def values(results: Results) -> list[float | None]:
        rows = [row for row in results["rows"] if row["arm"] == arm and near.keys() <= row["at"].keys()]
        if not rows:
            return []
        places = [row["at"] for row in rows]
        place = nearest(places, _found(near, results))
        chosen = [row for row in rows if all(row["at"][axis] == place[axis] for axis in near)]
        by_replicate = {row["replicate"]: row for row in chosen}
        count = 1 + max(row["replicate"] for row in results["rows"])
        found = [by_replicate.get(replicate) for replicate in range(count)]
        if quantity == "best_step":
            return [None if row is None or row["best_step"] is None else float(row["best_step"]) for row in found]
        when, _, name = quantity.partition("/")
        return [None if row is None else row["at_best" if when == "at_best" else "end"].get(name) for row in found]

    return values


def nth(prefix: str, index: int, quantity: str = "end/test/accuracy", **near: Place) -> Values:
    """Return what gives the values of one of the arms whose names begin alike, as their names follow from settings.

    Args:
        prefix: their beginning.
        index: which, in the order of the arms; -1 is the last.
        quantity: as in `at`.
        near: as in `at`.
    """

    def values(results: Results) -> list[float | None]:
        names = [arm["name"] for arm in results["arms"] if arm["name"].startswith(prefix)]
        return at(names[index], quantity, **near)(results) if names else []

    return values


def nearest(places: Sequence[At], near: dict[str, float]) -> At:
    """Return the place whose axes are nearest to some values, axis after axis."""
    for axis, wanted in near.items():
        value = min((place[axis] for place in places), key=lambda each: abs(float(each) - wanted))
        places = [place for place in places if place[axis] == value]
    return places[0]


def mean(values: Values, factor: float = 100.0) -> Measure:
    """Return the measure of a mean, times a factor."""

    def measure(results: Results, details: Details) -> Interval | None:
        return interval_of([None if value is None else factor * value for value in values(results)], results)

    return measure


def combined(first: Values, second: Values, of: Callable[[float, float], float | None]) -> Measure:
    """Return the measure of two arms' values, put together replicate by replicate; None leaves one out."""

    def measure(results: Results, details: Details) -> Interval | None:
        pairs = first(results), second(results)
        if not all(pairs):
            return None
        both = zip(*pairs, strict=True)
        return interval_of([None if a is None or b is None else of(a, b) for a, b in both], results)

    return measure


def difference(first: Values, second: Values, factor: float = 100.0) -> Measure:
    """Return the measure of how far the first is above the second, paired, times a factor."""
    return combined(first, second, lambda a, b: factor * (a - b))


def of_table(table: str, factor: float = 100.0, *, arm: str = "", **near: Place) -> Measure:
    """Return the measure of a row of a study's own table, which holds an interval: the one nearest to a place.

    Args:
        table: its name.
        factor: that it is multiplied by.
        arm: whose rows.
        near: values of further columns.
    """

    def measure(results: Results, details: Details) -> Interval | None:
        rows: list[TableRow] = [
            row for row in details["tables"].get(table, []) if arm in ("", row.get("arm")) and near.keys() <= row.keys()
        ]
        if not rows:
            return None
        row = nearest(rows, _found(near, results))
        ends: list[float | None] = [row["mean"], row["low"], row["high"]]  # type: ignore[list-item]
        middle, low, high = (None if end is None else factor * end for end in ends)
        return Interval(mean=middle, low=low, high=high, values=[])

    return measure


def highest_at_start(arm: str, name: str, factor: float = 100.0) -> Measure:
    """Return the measure of the highest mean that an arm has before its first step, over all places.

    Args:
        arm: its name.
        name: of the curve, as `validation/accuracy`.
        factor: that it is multiplied by.
    """

    def measure(results: Results, details: Details) -> Interval | None:
        curves = [curve for curve in details["curves"] if curve["arm"] == arm and curve["steps"][:1] == [0]]
        values = [value for curve in curves if (value := curve["values"].get(name, [None])[0]) is not None]
        return interval_of([factor * max(values)], results) if values else None

    return measure


def interval_of(values: list[float | None], results: Results) -> Interval | None:
    """Return the interval of values, at the confidence of a study; None of none."""
    from lth.analysis.statistics import interval

    return interval(values, results["confidence"]) if values else None
