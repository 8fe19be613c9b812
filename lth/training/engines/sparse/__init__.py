"""The sparse engine for multilayer perceptrons on a CPU: time and memory fall with the density."""

from lth.training.engines.sparse.mlp import Layer, NotAnMlp, read_mlp

__all__ = ["Layer", "NotAnMlp", "read_mlp"]
