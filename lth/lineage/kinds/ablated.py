"""A state with a few of its weights scaled or taken out."""

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
        state, owners = reader.weights(self.of), first_names(reader.skeleton(self.model))
        for name, index in self.places:
            if name not in state:
                raise ValueError(f"{name!r} is no parameter of the network. Its parameters: {', '.join(state)}")
            value = state[owners.get(name, name)]
            is_inside = len(index) == value.ndim and all(
                at is None or -size <= at < size for at, size in zip(index, value.shape, strict=True)
            )
            if not is_inside:
                raise ValueError(f"{name!r} has shape {tuple(value.shape)}: {index} is no place in it")
            where = tuple(slice(None) if at is None else at for at in index)
            value[where] = self.factor * value[where] if self.factor else 0.0  # zero without a sign
        return state

    def words(self) -> str:
        what = "without" if self.factor == 0 else f"with {self.factor:g} times"
        return f"{self.of.key[:8]} {what} {len(self.places)} place{'s' * (len(self.places) != 1)}"
