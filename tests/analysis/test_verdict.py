"""The verdict picks the sparsest place that holds, says how sure it is, and claims nothing without evidence."""

from typing import Any

import pytest
from rows import arm, results

from lth.analysis.verdict import compare_with_baseline
from lth.studies.restart_verdict import verdict_on_restarts

Rows = list[dict[str, Any]]
Values = list[float | None]
DENSE = arm("dense", 0, [0.95, 0.96, 0.97])
GOOD: Values = [0.96, 0.97, 0.981]
WIDE: Values = [0.99, 0.90, 1.0]
WORSE: Values = [0.92, 0.91, 0.93]


def verdict(rows: Rows, margin: float = 0.0, **more: Any) -> dict[str, Any]:
    found = compare_with_baseline(results(rows, **more), margin=margin)
    assert {"found", "confirmed", "summary", "title", "sentences", "tiles", "at"} <= found.keys()
    assert all(set(tile) == {"label", "value", "note"} for tile in found["tiles"])
    return found


def text(found: dict[str, Any]) -> str:
    return " ".join(found["sentences"])


def test_a_confirmed_match_with_worse_controls_wins() -> None:
    rows = [*DENSE, *arm("ticket", 1, GOOD), *arm("reinit", 1, WORSE), *arm("random", 1, [0.8, 0.81, 0.79])]
    found = verdict([*rows, *arm("ticket", 2, [0.9, 0.9, 0.9])], margin=0.005)
    assert (found["found"], found["confirmed"], found["at"]["level"]) == (True, True, 1)
    assert found["title"] == "Winning tickets of lenet-300-100 on digits: 80 % of the prunable weights suffice"
    assert found["summary"] == "80 % (confirmed)"
    first = found["sentences"][0]
    assert first.startswith("A confirmed winning ticket: with 80 % of the prunable weights (level 1), the ticket")
    assert "97.03 %, against 96.00 % dense (margin 0.5 points); the reinit 92.00 %; the random 80.00 %" in first
    assert first.endswith("3 replicates, 95 % intervals.")
    assert "The sparsest level of all, 64 % of the prunable weights (level 2): ticket 90.00 %" in text(found)


def test_what_an_interval_settles_is_said_of_the_margin_that_there_is() -> None:
    better = [each + 0.01 + 0.001 * index for index, each in enumerate([0.95, 0.96, 0.97])]
    for margin, words in ((0.0, "no worse than dense"), (0.005, "no worse than the margin allows")):
        found = verdict([*DENSE, *arm("ticket", 1, better), *arm("reinit", 1, WORSE)], margin=margin)
        assert f"the whole interval is {words}." in text(found)
    assert "(no margin)" in text(verdict([*DENSE, *arm("ticket", 1, better)], margin=0.0))
    wide = verdict([*DENSE, *arm("ticket", 1, WIDE)], margin=0.0)
    assert "the interval includes values worse than dense" in text(wide)
    none = verdict([*DENSE, *arm("ticket", 1, WORSE)], margin=0.0)
    assert "reach the dense network's 96.00 %" in text(none)


def test_the_sparsest_place_at_which_all_holds_is_named_before_a_sparser_match() -> None:
    controls = [*arm("reinit", 1, WORSE), *arm("reinit", 2, WORSE)]
    found = verdict([*DENSE, *arm("ticket", 1, GOOD), *arm("ticket", 2, WIDE), *controls])
    assert found["at"]["level"] == 1
    assert found["match"]["at"]["level"] == 2
    assert found["match"]["confirmed"] is False
    assert "The furthest match is at 64 % of the prunable weights (level 2)" in text(found)
    assert "It is the last level of this study" in text(found)


def test_a_control_that_is_as_good_leaves_no_winning_ticket() -> None:
    controls = [*arm("reinit", 1, [0.961, 0.969, 0.98]), *arm("random", 1, WORSE)]
    found = verdict([*DENSE, *arm("ticket", 1, GOOD), *controls])
    assert (found["found"], found["confirmed"]) == (True, False)
    assert found["winning"] is None
    assert found["title"].startswith("No confirmed winning ticket")
    assert found["summary"] == "80 % (controls not clearly worse)"
    assert "not every control is worse" in found["sentences"][0]
    assert "not settled" in next(sentence for sentence in found["sentences"] if "Control reinit" in sentence)


def test_without_controls_nothing_is_claimed() -> None:
    found = verdict([*DENSE, *arm("ticket", 1, GOOD)])
    assert found["confirmed"] is False
    assert "no claim of a winning ticket" in found["sentences"][0]
    assert found["summary"] == "80 % (no controls)"


def test_a_source_is_no_control() -> None:
    found = verdict([*DENSE, *arm("ticket", 1, GOOD), *arm("sparsified", 1, WORSE)])
    assert found["winning"] is None
    assert "Arm sparsified, the sparsified: 92.00 %" in text(found)


def test_a_control_that_starts_from_the_ticket_controls_nothing() -> None:
    rows = [*DENSE, *arm("ticket", 1, GOOD, start_digest="aa"), *arm("reinit", 1, GOOD, start_digest="aa")]
    found = verdict([*rows, *arm("reinit", 2, WORSE, start_digest="bb")])
    assert found["winning"] is None
    assert "Control reinit, the reinit, controls nothing: its starting weights are those of the ticket." in text(found)
    assert "+0.00" not in text(found)
    assert [tile["value"] for tile in found["tiles"] if tile["label"] == "Against reinit"] == ["controls nothing"]
    both = verdict([*rows, *arm("random", 1, WORSE, start_digest="cc")])
    assert both["confirmed"] is True  # the other control is one


def test_what_does_not_beat_a_constant_answer_has_no_tickets() -> None:
    rows = [*arm("dense", 0, [0.849, 0.85, 0.848]), *arm("ticket", 1, [0.85, 0.851, 0.8495])]
    rows += arm("reinit", 1, [0.7, 0.7, 0.71])
    assert verdict(rows, constant={})["confirmed"] is True
    found = verdict(rows, constant={"accuracy": 0.85})
    assert (found["found"], found["confirmed"], found["at"]) == (False, None, {})
    assert "an answer that looks at no input" in found["sentences"][0]
    assert "84.90 %" in found["sentences"][0]
    assert "85.00 %" in found["sentences"][0]
    assert found["title"].endswith("the dense network does no better than an answer that looks at no input")
    assert [tile["label"] for tile in found["tiles"]] == ["Constant answer"]


def test_a_ticket_below_a_constant_answer_matches_nothing() -> None:
    rows = [*arm("dense", 0, [0.87, 0.871, 0.872]), *arm("ticket", 1, [0.84, 0.841, 0.839])]
    assert verdict(rows, margin=0.05)["found"]
    assert not verdict(rows, margin=0.05, constant={"accuracy": 0.85})["found"]


def test_the_constant_answer_stands_beside_the_baseline() -> None:
    found = verdict([*DENSE, *arm("ticket", 1, GOOD)], constant={"accuracy": 0.1135})
    assert found["sentences"][-1] == "For scale: an answer that looks at no input reaches 11.35 %; dense has 96.00 %."


def test_a_wide_interval_does_not_settle_the_match() -> None:
    found = verdict([*DENSE, *arm("ticket", 1, WIDE), *arm("reinit", 1, [0.5, 0.51, 0.52])])
    assert (found["found"], found["confirmed"]) == (True, False)
    assert "do not settle the match" in found["sentences"][0]
    assert found["confirmed_match"] is None
    assert found["summary"] == "80 % (not settled)"


def test_differences_without_spread_settle_nothing() -> None:
    found = verdict([*DENSE, *arm("ticket", 1, [0.95, 0.96, 0.97])])
    assert found["confirmed"] is False
    assert "is +0.00 points (the same in all replicates): a small test set" in text(found)
    assert "no spread to judge by" in text(found)
    assert "interval +0.00 to +0.00" not in text(found)


def test_the_margin_decides() -> None:
    rows = [*DENSE, *arm("ticket", 1, [0.94, 0.95, 0.96])]
    assert not verdict(rows, margin=0.005)["found"]
    assert verdict(rows, margin=0.011)["found"]


def test_no_match_names_the_closest() -> None:
    found = verdict([*DENSE, *arm("ticket", 1, [0.94, 0.94, 0.95]), *arm("ticket", 2, WORSE)])
    assert (found["found"], found["summary"]) == (False, "none")
    assert found["title"] == "No winning ticket of lenet-300-100 on digits"
    assert "The closest is 80 % of the prunable weights (level 1): 94.33 %" in text(found)


def test_a_lower_loss_is_better() -> None:
    rows = [*arm("dense", 0, [1.50, 1.51, 1.49], "loss"), *arm("ticket", 1, [1.45, 1.46, 1.445], "loss")]
    rows += [*arm("reinit", 1, [1.9, 1.92, 1.91], "loss"), *arm("ticket", 2, [1.6, 1.61, 1.62], "loss")]
    found = verdict(rows, 0.02, primary="loss", constant={"loss": 3.3})
    assert (found["confirmed"], found["at"]["level"]) == (True, 1)
    assert "a test loss of 1.452, against 1.500 dense (margin 0.02 nats); the reinit 1.910" in found["sentences"][0]
    assert "-0.048 nats" in text(found)
    assert "Lower loss is better." in text(found)
    assert "accuracy" not in text(found)
    assert not verdict(rows, 0.02, primary="loss", constant={"loss": 1.4})["found"]


def test_a_level_with_a_diverged_replicate_does_not_count() -> None:
    found = verdict([*DENSE, *arm("ticket", 1, [0.99, 0.99, None])])
    assert not found["found"]
    assert "At every level a ticket diverged" in found["sentences"][0]


def test_a_training_that_is_missing_counts_as_diverged() -> None:
    rows = arm("ticket", 1, GOOD)
    rows[1] |= {"missing": "the training before it diverged"}
    assert not verdict([*DENSE, *rows])["found"]


def test_a_diverged_dense_network_leaves_nothing_to_compare() -> None:
    found = verdict([*arm("dense", 0, [0.9, None]), *arm("ticket", 1, [0.95, 0.96])])
    assert not found["found"]
    assert found["sentences"] == [
        "1 of 2 dense networks diverged, so nothing can be compared. Try a lower learning rate, or clipping."
    ]


def test_a_control_that_diverged_is_named_and_proves_nothing() -> None:
    found = verdict([*DENSE, *arm("ticket", 1, GOOD), *arm("reinit", 1, [None, None, None])])
    assert found["winning"] is None
    assert "Control reinit, the reinit: every replicate diverged." in text(found)


def test_one_replicate_is_an_observation() -> None:
    found = verdict([*arm("dense", 0, [0.9]), *arm("ticket", 1, [0.95]), *arm("reinit", 1, [0.5])])
    assert (found["found"], found["confirmed"], found["summary"]) == (True, None, "80 % (one replicate)")
    assert found["sentences"][0].startswith("One replicate, so an observation and not a claim")
    assert found["tiles"][1]["note"].endswith("one replicate: no interval")


def speed(ticket: list[int], dense: list[int], steps: int = 1000) -> dict[str, Any]:
    rows = [*arm("dense", 0, [0.95, 0.96, 0.97], steps=steps), *arm("ticket", 1, GOOD, steps=steps)]
    for each, step in zip(rows, [*dense, *ticket], strict=True):
        each["best_step"] = step
    return verdict(rows)


def test_early_stopping_is_compared_in_pairs() -> None:
    assert "40 % earlier (-40 steps, 95 % interval" in text(speed([60, 62, 61], [100, 105, 98]))
    unsettled = speed([60, 162, 61], [100, 105, 98])
    assert "no settled difference (" in text(unsettled)
    tile = next(tile for tile in unsettled["tiles"] if tile["label"] == "Early stopping")
    assert tile["value"] == "no settled difference"
    assert "earlier" not in tile["note"]
    alike = speed([60, 65, 58], [100, 105, 98])
    assert "no settled difference (-40 steps, the same in all replicates)" in text(alike)


def test_a_best_step_at_the_end_of_training_is_marked() -> None:
    assert "last step" not in text(speed([60, 62, 61], [100, 105, 98]))
    found = speed([60, 100, 100], [98, 97, 100], steps=100)
    assert "In 2 of 3 ticket trainings and 1 of 3 dense trainings that is the last step" in text(found)
    assert late_note(found).endswith("at the last step in some replicates")
    everywhere = speed([100, 100, 100], [100, 100, 100], steps=100)
    assert "In all replicates of both that is the last step" in text(everywhere)
    assert late_note(everywhere).endswith("at the last step in all replicates")


def late_note(found: dict[str, Any]) -> str:
    """What stands below the number of early stopping."""
    [tile] = [tile for tile in found["tiles"] if tile["label"] == "Early stopping"]
    return str(tile["note"])


def test_steps_differ_by_no_more_than_the_last_one() -> None:
    note = late_note(speed([1, 100, 50], [100, 1, 60], steps=100))
    assert "95 % interval -100 to +100" in note


def test_places_without_levels_are_compared_too() -> None:
    arms: dict[str, Values] = {"dense": [0.95, 0.96, 0.97], "ticket": GOOD, "random": WORSE}
    found = verdict([each for name, values in arms.items() for each in arm(name, 0, values, at={})])
    assert (found["confirmed"], found["at"]) == (True, {})
    assert found["sentences"][0].startswith("A confirmed winning ticket: the match, the ticket reaches a test accuracy")


@pytest.mark.parametrize("rows", [[], DENSE, arm("ticket", 1, GOOD)], ids=["none", "no subject", "no baseline"])
def test_nothing_to_compare_is_said(rows: Rows) -> None:
    found = verdict(rows)
    assert not found["found"]
    assert found["sentences"] == ["Nothing was trained that could be compared."]


def test_where_pruned_weights_train_on_nothing_is_claimed() -> None:
    rows = [*arm("dense", 0, [0.9, 0.9]), *arm("ticket", 1, [0.92, 0.94]), *arm("reinit", 1, [0.91, 0.91])]
    rows += [*arm("ticket", 2, [None, None]), *arm("reinit", 2, [0.9, 0.9])]
    document = results(rows, config={"model": "m", "data": "d", "pruned": "reinit"})
    found = verdict_on_restarts(document, "drawn anew")
    assert (found["found"], found["confirmed"], found["tiles"]) == (False, None, [])
    assert "there are no tickets" in found["sentences"][0]
    assert found["sentences"][1].startswith("Level 1, 80 % not touched: +3.00 [")
    assert "+2.00 [" in found["sentences"][1]
    assert "from control reinit" in found["sentences"][1]
    assert not any("Level 2" in sentence for sentence in found["sentences"])
    assert "match" not in text(found)
    assert found["axis_words"] == {"density": "Weights not drawn anew (%)"}
