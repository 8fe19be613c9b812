"""Dropout on the inputs of chosen layers, of any network: nothing of the network itself changes."""

from functools import partial
from typing import Any

import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
BY_NAME = "Conv1D"
"""The linear layer of `transformers`' GPT-2."""


class InputDropout(BaseModel):
    """Each input of some layers is dropped with a probability while the network trains; the others grow by 1 / (1 - p).

    Source: Srivastava et al. 2014, Journal of Machine Learning Research 15(56).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    p: float = Field(gt=0, lt=1, description="probability that an input is dropped")
    weights: tuple[str, ...] = Field(min_length=1, description="the weights whose layers are meant, by name")


def with_dropout(module: nn.Module, dropout: InputDropout) -> nn.Module:
    """Return the module, whose layers drop inputs from now on in training mode; names and values stay.

    Raises:
        ValueError: if a weight is not that of a linear or convolutional layer that is called as one.
    """
    attentions = [part for part in module.modules() if isinstance(part, nn.MultiheadAttention)]
    inside = {id(inner) for part in attentions for inner in part.modules()}  # attention calls none of its layers
    for name in dropout.weights:
        path, _, leaf = name.rpartition(".")
        layer = module.get_submodule(path)
        is_known = isinstance(layer, (nn.Linear, *CONVOLUTIONS)) or type(layer).__name__ == BY_NAME
        if leaf != "weight" or not is_known or id(layer) in inside:
            raise ValueError(
                f"dropout does not reach {name}, of a {type(layer).__name__}: only inputs of linear and convolutional "
                f"layers are dropped. Leave it out, as --never-prune {name}"
            )
        layer.register_forward_pre_hook(partial(_drop, p=dropout.p))
    return module


def _drop(layer: nn.Module, inputs: tuple[Tensor, ...], p: float) -> tuple[Any, ...]:
    return (F.dropout(inputs[0], p, layer.training), *inputs[1:])
