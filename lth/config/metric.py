"""Numbers that tell how good a network is."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["fraction", "nats", "bits", "plain"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that tells how good a network is.

    Attributes:
        name: as `accuracy`, `perplexity`.
        better: which direction is better.
        unit: `fraction` is shown in percent and its differences in points; all others as they are.
        words: what it is, for people.
    """

    name: str
    better: Literal["higher", "lower"] = "lower"
    unit: Unit = "plain"
    words: str = ""

    def gain(self, value: float, baseline: float) -> float:
        """Return how much better `value` is than `baseline`: above 0 is better, whatever the direction."""
        return value - baseline if self.better == "higher" else baseline - value
