"""Which steps of a network are convolutions that the sparse engine computes, and their poolings."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from lth.training.engines.sparse.chain import Convolution, NotAChain

POOLINGS = (F.max_pool2d, torch.max_pool2d, nn.MaxPool2d)

DONE: dict[str, tuple[Any, ...]] = {
    "kernel_size": ((3, 3),),
    "stride": ((1, 1),),
    "padding": ((1, 1), "same"),
    "dilation": ((1, 1),),
    "groups": (1,),
    "padding_mode": ("zeros",),
}
"""Settings of a convolution that are computed."""

POOLED: dict[str, tuple[Any, ...]] = {
    "kernel_size": (2, (2, 2)),
    "stride": (2, (2, 2), None),
    "padding": (0, (0, 0)),
    "dilation": (1, (1, 1)),
    "ceil_mode": (False,),
    "return_indices": (False,),
}
"""Settings of a pooling that are computed; its arguments in this order."""


def convolution_of(name: str, child: nn.Conv2d) -> Convolution:
    """Return a module as a step of the chain, with nothing after it yet."""
    _check(name, "Conv2d", {each: getattr(child, each) for each in DONE}, DONE)
    return Convolution(f"{name}.weight", None if child.bias is None else f"{name}.bias")


def with_relu(convolution: Convolution, name: str) -> Convolution:
    """Return a convolution that ReLU follows."""
    if convolution.has_relu:
        raise NotAChain(f"{name} does not follow a linear layer or a convolution")
    return replace(convolution, has_relu=True)


def pooled(convolution: Convolution, node: fx.Node, child: nn.Module | None) -> Convolution:
    """Return a convolution that a pooling follows."""
    if not convolution.has_relu or convolution.is_pooled:
        raise NotAChain(f"{node.name} does not follow a convolution and its ReLU")
    if child is not None:
        given = {each: getattr(child, each) for each in POOLED}
    else:
        given = dict(zip(POOLED, node.args[1:], strict=False)) | node.kwargs
    _check(node.name, "max_pool2d", given, POOLED)
    return replace(convolution, is_pooled=True)


def _check(name: str, kind: str, given: dict[str, Any], allowed: dict[str, tuple[Any, ...]]) -> None:
    for setting, value in given.items():
        if (tuple(value) if isinstance(value, list) else value) not in allowed.get(setting, (value,)):
            raise NotAChain(f"{name} is a {kind} with {setting} {value}; computed is {allowed[setting][0]}")
