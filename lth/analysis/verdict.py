"""The verdict: does the subject match the baseline, how far out on the axis, how sure, and what do its controls say."""

from lth.analysis.comparison import Comparison, beats_constant, compare, constant_gain
from lth.analysis.documents import Finding, Results, Verdict
from lth.analysis.facts import Facts, summary, title
from lth.analysis.reading import arms_of, baseline_cell, num_replicates
from lth.analysis.sentences import sentences
from lth.analysis.tiles import tiles


def compare_with_baseline(
    results: Results,
    *,
    margin: float,
    axis: str = "level",
    finding: str = "winning ticket",
) -> Verdict:
    """Return the verdict on a study whose subject is compared with its baseline at each place of an axis.

    A place *matches* if the mean over replicates of (subject minus baseline, paired) is worse by no more than the
    margin, with no replicate missing, and better than a constant answer. The match is *confirmed* if the whole interval
    is, and has a width: differences that are all alike settle nothing. It is the `finding` if, besides, every control
    that ran there is worse with the whole interval of its own paired difference; one that starts from the subject's
    weights counts as not run. Nothing is found where the baseline itself does not clearly beat a constant answer.

    Args:
        results: the results document; its verdict is not read.
        margin: what the primary metric may be worse by, in its own unit (fractions for accuracies).
        axis: along it places go further, as to sparser levels; the furthest finding is the verdict's.
        finding: what is looked for, in words.
    Returns:
        The verdict with all its fields but `axis_words`.
    """
    compared = sorted(compare(results, margin=margin), key=lambda each: _order(each, axis))
    base = baseline_cell(results, "primary")
    is_learned = base is None or base["interval"]["mean"] is None or beats_constant(base["interval"], results)
    matching = [each for each in compared if each.matches] if is_learned else []
    facts = Facts(
        results=results,
        compared=tuple(compared),
        winning=_last([each for each in matching if each.wins]),
        match=_last(matching),
        confirmed_match=_last([each for each in matching if each.confirmed]),
        is_learned=is_learned,
        margin=margin,
        axis=axis,
        finding=finding,
    )
    head = facts.head
    confirmed = None if head is None or head.confirmed is None else facts.winning is not None
    return {
        "found": head is not None,
        "confirmed": confirmed,
        "summary": summary(facts),
        "title": title(facts),
        "sentences": sentences(facts),
        "tiles": tiles(facts),
        "at": head.at if head else {},
        "margin": margin,
        "confidence": results["confidence"],
        "replicates": num_replicates(results),
        "winning": _document(facts.winning),
        "match": _document(facts.match),
        "confirmed_match": _document(facts.confirmed_match),
        "furthest": _document(facts.furthest),
        "baseline_over_constant": constant_gain(base["interval"], results) if base else None,
        "arms": {role: [arm["name"] for arm in arms_of(results, role)] for role in ("baseline", "subject", "control")},
    }


def _last(comparisons: list[Comparison]) -> Comparison | None:
    return comparisons[-1] if comparisons else None


def _order(each: Comparison, axis: str) -> float:
    value = each.at.get(axis, 0.0)
    return value if isinstance(value, int | float) else 0.0


def _document(comparison: Comparison | None) -> Finding | None:
    """Return a finding as JSON values."""
    if comparison is None:
        return None
    early = comparison.early
    return {
        "at": comparison.at,
        "value": comparison.value,
        "baseline": comparison.baseline,
        "difference": comparison.difference,
        "confirmed": comparison.confirmed,
        "controls": {
            rival.arm["name"]: {
                "value": rival.value,
                "difference": rival.difference,
                "is_worse": rival.is_worse,
                "is_vacuous": rival.is_vacuous,
            }
            for rival in comparison.rivals
        },
        "early_stopping": None
        if early is None
        else {
            "subject": early.subject,
            "baseline": early.baseline,
            "difference": early.difference,
            "at_last_step": list(early.censored),
        },
    }
