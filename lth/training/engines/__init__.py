"""Engines: how members are trained. One interface, `train(members, module, split, recipe, ...)`."""

from lth.training.engines.choose import EngineChoice, choose_engine
from lth.training.engines.engine import Engine, Outcome
from lth.training.engines.memory import members_that_fit, release_memory
from lth.training.engines.train import ENGINES, train

__all__ = [
    "ENGINES",
    "Engine",
    "EngineChoice",
    "Outcome",
    "choose_engine",
    "members_that_fit",
    "release_memory",
    "train",
]
