"""The kernels that carry out Python functions: as tapes, or by calling Python.

A task is a list of integers that says what is to be carried out, and has the addresses of the
kernels that do parts of it: so each of them is compiled once. What Python returns is taken
from where it lies in memory, which takes a few nanoseconds, if it is of a usual kind: a number, a
list or a tuple of numbers, or an array. Whatever else is returned, or does not fit, or is not
finite, is left to a function in Python.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Address, kernel, routine
from nengo_jit.engines.cpu.language.primitives import (
    OUT_OF_BOUNDS,
    STOPPED,
    SUBNORMALS_ARE_ZERO,
    Memory,
    arithmetic,
    as_integer,
    call,
    call_object,
    call_object_of_one,
    drop_object,
    foreign_integer,
    foreign_integers,
    foreign_real,
    foreign_reals,
    foreign_short_integer,
    helper,
    integers,
    is_single,
    lock_python,
    octets,
    reals,
    scratch,
    set_arithmetic,
    short_integers,
    short_reals,
    take_error,
    unlock_python,
)
from nengo_jit.engines.cpu.python.objects import (
    ARRAY,
    ARRAY_DATA,
    ARRAY_DTYPE,
    ARRAY_NDIM,
    ARRAY_SHAPE,
    ARRAY_STRIDES,
    BOOL,
    DOUBLE,
    FLOAT,
    FLOAT64,
    FLOAT_VALUE,
    INT,
    LIST,
    LIST_ITEMS,
    N_KINDS,
    SIZE,
    TUPLE,
    TUPLE_ITEMS,
    TYPE,
)
from nengo_jit.engines.cpu.python.tape_vm import (
    DONE,
    IN_PYTHON,
    LARGEST,
    LARGEST_INTEGER,
    LARGEST_SHORT,
)

# What a task says; objects are given by their addresses
TAPE = 0  # address of what is performed; zero to call Python
PERFORM = 1  # addresses of the kernels `perform`, `call_python` and `compare`
CALL = 2
COMPARE = 3
CALLED = 4  # what is called, without arguments
STORE = 5  # what stores a result that is not stored here; zero if results are not wanted
OUTPUT = 6  # where a result is stored: the address of numbers of either precision
N_OUTPUTS = 7  # how many there are
ITEMSIZE = 8  # bytes of each
TOLD = 9  # what is called afterwards; zero if nothing is
KINDS = 10  # address of `objects.KINDS`
PATH = 11  # address of the `COMMIT` of a path that is being compared; zero if none is
DIFFERS = 12  # what is called if Python does not do what the tape does
ERROR = 13  # type, value and traceback of what Python raised, for which there is room here
LENGTH = 16


@helper()
def number_in(value, kinds):
    """The number that an object is; infinity if it is anything else."""
    kind = foreign_integer(value + TYPE)
    if kind == kinds[FLOAT] or kind == kinds[FLOAT64]:
        return foreign_real(value + FLOAT_VALUE)
    if kind == kinds[INT] or kind == kinds[BOOL]:
        overflow = scratch(8)
        number = as_integer(value, overflow)
        is_exact = short_integers(overflow, 1)[0] == 0 and abs(number) <= LARGEST_INTEGER
        return np.float64(number) if is_exact else np.inf
    return np.inf


@helper()
def put(number, address, itemsize):
    """Write a number in the precision that an output has."""
    if itemsize == 8:
        double = reals(address, 1)
        double[0] = number
    else:
        single = short_reals(address, 1)
        single[0] = np.float32(number)


@helper()
def largest(itemsize):
    """The largest number of either precision."""
    return LARGEST if itemsize == 8 else LARGEST_SHORT


@helper()
def store_array(value, n, output, itemsize, double):
    """Store an array, if it is one of ``n`` finite numbers of double precision, side by side."""
    if foreign_integer(value + ARRAY_DTYPE) != double:
        return False
    if foreign_short_integer(value + ARRAY_NDIM) != 1:
        return False
    size = foreign_integer(foreign_integer(value + ARRAY_SHAPE))
    stride = foreign_integer(foreign_integer(value + ARRAY_STRIDES))
    data = foreign_integer(value + ARRAY_DATA)
    if size != n or stride != 8 or data % 8 != 0 or abs(data - output) < 8 * n:
        return False
    source, most = foreign_reals(data, n), largest(itemsize)
    for i in range(n):
        if not abs(source[i]) <= most:
            return False
    for i in range(n):
        put(source[i], output + i * itemsize, itemsize)
    return True


@helper()
def store_items(items, n, output, itemsize, kinds):
    """Store objects whose addresses stand at an address, if all are finite numbers."""
    values, most = foreign_integers(items, n), largest(itemsize)
    for i in range(n):
        if not abs(number_in(values[i], kinds)) <= most:
            return False
    for i in range(n):
        put(number_in(values[i], kinds), output + i * itemsize, itemsize)
    return True


@helper()
def store_value(value, n, output, itemsize, kinds):
    """Store what Python returned as ``n`` numbers; tells whether it is of a kind that fits."""
    kind = foreign_integer(value + TYPE)
    if kind == kinds[ARRAY]:
        return store_array(value, n, output, itemsize, kinds[DOUBLE])
    if kind == kinds[LIST] or kind == kinds[TUPLE]:
        if foreign_integer(value + SIZE) != n:
            return False
        if kind == kinds[TUPLE]:
            return store_items(value + TUPLE_ITEMS, n, output, itemsize, kinds)
        return store_items(foreign_integer(value + LIST_ITEMS), n, output, itemsize, kinds)
    number = number_in(value, kinds)
    if not abs(number) <= largest(itemsize):
        return False
    for i in range(n):
        put(number, output + i * itemsize, itemsize)
    return True


@helper()
def call_briefly(address, field):
    """Call an object that a task names, without arguments; returns zero, or a status if it raised.

    For objects whose result nobody wants.
    """
    state = lock_python()
    return conclude(address, call_object(integers(address, LENGTH)[field]), state)


@helper()
def conclude(address, value, state):
    """Give up a result and the lock; returns zero, or a status if there is no result."""
    if value == 0:
        error = address + 8 * ERROR
        take_error(error, error + 8, error + 16)
    else:
        drop_object(value)
    unlock_python(state)
    return STOPPED if value == 0 else 0


@routine(exact=True)
def call_python(memory: Memory, address: Address) -> int:
    """Carry out the task at an address by calling Python.

    Nobody is told if that is for a comparison: a function that has a tape only calculates.
    """
    task = integers(address, LENGTH)
    octets(task[OUTPUT], task[N_OUTPUTS] * task[ITEMSIZE])  # a check must not fail under the lock
    state = lock_python()
    value = call_object(task[CALLED])
    if value != 0 and task[STORE] != 0:
        kinds = integers(task[KINDS], N_KINDS)
        if not store_value(value, task[N_OUTPUTS], task[OUTPUT], task[ITEMSIZE], kinds):
            stored = call_object_of_one(task[STORE], value)
            drop_object(value)
            value = stored
    if value != 0 and task[TOLD] != 0 and task[PATH] == 0:
        drop_object(value)
        value = call_object(task[TOLD])
    return conclude(address, value, state)


@helper()
def compare_with_python(address):
    """Carry out a task both ways, see `compare`; returns a status.

    The lock is held from before the tape reads anything until the end, so that other threads do
    not change what both work on.
    """
    kernel = integers(address, LENGTH)[COMPARE]
    state = lock_python()
    status = call(kernel, address)
    unlock_python(state)
    return status


@helper()
def carry_out(address):
    """Carry out the task at an address; returns a status."""
    task = integers(address, LENGTH)
    done = IN_PYTHON if task[TAPE] == 0 else call(task[PERFORM], task[TAPE])
    if done == IN_PYTHON:
        return call(task[CALL], address)
    return compare_with_python(address) if done > OUT_OF_BOUNDS else done


@kernel(exact=True)
def run_functions(memory: Memory, task: Address) -> int:
    """Carry out a Python function: perform its tape, or call Python.

    Python computes with subnormal numbers, whatever kernels do (see `run`).
    """
    before = arithmetic()
    if is_single(memory):
        set_arithmetic(before & ~SUBNORMALS_ARE_ZERO)
    status = carry_out(task)
    if is_single(memory):
        set_arithmetic(before)
    return status


@kernel(exact=True)
def perform_at_points(
    memory: Memory,
    task: Address,
    number: Address,
    n_points: int,
    points: Address,
    n_in: int,
    point: Address,
    results: Address,
    n_out: int,
    result: Address,
) -> int:
    """Perform a tape at one point after the other, for as long as Python is not needed.

    The number of the point that is being dealt with goes to an address. The tape expects a point
    of ``n_in`` numbers, and leaves a result of ``n_out``, at addresses of their own. The number of
    points that have been dealt with is returned.
    """
    words, latest = integers(task, LENGTH), integers(number, 1)
    taken, left = reals(point, n_in), reals(result, n_out)
    for i in range(n_points):
        given = reals(points + 8 * i * n_in, n_in)
        for j in range(n_in):
            taken[j] = given[j]
        latest[0] = i
        done = call(words[PERFORM], words[TAPE])
        if done > OUT_OF_BOUNDS:
            done = compare_with_python(task)
        if done != DONE or words[TAPE] == 0:  # the tape is wrong
            return i
        kept = reals(results + 8 * i * n_out, n_out)
        for j in range(n_out):
            kept[j] = left[j]
    return n_points
