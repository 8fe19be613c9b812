"""The folded table of differences: intervals, effect sizes and tests of each."""

from lth.analysis.documents import Interval, Results, TableRow
from lth.analysis.numbers import number, percent, show_margin, show_mean, unit_of_difference
from lth.analysis.reading import Measure, axes_of, metric_of
from lth.analysis.statistics_table import correction_of, margin_of, statistics_rows, words_on_pairs
from lth.report.places import axis_of
from lth.report.study import StudyFiles


def difference_rows(study: StudyFiles) -> list[TableRow]:
    """Return the rows of statistics.csv; of an older document, which does not hold them, they are computed."""
    tables = study.details["tables"]
    return tables["statistics"] if "statistics" in tables else statistics_rows(study.results)


def difference_columns(results: Results) -> list[str]:
    """Return the headings of the table."""
    unit = unit_of_difference(metric_of(results, "primary")).strip()
    title, level = f"Difference ({unit})" if unit else "Difference", percent(results["confidence"])
    margin = ["p, not worse", "p, within margin"] if margin_of(results) > 0 else []
    axes = [axis_of(results, axis).title for axis in axes_of(results)]
    tests = ["p, t-test", "adjusted", "p, signs", "adjusted"]
    return ["Compared", *axes, title, f"{level} Student", f"{level} BCa", "g", *tests, *margin]


def difference_lines(study: StudyFiles, rows: list[TableRow]) -> list[list[str]]:
    """Return the rows as text, differences as they are shown elsewhere (fractions in points)."""
    results = study.results
    metric, axes = metric_of(results, "primary"), [axis_of(results, axis) for axis in axes_of(results)]
    tests = ["p_t", "p_t_adjusted", "p_signs", "p_signs_adjusted"]
    tests += ["p_not_worse", "p_within_margin"] if margin_of(results) > 0 else []
    return [
        [
            f"{row['arm']} - {row['against']}",
            *(axis.text(row.get(axis.name)) for axis in axes),
            show_mean(_interval(row, ""), metric).removesuffix(unit_of_difference(metric)),
            _between(row, "", metric),
            _between(row, "bca_", metric),
            "" if row["effect_size"] is None else f"{row['effect_size']:+.2f}",
            *(_p(row.get(name)) for name in tests),
        ]
        for row in rows
    ]


def difference_note(results: Results, rows: list[TableRow]) -> str:
    """Return what the columns are, and what this many replicates can show at best; empty without rows."""
    if not rows:
        return ""
    metric, margin = metric_of(results, "primary"), margin_of(results)
    how = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg"}.get(correction_of(results), "the study's own")
    alpha = (1 - results["confidence"]) / 2
    against = (
        f" Not worse: one-sided t-test against a loss of {show_margin(margin, metric)}; a match is confirmed at "
        f"{alpha:.3g}, where the whole Student interval is on the right side of the margin. Within margin: both sides "
        "(TOST)."
        if margin > 0
        else ""
    )
    return (
        f"{words_on_pairs(rows, results)} Differences are paired over replicates. g: mean over standard deviation, "
        "with Hedges' correction. p, two-sided: paired t-test; all signs of the differences exchanged (permutation). "
        f"Adjusted for all {len(rows)} rows: {how}.{against}"
    )


def _interval(row: TableRow, prefix: str) -> Interval:
    return Interval(mean=row["difference"], low=row[f"{prefix}low"], high=row[f"{prefix}high"], values=[])


def _between(row: TableRow, prefix: str, metric: Measure) -> str:
    """Return both ends with as many digits as the mean is shown with."""
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    if low is None or high is None:
        return ""
    shown = show_mean(_interval(row, ""), metric).removesuffix(unit_of_difference(metric))
    digits = len(shown.partition(".")[2])
    return " to ".join(number(end, metric, signed=True, digits=digits) for end in (low, high))


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "<0.0001" if p < 0.0001 else f"{p:.3g}" if p < 0.0995 else f"{p:.2f}"
