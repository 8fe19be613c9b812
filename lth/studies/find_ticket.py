"""Finding winning tickets: train, prune, rewind, train again, with the controls that make a claim hold.

Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lth.analysis.documents import Results
from lth.analysis.points import Conclusion, Plot, Point
from lth.studies.experiments.lwh import PRESETS, TABLE
from lth.studies.find_ticket_settings import (
    ARMS,
    AfterTraining,
    FindTicket,
    bert_ticket,
    frankle_carbin_lenet,
    lenet_on_digits,
    pretrained_on_glue,
)
from lth.studies.restart import PRUNED_ACTIONS
from lth.studies.search import CONTROLS, Search, pruning_of
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.studies.subject import Subject
    from lth.training import Seeds


def derive(settings: FindTicket, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the points of one replicate: the dense network, then at each level the ticket and its controls.

    Where pruned weights train on, nothing is frozen in any of them, and a level's origin is the start of the one
    before, redrawn weights included.
    """
    search = Search(settings, subject, seeds)
    densities = densities_of(settings, subject)
    jobs = [("dense", 0, search.dense)]
    for step in search.walk(densities):
        number = step.level.number
        if step.level.source is not step.before:
            jobs.append(("sparsified", number, step.level.source))
        jobs.append(("ticket", number, step.ticket))
        jobs += [(name, number, CONTROLS[name](search, step.level)) for name in settings.controls]
    for arm, number, job in jobs:
        yield Point(job, arm, replicate, {"level": number, "density": densities[number]})


def densities_of(settings: FindTicket, subject: "Subject") -> tuple[float, ...]:
    """Return the fraction of the prunable weights that each level keeps, from level 0."""
    from lth.studies.start_masks import start_densities

    densities = subject.densities(pruning_of(settings), settings.levels)
    return start_densities(settings, subject, densities) if settings.start_masks else densities


def resolve(settings: FindTicket, subject: "Subject") -> FindTicket:
    """Return the settings with rates filled in; check what needs tables and the network."""
    from lth.sparsity import settled_entries
    from lth.studies.entries import with_names
    from lth.studies.followed import check_followed
    from lth.studies.pruning import checked, with_rates
    from lth.studies.start_masks import with_start

    resolved = with_names(with_start(with_rates(checked(settings), subject), subject), subject.module)
    if isinstance(resolved.masks, AfterTraining):
        settled_entries(subject.module, subject.prunable(resolved.masks), resolved.masks)
    if resolved.restart.head == "redraw" and not subject.fresh:
        raise ValueError(
            f"head: 'redraw' draws a head that pre-trained weights lack, and {settings.model} has none: leave it out"
        )
    if resolved.super_weights:
        check_followed(resolved.prompts, subject)
    return resolved


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
    from lth.studies.followed import followed_sentence, followed_tables
    from lth.studies.restart_verdict import verdict_on_restarts
    from lth.studies.survival import survival_table
    from lth.studies.watched import watched_tables

    pruned = PRUNED_ACTIONS[results["config"]["pruned"]]
    if pruned.trains:
        return Conclusion(verdict_on_restarts(results, pruned.done))
    verdict = compare_with_baseline(results, margin=results["config"]["margin"])
    tables = {"survival": survival_table(reader, points, results["confidence"])}
    followed = followed_tables(reader, points, results)
    if sentence := followed_sentence(followed):
        verdict["sentences"].append(sentence)
    return Conclusion(verdict, tables | watched_tables(reader, points, results) | followed)


def _survival(name: str, title: str, words: str, panel: str) -> Plot:
    """Return a plot of shares of weights that levels keep, from the table of its name."""
    return Plot(
        name,
        title,
        words,
        "density",
        "mean",
        x_words="Weights remaining (%)",
        y_words="Survival (%)",
        log_x=True,
        colour="weights",
        panel=panel,
        table=name,
    )


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
        _survival(
            "survival",
            "Which weights survive",
            "Share of the largest tenth of the initial weights that each level keeps, beside that of all weights.",
            panel="layer",
        ),
        _survival(
            "watched_survival",
            "Survival of watched weights, beside their base rates",
            "Share of the replicates in which a watched weight is kept, beside the share kept of its matrix, of the "
            "tenth of its matrix with about its magnitude at the start, of its layer, and of all prunable weights.",
            panel="layer",
        ),
        _survival(
            "super_weights_survival",
            "Survival of the strongest spikes, beside their base rates",
            "Share of the replicates in which the weight that carried the strongest spike is kept, and in which it "
            "still carries it, beside the share kept of the tenth of its matrix with about its magnitude at the "
            "start, of its matrix, of its layer, and of all prunable weights. Shares of replicates with Wilson "
            "intervals.",
            panel="strongest",
        ),
    ),
    presets={
        "digits": lenet_on_digits,
        "frankle-carbin-lenet": frankle_carbin_lenet,
        "frankle-carbin-lenet-fashion": lambda: frankle_carbin_lenet("fashion-mnist"),
        "bert-sst2": lambda: bert_ticket("glue/sst2"),
        "bert-qqp": lambda: bert_ticket("glue/qqp"),
        **PRESETS,
    },
    usual=pretrained_on_glue,
    groups=TABLE,
    help="On mnist and fashion-mnist the preset is the protocol of Frankle & Carbin 2019, Section 2: --levels 21 "
    "--duration 50000it.",
    first=("levels", "rate", "rewind_to"),
    examples=(
        "lth find-ticket                                  # about a minute",
        "lth find-ticket lenet-300-100 mnist ./datasets   # hours: as in the paper",
        "lth find-ticket --rewind-to 200it                # late rewinding",
        "lth find-ticket ./minilm glue/sst2 ./data        # a pre-trained encoder",
        "lth find-ticket mypackage.nets:make own.npz --duration 20ep   # your own",
        "lth find-ticket mynets:make digits --train mycode:train       # your loop",
    ),
)
