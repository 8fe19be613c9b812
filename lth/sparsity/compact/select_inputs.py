"""A Linear that reads some of the features that it is given."""

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from lth.sparsity.compact.attention import CompactAttention, is_inside, single_layers


class SelectInputs(nn.Linear):
    """Takes the place of a Linear some of whose columns are zero throughout.

    Attributes:
        weight: (output, selected input).
        selected: (selected input,), int64: which features it reads.
    """

    selected: Tensor

    def __init__(self, linear: nn.Linear, selected: Tensor) -> None:
        """Take over a Linear's map, reading the selected inputs alone."""
        super().__init__(len(selected), linear.out_features, bias=False, device="meta")
        self.weight = nn.Parameter(linear.weight.detach()[:, selected].clone())
        self.bias = linear.bias
        self.register_buffer("selected", selected.to(linear.weight.device))

    def forward(self, inputs: Tensor) -> Tensor:  # (..., input) -> (..., output)
        return F.linear(inputs.index_select(-1, self.selected), self.weight, self.bias)


def readable_columns(module: nn.Module, untouched: Iterable[str] = ()) -> dict[str, list[int]]:
    """Return the features that a Linear reads, by its path, for each that has columns of zeros; one feature at least.

    Left out are Linears inside of `untouched`, and those of attention, whose columns are looked at as they are.
    """
    readable = {}
    for path, layer in single_layers(module).items():
        parent = module.get_submodule(path.rpartition(".")[0])
        is_taken = isinstance(parent, nn.TransformerEncoderLayer | nn.MultiheadAttention | CompactAttention)
        if type(layer) is nn.Linear and not is_taken and not is_inside(path, untouched):
            columns = (layer.weight != 0).any(dim=0).nonzero().flatten().tolist() or [0]
            if len(columns) < layer.in_features:
                readable[path] = columns
    return readable
