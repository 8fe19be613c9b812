"""Finding winning tickets: train, prune, rewind, train again, with the controls that make a claim hold.

Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lth.analysis.documents import Results
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import MaskChanges, Pruning, Recipe, StudySettings, Targets
from lth.config.text import split_names
from lth.studies.restart import KEPT_ACTIONS, PRUNED_ACTIONS, Level, Restart
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import Job, MasksNode, Reader, Trained
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (
    Arm("dense", "the dense network", "baseline"),
    Arm("ticket", "the pruned network from its own starting weights", "subject"),
    Arm("sparsified", "the training that was pruned on its way and gave the mask", "source"),
    Arm("reinit", "the same mask with new initial weights", "control"),
    Arm("random", "a random mask with the same density in every layer", "control"),
)


class AfterTraining(Pruning):
    """Weights are chosen after each training: iterative pruning."""

    moments: Literal["zero", "keep"] = Field(
        default="zero",
        description="optimizer moments at a mask change: zero; keep (with kept weights); restore (within training: "
        "those of a weight that comes back)",
    )

    @field_validator("moments", mode="before")
    @classmethod
    def _nothing_comes_back(cls, moments: Any) -> Any:
        if moments == "restore":
            raise ValueError("moments: 'restore' is for weights that come back within a training: choose a sparsifier")
        return moments


class WithinTraining(Targets, MaskChanges):
    """Weights are chosen within one training per level; its masks are then tested as tickets."""

    group: ClassVar[str] = "Pruning within training"

    sparsifier: str = Field(
        description="prune within one training per level instead of after it: gradual (cubic), set, rigl, soft, noise; "
        "its masks are then tested as tickets. It uses --scope as it stands; the papers of set and rigl use erk"
    )

    @model_validator(mode="after")
    def _fits_the_method(self) -> Self:
        from lth.training.sparsifiers import SPARSIFIERS  # loads torch: only where a sparsifier is asked for

        method = SPARSIFIERS.pick(self.sparsifier)
        if not method.criterion and self.criterion != "large_final":
            raise ValueError(
                f"criterion: sparsifier {self.sparsifier!r} drops weights by magnitude; found {self.criterion!r}, only "
                "'large_final' is allowed"
            )
        return self


class FindTicket(StudySettings):
    """All that determines a search: training, pruning, what a level starts from, and what is done with it."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    levels: int = Field(default=8, ge=1, le=100, description="rounds of pruning, rewinding and training again")
    controls: Annotated[tuple[str, ...], BeforeValidator(split_names)] = Field(
        default=("reinit", "random"),
        description="arms beside the ticket: reinit (same mask, new weights), random (random mask, same density); none",
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        description="what a ticket may lose and still count as matching, in the metric's own unit: 0.005 is half a "
        "point of accuracy",
    )
    training: Recipe = Recipe(duration="600it")
    masks: AfterTraining | WithinTraining = AfterTraining()
    restart: Restart = Restart()

    @model_validator(mode="before")
    @classmethod
    def _a_sparsifier_shares_out_single_weights(cls, given: Any) -> Any:
        sparsifier = given.get("sparsifier") if isinstance(given, dict) else None
        if sparsifier in (None, "none"):
            return given
        if (grain := given.get("granularity", "unstructured")) != "unstructured":
            raise ValueError(f"sparsifier: {sparsifier!r} chooses single weights; found granularity {grain!r}")
        if given.get("rates") not in (None, "none", "default", {}):
            raise ValueError("rates: a sparsifier shares out one density by its scope; leave them out, or see --scope")
        return given

    @field_validator("controls")
    @classmethod
    def _controls_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = [arm.name for arm in ARMS if arm.role == "control"]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"unknown control {unknown[0]!r}. Choices: {', '.join(known)}, none")
        if len(set(names)) < len(names):
            raise ValueError(f"{', '.join(names)} names one twice")
        return names

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        kept, pruned = KEPT_ACTIONS[self.restart.kept], PRUNED_ACTIONS[self.restart.pruned]
        if isinstance(self.masks, AfterTraining) and self.masks.moments == "keep" and not kept.as_trained:
            raise ValueError(
                "moments: 'keep' goes with kept 'keep' or 'lr_rewind', whose weights have moments; found "
                f"{self.restart.kept!r}"
            )
        if isinstance(self.masks, WithinTraining) and pruned.trains:
            raise ValueError(
                f"pruned: {self.restart.pruned!r} trains on what sparsifier {self.masks.sparsifier!r} pruned, so its "
                "masks would not be tested: choose another"
            )
        if kept.goes_on != "rewind" and self.restart.rewind_to not in ("0it", "0ep"):
            raise ValueError(
                f"rewind_to: kept {self.restart.kept!r} goes back to no step; found {self.restart.rewind_to!r}, leave "
                "it out"
            )
        if self.masks.schedule == "list" and len(self.masks.level_rates) < self.levels:
            raise ValueError(
                f"level_rates: found {len(self.masks.level_rates)} rates for {self.levels} levels; schedule 'list' "
                "needs one per level"
            )
        return self


def derive(settings: FindTicket, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the points of one replicate: the dense network, then at each level the ticket and its controls.

    The control `reinit` trains the ticket's mask from weights of a new draw. With a rewind step k > 0 it still trains
    from step 0, k steps more than the ticket: it has no earlier training to return to, and so it is at no disadvantage.
    The control `random` trains the ticket's own starting values under a random mask with as many weights in each
    tensor; where kept weights stay as trained, those of the dense network. Where pruned weights train on, nothing is
    frozen in any of them, and a level's origin is the start of the one before, redrawn weights included.
    """
    from lth.lineage import Combined, Dense, Shuffled
    from lth.sparsity.schedule import schedule

    kept, pruned = KEPT_ACTIONS[settings.restart.kept], PRUNED_ACTIONS[settings.restart.pruned]
    rewind_step, densities = subject.steps(settings.restart.rewind_to), densities_of(settings, subject)
    training = subject.training.at_last_lr() if kept.goes_on == "last" else subject.training
    first_step = rewind_step if kept.goes_on == "rewind" else 0
    chosen = {"prune_only": settings.masks.prune_only, "never_prune": settings.masks.never_prune}
    carries = settings.masks.moments == "keep" and isinstance(settings.masks, AfterTraining)

    def frozen(masks: "MasksNode") -> "MasksNode":
        return Dense() if pruned.trains else masks

    def point(job: "Job", arm: str, number: int) -> Point:
        return Point(job, arm, replicate, {"level": number, "density": densities[number]})

    initial = subject.initial(seeds)
    dense = subject.train(initial, None, seeds)
    yield point(dense, "dense", 0)
    trained = [dense]
    for number in range(1, settings.levels + 1):
        before = trained[schedule(settings.masks.schedule).source(number)]
        masks, source = _masks(settings, subject, seeds, before, number, densities)
        if source is not before:
            yield point(source, "sparsified", number)
        origin = (source if pruned.trains else dense).at(rewind_step)
        redrawn = subject.initial(seeds, "kept", number)
        level = Level(masks, initial, origin, source, source, redrawn, number, chosen)

        start = Combined(masks=masks, kept=kept.make(level), pruned=pruned.make(level))
        moments = source if carries else None
        ticket = subject.train(start, frozen(masks), seeds, moments=moments, training=training, first_step=first_step)
        trained.append(ticket)
        yield point(ticket, "ticket", number)
        if "reinit" in settings.controls:
            fresh = subject.initial(seeds, "reinit", number)
            anew = Level(masks, fresh, fresh, source, source, fresh, number, chosen)
            start = Combined(masks=masks, kept=fresh, pruned=pruned.make(anew))
            yield point(subject.train(start, frozen(masks), seeds), "reinit", number)
        if "random" in settings.controls:
            shuffled = Shuffled(masks=masks)
            # A random mask would fall on zeros of earlier levels: where values are taken as trained, the dense ones.
            other = Level(shuffled, initial, origin, dense, source, redrawn, number, chosen)
            start = Combined(masks=shuffled, kept=kept.make(other), pruned=pruned.make(other))
            moments = dense if carries else None
            control = subject.train(
                start, frozen(shuffled), seeds, moments=moments, training=training, first_step=first_step
            )
            yield point(control, "random", number)


def _masks(
    settings: FindTicket,
    subject: "Subject",
    seeds: "Seeds",
    before: "Trained",
    number: int,
    densities: tuple[float, ...],
) -> "tuple[MasksNode, Trained]":
    """Return the masks of a level and the training that decided them: the one before, or one that prunes on its way."""
    from lth.config import Sparsifier
    from lth.lineage import Prunable, Pruned, Sparsified

    chosen_by = settings.masks
    if isinstance(chosen_by, AfterTraining):
        return Pruned.after(before, pruning_of(chosen_by), number), before
    changes = {name: getattr(chosen_by, name) for name in MaskChanges.model_fields}
    sparsifier = Sparsifier(
        method=chosen_by.sparsifier,
        density=densities[number],
        criterion=chosen_by.criterion,
        scope=chosen_by.scope,
        **changes,
    )
    full = Prunable(model=subject.model, prune_only=chosen_by.prune_only, never_prune=chosen_by.never_prune)
    source = subject.train(subject.initial(seeds), full, seeds, sparsifier=sparsifier)
    return Sparsified(trained=source), source


def pruning_of(settings: AfterTraining) -> Pruning:
    """Return how weights are chosen, without what is done with the optimizer."""
    return Pruning(**{name: getattr(settings, name) for name in Pruning.model_fields})


def densities_of(settings: FindTicket, subject: "Subject") -> tuple[float, ...]:
    """Return the fraction of the prunable weights that each level keeps, from level 0."""
    targets = settings.masks
    shared = {name: getattr(targets, name) for name in Targets.model_fields}
    pruning = pruning_of(targets) if isinstance(targets, AfterTraining) else Pruning(**shared)
    return subject.densities(pruning, settings.levels)


def resolve(settings: FindTicket, subject: "Subject") -> FindTicket:
    """Return the settings with rates filled in; check what needs tables and the network."""
    from lth.studies.pruning import checked, with_rates

    return with_rates(checked(settings), subject)


def traces(settings: FindTicket) -> tuple[str, ...]:
    """Return what trainings keep for the criterion and for the moments policy."""
    from lth.sparsity import criterion

    if not isinstance(settings.masks, AfterTraining):
        return ()
    wanted = criterion(settings.masks.criterion).traces
    return (*wanted, *(["moments"] if settings.masks.moments == "keep" else []))


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Compare tickets with the dense network and their controls; say how well large weights survive."""
    from lth.analysis.verdict import compare_with_baseline
    from lth.studies.restart_verdict import verdict_on_restarts
    from lth.studies.survival import survival_table

    pruned = PRUNED_ACTIONS[results["config"]["pruned"]]
    if pruned.trains:
        return Conclusion(verdict_on_restarts(results, pruned.done))
    verdict = compare_with_baseline(results, margin=results["config"]["margin"])
    return Conclusion(verdict, {"survival": survival_table(reader, points, results["confidence"])})


def lenet_on_digits() -> FindTicket:
    """Return LeNet-300-100 on scikit-learn's digits: the method in under a minute, down to 3 % of the weights.

    The margin of half a point (3.6 of the 719 test images) was fixed before any result was seen; replicates and length
    were not: of 8 replicates and 500 iterations, seeds 1 and 2 confirmed a ticket, seed 0 did not.
    """
    return FindTicket(levels=10, rate=0.3, replicates=10, duration="1000it", margin=0.005)


def frankle_carbin_lenet(data: str = "mnist") -> FindTicket:
    """Return LeNet-300-100 on MNIST as in Section 2 of Frankle & Carbin 2019, arXiv:1803.03635 (Figure 2, 5 trials).

    Layer-wise pruning by 20 % per level, 10 % in the output layer; Adam at 1.2e-3, batches of 60, 50,000 iterations.
    """
    return FindTicket(data=data, levels=21, duration="50000it", validation=5000)


FIND_TICKET = StudyType(
    name="find-ticket",
    words="Find winning tickets: train, prune, rewind, train again, with controls; write a report.",
    settings=FindTicket,
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
            "Against the percentage of the prunable weights that remain.",
            "density",
            x_words="Weights remaining (%)",
            log_x=True,
        ),
        Plot(
            "early_stopping",
            "Speed of learning",
            "The step of the best validation loss, at which training would be stopped; lower is faster.",
            "density",
            "best_step",
            x_words="Weights remaining (%)",
            y_words="Early-stopping step",
            log_x=True,
        ),
        Plot(
            "early_stop_quality",
            "At early stopping",
            "The same of the weights at the step of the best validation loss.",
            "density",
            "at_best/primary",
            x_words="Weights remaining (%)",
            log_x=True,
        ),
        Plot(
            "survival",
            "Which weights survive",
            "Share of the largest tenth of the initial weights that each level keeps, beside that of all weights.",
            "density",
            "mean",
            x_words="Weights remaining (%)",
            y_words="Survival (%)",
            log_x=True,
            colour="weights",
            panel="layer",
            table="survival",
        ),
    ),
    presets={
        "digits": lenet_on_digits,
        "frankle-carbin-lenet": frankle_carbin_lenet,
        "frankle-carbin-lenet-fashion": lambda: frankle_carbin_lenet("fashion-mnist"),
    },
    help="On mnist and fashion-mnist the preset is the protocol of Frankle & Carbin 2019, Section 2: --levels 21 "
    "--duration 50000it.",
    examples=(
        "lth find-ticket                                  # about a minute",
        "lth find-ticket lenet-300-100 mnist ./datasets   # hours: as in the paper",
        "lth find-ticket convnet mnist ./datasets --granularity filters --levels 5",
        "lth find-ticket mypackage.nets:make own.npz --duration 20ep   # your own",
        "lth find-ticket mynets:make digits --train mycode:train       # your loop",
    ),
)
