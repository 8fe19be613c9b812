"""What parts of a data set have in common that are texts still."""

from pathlib import Path

import torch
from torch import Tensor

from lth.tasks.task import Batch


class Untokenised:
    """A part that is text; `tokenised` makes tokens of it.

    Attributes:
        tokenizer: its folder or file, where one was named; else that of the model.
    """

    __slots__ = ()
    tokenizer: Path | None

    def take(self, indices: Tensor, device: torch.device) -> Batch:
        """Refuse: texts are no tensors.

        Raises:
            ValueError: always.
        """
        raise ValueError("these examples are texts: `lth.data.tokenised` makes tokens of them")
