"""Masks that a training which prunes on its way ended with."""

from lth.lineage.kinds.trained import Trained
from lth.lineage.nodes import Job, MasksNode
from lth.lineage.reader import Reader
from lth.sparsity import Masks


class Sparsified(MasksNode):
    """Masks that a training which prunes on its way ended with: the training itself stores them."""

    trained: Trained

    @property
    def made_by(self) -> tuple[Job, int] | None:
        return self.trained, self.trained.training.steps

    @property
    def planned_density(self) -> float | None:
        sparsifier = self.trained.training.sparsifier
        return None if sparsifier is None else 1.0 if sparsifier.release else sparsifier.density

    def derive(self, reader: Reader) -> Masks:
        reader.weights(self.trained)  # says so if the training diverged
        return reader.store.read_masks(self)  # its training wrote them: this says that they are missing

    def words(self) -> str:
        return f"the masks that {self.trained.key[:8]} ended with"
