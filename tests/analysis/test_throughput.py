"""Tokens a second and utilisation: worked numbers."""

import pytest
import torch

from lth.analysis.throughput import PEAKS, flops_per_token, in_words
from lth.models import MODELS, Gpt2


def test_flops_of_gpt2() -> None:
    """6 N without positions, and 12 layers * width * context for attention: as nanoGPT counts, 124M at 1,024."""
    with torch.device("meta"):
        module = MODELS["gpt2"].make(50257, 1024, bias=False)
    assert flops_per_token(module, 1024) == 6 * (124_373_760 - 1024 * 768) + 12 * 12 * 768 * 1024


def test_other_modules_count_their_weights() -> None:
    assert flops_per_token(torch.nn.Linear(3, 4), 7) == 6 * 16


@pytest.mark.parametrize(
    ("speed", "peak", "words"),
    [
        (950.0, None, "950 tokens/s"),
        (15_700.0, None, "15.7K tokens/s"),
        (1_340_000.0, PEAKS["H100"], "1.34M tokens/s, MFU 81.3 %"),
    ],
)
def test_words(speed: float, peak: float | None, words: str) -> None:
    assert in_words(speed, 6e8, peak) == words


def test_a_small_network() -> None:
    module = Gpt2(11, 7, n_layer=2, n_head=2, n_embd=8, pad_to=1)
    weights = sum(value.numel() for value in module.parameters()) - 7 * 8
    assert flops_per_token(module, 7) == 6 * weights + 12 * 2 * 8 * 7
