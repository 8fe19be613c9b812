"""The verdict picks the sparsest matching level, says how sure it is, and claims nothing without controls."""

from typing import Any

from lth.analysis import interval, verdict


def measures(accuracies: list[float | None], iterations: list[float]) -> dict[str, Any]:
    return {
        "test_accuracy": interval(accuracies, 0.95),
        "early_stop_iteration": interval(iterations, 0.95),
        "diverged": sum(value is None for value in accuracies),
    }


DENSE = measures([0.95, 0.96, 0.97], [100, 100, 100])


def level(number: int, ticket: list[float | None], control: list[float] | None = None) -> dict[str, Any]:
    arms = {"ticket": measures(ticket, [60, 60, 60])}
    if control is not None:
        arms["reinit"] = measures(list(control), [90, 90, 90])
    return {"level": number, "density": 0.8**number, "arms": arms}


def test_sparsest_matching_level_wins_and_is_confirmed_by_its_interval() -> None:
    levels = [level(1, [0.94, 0.95, 0.96]), level(2, [0.96, 0.97, 0.981], [0.9, 0.91, 0.92]), level(3, [0.9, 0.9, 0.9])]
    found = verdict(DENSE, levels, margin=0.0, confidence=0.95)
    assert (found["found"], found["level"], found["confirmed"]) == (True, 2, True)
    assert found["speedup"]["ratio"] == 0.6
    assert "no settled difference (difference -40" in " ".join(found["sentences"])  # all alike: no spread
    assert found["controls"]["reinit"]["difference"]["mean"] > 0.05


def test_a_wide_interval_does_not_settle_the_match() -> None:
    found = verdict(DENSE, [level(1, [0.99, 0.90, 1.0], [0.9, 0.9, 0.9])], margin=0.0, confidence=0.95)
    assert found["found"]
    assert found["confirmed"] is False
    assert "do not settle" in " ".join(found["sentences"])
    assert found["sparsest_confirmed"] is None


def test_the_sparsest_confirmed_match_is_named_beside_an_unsettled_one() -> None:
    levels = [level(1, [0.96, 0.97, 0.981], [0.9, 0.9, 0.9]), level(2, [0.99, 0.90, 1.0], [0.9, 0.9, 0.9])]
    found = verdict(DENSE, levels, margin=0.0, confidence=0.95)
    assert (found["level"], found["sparsest_confirmed"]["level"]) == (2, 1)
    assert "last level of this study" in found["sentences"][1]


def test_differences_without_spread_settle_nothing() -> None:
    found = verdict(DENSE, [level(1, [0.95, 0.96, 0.97], [0.9, 0.9, 0.9])], margin=0.0, confidence=0.95)
    assert found["confirmed"] is False
    assert found["sparsest_confirmed"] is None
    assert "no spread" in found["sentences"][1]


def test_the_margin_decides() -> None:
    levels = [level(1, [0.94, 0.95, 0.96])]
    assert not verdict(DENSE, levels, margin=0.005, confidence=0.95)["found"]
    assert verdict(DENSE, levels, margin=0.011, confidence=0.95)["found"]


def test_a_level_with_a_diverged_replicate_does_not_count() -> None:
    assert not verdict(DENSE, [level(1, [0.99, 0.99, None])], margin=0.0, confidence=0.95)["found"]


def test_a_diverged_dense_network_leaves_nothing_to_compare() -> None:
    dense = measures([0.9, None], [100, 100])
    found = verdict(dense, [level(1, [0.95, 0.96])], margin=0.0, confidence=0.95)
    assert not found["found"]
    assert found["sentences"] == [
        "1 of 2 dense networks diverged, so nothing can be compared. Try a lower learning rate, or clipping."
    ]


def test_without_controls_nothing_is_claimed() -> None:
    found = verdict(DENSE, [level(1, [0.96, 0.97, 0.98])], margin=0.0, confidence=0.95)
    assert "no claim of a winning ticket" in found["sentences"][-1]


def test_one_replicate_is_an_observation() -> None:
    dense = measures([0.9], [100])
    one = {"level": 1, "density": 0.8, "arms": {"ticket": measures([0.95], [50])}}
    found = verdict(dense, [one], margin=0.0, confidence=0.95)
    assert found["confirmed"] is None
    assert "not a claim" in " ".join(found["sentences"])
