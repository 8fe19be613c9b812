"""Every paired difference of a study with its intervals, effect size and tests: what statistics.csv holds."""

from collections.abc import Iterator

from lth.analysis.bootstrap import bca_interval
from lth.analysis.documents import Results, TableRow
from lth.analysis.effect_size import hedges_gz
from lth.analysis.equivalence import tost
from lth.analysis.reading import Cell, Measure, arms_of, cells, metric_of, num_replicates
from lth.analysis.significance import CORRECTIONS, p_of_mean, p_of_signs, pairs_for, smallest_p
from lth.analysis.statistics import known_of, paired_difference

CORRECTED = {"p_t": "p_t_adjusted", "p_signs": "p_signs_adjusted"}
"""P-values, and the same adjusted for all comparisons of the study."""


def statistics_rows(results: Results) -> list[TableRow]:
    """Return a row for each subject and place beside the baseline and each control, paired over replicates.

    Differences are subject minus rival in the unit of the primary metric. All rows are one family of tests, adjusted by
    the setting `correction`. Empty for one replicate, and without a subject or a rival.

    Args:
        results: a results document; its verdict is not read.
    """
    if num_replicates(results) < 2:
        return []
    margin = margin_of(results)
    metric = metric_of(results, "primary")
    rows = [_row(own, other, results, metric, margin) for own, other in _pairs(results)]
    rows = [row for row in rows if row["pairs"] > 1]
    adjust = CORRECTIONS.pick(correction_of(results))
    for name, adjusted in CORRECTED.items():
        for row, p in zip(rows, adjust([row[name] for row in rows]), strict=True):
            row[adjusted] = p
    return rows


def margin_of(results: Results) -> float:
    """Return what a subject may lose and still match; 0 in a study without a margin."""
    return float(results["config"].get("margin") or 0.0)


def correction_of(results: Results) -> str:
    """Return how p-values are adjusted for the number of comparisons; older documents do not say it."""
    return str(results["config"].get("correction", "holm"))


def _pairs(results: Results) -> Iterator[tuple[Cell, Cell]]:
    """Give each cell of a subject with the baseline's and each control's at its place.

    A control that is named after a subject (`random NAME`) belongs to that one alone.
    """
    taken = cells(results, "primary")
    subjects = [arm["name"] for arm in arms_of(results, "subject")]
    for own in (cell for cell in taken if cell["arm"] in subjects):
        for arm in (*arms_of(results, "baseline"), *arms_of(results, "control")):
            of_one = [name for name in subjects if arm["name"].endswith(f" {name}")]
            if of_one and own["arm"] not in of_one:
                continue
            of_arm = [cell for cell in taken if cell["arm"] == arm["name"]]
            is_only = arm["role"] == "baseline" and len(of_arm) == 1
            yield from ((own, cell) for cell in of_arm if is_only or cell["at"] == own["at"])


def _row(own: Cell, other: Cell, results: Results, metric: Measure, margin: float) -> TableRow:
    values = own["interval"]["values"]
    difference = paired_difference(values, other["interval"]["values"], results["confidence"])
    differences = difference["values"]
    low, high = bca_interval(differences, results["confidence"]) or (None, None)
    row: TableRow = {
        "arm": own["arm"],
        "against": other["arm"],
        **own["at"],
        "pairs": len(known_of(differences)),
        "difference": difference["mean"],
        "low": difference["low"],
        "high": difference["high"],
        "bca_low": low,
        "bca_high": high,
        "effect_size": hedges_gz(differences),
        "p_t": p_of_mean(differences),
        "p_t_adjusted": None,
        "p_signs": p_of_signs(differences),
        "p_signs_adjusted": None,
    }
    if margin > 0:
        both = tost([None if each is None else metric.gain(each) for each in differences], margin)
        row |= {
            "margin": margin,
            "p_not_worse": 1.0 if both is None else both.above,
            "p_within_margin": 1.0 if both is None else both.p,
        }
    return row


def words_on_pairs(rows: list[TableRow], results: Results) -> str:
    """Return what this many replicates can show by permutation at best, and how many would do, in one sentence."""
    pairs, level = max(row["pairs"] for row in rows), round(1 - results["confidence"], 12)
    one, every = pairs_for(level), pairs_for(level, len(rows))
    least = f"{pairs} pairs cannot go below p = {smallest_p(pairs):.3g} by permutation of signs"
    if len(rows) == 1:
        return f"{least}; {level:g} takes {one} pairs."
    among = f"among {len(rows)} comparisons"
    if correction_of(results) != "holm":
        return f"{least}; {level:g} takes {one} pairs where all differ, {every} where one {among} does."
    return f"{least}; {level:g} takes {one} pairs for one comparison, {every} {among} (Holm)."
