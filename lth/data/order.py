"""Seeded orders: the order of the examples in an epoch, as a function of (seed, epoch) and nothing else."""

import hashlib
import json

import torch
from torch import Tensor


def seeded_generator(purpose: str, *numbers: int) -> torch.Generator:
    """Return a CPU generator that depends on its arguments alone.

    Hashing keeps neighbours apart: seeds 1 and 2, or epoch 3 of seed 4 and epoch 4 of seed 3, share nothing.

    Args:
        purpose: what the randomness is for; two purposes never share a stream.
        numbers: integers that tell apart the streams of one purpose.
    """
    text = json.dumps([purpose, *(int(number) for number in numbers)])
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return torch.Generator().manual_seed(seed)


def epoch_order(num_examples: int, seed: int, epoch: int) -> Tensor:
    """Return the order of the examples in one epoch: (num_examples,) int64, a permutation of 0 .. num_examples - 1.

    A run that resumes in epoch 7 asks for epoch 7: there is no generator state to save.

    Args:
        num_examples: number of training examples.
        seed: the data-order seed of the replicate.
        epoch: epoch number, from 0.
    Raises:
        ValueError: if `num_examples` or `epoch` is negative.
    """
    if num_examples < 0 or epoch < 0:
        raise ValueError(
            f"found num_examples={num_examples} and epoch={epoch}; neither may be negative. Epochs count from 0"
        )
    return torch.randperm(num_examples, generator=seeded_generator("epoch_order", seed, epoch))
