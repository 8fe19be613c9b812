"""Examples in memory: tensors by name, kept as they were stored until they are taken."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from lth.data.types import tensor_digest
from lth.tasks.task import Batch


@dataclass(frozen=True, slots=True)
class Channels:
    """How images are normalised, channel by channel: (value - mean) / deviation, of values that are scaled already.

    Attributes:
        mean: of each channel, the axis after that of the examples; of one number, of all values.
        deviation: of each.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Examples in memory; images stay uint8 until they are taken.

    Attributes:
        tensors: by name, the example axis first; uint8, int64 or float32. They are not to be written to.
        scale: of a tensor, what its values are multiplied by as float32 when they are taken (1/255 for images); a
            tensor without one is taken as it is.
        channels: of a tensor with a scale, how it is normalised when it is taken.
    """

    tensors: Mapping[str, Tensor]
    scale: Mapping[str, float] = field(default_factory=dict)
    channels: Mapping[str, Channels] = field(default_factory=dict)
    _kept: dict[str, object] = field(default_factory=dict, init=False, repr=False)

    @property
    def digest(self) -> str:
        if "digest" not in self._kept:
            content = [dict(self.scale), {name: tensor_digest(each) for name, each in sorted(self.tensors.items())}]
            if self.channels:
                content.append({name: asdict(each) for name, each in self.channels.items()})
            self._kept["digest"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
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
        return Arrays({name: each[indices] for name, each in self.tensors.items()}, self.scale, self.channels)

    def _scaled(self, name: str, values: Tensor) -> Tensor:
        scale, channels = self.scale.get(name), self.channels.get(name)
        if scale is None:
            return values
        values = values.to(torch.float32, copy=True)
        if channels is None:
            return values.mul_(scale)
        axes = [1] * max(0, values.ndim - 2)
        mean, deviation = (values.new_tensor(each).view(-1, *axes) for each in (channels.mean, channels.deviation))
        return values.mul_(scale / deviation).sub_(mean / deviation)

    def __reduce__(self) -> tuple[object, ...]:
        return Arrays, (dict(self.tensors), dict(self.scale), dict(self.channels))
