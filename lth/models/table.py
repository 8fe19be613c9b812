"""The models that `lth` brings, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from lth.config.choices import Table
from lth.models.convnet import ConvNet
from lth.models.gpt import Gpt
from lth.models.lenet import LeNet300100
from lth.models.transformer import Transformer


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model family.

    Attributes:
        make: facts of the data that it asks for, and arguments of its own, by name -> a fresh module.
        output: the weight of the output layer, which by custom is pruned at half the rate of the others; None where
            there is none that is pruned.
        words: what it is, for people.
    """

    make: Callable[..., nn.Module]
    output: str | None = None
    words: str = ""


MODELS: Table[ModelEntry] = Table(
    "model",
    {
        "lenet-300-100": ModelEntry(LeNet300100, "output.weight", "fully connected, two hidden layers (LeCun 1998)"),
        "convnet": ModelEntry(ConvNet, "output.weight", "two convolutions with batch norm, for images"),
        "transformer": ModelEntry(Transformer, "output.weight", "small vision transformer, for images"),
        "gpt": ModelEntry(Gpt, None, "small causal transformer, for tokens"),
    },
)
