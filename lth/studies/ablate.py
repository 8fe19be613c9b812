"""What is one choice of a search worth? One level of a finished search again, with one thing changed in each branch.

All branches start from the same trained networks: those of the levels before, which the search left in the store.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lth.analysis.documents import Results
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.studies.ablate_settings import (
    CHOOSING,
    Ablate,
    ablated_on_digits,
    arms_of,
    changed,
    changes_of,
    from_study,
    search_of,
    spoken,
)
from lth.studies.find_ticket import densities_of, traces
from lth.studies.find_ticket import resolve as resolve_search
from lth.studies.search import CONTROLS, Search
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.studies.subject import Subject
    from lth.training import Seeds


def resolve(settings: Ablate, subject: "Subject") -> Ablate:
    """Return the settings with the level and what branches follow; each branch is checked as a search would be.

    Raises:
        ValueError: if there is no such level, or a branch does not fit the search, its trainings or another branch.
    """
    resolved = resolve_search(settings, subject)
    assert isinstance(resolved, Ablate)
    first, last = resolved.start_level, resolved.levels
    level = resolved.level
    if resolved.density is not None:
        if level is not None:
            raise ValueError("level, density: both say which level is changed; leave one out")
        densities, wanted = densities_of(resolved, subject), resolved.density
        level = min(range(first, last + 1), key=lambda number: abs(densities[number] - wanted))
    level = last if level is None else level
    if not first <= level <= last:
        raise ValueError(f"level: the search has levels {first} to {last}; found {level}")
    resolved = resolved.with_(level=level, density=None)
    for index, branch in enumerate(resolved.branches):
        if branch in resolved.branches[:index]:
            raise ValueError(f"branches: {branch!r} is named twice")
        _check(resolved, branch, subject)
    return resolved


def _check(settings: Ablate, branch: str, subject: "Subject") -> None:
    """Check a branch."""
    search = search_of(settings)
    found = changed(search, branch)
    if search.start_masks and settings.level == search.start_level and changes_of(branch).keys() & {*CHOOSING}:
        raise ValueError(f"branches: {branch!r} chooses masks, and those of level {settings.level} are given by a file")
    missing = [trace for trace in traces(found) if trace not in traces(search)]
    if missing:
        option = "moments keep" if "moments" in missing else f"criterion {found.masks.criterion}"
        raise ValueError(
            f"branches: {branch!r} needs {', '.join(missing)}, which the trainings of this search did not keep: all up "
            f"to level {settings.level} would be trained again, by `lth find-ticket ... --{option}`"
        )
    resolve_search(found, subject)
    densities_of(found, subject)


def derive(settings: Ablate, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the dense network, the ticket of the level as it was found, and each branch with its controls."""
    number = settings.level
    assert number is not None
    search = Search(search_of(settings), subject, seeds)
    densities = densities_of(search.settings, subject)
    *_, found = search.walk(densities[: number + 1])
    yield Point(search.dense, "dense", replicate, {"level": 0})
    yield Point(found.ticket, "ticket", replicate, {"level": number})
    for branch in settings.branches:
        other = Search(resolve_search(changed(search.settings, branch), subject), subject, seeds)
        masks, source = other.masks(found.before, number, densities[number])
        level = other.level(masks, search.dense, source, number)
        yield Point(other.ticket(level), branch, replicate, {"level": number})
        for control in settings.controls:
            yield Point(CONTROLS[control](other, level), f"{control} {branch}", replicate, {"level": number})


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say how far each branch is from the ticket as it was found, from dense and from its controls.

    A branch is better, or worse, than the ticket if a paired t-test says so, all branches tested together (Holm).
    """
    from lth.analysis.facts import studied
    from lth.analysis.numbers import show
    from lth.analysis.pairs import compare_pairs, unlearned
    from lth.analysis.reading import arms_of, cells, metric_of

    metric = metric_of(results, "primary")
    values = {cell["arm"]: cell["interval"] for cell in cells(results, "primary")}
    branches = [arm["name"] for arm in arms_of(results, "subject")]
    differing = [(values[each]["values"], values["ticket"]["values"]) for each in branches]
    pairs = dict(zip(branches, compare_pairs(differing, metric, results["confidence"]), strict=True))
    warning = unlearned(results)
    better = [each for each in branches if pairs[each].is_better and not warning]
    worse = [each for each in branches if pairs[each].is_worse and not warning]
    level = next(row["at"]["level"] for row in results["rows"] if row["arm"] == "ticket")
    ticket, dense = (show(values[arm]["mean"], metric) for arm in ("ticket", "dense"))
    together = f" ({len(branches)} branches tested together, Holm)" if len(branches) > 1 else ""
    first = [f"better than the ticket: {', '.join(better)}"] if better else []
    first += [f"worse than the ticket: {', '.join(worse)}"] if worse else []
    summary = (
        f"better: {', '.join(better)}" if better else f"worse: {', '.join(worse)}" if worse else "no settled difference"
    )
    head = "; ".join(first) or "no branch is settled to differ from the ticket as it was found"
    return Conclusion(
        {
            "found": bool(better),
            "confirmed": True if better else None,
            "summary": summary,
            "title": f"Ablation of {studied(results['config'])} at level {level:g}: {summary}",
            "sentences": [
                *warning,
                f"{head[0].upper()}{head[1:]}{together}.",
                f"The ticket as found reaches {metric.part} {metric.name} {ticket}, dense {dense}.",
                *_branch_sentences(results, _densities(reader, points)),
            ],
            "tiles": [],
            "at": {"level": level},
        }
    )


def _branch_sentences(results: Results, kept: dict[str, float]) -> Iterator[str]:
    """Give each branch beside the ticket, dense and its controls, and its density where that is not the ticket's."""
    from lth.analysis.numbers import remaining, show, show_paired
    from lth.analysis.reading import arms_of, cells, metric_of
    from lth.analysis.statistics import paired_difference

    metric, confidence = metric_of(results, "primary"), results["confidence"]
    values = {cell["arm"]: cell["interval"] for cell in cells(results, "primary")}
    for branch in (arm["name"] for arm in arms_of(results, "subject")):
        own = values[branch]
        if own["mean"] is None:
            yield f"With {spoken(branch)} every replicate diverged. Try a lower --lr."
            continue
        controls = [arm["name"] for arm in arms_of(results, "control") if arm["name"].endswith(f" {branch}")]
        beside = {
            each: paired_difference(own["values"], values[each]["values"], confidence)
            for each in ("ticket", "dense", *controls)
        }
        words = [
            f"{show_paired(difference, metric, confidence)} from {each}"
            for each, difference in beside.items()
            if difference["mean"] is not None
        ]
        lost = own["values"].count(None)
        words += [f"{lost} of {len(own['values'])} replicates diverged"] if lost else []
        density, tickets = (remaining(kept[each]) if each in kept else "" for each in (branch, "ticket"))
        words += [f"with {density} % of the weights, where the ticket has {tickets} %"] if density != tickets else []
        yield f"With {spoken(branch)}: {'; '.join((show(own['mean'], metric), *words))}."


def _densities(reader: "Reader", points: list[Point]) -> dict[str, float]:
    """Return the share of the prunable weights that each arm keeps, a mean over replicates."""
    from statistics import fmean

    from lth.lineage import Trained
    from lth.sparsity import density

    kept: dict[str, list[float]] = {}
    for point in points:
        if isinstance(point.job, Trained) and point.arm != "dense" and reader.store.has(point.job):
            kept.setdefault(point.arm, []).append(density(reader.masks(point.job.masks)))
    return {arm: fmean(each) for arm, each in kept.items()}


ABLATE = StudyType(
    name="ablate",
    words="Change one level of a finished search, in branches from the same trained networks.",
    settings=Ablate,
    arms=(
        Arm("dense", "the dense network", "baseline"),
        Arm("ticket", "the ticket of the level as it was found", "baseline"),
    ),
    arms_of=arms_of,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    traces=traces,
    stored="study",
    from_study=from_study,
    axis="level",
    plots=(
        Plot("branches", "The branches", "Each trained from its own start, on the test part.", "arm", mark="point"),
        Plot(
            "early_stopping",
            "Speed of learning",
            "The step of the best validation loss, at which training would be stopped; lower is faster.",
            "arm",
            "best_step",
            y_words="Early-stopping step",
            mark="point",
        ),
    ),
    presets={"digits": ablated_on_digits},
    help="Only the branches and their controls are trained: all else is in the store.",
    first=("level", "branches"),
    examples=(
        "lth ablate 3f2a --level 3 --criterion movement,random      # two branches",
        "lth ablate 3f2a --density 0.1 --branches kept=lr_rewind,scope=global",
        "lth ablate 3f2a --level 3 --kept shuffle --controls none   # no controls",
    ),
)
