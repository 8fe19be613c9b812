"""The data set as every other room sees it: four tensors in memory, and what they are worth as inputs."""

import hashlib
import json
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Data:
    """A classification data set in memory, as it was stored: integers stay integers until a split makes inputs of them.

    Two values are the same data exactly when their `digest` is the same. It can be pickled, which is how it
    reaches worker processes. The tensors are not to be written to: the digest is computed once.

    Attributes:
        name: a short name for reports; it does not enter the digest.
        x_train: (n, *input_shape), uint8 or float32.
        y_train: (n,), int64, in 0 .. num_classes - 1.
        x_test: (m, *input_shape), same dtype as `x_train`.
        y_test: (m,), int64.
        num_classes: number of classes.
        scale: inputs are `x * scale` as floats. 1/255 for images: pixel values in [0, 1] and no standardisation.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, whose MNIST inputs are pixel values in [0, 1].
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    num_classes: int
    scale: float = 1.0
    _digest: str = field(default="", init=False)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example, such as (28, 28)."""
        return tuple(self.x_train.shape[1:])

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of dtype, shape and bytes of the four tensors, and of the scale."""
        if not self._digest:
            object.__setattr__(self, "_digest", _content_digest(self))
        return self._digest

    def __repr__(self) -> str:
        """One line: printing sixty thousand images helps nobody."""
        shape = "x".join(str(size) for size in self.input_shape) or "scalar"
        dtype = str(self.x_train.dtype).removeprefix("torch.")
        return (
            f"Data({self.name!r}: {len(self.y_train)} train and {len(self.y_test)} test examples, "
            f"{shape} {dtype} inputs, {self.num_classes} classes)"
        )


def _content_digest(data: Data) -> str:
    # The header before each tensor keeps two data sets apart whose bytes run together to the same string.
    content = hashlib.sha256(json.dumps({"scale": data.scale}).encode())
    for role in ("x_train", "y_train", "x_test", "y_test"):
        tensor: Tensor = getattr(data, role)
        header = {"role": role, "dtype": str(tensor.dtype), "shape": list(tensor.shape)}
        content.update(json.dumps(header, sort_keys=True).encode())
        content.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
