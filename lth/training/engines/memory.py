"""How many members fit into a GPU's memory, by measuring a few."""

import gc
from collections.abc import Callable, Collection
from dataclasses import replace

import torch
from torch import nn

from lth.config.recipe import Recipe
from lth.config.sparsifier import Sparsifier
from lth.data.splits import Split
from lth.training.engines.graphs import WARM_UP
from lth.training.engines.torch_engine import TorchEngine
from lth.training.population import Member

MARGIN = 0.9
"""Share of the free memory that a stack may take: allocators leave gaps, and other programs want a little."""


def how_many_fit(peak: Callable[[int], int], available: int) -> int:
    """Members that can be trained side by side, from what two and four of them take.

    Memory is taken to grow by the same amount with each member. Of the number the three leading bits count (14 and 28
    stay, 31 becomes 28): a few megabytes more or less free then seldom change the size of a stack, on which its numbers
    depend.

    Args:
        peak: measures how many bytes so many members take at their worst.
        available: bytes that are free.
    """
    most = 1
    try:
        two = peak(2)
        most = 2
        four = peak(4)
    except torch.OutOfMemoryError:
        return most
    each = max(1, (four - two) // 2)
    fits = max(1, int(available * MARGIN - (two - 2 * each)) // each)
    dropped = max(0, fits.bit_length() - 3)
    return fits >> dropped << dropped


def members_that_fit(
    member: Member,
    make_module: Callable[[], nn.Module],
    split: Split,
    recipe: Recipe,
    *,
    first_step: int,
    device: torch.device,
    sparsifier: Sparsifier | None,
    traces: Collection[str],
) -> int:
    """How many members like this one the torch engine can train at once on a CUDA device; takes some steps of a few.

    Arguments are those of `lth.training.train`. Not run on a GPU yet.
    """

    def try_out(count: int) -> None:
        members = [replace(member, key=f"{member.key}/{index}") for index in range(count)]
        engine = TorchEngine(
            members,
            make_module(),
            split,
            recipe,
            first_step=first_step,
            device=device,
            sparsifier=sparsifier,
            traces=traces,
        )
        engine.advance(first_step, WARM_UP + 2)  # the last ones as a graph, whose memory stays set aside
        engine.evaluate("validation")
        engine.tensors(0)

    with torch.random.fork_rng(devices=[device]):
        free = free_bytes(device)
        return how_many_fit(lambda count: peak_bytes(lambda: try_out(count), device), free)


def free_bytes(device: torch.device) -> int:
    """What a CUDA device has left for this process."""
    release_memory()
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def peak_bytes(run: Callable[[], object], device: torch.device) -> int:
    """Most memory that a call reserves on a CUDA device, beyond what is taken now.

    Reserved, not allocated: the memory of a captured graph stays set aside while it is not in use.
    """
    release_memory()
    before = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    return torch.cuda.max_memory_reserved(device) - before


def release_memory() -> None:
    """Gives back what no tensor holds any more; after an error, call it where the traceback is gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
