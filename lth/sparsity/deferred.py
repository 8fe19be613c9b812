"""States that are read or drawn only if somebody looks at them."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from torch import Tensor


class Deferred(Mapping[str, Tensor]):
    """A dict of tensors that is loaded at the first look, once.

    Args:
        load: reads or draws the tensors.
    """

    def __init__(self, load: Callable[[], dict[str, Tensor]]) -> None:
        self._load = load

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        return self._load()

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
