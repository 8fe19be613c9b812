"""Engines: how members are trained. One interface, `train(members, training, parts, ...)`."""

from lth.training.engines.choose import EngineChoice, choose_engine
from lth.training.engines.engine import Engine, EngineType, Outcome
from lth.training.engines.passes import Unstackable
from lth.training.engines.table import ENGINES
from lth.training.engines.torch_engine import TorchEngine
from lth.training.engines.train import train

__all__ = [
    "ENGINES",
    "Engine",
    "EngineChoice",
    "EngineType",
    "Outcome",
    "TorchEngine",
    "Unstackable",
    "choose_engine",
    "train",
]
