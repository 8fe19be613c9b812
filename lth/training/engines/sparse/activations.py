"""ReLU, tanh and dropout, in place, and back."""

import math
from typing import Any

import numpy as np

from lth.training.engines.sparse.arrays import Array
from lth.training.engines.sparse.compiled import compiled
from lth.training.engines.sparse.layout import ACTIVATION_NAMES

RELU, TANH = ACTIVATION_NAMES.index("relu"), ACTIVATION_NAMES.index("tanh")


@compiled
def activate(layout: Any, out: Array, key: Any) -> None:
    flat = out.reshape(out.size)
    if layout.activation == RELU:
        for index in range(len(flat)):
            flat[index] = 0 if flat[index] < 0 else flat[index]  # NaN stays
    elif layout.activation == TANH:
        for index in range(len(flat)):
            flat[index] = math.tanh(flat[index])
    if layout.dropout > 0:
        scale = out.dtype.type(1 / (1 - layout.dropout)) if layout.dropout < 1 else out.dtype.type(0)
        for unit in range(out.shape[0]):
            row = out[unit]
            for lane in range(len(row)):
                row[lane] = row[lane] * scale if is_kept(layout, key, unit, lane) else 0


@compiled
def unactivate(layout: Any, out: Array, gradients: Array, key: Any) -> None:
    """Turn gradients by a layer's outputs into gradients by what went into its activation."""
    one = out.dtype.type(1)
    keep = out.dtype.type(1 - layout.dropout)
    results, flat = out.reshape(out.size), gradients.reshape(out.size)
    if layout.activation == RELU:  # what was dropped is zero too
        for index in range(len(flat)):
            flat[index] = flat[index] if results[index] > 0 else 0
    elif layout.activation == TANH:
        for index in range(len(flat)):
            value = results[index] * keep
            flat[index] *= one - value * value
    if layout.dropout > 0:
        for unit in range(out.shape[0]):
            for lane in range(out.shape[1]):
                kept = layout.activation == RELU or is_kept(layout, key, unit, lane)
                gradients[unit, lane] = gradients[unit, lane] / keep if kept and keep > 0 else 0


@compiled
def is_kept(layout: Any, key: Any, unit: int, lane: int) -> bool:
    """Return whether dropout keeps one output of one example: a function of the key and the place alone."""
    draw = mix(key, np.uint64((layout.unit + unit) << 8 | lane))
    kept: bool = (draw >> np.uint64(11)) * 2.0**-53 >= layout.dropout
    return kept


@compiled
def mix(key: Any, number: Any) -> Any:
    """Return 64 random bits from two numbers. Source: SplitMix64, Steele et al. 2014, doi:10.1145/2660193.2660195."""
    bits = np.uint64(key) ^ (np.uint64(number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
