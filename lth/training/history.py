"""What is measured while a member trains."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict


class History(BaseModel):
    """One member's curves, one entry per evaluation, and its early-stopping point.

    The early-stopping iteration is that of the minimum validation loss (the first, if several tie), as in Frankle &
    Carbin 2019. Training does not stop there; it is only noted. Where a sparsifier changes the masks, evaluations
    before its last change do not count for it: they are of another, mostly denser, network.

    The `mask_` curves have one entry per change of the masks by a sparsifier: its step, the density after it, how many
    weights it revived, and these as a fraction of the weights that were pruned before it.
    """

    model_config = ConfigDict(extra="forbid")

    iterations: list[int] = []
    validation_loss: list[float] = []
    validation_accuracy: list[float] = []
    train_loss: list[float | None] = []
    early_stop_iteration: int | None = None
    minimum_validation_loss: float | None = None
    diverged_at: int | None = None
    mask_steps: list[int] = []
    mask_density: list[float] = []
    mask_revived: list[int] = []
    mask_revival_rate: list[float] = []

    def add(self, iteration: int, validation_loss: float, validation_accuracy: float, train_loss: float | None) -> bool:
        """Notes one evaluation; True if its validation loss is the lowest so far."""
        if not math.isfinite(validation_loss):
            self.diverged_at = iteration
            return False
        self.iterations.append(iteration)
        self.validation_loss.append(validation_loss)
        self.validation_accuracy.append(validation_accuracy)
        self.train_loss.append(train_loss)
        if self.minimum_validation_loss is not None and validation_loss >= self.minimum_validation_loss:
            return False
        self.minimum_validation_loss, self.early_stop_iteration = validation_loss, iteration
        return True

    def add_mask_change(self, step: int, density: float, revived: int, revival_rate: float) -> None:
        """Notes one change of the masks."""
        self.mask_steps.append(step)
        self.mask_density.append(density)
        self.mask_revived.append(revived)
        self.mask_revival_rate.append(revival_rate)

    def forget_early_stop(self) -> None:
        """Starts the search for the lowest validation loss over."""
        self.early_stop_iteration = self.minimum_validation_loss = None

    def metrics(self, test: dict[str, float | None]) -> dict[str, Any]:
        """Everything measured, as JSON values; `test` adds what was read from the test set.

        Without a sparsifier there are no `mask_` curves.
        """
        unused = set() if self.mask_steps else {name for name in type(self).model_fields if name.startswith("mask_")}
        return {**self.model_dump(exclude=unused), **test}
