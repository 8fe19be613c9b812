"""The measurement of convolutions runs, layer by layer and step by step."""

from bench.convolutions import convolution_rows
from bench.ratio import QUICK


def test_layers_and_steps_are_measured() -> None:
    rows = list(convolution_rows(QUICK))
    assert [row.labels.get("theirs") for row in rows] == ["channels-last", "contiguous", None]
    assert "whole step by the sparse engine / torch engine" in rows[-1].what
    assert all(ratio > 0 for row in rows for ratio in row.ratios)
