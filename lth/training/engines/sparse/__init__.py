"""The sparse engine for chains of layers on a CPU: time and memory fall with the density."""

from lth.training.engines.sparse.chain import Chain, Convolution, Layer, NotAChain
from lth.training.engines.sparse.reading import read_chain

__all__ = ["Chain", "Convolution", "Layer", "NotAChain", "read_chain"]
