"""What interventions did to the loss, block of text by block, and what may be concluded: a super weight, or a spike."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import scipy
from typing_extensions import TypedDict

from lth.analysis.super_weights import Estimate
from lth.superweights.known import MIN_RATIO

SUPER, SPIKE, NONE, UNTESTED = "super weight", "spike only", "none", "not tested"

RULE = (
    f"A super weight: zeroing it multiplies perplexity by at least {MIN_RATIO:g}, with the whole interval over blocks "
    "of text, and raises the loss by more than every control that leaves the weight alone and takes out as many "
    "weights of its matrix or more, with the whole interval of the paired difference; other weights of the matrix that "
    "do harm by themselves are left alone too. A spike only: it stands out in "
    "the forward pass and does not do that. None: neither."
)


@dataclass(frozen=True, slots=True)
class BlockLosses:
    """The loss of one network on each block of text.

    Attributes:
        nats: summed over the tokens that count, by block; not finite where the network broke.
        tokens: how many those are, by block.
        stop_words: mean probability of stop words as the next token, by block; None where it was not measured.
    """

    nats: tuple[float, ...]
    tokens: tuple[int, ...]
    stop_words: tuple[float, ...] | None = None

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "BlockLosses":
        """Return the losses in the content of an `Intervened` job's metrics.json."""
        stop_words = document["stop_words"]
        return cls(
            nats=tuple(math.nan if each is None else each for each in document["nats"]),
            tokens=tuple(document["tokens"]),
            stop_words=None if stop_words is None else tuple(math.nan if each is None else each for each in stop_words),
        )


class Effect(TypedDict):
    """What an intervention did. Ratio and difference are paired over blocks.

    Attributes:
        perplexity: with the intervention.
        ratio: of perplexities, with over without.
        difference: of the loss, with minus without, nats a token.
        worse: blocks whose loss rose, or is no longer finite.
        blocks: how many there are.
        stop_words: change of the mean probability of stop words; null where it was not measured.
    """

    perplexity: Estimate
    ratio: Estimate
    difference: Estimate
    worse: int
    blocks: int
    stop_words: Estimate | None


def effect(base: BlockLosses, changed: BlockLosses, confidence: float = 0.95) -> Effect:
    """Return what an intervention did to a network, over the blocks of one text.

    Raises:
        ValueError: if the two were not measured on the same blocks.
    """
    if base.tokens != changed.tokens:
        raise ValueError(
            f"losses on {len(changed.tokens)} blocks of {sum(changed.tokens):,} tokens are compared with those on "
            f"{len(base.tokens)} blocks of {sum(base.tokens):,}: measure both on the same text by the same protocol"
        )
    rises = [after - before for before, after in zip(base.nats, changed.nats, strict=True)]
    difference = per_token(rises, base.tokens, confidence)
    stop_words = None
    if base.stop_words is not None and changed.stop_words is not None:
        pairs = zip(base.stop_words, changed.stop_words, base.tokens, strict=True)
        stop_words = per_token([(after - before) * tokens for before, after, tokens in pairs], base.tokens, confidence)
    return {
        "perplexity": exponential(per_token(changed.nats, changed.tokens, confidence)),
        "ratio": exponential(difference),
        "difference": difference,
        "worse": sum(not math.isfinite(rise) or rise > 0 for rise in rises),
        "blocks": len(rises),
        "stop_words": stop_words,
    }


def per_token(sums: Sequence[float], tokens: Sequence[int], confidence: float) -> Estimate:
    """Return the mean over all tokens of what is summed by block, and its two-sided interval over blocks.

    Blocks may differ in length: it is the ratio of two means, whose error follows from the blocks' residuals. Blocks of
    equal length give Student's interval of their means. One block gives no interval; a sum that is not finite gives
    nothing at all.

    Source: Cochran 1977, "Sampling Techniques", Section 6.4.
    """
    total, n = sum(tokens), len(sums)
    if not total or not all(map(math.isfinite, sums)):
        return {"value": None, "low": None, "high": None}
    value = math.fsum(sums) / total
    if n < 2:
        return {"value": value, "low": None, "high": None}
    squares = math.fsum((each - value * count) ** 2 for each, count in zip(sums, tokens, strict=True))
    error = math.sqrt(squares * n / (n - 1)) / total
    half = float(scipy.special.stdtrit(n - 1, (1 + confidence) / 2)) * error
    return {"value": value, "low": value - half, "high": value + half}


def exponential(estimate: Estimate) -> Estimate:
    """Return the estimate of e to its power; what has no number as a float has none."""
    value, low, high = (_exponential(estimate[end]) for end in ("value", "low", "high"))
    return {"value": value, "low": low, "high": high}


def _exponential(power: float | None) -> float | None:
    return None if power is None or power > 700 else math.exp(power)


def is_harmful(test: Effect) -> bool:
    """Return whether zeroing a weight did harm: what makes a whole battery worth its time.

    Raises:
        ValueError: if there is no interval to tell by.
    """
    if test["blocks"] < 2:
        raise ValueError("one block of text gives no interval: measure on several, with more tokens or shorter blocks")
    low = test["difference"]["low"]
    return low is None or low >= math.log(MIN_RATIO)  # None: the network broke


def verdict_word(
    base: BlockLosses,
    zeroed: BlockLosses,
    controls: Sequence[BlockLosses],
    *,
    is_spike: bool,
    confidence: float = 0.95,
) -> str:
    """Return what a weight is, by RULE: `super weight`, `spike only`, `none`; `not tested` if harmful without controls.

    Args:
        base: losses of the untouched network.
        zeroed: with the weight zeroed.
        controls: with each control's change.
        is_spike: whether the weight stood out in the forward pass.
        confidence: of the intervals.
    """
    otherwise = SPIKE if is_spike else NONE
    if not is_harmful(effect(base, zeroed, confidence)):
        return otherwise
    if not controls:
        return UNTESTED
    return SUPER if all(_exceeds(zeroed, control, confidence) for control in controls) else otherwise


def _exceeds(zeroed: BlockLosses, control: BlockLosses, confidence: float) -> bool:
    if not all(map(math.isfinite, control.nats)):
        return False
    low = effect(control, zeroed, confidence)["difference"]["low"]
    return low is None or low > 0  # None: the network broke, and under the control it did not
