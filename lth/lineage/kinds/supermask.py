"""What a training of masks leaves: the masks that it learned, and the untrained network under masks."""

import torch

from lth.lineage.kinds.trained import Trained
from lth.lineage.nodes import MasksNode, WeightsNode
from lth.lineage.reader import Reader, draws
from lth.models.spec import ModelSpec
from lth.models.supermask import Supermask
from lth.sparsity import Masks, State


class LearnedMasks(MasksNode):
    """The masks that a training of a supermask learned: thresholded, or, with a number as `draw`, sampled."""

    trained: Trained
    draw: int | None = None

    def derive(self, reader: Reader) -> Masks:
        module = loaded(self.trained, reader)
        return module.thresholded() if self.draw is None else module.sampled(draws(self))

    def words(self) -> str:
        way = "thresholded" if self.draw is None else f"sampled (draw {self.draw})"
        return f"the masks that {self.trained.key[:8]} learned, {way}"


class MaskedNetwork(WeightsNode):
    """The plain network whose frozen weights a supermask stands over, under masks, rescaled if it rescales.

    Attributes:
        trained: the training of the supermask.
        masks: None leaves the frozen network as it is.
    """

    trained: Trained
    masks: MasksNode | None = None

    @property
    def model(self) -> ModelSpec:
        return self.trained.model.model_copy(update={"supermask": None})

    def derive(self, reader: Reader) -> State:
        module = loaded(self.trained, reader)
        if self.masks is None:
            return {name: value.detach().clone() for name, value in module.network.state_dict().items()}
        return module.masked_state(reader.masks(self.masks))

    def words(self) -> str:
        under = "without masks" if self.masks is None else f"under the masks {self.masks.key[:8]}"
        return f"the untrained network of {self.trained.key[:8]} {under}"


def loaded(trained: Trained, reader: Reader) -> Supermask:
    """Return the supermask of a training, with its learned scores."""
    module = reader.module(trained.model)
    assert isinstance(module, Supermask)
    state = reader.weights(trained)
    module.to(next(value.dtype for value in state.values() if value.is_floating_point()))
    module.load_state_dict(state)
    with torch.no_grad():
        return module.eval()
