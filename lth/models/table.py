"""The models that `lth` brings, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from lth.config.choices import Table
from lth.config.errors import SettingsError
from lth.config.text import split_arguments, split_names
from lth.models.bert import bert
from lth.models.conv_frankle import FrankleConv
from lth.models.convnet import ConvNet
from lth.models.gpt2 import Gpt2
from lth.models.hugging_face import NAME as HUGGING_FACE
from lth.models.hugging_face import hugging_face
from lth.models.lenet import LeNet300100
from lth.models.mlp import Mlp
from lth.models.resnet import ResNet
from lth.models.resnet_cifar import CifarResNet
from lth.models.transformer import Transformer
from lth.models.vgg import Vgg


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model family.

    Attributes:
        make: facts of the data that it asks for, and arguments of its own, by name -> a fresh module.
        output: the weight of the output layer, which by custom is pruned at half the rate of the others; None where
            there is none that is pruned.
        words: what it is, for people.
        arguments: of `make`, in place of its own defaults.
        numbers: argument of `make` that whole numbers behind the name are, as in `mlp:300,100`; empty for none.
    """

    make: Callable[..., nn.Module]
    output: str | None = None
    words: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    numbers: str = ""


MODELS: Table[ModelEntry] = Table(
    "model",
    {
        "lenet-300-100": ModelEntry(LeNet300100, "output.weight", "fully connected, two hidden layers (LeCun 1998)"),
        "convnet": ModelEntry(ConvNet, "output.weight", "two convolutions with batch norm, for images"),
        "transformer": ModelEntry(Transformer, "output.weight", "small vision transformer, for images"),
        "mlp": ModelEntry(Mlp, "output.weight", "fully connected, of any widths: mlp:300,100", numbers="widths"),
        "conv-2": ModelEntry(FrankleConv, "output.weight", "Conv-2 of Frankle & Carbin (4.3M)", {"depth": 2}),
        "conv-4": ModelEntry(FrankleConv, "output.weight", "Conv-4 of Frankle & Carbin (2.4M)", {"depth": 4}),
        "conv-6": ModelEntry(FrankleConv, "output.weight", "Conv-6 of Frankle & Carbin (2.3M)", {"depth": 6}),
        "vgg-11": ModelEntry(Vgg, "output.weight", "VGG-11 with batch norm (9.2M)", {"depth": 11}),
        "vgg-13": ModelEntry(Vgg, "output.weight", "VGG-13 with batch norm (9.4M)", {"depth": 13}),
        "vgg-16": ModelEntry(Vgg, "output.weight", "VGG-16 with batch norm (14.7M)", {"depth": 16}),
        "vgg-19": ModelEntry(Vgg, "output.weight", "VGG-19 with batch norm (20.0M)", {"depth": 19}),
        "resnet-20": ModelEntry(CifarResNet, "output.weight", "ResNet-20 for small images (270K)", {"blocks": 3}),
        "resnet-32": ModelEntry(CifarResNet, "output.weight", "ResNet-32 for small images (464K)", {"blocks": 5}),
        "resnet-56": ModelEntry(CifarResNet, "output.weight", "ResNet-56 for small images (853K)", {"blocks": 9}),
        "frankle-resnet-18": ModelEntry(
            CifarResNet,
            "output.weight",
            "the Resnet-18 of Frankle & Carbin: ResNet-20 with projections (274K)",
            {"blocks": 3, "projection": True, "init": "glorot"},
        ),
        "resnet-18": ModelEntry(ResNet, "output.weight", "ResNet-18 for large images (11.7M)", {"depth": 18}),
        "resnet-50": ModelEntry(ResNet, "output.weight", "ResNet-50 for large images (25.6M)", {"depth": 50}),
        "gpt2": ModelEntry(Gpt2, None, "GPT-2, causal transformer for tokens: 12 blocks, 768 wide (124M)"),
        "gpt2-medium": ModelEntry(Gpt2, None, "GPT-2 of 355M", {"n_layer": 24, "n_head": 16, "n_embd": 1024}),
        "gpt2-large": ModelEntry(Gpt2, None, "GPT-2 of 774M", {"n_layer": 36, "n_head": 20, "n_embd": 1280}),
        "gpt2-xl": ModelEntry(Gpt2, None, "GPT-2 of 1558M", {"n_layer": 48, "n_head": 25, "n_embd": 1600}),
        "gpt-char": ModelEntry(
            Gpt2,
            None,
            "GPT-2 of 4 blocks, 128 wide",
            {"n_layer": 4, "n_head": 4, "n_embd": 128, "bias": False, "pad_to": 1},
        ),
        "bert": ModelEntry(bert, None, "BERT of transformers, drawn: 12 blocks, 768 wide, for texts as glue/sst2"),
        "bert-mini": ModelEntry(
            bert,
            None,
            "BERT of 4 blocks, 256 wide",
            {"num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4},
        ),
        "bert-tiny": ModelEntry(
            bert,
            None,
            "BERT of 2 blocks, 128 wide",
            {"num_hidden_layers": 2, "hidden_size": 128, "num_attention_heads": 2},
        ),
        HUGGING_FACE: ModelEntry(hugging_face, None, "any of transformers, by its config (folder, hub, GGUF)"),
    },
)
"""Networks by name: the first argument of a study."""


def split_model(text: str) -> tuple[str, dict[str, Any]]:
    """Return a model's name and the arguments behind it, whole numbers without a name too.

    Raises:
        ValueError: if arguments are written otherwise.

    Example:
        >>> split_model("mlp:300,100")
        ('mlp', {'widths': (300, 100)})
    """
    head, _, rest = text.partition(":")
    argument = MODELS[head].numbers if head in MODELS else ""
    numbers = split_names(rest)
    if argument and numbers and all(each.isdecimal() for each in numbers):
        return head, {argument: tuple(map(int, numbers))}
    name, arguments = split_arguments(text)
    if name != head and head in MODELS:
        example = f"{head}:300,100, or {head}:NAME=VALUE" if argument else f"NAME=VALUE, as {head}:NAME=VALUE"
        raise SettingsError(f"{text!r}: arguments of {head} are written {example}")
    return name, arguments
