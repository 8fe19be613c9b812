"""Masks that a user gives."""

from lth.lineage.foreign_masks import read_masks_file
from lth.lineage.nodes import MasksNode
from lth.lineage.reader import Reader
from lth.models.spec import ModelSpec
from lth.sparsity import Masks


class Given(MasksNode):
    """Masks of a file; once read they are kept in the store.

    Attributes:
        model: what they are for.
        digest: of the file.
        density: fraction of the prunable weights that they keep.
        left_out: tensors whose masks are not taken, as those of a head.
    """

    model: ModelSpec
    digest: str
    density: float
    left_out: tuple[str, ...] = ()

    @property
    def planned_density(self) -> float | None:
        return self.density

    def derive(self, reader: Reader) -> Masks:
        path, module = reader.sources.weights_file(self.digest), reader.skeleton(self.model)
        return read_masks_file(path, module, self.digest, self.left_out)

    def words(self) -> str:
        return f"the masks of a file {self.digest[:8]}, which keep {100 * self.density:.3g} %"
