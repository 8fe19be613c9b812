"""Super weights: single weights whose removal ruins a language model. Found, tested by intervention, kept in a list."""

from lth.superweights.coordinates import Coordinate
from lth.superweights.protocol import Protocol
from lth.superweights.texts import Passage, block_losses, passage, perplexity_of

__all__ = ["Coordinate", "Passage", "Protocol", "block_losses", "passage", "perplexity_of"]
