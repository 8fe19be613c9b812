"""The models that `lth` brings, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from lth.config.choices import Table
from lth.models.bert import bert
from lth.models.convnet import ConvNet
from lth.models.gpt2 import Gpt2
from lth.models.hugging_face import NAME as HUGGING_FACE
from lth.models.hugging_face import hugging_face
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
        arguments: of `make`, in place of its own defaults.
    """

    make: Callable[..., nn.Module]
    output: str | None = None
    words: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


MODELS: Table[ModelEntry] = Table(
    "model",
    {
        "lenet-300-100": ModelEntry(LeNet300100, "output.weight", "fully connected, two hidden layers (LeCun 1998)"),
        "convnet": ModelEntry(ConvNet, "output.weight", "two convolutions with batch norm, for images"),
        "transformer": ModelEntry(Transformer, "output.weight", "small vision transformer, for images"),
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
