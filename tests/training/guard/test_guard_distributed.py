"""Two real processes with DistributedDataParallel: the same masks on both, pruned entries at zero, one loss curve."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from guard_loops import batch, check_frozen, net
from torch import nn

from lth.training.guard import guard

METHODS = ("gradual", "set", "rigl", "noise")


def process(rank: int, folder: str) -> None:
    """One rank: every method in turn, each on half of the batches; leaves its masks and weights in a file."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    left = {}
    for method in METHODS:
        model = nn.parallel.DistributedDataParallel(net(rank))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
        # Different seeds: without rank 0's word the two would draw different masks.
        one = guard(model, optimizer, method=method, density=0.3, steps=12, steps_per_epoch=4, seed=rank)
        for step in range(12):
            inputs, labels = batch(2 * step + rank)
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if method != "noise":
                check_frozen(model.module, one.masks)
        left |= {f"{method}/mask/{name}": mask for name, mask in one.masks.items()}
        left |= {f"{method}/value/{name}": value.detach() for name, value in model.module.named_parameters()}
    torch.save(left, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="this PyTorch has no torch.distributed")
def test_ranks_agree(tmp_path: Path) -> None:
    mp.spawn(process, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first.keys() == second.keys()
    for path, value in first.items():
        assert torch.equal(value, second[path]), path
    for method in METHODS:
        kept = sum(int(value.sum()) for path, value in first.items() if path.startswith(f"{method}/mask/"))
        assert kept == 72
