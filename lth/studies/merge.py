"""Two tickets of one initialisation, merged: does the higher capacity give higher accuracy?

Two searches start from one network and part at the rewind step, under two data orders (or by two criteria). At each
level the union and the intersection of their masks are trained beside each of the two tickets, with the controls that
say whether it is the tickets or the number of weights that counts.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lth.analysis.documents import Results, TableRow, Verdict
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Duration, Pruning, Recipe, StudySettings
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import MasksNode, Reader, Trained
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (
    Arm("dense", "the dense network", "baseline"),
    Arm("union", "the weights that either of the two tickets keeps", "subject"),
    Arm("intersection", "the weights that both tickets keep", "subject"),
    Arm("first", "the first ticket", "source"),
    Arm("second", "the second ticket, found elsewhere and trained as the first", "source"),
    Arm("random", "a random mask with the density of the union in every layer", "control"),
    Arm("random union", "the union of two random masks with the densities of the two tickets", "control"),
)


class Merge(StudySettings):
    """How two tickets are found that are merged."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    levels: int = Field(default=4, ge=1, le=100, description="rounds of pruning, rewinding and training again")
    rewind_to: Duration = Field(
        default="0it", description="where the two searches part and kept weights go back to: 0it is the initialisation"
    )
    second_criterion: str = Field(
        default="",
        description="find the second ticket by another criterion under the same data order [default: by the same one "
        "under another order]",
    )
    training: Recipe = Recipe(duration="600it")
    masks: Pruning = Pruning()


def derive(settings: Merge, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the dense network, then at each level the two tickets, what is merged of them, and the controls.

    All are trained from one state and under one data order, that of the first ticket's search.
    """
    from lth.lineage import Combined, Merged, Shuffled, Zeros

    step, initial = subject.steps(settings.rewind_to), subject.initial(seeds)
    first, second = _searches(settings, subject, seeds, step)
    origin = first[0].at(step)

    def trained(masks: "MasksNode") -> "Trained":
        start = Combined(masks=masks, kept=origin, pruned=Zeros(like=initial))
        return subject.train(start, masks, seeds, first_step=step)

    yield Point(first[0], "dense", replicate, {"level": 0})
    for level in range(1, settings.levels + 1):
        masks = (first[level].masks, second[level].masks)
        union = Merged(masks=masks, rule="union")
        by_chance = Merged(masks=(Shuffled(masks=masks[0], draw=1), Shuffled(masks=masks[1], draw=2)), rule="union")
        wanted = {
            "union": union,
            "intersection": Merged(masks=masks, rule="intersection"),
            "first": masks[0],
            "second": masks[1],
            "random": Shuffled(masks=union),
            "random union": by_chance,
        }
        for arm, kept in wanted.items():
            yield Point(trained(kept), arm, replicate, {"level": level})


def _searches(settings: Merge, subject: "Subject", seeds: "Seeds", step: int) -> "tuple[list[Trained], list[Trained]]":
    """Return the trainings of two searches: they share all up to the rewind step."""
    from lth.studies.chain import tickets
    from lth.training import Seeds, derive_seed

    first = tickets(subject, settings.masks, settings.levels, seeds, rewind_step=step)
    if settings.second_criterion:
        by_other = settings.masks.model_copy(update={"criterion": settings.second_criterion})
        return first, tickets(subject, by_other, settings.levels, seeds, rewind_step=step)
    others = Seeds(init=seeds.init, order=derive_seed(seeds.order, "second"), augmentation=seeds.augmentation)
    dense = subject.train(first[0].at(step), None, others, first_step=step)
    return first, tickets(subject, settings.masks, settings.levels, others, rewind_step=step, dense=dense)


def resolve(settings: Merge, subject: "Subject") -> Merge:
    """Return the settings, checked, with rates filled in."""
    from lth.studies.pruning import checked, filled_in

    own, other = settings.masks.criterion, settings.second_criterion
    if other == own:
        raise ValueError(
            f"second_criterion: {other!r} is the first one too, so that both tickets would be the same: name another, "
            "or leave it out"
        )
    settings = checked(settings, other)
    subject.densities(settings.masks, settings.levels)  # says if a level would empty a layer
    return filled_in(settings, subject)


def traces(settings: Merge) -> tuple[str, ...]:
    """Return what trainings keep for the criteria."""
    from lth.sparsity import criterion

    names = (settings.masks.criterion, settings.second_criterion)
    return tuple(dict.fromkeys(trace for name in names if name for trace in criterion(name).traces))


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say whether the union is better than its tickets at the last level, and whether that is its number of weights."""
    densities = _densities(reader, points, results["confidence"])
    return Conclusion(_verdict(results, densities), {"densities": densities, "quality": _quality(results, densities)})


def _densities(reader: "Reader", points: Sequence[Point], confidence: float) -> list[TableRow]:
    """Return the density of each arm's masks at each level, in percent, and how far the two tickets overlap."""
    from lth.analysis.statistics import interval
    from lth.lineage import Trained
    from lth.sparsity import density

    found: dict[tuple[str, Any], list[float | None]] = {}
    for point in points:
        if isinstance(point.job, Trained) and reader.store.has(point.job):
            kept = 100 * density(reader.masks(point.job.masks))
            found.setdefault((point.arm, point.at["level"]), []).append(kept)
    return [{"arm": arm, "level": level, **interval(values, confidence)} for (arm, level), values in found.items()]


def _quality(results: Results, densities: Sequence[TableRow]) -> list[TableRow]:
    """Return each arm's primary metric beside its density, a row a replicate."""
    from lth.analysis.pairs import values_by_place

    density = {(row["arm"], row["level"]): row["mean"] for row in densities}
    return [
        {"arm": arm, "density": density[arm, level] / 100, "replicate": replicate, "primary": value}
        for (arm, level), reached in values_by_place(results, "level").items()
        for replicate, value in enumerate(reached["values"])
        if value is not None and (arm, level) in density
    ]


def _verdict(results: Results, densities: Sequence[TableRow]) -> Verdict:
    from lth.analysis.facts import studied
    from lth.analysis.numbers import remaining, show
    from lth.analysis.pairs import compare_pairs, how_tested, pair_in_words, unlearned, values_by_place
    from lth.analysis.reading import metric_of

    metric, reached = metric_of(results, "primary"), values_by_place(results, "level")
    kept = {(row["arm"], row["level"]): (row["mean"] or 0.0) / 100 for row in densities}
    last = max(float(level) for _, level in reached)
    rivals = _rivals(kept, last)
    union = reached["union", last]
    differing = [(union["values"], reached[each]["values"]) for each in rivals.values()]
    pairs = compare_pairs(differing, metric, results["confidence"])

    def shown(arm: str, level: float) -> str:
        return f"{show(reached[arm, level]['mean'], metric)} ({remaining(kept.get((arm, level), 0.0))} %)"

    sentences = [
        f"{metric.part} {metric.name}".strip().capitalize() + f" at level {last:g}, with the weights kept in brackets: "
        f"union {shown('union', last)}, intersection {shown('intersection', last)}."
    ]
    sentences += [
        f"The union beside {words}, {shown(*rivals[words])}: {pair_in_words(pair, results)}."
        for words, pair in zip(rivals, pairs, strict=True)
    ]
    warning = unlearned(results)
    tickets, denser = pairs[:2], pairs[2]
    is_better = not warning and all(pair.gain is not None and pair.gain > 0 for pair in tickets)
    is_settled = is_better and all(pair.is_better for pair in tickets)
    is_worse = not warning and all(pair.is_worse for pair in tickets)
    first = _answer(is_better, is_settled, is_worse, denser.is_better)
    state = "better than its tickets" if is_settled else "gain not settled" if is_better else "no gain"
    return {
        "found": is_better,
        "confirmed": is_settled if is_better else None,
        "summary": f"union {show(union['mean'], metric)} ({state})",
        "title": f"{studied(results['config'])}: the union of two tickets, {remaining(kept.get(('union', last), 0.0))} "
        f"% of the weights: {state}",
        "sentences": [*warning, first, *sentences, how_tested(len(pairs), results)],
        "tiles": [],
        "at": {"level": last},
    }


def _rivals(kept: dict[tuple[str, Any], float], last: float) -> dict[str, tuple[str, float]]:
    """Return what the union is compared with, in words: an arm at a level each."""
    enough = [level for arm, level in kept if arm == "first" and kept[arm, level] >= kept.get(("union", last), 1.0)]
    single = ("first", max(enough)) if enough else ("dense", 0.0)
    where = f", of level {max(enough):g}" if enough else " there is, the dense network"
    return {
        "the first ticket": ("first", last),
        "the second ticket": ("second", last),
        f"the sparsest single ticket with no fewer weights{where}": single,
        "a random mask of its density": ("random", last),
        "the union of two random masks": ("random union", last),
        **({"the dense network": ("dense", 0.0)} if enough else {}),
    }


def _answer(is_better: bool, is_settled: bool, is_worse: bool, beats_single: bool) -> str:
    if is_settled and beats_single:
        return "The union is better than each of its tickets, and than a single ticket with no fewer weights."
    if is_settled:
        return (
            "The union is better than each of its tickets; that it is better than a single ticket with no fewer "
            "weights is not settled, so that its number of weights may be all there is to it."
        )
    if is_worse:
        return "The union is worse than each of its tickets: more weights do not help here."
    if is_better:
        return "The union is better than each of its tickets on average, but that is not settled."
    return "No gain of the union over each of its tickets."


MERGE = StudyType(
    name="merge",
    words="Merge two tickets of one initialisation: union and intersection beside each ticket and random masks.",
    settings=Merge,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    traces=traces,
    axis="level",
    plots=(
        Plot(
            "quality",
            "At the end of training",
            "Against the share of the weights that each arm keeps: the first search's tickets give the curve that a "
            "union must rise above to be more than its number of weights.",
            "density",
            x_words="Weights remaining (%)",
            log_x=True,
            table="quality",
        ),
        Plot("levels", "Level by level", "The same by level.", "level", x_words="Level"),
        Plot(
            "densities",
            "How much is kept",
            "Share of the prunable weights: what two tickets share, their union lacks.",
            "level",
            "mean",
            x_words="Level",
            y_words="Weights remaining (%)",
            table="densities",
        ),
    ),
    presets={
        "digits": lambda: Merge(levels=3, rate=0.5, duration="400it"),
        "lenet-mnist": lambda: Merge(data="mnist", levels=12, duration="5000it", evaluate_every=1000),
    },
    first=("levels", "rate", "rewind_to"),
    examples=(
        "lth merge                                        # on digits, a minute",
        "lth merge lenet-300-100 mnist ./datasets         # a quarter of an hour",
        "lth merge --second-criterion movement            # by two criteria",
    ),
)
