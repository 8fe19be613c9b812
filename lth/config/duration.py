"""Durations with their unit: `5000it` is optimizer steps, `50ep` epochs, `10Mtok` tokens, `10%` of the training."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

_PATTERN = re.compile(r"(\d+)\s*(it|ep)|(\d+(?:\.\d+)?)\s*([KMG]?)tok|(\d+(?:\.\d+)?)\s*%")
_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def _check(text: str) -> str:
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a duration: write a number and its unit, '5000it' (steps), '50ep' (epochs), '10Mtok' "
            "(tokens) or '10%' (of the training)"
        )
    return f"{int(match[1])}{match[2]}" if match[1] else text.strip().replace(" ", "")


Duration = Annotated[str, AfterValidator(_check)]
"""A number and its unit: `it` (optimizer steps), `ep` (epochs), `tok` (tokens, also Ktok, Mtok, Gtok), `%`."""


def in_words(duration: str) -> str:
    """Return a place in a training as people name it: 'step 200' for 200it, 'epoch 1' for 1ep; others as they are."""
    match = _PATTERN.fullmatch(duration)
    if match is None or match[1] is None:
        return duration
    return f"{'step' if match[2] == 'it' else 'epoch'} {int(match[1]):,}"


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Return the full batches of an epoch; an incomplete last one is left out.

    Raises:
        ValueError: if there is none.
    """
    if batch_size > num_examples:
        raise ValueError(f"batch size {batch_size} is larger than the {num_examples} training examples: take less")
    return num_examples // batch_size


@dataclass(frozen=True, slots=True)
class Clock:
    """What a duration is counted by.

    Attributes:
        steps_per_epoch: optimizer steps of an epoch.
        tokens_per_step: tokens of a batch; None where examples are no tokens.
        total: steps of the whole training, for shares of it.
    """

    steps_per_epoch: int
    tokens_per_step: int | None = None
    total: int | None = None

    def steps(self, duration: str) -> int:
        """Return the optimizer steps in a duration, rounded to the nearest.

        Raises:
            ValueError: if the text is no duration, or counts by what there is not.
        """
        match = _PATTERN.fullmatch(_check(duration))
        assert match is not None
        count, unit, tokens, factor, share = match.groups()
        if count is not None:
            return int(count) * (self.steps_per_epoch if unit == "ep" else 1)
        if share is not None:
            if self.total is None:
                raise ValueError(f"{duration!r} is a share of the training, whose own length must be in it, ep or tok")
            return int(float(share) / 100 * self.total + 0.5)
        if self.tokens_per_step is None:
            raise ValueError(f"{duration!r} counts tokens, but this data set has none: use it (steps) or ep (epochs)")
        return max(1, int(float(tokens) * _FACTORS[factor] / self.tokens_per_step + 0.5))
