"""Whether a difference is small: tests against a margin."""

from collections.abc import Sequence
from dataclasses import dataclass

import scipy

from lth.analysis.statistics import are_alike, known_of


@dataclass(frozen=True, slots=True)
class Equivalence:
    """P-values of two one-sided t-tests of paired differences against a margin.

    Attributes:
        above: of the difference being above minus the margin: not worse, where higher is better.
        below: of the difference being below the margin.
    """

    above: float
    below: float

    @property
    def p(self) -> float:
        """Of both (TOST): that the difference lies within the margin, on either side."""
        return max(self.above, self.below)


def tost(differences: Sequence[float | None], margin: float) -> Equivalence | None:
    """Return the two one-sided tests of paired differences; None for fewer than two, or where all are alike.

    Both are below a level alpha exactly where the Student interval of confidence 1 - 2 alpha lies within the margin.

    Args:
        differences: one per pair; None where there is none.
        margin: above 0, in the unit of the differences.
    Raises:
        ValueError: if the margin is not above 0: nothing is equal to within nothing.

    Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15(6).
    """
    if not margin > 0:
        raise ValueError(f"margin: equivalence needs one above 0; found {margin}")
    known = known_of(differences)
    if len(known) < 2 or are_alike(known):
        return None
    above = scipy.stats.ttest_1samp(known, -margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(known, margin, alternative="less").pvalue
    return Equivalence(float(above), float(below))
