"""Single weights by name: `h.2.mlp.c_proj:447,666` is output 447, input 666 of that matrix, however it is stored."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from lth.sparsity.prunable import is_hugging_face_conv1d


@dataclass(frozen=True, slots=True)
class Entry:
    """One weight.

    Attributes:
        text: as it was written.
        name: of its parameter.
        index: where it stands in the stored tensor.
    """

    text: str
    name: str
    index: tuple[int, ...]


def entries_of(module: nn.Module, texts: Iterable[str]) -> list[Entry]:
    """Return the weights that texts `NAME:OUTPUT,INPUT` name; NAME with or without `.weight`.

    Raises:
        ValueError: if a parameter does not exist, or an index lies outside of it.
    """
    names = [name for name, _ in module.named_parameters()]
    found = []
    for text in texts:
        head, _, tail = text.partition(":")
        name = next((each for each in (head, f"{head}.weight") if each in names), None)
        if name is None:
            raise ValueError(f"{text!r}: the model has no parameter {head!r}. Its parameters: {', '.join(names)}")
        index = tuple(int(part) for part in tail.split(","))
        if is_hugging_face_conv1d(module.get_submodule(name.rpartition(".")[0])):
            index = index[::-1]  # stored [input, output]
        shape = tuple(module.get_parameter(name).shape)
        if len(index) != len(shape) or any(place >= size for place, size in zip(index, shape, strict=True)):
            sizes = ", ".join(f"0 to {size - 1}" for size in shape)
            raise ValueError(f"{text!r}: {name} is stored as {list(shape)}, so its indices are {sizes}")
        found.append(Entry(text, name, index))
    return found
