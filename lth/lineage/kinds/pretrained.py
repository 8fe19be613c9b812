"""Weights that were trained before, elsewhere."""

from lth.lineage.nodes import WeightsNode
from lth.lineage.reader import Reader
from lth.models import ModelSpec
from lth.models.hugging_face import NAME as HUGGING_FACE
from lth.sparsity import Weights


class Pretrained(WeightsNode):
    """A model's weights as a file or folder holds them; parameters that are named `fresh` are drawn.

    Attributes:
        spec: the model.
        digest: of the files, as `lth.lineage.foreign.pretrained_digest` gives it.
        seed: of what is drawn.
        fresh: names of parameters that are drawn anew, as a new output layer.
    """

    spec: ModelSpec
    digest: str
    seed: int = 0
    fresh: tuple[str, ...] = ()

    @property
    def model(self) -> ModelSpec:
        return self.spec

    def derive(self, reader: Reader) -> Weights:
        from lth.lineage.foreign import hugging_face_state, read_pretrained

        path = reader.sources.weights_file(self.digest)
        if self.spec.name == HUGGING_FACE:  # transformers knows the names and layouts of each architecture
            return hugging_face_state(path, self.spec, self.fresh, self.seed)
        return read_pretrained(path, reader.module(self.spec, self.seed), self.fresh)

    def words(self) -> str:
        drawn = f", {', '.join(self.fresh)} drawn with seed {self.seed}" if self.fresh else ""
        return f"{self.spec.name} as pre-trained (weights {self.digest[:8]}){drawn}"
