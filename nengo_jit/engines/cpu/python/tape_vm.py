"""The virtual machine for tapes: Python functions as lists of instructions on registers.

A tape (`nengo_jit.engines.cpu.python.tracing.tape`) computes in registers, which are float64
whatever a number's type is in Python. Each instruction has the `Field`s of
`nengo_jit.engines.cpu.python.instructions`, where all opcodes are listed. Infinity, "not a number",
an integer that float64 cannot represent or an index out of range ends the tape before it has
written to anything but registers; Python then calls the function instead.

Tapes jump forward only, and paths that have parted never join: a tape is a tree. Each path through
it has a `COMMIT` of its own, which precedes all its stores. From time to time the `COMMIT` ends the
tape, and the path is compared with Python (`nengo_jit.engines.cpu.python.compare`).

A `Head` precedes the first instruction.
"""

# Numba infers the types of helpers, which have no annotations.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Address, routine
from nengo_jit.engines.cpu.language.primitives import (
    Memory,
    call,
    call_function,
    call_function_of_two,
    call_loop,
    float32s,
    float64s,
    helper,
    int64s,
    uint8s,
)
from nengo_jit.engines.cpu.language.python_objects import (
    foreign_int64,
)
from nengo_jit.engines.cpu.python.instructions import WIDTH, Field, Head, Opcode
from nengo_jit.engines.cpu.python.tape_selections import find, positions_of, put, succeeds

LARGEST = float(np.finfo(np.float64).max)
LARGEST_SHORT = float(np.finfo(np.float32).max)
MAGNITUDE = (1 << 63) - 1  # the bits of a float64 without its sign
LARGEST_INTEGER = 2.0**53  # float64 represents all integers below

# What `perform` returns, if not the address of a `COMMIT`
DONE = 0
IN_PYTHON = -1  # only Python can do this

MANY = 16  # elementwise instructions with more elements than this are in groups


@helper()
def remainder(a, b):
    """``a % b`` as Python and NumPy compute it."""
    rest = np.fmod(a, b)
    if rest != 0.0:
        return rest + b if (b < 0.0) != (rest < 0.0) else rest
    return math.copysign(0.0, b)


@helper()
def floor_divide(a, b):
    """``a // b`` as Python and NumPy compute it."""
    if b == 0.0:
        return np.inf
    rest = np.fmod(a, b)
    quotient = (a - rest) / b
    if rest != 0.0 and (b < 0.0) != (rest < 0.0):
        quotient -= 1.0
    if quotient == 0.0:
        return math.copysign(0.0, a / b)
    floor = np.floor(quotient)
    return floor + 1.0 if quotient - floor > 0.5 else floor


@helper()
def compute(opcode, a, b, c):
    """One element of an elementwise instruction; infinity if the opcode is none of these."""
    if opcode == Opcode.MOVE:
        return a
    if opcode == Opcode.ADD:
        return a + b
    if opcode == Opcode.SUBTRACT:
        return a - b
    if opcode == Opcode.MULTIPLY:
        return a * b
    if opcode == Opcode.DIVIDE:
        return a / b
    if opcode == Opcode.REMAINDER:
        return remainder(a, b)
    if opcode == Opcode.FLOOR_DIVIDE:
        return floor_divide(a, b)
    if opcode == Opcode.NEGATIVE:
        return -a
    if opcode == Opcode.ABSOLUTE:
        return abs(a)
    if opcode == Opcode.SQRT:
        return math.sqrt(a)
    if opcode == Opcode.FLOOR:
        return np.floor(a)
    if opcode == Opcode.CEIL:
        return np.ceil(a)
    if opcode == Opcode.TRUNC:
        return np.trunc(a)
    if opcode == Opcode.RINT:
        return np.rint(a)
    if opcode == Opcode.INTEGER:
        return a + 0.0 if abs(a) < LARGEST_INTEGER else np.inf
    if opcode == Opcode.LESS:
        return 1.0 if a < b else 0.0
    if opcode == Opcode.LESS_EQUAL:
        return 1.0 if a <= b else 0.0
    if opcode == Opcode.EQUAL:
        return 1.0 if a == b else 0.0
    if opcode == Opcode.NOT_EQUAL:
        return 1.0 if a != b else 0.0
    if opcode == Opcode.AND:
        return 1.0 if a != 0.0 and b != 0.0 else 0.0
    if opcode == Opcode.OR:
        return 1.0 if a != 0.0 or b != 0.0 else 0.0
    if opcode == Opcode.NOT:
        return 1.0 if a == 0.0 else 0.0
    if opcode == Opcode.SELECT:
        return a if c != 0.0 else b
    if opcode == Opcode.SHORT:
        return np.float64(np.float32(a))
    return np.inf


@helper()
def are_finite(values):
    """Whether all values are finite."""
    n_finite = 0
    for i in range(values.size):
        n_finite += abs(values[i]) <= LARGEST
    return n_finite == values.size


@helper()
def load(opcode, result, address):
    """Load elements of any type from memory; returns whether all are finite."""
    n, n_finite = result.size, 0
    if opcode == Opcode.LOAD:
        values = float64s(address, n)
        for i in range(n):
            result[i] = values[i]
            n_finite += abs(values[i]) <= LARGEST
    elif opcode == Opcode.LOAD_SHORT:
        shorts = float32s(address, n)
        for i in range(n):
            result[i] = shorts[i]
            n_finite += abs(shorts[i]) <= LARGEST_SHORT
    elif opcode == Opcode.LOAD_INTEGERS:
        numbers = int64s(address, n)
        for i in range(n):
            result[i] = np.float64(numbers[i])
            n_finite += -LARGEST_INTEGER < numbers[i] < LARGEST_INTEGER
    else:
        booleans = uint8s(address, n)
        for i in range(n):
            result[i] = np.float64(booleans[i])
        return True
    return n_finite == n


@helper()
def store(opcode, n, address, source, stride):
    """Store n elements of any type, from registers with a stride, to memory."""
    if opcode == Opcode.STORE:
        numbers = float64s(address, n)
        if stride == 1:
            values = float64s(source, n)
            for i in range(n):
                numbers[i] = values[i]
        else:
            for i in range(n):
                numbers[i] = float64s(source + 8 * i * stride, 1)[0]
    elif opcode == Opcode.STORE_SHORT:
        shorts = float32s(address, n)
        if stride == 1:
            values = float64s(source, n)
            for i in range(n):
                shorts[i] = np.float32(values[i])
        else:
            for i in range(n):
                shorts[i] = np.float32(float64s(source + 8 * i * stride, 1)[0])
    elif opcode == Opcode.STORE_INTEGERS:
        wholes = int64s(address, n)
        for i in range(n):
            wholes[i] = np.int64(float64s(source + 8 * i * stride, 1)[0])
    else:
        booleans = uint8s(address, n)
        for i in range(n):
            booleans[i] = np.uint8(float64s(source + 8 * i * stride, 1)[0])


@helper()
def store_at(opcode, positions, address, source, stride):
    """Store an element of any type at each position, from registers with a stride."""
    for i in range(positions.size):
        number, at = float64s(source + 8 * i * stride, 1)[0], positions[i]
        if opcode == Opcode.STORE:
            float64s(address + 8 * at, 1)[0] = number
        elif opcode == Opcode.STORE_SHORT:
            float32s(address + 4 * at, 1)[0] = np.float32(number)
        elif opcode == Opcode.STORE_INTEGERS:
            int64s(address + 8 * at, 1)[0] = np.int64(number)
        else:
            uint8s(address + at, 1)[0] = np.uint8(number)


@helper()
def carry_out_store(word, address):
    """Store the elements of an array at an address: all, those of a row, or those at positions."""
    opcode, source, stride = word[Field.OPCODE], word[Field.A], word[Field.A_STRIDE]
    if word[Field.LIMIT] != 0:
        count = np.int64(float64s(word[Field.LIMIT], 1)[0])
        store_at(opcode, int64s(word[Field.STORED_AT], count), address, source, stride)
        return
    if word[Field.INDEX] != 0:
        address += word[Field.ROW_SIZE] * np.int64(float64s(word[Field.INDEX], 1)[0])
    store(opcode, word[Field.N], address, source, stride)


@helper()
def select(word, result):
    """Gather, look up or roll; returns whether the index is in range, and all values are finite."""
    n, opcode = result.size, word[Field.OPCODE]
    a, b, c = word[Field.A], word[Field.B], word[Field.N_ROWS]
    if opcode == Opcode.GATHER:
        sources = int64s(a, n)
        for i in range(n):
            result[i] = float64s(sources[i], 1)[0]
        return are_finite(result)
    index = np.int64(float64s(b, 1)[0])
    if opcode == Opcode.ROLL:
        values = float64s(a, n)
        for i in range(n):
            result[(i + index) % n] = values[i]
        return are_finite(result)
    if index < 0:
        index += c
    if not 0 <= index < c:
        return False
    if word[Field.TYPE] != 0:
        return load(word[Field.TYPE], result, a + word[Field.ITEM_SIZE] * n * index)
    return load(Opcode.LOAD, result, a + 8 * n * index)


@helper()
def largest_bits(address, stride, n):
    """The largest size of n numbers as the bits of a float64; not finite if one of them is not."""
    largest = 0
    if stride == 1:
        numbers = int64s(address, n)
        for i in range(n):
            largest = max(largest, numbers[i] & MAGNITUDE)
    else:
        for i in range(n):
            largest = max(largest, int64s(address + 8 * i * stride, 1)[0] & MAGNITUDE)
    return largest


@helper()
def is_right(head):
    """Whether all guarded integers have the values that they had during tracing."""
    n = head[Head.N_GUARDS]
    guarded, values = int64s(head[Head.GUARDED], n), int64s(head[Head.VALUES], n)
    for i in range(n):
        if foreign_int64(guarded[i]) != values[i]:
            int64s(head[Head.HAS_CHANGED], 1)[0] = 1
            return False
    return True


@routine(exact=True)
def perform(memory: Memory, tape: Address) -> int:
    """Execute the tape at an address.

    Returns `DONE`, `IN_PYTHON` if Python must call the function, or the address of the `COMMIT`
    of a path that must be compared with Python. Nothing has been stored in the last two cases.
    """
    head = int64s(tape, WIDTH)
    if not is_right(head):
        return IN_PYTHON
    start = tape + 8 * WIDTH
    current = start
    while True:
        word = int64s(current, WIDTH)
        current += 8 * WIDTH
        opcode, n = word[Field.OPCODE], word[Field.N]
        a, b, c = word[Field.A], word[Field.B], word[Field.C]
        if word[Field.LIMIT] != 0:
            n = min(n, np.int64(float64s(word[Field.LIMIT], 1)[0]))
        if opcode <= Opcode.COMMIT:
            if opcode < Opcode.BRANCH:
                return DONE if opcode == Opcode.RETURN else IN_PYTHON
            if opcode == Opcode.BRANCH:
                if float64s(a, 1)[0] == 0.0:
                    current = start + 8 * WIDTH * word[Field.TARGET]
            elif word[Field.COUNTDOWN] == 0 or head[Head.N_LEFT] == 0:
                return current - 8 * WIDTH
            else:
                word[Field.COUNTDOWN] -= 1
                head[Head.N_LEFT] -= 1
            continue
        if Opcode.STORE <= opcode <= Opcode.STORE_BOOLEANS:
            carry_out_store(word, word[Field.RESULT])
            continue
        if opcode == Opcode.LOOP or opcode == Opcode.LOOP_SHORT:
            if word[Field.LIMIT] != 0:
                int64s(word[Field.SIZES], 1)[0] = np.int64(float64s(word[Field.LIMIT], 1)[0])
            call_loop(
                word[Field.LOOP],
                word[Field.ARGUMENTS],
                word[Field.SIZES],
                word[Field.STEPS],
                word[Field.DATA],
            )
            if opcode == Opcode.LOOP and not are_finite(float64s(word[Field.RESULT], n)):
                return IN_PYTHON
            continue
        if opcode == Opcode.POSITIONS:
            count = positions_of(int64s(a, n - 1), 0, int64s(word[Field.RESULT], n), 0)
            float64s(word[Field.RESULT] + 8 * (n - 1), 1)[0] = count
            continue
        if opcode == Opcode.PACK:
            store(Opcode.STORE_SHORT, n, word[Field.RESULT], a, word[Field.A_STRIDE])
            continue
        if opcode == Opcode.GROUP:
            status = call(head[Head.PERFORM_GROUP], a)
            if status != DONE:
                return status
            continue
        result = float64s(word[Field.RESULT], n)
        if opcode >= Opcode.MOVE:
            for i in range(n):
                value = compute(
                    opcode,
                    float64s(a + 8 * i * word[Field.A_STRIDE], 1)[0],
                    float64s(b + 8 * i * word[Field.B_STRIDE], 1)[0],
                    float64s(c + 8 * i * word[Field.C_STRIDE], 1)[0],
                )
                result[i] = value
                if not abs(value) <= LARGEST:
                    return IN_PYTHON
            continue
        if opcode == Opcode.UNPACK or Opcode.LOAD <= opcode <= Opcode.LOAD_BOOLEANS:
            if not load(Opcode.LOAD_SHORT if opcode == Opcode.UNPACK else opcode, result, a):
                return IN_PYTHON
            continue
        if Opcode.GATHER <= opcode <= Opcode.ROLL:
            if not select(word, result):
                return IN_PYTHON
            continue
        if opcode == Opcode.FUNCTION:
            result[0] = call_function(word[Field.FUNCTION], float64s(a, 1)[0])
        elif opcode == Opcode.FUNCTION_OF_TWO:
            function = word[Field.FUNCTION_OF_TWO]
            result[0] = call_function_of_two(function, float64s(a, 1)[0], float64s(b, 1)[0])
        elif opcode == Opcode.CALL:
            if not succeeds(a, b):
                return IN_PYTHON
        elif opcode == Opcode.PUT:
            put(word, result)
        elif opcode == Opcode.TAKE:
            taken = int64s(b, n)
            for i in range(n):
                result[i] = float64s(a + 8 * taken[i] * word[Field.A_STRIDE], 1)[0]
        elif opcode == Opcode.FIND:
            result[0] = find(float64s(a, c), float64s(b, 1)[0])
        elif opcode == Opcode.LARGEST:
            int64s(word[Field.RESULT], 1)[0] = largest_bits(a, word[Field.A_STRIDE], b)
        if not are_finite(result):
            return IN_PYTHON
