"""The table of all differences: what is compared with what, in whose direction, and adjusted for how many."""

from typing import Any

import pytest
from rows import arm, results
from scipy import stats

from lth.analysis.csv_text import as_csv
from lth.analysis.documents import Results
from lth.analysis.significance import holm
from lth.analysis.statistics_table import statistics_rows, words_on_pairs

DENSE = [0.90, 0.92, 0.91, 0.93, 0.90]
TICKET = [0.91, 0.92, 0.93, 0.94, 0.92]
RANDOM = [0.85, 0.86, 0.88, 0.87, 0.85]


def study(metric: str = "accuracy", *, margin: float = 0.0, **config: Any) -> Results:
    """A ticket with one control at two levels; at the second one replicate of it diverged."""
    second: list[float | None] = [0.90, None, 0.91, 0.92, 0.91]
    rows = [*arm("dense", 0, [*DENSE], metric), *arm("ticket", 1, [*TICKET], metric), *arm("ticket", 2, second, metric),
            *arm("random", 1, [*RANDOM], metric), *arm("random", 2, [*RANDOM], metric)]  # fmt: skip
    settings = {"model": "lenet-300-100", "data": "digits", "margin": margin, **config}
    return results(rows, metric, config=settings)


def test_each_subject_is_beside_baseline_and_controls_of_its_place() -> None:
    rows = statistics_rows(study())
    assert [(row["arm"], row["against"], row["level"], row["pairs"]) for row in rows] == [
        ("ticket", "dense", 1, 5), ("ticket", "random", 1, 5), ("ticket", "dense", 2, 4), ("ticket", "random", 2, 4),
    ]  # fmt: skip
    first = rows[0]
    differences = [ours - theirs for ours, theirs in zip(TICKET, DENSE, strict=True)]
    assert first["difference"] == pytest.approx(0.012)
    assert first["p_t"] == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert first["p_signs"] == 4 / 32  # one difference is 0: of its signs both are as extreme
    assert first["low"] < first["bca_low"] < first["difference"] < first["bca_high"] < first["high"]
    assert [row["p_t_adjusted"] for row in rows] == holm([row["p_t"] for row in rows])
    assert "margin" not in first


def test_the_family_is_adjusted_as_the_setting_says() -> None:
    rows = statistics_rows(study(correction="benjamini-hochberg"))
    expected = stats.false_discovery_control([row["p_signs"] for row in rows])
    assert [row["p_signs_adjusted"] for row in rows] == pytest.approx(list(expected))
    assert "benjamini" not in str(rows)


def test_not_worse_is_on_the_side_of_the_metric() -> None:
    """A ticket that is 0.012 above the dense network is not worse by accuracy, and is by loss."""
    higher, lower = (statistics_rows(study(metric, margin=0.005))[0] for metric in ("accuracy", "loss"))
    assert higher["difference"] == lower["difference"]
    assert higher["p_not_worse"] < 0.025
    assert lower["p_not_worse"] > 0.9
    assert higher["p_within_margin"] == lower["p_within_margin"] == lower["p_not_worse"]
    assert higher["margin"] == 0.005


def test_a_control_of_another_subject_is_no_rival() -> None:
    values = {"dense": DENSE, "ticket": TICKET, "random": RANDOM, "a": TICKET, "random a": RANDOM}
    roles = {"dense": "baseline", "ticket": "subject", "random": "control", "a": "subject", "random a": "control"}
    made = results([row for name, own in values.items() for row in arm(name, 1, [*own])])
    made["arms"] = [{"name": name, "words": "", "role": role} for name, role in roles.items()]
    rows = statistics_rows(made)
    assert [(row["arm"], row["against"]) for row in rows] == [
        ("ticket", "dense"), ("ticket", "random"), ("a", "dense"), ("a", "random"), ("a", "random a"),
    ]  # fmt: skip


def test_one_replicate_or_no_rival_has_no_rows() -> None:
    assert statistics_rows(results([*arm("dense", 0, [0.9]), *arm("ticket", 1, [0.8])])) == []
    assert statistics_rows(results(arm("ticket", 1, [*TICKET]))) == []


def test_what_five_pairs_can_show_is_said() -> None:
    """Four comparisons by Holm need p = 0.0125: 2 of 2^8 is below."""
    made = study()
    rows = statistics_rows(made)
    assert words_on_pairs(rows, made) == (
        "5 pairs cannot go below p = 0.0625 by permutation of signs; 0.05 takes 6 pairs for one comparison, 8 among 4 "
        "comparisons (Holm)."
    )
    assert words_on_pairs(rows[:1], made).endswith("0.05 takes 6 pairs.")
    found = words_on_pairs(rows, study(correction="benjamini-hochberg"))
    assert found.endswith("6 pairs where all differ, 8 where one among 4 comparisons does.")


def test_as_csv_a_place_has_its_columns() -> None:
    head = as_csv(statistics_rows(study(margin=0.005))).splitlines()[0]
    assert head == (
        "arm,against,level,density,pairs,difference,low,high,bca_low,bca_high,effect_size,p_t,p_t_adjusted,p_signs,"
        "p_signs_adjusted,margin,p_not_worse,p_within_margin"
    )
