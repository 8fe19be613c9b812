"""What is said of few-shot scores: which tickets are better, by themselves and all tested together."""

from typing import Any

import pytest
from scipy import stats

from lth.studies.few_shot_verdict import compare_tickets

GOOD, BELOW = [0.9, 0.91, 0.92, 0.9], [0.89, 0.91, 0.9, 0.89]
CLOSE, NONE = [0.65, 0.7, 0.61, 0.68], [0.5, 0.61, 0.55, 0.6]
RANDOM = [0.6, 0.62, 0.6, 0.61]


def results_of(scores: dict[str, list[float]]) -> Any:
    """Results of some arms on 8 examples, four replicates each."""
    roles = {name: "control" if name.startswith(("random ", "union")) else "subject" for name in scores}
    roles["dense"] = "baseline"
    return {
        "config": {"model": "m", "data": "d"}, "confidence": 0.95, "primary": "accuracy", "constant": {},
        "metrics": {"accuracy": {"unit": "fraction", "better": "higher", "words": "accuracy"}},
        "arms": [{"name": name, "words": name, "role": roles[name]} for name in scores],
        "rows": [
            {"arm": name, "at": {"shots": 8}, "replicate": number, "end": {"test/accuracy": value}, "at_best": {},
             "best_step": None, "diverged_at": None, "key": f"{name}{number}"}
            for name, values in scores.items() for number, value in enumerate(values)
        ],
    }  # fmt: skip


def test_tickets_are_named_and_tested_together() -> None:
    scores = {"dense": GOOD, "a": BELOW, "b": CLOSE, "c": NONE}
    beside = {"random a": [x - 0.001 for x in RANDOM], "random b": RANDOM, "random c": [x + 0.001 for x in RANDOM]}
    said = compare_tickets(results_of(scores | beside), [])
    by_a, by_b = (
        stats.ttest_1samp([x - y for x, y in zip(scores[name], beside[f"random {name}"], strict=True)], 0).pvalue
        for name in "ab"
    )
    assert by_a < 0.05 / 3
    assert 0.05 / 2 < by_b < 0.05
    assert (said.verdict["found"], said.verdict["confirmed"]) == (True, True)
    assert said.verdict["sentences"][-1] == (
        "With 8 examples a, b are better than random, with the whole interval; for a it holds when the 3 tickets are "
        "tested together (Holm)."
    )


def test_two_arms_alike_leave_the_rest_as_it_is() -> None:
    scores = {
        "dense": GOOD,
        "a": GOOD,
        "b": BELOW,
        "random a": RANDOM,
        "random b": NONE,
        "union": CLOSE,
    }
    with pytest.warns(UserWarning, match="no effect: dense and a have the same scores in all 4 cells"):
        said = compare_tickets(results_of(scores), [])
    verdict = said.verdict
    assert verdict["summary"].startswith("8 examples: a ")
    assert (verdict["found"], verdict["confirmed"]) == (True, True)
    assert verdict["sentences"][-1] == "With 8 examples b is better than random, with the whole interval."
    assert {row["against"] for row in said.tables["comparisons"] if row["arm"] == "b"} == {"dense", "random b", "union"}
    with pytest.warns(UserWarning, match="dense and a"):
        alone = compare_tickets(results_of({"dense": GOOD, "a": GOOD, "random a": RANDOM}), [])
    assert (alone.verdict["found"], alone.verdict["confirmed"]) == (False, None)


def test_where_no_arm_learned_nothing_is_compared() -> None:
    scores = {"dense": [0.6, 0.61, 0.59, 0.6], "a": CLOSE, "random a": [0.5, 0.51, 0.5, 0.52]}
    unlearned = compare_tickets(results_of(scores) | {"constant": {"accuracy": 0.7}}, [])
    assert not unlearned.verdict["found"]
    assert unlearned.verdict["sentences"][0].startswith(
        "With 8 examples no arm is clearly better than an answer that looks at no input: that anything was "
        "learned is not settled"
    )
    learned = compare_tickets(results_of(scores) | {"constant": {"accuracy": 0.55}}, [])
    assert learned.verdict["found"]
    assert "anything was learned" not in " ".join(learned.verdict["sentences"])
