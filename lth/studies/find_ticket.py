"""Finding winning tickets: train, prune, rewind, train again, with the controls that make a claim hold.

Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2; rewinding to a step k > 0: Frankle et al. 2020,
    arXiv:1903.01611; what kept and pruned weights start from: Zhou et al. 2019, arXiv:1905.01067; learning-rate
    rewinding: Renda et al. 2020, arXiv:2003.02389.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lth.config import Pruning, Recipe, Sparsifier
from lth.lineage import Combined, DataSpec, Dense, Initial, Pruned, Shuffled, Sparsified, Trained, WeightsNode, Whole
from lth.models import ModelSpec
from lth.sparsity import PRUNED_ACTIONS, SCHEDULES
from lth.training import Seeds, derive_seed

ARMS = ("dense", "sparsified", "ticket", "reinit", "random")

KEPT = {
    "reinit": "copy",
    "signed_reinit": "signed",
    **{
        name: name for name in ("permute", "signed_permute", "shuffle", "signed_shuffle", "constant", "signed_constant")
    },
}
"""Choice for kept weights -> entry of KEPT_ACTIONS; all others copy."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training of the study.

    Attributes:
        level: 0 for the dense network, then rounds of pruning.
        arm: one of ARMS.
        replicate: counts from 0.
        trained: what is trained.
    """

    level: int
    arm: str
    replicate: int
    trained: Trained


@dataclass(frozen=True, slots=True)
class Restarting:
    """What a level starts from.

    Attributes:
        kept: the choice for kept weights (`FindTicket.kept`).
        pruned: the choice for pruned weights, an entry of PRUNED_ACTIONS.
        rewind_step: where `rewind` and `lr_rewind` go back to.
        keeps_moments: whether kept weights keep their optimizer moments.
    """

    kept: str = "rewind"
    pruned: str = "zero"
    rewind_step: int = 0
    keeps_moments: bool = False


def find_ticket_runs(
    model: ModelSpec,
    data: DataSpec,
    recipe: Recipe,
    pruning: Pruning,
    *,
    levels: int,
    restarting: Restarting,
    controls: Collection[str],
    seeds: Seeds,
    replicate: int,
    traces: tuple[str, ...] = (),
    sparsifiers: Sequence[Sparsifier] = (),
) -> Iterator[Run]:
    """The runs of one replicate: the dense network, then at each level the ticket and its controls.

    With sparsifiers (one a level), each level's masks come out of a training of its own that prunes on its way, the arm
    `sparsified`; the ticket then trains those masks from the origin.

    The control `reinit` trains the ticket's mask from weights of a new draw. With a rewind step k > 0 it still trains
    the whole recipe from step 0, k steps more than the ticket: it has no earlier training to return to, and so it is
    at no disadvantage. The control `random` trains the ticket's own starting values under a random mask with as
    many weights in each tensor; where kept weights stay as trained, those of the dense network. Where pruned weights
    train on, nothing is frozen in any of them, and a level's origin is the start of the one before, redrawn weights
    included.

    Args:
        recipe: counted in steps.
        restarting: what kept and pruned weights start from.
        controls: any of reinit, random.
        traces: what trainings keep for the criterion.
        sparsifiers: empty, or one a level.
    """
    train = partial(Trained, data=data, seeds=seeds, traces=traces)
    whole = Whole(model=model, prune_only=pruning.prune_only, never_prune=pruning.never_prune)
    pruned, rewind_step = restarting.pruned, restarting.rewind_step
    initial = Initial(model=model, seed=seeds.init)
    dense = train(start=initial, masks=Dense(), recipe=recipe)
    yield Run(0, "dense", replicate, dense)
    trained, trains_on = [dense], PRUNED_ACTIONS[pruned].trains
    for level in range(1, levels + 1):
        masks: Pruned | Sparsified
        if sparsifiers:
            source = train(start=initial, masks=whole, recipe=recipe, sparsifier=sparsifiers[level - 1])
            yield Run(level, "sparsified", replicate, source)
            masks = Sparsified(trained=source)
        else:
            source = trained[SCHEDULES[pruning.schedule].source(level)]
            masks = Pruned(trained=source, pruning=pruning, level=level)
        origin = (source if trains_on else dense).at(rewind_step)
        redrawn = Initial(model=model, seed=derive_seed(seeds.init, "kept", level))
        kept, how = _kept(restarting, origin, source, redrawn, recipe)
        action = KEPT.get(restarting.kept, "copy")
        restart = partial(
            Combined, kept=kept, pruned=pruned, action=action, signs=initial if action == "signed" else None
        )

        start = restart(masks=masks)
        moments = source if restarting.keeps_moments else None
        ticket = train(start=start, masks=Dense() if trains_on else masks, moments=moments, **how)
        trained.append(ticket)
        yield Run(level, "ticket", replicate, ticket)
        if "reinit" in controls:
            fresh = Initial(model=model, seed=derive_seed(seeds.init, "reinit", level))
            start = Combined(masks=masks, kept=fresh, pruned=pruned)
            control = train(start=start, masks=Dense() if trains_on else masks, recipe=recipe)
            yield Run(level, "reinit", replicate, control)
        if "random" in controls:
            shuffled = Shuffled(masks=masks)
            unpruned = dense if kept is source else kept  # a random mask would fall on zeros of earlier levels
            start = restart(masks=shuffled, kept=unpruned)
            moments = dense if restarting.keeps_moments else None
            control = train(start=start, masks=Dense() if trains_on else shuffled, moments=moments, **how)
            yield Run(level, "random", replicate, control)


def _kept(
    restarting: Restarting, origin: WeightsNode, source: Trained, redrawn: Initial, recipe: Recipe
) -> tuple[WeightsNode, dict[str, Any]]:
    """The state that kept weights come from, and the recipe and first step of what follows."""
    match restarting.kept:
        case "keep":
            return source, {"recipe": _fine_tuning(recipe)}
        case "lr_rewind":
            return source, {"recipe": recipe, "first_step": restarting.rewind_step}
        case "reinit" | "signed_reinit":
            return redrawn, {"recipe": recipe}
        case _:
            return origin, {"recipe": recipe, "first_step": restarting.rewind_step}


def _fine_tuning(recipe: Recipe) -> Recipe:
    """The recipe at its last learning rate throughout."""
    if recipe.lr_decay == "constant":
        return recipe.model_copy(update={"warmup": "0it"})
    last = recipe.lr_at(recipe.steps - 1)
    return recipe.model_copy(update={"lr": last, "lr_decay": "constant", "lr_milestones": (), "warmup": "0it"})
