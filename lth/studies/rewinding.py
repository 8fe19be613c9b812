"""Where should a ticket go back to? A sweep of rewind steps against sparsity, with two methods beside it.

Weight rewinding takes weights and learning-rate schedule back to a step of the dense training; learning-rate rewinding
takes the schedule back alone; fine-tuning neither. The last two go on from trained weights for as many steps as the
schedule has after their step: as many as weights that are rewound to it, and fewer than weights that are rewound to an
earlier one. Each has a chain of masks of its own, which is that of
`find-ticket` with this choice of kept weights and this rewind step: what that study has trained is not trained again.

Sources: Frankle et al. 2019, arXiv:1903.01611 (rewinding to a later step); Renda et al. 2020, arXiv:2003.02389
(learning-rate rewinding and fine-tuning, for equal numbers of steps).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lth.analysis.documents import Results
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Duration, Pruning, Recipe, StudySettings, flat_fields
from lth.config.duration import in_words
from lth.config.text import split_names
from lth.studies import find_ticket
from lth.studies.cifar import sgd_on_cifar10
from lth.studies.find_ticket_settings import FindTicket
from lth.studies.study_type import StudyType, criterion_traces

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.studies.subject import Subject
    from lth.training import Seeds

LR, FINE = "learning-rate rewinding", "fine-tuning"
"""Arms of the methods that go on from trained weights."""

Methods = Annotated[tuple[Literal["weights", "lr", "fine-tuning"], ...], BeforeValidator(split_names)]
Controls = Annotated[tuple[Literal["random", "reinit"], ...], BeforeValidator(split_names)]


class Rewinding(StudySettings):
    """Where tickets go back to, by which methods, and what stands beside them."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    levels: int = Field(default=4, ge=1, le=100, description="rounds of pruning and training again")
    rewind_steps: Annotated[tuple[Duration, ...], BeforeValidator(split_names)] = Field(
        default=("0it", "50it", "200it"), description="steps that weights go back to, rising, as 0it,100it,1ep"
    )
    methods: Methods = Field(
        default=("weights", "lr", "fine-tuning"),
        description="weights (rewind weights and schedule, to each step), lr (the schedule alone), fine-tuning "
        "(neither: the last learning rate)",
    )
    retrain_from: Duration | None = Field(
        default=None,
        description="step that lr goes back to; it and fine-tuning train on for as long as is left after it [default: "
        "the last of --rewind-steps]",
    )
    controls: Controls = Field(
        default=("random", "reinit"),
        description="beside the last rewind step: random (random mask, same densities, same weights), reinit (same "
        "mask, weights drawn anew); none",
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        description="what a ticket may lose and still match the dense network, in the metric's own unit: 0.005 is half "
        "a point of accuracy",
    )
    training: Recipe = Recipe(duration="600it")
    masks: Pruning = Pruning()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("rewind_steps", "methods"):
            found = getattr(self, name)
            if not found or len(set(found)) < len(found):
                raise ValueError(f"{name}: found {', '.join(found) or 'none'}; give one or more, each once")
        if self.controls and "weights" not in self.methods:
            raise ValueError("controls: they stand beside weights that were rewound; add weights to --methods, or none")
        return self


def searches_of(settings: Rewinding) -> dict[str, FindTicket]:
    """Return the search whose tickets are those of each arm, by its name."""
    last = settings.rewind_steps[-1]
    start = settings.retrain_from or last
    searches = {}
    if "weights" in settings.methods:
        for step in settings.rewind_steps:
            controls = settings.controls if step == last else ()
            searches[f"rewound to {in_words(step)}"] = _search(settings, "rewind", step, controls)
    if "lr" in settings.methods:
        searches[LR] = _search(settings, "lr_rewind", start)
    if "fine-tuning" in settings.methods:
        searches[FINE] = _search(settings, "keep", start)
    return searches


def _search(settings: Rewinding, kept: str, step: str, controls: tuple[str, ...] = ()) -> FindTicket:
    known = {name for name, *_ in flat_fields(FindTicket)}
    shared = {name: value for name, value in settings.flat().items() if name in known}
    return FindTicket(**shared | {"kept": kept, "rewind_to": step, "controls": controls})


def arms_of(settings: Rewinding) -> tuple[Arm, ...]:
    """Return the arms: dense, each rewind step, the other methods, and the controls of the last step."""
    last = in_words(settings.rewind_steps[-1])
    start = in_words(settings.retrain_from) if settings.retrain_from else last
    words = {
        LR: f"trained weights, while the learning-rate schedule goes back to {start}",
        FINE: f"trained weights, trained on at the last learning rate for as long as is left after {start}",
        "random": f"a random mask with the same density in every layer, rewound to {last}",
        "reinit": f"the mask of the tickets rewound to {last} over weights drawn anew",
    }
    subjects = (
        Arm(name, words.get(name, f"weights and schedule go back to {name.removeprefix('rewound to ')}"))
        for name in searches_of(settings)
    )
    controls = (Arm(name, words[name], "control") for name in settings.controls)
    return (Arm("dense", "the dense network", "baseline"), *subjects, *controls)


def derive(settings: Rewinding, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the points of one replicate: the dense network once, then the tickets of each arm's search."""
    for number, (arm, search) in enumerate(searches_of(settings).items()):
        for point in find_ticket.derive(search, subject, seeds, replicate):
            if point.arm != "dense" or number == 0:
                yield replace(point, arm=arm if point.arm == "ticket" else point.arm)


def resolve(settings: Rewinding, subject: "Subject") -> Rewinding:
    """Return the settings, checked, with rates filled in.

    Raises:
        ValueError: if rewind steps do not rise.
    """
    from lth.studies.pruning import resolved_pruning

    steps = [subject.steps(each) for each in settings.rewind_steps]
    if steps != sorted(set(steps)):
        raise ValueError(f"rewind_steps: {', '.join(settings.rewind_steps)} are the steps {steps}: they must rise")
    if settings.retrain_from is not None:
        subject.steps(settings.retrain_from)
    return resolved_pruning(settings, subject)


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say from which rewind step on tickets match the dense network, and how far each method goes."""
    from lth.lineage import Trained
    from lth.studies.rewinding_verdict import Step, judge

    steps: dict[str, Step] = {}
    for point in points:
        if isinstance(point.job, Trained) and point.arm not in ("dense", *results["config"]["controls"]):
            steps[point.arm] = Step(point.job.training.first_step, is_rewound=point.arm not in (LR, FINE))
    return judge(results, steps)


def renda_resnet20() -> Rewinding:
    """Return ResNet-20 on CIFAR-10 as in Renda et al. 2020, arXiv:2003.02389: SGD with momentum, drops at two steps.

    Batches of 128, decay 2e-4, drops at 91 and 136 of 182 epochs; here in the paper's steps (71,108, of which it goes
    back to 4,701), since 5,000 of its 50,000 training examples are held out. Weights are ranked together, 20 % a level.
    """
    return Rewinding(
        **sgd_on_cifar10(
            model="resnet-20",
            levels=10,
            rewind_steps="0it,4701it",
            lr_milestones="35554it,53136it",
            duration="71108it",
            weight_decay=2e-4,
            margin=0.0025,
        )
    )


REWINDING = StudyType(
    name="rewinding",
    words="Sweep the step that tickets go back to, beside learning-rate rewinding and fine-tuning.",
    settings=Rewinding,
    arms=(),
    arms_of=arms_of,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    traces=criterion_traces,
    axis="level",
    plots=(
        Plot(
            "quality",
            "At the end of training",
            "Each method prunes and trains a chain of its own.",
            "density",
            x_words="Weights remaining (%)",
            log_x=True,
        ),
        Plot(
            "by_step",
            "By the step that weights go back to",
            "What rewound weights have over the dense network, paired over replicates.",
            "rewind_step",
            "difference",
            x_words="Step that weights and schedule go back to",
            y_words="Difference from dense",
            colour="density",
            table="by_step",
        ),
    ),
    presets={
        "digits": lambda: Rewinding(rate=0.5, margin=0.005, lr_decay="step", lr_milestones="50%,75%"),
        "renda-resnet20": renda_resnet20,
    },
    help="The chain of each arm is that of find-ticket with --kept and --rewind-to: trainings are shared with it.",
    first=("levels", "rate", "rewind_steps", "methods"),
    examples=(
        "lth rewinding                                    # about two minutes",
        "lth rewinding --rewind-steps 0it,100it,1ep --levels 6",
        "lth rewinding resnet-20 cifar-10 ./datasets      # as in Renda et al.: days",
    ),
)
