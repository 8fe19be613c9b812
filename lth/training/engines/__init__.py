"""Engines: how members are trained. One interface, `train(members, module, split, recipe, ...)`."""

from lth.training.engines.torch_engine import Outcome, train

__all__ = ["Outcome", "train"]
