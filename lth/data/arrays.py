"""Examples in memory: tensors by name, kept as they were stored until they are taken."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lth.data.types import tensor_digest
from lth.tasks.task import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Examples in memory; images stay uint8 until they are taken.

    Attributes:
        tensors: by name, the example axis first; uint8, int64 or float32. They are not to be written to.
        scale: of a tensor, what its values are multiplied by as float32 when they are taken (1/255 for images); a
            tensor without one is taken as it is.
    """

    tensors: Mapping[str, Tensor]
    scale: Mapping[str, float] = field(default_factory=dict)
    _kept: dict[str, object] = field(default_factory=dict, init=False, repr=False)

    @property
    def digest(self) -> str:
        if "digest" not in self._kept:
            text = json.dumps(
                [dict(self.scale), {name: tensor_digest(each) for name, each in sorted(self.tensors.items())}],
                sort_keys=True,
            )
            self._kept["digest"] = hashlib.sha256(text.encode()).hexdigest()
        return str(self._kept["digest"])

    @property
    def num_bytes(self) -> int:
        """Memory that the examples take."""
        return sum(each.nbytes for each in self.tensors.values())

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def take(self, indices: Tensor, device: torch.device) -> Batch:
        """Return the examples at these positions; a GPU keeps a copy of all of them from the first call on."""
        if device.type == "cpu":
            tensors: Mapping[str, Tensor] = self.tensors
        else:
            if str(device) not in self._kept:
                self._kept[str(device)] = {name: each.to(device) for name, each in self.tensors.items()}
            tensors = self._kept[str(device)]  # type: ignore[assignment]
        where = indices.to(device)
        return {name: self._scaled(name, each.index_select(0, where)) for name, each in tensors.items()}

    def subset(self, indices: Tensor) -> "Arrays":
        """Return the examples at these positions as a copy of their own."""
        return Arrays({name: each[indices] for name, each in self.tensors.items()}, self.scale)

    def _scaled(self, name: str, values: Tensor) -> Tensor:
        scale = self.scale.get(name)
        return values if scale is None else values.to(torch.float32, copy=True).mul_(scale)

    def __reduce__(self) -> tuple[object, ...]:
        return Arrays, (dict(self.tensors), dict(self.scale))
