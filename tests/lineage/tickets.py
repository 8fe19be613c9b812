"""Tickets made of masks by hand, without any training: what tests of several tickets share."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from builds import tiny
from torch import nn

from lth.config import TaskSpec, Training
from lth.lineage import (
    Checkpoint,
    Combined,
    DataSpec,
    Dense,
    Given,
    Initial,
    Pretrained,
    Sources,
    Ticket,
    Trained,
    WeightsNode,
    Zeros,
    make_ticket,
)
from lth.lineage.origin import AtHand
from lth.models import ModelSpec
from lth.sparsity import Masks, State, density
from lth.training import Seeds

TINY = ModelSpec(name="tiny")
INITIAL = Initial(spec=TINY, seed=7)
SHAPES = {"1.weight": (16, 64), "3.weight": (10, 16)}
SCORES = {"metric": "accuracy", "unit": "fraction", "own": {"end": {}, "best_step": None}, "arms": {}}


def drawn_masks(seed: int, kept: float = 0.3, shapes: dict[str, tuple[int, ...]] | None = None) -> Masks:
    """Random masks of the tiny network, or of other shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=generator) < kept for name, shape in (shapes or SHAPES).items()}


def state_of(root: WeightsNode, sources: Sources) -> State:
    """The weights of a root, derived."""
    return AtHand({}, {}, sources).weights(root)


def sources_for(*folders: tuple[Pretrained, Path], factory: Any = tiny) -> Sources:
    """What makes the tiny network, and where pre-trained weights lie."""
    return Sources({"tiny": factory}, weights={root.digest: folder for root, folder in folders})


def ticket_of_masks(
    masks: Masks,
    root: WeightsNode = INITIAL,
    sources: Sources | None = None,
    rewound: State | None = None,
    kept: WeightsNode | None = None,
) -> Ticket:
    """A ticket with these masks, said to be trained on data of no one.

    Args:
        masks: what it keeps.
        root: what it grew from.
        sources: what makes its network.
        rewound: the state at step 5 of the dense training, where it starts from that one instead.
        kept: what it starts from where its masks keep, where that is another state.
    """
    data, seeds = DataSpec(digest="d" * 64, validation=10), Seeds(init=7, order=8, augmentation=9)
    training = Training(task=TaskSpec(arguments={"num_classes": 10}), steps=30, batch_size=20, lr=0.1, optimizer="sgd")
    bits = b"".join(mask.numpy().tobytes() for _, mask in sorted(masks.items()))
    node = Given(model=root.model, digest=hashlib.sha256(bits).hexdigest(), density=density(masks))
    dense = Trained(start=root, masks=Dense(), data=data, training=training, seeds=seeds)
    checkpoint = Checkpoint(trained=dense, step=5)
    kept = kept or (root if rewound is None else checkpoint)
    start = Combined(masks=node, kept=kept, pruned=Zeros(like=root))
    trained = Trained(start=start, masks=node, data=data, training=training, seeds=seeds)
    known = {} if rewound is None else {checkpoint.key: rewound}
    reader = AtHand({node.key: masks}, known, sources or sources_for())
    return make_ticket(trained, reader, SCORES, {"data": "digits", "level": 1, "replicate": 0})


def wide_head() -> nn.Module:
    """64-16-12: the tiny network with another head, whose first layer is drawn alike."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 12))


def other_draw() -> nn.Module:
    """The tiny network with a first layer that is drawn after the last."""
    last, first = nn.Linear(16, 10), nn.Linear(64, 16)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), last)
