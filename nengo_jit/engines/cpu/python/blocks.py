"""Execute elementwise instructions of a tape together, block by block.

A *group* is a list of elementwise instructions, its *parts*, with the same number of elements. The
kernel `perform_group` executes all parts on one block of some hundred elements before it goes on
to the next, so results that only the group needs stay in the processor's first cache and never
exist at full size. `nengo_jit.engines.cpu.python.tracing.grouping` makes groups.

The elements are a matrix, so that an operand may be a row or a column that is repeated. A block is
a number of rows, or a piece of one row. A part may be executed for one row of the block after the
other, if an operand is a number for each row.
"""

# Numba infers the types of helpers, which have no annotations.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Address, routine
from nengo_jit.engines.cpu.language.primitives import (
    Memory,
    calculate,
    call_loop,
    float64s,
    helper,
    int64s,
    list_positions,
    no_vectorize,
    scratch,
    uint8s,
    use_widest_vectors,
)
from nengo_jit.engines.cpu.python.instructions import PART_WIDTH, GroupHead, Mode, Opcode, Part
from nengo_jit.engines.cpu.python.tape_vm import (
    DONE,
    IN_PYTHON,
    LARGEST_INTEGER,
    are_finite,
    floor_divide,
    remainder,
)

N_HEAD = len(GroupHead)


@helper()
def spread(result, address, part, first):
    """Read rows of a matrix with any strides, from the element of a number on."""
    columns, step, step_of_rows = part[Part.COLUMNS], part[Part.STEP], part[Part.STEP_OF_ROWS]
    row, column, done = first // columns, first % columns, 0
    while done < result.size:
        n = min(columns - column, result.size - done)
        source = address + 8 * (row * step_of_rows + column * step)
        if step == 0:
            value = float64s(source, 1)[0]
            for i in range(n):
                result[done + i] = value
        elif step == 1:
            values = float64s(source, n)
            for i in range(n):
                result[done + i] = values[i]
        else:
            for i in range(n):
                result[done + i] = float64s(source + 8 * i * step, 1)[0]
        done += n
        row += 1
        column = 0


@helper()
def call_ufunc(part, result, a, b, c, n):
    """Call the inner loop of a ufunc."""
    base = scratch(72)
    arguments, sizes, steps = int64s(base, 4), int64s(base + 32, 1), int64s(base + 40, 4)
    n_inputs = part[Part.N_INPUTS]
    arguments[0], arguments[1], arguments[2], arguments[3] = a, b, c, result
    steps[0], steps[1] = part[Part.STEP_OF_A], part[Part.STEP_OF_B]
    steps[2], steps[3] = part[Part.STEP_OF_C], part[Part.STEP_OF_RESULT]
    arguments[n_inputs], steps[n_inputs] = result, part[Part.STEP_OF_RESULT]
    sizes[0] = n
    call_loop(part[Part.FUNCTION], base, base + 32, base + 40, part[Part.DATA])


@helper()
def convert(opcode, result, address):
    """Load integers or booleans."""
    if opcode == Opcode.LOAD_INTEGERS:
        numbers = int64s(address, result.size)
        for i in range(result.size):
            is_exact = -LARGEST_INTEGER < numbers[i] < LARGEST_INTEGER
            result[i] = np.float64(numbers[i]) if is_exact else np.inf
    else:
        booleans = uint8s(address, result.size)
        for i in range(result.size):
            result[i] = np.float64(booleans[i])


@helper()
def divide(opcode, result, a, b):
    """Remainders, and quotients that are rounded down."""
    for i in range(result.size):
        no_vectorize()
        is_remainder = opcode == Opcode.REMAINDER
        result[i] = remainder(a[i], b[i]) if is_remainder else floor_divide(a[i], b[i])


@helper()
def continue_positions(part, flags, first, n):
    """Continue a list of positions where flags are not zero; a last register has their number."""
    result = part[Part.RESULT]
    total = float64s(result + 8 * part[Part.SIZE], 1)
    count = 0 if first == 0 else np.int64(total[0])
    total[0] = count + list_positions(flags, n, first, result + 8 * count)


@helper()
def perform_part(part, offsets, first, n, in_shadow):
    """Execute a part on a block of n elements; returns whether its results may be used."""
    opcode = part[Part.OPCODE]
    mode_of_a, mode_of_b, mode_of_c = part[Part.A_MODE], part[Part.B_MODE], part[Part.C_MODE]
    to = part[Part.SHADOW if in_shadow else Part.RESULT] + offsets[part[Part.RESULT_MODE]]
    a, b = part[Part.A] + offsets[mode_of_a], part[Part.B] + offsets[mode_of_b]
    c = part[Part.C] + offsets[mode_of_c]
    if part[Part.OPERATION] >= 0:
        numbers = (mode_of_a >= Mode.NUMBER) + 2 * (mode_of_b >= Mode.NUMBER)
        numbers += 4 * (mode_of_c >= Mode.NUMBER)
        are_all_finite = calculate(part[Part.OPERATION], n, to, a, b, c, numbers)
        return are_all_finite or part[Part.IS_CHECKED] == 0
    if opcode == Opcode.LOOP or opcode == Opcode.LOOP_SHORT:
        call_ufunc(part, to, a, b, c, n)
    elif opcode == Opcode.SPREAD:
        spread(float64s(to, n), a, part, first)
    elif opcode == Opcode.LOAD_INTEGERS or opcode == Opcode.LOAD_BOOLEANS:
        convert(opcode, float64s(to, n), a)
    elif opcode == Opcode.POSITIONS:
        continue_positions(part, a, first, n)
    elif opcode != Opcode.CHECK:
        divide(opcode, float64s(to, n), float64s(a, n), float64s(b, n))
    return part[Part.IS_CHECKED] == 0 or are_finite(float64s(to, n))


@helper()
def move(offsets, row, column, first, in_block):
    """Set what is added to the addresses of operands, see `Mode`.

    Parameters
    ----------
    offsets : numpy.ndarray of int64
        Is set.
    row, column : int
        Where the elements begin.
    first, in_block : int
        How many elements of the matrix, and of the block, are before them.
    """
    offsets[Mode.FIXED], offsets[Mode.NUMBER], offsets[Mode.BYTES] = 8 * in_block, 0, first
    offsets[Mode.ELEMENTS], offsets[Mode.SHORT_ELEMENTS] = 8 * first, 4 * first
    offsets[Mode.ROWS], offsets[Mode.COLUMNS] = 8 * row, 8 * column


@routine(exact=True)
def perform_group(memory: Memory, address: Address) -> int:
    """Execute the group at an address; returns `DONE`, or `IN_PYTHON` as `perform` does."""
    use_widest_vectors()
    head = int64s(address, N_HEAD)
    in_shadow = head[GroupHead.IN_SHADOW] != 0
    n_first, n_parts = head[GroupHead.N_FIRST], head[GroupHead.N_PARTS]
    rows, columns = head[GroupHead.ROWS], head[GroupHead.COLUMNS]
    most_rows, most_columns = head[GroupHead.ROWS_AT_ONCE], head[GroupHead.COLUMNS_AT_ONCE]
    start = address + 8 * N_HEAD
    offsets = int64s(scratch(56), 7)
    n_rows, row, column, i = 0, 0, 0, 0
    while row < rows:
        n_rows, n_columns = min(most_rows, rows - row), min(most_columns, columns - column)
        first, n = row * columns + column, n_rows * n_columns
        move(offsets, row, column, first, 0)
        while i < n_first + n_parts:
            part = int64s(start + 8 * PART_WIDTH * i, PART_WIDTH)
            n_times = n_rows if part[Part.IS_BY_ROWS] != 0 else 1
            size = n // n_times
            for j in range(n_times):
                if n_times > 1:
                    move(offsets, row + j, column, first + j * size, j * size)
                if not perform_part(part, offsets, first, size, in_shadow):
                    return IN_PYTHON
            if n_times > 1:
                move(offsets, row, column, first, 0)
            i += 1
        i = n_first  # the parts before that are executed for the first block only
        column += n_columns
        if column == columns:
            column, row = 0, row + n_rows
    return DONE
