"""Super weights: single weights whose removal ruins a language model. Found, tested by intervention, kept in a list."""

from lth.superweights.coordinates import Coordinate

__all__ = ["Coordinate"]
