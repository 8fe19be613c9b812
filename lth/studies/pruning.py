"""What every study that prunes checks and fills in."""

from typing import Any, TypeVar

from lth.config import MaskSchedule, Pruning, StudySettings, without_idle
from lth.sparsity import SCOPES, EvidenceScope, criterion, granularity, never_pruned
from lth.sparsity.granularities import unstructured
from lth.sparsity.schedule import schedule
from lth.studies.entries import with_names
from lth.studies.subject import Subject

S = TypeVar("S", bound=StudySettings)


def resolved_pruning(settings: S, subject: Subject) -> S:
    """Return settings whose names of pruning are checked, with rates filled in and single weights by name.

    Raises:
        ValueError: if a name is unknown, or a setting does not fit the network.
    """
    return filled_in(checked(settings), subject)


def filled_in(settings: S, subject: Subject) -> S:
    """Return checked settings with rates filled in and single weights by name."""
    return with_names(with_rates(settings, subject), subject.module)


def checked(settings: S, also: str = "") -> S:
    """Return settings whose names of pruning are checked, without those that have no effect: a warning names them.

    Where the granularity fixes the density there is one level, unless another number was asked for.

    Args:
        settings: of a study that prunes.
        also: a second criterion that the study prunes by, which may read what the first does not.
    Raises:
        ValueError: if a name is unknown, or the criterion cannot be used within a training.
    """
    targets: Any = settings.masks  # type: ignore[attr-defined]
    chosen = criterion(targets.criterion)
    scope = SCOPES.pick(targets.scope)
    schedule(targets.schedule)
    sparsifier = getattr(targets, "sparsifier", None)
    if sparsifier is not None and chosen.needs_examples:
        raise ValueError(
            f"criterion: {targets.criterion!r} runs the network on examples of its own; within a training choose one "
            "of weights alone, such as large_final"
        )
    if isinstance(scope, EvidenceScope) and (sparsifier or granularity(targets.granularity) is not unstructured):
        scope({}, 1.0, {})  # it says what it goes with
    idle = _idle_within(targets) if sparsifier is not None else _idle_after(targets, also)
    is_fixed = sparsifier is None and granularity(targets.granularity).pattern is not None
    if is_fixed and "levels" in type(settings).model_fields and "levels" not in settings.written:
        settings = settings.with_(levels=1)
    return settings.model_copy(update={"masks": without_idle(targets, idle)})


def _idle_within(targets: Any) -> dict[str, str]:
    from lth.training import SPARSIFIERS

    name = targets.sparsifier
    read = SPARSIFIERS.pick(name).reads
    why = f"sparsifier {name!r} does not read it"
    idle = {each: why for each in MaskSchedule.model_fields if each not in read}
    if targets.schedule == "one-shot":
        idle["schedule"] = "a sparsifier starts every level from the initialisation"
    return idle


def _idle_after(targets: Pruning, also: str) -> dict[str, str]:
    idle = {}
    names = [name for name in (targets.criterion, also) if name]
    if all(criterion(name).needs_examples is False for name in names):
        idle["samples"] = f"criterion {' and '.join(map(repr, names))} looks at no examples"
    if granularity(targets.granularity).pattern:
        idle |= {
            name: f"granularity {targets.granularity!r} fixes it" for name in ("rate", "per_level", "scope", "rounds")
        }
    return idle


def with_rates(settings: S, subject: Subject) -> S:
    """Return settings whose rates by pattern are filled in: the output layer of a model of lth's at half the rate.

    That is the custom of Frankle & Carbin 2019, where layers have rates of their own; steps of all weights have none.
    """
    pruning: Any = settings.masks  # type: ignore[attr-defined]
    if not isinstance(pruning, Pruning) or pruning.rates is not None:
        return settings
    is_layerwise = pruning.scope in ("layerwise", "per-pattern") and pruning.granularity == "unstructured"
    has_own_rates = is_layerwise and pruning.per_level is None
    is_pruned = subject.output is not None and subject.output in subject.prunable(pruning)
    return settings.with_(rates={subject.output: pruning.rate / 2} if has_own_rates and is_pruned else {})


def with_dense_head(settings: S, subject: Subject) -> S:
    """Return settings whose `never_prune` names what by default stays dense: the head of a model of `transformers`."""
    targets: Any = getattr(settings, "masks", None)
    if targets is None:
        return settings
    names = never_pruned(subject.module, targets.prune_only, targets.never_prune)
    return settings if names == targets.never_prune else settings.with_(never_prune=names)
