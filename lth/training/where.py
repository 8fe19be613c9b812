"""Where and by what members are trained; no result depends on it beyond rounding."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """Where and by what members are trained.

    Attributes:
        device: `cpu` or a CUDA device.
        engine: an entry of ENGINES, or `auto`.
        snapshot_seconds: time between snapshots: what a killed process can lose; 0 saves one after every step.
        compiled: whether the torch engine goes through `torch.compile`.
        function: the user's own training function, where `Training.function` names one.
        evaluate: the user's own measurement, where the task names one.
    """

    device: str = "cpu"
    engine: str = "auto"
    snapshot_seconds: float = 10.0
    compiled: bool = False
    function: Callable[..., Any] | None = None
    evaluate: Callable[..., Any] | None = None
