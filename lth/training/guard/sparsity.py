"""How many weights of a module are kept, as a table that prints."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from torch import Tensor, nn

from lth.training.guard.masks import masks as nonzero_masks
from lth.training.guard.parameters import checked_masks


@dataclass(frozen=True, slots=True)
class TensorSparsity:
    """How many weights of one parameter are kept."""

    name: str
    shape: tuple[int, ...]
    num_weights: int
    num_kept: int


@dataclass(frozen=True, slots=True)
class Sparsity:
    """How many weights of a module are kept; prints as a table, one row a parameter."""

    tensors: tuple[TensorSparsity, ...]

    @property
    def num_weights(self) -> int:
        """Weights of all these parameters."""
        return sum(tensor.num_weights for tensor in self.tensors)

    @property
    def num_kept(self) -> int:
        """Those that are kept."""
        return sum(tensor.num_kept for tensor in self.tensors)

    @property
    def density(self) -> float:
        """Fraction that is kept; 1 of no weights."""
        return self.num_kept / self.num_weights if self.num_weights else 1.0

    @property
    def sparsity(self) -> float:
        """Fraction that is pruned."""
        return 1 - self.density

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {weights:>{widths[2]}}  {kept:>{widths[3]}}".rstrip()
            for name, shape, weights, kept in rows
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *rows = (tuple(map(escape, row)) for row in self._rows())
        body = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rows)
        return f"<table><thead><tr><th>{'</th><th>'.join(head)}</th></tr></thead><tbody>{body}</tbody></table>"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [
            ("tensor", "shape", "weights", "kept %"),
            *(
                _row(tensor.name, " x ".join(map(str, tensor.shape)), tensor.num_weights, tensor.num_kept)
                for tensor in self.tensors
            ),
            _row("overall", "", self.num_weights, self.num_kept),
        ]


def _row(name: str, shape: str, num_weights: int, num_kept: int) -> tuple[str, str, str, str]:
    kept = 100 * num_kept / num_weights if num_weights else 100.0
    return name, shape, f"{num_weights:,}", f"{kept:.2f}"


def sparsity_of(model: nn.Module, masks: Mapping[str, Tensor] | None = None) -> Sparsity:
    """Return how many weights of each prunable parameter are kept.

    Args:
        model: any module.
        masks: count by these; by default a weight counts as pruned where it is zero.
    Raises:
        ValueError: if the masks do not fit the model, or it has nothing to prune.

    Example:
        >>> print(sparsity_of(nn.Sequential(nn.Linear(2, 3))))
        tensor    shape  weights  kept %
        0.weight  3 x 2        6  100.00
        overall                6  100.00
    """
    counted = nonzero_masks(model) if masks is None else checked_masks(masks, model)
    return Sparsity(
        tuple(TensorSparsity(name, tuple(mask.shape), mask.numel(), int(mask.sum())) for name, mask in counted.items())
    )
