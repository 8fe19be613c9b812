"""Which axis of a weight tensor is the output and which the input: two layouts, one coordinate (output, input)."""

from dataclasses import dataclass

from torch import nn

from lth.sparsity.prunable import is_hugging_face_conv1d


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of one weight tensor; all others are spatial positions.

    Attributes:
        output: the axis of output units (rows of a Linear, filters of a convolution).
        input: the axis of input units (columns of a Linear, channels of a convolution).
        groups: groups of a convolution. Axis 0 runs through all groups, axis 1 counts within one group.
        is_convolution: whether the tensor belongs to a convolution.
    """

    output: int = 0
    input: int = 1
    groups: int = 1
    is_convolution: bool = False


def axes_of(layer: nn.Module) -> Axes | None:
    """Return the axes of `layer.weight`, or None if the layer holds no matrix of its own that is known."""
    if isinstance(layer, nn.modules.conv._ConvNd):
        output, input = (1, 0) if layer.transposed else (0, 1)
        return Axes(output, input, layer.groups, is_convolution=True)
    if isinstance(layer, nn.Linear):
        return Axes()
    if is_hugging_face_conv1d(layer) or isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return Axes(output=1, input=0)  # stored [in, out]; an embedding's inputs are its tokens
    return None


def is_linear(layer: nn.Module) -> bool:
    """Return whether the layer is a matrix product: `nn.Linear`, or Hugging Face's Conv1D that stores [in, out]."""
    return isinstance(layer, nn.Linear) or is_hugging_face_conv1d(layer)
