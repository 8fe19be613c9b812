"""Sparsification while a network trains: settings, arms, and when the masks change."""

import warnings
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from lth.analysis.points import Arm
from lth.config import Clock, MaskChanges, MaskSchedule, Recipe, Sparsifier, StudySettings, without_idle
from lth.config.text import Names, Numbers

if TYPE_CHECKING:
    from lth.studies.subject import Subject

DENSE = Arm("dense", "the dense network", "baseline")
CONTROL = "random static"
FEWEST = 3
"""Changes of the masks below which it is said that there are few."""


def _moment(value: Any) -> str:
    """Return a share in [0, 1] or a duration, as text."""
    try:
        share = float(value)
    except (TypeError, ValueError):
        Clock(steps_per_epoch=1, tokens_per_step=1, total=1).steps(str(value))  # is it a duration?
        return str(value)
    if not 0 <= share <= 1:
        raise ValueError(f"found {value}; a share of the training is needed (0.15), or a duration (2ep, 300it)")
    return f"{share:g}"


class Masks(MaskChanges):
    """When masks change, and which weights they prune."""

    begin: Annotated[str, BeforeValidator(_moment)] = Field(
        default="0.15", description="share of the training, or duration (2ep, 300it), before which masks stay"
    )
    end: Annotated[str, BeforeValidator(_moment)] = Field(
        default="0.85", description="share of the training, or duration, after which masks stay"
    )
    criterion: str = Field(
        default="large_final",
        description="which weights matter, of their present values (gradual, soft, noise): large_final, "
        "magnitude_increase, movement_pruning, random, ... (`lth methods` explains all)",
    )
    scope: str | None = Field(
        default=None,
        description="which weights are ranked together: layerwise, global, erk, ... [default: the method's own]",
    )
    prune_only: Names = Field(
        default=(), description="patterns of the parameters to prune; none: weights of linear, conv, recurrent layers"
    )
    never_prune: Names = Field(default=(), description="patterns of parameters that stay dense")


class Sparsify(StudySettings):
    """How sparse a network becomes while it trains, by which methods, and what is measured on the way."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    replicates: int = Field(default=3, ge=1, description="networks with seeds of their own; intervals are over them")
    sparsities: Numbers = Field(
        default=(0.5,), description="shares of the prunable weights that are pruned in the end, as 0.2,0.5,0.8"
    )
    methods: Names = Field(
        default=("gradual",), description="sparsifiers, an arm each: gradual, soft, rigl, set, noise (`lth methods`)"
    )
    measures: Names = Field(
        default=("sparsity", "revival", "dead_neurons", "zero_grad_norm", "effective_rank", "lifetimes"),
        description="what is measured while networks train; with none they are the trainings of other studies too",
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        description="what a sparse network may lose and still count as matching, in the metric's own unit",
    )
    training: Recipe = Recipe(duration="600it", evaluate_every=60)
    masks: Masks = Masks()

    @field_validator("sparsities", "methods", "measures")
    @classmethod
    def _names_each_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"{', '.join(map(str, values))} names one twice")
        return values

    @field_validator("sparsities", "methods")
    @classmethod
    def _has_some(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values:
            raise ValueError("found none; give one at least")
        return values

    @field_validator("sparsities")
    @classmethod
    def _are_shares(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if wrong := [value for value in values if not 0 < value < 1]:
            raise ValueError(f"found {wrong[0]:g}; a sparsity lies between 0 and 1, both excluded")
        return values


def arms_of(settings: Sparsify) -> tuple[Arm, ...]:
    """Return an arm for each method, and one for the control of each scope."""
    from lth.training import SPARSIFIERS

    methods = [
        Arm(name, f"{words[0].lower()}{words[1:]}")
        for name in settings.methods
        for words in [SPARSIFIERS.pick(name).words]
    ]
    controls = dict.fromkeys(control_of(settings, name) for name in settings.methods)
    words = "a random mask from the start, with the density of {} in every layer"
    first = {name: next(each for each in settings.methods if control_of(settings, each) == name) for name in controls}
    return (*methods, *(Arm(name, words.format(first[name]), "control") for name in controls))


def control_of(settings: Sparsify, method: str) -> str:
    """Return the control of a method: methods of one scope share it, because their layers are as dense."""
    from lth.training import SPARSIFIERS

    scopes = [settings.masks.scope or SPARSIFIERS.pick(name).scope for name in (settings.methods[0], method)]
    return CONTROL if scopes[0] == scopes[1] else f"{CONTROL} ({scopes[1]})"


def sparsifier_of(settings: Sparsify, subject: "Subject", method: str, sparsity: float) -> Sparsifier:
    """Return how a training prunes on its way to a sparsity."""
    from lth.training import SPARSIFIERS

    masks, entry = settings.masks, SPARSIFIERS.pick(method)
    begin, end = (step / subject.training.steps for step in span_of(settings, subject))
    changes = {name: getattr(masks, name) for name in MaskChanges.model_fields if name in entry.reads}
    if entry.criterion:
        changes["criterion"] = masks.criterion
    return Sparsifier(
        method=method,
        density=round(1 - sparsity, 12),  # 1 - 0.9 is not 0.1
        scope=masks.scope,
        begin=begin,
        end=end,
        **changes,
    )


def span_of(settings: Sparsify, subject: "Subject") -> tuple[int, int]:
    """Return the steps at which masks begin and cease to change.

    Raises:
        ValueError: if they do not lie within the training, one after the other.
    """
    steps = subject.training.steps

    def step(moment: str) -> int:
        return int(float(moment) * steps + 0.5) if _is_share(moment) else subject.clock.steps(moment)

    masks = settings.masks
    begin, end = step(masks.begin), step(masks.end)
    length = f"the training ends at step {steps:,} ({settings.training.duration})"
    if begin >= steps:
        raise ValueError(f"begin: {masks.begin} is step {begin:,}, but {length}: begin earlier, or train longer")
    if end > steps:
        raise ValueError(f"end: {masks.end} is step {end:,}, but {length}: end earlier, or train longer")
    if end < begin:
        raise ValueError(
            f"end: {masks.end} is step {end:,}, before begin {masks.begin} (step {begin:,}): it must come after"
        )
    return begin, end


def _is_share(moment: str) -> bool:
    try:
        float(moment)
    except ValueError:
        return False
    return True


def resolve(settings: Sparsify, subject: "Subject") -> Sparsify:
    """Return the settings, checked, without those that no method reads: a warning names them."""
    from lth.sparsity import SCOPES, criterion
    from lth.studies.measured import check_measures
    from lth.training import SPARSIFIERS, plan_sparsifier
    from lth.training.sparsifiers import check_sparsifier

    if settings.training.train is not None:
        raise ValueError("train: a training function of your own prunes by lth.guard(model, optimizer, method=...)")
    methods = {name: SPARSIFIERS.pick(name) for name in settings.methods}
    check_measures(settings.measures, subject)
    masks = settings.masks
    if masks.scope is not None:
        SCOPES.pick(masks.scope)
    if criterion(masks.criterion).needs_examples:
        raise ValueError(
            f"criterion: {masks.criterion!r} runs the network on examples of its own; within a training choose one of "
            "weights alone, such as large_final"
        )
    names = ", ".join(methods)
    idle = {
        name: f"{names} does not read it" if len(methods) == 1 else f"none of {names} reads it"
        for name in MaskSchedule.model_fields
        if not any(name in method.reads for method in methods.values())
    }
    if not any(method.criterion for method in methods.values()):
        idle["criterion"] = f"{names} drop weights by magnitude"
    settings = settings.model_copy(update={"masks": without_idle(masks, idle)})
    per_epoch = subject.clock.steps_per_epoch
    for name, method in methods.items():
        sparsifier = sparsifier_of(settings, subject, name, settings.sparsities[0])
        check_sparsifier(sparsifier)
        changes = plan_sparsifier(sparsifier, subject.training.steps, steps_per_epoch=per_epoch)
        if "applications" in method.reads and len(changes) < FEWEST:
            warnings.warn(
                f"{name} changes its masks {len(changes)} time{'s' * (len(changes) != 1)}: with fewer than {FEWEST} "
                "applications sparsity comes in large jumps",
                stacklevel=2,
            )
    return settings
