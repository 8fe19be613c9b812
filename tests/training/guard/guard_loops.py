"""A small network, a batch of it, masks, and a hand-written loop: what the tests of guards share."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.sparsity.types import Masks

Inspect = Callable[[int], None]


def net(seed: int = 0) -> nn.Module:
    """16-12-norm-4."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 4))


def batch(step: int) -> tuple[Tensor, Tensor]:
    """(32, 16) inputs and classes."""
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(32, 16, generator=generator)
    return inputs, inputs[:, :4].argmax(1)


def some_masks(model: nn.Module, density: float = 0.4) -> Masks:
    """Random masks of the two matrices."""
    generator = torch.Generator().manual_seed(9)
    names = ("0.weight", "3.weight")
    return {name: torch.rand(model.get_parameter(name).shape, generator=generator) < density for name in names}


def loop(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, inspect: Inspect = lambda step: None) -> None:
    """Train on a batch a step; look after each."""
    for step in range(steps):
        inputs, labels = batch(step)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        inspect(step)


def same_bits(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors agree bit for bit (0.0 and -0.0 differ)."""
    pair = (each.detach().contiguous().reshape(-1).view(torch.uint8) for each in (left, right))
    return left.dtype == right.dtype and torch.equal(*pair)


def check_frozen(model: nn.Module, masks: Masks, fills: dict[str, Tensor] | None = None) -> None:
    """Pruned entries hold their fill values, zero by default."""
    for name, mask in masks.items():
        value = model.get_parameter(name)
        fill = torch.zeros_like(value) if fills is None else fills[name]
        assert same_bits(value[~mask], fill[~mask]), name


def state(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the state dict."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def train_to(model: nn.Module, steps: int, **options: Any) -> None:
    """Train by SGD with momentum."""
    loop(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, **options), steps)
