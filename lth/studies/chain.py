"""Iterative magnitude pruning as a chain of trainings: what most studies stand on.

Source: Frankle & Carbin 2019, arXiv:1803.03635, Section 2.
"""

from typing import TYPE_CHECKING

from lth.config import Pruning

if TYPE_CHECKING:
    from lth.lineage import Trained, WeightsNode
    from lth.studies.subject import Subject
    from lth.training import Seeds


def tickets(
    subject: "Subject",
    pruning: Pruning,
    levels: int,
    seeds: "Seeds",
    *,
    rewind_step: int = 0,
    initial: "WeightsNode | None" = None,
    dense: "Trained | None" = None,
) -> "list[Trained]":
    """Return the dense training and the ticket of each level, whose weights go back to a step of the dense one.

    Args:
        subject: what is trained.
        pruning: how weights are chosen.
        levels: how many.
        seeds: of the replicate.
        rewind_step: where kept weights go back to.
        initial: the initialisation; by default the replicate's own.
        dense: the training of the dense network; by default one from the initialisation.
    """
    from lth.lineage import Combined, Pruned, Zeros
    from lth.sparsity.schedule import schedule

    initial = initial or subject.initial(seeds)
    trained = [dense or subject.train(initial, None, seeds)]
    for level in range(1, levels + 1):
        before = trained[schedule(pruning.schedule).source(level)]
        masks = Pruned.after(before, pruning, level)
        start = Combined(masks=masks, kept=trained[0].at(rewind_step), pruned=Zeros(like=initial))
        trained.append(subject.train(start, masks, seeds, first_step=rewind_step))
    return trained
