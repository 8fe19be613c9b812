"""A state with a few of its weights scaled or taken out."""

from collections.abc import Iterator

from torch import Tensor, nn

from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader, first_names
from lth.sparsity import State

Place = tuple[str, tuple[int | None, ...]]
"""A parameter's name and an index into it; None stands for all entries of an axis (a row, a column)."""


class Ablated(WeightsNode):
    """The state of `of` with the weights at some places multiplied by a factor: 0 takes them out."""

    of: WeightsNode
    places: tuple[Place, ...]
    factor: float = 0.0

    def derive(self, reader: Reader) -> State:
        """Return the state.

        Raises:
            ValueError: if a place is not in the network.
        """
        state = reader.weights(self.of)
        for _, value, where in at_places(state, reader.skeleton(self.model), self.places):
            value[where] = self.factor * value[where] if self.factor else 0.0  # zero without a sign
        return state

    def words(self) -> str:
        what = "without" if self.factor == 0 else f"with {self.factor:g} times"
        return f"{self.of.key[:8]} {what} {len(self.places)} place{'s' * (len(self.places) != 1)}"


def at_places(
    state: State, module: nn.Module, places: tuple[Place, ...]
) -> Iterator[tuple[str, Tensor, tuple[int | slice, ...]]]:
    """Yield name, tensor and index of each place in a state; of a tied weight those of its first name.

    Raises:
        ValueError: if a place is not in the network.
    """
    owners = first_names(module)
    for name, index in places:
        if name not in state:
            raise ValueError(f"{name!r} is no parameter of the network. Its parameters: {', '.join(state)}")
        owner = owners.get(name, name)
        value = state[owner]
        is_inside = len(index) == value.ndim and all(
            at is None or -size <= at < size for at, size in zip(index, value.shape, strict=True)
        )
        if not is_inside:
            raise ValueError(f"{name!r} has shape {tuple(value.shape)}: {index} is no place in it")
        yield owner, value, tuple(slice(None) if at is None else at for at in index)
