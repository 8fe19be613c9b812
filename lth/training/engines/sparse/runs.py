"""The two inner loops of a sparse convolution, written for LLVM as those of `rows.py` are.

A *run* is `16 * blocks` floats side by side: neighbouring positions of one channel's row, 16 examples each. A surviving
weight multiplies a run of its input channel, which begins anywhere, into a run of its output channel.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from lth.training.engines.sparse.compiled import RELAXED
from lth.training.engines.sparse.rows import I64, Code, written_for_llvm


@written_for_llvm
def combine_runs(
    _: Any,
    initial: Any,
    out: Any,
    place: Any,
    coefficients: Any,
    order: Any,
    source: Any,
    offsets: Any,
    shift: Any,
    begin: Any,
    end: Any,
    blocks: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Set a run = initial + the sum over k of coefficients[order[k]] * the run of the source at offsets[k] + shift.

    Args:
        initial: a number; None stands for what is in the run.
        out: flat floats.
        place: where the run begins, in vectors.
        coefficients: (entry,).
        order: (entry,) unsigned; where each coefficient lies. None takes them as they come.
        source: flat floats.
        offsets: (entry,) unsigned; where each entry's run begins, in vectors, before the shift.
        shift: added to each offset.
        begin, end: the entries to go through.
        blocks: tuple of so many elements as a run has vectors.
    """
    signature = types.void(
        initial, out, types.int64, coefficients, order, source, offsets, types.int64, types.int64, types.int64, blocks
    )

    def generate(context: Any, builder: Any, given: Any, args: Sequence[Any]) -> Any:
        code = Code(context, builder, 1, context.get_data_type(out.dtype))
        target, values, data, which = (code.pointer(given.args[index], args[index]) for index in (1, 3, 5, 6))
        places = None if isinstance(order, types.NoneType) else code.pointer(order, args[4])
        start, moved, first, last = (code.start_of(args[2], types.int64), *args[7:10])
        is_sum = isinstance(initial, types.NoneType)
        first_value = None if is_sum else code.spread(context.cast(builder, args[0], initial, out.dtype))

        def term(entry: Any) -> tuple[Any, Any]:
            at = entry if places is None else code.element(places, entry, order)
            coefficient = code.spread(builder.load(builder.gep(values, [at])))
            return coefficient, code.start_of(
                builder.add(code.element(which, entry, given.args[6]), moved), types.uint64
            )

        code.combine(target, start, first_value, data, term, (first, last), blocks.count)
        return context.get_dummy_value()

    return signature, generate


@written_for_llvm
def multiply_runs(
    _: Any, sums: Any, left: Any, place: Any, right: Any, offsets: Any, shift: Any, begin: Any, end: Any, blocks: Any
) -> tuple[Any, Callable[..., Any]]:
    """Add the product of the run of `left` at place and that of `right` at offsets[k] + shift to sums[k], lane by lane.

    Args:
        sums: (entry, 16) flat; the 16 sums of an entry add up to its dot product.
        left: flat floats.
        place: where the left run begins, in vectors.
        right: flat floats.
        offsets: (entry,) unsigned; where each entry's right run begins, in vectors, before the shift.
        shift: added to each offset.
        begin, end: the entries to go through.
        blocks: tuple of so many elements as a run has vectors.
    """
    signature = types.void(sums, left, types.int64, right, offsets, types.int64, types.int64, types.int64, blocks)

    def generate(context: Any, builder: Any, given: Any, args: Sequence[Any]) -> Any:
        code = Code(context, builder, 1, context.get_data_type(sums.dtype))
        target, data, others, which = (code.pointer(given.args[index], args[index]) for index in (0, 1, 3, 4))
        start, moved, first, last = (code.start_of(args[2], types.int64), *args[5:8])
        lefts = [code.load(data, start, index) for index in range(blocks.count)]
        with cgutils.for_range_slice(builder, first, last, ir.Constant(I64, 1), inc=True) as (entry, _count):
            begins = builder.add(code.element(which, entry, given.args[4]), moved)
            right_start = code.start_of(begins, types.uint64)
            total_start = code.start_of(entry, types.int64)
            total = code.load(target, total_start, 0)
            for index, value in enumerate(lefts):
                product = builder.fmul(value, code.load(others, right_start, index), flags=RELAXED)
                total = builder.fadd(total, product, flags=RELAXED)
            code.store(total, target, total_start, 0)
        return context.get_dummy_value()

    return signature, generate
