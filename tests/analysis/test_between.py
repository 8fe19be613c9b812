"""Studies beside each other: which places are one, what is tested, and what is said."""

from copy import deepcopy
from random import Random
from typing import Any

import pytest

from lth.analysis.between import Against, compare_studies
from lth.analysis.between_sentences import against_in_words, gap_lines, how_compared

ARMS = [{"name": name, "words": name, "role": role} for name, role in (("ticket", "subject"), ("dense", "baseline"))]


def study(densities: list[float], gain: float = 0.0, replicates: int = 5, **config: Any) -> Any:
    """Results of a search with these densities, better than the usual by a gain."""
    rows = []
    for replicate in range(replicates):
        shared = Random(replicate).gauss(0, 0.01)
        for level, density in enumerate([1.0, *densities]):
            own = Random(f"{replicate} {density} {gain} {config}").gauss(0, 0.001) if level else 0.0
            value = 0.9 + shared + own + (gain if level else 0.0)
            rows.append(
                {
                    "key": f"dense-{replicate}" if not level else f"{config}-{gain}-{replicate}-{level}",
                    "arm": "ticket" if level else "dense",
                    "replicate": replicate,
                    "at": {"level": level, "density": density},
                    "end": {"test/accuracy": value},
                    "at_best": {},
                    "best_step": None,
                    "diverged_at": None,
                }
            )
    metrics = {"accuracy": {"better": "higher", "unit": "fraction", "words": ""}}
    more = {"primary": "accuracy", "confidence": 0.95, "config": {"data_digest": "d"} | config}
    return {"metrics": metrics, "arms": ARMS, "rows": rows, **more}


def against(first: Any, other: Any) -> Against:
    (only,) = compare_studies([("A", first), ("B", other)])
    return only


def test_places_of_one_density_are_one_whatever_their_level() -> None:
    found = against(study([0.8, 0.64, 0.512]), study([0.641, 0.2], gain=0.02))
    assert [(gap.arm, gap.place, gap.is_same) for gap in found.gaps] == [
        ("dense", "", True),
        ("ticket", "64 % and 64.1 %", False),
    ]
    assert found.gaps[1].pair.is_better
    assert found.gaps[1].pair.difference["mean"] == pytest.approx(0.02, abs=0.002)


def test_ends_far_apart_are_shown_where_no_place_is_shared_and_settle_nothing() -> None:
    first, other = study([0.7, 0.5]), study([0.1], gain=-0.02)
    found = against(first, other)
    assert [(gap.place, gap.is_end, gap.is_apart) for gap in found.gaps] == [
        ("", False, False),
        ("50 % and 10 %", True, True),
    ]
    said = against_in_words(found, first)
    assert "B and A have no density in common: at the last place of each (50 % and 10 %" in said
    assert "which their densities alone may make" in said
    assert gap_lines(found, first)[-1][-1] == "other densities"


def test_near_places_are_compared_where_no_place_is_shared() -> None:
    first, other = study([0.7, 0.5, 0.3]), study([0.75, 0.2], gain=-0.02)
    found = against(first, other)
    assert [line[0::5] for line in gap_lines(found, first)] == [
        ["dense", "same networks"],
        ["70 % and 75 %", "worse"],
        ["30 % and 20 %", "other densities"],
    ]
    assert "B is worse than A at 70 % and 75 % of the prunable weights by 2.0" in against_in_words(found, first)


def test_places_near_each_other_are_shown_and_settle_nothing() -> None:
    first = study([0.7, 0.49, 0.2])
    found = against(first, study([0.75, 0.49], gain=0.02))
    assert [line[0::5] for line in gap_lines(found, first)] == [
        ["dense", "same networks"],
        ["70 % and 75 %", "other densities"],
        ["49 %", "better"],
    ]
    assert "this one difference" in how_compared([found], first)


def test_networks_that_both_share_are_no_difference_and_are_not_tested() -> None:
    first, other = study([0.5]), study([0.5], gain=0.02)
    found = against(first, other)
    assert len(found.compared) == 1
    said = against_in_words(found, first)
    assert said.startswith("B is better than A at 50 % of the prunable weights by ")
    assert said.endswith(", settled. At one place both have the same networks.")
    assert gap_lines(found, first)[0][-1] == "same networks"
    assert "this one difference" in how_compared([found], first)
    assert "wherever they can be compared" in against_in_words(against(first, deepcopy(first)), first)


def test_what_chance_explains_is_not_settled() -> None:
    first, other = study([0.5, 0.25], seed=1), study([0.5, 0.25], seed=2)
    for row in other["rows"]:
        row["end"]["test/accuracy"] += 0.01 * (-1) ** row["replicate"]
    found = against(first, other)
    assert against_in_words(found, first).startswith("Which of B and A is better is not settled at any of the 2 places")
    assert [line[-1] for line in gap_lines(found, first)] == ["same networks", "no", "no"]


def test_arms_of_other_names_are_named() -> None:
    first, other = study([0.5]), study([0.5], gain=-0.02)
    other["arms"] = [
        {"name": "mask", "words": "", "role": "subject"},
        {"name": "none", "words": "", "role": "baseline"},
    ]
    for row in other["rows"]:
        row["arm"] = {"ticket": "mask", "dense": "none"}[row["arm"]]
    found = against(first, other)
    assert [gap.arms for gap in found.gaps] == [("ticket", "mask")]  # baselines of two kinds say nothing
    assert "is worse than A comparing ticket with mask at the last place of each (50 %" in against_in_words(
        found, first
    )
    other["arms"][1] = {"name": "dense", "words": "", "role": "source"}
    for row in other["rows"]:
        row["arm"] = row["arm"].replace("none", "dense")
    assert [gap.arm for gap in against(first, other).gaps] == ["dense", "ticket and mask"]


def test_several_studies_are_tested_together() -> None:
    first = study([0.5])
    others = [(f"B{index}", study([0.5], gain=0.002, seed=index)) for index in range(40)]
    alone, family = compare_studies([("A", first), others[0]]), compare_studies([("A", first), *others])
    assert alone[0].gaps[1].pair.difference == family[0].gaps[1].pair.difference
    assert alone[0].gaps[1].pair.settled
    assert not family[0].gaps[1].pair.settled
    assert "all 40 differences together (Holm)" in how_compared(family, first)


def test_one_replicate_and_other_data_are_said() -> None:
    first, other = study([0.5], replicates=1), study([0.5], 0.02, replicates=3, data_digest="other")
    said = against_in_words(against(first, other), first)
    assert said.startswith("One replicate settles nothing about B and A")
    assert said.endswith("The two were measured on different data.")
