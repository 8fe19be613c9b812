"""What tickets are worth on few examples, in numbers and sentences; and whether they had any effect at all."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from lth.analysis.comparison import beats_constant
from lth.analysis.documents import Interval, Results, TableRow
from lth.analysis.facts import CONSTANT, studied
from lth.analysis.numbers import show, show_paired
from lth.analysis.pairs import rows_by_replicate
from lth.analysis.points import Conclusion, Point
from lth.analysis.reading import Measure, arms_of, cells, metric_of
from lth.analysis.significance import p_of_mean, rejected
from lth.analysis.statistics import paired_difference
from lth.studies.few_shot_settings import RANDOM


def compare_tickets(results: Results, points: Sequence[Point]) -> Conclusion:
    """Return what each ticket reaches, beside dense, its random mask and the other tickets, paired over replicates.

    It is found if a ticket is better than its random mask at the largest number of examples, with the whole interval,
    and confirmed if one is by Holm's test over all tickets. Arms whose scores are the same bit for bit in all cells are
    named first, with a warning: masks or weights that were not loaded look like that. Such tickets count as no finding,
    and so does what is found where no arm is clearly better than a constant answer.
    """
    values = {(cell["arm"], int(cell["at"]["shots"])): cell["interval"] for cell in cells(results, "primary")}
    most = max(shots for _, shots in values)
    table = list(_comparisons(results, values))
    same = without_effect(results)
    for sentence in same.values():
        warnings.warn(sentence, stacklevel=2)
    metric = metric_of(results, "primary")
    sentences = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in same.values()]
    is_learned = any(beats_constant(value, results) for (_, shots), value in values.items() if shots == most)
    if not is_learned:
        sentences.append(
            f"With {most:,} examples no arm is clearly better than {CONSTANT}: that anything was learned is not "
            "settled, and differences between arms are no finding. Train longer, at a higher --lr, or take more "
            "replicates or examples."
        )
    tickets = [arm["name"] for arm in arms_of(results, "subject")]
    for name in tickets or [arm["name"] for arm in arms_of(results, "baseline")]:
        sentences += [_sentence(results, name, shots, values, table) for shots in sorted({s for _, s in values})[::-1]]
    if (constant := results["constant"].get(results["primary"])) is not None:
        sentences.append(f"For scale: {CONSTANT} reaches {show(constant, metric)}.")
    alike = {name for pair in same for name in pair}
    rows = [row for row in table if row["shots"] == most and row["against"] == f"{RANDOM} {row['arm']}"]
    rows = [row for row in rows if row["arm"] not in alike]
    are_settled = rejected([p_of_mean(row["values"]) for row in rows], 1 - results["confidence"])
    better = [row["arm"] for row in rows if is_learned and _is_better(row, metric.better)]
    by_all = [row["arm"] for row, holds in zip(rows, are_settled, strict=True) if holds and row["arm"] in better]
    if better:
        sentences.append(_better_words(better, by_all, most, len(rows)))
    reached = [f"{name} {show(values[name, most]['mean'], metric)}" for name in tickets if (name, most) in values]
    summary = f"{most} examples: {', '.join(reached) or 'dense alone'}"
    return Conclusion(
        {
            "found": bool(better),
            "confirmed": bool(by_all) if better else None,
            "summary": summary,
            "title": f"{studied(results['config'])} from few examples",
            "sentences": sentences,
            "tiles": [],
            "at": {"shots": most},
        },
        {"comparisons": table, "differences": list(_by_draw(table, metric))} if table else {},
    )


def _better_words(better: list[str], by_all: list[str], shots: int, count: int) -> str:
    """Return which tickets are better than their random masks, and for which it holds among so many."""
    start = f"With {shots:,} examples {', '.join(better)} {'is' if len(better) == 1 else 'are'} better than random"
    if count < 2:
        return f"{start}, with the whole interval."
    holding = f"for {', '.join(by_all)} it holds" if by_all else "for none it holds"
    return f"{start}, with the whole interval; {holding} when the {count} tickets are tested together (Holm)."


def without_effect(results: Results) -> dict[tuple[str, str], str]:
    """Return a sentence for each two arms whose scores are all the same, bit for bit, by their names."""
    scores: dict[str, dict[tuple[Any, int], dict[str, float | None]]] = {}
    for row in results["rows"]:
        scores.setdefault(row["arm"], {})[row["at"]["shots"], row["replicate"]] = row["end"]
    return {
        (
            one,
            other,
        ): f"the source had no effect: {one} and {other} have the same scores in all {len(scores[one])} cells"
        for one, other in combinations(scores, 2)
        if scores[one] == scores[other] and all(scores[one].values())
    }


def _by_draw(table: Sequence[TableRow], metric: Measure) -> Iterator[TableRow]:
    for row in table:
        difference = Interval(mean=row["mean"], low=row["low"], high=row["high"], values=row["values"])
        place = {name: row[name] for name in ("arm", "against", "shots")}
        yield from rows_by_replicate(difference, metric, **place)


def _comparisons(results: Results, values: dict[tuple[str, int], Interval]) -> Iterator[TableRow]:
    """Give the paired difference of each ticket from each arm that it is compared with."""
    tickets = [arm["name"] for arm in arms_of(results, "subject")]
    dense = [arm["name"] for arm in arms_of(results, "baseline")]
    unions = [arm["name"] for arm in arms_of(results, "control") if not arm["name"].startswith(f"{RANDOM} ")]
    for (name, shots), own in values.items():
        if name not in tickets:
            continue
        later = tickets[tickets.index(name) + 1 :]
        for rival in (*dense, f"{RANDOM} {name}", *unions, *later):
            if (other := values.get((rival, shots))) is not None:
                difference = paired_difference(own["values"], other["values"], results["confidence"])
                yield {"arm": name, "against": rival, "shots": shots, **difference}


def _sentence(
    results: Results, name: str, shots: int, values: dict[tuple[str, int], Interval], table: Sequence[TableRow]
) -> str:
    metric, value = metric_of(results, "primary"), values[name, shots]
    of = " of each class" if results["config"].get("shots_of") == "class" else ""
    start = f"With {shots:,} examples{of}, {name}"
    if value["mean"] is None:
        return f"{start}: every replicate diverged. Try a lower --lr."
    rows = [row for row in table if row["arm"] == name and row["shots"] == shots and row["mean"] is not None]
    against = (f"; {_paired(row, results)} from {row['against']}" for row in rows)
    measured = f"{metric.part} {metric.name}".strip()
    return f"{start}: {measured} {show(value['mean'], metric)}{''.join(against)}."


def _paired(row: TableRow, results: Results) -> str:
    difference = Interval(mean=row["mean"], low=row["low"], high=row["high"], values=row["values"])
    return show_paired(difference, metric_of(results, "primary"), results["confidence"])


def _is_better(row: TableRow, better: str) -> bool:
    """Return whether the whole interval of a difference, which has a width, is on the better side."""
    low, high = row["low"], row["high"]
    if low is None or high is None or low == high:
        return False
    return bool(low > 0 if better == "higher" else high < 0)
