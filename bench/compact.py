"""What removing units gains: time of a compact network against the masked one, by the fraction of hidden units gone."""

import json
from collections.abc import Iterator
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from bench.ratio import Effort, Row
from lth.launch.compact_folder import token_batch
from lth.models import LeNet300100
from lth.models.convnet import ConvNet
from lth.models.hugging_face import hugging_face
from lth.sparsity import Masks
from lth.sparsity.compact import compact, masked_copy, real_costs
from lth.sparsity.granularities.structure import structure_of
from lth.sparsity.granularities.table import families_of, granularity

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

MINILM = {"model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}


def compact_rows(effort: Effort) -> Iterator[Row]:
    """Batches a second, one thread, each network at each sparsity."""
    for name in ("LeNet-300-100",) if effort.is_tiny else NETWORKS:
        for sparsity in SPARSITIES:
            yield _row(name, sparsity, 2 if effort.is_tiny else TURNS)
    if not effort.is_tiny and find_spec("transformers") is not None:
        for length in (64, 128):
            yield _encoder_row(length)


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


def _encoder_row(length: int) -> Row:
    torch.manual_seed(0)
    module = hugging_face(json.dumps(MINILM), "encoder").eval()
    masks = {name: torch.ones_like(value, dtype=torch.bool) for name, value in module.named_parameters()}
    structure = structure_of(module, masks)
    for units in ("heads", "neurons"):
        shapes = {name: mask.shape for name, mask in masks.items()}
        for family in families_of(granularity(units), shapes, structure):
            for name, index in family.units.items():
                masks[name] &= index >= family.num_units // 2
    ids = token_batch(module, 32, length)
    networks = {"ours": compact(module, masks, ids[:2]).module, "theirs": masked_copy(module, masks)}
    costs = real_costs(networks, (ids,), turns=TURNS)
    ours, theirs = (tuple(1000 / each for each in costs[side].turns) for side in ("ours", "theirs"))
    what = f"compact / masked MiniLM's shape, 50 % heads and neurons gone, 32 x {length} (wall time)"
    return Row(what, "batch/s", ours, theirs)
