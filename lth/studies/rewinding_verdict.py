"""From which rewind step on tickets match the dense network, and the sparsest level at which each method does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from lth.analysis.comparison import TOLERANCE, beats_constant
from lth.analysis.documents import Interval, Results, TableRow
from lth.analysis.facts import beside_constant, place_in_words, studied
from lth.analysis.numbers import percent, remaining, show, show_margin, show_paired
from lth.analysis.pairs import rows_by_replicate
from lth.analysis.points import Conclusion
from lth.analysis.reading import Measure, Place, arms_of, baseline_cell, cells, metric_of
from lth.analysis.significance import p_of_mean, rejected
from lth.analysis.statistics import paired_difference


@dataclass(frozen=True, slots=True)
class Step:
    """Where the training of an arm goes back to, and whether its weights do too."""

    number: int
    is_rewound: bool


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """One arm at one level, beside the dense network.

    Attributes:
        arm: its name.
        at: the place.
        value: what it reaches; `difference` is that minus the dense network's, paired.
        matches: whether it is within the margin, or better, by its mean; and better than a constant answer.
        confirmed: whether its whole interval is, which has a width.
        p: that it is no better than the margin allows.
        holds: whether it is confirmed by Holm's test over all arms and levels.
    """

    arm: str
    at: Place
    value: Interval
    difference: Interval
    matches: bool
    confirmed: bool
    p: float
    holds: bool = False


def judge(results: Results, steps: Mapping[str, Step]) -> Conclusion:
    """Return the verdict: per level the step from which on tickets match, per method the sparsest level that does.

    A ticket matches where its paired difference from the dense network is worse by no more than the margin; confirmed
    is a match whose whole interval says so, if Holm's test over all arms and levels holds as well. No ticket matches a
    dense network that is not clearly better than a constant answer.

    Args:
        results: the results document; its verdict is not read.
        steps: by arm, controls left out.
    """
    metric, margin = metric_of(results, "primary"), results["config"]["margin"]
    tickets = _tickets(results, steps, margin)
    by_arm = {arm: [each for each in tickets if each.arm == arm] for arm in steps}
    furthest = {arm: _furthest(some) for arm, some in by_arm.items()}
    matching = [each for each in furthest.values() if each is not None]
    head = max(matching, key=lambda each: (each.holds, float(each.at["level"])), default=None)
    reached = ", ".join(
        f"{arm} {remaining(float(each.at['density'])) + ' %' + ' (not settled)' * (not each.holds) if each else 'none'}"
        for arm, each in furthest.items()
    )
    sentences = [*_steps_sentences(results, by_arm, steps), *_methods_sentences(results, furthest)]
    sentences += [*_beside(results, by_arm, steps, head), *_alike(by_arm)]
    held = sum(each.holds for each in tickets)
    sentences.append(
        f"Of {len(tickets)} comparisons with dense, {sum(each.confirmed for each in tickets)} are matches with their "
        f"whole {percent(results['confidence'])} interval, {held} when all are tested together (Holm)."
    )
    sentences += beside_constant(results)
    return Conclusion(
        {
            "found": head is not None,
            "confirmed": head.holds if head is not None else None,
            "summary": f"matches dense: {reached}",
            "title": f"{studied(results['config'])}: {_title(head, steps)}",
            "sentences": sentences,
            "tiles": [],
            "at": {} if head is None else head.at,
            "margin": margin,
        },
        {"matches": list(_table(tickets)), "by_step": list(_by_step(by_arm, steps, metric))},
    )


def _title(head: Ticket | None, steps: Mapping[str, Step]) -> str:
    """Return the sparsest match in few words."""
    if head is None:
        return "no ticket matches the dense network"
    who = f"tickets {head.arm} match" if steps[head.arm].is_rewound else f"{head.arm} matches"
    share = f"{remaining(float(head.at['density']))} % of the weights"
    if head.holds:
        return f"{who} the dense network with {share}"
    average = f"all comparisons together; alone with {share}" if head.confirmed else f"on average with {share}"
    return f"whether {who} the dense network is not settled ({average})"


def _tickets(results: Results, steps: Mapping[str, Step], margin: float) -> list[Ticket]:
    metric, base = metric_of(results, "primary"), baseline_cell(results, "primary")
    is_learned = base is not None and beats_constant(base["interval"], results)
    found = []
    for cell in cells(results, "primary"):
        if cell["arm"] not in steps or base is None:
            continue
        value = cell["interval"]
        difference = paired_difference(value["values"], base["interval"]["values"], results["confidence"])
        gains = [None if each is None else metric.gain(each) + margin for each in difference["values"]]
        is_complete = is_learned and None not in gains and beats_constant(value, results)
        mean, worse = difference["mean"], difference["low" if metric.better == "higher" else "high"]
        matches = is_complete and mean is not None and metric.gain(mean) >= -margin - TOLERANCE
        has_width = worse is not None and difference["low"] != difference["high"]
        confirmed = matches and has_width and worse is not None and metric.gain(worse) >= -margin - TOLERANCE
        p = p_of_mean(gains) if matches else 1.0
        found.append(Ticket(cell["arm"], cell["at"], value, difference, matches, confirmed, p))
    holds = rejected([each.p for each in found], 1 - results["confidence"])
    return [replace(each, holds=held and each.confirmed) for each, held in zip(found, holds, strict=True)]


def _furthest(tickets: Sequence[Ticket]) -> Ticket | None:
    """Return the sparsest match that is confirmed; without any, the sparsest match."""
    ordered = sorted(tickets, key=lambda each: float(each.at["level"]))
    confirmed = [each for each in ordered if each.confirmed]
    return next(iter((confirmed or [each for each in ordered if each.matches])[::-1]), None)


def _steps_sentences(
    results: Results, by_arm: Mapping[str, Sequence[Ticket]], steps: Mapping[str, Step]
) -> Iterator[str]:
    """Say at each level from which rewind step on all tickets match with their whole intervals."""
    arms = sorted((arm for arm in by_arm if steps[arm].is_rewound), key=lambda arm: steps[arm].number)
    if not arms:
        return
    levels: dict[float, list[Ticket]] = {}
    for arm in arms:
        for each in by_arm[arm]:
            levels.setdefault(float(each.at["level"]), []).append(each)
    parts = []
    for _, row in sorted(levels.items()):
        from_on = next((i for i in range(len(row)) if all(each.confirmed for each in row[i:])), None)
        some = ", ".join(f"{steps[each.arm].number:,}" for each in row if each.confirmed)
        words = f"at step {some}, not at the last" if some else "at no step"
        if from_on is not None:
            words = f"from step {steps[row[from_on].arm].number:,} on"
        if from_on == len(row) - 1 and len(row) > 1:
            words = f"at step {steps[row[-1].arm].number:,} alone, the last"
        parts.append(f"{remaining(float(row[0].at['density']))} % {words}")
    margin = show_margin(results["config"]["margin"], metric_of(results, "primary"))
    if not any(each.confirmed for row in levels.values() for each in row):
        yield f"No weights that are rewound match the dense network with the whole interval (margin {margin})."
        return
    yield (
        f"Weights that are rewound match the dense network with the whole interval (margin {margin}), by the share "
        f"that remains: {'; '.join(parts)}."
    )


def _methods_sentences(results: Results, furthest: Mapping[str, Ticket | None]) -> Iterator[str]:
    metric, confidence = metric_of(results, "primary"), results["confidence"]
    for arm, each in furthest.items():
        if each is None:
            yield f"{arm.capitalize()}: no level matches the dense network."
            continue
        state = "confirmed" if each.holds else "its whole interval, not all tests together" if each.confirmed else ""
        difference = show_paired(each.difference, metric, confidence)
        place, value = place_in_words(each.at, "level"), show(each.value["mean"], metric)
        yield (
            f"{arm.capitalize()}: the sparsest match is {place}, {value}, {difference} from dense "
            f"({state or 'by its mean alone, not settled'})."
        )


def _beside(
    results: Results, by_arm: Mapping[str, Sequence[Ticket]], steps: Mapping[str, Step], head: Ticket | None
) -> Iterator[str]:
    """Set weights that go back to the last step beside other methods and controls, at the head and the last level."""
    metric, confidence = metric_of(results, "primary"), results["confidence"]
    rewound = [arm for arm in by_arm if steps[arm].is_rewound]
    if not rewound:
        return
    last = rewound[-1]
    others = [arm["name"] for arm in arms_of(results, "subject", "control") if arm["name"] not in rewound]
    values = {(cell["arm"], cell["at"]["level"]): cell["interval"] for cell in cells(results, "primary")}
    levels = [each.at for each in by_arm[last]]
    shown = [at for at in levels if at in (levels[-1], head.at if head else None)]
    for at in shown:
        own = values[last, at["level"]]
        rivals = (
            (name, paired_difference(own["values"], values[name, at["level"]]["values"], confidence))
            for name in others
            if (name, at["level"]) in values
        )
        texts = [
            f"{show_paired(each, metric, confidence)} from {name}" for name, each in rivals if each["mean"] is not None
        ]
        if texts and own["mean"] is not None:
            yield (
                f"With {place_in_words(at, 'level')}, {last} reaches {metric.part} {metric.name} "
                f"{show(own['mean'], metric)}: {'; '.join(texts)}."
            )


def _alike(by_arm: Mapping[str, Sequence[Ticket]]) -> Iterator[str]:
    """Name arms whose values are all the same: as fine-tuning and rewinding a learning rate that is constant."""
    values = {arm: [each.value["values"] for each in tickets] for arm, tickets in by_arm.items()}
    for one, other in combinations(values, 2):
        if values[one] == values[other]:
            yield (
                f"{one.capitalize()} and {other} have the same values throughout, as where the learning rate is "
                "constant."
            )


def _table(tickets: Sequence[Ticket]) -> Iterator[TableRow]:
    for each in tickets:
        state = {"matches": each.matches, "confirmed": each.confirmed, "holds_together": each.holds, "p": each.p}
        yield {"arm": each.arm, **each.at, **each.difference, **state}


def _by_step(by_arm: Mapping[str, Sequence[Ticket]], steps: Mapping[str, Step], metric: Measure) -> Iterator[TableRow]:
    """Give what each replicate of rewound weights has over the dense network, by rewind step; of shares in points."""
    for each in (ticket for arm, tickets in by_arm.items() if steps[arm].is_rewound for ticket in tickets):
        place = {"rewind_step": steps[each.arm].number, "density": each.at["density"]}
        yield from rows_by_replicate(each.difference, metric, **place)
