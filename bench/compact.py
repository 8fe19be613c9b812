"""What removing units gains: time of a compact network against the masked one, by the fraction of hidden units gone."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.ratio import Effort, Row
from lth.models import LeNet300100
from lth.models.convnet import ConvNet
from lth.sparsity import Masks
from lth.sparsity.compact import compact, masked_copy, real_costs

TURNS, BATCH = 15, 64
SPARSITIES = (0.5, 0.9, 0.98)


def wide_mlp() -> nn.Module:
    """784-2048-2048-10 with ReLU."""
    return nn.Sequential(
        nn.Linear(784, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10)
    )  # fmt: skip


NETWORKS = {
    "LeNet-300-100": (LeNet300100, (784,)),
    "784-2048-2048-10": (wide_mlp, (784,)),
    "convnet, width 64": (lambda: ConvNet(width=64), (28, 28)),
}
"""Factory and shape of one example."""


def compact_rows(effort: Effort) -> Iterator[Row]:
    """Batches a second, one thread, each network at each sparsity."""
    for name in ("LeNet-300-100",) if effort.is_tiny else NETWORKS:
        for sparsity in SPARSITIES:
            yield _row(name, sparsity, 2 if effort.is_tiny else TURNS)


def unit_masks(module: nn.Module, sparsity: float) -> Masks:
    """Masks that take away so many outputs of each hidden layer: those of the smallest norm."""
    masks: Masks = {}
    layers = [(name, value.detach()) for name, value in module.named_parameters() if value.ndim > 1]
    for name, weight in layers[:-1]:
        norms: Tensor = weight.flatten(1).norm(dim=1)
        gone = norms.argsort()[: round(sparsity * len(norms))]
        masks[name] = torch.ones_like(weight, dtype=torch.bool)
        masks[name][gone] = False
        if (norm := name.replace("conv", "norm")) != name:  # a filter goes with the shift of its batch norm
            masks[norm.replace("weight", "bias")] = masks[name].flatten(1)[:, 0]
    return masks


def _row(name: str, sparsity: float, turns: int) -> Row:
    torch.manual_seed(0)
    factory, shape = NETWORKS[name]
    module = factory().eval()
    masks = unit_masks(module, sparsity)
    networks = {"ours": compact(module, masks, shape).module, "theirs": masked_copy(module, masks)}
    costs = real_costs(networks, (torch.randn(BATCH, *shape),), turns=turns)
    ours, theirs = (tuple(1000 / each for each in costs[side].turns) for side in ("ours", "theirs"))
    return Row(f"compact / masked {name}, {100 * sparsity:.0f} % units gone (wall time)", "batch/s", ours, theirs)
