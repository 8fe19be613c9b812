"""The two inner loops against numpy: all numbers of entries left over, and arrays that lie anywhere in memory."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from lth.training.engines.sparse.rows import combine_rows, dot_rows

ROWS = 11
COUNTS = range(26)  # three groups of 8 dot products and each possible rest


@njit
def run_all(
    plain: Any,
    added: Any,
    ordered: Any,
    put: Any,
    summed: Any,
    coefficients: Any,
    order: Any,
    source: Any,
    left: Any,
    rows: Any,
    begin: int,
    end: int,
    blocks: Any,
) -> None:
    """Each way to call them, once, so that this compiles once."""
    combine_rows(0.5, plain, 2, coefficients, None, source, rows, begin, end, blocks)
    combine_rows(None, added, 2, coefficients, None, source, rows, begin, end, blocks)
    combine_rows(-1.0, ordered, 2, coefficients, order, source, rows, begin, end, blocks)
    dot_rows(0.0, put, left, 3, source, rows, begin, end, blocks)
    dot_rows(None, summed, left, 3, source, rows, begin, end, blocks)


def off_the_line(values: Any) -> Any:
    """The same numbers where no vector register would like them: one element past the start of a buffer."""
    buffer = np.zeros(values.size + 1, values.dtype)
    buffer[1:] = values.reshape(-1)
    return buffer[1:].reshape(values.shape)


@pytest.mark.parametrize(
    ("dtype", "blocks", "unsigned"),
    [
        (np.float32, 1, np.uint16),
        (np.float32, 2, np.uint32),
        (np.float32, 4, np.uint32),
        (np.float64, 3, np.uint16),
        (np.float64, 4, np.uint32),
    ],
)
def test_rows_equal_numpy(dtype: Any, blocks: int, unsigned: Any) -> None:
    generator = np.random.default_rng(blocks)
    tolerance = 3e-6 if dtype is np.float32 else 1e-14
    lanes = 16 * blocks
    for count in COUNTS:
        begin, end = 3, 3 + count
        size = end + 4

        def draw(*shape: int) -> Any:
            return off_the_line(generator.uniform(-1, 1, shape).astype(dtype))

        source, left = draw(ROWS, lanes), draw(5, lanes)
        coefficients, before = draw(size), draw(5, lanes)
        rows = generator.integers(0, ROWS, size).astype(unsigned)
        order = generator.permutation(size).astype(np.uint32)
        plain, added, ordered = (off_the_line(before) for _ in range(3))
        dots = draw(size)
        put, summed = off_the_line(dots), off_the_line(dots)
        run_all(plain, added, ordered, put, summed, coefficients, order, source, left, rows, begin, end, (0,) * blocks)
        exact = source.astype(np.float64)
        part = slice(begin, end)
        straight = coefficients[part].astype(np.float64) @ exact[rows[part]]
        permuted = coefficients[order[part]].astype(np.float64) @ exact[rows[part]]
        wanted = {"plain": 0.5 + straight, "added": before[2] + straight, "ordered": permuted - 1.0}
        for name, found in {"plain": plain, "added": added, "ordered": ordered}.items():
            np.testing.assert_allclose(found[2], wanted[name], rtol=0, atol=tolerance * (1 + count), err_msg=name)
            untouched = [0, 1, 3, 4]
            np.testing.assert_array_equal(found[untouched], before[untouched], err_msg=name)
        products = exact[rows[part]] @ left[3].astype(np.float64)
        outside = np.r_[0:begin, end:size]
        for found, expected in ((put, products), (summed, dots[part] + products)):
            np.testing.assert_allclose(found[part], expected, rtol=0, atol=tolerance * lanes)
            np.testing.assert_array_equal(found[outside], dots[outside])


def test_nothing_and_infinity_keep_their_meaning() -> None:
    """Fast arithmetic must not assume that all numbers are finite: a diverging training has to show."""
    source = np.ones((1, 16))
    source[0, :3] = np.inf, np.nan, -np.inf
    out, dots = np.zeros((4, 16)), np.zeros(2)
    rows, order = np.zeros(2, np.uint16), np.zeros(2, np.uint32)
    run_all(out, out, out, dots, dots, np.ones(2), order, source, np.ones((4, 16)), rows, 0, 2, (0,))
    assert np.isinf(out[2, 0])
    assert np.isnan(out[2, 1])
    assert out[2, 2] == -np.inf
    assert out[2, 3] == 1.0
    assert np.isnan(dots).all()
