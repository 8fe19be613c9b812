"""The models that `lth` brings, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from lth.models.convnet import ConvNet
from lth.models.lenet import LeNet300100
from lth.models.transformer import Transformer


@dataclass(frozen=True, slots=True)
class Entry:
    """A model family.

    Attributes:
        make: (input_shape, num_classes) -> a fresh module.
        output: the weight of the output layer, which by custom is pruned at half the rate of the others.
    """

    make: Callable[..., nn.Module]
    output: str


MODELS: dict[str, Entry] = {
    "lenet-300-100": Entry(make=LeNet300100, output="output.weight"),
    "convnet": Entry(make=ConvNet, output="output.weight"),
    "transformer": Entry(make=Transformer, output="output.weight"),
}
