"""What is said where pruned weights train on: no ticket is found, whole networks are restarted."""

from typing import Any

from lth.analysis.statistics import Interval, paired_difference

DONE = {"reinit": "drawn anew", "soft": "set to zero"}


def restart_sentences(levels: list[dict[str, Any]], dense: dict[str, Any], pruned: str, confidence: float) -> list[str]:
    """The verdict in words, for a study in which pruned weights train on.

    Args:
        levels: measures of each level's arms, as in the results document.
        dense: measures of the dense network.
        pruned: what was done to pruned weights, `reinit` or `soft`.
        confidence: level of the intervals.
    """
    percent = f"{100 * confidence:g} %"
    sentences = [
        f"Nothing is pruned for good: at each level the lowest weights were {DONE[pruned]} and the whole network "
        "trained on. So there are no tickets, and a level's density is the share of weights that were not touched."
    ]
    for level in levels:
        arms = level["arms"]
        if arms["ticket"]["test_accuracy"]["mean"] is None:
            continue
        values = arms["ticket"]["test_accuracy"]["values"]
        against = {"the dense network": dense} | {
            f"control {arm}": measures for arm, measures in arms.items() if arm != "ticket"
        }
        found = [
            f"{_points(paired_difference(values, measures['test_accuracy']['values'], confidence))} from {name}"
            for name, measures in against.items()
            if measures["test_accuracy"]["mean"] is not None
        ]
        sentences.append(f"Level {level['level']}, {100 * level['density']:.1f} % not touched: {'; '.join(found)}.")
    sentences.append(
        f"Differences in points of test accuracy, paired over replicates, with {percent} intervals. Control reinit is "
        f"a network from new initial weights of which the same weights were {DONE[pruned]}, control random one in "
        "which random weights were."
    )
    return sentences


def _points(difference: Interval) -> str:
    mean, low, high = difference["mean"], difference["low"], difference["high"]
    if mean is None:
        return "not comparable"
    return f"{100 * mean:+.2f}" + ("" if low is None or high is None else f" [{100 * low:+.2f}, {100 * high:+.2f}]")
