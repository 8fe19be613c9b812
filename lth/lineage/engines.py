"""Which engine trains what: chosen before anything starts, and kept where a training has begun.

The engine is no part of any key. A training goes on with the engine that began it, and a checkpoint of a finished
training is taken by the engine that finished it, so that its numbers lie on one path.
"""

import warnings
from collections.abc import Iterable, Sequence

import torch

from lth.lineage.derive import Sources
from lth.lineage.nodes import MasksNode, Pruned, Shuffled, Sparsified, Trained
from lth.lineage.plan import Work
from lth.lineage.store import Store
from lth.sparsity import target
from lth.training.engines.choose import CROSSOVER, EngineChoice, choose_engine
from lth.training.engines.compiling import compile_wanted
from lth.training.engines.linear import linear_path
from lth.training.engines.signature import Signature


def engine_choices(
    trainings: Iterable[Trained], sources: Sources, *, engine: str, device: str, population: int
) -> dict[str, EngineChoice]:
    """The engine of each training, and why, by its key.

    Args:
        trainings: what is to be trained.
        sources: make their modules.
        engine: `torch`, `sparse` or `auto`.
        device: `cpu` or a CUDA device.
        population: members stacked in one program.
    Raises:
        ValueError: if the engine is unknown, or cannot train one of them, or LTH_LINEAR or LTH_COMPILE is set
            to what they do not know.
    """
    linear_path(), compile_wanted()  # what the environment says wrongly is said before anything starts
    by_kind: dict[tuple[object, ...], EngineChoice] = {}
    choices = {}
    for trained in trainings:
        density = _planned_density(trained.masks)
        kind = (
            trained.model.model_dump_json(),
            trained.recipe.model_dump_json(),
            trained.sparsifier,
            trained.traces,
            density > CROSSOVER,
        )
        if kind not in by_kind:
            by_kind[kind] = choose_engine(
                engine,
                sources.module(trained.model),
                trained.recipe,
                device=device,
                population=population,
                sparsifier=trained.sparsifier,
                traces=trained.traces,
                density=density,
            )
        choices[trained.key] = by_kind[kind]
    return choices


def _planned_density(masks: MasksNode) -> float:
    """Fraction of the prunable weights that masks will keep, as far as that is known before they are made."""
    if isinstance(masks, Shuffled):
        return _planned_density(masks.masks)
    if isinstance(masks, Pruned):
        return target(masks.pruning, masks.level)
    if isinstance(masks, Sparsified) and masks.trained.sparsifier is not None:
        return masks.trained.sparsifier.density
    return 1.0


def engine_to_use(
    works: Sequence[Work],
    begun_by: Sequence[Sequence[str]],
    store: Store,
    sources: Sources,
    *,
    engine: str,
    is_forced: bool,
    device: str,
) -> str:
    """The engine that trains some works as one population: the one that began them, unless another one is forced.

    Args:
        works: all of one kind.
        begun_by: signatures of each work's snapshots (`Snapshot.engine`), newest first.
        store: tells which engine finished a training that lacks a checkpoint.
        sources: make the module.
        engine: `torch` or `sparse`: what trains them where none has begun.
        is_forced: whether it does so in any case. It starts over what another one began, and a warning says so.
        device: `cpu` or a CUDA device.
    """
    finished_by = _finished_by(works, store)
    earlier = finished_by or _engine_of(begun_by, device)
    if earlier is None or earlier == engine:
        return engine
    if is_forced:
        what = "took no checkpoint on its way, and one is taken" if finished_by else "was stopped, and starts over"
        warnings.warn(
            f"a training by the {earlier} engine {what} by the {engine} engine, as asked: without --engine it would be "
            f"the {earlier} engine's",
            stacklevel=2,
        )
        return engine
    try:
        engine_choices([works[0].trained], sources, engine=earlier, device=device, population=len(works))
    except ValueError as error:  # it was begun in another version, say, or on another machine
        what = "takes a checkpoint that is missing" if finished_by else "starts over"
        warnings.warn(
            f"a training by the {earlier} engine goes to the {engine} engine, which {what}: here {error}", stacklevel=2
        )
        return engine
    return earlier


def _finished_by(works: Sequence[Work], store: Store) -> str | None:
    """The engine that finished trainings of which only checkpoints are missing; None if they are not finished."""
    engines = {None if work.finish else store.manifest(work.key)["provenance"].get("engine") for work in works}
    return engines.pop() if len(engines) == 1 else None


def _engine_of(begun_by: Sequence[Sequence[str]], device: str) -> str | None:
    """The engine of the newest snapshots that a population of this size on this device can go on from."""
    common = set(begun_by[0]).intersection(*begun_by[1:])
    for text in begun_by[0]:
        signature = Signature.parse(text) if text in common else None
        if signature and (signature.device, signature.size) == (torch.device(device).type, len(begun_by)):
            return signature.engine
    return None
