"""Performing tapes: Python functions as lists of instructions.

A tape (`nengo_jit.engines.cpu.python.tracing.tape`) works on registers, which are numbers of double
precision, whatever their type in Python. Every instruction has `WIDTH` integers: the operation,
the number n of elements, the address of the result, and for up to three operands the address and
the distance of elements. Whatever is out of the ordinary (infinity, "not a number", a whole
number that a register cannot hold, an index that does not exist) ends the tape before it has
written to anything but registers, and the function is called in Python instead.

Tapes jump forward, and ways that have parted never meet: a tape is a tree, and each path through it
has a `COMMIT` of its own, which all writing to memory follows. Now and then it ends the tape, and
the path is compared with Python (`nengo_jit.engines.cpu.python.compare`).

Before the first instruction stands the head, see `N_PLACES`.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np

from nengo_jit.engines.cpu.language.kernel import routine
from nengo_jit.engines.cpu.language.primitives import (
    Memory,
    call_function,
    call_function_of_two,
    call_loop,
    float32s,
    float64s,
    foreign_int64,
    helper,
    int64s,
    uint8s,
)

WIDTH = 9
LARGEST = float(np.finfo(np.float64).max)
LARGEST_SHORT = float(np.finfo(np.float32).max)
LARGEST_INTEGER = 2.0**53  # below which all whole numbers are numbers of double precision

# Operations: their result, then operands a, b and c
RETURN = 0
REDO = 1  # in Python
BRANCH = 2  # go on at instruction n if a is zero
COMMIT = 3  # the path is complete, see `COUNTDOWN`
FUNCTION = 4  # a C function of a; its address in place of b
FUNCTION_OF_TWO = 5  # a C function of a and b; its address in place of c
LOOP = 6  # of NumPy: in place of a to c, the addresses of function, arguments, sizes, steps, data
LOAD = 7  # a is in memory
LOAD_SHORT = 8
LOAD_INTEGERS = 9
LOAD_BOOLEANS = 10
STORE = 11  # the result is in memory
STORE_SHORT = 12
STORE_INTEGERS = 13
STORE_BOOLEANS = 14
GATHER = 15  # from the addresses that are listed in place of a
LOOKUP = 16  # row b of a table a of c rows with n elements
ROLL = 17  # a, b elements further
MOVE = 18
ADD = 19
SUBTRACT = 20
MULTIPLY = 21
DIVIDE = 22
REMAINDER = 23
FLOOR_DIVIDE = 24
NEGATIVE = 25
ABSOLUTE = 26
SQRT = 27
FLOOR = 28
CEIL = 29
TRUNC = 30
RINT = 31
INTEGER = 32  # a as a whole number, which has no negative zero
LESS = 33
LESS_EQUAL = 34
EQUAL = 35
NOT_EQUAL = 36
AND = 37
OR = 38
NOT = 39
SELECT = 40  # a if c else b
SHORT = 41  # a, which must be finite in single precision

# What the head of a tape says
N_PLACES = 0  # how many integers must be as they were when the tape was made
PLACES = 1  # address of a list of their addresses
VALUES = 2  # and of one of what they were
HAS_MOVED = 3  # address of an integer that is set if they are not
N_LEFT = 4  # how many calls may pass before one is compared
N_PROOFS = 5  # how often a path is compared before it is believed
INTERVAL = 6  # one of how many calls is compared after that

# What a `COMMIT` says
COUNTDOWN = 1  # how often the path may be taken before it is compared
N_EQUAL = 3  # how often it has been compared
N_SPANS = 4  # how many spans of memory are compared
SPANS = 5  # address of a list: for each the address, that of its shadow, and the number of bytes
# What a `STORE` says besides
SHADOW = 5  # address that takes the place of the result while the path is compared

# What `perform` returns, if not the address of a `COMMIT`
DONE = 0
IN_PYTHON = -1  # only Python can do this

MANY = 16  # elements from more than which on operands have their elements side by side


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
def compute(operation, a, b, c):
    """Operations on numbers."""
    if operation == MOVE:
        return a
    if operation == ADD:
        return a + b
    if operation == SUBTRACT:
        return a - b
    if operation == MULTIPLY:
        return a * b
    if operation == DIVIDE:
        return a / b
    if operation == REMAINDER:
        return remainder(a, b)
    if operation == FLOOR_DIVIDE:
        return floor_divide(a, b)
    if operation == NEGATIVE:
        return -a
    if operation == ABSOLUTE:
        return abs(a)
    if operation == SQRT:
        return math.sqrt(a)
    if operation == FLOOR:
        return np.floor(a)
    if operation == CEIL:
        return np.ceil(a)
    if operation == TRUNC:
        return np.trunc(a)
    if operation == RINT:
        return np.rint(a)
    if operation == INTEGER:
        return a + 0.0 if abs(a) < LARGEST_INTEGER else np.inf
    if operation == LESS:
        return 1.0 if a < b else 0.0
    if operation == LESS_EQUAL:
        return 1.0 if a <= b else 0.0
    if operation == EQUAL:
        return 1.0 if a == b else 0.0
    if operation == NOT_EQUAL:
        return 1.0 if a != b else 0.0
    if operation == AND:
        return 1.0 if a != 0.0 and b != 0.0 else 0.0
    if operation == OR:
        return 1.0 if a != 0.0 or b != 0.0 else 0.0
    if operation == NOT:
        return 1.0 if a == 0.0 else 0.0
    if operation == SELECT:
        return a if c != 0.0 else b
    if operation == SHORT:
        return a if abs(np.float32(a)) <= LARGEST_SHORT else np.inf
    return np.inf


@helper()
def compute_many(operation, result, a, b, c):
    """Quicker loops for some operations on many elements; tells whether this is one of them."""
    if operation == LESS:
        for i in range(result.size):
            result[i] = 1.0 if a[i] < b[i] else 0.0
    elif operation == LESS_EQUAL:
        for i in range(result.size):
            result[i] = 1.0 if a[i] <= b[i] else 0.0
    elif operation == EQUAL:
        for i in range(result.size):
            result[i] = 1.0 if a[i] == b[i] else 0.0
    elif operation == NOT_EQUAL:
        for i in range(result.size):
            result[i] = 1.0 if a[i] != b[i] else 0.0
    elif operation == AND:
        for i in range(result.size):
            result[i] = 1.0 if (a[i] != 0.0) & (b[i] != 0.0) else 0.0
    elif operation == OR:
        for i in range(result.size):
            result[i] = 1.0 if (a[i] != 0.0) | (b[i] != 0.0) else 0.0
    elif operation == NOT:
        for i in range(result.size):
            result[i] = 1.0 if a[i] == 0.0 else 0.0
    elif operation == SELECT:
        for i in range(result.size):
            chosen, other = a[i], b[i]
            result[i] = chosen if c[i] != 0.0 else other
    else:
        return False
    return True


@helper()
def are_finite(values):
    """Whether all numbers are finite."""
    n_finite = 0
    for i in range(values.size):
        n_finite += abs(values[i]) <= LARGEST
    return n_finite == values.size


@helper()
def load(operation, result, address):
    """Numbers of any type from memory."""
    n = result.size
    if operation == LOAD:
        values = float64s(address, n)
        for i in range(n):
            result[i] = values[i]
    elif operation == LOAD_SHORT:
        shorts = float32s(address, n)
        for i in range(n):
            result[i] = shorts[i]
    elif operation == LOAD_INTEGERS:
        numbers = int64s(address, n)
        for i in range(n):
            is_exact = -LARGEST_INTEGER < numbers[i] < LARGEST_INTEGER
            result[i] = np.float64(numbers[i]) if is_exact else np.inf
    else:
        booleans = uint8s(address, n)
        for i in range(n):
            result[i] = np.float64(booleans[i])


@helper()
def store(operation, n, address, source, step):
    """Numbers of any type to memory."""
    if operation == STORE:
        numbers = float64s(address, n)
        if step == 1:
            values = float64s(source, n)
            for i in range(n):
                numbers[i] = values[i]
        else:
            for i in range(n):
                numbers[i] = float64s(source + 8 * i * step, 1)[0]
    elif operation == STORE_SHORT:
        shorts = float32s(address, n)
        for i in range(n):
            shorts[i] = np.float32(float64s(source + 8 * i * step, 1)[0])
    elif operation == STORE_INTEGERS:
        wholes = int64s(address, n)
        for i in range(n):
            wholes[i] = np.int64(float64s(source + 8 * i * step, 1)[0])
    else:
        booleans = uint8s(address, n)
        for i in range(n):
            booleans[i] = np.uint8(float64s(source + 8 * i * step, 1)[0])


@helper()
def select(operation, result, a, b, c):
    """Operations that take elements from elsewhere; tells whether that exists."""
    n = result.size
    if operation == GATHER:
        sources = int64s(a, n)
        for i in range(n):
            result[i] = float64s(sources[i], 1)[0]
        return True
    index = np.int64(float64s(b, 1)[0])
    if operation == ROLL:
        values = float64s(a, n)
        for i in range(n):
            result[(i + index) % n] = values[i]
        return True
    if index < 0:
        index += c
    if not 0 <= index < c:
        return False
    values = float64s(a + 8 * n * index, n)
    for i in range(n):
        result[i] = values[i]
    return True


@helper()
def is_right(head):
    """Whether what a tape relies on is as it was when it was made."""
    n = head[N_PLACES]
    places, values = int64s(head[PLACES], n), int64s(head[VALUES], n)
    for i in range(n):
        if foreign_int64(places[i]) != values[i]:
            int64s(head[HAS_MOVED], 1)[0] = 1
            return False
    return True


@routine(exact=True)
def perform(memory: Memory, tape: int) -> int:
    """Perform the tape at an address.

    Returns `DONE`, `IN_PYTHON` if something was out of the ordinary, or the address of the
    `COMMIT` that ends a path which has to be compared. Nothing has been written then.
    """
    head = int64s(tape, WIDTH)
    if not is_right(head):
        return IN_PYTHON
    tape += 8 * WIDTH
    start = tape
    while True:
        word = int64s(tape, WIDTH)
        tape += 8 * WIDTH
        operation, n, a, b, c = word[0], word[1], word[3], word[5], word[7]
        if operation <= COMMIT:
            if operation < BRANCH:
                return DONE if operation == RETURN else IN_PYTHON
            if operation == BRANCH:
                if float64s(a, 1)[0] == 0.0:
                    tape = start + 8 * WIDTH * n
            elif word[COUNTDOWN] == 0 or head[N_LEFT] == 0:
                return tape - 8 * WIDTH
            else:
                word[COUNTDOWN] -= 1
                head[N_LEFT] -= 1
            continue
        if STORE <= operation <= STORE_BOOLEANS:
            store(operation, n, word[2], a, word[4])
            continue
        result = float64s(word[2], n)
        if (
            n > MANY
            and operation >= LESS
            and compute_many(operation, result, float64s(a, n), float64s(b, n), float64s(c, n))
        ):
            continue
        if operation >= MOVE:
            for i in range(n):
                value = compute(
                    operation,
                    float64s(a + 8 * i * word[4], 1)[0],
                    float64s(b + 8 * i * word[6], 1)[0],
                    float64s(c + 8 * i * word[8], 1)[0],
                )
                result[i] = value
                if not abs(value) <= LARGEST:
                    return IN_PYTHON
            continue
        if operation == FUNCTION:
            result[0] = call_function(b, float64s(a, 1)[0])
        elif operation == FUNCTION_OF_TWO:
            result[0] = call_function_of_two(c, float64s(a, 1)[0], float64s(b, 1)[0])
        elif operation == LOOP:
            call_loop(a, word[4], b, word[6], c)
        elif operation <= LOAD_BOOLEANS:
            load(operation, result, a)
        elif not select(operation, result, a, b, c):
            return IN_PYTHON
        if not are_finite(result):
            return IN_PYTHON
