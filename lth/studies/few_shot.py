"""Few-shot transfer: what is a ticket of one task worth on few examples of another?

Each ticket's masks lie over the weights that it grew from, with a head drawn anew; the same for those weights dense,
and under random masks. All arms of a replicate share the head, the examples and their order.

Sources: tickets of pre-trained BERT on other tasks, Chen et al. 2020, arXiv:2007.12223; the default recipe, AdamW with
warm-up and linear decay, over a number of steps and not of epochs: Mosbach et al. 2021, arXiv:2006.04884, Zhang et al.
2021, arXiv:2006.05987; 5e-5 is the highest learning rate of Devlin et al. 2019, arXiv:1810.04805.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lth.analysis.documents import Results
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.studies.few_shot_settings import DENSE, RANDOM, FewShot
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.data import Data
    from lth.lineage import DataSpec, Reader, WeightsNode
    from lth.studies.subject import Subject
    from lth.training import Seeds

HEAD_LR = 1e-3
"""Learning rate of a head alone, where none is given: the usual one of Adam on a layer that is drawn."""


_WORDS = "the ticket {name}, over the weights that it grew from"


def arms_of(settings: FewShot) -> tuple[Arm, ...]:
    """Return the arms: dense, each ticket, and a random mask for each ticket that is no random union itself."""
    dense = Arm(DENSE, "the weights that the tickets grew from, not pruned", "baseline")
    if not settings.digests:
        return (dense, *(Arm(name, _WORDS.format(name=name)) for name in settings.called))
    from lth.studies.few_shot_sources import sources_of

    tickets, controls = [], []
    for name, source in sources_of(settings):
        if source.is_random:
            words = "a random union: random masks of the sizes of several tickets, united"
            controls.append(Arm(name, words, "control"))
            continue
        tickets.append(Arm(name, _WORDS.format(name=name) + source.chosen_with(settings.data)))
        controls.append(
            Arm(f"{RANDOM} {name}", f"a random mask with as many weights of each tensor as {name}", "control")
        )
    return (dense, *tickets, *controls)


def derive(settings: FewShot, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the trainings of one replicate: each arm on each number of examples."""
    from lth.lineage import Combined, MasksNode, Shuffled, Zeros
    from lth.studies.few_shot_sources import masks_of
    from lth.training import derive_seed

    dense = _start(settings, subject, seeds)
    masks: dict[str, MasksNode] = {}
    for name, given, is_random in masks_of(settings, subject):
        masks[name] = given
        if not is_random:
            masks[f"{RANDOM} {name}"] = Shuffled(masks=given, draw=derive_seed(seeds.init, "random masks"))
    for shots in settings.shots:
        few = _on_few(settings, subject, shots, seeds, replicate)
        yield Point(few.train(dense, None, seeds), DENSE, replicate, {"shots": shots})
        for arm, each in masks.items():
            start = Combined(masks=each, kept=dense, pruned=Zeros(like=dense))
            yield Point(few.train(start, each, seeds), arm, replicate, {"shots": shots})


def _start(settings: FewShot, subject: "Subject", seeds: "Seeds") -> "WeightsNode":
    """Return the weights that tickets grew from, with a head, and what pre-trained weights lack, drawn anew.

    Pre-trained weights are those of this model, also where the tickets' network had less of it, as no pooler.
    """
    from lth.lineage import Grafted, Initial
    from lth.studies.few_shot_sources import drawn_anew, sources_of
    from lth.training import derive_seed

    origin: WeightsNode = subject.initial(seeds)
    if settings.digests and not subject.pretrained:
        _, first = next(sources_of(settings))
        origin = first.root
    anew = drawn_anew(subject)
    if not anew:
        return origin
    others = tuple(name for name in subject.module.state_dict() if name not in anew)
    drawn = Initial(spec=subject.model, seed=derive_seed(seeds.init, "head"))
    return Grafted(of=drawn, donor=origin, names=others)


def _on_few(settings: FewShot, subject: "Subject", shots: int, seeds: "Seeds", replicate: int) -> "Subject":
    """Return the subject with few examples, and its recipe over them: a batch has no more than there are."""
    from lth.studies.few_shot_sources import drawn_anew
    from lth.training import derive_seed

    seed = settings.shot_seeds[replicate] if settings.shot_seeds else derive_seed(seeds.init, "shots")
    data = _drawn(settings, subject, shots, seed)
    source = subject.sources.data[data.digest]
    count = shots * (source.facts["num_classes"] if data.shots_by_class else 1)
    recipe = settings.training
    recipe = recipe.model_copy(update={"batch_size": min(recipe.batch_size, count)})
    clock = recipe.clock(count, source.tokens_per_example)
    only = drawn_anew(subject) if settings.mode == "head" else ()
    training = recipe.training(clock, subject.training.task, train_only=only)
    return replace(subject, data=data, training=training, clock=clock)


def _drawn(settings: FewShot, subject: "Subject", shots: int, seed: int) -> "DataSpec":
    by_class = settings.shots_of == "class"
    return subject.data.model_copy(update={"shots": shots, "shots_by_class": by_class, "shots_seed": seed})


def from_files(settings: FewShot, data: "Data", is_foreign: Callable[[str], bool]) -> FewShot:
    """Return the settings with the model that follows from the tickets."""
    from lth.studies.few_shot_sources import with_model

    return with_model(settings, data, is_foreign)


def resolve(settings: FewShot, subject: "Subject") -> FewShot:
    """Return the settings, checked, with the digests of tickets and the usual learning rate of what trains."""
    from lth.models import head_of
    from lth.studies.few_shot_sources import with_sources

    if settings.mode == "head":
        if settings.training.train is not None:
            raise ValueError(
                f"mode: your function {settings.training.train!r} decides itself what trains: found mode 'head', take "
                "'full'"
            )
        if not head_of(subject.model.name, subject.module):
            raise ValueError(f"mode: {settings.model!r} has no head of its own: found mode 'head', take 'full'")
        if "lr" not in settings.written:
            settings = settings.with_(lr=HEAD_LR)
    settings = with_sources(settings, subject)
    subject.sources.parts(_drawn(settings, subject, max(settings.shots), 0))  # says if there are not so many
    return settings


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Compare each ticket with dense, with its random mask and with the others, at each number of examples."""
    from lth.studies.few_shot_verdict import compare_tickets

    return compare_tickets(results, points)


FEW_SHOT = StudyType(
    name="few-shot",
    words="Train tickets on few examples of another task, beside the dense network and random masks.",
    settings=FewShot,
    arms=(),
    arms_of=arms_of,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    axis="shots",
    from_files=from_files,
    plots=(
        Plot(
            "learning_curve",
            "From few examples",
            "Mean over draws of examples and of a head, with the interval over them.",
            "shots",
            x_words="Training examples",
            log_x=True,
        ),
        Plot(
            "differences",
            "Beside dense, random and each other",
            "Difference of a ticket from each other arm, paired over draws.",
            "shots",
            "difference",
            x_words="Training examples",
            y_words="Difference",
            log_x=True,
            panel="against",
            table="differences",
        ),
    ),
    presets={"digits": lambda: FewShot()},
    files="sources",
    help="Files on the command line are tickets, of which the model follows; a folder among them is that of the data.",
    first=("target", "mode", "shots"),
    examples=(
        "lth few-shot A.ticket.safetensors --target glue/qqp DIR --mode head",
        "lth few-shot own.safetensors merged.safetensors --target glue/qqp",
    ),
)
