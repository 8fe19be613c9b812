"""Batch norm's statistics rewind with the weights: a ticket starts from those of its rewind point."""

from pathlib import Path

import torch
from builds import built, jobs, same_bits, study, weights_in
from torch import nn

from lth.lineage import Checkpoint
from lth.lineage.reader import Reader
from lth.models.resnet_cifar import CifarResNet


def small_resnet() -> nn.Module:
    """Three blocks, for digits."""
    return CifarResNet((8, 8), blocks=1)


def test_a_ticket_of_a_residual_network_starts_as_the_dense_one_was(tmp_path: Path) -> None:
    made = study(small_resnet, levels=1, controls=(), duration="6it", rewind_to="3it", augment=("pad-crop:1",))
    store = built(tmp_path, made)
    [dense], [ticket] = jobs(made, "dense"), jobs(made, "ticket")
    reader = Reader(store, made.sources)
    start, masks = reader.weights(ticket.start), reader.masks(ticket.masks)
    initial, rewound = reader.weights(dense.start), weights_in(store, Checkpoint(trained=dense, step=3))
    assert start.keys() == rewound.keys()
    for name, value in start.items():
        kept = masks.get(name, torch.ones_like(value, dtype=torch.bool))
        assert same_bits(value[kept], rewound[name][kept]), name
        assert not value[~kept].any()
    statistics = [name for name in start if "running" in name]
    assert len(statistics) == 14
    assert not any(same_bits(start[name], initial[name]) for name in statistics)
    assert int(start["norm.num_batches_tracked"]) == 3
    assert int(weights_in(store, ticket)["norm.num_batches_tracked"]) == 6
