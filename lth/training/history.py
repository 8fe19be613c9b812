"""What is measured while a member trains."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict


class History(BaseModel):
    """One member's curves, one entry per evaluation, and its early-stopping point.

    The early-stopping iteration is that of the minimum validation loss (the first, if several tie), as in Frankle &
    Carbin 2019. Training does not stop there; it is only noted.
    """

    model_config = ConfigDict(extra="forbid")

    iterations: list[int] = []
    validation_loss: list[float] = []
    validation_accuracy: list[float] = []
    train_loss: list[float | None] = []
    early_stop_iteration: int | None = None
    minimum_validation_loss: float | None = None
    diverged_at: int | None = None

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

    def metrics(self, test: dict[str, float | None]) -> dict[str, Any]:
        """Everything measured, as JSON values; `test` adds what was read from the test set."""
        return {**self.model_dump(), **test}
