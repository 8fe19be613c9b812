"""Tickets taken out, one after the other: are they necessary, and how many are there?

Each round finds a ticket. Then its weights are drawn anew in the initialisation, and the pruned ones go back to their
initial values; the next round starts from there, without the tickets of all rounds before.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lth.analysis.documents import Results, TableRow, Verdict
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Duration, Pruning, Recipe, StudySettings
from lth.studies.study_type import StudyType, criterion_traces

if TYPE_CHECKING:
    from lth.analysis.comparison import Comparison
    from lth.lineage import MasksNode, Reader, Trained, WeightsNode
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (
    Arm("dense", "the dense network of the round, without the tickets of rounds before", "baseline"),
    Arm("ticket", "the ticket that is found in it", "subject"),
    Arm("reinit", "the same mask over weights drawn anew", "control"),
    Arm("random", "a random mask with the same density in every layer", "control"),
)

BEFORE, FIRST = "the ticket before", "the first ticket"
"""What the ticket of a round is laid over."""


class Remove(StudySettings):
    """How tickets are found, and how many rounds."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    tickets: int = Field(
        default=4, ge=2, le=100, description="tickets that are looked for, one a round, each without those before it"
    )
    levels: int = Field(default=3, ge=1, le=100, description="levels of pruning, rewinding and training to a ticket")
    rewind_to: Duration = Field(default="0it", description="where kept weights go back to: 0it is the round's start")
    margin: float = Field(
        default=0.0,
        ge=0,
        description="what a ticket may lose and still count as matching, in the metric's own unit: 0.005 is half a "
        "point of accuracy",
    )
    training: Recipe = Recipe(duration="600it")
    masks: Pruning = Pruning(rate=0.5)


def derive(settings: Remove, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give each round's dense network, the ticket that is found in it, and the controls."""
    from lth.lineage import Combined, Complement, Shuffled, Zeros
    from lth.studies.chain import tickets as search

    step, initial = subject.steps(settings.rewind_to), subject.initial(seeds)
    start: WeightsNode = initial

    def trained(masks: "MasksNode", kept: "WeightsNode", first_step: int = 0) -> "Trained":
        return subject.train(
            Combined(masks=masks, kept=kept, pruned=Zeros(like=initial)), masks, seeds, first_step=first_step
        )

    for number in range(1, settings.tickets + 1):
        at = {"round": number}
        dense, *_, ticket = search(subject, settings.masks, settings.levels, seeds, rewind_step=step, initial=start)
        masks = ticket.masks
        yield Point(dense, "dense", replicate, at)
        yield Point(ticket, "ticket", replicate, at)
        yield Point(trained(masks, subject.initial(seeds, "reinit", number)), "reinit", replicate, at)
        yield Point(trained(Shuffled(masks=masks), dense.at(step), step), "random", replicate, at)
        fresh = subject.initial(seeds, "removed", number)
        start = Combined(masks=Complement(masks=masks), kept=start, pruned=fresh)


def resolve(settings: Remove, subject: "Subject") -> Remove:
    """Return the settings, checked, with rates filled in."""
    from lth.studies.pruning import resolved_pruning

    resolved = resolved_pruning(settings, subject)
    subject.densities(resolved.masks, resolved.levels)  # says if a level would empty a layer
    return resolved


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say in which rounds tickets are found, whether networks without earlier ones suffer, and how tickets overlap."""
    overlaps = _overlaps(reader, points)
    return Conclusion(_verdict(results, overlaps), {"overlaps": overlaps})


def _overlaps(reader: "Reader", points: Sequence[Point]) -> list[TableRow]:
    """Return the overlap of each round's ticket with the one before and the first, beside chance, by replicate."""
    from lth.lineage import Trained
    from lth.sparsity import Masks
    from lth.sparsity.metrics import overlap

    masks: dict[int, dict[float, Masks]] = {}
    for point in points:
        if point.arm == "ticket" and isinstance(point.job, Trained) and reader.store.has(point.job):
            masks.setdefault(point.replicate, {})[float(point.at["round"])] = reader.masks(point.job.masks)
    rows: list[TableRow] = []
    for replicate, by_round in masks.items():
        for number in sorted(by_round):
            for other, earlier in ((BEFORE, number - 1), (FIRST, 1.0)):
                if number > 1 and earlier in by_round:
                    found = overlap(by_round[earlier], by_round[number])
                    at = {"round": number, "with": other, "replicate": replicate}
                    rows.append({**at, "masks": "tickets", "overlap": found.iou})
                    rows.append({**at, "masks": "chance", "overlap": found.chance_iou})
    return rows


def _verdict(results: Results, overlaps: Sequence[TableRow]) -> Verdict:
    from lth.analysis.comparison import compare
    from lth.analysis.facts import studied
    from lth.analysis.pairs import compare_pairs, how_tested, unlearned, values_by_place
    from lth.analysis.reading import metric_of

    metric, reached = metric_of(results, "primary"), values_by_place(results, "round")
    rounds = sorted({float(number) for _, number in reached})
    warning = unlearned(results)
    compared = [] if warning else compare(results, margin=results["config"]["margin"])
    confirmed = _confirmed(compared, results)
    matching = [float(each.at["round"]) for each in compared if each.matches]
    later = [(arm, number) for arm in ("dense", "ticket") for number in rounds[1:]]
    differing = [(reached[arm, number]["values"], reached[arm, 1.0]["values"]) for arm, number in later]
    pairs = compare_pairs(differing, metric, results["confidence"])
    sentences = [_round(each, results) for each in compared]
    for arm in ("dense", "ticket"):
        of_arm = [(number, pair) for (name, number), pair in zip(later, pairs, strict=True) if name == arm]
        sentences.append(_beside_first(arm, of_arm, results))
    many = f"{len(matching)} of {len(rounds)} rounds"
    found = f"Tickets that match the dense network of their round: in {many}"
    tested = f" ({len(compared)} rounds tested together, Holm)" if len(compared) > 1 else ""
    found += f"; confirmed, with controls clearly worse, in {_listed(confirmed)}{tested}." if matching else "."
    return {
        "found": bool(matching),
        "confirmed": set(confirmed) >= set(matching) if matching else None,
        "summary": f"tickets in {many} ({len(confirmed)} confirmed)",
        "title": f"{studied(results['config'])}: tickets in {many} of removal, {len(confirmed) or 'none'} confirmed",
        "sentences": [
            *warning,
            found,
            *sentences,
            how_tested(len(pairs), results),
            *_overlap_sentences(overlaps, results["confidence"]),
        ],
        "tiles": [],
        "at": {"round": max(matching)} if matching else {},
        "margin": results["config"]["margin"],
    }


def _confirmed(compared: "Sequence[Comparison]", results: Results) -> list[float]:
    """Return the rounds that have a winning ticket by its whole intervals, and by Holm's test over all rounds.

    A round's p-value is the largest of its claims, which must all hold: as good as dense within the margin, better than
    each control.
    """
    from lth.analysis.reading import metric_of
    from lth.analysis.significance import p_of_mean, rejected

    metric, margin = metric_of(results, "primary"), results["config"]["margin"]

    def p_of(each: "Comparison") -> float:
        gains = [None if value is None else metric.gain(value) + margin for value in each.difference["values"]]
        return max(p_of_mean(values) for values in (gains, *(rival.difference["values"] for rival in each.controls)))

    p_values = [p_of(each) if each.wins else 1.0 for each in compared]
    holds = rejected(p_values, 1 - results["confidence"])
    return [float(each.at["round"]) for each, held in zip(compared, holds, strict=True) if held]


def _listed(rounds: Sequence[float]) -> str:
    if not rounds:
        return "no round"
    return f"round{'s' * (len(rounds) > 1)} {', '.join(f'{number:g}' for number in rounds)}"


def _round(each: "Comparison", results: Results) -> str:
    """Return one round in a sentence: dense, ticket, and what the ticket has over its controls."""
    from lth.analysis.numbers import show, show_paired
    from lth.analysis.reading import metric_of

    metric, confidence = metric_of(results, "primary"), results["confidence"]
    start = f"Round {each.at['round']:g}: dense {show(each.baseline['mean'], metric)}"
    if each.value["mean"] is None:
        return f"{start}; every ticket diverged. Try a lower --lr."
    controls = [
        f"{show_paired(rival.difference, metric, confidence)} over {rival.arm['name']}"
        for rival in each.controls
        if rival.difference["mean"] is not None
    ]
    return (
        f"{start}, ticket {show(each.value['mean'], metric)}, {show_paired(each.difference, metric, confidence)} from "
        f"dense; {', '.join(controls) or 'no control'}."
    )


def _beside_first(arm: str, pairs: Sequence[tuple[float, Any]], results: Results) -> str:
    """Return what is lost since the first round: by dense networks that lack earlier tickets, or by their tickets."""
    from lth.analysis.numbers import show_margin
    from lth.analysis.pairs import pair_in_words
    from lth.analysis.reading import metric_of

    metric, margin = metric_of(results, "primary"), results["config"]["margin"]
    worse = [number for number, pair in pairs if pair.is_worse]
    as_good = [number for number, pair in pairs if pair.is_within(metric, margin)]
    last, pair = pairs[-1]
    what = "Dense networks without the tickets of earlier rounds are" if arm == "dense" else "Later tickets are"
    is_enough = arm == "dense" and len(as_good) == len(pairs)  # a claim about all rounds, each shown by itself
    necessary = ", so that the tickets taken out were not necessary" if is_enough else ""
    return (
        f"{what} worse than those of round 1 in {_listed(worse)}, and no worse than them (margin "
        f"{show_margin(margin, metric)}, with the whole interval) in {_listed(as_good)}{necessary}. Round {last:g} "
        f"differs from round 1 by {pair_in_words(pair, results)}."
    )


def _overlap_sentences(overlaps: Sequence[TableRow], confidence: float) -> Iterator[str]:
    """Give how tickets of successive rounds overlap beside chance, and each with the first."""
    from lth.analysis.significance import p_of_mean, rejected
    from lth.analysis.statistics import interval

    values: dict[tuple[str, float], dict[str, list[float]]] = {}
    for row in overlaps:
        values.setdefault((row["with"], row["round"]), {}).setdefault(row["masks"], []).append(row["overlap"])
    if not values:
        return
    over = {
        place: [a - b for a, b in zip(both["tickets"], both["chance"], strict=True)]
        for place, both in values.items()
        if place != (FIRST, 2)  # the same pair as (BEFORE, 2)
    }
    p_values = [p_of_mean(each) for each in over.values()]
    are_settled = dict(zip(over, rejected(p_values, 1 - confidence), strict=True))
    for other in (BEFORE, FIRST):
        places = [place for place in over if place[0] == other]
        texts = [
            f"round {number:g} {interval(values[other, number]['tickets'], confidence)['mean']:.3f} (chance "
            f"{interval(values[other, number]['chance'], confidence)['mean']:.3f}, "
            f"{_side(over[other, number], are_settled[other, number])})"
            for _, number in places
        ]
        if texts:
            tested = f", {len(over)} overlaps tested together by Holm" if len(over) > 1 else ""
            yield f"Overlap with {other} (intersection over union{tested}): {', '.join(texts)}."


def _side(differences: Sequence[float], is_settled: bool) -> str:
    if not is_settled:
        return "not settled"
    return "beyond chance" if sum(differences) > 0 else "less than chance"


def _overlap_plot(name: str, title: str, panel: str) -> Plot:
    return Plot(
        name,
        title,
        "Intersection over union of the kept weights, beside unrelated masks of those densities.",
        "round",
        "overlap",
        x_words="Round",
        y_words="Overlap (intersection over union)",
        colour="masks",
        panel=panel,
        table="overlaps",
    )


REMOVE = StudyType(
    name="remove",
    words="Take tickets out one after the other: is the next as good, and how many are there?",
    settings=Remove,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    traces=criterion_traces,
    axis="round",
    plots=(
        Plot(
            "quality",
            "Round by round",
            "Each round's network lacks the tickets of all rounds before: their weights were drawn anew.",
            "round",
            x_words="Round",
        ),
        _overlap_plot("overlaps", "Overlap of tickets", "with"),
    ),
    presets={
        "digits": lambda: Remove(duration="400it", replicates=4, levels=2, rate=0.6, margin=0.005),
        "lenet-mnist": lambda: Remove(
            data="mnist", levels=10, rate=0.2, tickets=6, duration="5000it", margin=0.002, evaluate_every=1000
        ),
    },
    first=("tickets", "levels", "rate"),
    examples=(
        "lth remove                                       # on digits, a minute",
        "lth remove --tickets 8 --levels 4",
        "lth remove lenet-300-100 mnist ./datasets        # a quarter of an hour",
    ),
)
