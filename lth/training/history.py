"""What is measured while a member trains."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

FORMAT = "lth.metrics/1"


class Best(BaseModel):
    """The early-stopping point: where the validation part was best (the first step, if several tie)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    value: float
    by: str


class MaskChange(BaseModel):
    """One change of one network's masks by a sparsifier.

    Attributes:
        step: optimizer steps done before it.
        density: fraction of the prunable weights kept after it.
        revived: weights that were pruned before and are kept now.
        revival_rate: these as a fraction of the weights that were pruned before; 0 if none was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    density: float
    revived: int
    revival_rate: float


class History(BaseModel):
    """One member's curves, one entry per evaluation, and its early-stopping point.

    Training does not stop at that point; it is only noted (Frankle & Carbin 2019). Where a sparsifier changes the
    masks, evaluations before its last change do not count for it: they are of another, mostly denser, network.

    Attributes:
        steps: where evaluations were made.
        curves: values by `part/metric` (`validation/loss`, `train/loss`), one per entry of `steps`; the training loss
            is the mean since the evaluation before, None at the first. Measures (`sparsity/overall`) stand beside them.
        best: the early-stopping point.
        end: what was measured at the end, by `part/metric`.
        at_best: the same of the weights at the early-stopping point.
        mask_changes: by a sparsifier, in order.
        diverged_at: the step whose loss was not finite; nothing is measured after it.
        start_digest: of the weights that it started from.
        counted: the step that a training function of the user's counted up to; None if it counted none, and of an
            engine, which does the steps that it is asked for.
    """

    model_config = ConfigDict(extra="forbid")

    steps: list[int] = []
    curves: dict[str, list[float | None]] = {}
    best: Best | None = None
    end: dict[str, float] = {}
    at_best: dict[str, float] = {}
    mask_changes: list[MaskChange] = []
    diverged_at: int | None = None
    start_digest: str = ""
    counted: int | None = None

    def add(
        self,
        step: int,
        validation: Mapping[str, float],
        train_loss: float | None,
        stop_by: str,
        sign: int,
        more: Mapping[str, float] | None = None,
    ) -> bool:
        """Note one evaluation; return whether it is the best so far.

        Args:
            step: optimizer steps done.
            validation: metrics of the validation part.
            train_loss: mean training loss since the last evaluation.
            stop_by: the metric of early stopping.
            sign: 1 if higher is better, else -1.
            more: further values, by the names of their curves.
        """
        value = validation[stop_by]
        if not math.isfinite(value):
            self.diverged_at = step
            return False
        measured: dict[str, float | None] = {f"validation/{name}": each for name, each in validation.items()}
        self.note(step, measured | {"train/loss": train_loss, **(more or {})})
        if self.best is not None and sign * value <= sign * self.best.value:
            return False
        self.best = Best(step=step, value=value, by=f"validation/{stop_by}")
        return True

    def note(self, step: int, values: Mapping[str, float | None]) -> None:
        """Add an entry to every curve: its value, None where there is none or it is not finite."""
        self.steps.append(step)
        for name in {**self.curves, **values}:
            curve, value = self.curves.setdefault(name, [None] * (len(self.steps) - 1)), values.get(name)
            curve.append(value if value is not None and math.isfinite(value) else None)

    def at(self, index: int) -> dict[str, float]:
        """Return the values of one evaluation, by `part/metric`; without those that are none or not finite."""
        return {name: value for name, curve in self.curves.items() if (value := curve[index]) is not None}

    @property
    def last(self) -> dict[str, float]:
        """The last value of each curve."""
        return self.at(-1) if self.steps else {}

    def document(self) -> dict[str, Any]:
        """Return everything measured, as JSON values: the content of metrics.json."""
        return {"format": FORMAT, **self.model_dump()}


def read_history(document: Mapping[str, Any]) -> History:
    """Return the history in the content of a metrics.json.

    Raises:
        ValueError: if it is of another format.
    """
    if document.get("format") != FORMAT:
        raise ValueError(f"these metrics have format {document.get('format')!r}; this lth reads {FORMAT!r}")
    return History(**{name: value for name, value in document.items() if name != "format"})
