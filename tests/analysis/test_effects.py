"""What interventions did: intervals over blocks, the verdict's words and sentences, on losses made by hand."""

import math
from typing import Any

import numpy as np
import pytest

from lth.analysis.effect_sentences import effect_sentences
from lth.analysis.effects import BlockLosses, Effect, effect, is_harmful, per_token, verdict_word
from lth.analysis.statistics import interval
from lth.superweights.known import MIN_RATIO

TOKENS = (511,) * 8
LOSSES = (3.1, 3.4, 2.9, 3.3, 3.0, 3.6, 3.2, 3.5)


def losses(more: float = 0.0, spread: float = 0.0, **fields: Any) -> BlockLosses:
    """Losses a token, so much above the untouched network's, with this spread from block to block."""
    rises = [more + spread * (-1) ** number for number in range(8)]
    nats = tuple(511 * (loss + rise) for loss, rise in zip(LOSSES, rises, strict=True))
    return BlockLosses(nats, TOKENS, **fields)


BASE = losses()


def test_blocks_of_equal_length_give_students_interval() -> None:
    found = per_token(BASE.nats, TOKENS, 0.95)
    student = interval(LOSSES, 0.95)
    assert [found["value"], found["low"], found["high"]] == pytest.approx(
        [student["mean"], student["low"], student["high"]]
    )


def test_blocks_of_different_length_count_by_their_tokens() -> None:
    generator = np.random.default_rng(0)
    tokens = generator.integers(50, 500, 200)
    sums = tokens * (3.0 + 0.3 * generator.standard_normal(200))
    found = per_token(sums.tolist(), tokens.tolist(), 0.95)
    assert found["value"] == pytest.approx(sums.sum() / tokens.sum())
    drawn = generator.integers(0, 200, (4000, 200))  # the bootstrap over blocks agrees
    low, high = np.quantile(sums[drawn].sum(1) / tokens[drawn].sum(1), [0.025, 0.975])
    assert [found["low"], found["high"]] == pytest.approx([low, high], abs=0.005)


def test_one_block_gives_no_interval_and_a_broken_one_nothing() -> None:
    assert per_token([30.0], [10], 0.95) == {"value": 3.0, "low": None, "high": None}
    assert per_token([30.0, math.nan], [10, 10], 0.95) == {"value": None, "low": None, "high": None}
    one = effect(BlockLosses((30.0,), (10,)), BlockLosses((40.0,), (10,)))
    with pytest.raises(ValueError, match="one block of text gives no interval"):
        is_harmful(one)


def test_an_effect_by_hand() -> None:
    found = effect(BASE, losses(0.5, 0.1, stop_words=(0.2,) * 8))
    assert found["difference"]["value"] == pytest.approx(0.5)
    student = interval([0.6, 0.4] * 4, 0.95)
    assert [found["difference"]["low"], found["difference"]["high"]] == pytest.approx([student["low"], student["high"]])
    assert found["ratio"]["value"] == pytest.approx(math.exp(0.5))
    assert found["perplexity"]["value"] == pytest.approx(math.exp(3.25 + 0.5))
    assert (found["worse"], found["blocks"], found["stop_words"]) == (8, 8, None)
    mixed = effect(losses(stop_words=(0.3,) * 8), losses(0.0, 0.1, stop_words=(0.1, 0.2) * 4))
    assert mixed["worse"] == 4
    assert mixed["stop_words"] is not None
    assert mixed["stop_words"]["value"] == pytest.approx(-0.15)


def test_losses_on_other_blocks_are_not_compared() -> None:
    with pytest.raises(ValueError, match="9 blocks of 90 tokens are compared with those on 8 blocks"):
        effect(BASE, BlockLosses((30.0,) * 9, (10,) * 9))


BROKEN = BlockLosses((math.nan, *BASE.nats[1:]), TOKENS)
SMALL = losses(math.log(MIN_RATIO) - 0.01)


@pytest.mark.parametrize(
    ("zeroed", "controls", "word"),
    [
        (losses(1.8, 0.2), [losses(0.1), SMALL], "super weight"),
        (losses(1.8, 0.2), [losses(0.1), losses(1.7)], "spike only"),  # not surely above that control
        (losses(1.8, 0.2), [losses(2.5)], "spike only"),
        (SMALL, [losses(0.0)], "spike only"),  # sure, and too small
        (losses(0.3, 1.0), [losses(0.0)], "spike only"),  # large, and not sure
        (losses(-0.2), [losses(0.0)], "spike only"),
        (losses(1.8), [], "not tested"),
        (BROKEN, [losses(0.1)], "super weight"),
        (BROKEN, [BROKEN], "spike only"),
        (losses(1.8), [BROKEN], "spike only"),
    ],
)
def test_the_word_of_the_verdict(zeroed: BlockLosses, controls: list[BlockLosses], word: str) -> None:
    assert verdict_word(BASE, zeroed, controls, is_spike=True) == word
    expected = "none" if word == "spike only" else word
    assert verdict_word(BASE, zeroed, controls, is_spike=False) == expected


def test_a_document_comes_back_as_losses() -> None:
    found = BlockLosses.of_document({"nats": [1.5, None], "tokens": [3, 4], "stop_words": [0.25, None]})
    assert found.nats[0] == 1.5
    assert math.isnan(found.nats[1])
    assert found.tokens == (3, 4)
    assert found.stop_words is not None
    assert found.stop_words[0] == 0.25
    assert BlockLosses.of_document({"nats": [], "tokens": [], "stop_words": None}).stop_words is None


def effects(**changes: BlockLosses) -> dict[str, Effect]:
    return {name.replace("_", "-"): effect(BASE, changed) for name, changed in changes.items()}


def test_the_sentence_that_the_column_allows() -> None:
    found = effects(
        scale=losses(1.8, 0.2), column=losses(0.06, 0.01), column_without=losses(0.01, 0.01), row=losses(11.0, 0.5),
        row_without=losses(0.1, 0.01), restore=losses(0.001, 0.0005), constant=losses(0.4, 0.1),
    )  # fmt: skip
    text = " ".join(effect_sentences("11,507,1229", found, [("50 largest", effect(BASE, losses(0.1, 0.01)))]))
    assert "Zeroing (11,507,1229) multiplies perplexity by 6.05" in text
    assert "the loss rises in 8 of 8 blocks" in text
    assert "The control (50 largest) multiplies perplexity by 1.105" in text
    assert 'so that "the model needs this weight" is the wrong reading' in text
    assert "Zeroing its row multiplies perplexity by 59,900" in text
    assert "zeroing the row without it multiplies perplexity by 1.105" in text
    assert "the weight acts through that token" in text
    assert "a constant does not stand in for it" in text
    assert "stop words" not in text


def test_sentences_claim_no_more_than_was_measured() -> None:
    same = losses(1.8, 0.2)
    text = " ".join(effect_sentences("1,2,3", effects(scale=same, column=same)))
    assert "wrong reading" not in text
    assert "control" not in text
    harmless = " ".join(effect_sentences("1,2,3", effects(scale=losses(0.001), column=losses(0.0), restore=BASE)))
    assert "wrong reading" not in harmless
    assert "put back" not in harmless
    assert "breaks the network" in " ".join(effect_sentences("1,2,3", effects(scale=BROKEN)))
