"""Rows of tokens of different lengths: a batch is padded to its longest."""

import hashlib
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lth.tasks.task import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Token ids of examples, and what is asked of each.

    A batch holds `input_ids`, `attention_mask` (1 where there is a token), both (example, position) int64, as networks
    of `transformers` take them, `token_type_ids` where there are types, and `y`.

    Attributes:
        tokens: (token,) int32, the rows one behind the other.
        starts: (example + 1,) int64, where each begins, and where the last ends.
        y: (example, ...) the answers.
        types: (token,) uint8, 0 in the first sentence and 1 in the second; None where the network has no types.
        pad: the token that fills a row up.
        is_bucketed: whether training batches hold rows of similar length; see `lth.data.order`.
    """

    tokens: Tensor
    starts: Tensor
    y: Tensor
    types: Tensor | None = None
    pad: int = 0
    is_bucketed: bool = True
    _kept: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    @property
    def lengths(self) -> Tensor:
        """Tokens of each example, (example,) int64."""
        return self.starts.diff()

    @property
    def digest(self) -> str:
        if "digest" not in self._kept:
            content = hashlib.sha256(
                f"rows {self.pad} {self.is_bucketed} {self.y.dtype} {tuple(self.y.shape)}".encode()
            )
            for values in (self.tokens, self.starts, self.y, self.types):
                content.update(b"none" if values is None else values.contiguous().numpy().tobytes())
            self._kept["digest"] = content.hexdigest()
        return self._kept["digest"]

    @property
    def num_bytes(self) -> int:
        """Memory that they take."""
        return sum(0 if each is None else each.nbytes for each in (self.tokens, self.starts, self.y, self.types))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, indices: Tensor, device: torch.device) -> Batch:
        indices = indices.cpu()
        first = self.starts[indices]
        lengths = self.starts[indices + 1] - first
        positions = torch.arange(int(lengths.max()) if len(indices) else 0)
        is_token = positions < lengths[:, None]  # (example, position)
        places = torch.where(is_token, first[:, None] + positions, 0)
        batch = {
            "input_ids": torch.where(is_token, self.tokens[places], self.pad).long(),
            "attention_mask": is_token.long(),
        }
        if self.types is not None:
            batch["token_type_ids"] = torch.where(is_token, self.types[places], 0).long()
        return {name: value.to(device) for name, value in (batch | {"y": self.y[indices]}).items()}
