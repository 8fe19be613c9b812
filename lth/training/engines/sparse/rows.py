"""The two inner loops of sparse products, written for LLVM: numba alone would keep their sums in memory.

A *row* is `16 * blocks` floats side by side: one unit's values over the examples of a batch. LLVM turns vectors of 16
into whatever the processor has: one AVX-512 register, two of AVX2, four of SSE. The number of blocks is the length of
a tuple, so that it is known when the code is compiled and the loop over a row has no branches.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lth.training.engines.sparse.compiled import RELAXED

WIDTH = 16
"""Floats of one vector."""

GROUP = 8
"""Dot products that are summed up together."""

I64 = ir.IntType(64)


def written_for_llvm(write: Callable[..., Any]) -> Callable[..., None]:
    """Return what compiled code calls; `write` gets the types of the arguments, after one it has no use for."""
    return cast(Callable[..., None], intrinsic(write))


@written_for_llvm
def combine_rows(
    _: Any,
    initial: Any,
    out: Any,
    row: Any,
    coefficients: Any,
    order: Any,
    source: Any,
    rows: Any,
    begin: Any,
    end: Any,
    blocks: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Set out[row] = initial + the sum over k of coefficients[order[k]] * source[rows[k]], for k from begin to end.

    Args:
        initial: a number; None stands for what is in out[row].
        out: (row, 16 * blocks), C-contiguous.
        row: which row of it.
        coefficients: (entry,).
        order: (entry,) unsigned; where each coefficient lies. None takes them as they come.
        source: (row, 16 * blocks), C-contiguous.
        rows: (entry,) unsigned; which rows of the source.
        begin, end: the entries to go through.
        blocks: tuple of so many elements as a row has vectors.
    """
    signature = types.void(initial, out, row, coefficients, order, source, rows, types.int64, types.int64, blocks)

    def generate(context: Any, builder: Any, given: Any, args: Sequence[Any]) -> Any:
        code = Code(context, builder, blocks.count, context.get_data_type(out.dtype))
        target, values, data, which = (code.pointer(given.args[index], args[index]) for index in (1, 3, 5, 6))
        places = None if isinstance(order, types.NoneType) else code.pointer(order, args[4])
        first, last = args[7], args[8]
        out_row = code.start_of(args[2], given.args[2])
        is_sum = isinstance(initial, types.NoneType)
        first_value = None if is_sum else code.spread(context.cast(builder, args[0], initial, out.dtype))

        def term(entry: Any) -> tuple[Any, Any]:
            place = entry if places is None else code.element(places, entry, order)
            coefficient = code.spread(builder.load(builder.gep(values, [place])))
            return coefficient, code.start_of(code.element(which, entry, given.args[6]), types.uint64)

        code.combine(target, out_row, first_value, data, term, (first, last), blocks.count)
        return context.get_dummy_value()

    return signature, generate


@written_for_llvm
def dot_rows(
    _: Any,
    initial: Any,
    out: Any,
    left: Any,
    row: Any,
    right: Any,
    rows: Any,
    begin: Any,
    end: Any,
    blocks: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Set out[k] = initial + the dot product of left[row] and right[rows[k]], for k from begin to end.

    Args:
        initial: 0.0; None stands for what is in out[k].
        out: (entry,), contiguous.
        left: (row, 16 * blocks), C-contiguous.
        row: which row of it.
        right: (row, 16 * blocks), C-contiguous.
        rows: (entry,) unsigned; which rows of `right`.
        begin, end: the entries to go through.
        blocks: tuple of so many elements as a row has vectors.
    """
    signature = types.void(initial, out, left, row, right, rows, types.int64, types.int64, blocks)

    def generate(context: Any, builder: Any, given: Any, args: Sequence[Any]) -> Any:
        code = Code(context, builder, blocks.count, context.get_data_type(out.dtype))
        target, data, others, which = (code.pointer(given.args[index], args[index]) for index in (1, 2, 4, 5))
        first, last = args[6], args[7]
        left_row = code.start_of(args[3], given.args[3])
        lefts = [code.load(data, left_row, index) for index in range(blocks.count)]

        def partial_sums(entry: Any) -> Any:
            """Return GROUP numbers that add up to one dot product."""
            right_row = code.start_of(code.element(which, entry, given.args[5]), types.uint64)
            products = [
                builder.fmul(one, code.load(others, right_row, index), flags=RELAXED) for index, one in enumerate(lefts)
            ]
            total = products[0]
            for product in products[1:]:
                total = builder.fadd(total, product, flags=RELAXED)
            return code.fold(total, total, range(GROUP), range(GROUP, WIDTH))

        def put(value: Any, entry: Any, vector: Any) -> None:
            place = builder.bitcast(builder.gep(target, [entry]), vector.as_pointer())
            if isinstance(initial, types.NoneType):
                before = builder.load(place)
                before.align = code.alignment
                value = builder.fadd(before, value, flags=RELAXED)
            builder.store(value, place).align = code.alignment

        grouped = builder.add(first, builder.and_(builder.sub(last, first), ir.Constant(I64, -GROUP)))
        with cgutils.for_range_slice(builder, first, grouped, ir.Constant(I64, GROUP), inc=True) as (entry, _count):
            parts = [partial_sums(builder.add(entry, ir.Constant(I64, offset))) for offset in range(GROUP)]
            put(code.sums_of(parts), entry, ir.VectorType(code.float, GROUP))
        with cgutils.for_range_slice(builder, grouped, last, ir.Constant(I64, 1), inc=True) as (entry, _count):
            put(code.sum_of(partial_sums(entry)), entry, ir.VectorType(code.float, 1))
        return context.get_dummy_value()

    return signature, generate


class Code:
    """Helpers to write vector code with one builder."""

    def __init__(self, context: Any, builder: Any, blocks: int, element: Any) -> None:
        self.context, self.builder, self.float = context, builder, element
        self.vector = ir.VectorType(element, WIDTH)
        self.row = ir.Constant(I64, WIDTH * blocks)
        self.alignment = 4 if isinstance(element, ir.FloatType) else 8

    def pointer(self, kind: Any, value: Any) -> Any:
        """Return a pointer to an array's first element."""
        return self.context.make_array(kind)(self.context, self.builder, value).data

    def variable(self) -> Any:
        """Make room for a vector, which LLVM will keep in a register."""
        return cgutils.alloca_once(self.builder, self.vector)  # type: ignore[no-untyped-call]

    def element(self, pointer: Any, index: Any, kind: Any) -> Any:
        """Return an unsigned number of an array, as 64 bits."""
        value = self.builder.load(self.builder.gep(pointer, [index]))
        return self.builder.zext(value, I64) if kind.dtype.bitwidth < 64 else value

    def start_of(self, row: Any, kind: Any) -> Any:
        """Return where a row begins."""
        wide = row if kind.bitwidth == 64 else self.builder.sext(row, I64)
        return self.builder.mul(wide, self.row)

    def load(self, pointer: Any, start: Any, index: int) -> Any:
        """Load one vector of a row."""
        value = self.builder.load(self._place(pointer, start, index))
        value.align = self.alignment
        return value

    def store(self, value: Any, pointer: Any, start: Any, index: int) -> None:
        """Store one vector of a row."""
        self.builder.store(value, self._place(pointer, start, index)).align = self.alignment

    def _place(self, pointer: Any, start: Any, index: int) -> Any:
        offset = self.builder.add(start, ir.Constant(I64, index * WIDTH))
        return self.builder.bitcast(self.builder.gep(pointer, [offset]), self.vector.as_pointer())

    def spread(self, value: Any) -> Any:
        """Return a vector with the same number everywhere."""
        empty, i32 = ir.Constant(self.vector, ir.Undefined), ir.IntType(32)
        first = self.builder.insert_element(empty, value, ir.Constant(i32, 0))
        return self.builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(i32, WIDTH), [0] * WIDTH))

    def combine(
        self,
        target: Any,
        start: Any,
        initial: Any,
        data: Any,
        term: Callable[[Any], tuple[Any, Any]],
        entries: tuple[Any, Any],
        count: int,
    ) -> None:
        """Set vectors side by side = initial + the sum over entries of a coefficient times vectors of the data.

        Args:
            target: pointer to what is set.
            start: where its vectors begin.
            initial: a vector; None stands for what is there.
            data: pointer to what is multiplied.
            term: an entry -> its coefficient as a vector, and where its vectors of the data begin.
            entries: the first one, and the one behind the last.
            count: of the vectors.
        """
        builder = self.builder
        sums = [self.variable() for _ in range(count)]
        for index, total in enumerate(sums):
            builder.store(self.load(target, start, index) if initial is None else initial, total)
        with cgutils.for_range_slice(builder, *entries, ir.Constant(I64, 1), inc=True) as (entry, _count):
            coefficient, begins = term(entry)
            for index, total in enumerate(sums):
                product = builder.fmul(coefficient, self.load(data, begins, index), flags=RELAXED)
                builder.store(builder.fadd(builder.load(total), product, flags=RELAXED), total)
        for index, total in enumerate(sums):
            self.store(builder.load(total), target, start, index)

    def sums_of(self, parts: Sequence[Any]) -> Any:
        """Return a vector of GROUP lanes whose lane i is the sum of the GROUP lanes of part i.

        Pairs are folded; every shuffle stays within four lanes after the first, which is what AVX does in one
        instruction.
        """
        fours = [
            self.fold(parts[i], parts[i + 4], (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
            for i in range(4)
        ]
        twos = [
            self.fold(fours[i], fours[i + 2], (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
            for i in range(2)
        ]
        return self.fold(twos[0], twos[1], (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))

    def sum_of(self, part: Any) -> Any:
        """Return a vector of one lane, the sum of GROUP lanes."""
        for half in (4, 2, 1):
            part = self.fold(part, part, range(half), range(half, 2 * half))
        return part

    def fold(self, left: Any, right: Any, some: Sequence[int], others: Sequence[int]) -> Any:
        """Return the lanes `some` of two vectors put together, plus their lanes `others`."""

        def pick(lanes: Sequence[int]) -> Any:
            mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
            return self.builder.shuffle_vector(left, right, mask)

        return self.builder.fadd(pick(some), pick(others), flags=RELAXED)
