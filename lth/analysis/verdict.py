"""The verdict: is there a winning ticket, how sparse, how sure, and what do its controls say."""

from typing import Any

from lth.analysis.statistics import Interval, paired_difference

CONTROL_NAMES = {
    "sparsified": "the training that was pruned on its way and gave the mask",
    "reinit": "the same mask with new initial weights",
    "random": "a random mask of the same layer densities",
}


STABLER = "Try a lower learning rate, or clipping."


def verdict(dense: dict[str, Any], levels: list[dict[str, Any]], *, margin: float, confidence: float) -> dict[str, Any]:
    """The sparsest level whose tickets' mean test accuracy is not below dense, with its evidence.

    A level matches if the mean over replicates of (ticket minus dense, paired) is at least -margin, with no replicate
    missing. It is *confirmed* if the lower end of that mean's interval is at least -margin too, and the interval has a
    width: differences that are all alike settle nothing.

    Args:
        dense: measures of the dense network.
        levels: measures of each level's arms, as in the results document.
        margin: accuracy that may be lost, as a fraction.
        confidence: level of the intervals.
    """
    accuracies = dense["test_accuracy"]["values"]
    whole = [level for level in levels if level["arms"]["ticket"]["diverged"] == dense["diverged"] == 0]
    compared = [
        (level, paired_difference(level["arms"]["ticket"]["test_accuracy"]["values"], accuracies, confidence))
        for level in whole
    ]
    matching = [(level, difference) for level, difference in compared if _mean(difference) >= -margin - 1e-12]
    common = {"margin": margin, "confidence": confidence, "replicates": len(accuracies)}
    if not matching:
        nothing = dict.fromkeys(("level", "density", "confirmed", "is_last_level", "sparsest_confirmed"))
        nothing |= dict.fromkeys(("difference_from_dense", "speedup"))
        return {"found": False, **nothing, "controls": {}, **common, "sentences": _none_found(compared, dense, common)}
    level, difference = matching[-1]
    ticket = level["arms"]["ticket"]
    confirmed = [pair for pair in compared if _is_confirmed(pair[1], margin)]
    controls = {
        arm: _control(ticket, measures, confidence) for arm, measures in level["arms"].items() if arm != "ticket"
    }
    document = {
        "found": True,
        "level": level["level"],
        "density": level["density"],
        "confirmed": _is_confirmed(difference, margin),
        "is_last_level": level is levels[-1],
        "sparsest_confirmed": _named(*confirmed[-1]) if confirmed else None,
        "difference_from_dense": difference,
        "speedup": _speedup(ticket, dense, confidence),
        "controls": controls,
        **common,
    }
    return document | {"sentences": _sentences(document, ticket, dense)}


def _speedup(ticket: dict[str, Any], dense: dict[str, Any], confidence: float) -> dict[str, Any]:
    """Early stopping of tickets and dense, paired."""
    early, late = ticket["early_stop_iteration"], dense["early_stop_iteration"]
    return {
        "ticket_early_stop": early,
        "dense_early_stop": late,
        "difference": paired_difference(early["values"], late["values"], confidence),
        "ratio": early["mean"] / max(1, late["mean"]),
    }


def _control(ticket: dict[str, Any], measures: dict[str, Any], confidence: float) -> dict[str, Any]:
    """A control's measures and what tickets have over it, paired."""
    values, of_control = ticket["test_accuracy"]["values"], measures["test_accuracy"]
    return {
        "test_accuracy": of_control,
        "early_stop_iteration": measures["early_stop_iteration"],
        "difference": paired_difference(values, of_control["values"], confidence),
    }


def _none_found(
    compared: list[tuple[dict[str, Any], Interval]], dense: dict[str, Any], common: dict[str, Any]
) -> list[str]:
    if dense["diverged"]:
        lost = f"{dense['diverged']} of {common['replicates']} dense networks diverged"
        return [f"{lost}, so nothing can be compared. {STABLER}"]
    if not compared:
        return [f"At every level a ticket diverged, so nothing can be compared. {STABLER}"]
    replicates, advice = common["replicates"], "A lower rate, a longer duration or a later rewind step may find one."
    nothing = (
        f"No level has tickets whose mean test accuracy over {replicates} replicate{'s' * (replicates != 1)} is within "
        f"the margin of {_points(common['margin'])} points of the dense network."
    )
    percent = f"{100 * common['confidence']:g} %"
    level, difference = max(compared, key=lambda pair: _mean(pair[1]))
    closest = (
        f"The closest is level {level['level']}, at {100 * level['density']:.1f} % of the weights: "
        f"{_with_interval(difference, percent)}."
    )
    return [nothing, closest, advice]


def _mean(difference: Interval) -> float:
    assert difference["mean"] is not None, "levels with a diverged replicate are left out before"
    return difference["mean"]


def _sentences(document: dict[str, Any], ticket: dict[str, Any], dense: dict[str, Any]) -> list[str]:
    replicates, difference, speedup = document["replicates"], document["difference_from_dense"], document["speedup"]
    percent = f"{100 * document['confidence']:g} %"
    sentences = [
        f"The sparsest tickets that match the dense network keep {100 * document['density']:.1f} % of the "
        f"weights (level "
        f"{document['level']}): mean test accuracy {_percent(ticket)} against {_percent(dense)}, a difference of "
        f"{_with_interval(difference, percent)}, paired over {replicates} replicate{'s' * (replicates != 1)}, margin "
        f"{_points(document['margin'])}.",
        _confirmation(document, percent),
        f"They reach their lowest validation loss at iteration {speedup['ticket_early_stop']['mean']:,.0f} on average, "
        f"the dense network at {speedup['dense_early_stop']['mean']:,.0f}: {_earlier(speedup, percent)}.",
    ]
    for arm, control in document["controls"].items():
        if control["difference"]["mean"] is None:
            sentences.append(f"{_named_arm(arm)}: every replicate diverged.")
            continue
        sentences.append(
            f"{_named_arm(arm)}: {_percent(control)}, the tickets differ by "
            f"{_with_interval(control['difference'], percent)}; its lowest validation loss comes at iteration "
            f"{control['early_stop_iteration']['mean']:,.0f}."
        )
    if not document["controls"].keys() - {"sparsified"}:
        sentences.append(
            "No controls ran, so nothing here shows that the starting weights or the mask matter: this is no "
            "claim of a winning ticket."
        )
    return sentences


def _confirmation(document: dict[str, Any], percent: str) -> str:
    difference, replicates = document["difference_from_dense"], document["replicates"]
    if document["confirmed"] is None:
        return "One replicate has no interval: this is an observation, not a claim."
    last = " It is the last level of this study: sparser ones may match too." if document["is_last_level"] else ""
    if document["confirmed"]:
        return f"The interval does not reach below the margin, so the match is confirmed at this confidence.{last}"
    surest = document["sparsest_confirmed"]
    if difference["low"] == difference["high"]:
        return (
            f"All {replicates} replicates differ by the same amount (a small test set moves in steps), so there is no "
            f"spread to judge by: the match is not settled.{last}"
        )
    text = (
        f"The interval reaches down to {_signed(difference['low'])} points, below the margin: {replicates} replicates "
        f"do not settle this match.{last}"
    )
    if surest is None:
        return f"{text} No level's match is confirmed."
    return (
        f"{text} The sparsest confirmed match keeps {100 * surest['density']:.1f} % (level {surest['level']}): "
        f"{_with_interval(surest['difference'], percent)}."
    )


def _named_arm(arm: str) -> str:
    return f"{'Arm' if arm == 'sparsified' else 'Control'} {arm}, {CONTROL_NAMES[arm]}"


def _is_confirmed(difference: Interval, margin: float) -> bool | None:
    """Whether the whole interval is above the margin; None without an interval. One without width settles nothing."""
    if difference["low"] is None or difference["high"] is None:
        return None
    return difference["low"] >= -margin - 1e-12 and difference["low"] < difference["high"]


def _named(level: dict[str, Any], difference: Interval) -> dict[str, Any]:
    return {"level": level["level"], "density": level["density"], "difference": difference}


def _earlier(speedup: dict[str, Any], percent: str) -> str:
    ratio, difference = speedup["ratio"], speedup["difference"]
    text = f"{100 * abs(1 - ratio):.0f} % {'earlier' if ratio < 1 else 'later'}"
    if difference["low"] is None:
        return text
    is_settled = difference["low"] < difference["high"] and (difference["low"] > 0 or difference["high"] < 0)
    bounds = f"{percent} interval {difference['low']:+,.0f} to {difference['high']:+,.0f}"
    bounds = f"difference {difference['mean']:+,.0f}, {bounds}"
    return f"{text} ({bounds})" if is_settled else f"no settled difference ({bounds})"


def _percent(measures: dict[str, Any]) -> str:
    return f"{100 * measures['test_accuracy']['mean']:.2f} %"


def _with_interval(difference: Interval, percent: str) -> str:
    text = f"{_signed(difference['mean'])} points"
    if difference["low"] is None:
        return text
    return f"{text} ({percent} interval {_signed(difference['low'])} to {_signed(difference['high'])})"


def _signed(fraction: float | None) -> str:
    return "none" if fraction is None else f"{100 * fraction:+.2f}"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f}"
