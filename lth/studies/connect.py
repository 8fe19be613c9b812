"""Instability and linear mode connectivity: do two trainings from one point end in one valley?

Two copies start from the state of one network at a step k and are trained under different data orders; between their
ends networks are measured along a line. A network is stable at k if the error does not rise between them.

Source: Frankle et al. 2020, arXiv:1912.05671.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from lth.analysis.documents import Interval, Results, Row
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Duration, Pruning, Recipe, StudySettings
from lth.config.text import split_names
from lth.studies.cifar import frankle_on_cifar10
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import MasksNode, Reader, WeightsNode
    from lth.studies.subject import Subject
    from lth.training import Seeds

STABLE = 0.02
"""Error barrier below which the paper calls a network stable."""

ARMS = (
    Arm("ticket", "masks found by iterative pruning; at 100 % the dense network", "subject"),
    Arm("random", "a random mask with the same density in every layer", "control"),
)


class Connect(StudySettings):
    """Where copies part, how sparse they are, and how finely the line between them is measured."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    replicates: int = Field(default=3, ge=1, description="networks with seeds of their own; intervals are over them")
    rewind_to: Annotated[tuple[Duration, ...], BeforeValidator(split_names)] = Field(
        default=("0it",), description="steps at which two copies part, as 0it,100it,500it"
    )
    connect_levels: Annotated[tuple[int, ...], BeforeValidator(split_names)] = Field(
        default=(0,), description="levels of pruning whose networks are connected, as 0,5,10; 0 is the dense network"
    )
    points: int = Field(default=30, ge=3, description="networks measured along the line, ends included")
    training: Recipe = Recipe(duration="2000it")
    masks: Pruning = Pruning()

    @field_validator("connect_levels", "rewind_to")
    @classmethod
    def _has_some(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values or (isinstance(values[0], int) and min(values) < 0):
            raise ValueError(f"found {values}; give one at least, levels from 0")
        return values


def derive(settings: Connect, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the networks along the line between two copies, for each step and level."""
    from lth.lineage import Combined, Dense, Shuffled, Zeros
    from lth.studies.chain import tickets

    levels = max(settings.connect_levels)
    densities = subject.densities(settings.masks, levels)
    initial = subject.initial(seeds)
    for duration in settings.rewind_to:
        step = subject.steps(duration)
        chain = tickets(subject, settings.masks, levels, seeds, rewind_step=step)
        origin = chain[0].at(step)
        for level in settings.connect_levels:
            at = {"rewind_step": step, "level": level, "density": densities[level]}
            if level == 0:
                yield from _line(settings, subject, seeds, replicate, "ticket", origin, Dense(), at)
                continue
            for arm, masks in (("ticket", chain[level].masks), ("random", Shuffled(masks=chain[level].masks))):
                start = Combined(masks=masks, kept=origin, pruned=Zeros(like=initial))
                yield from _line(settings, subject, seeds, replicate, arm, start, masks, at)


def _line(
    settings: Connect,
    subject: "Subject",
    seeds: "Seeds",
    replicate: int,
    arm: str,
    start: "WeightsNode",
    masks: "MasksNode",
    at: dict[str, float],
) -> Iterator[Point]:
    from lth.lineage import Evaluated, Interpolated
    from lth.training import Seeds, derive_seed

    ends = []
    for copy in ("first", "second"):
        order, augmentation = (derive_seed(each, "copy", copy) for each in (seeds.order, seeds.augmentation))
        own = Seeds(init=seeds.init, order=order, augmentation=augmentation)
        ends.append(subject.train(start, masks, own, first_step=int(at["rewind_step"])))
    shares = [index / (settings.points - 1) for index in range(settings.points)]
    job = Evaluated(
        weights=tuple(Interpolated(first=ends[0], second=ends[1], share=share) for share in shares),
        data=subject.data,
        task=subject.training.task,
        precision=subject.training.precision,
        renew_norms=True,
    )
    for item, share in enumerate(shares):
        yield Point(job, arm, replicate, {**at, "share": share}, item)


def resolve(settings: Connect, subject: "Subject") -> Connect:
    """Return the settings, checked, with rates filled in."""
    from lth.studies.pruning import resolved_pruning

    return resolved_pruning(settings, subject)


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say how high the barrier between two copies is: by the task's metric, and in the loss."""
    from lth.analysis.numbers import show_mean, show_range
    from lth.analysis.reading import metric_of, value_of
    from lth.analysis.statistics import interval

    lines: dict[tuple[str, float, float], dict[int, list[Row]]] = {}
    for row in sorted(results["rows"], key=lambda row: row["at"]["share"]):
        at = row["at"]
        line = lines.setdefault((row["arm"], float(at["rewind_step"]), float(at["density"])), {})
        line.setdefault(row["replicate"], []).append(row)
    metric = metric_of(results, "primary")
    table, sentences = [], []
    is_fraction, worst, highest = metric.unit == "fraction", 0.0, 0.0
    for (arm, step, density), by_replicate in lines.items():
        drops = [
            barrier([value_of(results, row, "primary") for row in rows], metric.better)
            for rows in by_replicate.values()
        ]
        rises = [
            barrier([value_of(results, row, "end/test/loss") for row in rows], "lower")
            for rows in by_replicate.values()
        ]
        drop, rise = interval(drops, results["confidence"]), interval(rises, results["confidence"])
        table.append({"arm": arm, "rewind_step": step, "density": density, **drop, "loss_barrier": rise["mean"]})
        if drop["mean"] is None:
            continue
        if arm == "ticket":
            worst, highest = max(worst, drop["mean"]), max(highest, math.inf if drop["high"] is None else drop["high"])
        state = f"{_state(drop)}, " if is_fraction else ""
        network = "dense" if density == 1 else arm
        between = show_range(drop, metric, results["confidence"])
        loss = "" if rise["mean"] is None else f"; in the loss {rise['mean']:.3g}"
        sentences.append(
            f"Copies that part at step {step:,.0f}, {100 * density:.3g} % of the weights ({network}): {state}barrier "
            f"{show_mean(drop, metric)}{f' ({between})' if between else ''}{loss}."
        )
    stable = is_fraction and worst < STABLE
    claim = f"reaches {100 * worst:.2f} points (a network is called stable below {100 * STABLE:g})"
    if stable:
        settled = "" if highest < STABLE else ", but not with its whole interval"
        claim = f"stays below {100 * STABLE:g} points of {metric.name} everywhere{settled}"
    first = f"The barrier between two copies {claim}." if is_fraction else "Barriers between two copies:"
    subject = f"{results['config']['model']} on {results['config']['data']}"
    return Conclusion(
        {
            "found": stable,
            "confirmed": stable and highest < STABLE if results["rows"] and math.isfinite(highest) else None,
            "summary": f"barrier {100 * worst:.2f} %" if is_fraction else f"barrier {worst:.3g}",
            "title": f"{subject}: {'stable' if stable else 'instability'} between two data orders",
            "sentences": [first, *sentences],
            "tiles": [],
            "at": {},
        },
        {"barriers": table},
    )


def _state(drop: Interval) -> str:
    low, high = drop["low"], drop["high"]
    if low is None or high is None:
        return "stable in one replicate" if (drop["mean"] or 0.0) < STABLE else "not stable in one replicate"
    return "stable" if high < STABLE else "not stable" if low >= STABLE else "not settled"


def barrier(values: list[float | None], better: str) -> float | None:
    """Return how much worse than the mean of the ends the worst network between them is; None if one was not measured.

    Args:
        values: of the networks along the line, ends included.
        better: which direction is better, `higher` or `lower`.
    """
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None
    ends = (known[0] + known[-1]) / 2
    return ends - min(known) if better == "higher" else max(known) - ends


def connect_lenet() -> Connect:
    """Return LeNet-300-100 on MNIST, as in the paper: two copies from several early steps, dense and pruned."""
    return Connect(
        data="mnist", duration="24000it", rewind_to="0it,100it,500it", connect_levels="0,8", evaluate_every=1000
    )


def connect_resnet20() -> Connect:
    """Return ResNet-20 on CIFAR-10 as in the paper: dense (stable from step 2,000 on), and with 16.8 % kept."""
    return Connect(**frankle_on_cifar10(model="resnet-20", rewind_to="0it,500it,2000it", connect_levels="0,8"))


def connect_vgg16() -> Connect:
    """Return VGG-16 on CIFAR-10 as in the paper: dense (stable from step 1,000 on), and with 1.4 % kept."""
    return Connect(**frankle_on_cifar10(model="vgg-16", rewind_to="0it,500it,1000it", connect_levels="0,19"))


CONNECT = StudyType(
    name="connect",
    words="Measure instability: train two copies from one step under different data orders, and the line between them.",
    settings=Connect,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    axis="rewind_step",
    plots=(
        Plot(
            "line",
            "Between two copies",
            "Networks on the line between the ends of two copies, a panel for each step at which they part.",
            "share",
            x_words="Place between the two copies",
            colour="density",
            panel="rewind_step",
        ),
        Plot(
            "loss",
            "The loss between two copies",
            "The same in the loss.",
            "share",
            "end/test/loss",
            x_words="Place between the two copies",
            colour="density",
            panel="rewind_step",
        ),
    ),
    presets={
        "digits": lambda: Connect(),
        "connect-lenet": connect_lenet,
        "connect-resnet20": connect_resnet20,
        "connect-vgg16": connect_vgg16,
    },
    help="Batch norms are estimated anew on the training data for every network on the line.",
    first=("rewind_to", "connect_levels"),
    examples=(
        "lth connect --rewind-to 0it,100it,500it --connect-levels 0,8",
        "lth connect lenet-300-100 mnist ./datasets       # as in the paper",
        "lth connect resnet-20 cifar-10 ./datasets        # as in the paper: days on a CPU",
    ),
)
