"""The verdict on a study whose arms are compared without an axis: subjects beside a baseline and controls."""

from lth.analysis.comparison import beats_constant
from lth.analysis.documents import Results, Verdict
from lth.analysis.facts import studied
from lth.analysis.numbers import show, show_paired
from lth.analysis.reading import arms_of, cells, metric_of
from lth.analysis.statistics import paired_difference


def compare_arms(results: Results, *, finding: str) -> Verdict:
    """Return the verdict on a study of arms: each subject beside the baseline and every control, paired.

    It is found if a subject is better than the baseline and all controls on average, and clearly better than a constant
    answer; confirmed if the whole interval of each difference says so.

    Args:
        results: the results document; its verdict is not read.
        finding: what a subject is, in words ("supermask").
    """
    metric, confidence = metric_of(results, "primary"), results["confidence"]
    measured = f"{metric.part} {metric.name}".strip()
    values = {cell["arm"]: cell["interval"] for cell in cells(results, "primary")}
    rivals = [arm["name"] for arm in arms_of(results, "baseline", "control")]
    sentences, best, sure = [], None, False
    for arm in arms_of(results, "subject"):
        value = values[arm["name"]]
        if value["mean"] is None:
            sentences.append(f"{arm['name']}: every replicate diverged. Try a lower --lr.")
            continue
        against, better, settled = [], True, True
        for name in rivals:
            difference = paired_difference(value["values"], values[name]["values"], confidence)
            if difference["mean"] is None:
                continue
            worst = difference["low"] if metric.better == "higher" else difference["high"]
            better = better and metric.gain(difference["mean"]) > 0
            has_spread = difference["low"] != difference["high"]
            settled = settled and has_spread and worst is not None and metric.gain(worst) > 0
            against.append(f"{show_paired(difference, metric, confidence)} from {name}")
        sentences.append(
            f"{arm['words'][0].upper()}{arm['words'][1:]}: {measured} "
            f"{show(value['mean'], metric)}; {'; '.join(against)}."
        )
        if better and beats_constant(value, results) and (best is None or metric.gain(value["mean"] - best) > 0):
            best, sure = value["mean"], settled
    what = studied(results["config"])
    constant = results["constant"].get(results["primary"])
    if constant is not None:
        sentences.append(f"An answer that looks at no input reaches {show(constant, metric)}.")
    state = "confirmed" if sure else "not settled"
    return {
        "found": best is not None,
        "confirmed": sure if best is not None else None,
        "summary": "none" if best is None else f"{show(best, metric)} ({state})",
        "title": f"No {finding} of {what}"
        if best is None
        else f"{finding.capitalize()} of {what}: {measured} {show(best, metric)}{'' if sure else ' (not settled)'}",
        "sentences": sentences,
        "tiles": [],
        "at": {},
    }
