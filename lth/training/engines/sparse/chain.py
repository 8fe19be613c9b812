"""What the sparse engine trains: a chain of convolutions, if there are any, and then of linear layers."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

Activation = Literal["identity", "relu", "tanh"]


class NotAChain(ValueError):
    """A module is no chain of these layers; the message says what was found in it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One linear layer and what follows it.

    Attributes:
        weight: name of its weight, (output, input).
        bias: name of its bias, (output,); None without one.
        activation: what its outputs go through.
        dropout: probability that an output is dropped, after the activation.
    """

    weight: str
    bias: str | None
    activation: Activation = "identity"
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class Convolution:
    """One 3 x 3 convolution, with a border of zeros and stride 1, and what follows it.

    Attributes:
        weight: name of its weight, (output, input, 3, 3).
        bias: name of its bias, (output,); None without one.
        has_relu: whether its outputs go through ReLU; all do where a chain has been read to its end.
        is_pooled: whether the largest of each 2 x 2 of these are taken.
    """

    weight: str
    bias: str | None
    has_relu: bool = False
    is_pooled: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """A network.

    Attributes:
        layers: linear layers, first to last; one at least.
        convolutions: what comes before, first to last; what they give is flattened.
        makes_images: whether `as_images` gives the convolutions their inputs.
    """

    layers: list[Layer]
    convolutions: list[Convolution]
    makes_images: bool = False


ACTIVATIONS: dict[Any, Activation] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_", nn.ReLU), "relu"),
    **dict.fromkeys((F.tanh, torch.tanh, torch.tanh_, "tanh", "tanh_", nn.Tanh), "tanh"),
}
"""By function, method name or module type."""
