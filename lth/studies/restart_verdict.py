"""The verdict on a search whose pruned weights are not pruned for good: they are redrawn or zeroed, and train on."""

from lth.analysis.comparison import compare
from lth.analysis.documents import Interval, Results, Verdict
from lth.analysis.facts import studied
from lth.analysis.numbers import number, percent, remaining, unit_of_difference
from lth.analysis.reading import arms_of, metric_of, num_replicates


def verdict_on_restarts(results: Results, done: str) -> Verdict:
    """Return the verdict on a search in which pruned weights train on: differences, and no finding.

    Args:
        results: the results document; its verdict is not read.
        done: what was done to the lowest weights, in words ("set to zero").
    """
    metric = metric_of(results, "primary")
    sentences = [
        f"Nothing is pruned for good: at each level the lowest weights were {done} and the whole network trained on. "
        "So there are no tickets, and a level's density is the share of weights that were not touched."
    ]
    names = [arm["name"] for arm in arms_of(results, "baseline")]
    for each in compare(results, margin=0.0):
        if each.value["mean"] is None:
            continue
        against = [(f"the {name} network", each.difference) for name in names]
        against += [(f"control {rival.arm['name']}", rival.difference) for rival in each.rivals]
        differences = [
            f"{_difference(difference, results)} from {name}"
            for name, difference in against
            if difference["mean"] is not None
        ]
        density = each.at.get("density")
        share = f", {remaining(density)} % not touched" if isinstance(density, int | float) else ""
        sentences.append(f"Level {each.at.get('level', '')}{share}: {'; '.join(differences)}.")
    unit = unit_of_difference(metric)
    sentences.append(
        f"Differences{f' in{unit}' if unit else ''} of {metric.part} {metric.name}, paired over replicates, with "
        f"{percent(results['confidence'])} intervals."
    )
    return {
        "found": False,
        "confirmed": None,
        "summary": "none (pruned weights train on)",
        "title": f"Restarts of {studied(results['config'])}: nothing is pruned for good",
        "sentences": sentences,
        "tiles": [],
        "at": {},
        "axis_words": {"density": f"Weights not {done} (%)"},
        "confidence": results["confidence"],
        "replicates": num_replicates(results),
    }


def _difference(difference: Interval, results: Results) -> str:
    metric = metric_of(results, "primary")
    low, high = difference["low"], difference["high"]
    text = number(difference["mean"], metric, signed=True)
    if low is None or high is None:
        return text
    return f"{text} [{number(low, metric, signed=True)}, {number(high, metric, signed=True)}]"
