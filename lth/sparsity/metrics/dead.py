"""Dead units: outputs and inputs of a layer without a single weight.

Weights and masks are taken as (output, input, ...), the layout of Linear and convolutions; transpose a Hugging Face
`Conv1D` first. What is not zero (or True) counts as a weight.
"""

import torch
from torch import Tensor


def dead_outputs(matrix: Tensor) -> Tensor:
    """Return (output,), True where all weights into an output are gone; `matrix` is (output, input, ...)."""
    return ~_as_matrix(matrix).any(dim=1)


def dead_inputs(matrix: Tensor) -> Tensor:
    """Return (input,), True where all weights that read an input are gone.

    `matrix` is (output, input, ...), weights or mask. In a grouped convolution, whose weight is (output,
    input / groups, ...), an entry speaks of the inputs at that place in all groups.
    """
    present = _as_matrix(matrix).reshape(matrix.shape[0], matrix.shape[1], -1)
    return ~present.any(dim=2).any(dim=0)


def _as_matrix(matrix: Tensor) -> Tensor:
    """Return (output, input * kernel), True where there is a weight."""
    if matrix.ndim < 2:
        raise ValueError(f"expected (output, input, ...), found shape {tuple(matrix.shape)}: a vector has no inputs")
    return (matrix if matrix.dtype == torch.bool else matrix != 0).flatten(1)
