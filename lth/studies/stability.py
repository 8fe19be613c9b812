"""How much of a ticket is the same under another data order, or from another initialisation?

The overlap of the masks of two searches, over all weights and per layer, beside what unrelated masks of the same
densities would give.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lth.analysis.documents import Results
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Duration, Metric, Pruning, Recipe, StudySettings
from lth.studies.cifar import frankle_on_cifar10
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (
    Arm("other order", "the same initialisation under another data order", "subject"),
    Arm("other initialisation", "another initialisation under the same data order", "subject"),
    Arm("chance", "unrelated masks with the same density in every layer", "baseline"),
)


class Stability(StudySettings):
    """How tickets are found whose masks are compared."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    replicates: int = Field(default=3, ge=1, description="networks with seeds of their own; intervals are over them")
    levels: int = Field(default=8, ge=1, le=100, description="rounds of pruning, rewinding and training again")
    rewind_to: Duration = Field(default="0it", description="where kept weights go back to: 0it is the initialisation")
    training: Recipe = Recipe(duration="600it")
    masks: Pruning = Pruning()


def derive(settings: Stability, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the overlaps of one replicate's masks with those of two other searches, at each level."""
    from lth.lineage import Overlapped
    from lth.studies.chain import tickets
    from lth.training import Seeds, derive_seed

    step = subject.steps(settings.rewind_to)
    densities = subject.densities(settings.masks, settings.levels)
    reordered = Seeds(init=seeds.init, order=derive_seed(seeds.order, "other"), augmentation=seeds.augmentation)
    chains = {
        "": tickets(subject, settings.masks, settings.levels, seeds, rewind_step=step),
        "other order": tickets(subject, settings.masks, settings.levels, reordered, rewind_step=step),
        "other initialisation": tickets(
            subject,
            settings.masks,
            settings.levels,
            seeds,
            rewind_step=step,
            initial=subject.initial(seeds, "other"),
        ),
    }
    for level in range(1, settings.levels + 1):
        at = {"level": level, "density": densities[level]}
        for arm in ("other order", "other initialisation"):
            job = Overlapped(first=chains[""][level].masks, second=chains[arm][level].masks)
            yield Point(job, arm, replicate, at)
            if arm == "other order":
                yield Point(job, "chance", replicate, at, item=1)


def resolve(settings: Stability, subject: "Subject") -> Stability:
    """Return the settings, checked, with rates filled in."""
    from lth.studies.pruning import resolved_pruning

    return resolved_pruning(settings, subject)


def _compare(overlaps: list[float | None], chance: list[float | None], confidence: float) -> tuple[str, bool]:
    """Return how overlaps compare with those of unrelated masks, in words, and whether they are surely above them."""
    from lth.analysis.statistics import interval, paired_difference

    mean, of_chance = (interval(values, confidence)["mean"] or 0.0 for values in (overlaps, chance))
    low, high = (paired_difference(overlaps, chance, confidence)[end] for end in ("low", "high"))
    ends = "" if low is None else f" ({100 * confidence:g} % interval of the difference {low:+.3f} to {high:+.3f})"
    text = f"masks overlap by {mean:.3f} (intersection over union), by chance {of_chance:.3f}{ends}."
    return text, low is not None and low > 0 and low != high


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say how far masks agree beyond chance at the last level, and where each layer stands."""
    from lth.analysis.statistics import interval

    last = max(row["at"]["level"] for row in results["rows"])
    values: dict[tuple[str, float | str, str], list[float | None]] = {}
    for row in sorted(results["rows"], key=lambda row: row["replicate"]):
        for name, value in row["end"].items():
            measure, _, layer = name.partition("/")
            if measure == "overlap":
                values.setdefault((row["arm"], row["at"]["level"], layer), []).append(value)
    densities = {row["at"]["level"]: row["at"]["density"] for row in results["rows"]}
    confidence = results["confidence"]
    table = [
        {"arm": arm, "level": level, "density": densities[level], "layer": layer, **interval(overlaps, confidence)}
        for (arm, level, layer), overlaps in values.items()
        if layer
    ]
    sentences, above = [], {}
    chance = values.get(("chance", last, ""), [])
    for arm in ("other order", "other initialisation"):
        overlaps = values.get((arm, last, ""), [])
        if overlaps and len(overlaps) == len(chance):
            sentence, above[arm] = _compare(overlaps, chance, confidence)
            sentences.append(f"{arm.capitalize()}: at {100 * densities[last]:.3g} % of the weights {sentence}")
    by_order, by_draw = (above.get(arm, False) for arm in ("other order", "other initialisation"))
    if by_order and not by_draw:
        first = (
            "Masks agree beyond chance under another data order; from another initialisation no agreement is settled."
        )
    elif by_order and by_draw:
        first = "Masks agree beyond chance under another data order and from another initialisation."
    else:
        first = "No agreement of masks beyond chance is settled."
    subject = f"{results['config']['model']} on {results['config']['data']}"
    return Conclusion(
        {
            "found": by_order,
            "confirmed": by_order,
            "summary": "beyond chance" if by_order else "not settled",
            "title": f"{subject}: how stable masks are",
            "sentences": [first, *sentences],
            "tiles": [],
            "at": {"level": last},
        },
        {"layers": table},
    )


STABILITY = StudyType(
    name="stability",
    words="Compare the masks of tickets found under other data orders and from other initialisations, beside chance.",
    settings=Stability,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    axis="level",
    metrics=(Metric("overlap", "higher", "plain", "intersection over union of the kept weights"),),
    plots=(
        Plot(
            "overlap",
            "Overlap of masks",
            "Intersection over union of the weights that two searches keep, beside unrelated masks.",
            "density",
            "end/overlap",
            x_words="Weights remaining (%)",
            y_words="Overlap (intersection over union)",
            log_x=True,
        ),
        Plot(
            "overlap_by_layer",
            "Overlap per layer",
            "The same for each layer.",
            "density",
            "mean",
            x_words="Weights remaining (%)",
            y_words="Overlap (intersection over union)",
            log_x=True,
            panel="layer",
            table="layers",
        ),
    ),
    presets={
        "digits": lambda: Stability(),
        "stability-resnet20": lambda: Stability(**frankle_on_cifar10(model="resnet-20", levels=8, rewind_to="2000it")),
        "stability-vgg16": lambda: Stability(**frankle_on_cifar10(model="vgg-16", levels=19, rewind_to="1000it")),
        "lenet-mnist": lambda: Stability(data="mnist", levels=12, duration="5000it", replicates=3, evaluate_every=1000),
    },
    first=("levels", "rate", "rewind_to"),
    examples=(
        "lth stability --levels 4                         # a few minutes",
        "lth stability lenet-300-100 mnist ./datasets     # hours",
    ),
)
