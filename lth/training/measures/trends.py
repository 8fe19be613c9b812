"""Trends: a value at the last few measurements, its mean and its slope."""

import torch

from lth.training.measures.measure import Memory

LENGTH = 10
"""Measurements that a trend looks at."""

RECENT = "recent"


def recent(memory: Memory, step: int, value: float) -> None:
    """Add one value to those of the last measurements, (measurement, 2): step and value, float64."""
    new = torch.tensor([[float(step), value]], dtype=torch.float64)
    memory[RECENT] = torch.cat([memory.get(RECENT, new[:0]).cpu(), new])[-LENGTH:]


def slope(memory: Memory) -> float:
    """Return the least-squares slope of the last values over steps; 0 for fewer than two."""
    steps, values = memory[RECENT].unbind(1)
    centred = steps - steps.mean()
    spread = float(centred.square().sum())
    return float((centred * values).sum()) / spread if spread else 0.0


def mean(memory: Memory) -> float:
    """Return the mean of the last values."""
    return float(memory[RECENT][:, 1].mean())
