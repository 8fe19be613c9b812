"""Finding winning tickets: train, prune, rewind, train again, with the controls that make a claim hold.

Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2; rewinding to a step k > 0: Frankle et al. 2020,
    arXiv:1903.01611.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lth.config import Pruning, Recipe
from lth.lineage import Combined, DataSpec, Dense, Initial, Pruned, Shuffled, Trained
from lth.models import ModelSpec
from lth.sparsity import SCHEDULES
from lth.training import Seeds, derive_seed


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training of the study.

    Attributes:
        level: 0 for the dense network, then rounds of pruning.
        arm: dense, ticket, reinit or random.
        replicate: counts from 0.
        trained: what is trained.
    """

    level: int
    arm: str
    replicate: int
    trained: Trained


def find_ticket_runs(
    model: ModelSpec,
    data: DataSpec,
    recipe: Recipe,
    pruning: Pruning,
    *,
    levels: int,
    rewind_step: int,
    kept: str,
    controls: Collection[str],
    seeds: Seeds,
    replicate: int,
) -> Iterator[Run]:
    """The runs of one replicate: the dense network, then at each level the ticket and its controls.

    The control `reinit` trains the ticket's mask from weights of a new draw. With a rewind step k > 0 it still trains
    the whole recipe from step 0, k steps more than the ticket: it has no earlier training to return to, and so it is
    at no disadvantage. The control `random` trains the ticket's own starting values under a random mask with as many
    weights in each tensor.

    Args:
        recipe: counted in steps.
        rewind_step: where kept weights go back to; training goes on from there in the recipe's schedule and data order.
        kept: `rewind`, or `keep`: kept weights stay as they were trained, and the recipe starts over (fine-tuning).
        controls: any of reinit, random.
    """
    dense = Trained(start=Initial(model=model, seed=seeds.init), masks=Dense(), data=data, recipe=recipe, seeds=seeds)
    first_step = rewind_step if kept == "rewind" else 0
    yield Run(0, "dense", replicate, dense)
    trained = [dense]
    for level in range(1, levels + 1):
        source = trained[SCHEDULES[pruning.schedule].source(level)]
        masks = Pruned(trained=source, pruning=pruning, level=level)
        origin = dense.at(rewind_step) if kept == "rewind" else source
        start = Combined(masks=masks, kept=origin)
        ticket = Trained(start=start, masks=masks, data=data, recipe=recipe, seeds=seeds, first_step=first_step)
        trained.append(ticket)
        yield Run(level, "ticket", replicate, ticket)
        if "reinit" in controls:
            fresh = Initial(model=model, seed=derive_seed(seeds.init, "reinit", level))
            start = Combined(masks=masks, kept=fresh)
            yield Run(
                level, "reinit", replicate, Trained(start=start, masks=masks, data=data, recipe=recipe, seeds=seeds)
            )
        if "random" in controls:
            shuffled = Shuffled(masks=masks)
            start = Combined(masks=shuffled, kept=origin)
            control = Trained(start=start, masks=shuffled, data=data, recipe=recipe, seeds=seeds, first_step=first_step)
            yield Run(level, "random", replicate, control)
