"""Pruning in a training loop of the user's own: masks that hold, and levels of iterative magnitude pruning."""

from lth.training.guard.guard import Guard, guard
from lth.training.guard.levels import LoopLevel, levels
from lth.training.guard.masks import apply, load_masks, masks, save_masks
from lth.training.guard.sparsity import Sparsity, sparsity_of

__all__ = [
    "Guard",
    "LoopLevel",
    "Sparsity",
    "apply",
    "guard",
    "levels",
    "load_masks",
    "masks",
    "save_masks",
    "sparsity_of",
]
