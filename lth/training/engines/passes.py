"""How the passes of a population are made: whether it can be stacked, compiled, its loss computed by chunks."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lth.tasks import Batch, Chunked, chunks
from lth.training.population import Population


class Unstackable(ValueError):
    """Networks of this kind cannot be trained side by side in one program."""


def try_stacking(population: Population, batch: Batch) -> None:
    """Find out whether members can be stacked: under `vmap`, else one after the other.

    Raises:
        Unstackable: if neither goes.
    """
    if any(isinstance(part, nn.RNNBase) for part in population.module.modules()):
        raise Unstackable("recurrent layers read their weights from a list that a stack does not reach")
    while True:
        try:
            with population.trying():
                population.losses(batch).sum().backward()  # type: ignore[no-untyped-call]
            return
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, NotImplementedError, ValueError) as error:
            why = next(iter(str(error).splitlines()), type(error).__name__)
            if population.stacking == "loop":
                raise Unstackable(why) from error
            population.stacking = "loop"
            warnings.warn(f"these networks are computed one after the other: vmap says {why}", stacklevel=2)


def compiled_losses(population: Population, batch: Batch) -> Callable[[Batch], Tensor] | None:
    """Return `population.losses` through `torch.compile`; None, and one warning, where torch cannot compile it.

    The draws of dropout are then inductor's own: the same again in another run, but not those of an uncompiled one.
    """
    losses: Callable[[Batch], Tensor] = torch.compile(population.losses, mode="reduce-overhead", dynamic=False)
    try:
        with population.trying():
            losses(batch).sum().backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        cause = getattr(error, "inner_exception", error)
        why = next(iter(str(cause).splitlines()), "")
        warnings.warn(
            f"torch cannot compile this network ({type(cause).__name__}: {why}): it trains uncompiled", stacklevel=2
        )
        return None
    return losses


def chunk_losses(population: Population, batch: Batch) -> list[str]:
    """Let the loss be computed by chunks of positions where network and task offer that and the pass has many logits.

    Return the names of what was done. A subclass of a task that offers it may have another loss, and is left alone.

    Args:
        population: the network; a stack is left alone.
        batch: what one pass is made of.
    """
    task = population.task
    if population.is_stacked or not isinstance(task, Chunked) or "loss_in_chunks" not in vars(type(task)):
        return []
    if not chunks.takes_read_out(population.module) or task.num_logits(batch) <= chunks.MOST_LOGITS:
        return []
    population.chunked = task
    return ["chunked"]
