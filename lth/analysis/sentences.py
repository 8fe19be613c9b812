"""A comparison with a baseline in sentences."""

from lth.analysis.comparison import Comparison, Early, Rival
from lth.analysis.documents import Interval
from lth.analysis.facts import CONSTANT, Facts, beside_constant, place_in_words
from lth.analysis.numbers import is_alike, percent, show, show_margin, show_paired
from lth.analysis.reading import BEST_STEP, arms_of, baseline_cell, metric_named, metric_of, num_diverged, rows_of

STABLER = "Try a lower learning rate, or clipping."


def sentences(facts: Facts) -> list[str]:
    """Return the verdict in sentences; the first says all that matters."""
    if not facts.compared or facts.furthest is None or all(not each.is_complete for each in facts.compared):
        return _incomparable(facts)
    head = facts.head
    if head is None:
        return [
            *(_nothing(facts) if facts.is_learned else _unlearned(facts)),
            *_furthest(facts, None),
            *(beside_constant(facts.results) if facts.is_learned else []),
        ]
    return [
        _first(facts, head),
        *_settled(facts, head),
        *_further_match(facts, head),
        *_rivals(facts, head),
        *_early(facts, head),
        *_furthest(facts, head),
        *(beside_constant(facts.results) if facts.is_learned else []),
    ]


def _first(facts: Facts, head: Comparison) -> str:
    """Say what a newcomer should know."""
    metric = facts.metric
    replicates = f"{facts.replicates} replicate{'s' * (facts.replicates != 1)}"
    share = place_in_words(head.at, facts.axis)
    keeps = f"with {share}" if "density" in head.at else f"at {share}" if share else "the match"
    values = (
        f"{keeps}, the {facts.subject['name']} reaches a {facts.measured} of "
        f"{show(head.value['mean'], metric)}, against {show(head.baseline['mean'], metric)} {facts.baseline['name']} "
        f"({_margin(facts)})"
    )
    rivals = "".join(
        f"; {control.arm['words'] or control.arm['name']} {show(control.value['mean'], metric)}"
        for control in head.controls
    )
    if facts.winning:
        return f"A confirmed {facts.finding}: {values}{rivals}; {replicates}, {percent(facts.confidence)} intervals."
    if head.confirmed is None:
        return f"One replicate, so an observation and not a claim: {values}{rivals}."
    if not head.confirmed:
        return f"No settled {facts.finding}: {values}{rivals}, but {replicates} do not settle the match."
    if head.controls:
        return (
            f"No confirmed {facts.finding}: {values}{rivals}; {replicates}. The match is confirmed, but not every "
            "control is worse with its whole interval."
        )
    return (
        f"A confirmed match, but no claim of a {facts.finding}: {values}; {replicates}. No control that controls "
        "something ran, so nothing here shows that the starting weights or the mask matter."
    )


def _margin(facts: Facts) -> str:
    """Return the margin in words."""
    return f"margin {show_margin(facts.margin, facts.metric)}" if facts.margin else "no margin"


def _no_worse(facts: Facts) -> str:
    """Return where an interval lies that confirms a match; it may lie on the better side altogether."""
    return "no worse than the margin allows" if facts.margin else f"no worse than {facts.baseline['name']}"


def _worse(facts: Facts) -> str:
    """Return where an interval reaches that confirms no match."""
    return "worse than the margin allows" if facts.margin else f"worse than {facts.baseline['name']}"


def _reach(facts: Facts) -> str:
    """Return what a mean that matches does."""
    return f"come within {show_margin(facts.margin, facts.metric)} of" if facts.margin else "reach"


def _settled(facts: Facts, head: Comparison) -> list[str]:
    """Return the paired difference from the baseline, and what its interval settles."""
    difference, metric = head.difference, facts.metric
    text = f"The difference from {facts.baseline['name']} is {show_paired(difference, metric, facts.confidence)}"
    if head.confirmed is None:
        return [f"{text}; one replicate has no interval.{_last_place(facts, head)}"]
    if head.confirmed:
        settled = f"{text}, paired over {facts.replicates} replicates: the whole interval is {_no_worse(facts)}."
    elif is_alike(difference):
        settled = f"{text}: a small test set moves in steps. There is no spread to judge by: the match is not settled."
    else:
        settled = f"{text}, paired: the interval includes values {_worse(facts)}. No place's match is confirmed."
    lower = f" Lower {metric.name} is better." if metric.better == "lower" else ""
    return [f"{settled}{lower}{_last_place(facts, head)}"]


def _last_place(facts: Facts, each: Comparison) -> str:
    if len(facts.compared) > 1 and each is facts.compared[-1] and each is facts.match:
        of = "so far" if "unfinished" in facts.results else "of this study"
        return f" It is the last {facts.axis} {of}: further ones may match too."
    return ""


def _further_match(facts: Facts, head: Comparison) -> list[str]:
    """Return the furthest match, where the verdict is about another."""
    match = facts.match
    if match is None or match is head:
        return []
    metric = facts.metric
    settled = (
        "confirmed, but not by its controls"
        if match.confirmed
        else "not settled"
        if is_alike(match.difference)
        else f"not settled: the interval includes values {_worse(facts)}"
    )
    return [
        f"The furthest match is at {place_in_words(match.at, facts.axis)}: {show(match.value['mean'], metric)}, "
        f"{show_paired(match.difference, metric, facts.confidence)} from {facts.baseline['name']}; "
        f"{settled}.{_last_place(facts, match)}"
    ]


def _rivals(facts: Facts, head: Comparison) -> list[str]:
    """Return what the subject has over each control and each source."""
    texts = [_rival(facts, rival) for rival in head.rivals]
    has_controls = any(rival.arm["role"] == "control" for rival in head.rivals)
    if not has_controls and not head.confirmed:
        texts.append(
            "No controls ran, so nothing here shows that the starting weights or the mask matter: this is no claim of "
            f"a {facts.finding}."
        )
    return texts


def _rival(facts: Facts, rival: Rival) -> str:
    name = f"{'Control' if rival.arm['role'] == 'control' else 'Arm'} {rival.arm['name']}"
    name += f", {rival.arm['words']}" if rival.arm["words"] else ""
    if rival.is_vacuous:
        return f"{name}, controls nothing: its starting weights are those of the {facts.subject['name']}."
    if rival.value["mean"] is None:
        return f"{name}: every replicate diverged."
    difference = show_paired(rival.difference, facts.metric, facts.confidence)
    unsettled = "" if rival.is_worse or rival.arm["role"] != "control" or rival.is_worse is None else ", not settled"
    value = show(rival.value["mean"], facts.metric)
    return f"{name}: {value}; the {facts.subject['name']} differs by {difference}{unsettled}."


def _early(facts: Facts, head: Comparison) -> list[str]:
    """Return early stopping of the subject and of the baseline."""
    early = head.early
    if early is None:
        return []
    steps = metric_of(facts.results, BEST_STEP)
    stop_by = metric_named(facts.results, facts.results["stop_by"])
    best = "lowest" if stop_by.better == "lower" else "highest"
    return [
        f"The {facts.subject['name']} reaches its {best} validation {stop_by.name} at step "
        f"{show(early.subject['mean'], steps)} on average, {facts.baseline['name']} at "
        f"{show(early.baseline['mean'], steps)}: {earlier(early)[0]}{_between(early, facts)}.{_censored(early, facts)}"
    ]


def _between(early: Early, facts: Facts) -> str:
    steps = metric_of(facts.results, BEST_STEP)
    between = show_paired(early.difference, steps, facts.confidence, ", {}")
    return f" ({between})" if early.difference["low"] is not None else ""


def earlier(early: Early) -> tuple[str, bool]:
    """Return how much earlier the subject stops, and whether that is settled."""
    subject, baseline, difference = early.subject["mean"], early.baseline["mean"], early.difference
    assert subject is not None, "early stopping has means"
    assert baseline is not None, "early stopping has means"
    text = f"{100 * abs(1 - subject / max(1.0, baseline)):.0f} % {'earlier' if subject < baseline else 'later'}"
    if subject == baseline:
        text = "no earlier"
    low, high = difference["low"], difference["high"]
    if low is None or high is None:
        return text, False
    is_settled = low < high and (low > 0 or high < 0)
    return text if is_settled else "no settled difference", is_settled


def is_late(facts: Facts, early: Early) -> bool:
    """Return whether subject and baseline are best at their last step in all replicates."""
    return early.censored == (facts.replicates, facts.replicates)


def _censored(early: Early, facts: Facts) -> str:
    """Warn where the best step is the last one."""
    if is_late(facts, early):
        return " In all replicates of both that is the last step: their best may lie beyond the end of training."
    names = (facts.subject["name"], facts.baseline["name"])
    counts = [
        f"{count} of {facts.replicates} {name} trainings"
        for name, count in zip(names, early.censored, strict=True)
        if count
    ]
    if not counts:
        return ""
    return f" In {' and '.join(counts)} that is the last step: their best may lie beyond the end of training."


def _furthest(facts: Facts, head: Comparison | None) -> list[str]:
    """Return the last place of all, with its controls."""
    last = facts.furthest
    if last is None or last is head or len(facts.compared) < 2:
        return []
    metric = facts.metric
    values = [f"{facts.subject['name']} {show(last.value['mean'], metric)}"]
    values += [
        f"{rival.arm['name']} {show(rival.value['mean'], metric)} "
        f"({show_paired(rival.difference, metric, facts.confidence, ', {}')})"
        for rival in last.rivals
        if rival.value["mean"] is not None and not rival.is_vacuous
    ]
    extreme = "sparsest" if "density" in last.at else "last"
    behind = f", in brackets what the {facts.subject['name']} has over it" if len(values) > 1 else ""
    return [f"The {extreme} {facts.axis} of all, {place_in_words(last.at, facts.axis)}: {', '.join(values)}{behind}."]


def _unlearned(facts: Facts) -> list[str]:
    base = baseline_cell(facts.results, "primary")
    constant = facts.results["constant"][facts.results["primary"]]
    value: Interval | None = base["interval"] if base else None
    return [
        f"No {facts.finding} can be claimed: the {facts.baseline['name']} network's {facts.measured} of "
        f"{show(value['mean'] if value else None, facts.metric)} over {facts.replicates} "
        f"replicate{'s' * (facts.replicates != 1)} is not clearly better than the {show(constant, facts.metric)} of "
        f"{CONSTANT} (the best single answer: the most frequent, or the mean), so that to match it shows nothing.",
        "Longer training, another learning rate or more data may make the network learn.",
    ]


def _nothing(facts: Facts) -> list[str]:
    """Say that no place matches."""
    complete = [each for each in facts.compared if each.is_complete and each.difference["mean"] is not None]
    closest = max(complete, key=lambda each: facts.metric.gain(each.difference["mean"] or 0.0))
    replicates = f"{facts.replicates} replicate{'s' * (facts.replicates != 1)}"
    base = show(closest.baseline["mean"], facts.metric)
    return [
        f"No {facts.finding}: at no {facts.axis} does the mean {facts.measured} over {replicates} "
        f"{_reach(facts)} the {facts.baseline['name']} network's {base}.",
        f"The closest is {place_in_words(closest.at, facts.axis)}: {show(closest.value['mean'], facts.metric)}, a "
        f"difference of {show_paired(closest.difference, facts.metric, facts.confidence)}.",
        "A lower rate, a longer duration or a later rewind step may find one.",
    ]


def _incomparable(facts: Facts) -> list[str]:
    results = facts.results
    if not arms_of(results, "subject") or not arms_of(results, "baseline"):
        return ["Nothing was trained that could be compared."]
    lost = num_diverged(rows_of(results, facts.baseline["name"]))
    if lost:
        which = f"{lost} of {facts.replicates} {facts.baseline['name']} networks diverged"
        return [f"{which}, so nothing can be compared. {STABLER}"]
    return [f"At every {facts.axis} a {facts.subject['name']} diverged, so nothing can be compared. {STABLER}"]
