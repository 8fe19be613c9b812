"""Do tickets serve other data, another optimizer, another task than those that they were found with?

Tickets of a source are trained on a target, beside tickets that were found on the target itself, random masks of the
same layer-wise densities, the same masks over weights drawn anew, and the dense network. All networks of a replicate
grow from one initialisation of the trunk, so that tickets of the two differ in their masks (and in how the source had
trained the weights that they go back to).

Source: Morcos et al. 2019, arXiv:1906.02773. The output layer is ours to decide where it cannot move: it stays dense in
all networks, of the source too, so that arms differ in the trunk alone.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lth.analysis.documents import Results
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.studies.study_type import StudyType, criterion_traces
from lth.studies.transfer_settings import Transfer, source_of

if TYPE_CHECKING:
    from lth.data import Data
    from lth.lineage import Reader, WeightsNode
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (
    Arm("dense", "the dense network on the target", "baseline"),
    Arm("source ticket", "the ticket of the source, trained on the target", "subject"),
    Arm("target ticket", "the ticket that was found on the target itself", "subject"),
    Arm("random", "a random mask with the source ticket's density in every layer", "control"),
    Arm("reinit", "the source ticket's mask over weights drawn anew", "control"),
)


def derive(settings: Transfer, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the points of one replicate: the dense network, then at each level both tickets and the controls."""
    from lth.lineage import Combined, MasksNode, Shuffled, WeightsNode, Zeros
    from lth.studies.chain import tickets

    def start(masks: MasksNode, kept: WeightsNode, like: WeightsNode) -> Combined:
        return Combined(masks=masks, kept=kept, pruned=Zeros(like=like))

    source, pruning, levels = subject.others["source"], settings.masks, settings.levels
    step, densities = subject.steps(settings.rewind_to), subject.densities(pruning, levels)
    trunk, source_step = source.initial(seeds), source.steps(settings.rewind_to)
    own = _with_trunk(settings, subject, subject.initial(seeds), trunk)
    given = tickets(source, pruning, levels, seeds, rewind_step=source_step)
    found = tickets(subject, pruning, levels, seeds, rewind_step=step, initial=own)
    origin = given[0].at(source_step)
    moved = own if origin == trunk else _with_trunk(settings, subject, own, origin)
    yield Point(found[0], "dense", replicate, {"level": 0, "density": densities[0]})
    for level in range(1, levels + 1):
        masks, fresh = given[level].masks, subject.initial(seeds, "reinit", level)
        drawn = Shuffled(masks=masks)
        arms = {
            "source ticket": subject.train(start(masks, moved, own), masks, seeds, first_step=step),
            "target ticket": found[level],
            "random": subject.train(start(drawn, moved, own), drawn, seeds, first_step=step),
            "reinit": subject.train(start(masks, fresh, fresh), masks, seeds),  # from step 0: none led to a later one
        }
        for arm, job in arms.items():
            if arm in ("source ticket", "target ticket", *settings.controls):
                yield Point(job, arm, replicate, {"level": level, "density": densities[level]})


def _with_trunk(settings: Transfer, subject: "Subject", state: "WeightsNode", trunk: "WeightsNode") -> "WeightsNode":
    """Return a state of the target with the trunk of another; where the head moves too, and fits, that other itself."""
    from lth.lineage import Grafted

    if state == trunk or (settings.head == "rewind" and trunk.model == subject.model):
        return trunk
    return Grafted(of=state, donor=trunk, names=tuple(_trunk_of(settings, subject)))


def _trunk_of(settings: Transfer, subject: "Subject") -> list[str]:
    """Return the tensors that move from the source to the target, by name."""
    head = () if settings.head == "rewind" else _head_of(subject)
    return [name for name in subject.module.state_dict() if name not in head]


def _head_of(subject: "Subject") -> tuple[str, ...]:
    from lth.models import head_of

    return head_of(subject.model.name, subject.module)


def adapt(settings: Transfer, data: "Data", others: Mapping[str, "Data"]) -> "Data":
    """Return the target's data with inputs of the source's shape."""
    from lth.models.adapt import adapted

    return adapted(data, others["source"], settings.adapt)


def resolve(settings: Transfer, subject: "Subject") -> Transfer:
    """Return the settings, checked, with rates filled in; a head that is drawn anew is not pruned.

    Raises:
        ValueError: if the networks of source and target differ in more than a head, or have none to draw anew.
    """
    from lth.studies.pruning import resolved_pruning

    theirs = {name: value.shape for name, value in subject.others["source"].module.state_dict().items()}
    for name in _trunk_of(settings, subject):
        own = subject.module.state_dict()[name].shape
        if theirs.get(name) != own:
            raise ValueError(
                f"{name} is {list(own)} on the target and {list(theirs.get(name, ())) or 'missing'} on the source: "
                "only a head can differ, and only where it is drawn anew (--head redraw)"
            )
    if settings.head == "redraw":
        if not _head_of(subject):
            raise ValueError(f"head: {settings.model!r} has no head of its own to draw anew: take --head rewind")
        pruned = {*subject.prunable(settings.masks)} & {*_head_of(subject)}
        settings = settings.with_(never_prune=(*settings.masks.never_prune, *sorted(pruned)))
    return resolved_pruning(settings, subject)


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Compare the source's tickets with the target's, with their controls and with dense, level by level."""
    from lth.studies.transfer_verdict import compare_sources

    return compare_sources(results)


TRANSFER = StudyType(
    name="transfer",
    words="Train tickets of one data set, optimizer or task on another, beside tickets that were found there.",
    settings=Transfer,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    traces=criterion_traces,
    others=source_of,
    adapt=adapt,
    axis="level",
    plots=(
        Plot(
            "quality",
            "On the target",
            "Each training is on the target; the source's ticket alone comes from elsewhere.",
            "density",
            x_words="Weights remaining (%)",
            log_x=True,
        ),
        Plot(
            "differences",
            "Tickets of the source beside the others",
            "Difference of the source's ticket from each other network, paired over replicates.",
            "density",
            "difference",
            x_words="Weights remaining (%)",
            y_words="Difference",
            log_x=True,
            colour="against",
            table="differences",
        ),
    ),
    presets={
        "digits": lambda: Transfer(source_optimizer="sgd", source_lr=0.1, rate=0.4, margin=0.005),
        "digits-diabetes": lambda: Transfer(
            data="diabetes", source_data="digits", rate=0.4, replicates=10, duration="300it", margin=0.02
        ),
        "fashion-mnist": lambda: images("mnist", "fashion-mnist"),
        "mnist": lambda: images("fashion-mnist", "mnist"),
    },
    help="The target is the data that the command names; what is not given as --source-... is as on the target.",
    first=("source_data", "source_optimizer", "levels", "rate", "rewind_to"),
    examples=(
        "lth transfer                                     # SGD's tickets under Adam",
        "lth transfer lenet-300-100 diabetes --source-data digits",
        "lth transfer lenet-300-100 mnist ./datasets      # tickets of fashion-mnist",
    ),
)


def images(source: str, target: str) -> Transfer:
    """Return LeNet-300-100 between two data sets of small images, with the recipe of Frankle & Carbin 2019."""
    return Transfer(
        data=target,
        source_data=source,
        levels=12,
        duration="5000it",
        validation=5000,
        margin=0.005,
    )
