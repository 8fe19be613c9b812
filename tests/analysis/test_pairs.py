"""Differences that are tested together."""

import pytest
from rows import arm, results
from scipy import stats

from lth.analysis.pairs import compare_pairs, how_tested, pair_in_words, unlearned, values_by_place
from lth.analysis.reading import metric_of

BASE: list[float | None] = [0.90, 0.91, 0.92, 0.90, 0.93]
BETTER: list[float | None] = [0.95, 0.97, 0.97, 0.96, 0.99]
SLIGHTLY: list[float | None] = [0.91, 0.918, 0.927, 0.907, 0.944]
MIXED: list[float | None] = [0.91, 0.90, 0.93, 0.90, 0.92]


def test_differences_are_those_of_a_paired_test_with_holms_steps() -> None:
    document = results([*arm("dense", 0, BASE), *arm("ticket", 1, BETTER)])
    metric = metric_of(document, "primary")
    values = values_by_place(document, "level")
    assert values["ticket", 1]["values"] == BETTER
    several = [BETTER, SLIGHTLY, MIXED]
    pairs = compare_pairs([(each, BASE) for each in several], metric, 0.95)
    p = [float(stats.ttest_rel(each, BASE).pvalue) for each in several]
    assert p[0] < 0.05 / 3
    assert p[1] < 0.05 / 2
    assert p[2] > 0.05
    assert [pair.settled for pair in pairs] == [True, True, False]
    assert [pair.is_better for pair in pairs] == [True, True, False]
    crowd = compare_pairs([(each, BASE) for each in (SLIGHTLY, *[MIXED] * 30)], metric, 0.95)
    assert not crowd[0].settled  # alone it is


def test_a_loss_is_better_where_it_is_lower() -> None:
    rows = [*arm("dense", 0, BASE, "loss"), *arm("ticket", 1, BETTER, "loss")]
    document = results(rows, "loss")
    metric = metric_of(document, "primary")
    (pair,) = compare_pairs([(BETTER, BASE)], metric, 0.95)
    assert (pair.is_better, pair.is_worse) == (False, True)
    assert not pair.is_within(metric, 0.05)
    assert pair.is_within(metric, 0.1)


def test_nothing_is_settled_by_the_replicates_that_did_not_diverge() -> None:
    document = results([*arm("dense", 0, BASE), *arm("ticket", 1, BETTER)])
    metric = metric_of(document, "primary")
    survivors = [None, *BETTER[1:]]
    whole, lucky = compare_pairs([(BETTER, BASE), (survivors, BASE)], metric, 0.95)
    assert (whole.is_better, whole.is_within(metric, 0.01)) == (True, True)
    assert (lucky.is_better, lucky.is_worse, lucky.gain, lucky.is_within(metric, 0.01)) == (False, False, None, False)
    assert "in 4 of 5 replicates (a network of the others diverged), not settled" in pair_in_words(lucky, document)


def test_words_say_what_is_settled() -> None:
    document = results([*arm("dense", 0, BASE), *arm("ticket", 1, BETTER)])
    metric = metric_of(document, "primary")
    same: list[float | None] = [each + 0.01 for each in BASE if each is not None]
    cases: dict[str, list[float | None]] = {
        "points (95 % interval": BETTER,
        "+1.00 points (the same in all replicates), not settled": same,
        "every replicate diverged": [None] * 5,
    }
    for words, values in cases.items():
        (pair,) = compare_pairs([(values, BASE)], metric, 0.95)
        assert words in pair_in_words(pair, document)
    assert not pair.is_within(metric, 1.0)
    assert "6 differences together (Holm)" in how_tested(6, document)
    alone = results([*arm("dense", 0, [0.9]), *arm("ticket", 1, [0.8])])
    (pair,) = compare_pairs([([0.8], [0.9])], metric, 0.95)
    assert pair_in_words(pair, alone) == "-10.00 points in one replicate"
    assert "nothing is settled" in how_tested(6, alone)


@pytest.mark.parametrize(("constant", "count"), [(0.5, 0), (0.92, 1)])
def test_nothing_is_found_where_nothing_is_learned(constant: float, count: int) -> None:
    document = results(arm("dense", 0, BASE), constant={"accuracy": constant})
    assert len(unlearned(document)) == count
