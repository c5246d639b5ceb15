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

from nengo_jit.engines.cpu.language.kernel import kernel, routine
from nengo_jit.engines.cpu.language.primitives import (
    OUT_OF_BOUNDS,
    STOPPED,
    SUBNORMALS_ARE_ZERO,
    Address,
    Memory,
    acquire_gil,
    as_integer,
    call,
    call_object,
    call_object_of_one,
    decref,
    fetch_error,
    float32s,
    float64s,
    foreign_float64,
    foreign_float64s,
    foreign_int32,
    foreign_int64,
    foreign_int64s,
    fp_control,
    helper,
    int32s,
    int64s,
    is_single,
    release_gil,
    scratch,
    set_fp_control,
    uint8s,
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
    kind = foreign_int64(value + TYPE)
    if kind == kinds[FLOAT] or kind == kinds[FLOAT64]:
        return foreign_float64(value + FLOAT_VALUE)
    if kind == kinds[INT] or kind == kinds[BOOL]:
        overflow = scratch(8)
        number = as_integer(value, overflow)
        is_exact = int32s(overflow, 1)[0] == 0 and abs(number) <= LARGEST_INTEGER
        return np.float64(number) if is_exact else np.inf
    return np.inf


@helper()
def put(number, address, itemsize):
    """Write a number in the precision that an output has."""
    if itemsize == 8:
        double = float64s(address, 1)
        double[0] = number
    else:
        single = float32s(address, 1)
        single[0] = np.float32(number)


@helper()
def largest(itemsize):
    """The largest number of either precision."""
    return LARGEST if itemsize == 8 else LARGEST_SHORT


@helper()
def store_array(value, n, output, itemsize, double):
    """Store an array, if it is one of ``n`` finite numbers of double precision, side by side."""
    if foreign_int64(value + ARRAY_DTYPE) != double:
        return False
    if foreign_int32(value + ARRAY_NDIM) != 1:
        return False
    size = foreign_int64(foreign_int64(value + ARRAY_SHAPE))
    stride = foreign_int64(foreign_int64(value + ARRAY_STRIDES))
    data = foreign_int64(value + ARRAY_DATA)
    if size != n or stride != 8 or data % 8 != 0 or abs(data - output) < 8 * n:
        return False
    source, most = foreign_float64s(data, n), largest(itemsize)
    for i in range(n):
        if not abs(source[i]) <= most:
            return False
    for i in range(n):
        put(source[i], output + i * itemsize, itemsize)
    return True


@helper()
def store_items(items, n, output, itemsize, kinds):
    """Store objects whose addresses stand at an address, if all are finite numbers."""
    values, most = foreign_int64s(items, n), largest(itemsize)
    for i in range(n):
        if not abs(number_in(values[i], kinds)) <= most:
            return False
    for i in range(n):
        put(number_in(values[i], kinds), output + i * itemsize, itemsize)
    return True


@helper()
def store_value(value, n, output, itemsize, kinds):
    """Store what Python returned as ``n`` numbers; tells whether it is of a kind that fits."""
    kind = foreign_int64(value + TYPE)
    if kind == kinds[ARRAY]:
        return store_array(value, n, output, itemsize, kinds[DOUBLE])
    if kind == kinds[LIST] or kind == kinds[TUPLE]:
        if foreign_int64(value + SIZE) != n:
            return False
        if kind == kinds[TUPLE]:
            return store_items(value + TUPLE_ITEMS, n, output, itemsize, kinds)
        return store_items(foreign_int64(value + LIST_ITEMS), n, output, itemsize, kinds)
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
    state = acquire_gil()
    return conclude(address, call_object(int64s(address, LENGTH)[field]), state)


@helper()
def conclude(address, value, state):
    """Give up a result and the lock; returns zero, or a status if there is no result."""
    if value == 0:
        error = address + 8 * ERROR
        fetch_error(error, error + 8, error + 16)
    else:
        decref(value)
    release_gil(state)
    return STOPPED if value == 0 else 0


@routine(exact=True)
def call_python(memory: Memory, address: Address) -> int:
    """Carry out the task at an address by calling Python.

    Nobody is told if that is for a comparison: a function that has a tape only calculates.
    """
    task = int64s(address, LENGTH)
    uint8s(task[OUTPUT], task[N_OUTPUTS] * task[ITEMSIZE])  # a check must not fail under the lock
    state = acquire_gil()
    value = call_object(task[CALLED])
    if value != 0 and task[STORE] != 0:
        kinds = int64s(task[KINDS], N_KINDS)
        if not store_value(value, task[N_OUTPUTS], task[OUTPUT], task[ITEMSIZE], kinds):
            stored = call_object_of_one(task[STORE], value)
            decref(value)
            value = stored
    if value != 0 and task[TOLD] != 0 and task[PATH] == 0:
        decref(value)
        value = call_object(task[TOLD])
    return conclude(address, value, state)


@helper()
def compare_with_python(address):
    """Carry out a task both ways, see `compare`; returns a status.

    The lock is held from before the tape reads anything until the end, so that other threads do
    not change what both work on.
    """
    kernel = int64s(address, LENGTH)[COMPARE]
    state = acquire_gil()
    status = call(kernel, address)
    release_gil(state)
    return status


@helper()
def carry_out(address):
    """Carry out the task at an address; returns a status."""
    task = int64s(address, LENGTH)
    done = IN_PYTHON if task[TAPE] == 0 else call(task[PERFORM], task[TAPE])
    if done == IN_PYTHON:
        return call(task[CALL], address)
    return compare_with_python(address) if done > OUT_OF_BOUNDS else done


@kernel(exact=True)
def run_functions(memory: Memory, task: Address) -> int:
    """Carry out a Python function: perform its tape, or call Python.

    Python computes with subnormal numbers, whatever kernels do (see `run`).
    """
    before = fp_control()
    if is_single(memory):
        set_fp_control(before & ~SUBNORMALS_ARE_ZERO)
    status = carry_out(task)
    if is_single(memory):
        set_fp_control(before)
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
    words, latest = int64s(task, LENGTH), int64s(number, 1)
    taken, left = float64s(point, n_in), float64s(result, n_out)
    for i in range(n_points):
        given = float64s(points + 8 * i * n_in, n_in)
        for j in range(n_in):
            taken[j] = given[j]
        latest[0] = i
        done = call(words[PERFORM], words[TAPE])
        if done > OUT_OF_BOUNDS:
            done = compare_with_python(task)
        if done != DONE or words[TAPE] == 0:  # the tape is wrong
            return i
        kept = float64s(results + 8 * i * n_out, n_out)
        for j in range(n_out):
            kept[j] = left[j]
    return n_points
