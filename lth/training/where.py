"""Where and by what members are trained; no result depends on it beyond rounding."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lth.training.ranks import ALONE, Ranks


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """Where and by what members are trained.

    Attributes:
        device: `cpu` or a CUDA device.
        engine: an entry of ENGINES, or `auto`.
        snapshot_seconds: time between snapshots: what a killed process can lose; 0 saves one after every step.
        compiled: whether the torch engine goes through `torch.compile`.
        micro_batch: most examples of one pass, over which gradients add up; None takes a step's batch at once.
        ranks: the processes that train one network together.
        function: the user's own training function, where `Training.function` names one.
        evaluate: the user's own measurement, where the task names one.
        offload: a folder for weights of networks that are only measured: one block at a time is then in memory.
    """

    device: str = "cpu"
    engine: str = "auto"
    snapshot_seconds: float = 10.0
    compiled: bool = False
    micro_batch: int | None = None
    ranks: Ranks = ALONE
    function: Callable[..., Any] | None = None
    evaluate: Callable[..., Any] | None = None
    offload: Path | None = None
