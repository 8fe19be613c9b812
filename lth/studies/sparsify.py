"""Sparsification while a network trains: how good and how sparse it becomes, and what becomes of the zeros.

Each method prunes within one training, on a schedule that is complete before its end. Beside it stand the dense network
and a random mask, fixed from the start, with the same density in every layer.

Source of the schedule: Zhu & Gupta 2017, arXiv:1710.01878.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lth.analysis.documents import Results
from lth.analysis.points import Conclusion, Plot, Point
from lth.studies.sparsify_settings import DENSE, Sparsify, arms_of, control_of, resolve, sparsifier_of
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.studies.subject import Subject
    from lth.training import Seeds


def derive(settings: Sparsify, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the points of one replicate: the dense network, then at each target every method and the controls."""
    from lth.lineage import Combined, Dense, Prunable, Shuffled, Sparsified, Zeros

    masks, initial, measures = settings.masks, subject.initial(seeds), settings.measures
    full = Prunable(model=subject.model, prune_only=masks.prune_only, never_prune=masks.never_prune)
    # What is measured is the prunable weights, so they must be named; without measures it is everybody's dense network.
    dense = subject.train(initial, full if measures else Dense(), seeds, measures=measures)
    yield Point(dense, DENSE.name, replicate, {"target": 0.0})
    for target in settings.sparsities:
        at, done = {"target": target}, set[str]()
        for method in settings.methods:
            sparsifier = sparsifier_of(settings, subject, method, target)
            trained = subject.train(initial, full, seeds, sparsifier=sparsifier, measures=measures)
            yield Point(trained, method, replicate, at)
            if (control := control_of(settings, method)) not in done:
                done.add(control)
                random = Shuffled(masks=Sparsified(trained=trained))
                start = Combined(masks=random, kept=initial, pruned=Zeros(like=initial))
                yield Point(subject.train(start, random, seeds, measures=measures), control, replicate, at)


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Say what each method reaches beside the dense network and its control, and whether a zero stays a zero."""
    from lth.studies.sparsify_verdict import verdict_and_tables

    return verdict_and_tables(results, reader, points)


def shakespeare() -> Sparsify:
    """Return a small GPT-2 on the characters of Tiny Shakespeare, half of it pruned over ten epochs."""
    return Sparsify(
        model="gpt-char",
        data="tiny-shakespeare:block=128",
        duration="10ep",
        batch_size=16,
        lr=1e-3,
        optimizer="adamw",
        evaluate_every=100,
    )


def _over_steps(name: str, title: str, words: str, y: str, y_words: str) -> Plot:
    """Return a figure of something during training: a line per target, a panel per arm."""
    return Plot(
        name, title, words, "step", y, x_words="Step", y_words=y_words, colour="target", panel="arm", table="progress"
    )


SPARSIFY = StudyType(
    name="sparsify",
    words="Make a network sparse while it trains: what is reached, beside dense and random masks, and do zeros stay.",
    settings=Sparsify,
    arms=(DENSE,),
    arms_of=arms_of,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    axis="target",
    plots=(
        Plot(
            "quality", "At the end of training", "Against the share of the prunable weights that is pruned.", "target"
        ),
        _over_steps(
            "sparsity",
            "Sparsity during training",
            "Share of the prunable weights that are zero.",
            "sparsity",
            "Zeros (%)",
        ),
        _over_steps(
            "revival",
            "Weights that come back",
            "Share of the weights pruned at one measurement that are kept at the next.",
            "revival",
            "Revived (%)",
        ),
        Plot(
            "never_revived",
            "Does a zero stay zero?",
            "Share of the weights that were ever pruned which never came back.",
            "target",
            "never_revived",
            y_words="Never revived (%)",
            table="zeros",
        ),
        Plot(
            "lifetimes",
            "How long zeros last",
            "Median number of measurements for which a weight stays pruned; the end of training cuts it short.",
            "target",
            "median",
            y_words="Measurements",
            table="zeros",
        ),
        Plot(
            "layers",
            "Sparsity per layer",
            "Share of each layer's weights that is pruned in the end, at the target that the verdict is about.",
            "layer",
            "sparsity",
            y_words="Pruned (%)",
            table="layers",
            mark="bar",
        ),
        _over_steps(
            "effective_rank",
            "Effective rank during training",
            "Mean over the prunable matrices.",
            "effective_rank",
            "Effective rank",
        ),
        _over_steps(
            "zero_grad_norm",
            "Gradient of pruned weights",
            "Root mean square over pruned weights, before it is masked; a mean over layers.",
            "zero_grad_norm",
            "Gradient (RMS)",
        ),
    ),
    presets={"digits": lambda: Sparsify(), "shakespeare": shakespeare},
    help="Selection is exact: the share that is asked for is reached to the weight, and printed beside it.",
    first=("sparsities", "methods"),
    examples=(
        "lth sparsify --methods gradual,soft,rigl,set     # on digits, a minute",
        "lth sparsify --preset shakespeare                # ten epochs of text: hours",
        "lth sparsify --sparsities 0.2,0.5,0.8,0.9 --begin 1ep",
    ),
)
