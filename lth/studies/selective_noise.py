"""Noise on the weights that matter least, beside Bernoulli dropout of equal strength, and none.

In every epoch the lowest weights of each layer are frozen with noise on them, while the others train; when the epoch
ends they get back their values, and the next are chosen. At the end all weights have their own values: as with dropout,
what is measured is the whole network.

Strength is the expected squared change of a layer's pre-activations z = sum_i w_i x_i, as a share of sum_i w_i^2 x_i^2.
Dropout with probability p on the inputs x_i changes each term by w_i x_i d_i, where d_i has mean 0 and variance
p / (1 - p): its strength is p / (1 - p). Noise of c standard deviations of a layer's weights on a share s of them has
E dz^2 = c^2 Var(w) sum_{i in S} x_i^2, which is s c^2 of sum_i w_i^2 x_i^2 if (assumed) the weights' mean is small
beside their deviation, and the inputs' squares do not depend on which weights are low or large. Equal strength is thus
p / (1 - p) = s c^2, or p = s c^2 / (1 + s c^2). In time they differ: noise is drawn once an epoch and is the same for
all examples; dropout is drawn for every example at every step.

Source of dropout: Srivastava et al. 2014, Journal of Machine Learning Research 15(56).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lth.analysis.documents import Results, Verdict
from lth.analysis.points import Arm, Conclusion, Plot, Point
from lth.config import Recipe, Sparsifier, StudySettings
from lth.config.text import Names, Numbers
from lth.studies.study_type import StudyType

if TYPE_CHECKING:
    from lth.lineage import Reader
    from lth.models import ModelSpec
    from lth.studies.subject import Subject
    from lth.training import Seeds

ARMS = (
    Arm("none", "the network without noise and dropout", "baseline"),
    Arm("selective noise", "noise on the lowest weights, chosen and drawn anew in every epoch", "subject"),
    Arm("random noise", "noise as strong on weights that are chosen at random", "control"),
    Arm("dropout", "Bernoulli dropout as strong, on the inputs of the same layers", "control"),
)
RIVALS = ("none", "dropout", "random noise")


class Perturbed(BaseModel):
    """Which weights are noise, and how strong it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: ClassVar[str] = "Pruning within training"

    criterion: str = Field(
        default="large_final",
        description="which weights matter and are spared: large_final (magnitude), magnitude_increase, ... "
        "(`lth methods` explains all)",
    )
    noise: str = Field(default="normal", description="distribution of the noise: normal, uniform")
    noise_scale: float = Field(
        default=1.0, gt=0, description="standard deviation of the noise, as a multiple of the layer's"
    )
    prune_only: Names = Field(
        default=(), description="patterns of the parameters to perturb; none: weights of linear and conv layers"
    )
    never_prune: Names = Field(default=(), description="patterns of parameters that are never perturbed")


class SelectiveNoise(StudySettings):
    """How many weights are noise, and how strong."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    shares: Numbers = Field(
        default=(0.2, 0.5), description="shares of each layer's weights that are noise, as 0.1,0.2,0.5"
    )
    training: Recipe = Recipe(duration="600it")
    masks: Perturbed = Perturbed()

    @field_validator("shares")
    @classmethod
    def _are_shares(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not values or len(set(values)) < len(values):
            raise ValueError(f"found {', '.join(map(str, values)) or 'none'}; give one share at least, each once")
        if wrong := [value for value in values if not 0 < value < 1]:
            raise ValueError(f"found {wrong[0]:g}; a share lies between 0 and 1, both excluded")
        return values


def dropout_of(share: float, noise_scale: float) -> float:
    """Return the dropout on a layer's inputs that is as strong as noise on a share of its weights (module's text)."""
    strength = share * noise_scale**2
    return strength / (1 + strength)


def derive(settings: SelectiveNoise, subject: "Subject", seeds: "Seeds", replicate: int) -> Iterator[Point]:
    """Give the network without noise, then for each share the three with it: all from one initialisation."""
    from dataclasses import replace

    from lth.lineage import Prunable

    masks, initial = settings.masks, subject.initial(seeds)
    full = Prunable(model=subject.model, prune_only=masks.prune_only, never_prune=masks.never_prune)
    yield Point(subject.train(initial, None, seeds), "none", replicate, {"share": 0.0})
    for share in settings.shares:
        at = {"share": share}
        for arm, criterion in (("selective noise", masks.criterion), ("random noise", "random")):
            sparsifier = _sparsifier(settings, share, criterion)
            yield Point(subject.train(initial, full, seeds, sparsifier=sparsifier), arm, replicate, at)
        dropping = replace(subject, model=_with_dropout(settings, subject, share))
        yield Point(dropping.train(dropping.initial(seeds), None, seeds), "dropout", replicate, at)


def _sparsifier(settings: SelectiveNoise, share: float, criterion: str) -> Sparsifier:
    """Return what puts noise on this share of every layer from the first step to the last, and then takes it off."""
    return Sparsifier(
        method="noise",
        density=round(1 - share, 12),  # 1 - 0.9 is not 0.1
        criterion=criterion,
        scope="layerwise",
        begin=0,
        end=1,
        noise=settings.masks.noise,
        noise_scale=settings.masks.noise_scale,
        release=True,
    )


def _with_dropout(settings: SelectiveNoise, subject: "Subject", share: float) -> "ModelSpec":
    from lth.models.dropout import InputDropout
    from lth.sparsity import prunable

    masks = settings.masks
    names = prunable(subject.module, masks.prune_only, masks.never_prune)
    dropout = InputDropout(p=dropout_of(share, masks.noise_scale), weights=tuple(names))
    return subject.model.model_copy(update={"dropout": dropout})


def resolve(settings: SelectiveNoise, subject: "Subject") -> SelectiveNoise:
    """Check the names, and that dropout reaches the layers whose weights are perturbed."""
    from lth.sparsity import criterion
    from lth.sparsity.actions import DISTRIBUTIONS

    if settings.training.train is not None:
        raise ValueError(
            "train: noise is put on weights by lth's own engine; with a training function of your own use "
            "lth.guard(model, optimizer, method='noise')"
        )
    DISTRIBUTIONS.pick(settings.masks.noise)
    chosen = settings.masks.criterion
    if criterion(chosen).needs_examples:
        raise ValueError(
            f"criterion: {chosen!r} runs the network on examples of its own; within a training choose one of weights "
            "alone, such as large_final"
        )
    if chosen == "random":
        raise ValueError("criterion: 'random' is the control; name one that tells which weights matter")
    subject.sources.module(_with_dropout(settings, subject, settings.shares[0]))
    return settings


def conclude(results: Results, reader: "Reader", points: list[Point]) -> Conclusion:
    """Compare selective noise with none, dropout and random noise, at each share; tested together."""
    from lth.analysis.pairs import compare_pairs, rows_by_replicate, values_by_place
    from lth.analysis.reading import metric_of

    metric, reached = metric_of(results, "primary"), values_by_place(results, "share")
    shares = [float(share) for arm, share in reached if arm == "selective noise"]
    wanted = [(share, rival) for share in shares for rival in RIVALS]
    differing = [
        (reached["selective noise", share]["values"], reached[rival, 0.0 if rival == "none" else share]["values"])
        for share, rival in wanted
    ]
    pairs = dict(zip(wanted, compare_pairs(differing, metric, results["confidence"]), strict=True))
    table = [
        row
        for (share, rival), pair in pairs.items()
        for row in rows_by_replicate(pair.difference, metric, against=rival, share=share)
    ]
    return Conclusion(_verdict(results, shares, pairs), {"differences": table})


def _verdict(results: Results, shares: list[float], pairs: dict[tuple[float, str], Any]) -> Verdict:
    from lth.analysis.facts import studied
    from lth.analysis.numbers import show
    from lth.analysis.pairs import how_tested, pair_in_words, unlearned, values_by_place
    from lth.analysis.reading import metric_of

    metric, reached = metric_of(results, "primary"), values_by_place(results, "share")
    warning, strength = unlearned(results), results["config"]["noise_scale"]
    sentences = []
    for share in shares:
        values = {"none": reached["none", 0.0]} | {arm: reached[arm, share] for arm in RIVALS[1:]}
        beside = [
            f"{rival} {show(values[rival]['mean'], metric)}, {pair_in_words(pairs[share, rival], results)}"
            for rival in RIVALS
        ]
        sentences.append(
            f"Noise on {100 * share:.3g} % of the weights (as strong as dropout {dropout_of(share, strength):.3g}): "
            f"{metric.part} {metric.name} {show(reached['selective noise', share]['mean'], metric)}; "
            f"{'; '.join(beside)}."
        )
    better = {rival: [share for share in shares if pairs[share, rival].is_better] for rival in RIVALS}
    worse = {rival: [share for share in shares if pairs[share, rival].is_worse] for rival in RIVALS}
    everywhere = [share for share in shares if all(share in better[rival] for rival in RIVALS)]
    leads = [share for share in shares if all((pairs[share, rival].gain or 0.0) > 0 for rival in RIVALS)]
    found = bool(leads) and not warning
    words = [f"better than {rival} {_listed(better[rival])}" for rival in RIVALS if better[rival]]
    words += [f"worse than {rival} {_listed(worse[rival])}" for rival in RIVALS if worse[rival]]
    first = f"Selective noise is {'; '.join(words)}." if words else "No effect of selective noise is settled."
    is_harm = len(worse["none"]) == len(shares)
    state = "better than all" if everywhere and found else "not settled" if found else "no gain"
    if not leads and is_harm and not warning:
        state = "worse than none"
    return {
        "found": found,
        "confirmed": bool(everywhere) if found else None,
        "summary": f"selective noise: {state}",
        "title": f"{studied(results['config'])}: selective noise beside dropout and none: {state}",
        "sentences": [*warning, first, *sentences, how_tested(len(pairs), results)],
        "tiles": [],
        "at": {"share": (everywhere or leads or shares)[0]},
    }


def _listed(shares: list[float]) -> str:
    return f"at {', '.join(f'{100 * share:.3g} %' for share in shares)}"


SELECTIVE_NOISE = StudyType(
    name="selective-noise",
    words="Put noise on the weights that matter least, anew in every epoch, beside dropout of equal strength and none.",
    settings=SelectiveNoise,
    arms=ARMS,
    derive=derive,
    conclude=conclude,
    resolve=resolve,
    axis="share",
    plots=(
        Plot(
            "quality",
            "At the end of training",
            "Without noise and without dropout, against the share of each layer's weights that was noise; dropout is "
            "as strong.",
            "share",
            x_words="Share of the weights under noise",
        ),
        Plot(
            "differences",
            "Selective noise beside the others",
            "Selective noise minus each, paired over replicates.",
            "share",
            "difference",
            x_words="Share of the weights under noise",
            y_words="Difference",
            colour="against",
            table="differences",
        ),
    ),
    presets={
        "digits": lambda: SelectiveNoise(duration="400it"),
        "lenet-mnist": lambda: SelectiveNoise(
            data="mnist", shares=(0.1, 0.2, 0.5), duration="10000it", evaluate_every=1000
        ),
    },
    help="The curves during training show validation under noise; results are of the network without it.",
    first=("shares",),
    examples=(
        "lth selective-noise                              # on digits, a minute",
        "lth selective-noise --shares 0.1,0.3 --noise-scale 0.5",
        "lth selective-noise lenet-300-100 mnist ./datasets   # an hour",
    ),
)
