"""The kernel that carries out Python functions: as tapes, or by calling Python.

A task is a list of integers that says what is to be carried out. What Python returns is taken
from where it lies in memory, which takes a few nanoseconds, if it is of a usual kind: a number, a
list or a tuple of numbers, or an array. Whatever else is returned, or does not fit, or is not
finite, is left to a function in Python.
"""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.tape import LARGEST, LARGEST_INTEGER, LARGEST_SHORT, perform
from nengo_jit.engines.cpu.machine import (
    STOPPED,
    SUBNORMALS_ARE_ZERO,
    arithmetic,
    as_integer,
    call_object,
    call_object_of_one,
    drop_object,
    foreign_integers,
    foreign_reals,
    foreign_short_integers,
    helper,
    integers,
    is_single,
    kernel,
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
from nengo_jit.engines.cpu.objects import (
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

# What a task says; objects are given by their addresses
TAPE = 0  # address of what is performed; zero to call Python
CALLED = 1  # what is called, without arguments
STORE = 2  # what stores a result that is not stored here; zero if results are not wanted
OUTPUT = 3  # where a result is stored: the address of numbers of either precision
N_OUTPUTS = 4  # how many there are
ITEMSIZE = 5  # bytes of each
TOLD = 6  # what is called afterwards; zero if nothing is
KINDS = 7  # address of `objects.KINDS`
ERROR = 8  # type, value and traceback of what Python raised, for which there is room here
LENGTH = 11


@helper()
def number_in(value, kinds):
    """The number that an object is; infinity if it is anything else."""
    kind = foreign_integers(value + TYPE, 1)[0]
    if kind == kinds[FLOAT] or kind == kinds[FLOAT64]:
        return foreign_reals(value + FLOAT_VALUE, 1)[0]
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
    if foreign_integers(value + ARRAY_DTYPE, 1)[0] != double:
        return False
    if foreign_short_integers(value + ARRAY_NDIM, 1)[0] != 1:
        return False
    size = foreign_integers(foreign_integers(value + ARRAY_SHAPE, 1)[0], 1)[0]
    stride = foreign_integers(foreign_integers(value + ARRAY_STRIDES, 1)[0], 1)[0]
    data = foreign_integers(value + ARRAY_DATA, 1)[0]
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
    kind = foreign_integers(value + TYPE, 1)[0]
    if kind == kinds[ARRAY]:
        return store_array(value, n, output, itemsize, kinds[DOUBLE])
    if kind == kinds[LIST] or kind == kinds[TUPLE]:
        if foreign_integers(value + SIZE, 1)[0] != n:
            return False
        if kind == kinds[TUPLE]:
            return store_items(value + TUPLE_ITEMS, n, output, itemsize, kinds)
        return store_items(foreign_integers(value + LIST_ITEMS, 1)[0], n, output, itemsize, kinds)
    number = number_in(value, kinds)
    if not abs(number) <= largest(itemsize):
        return False
    for i in range(n):
        put(number, output + i * itemsize, itemsize)
    return True


@helper()
def call_python(address):
    """Carry out a task by calling Python; returns zero, or a status if it raised."""
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
    if value != 0 and task[TOLD] != 0:
        drop_object(value)
        value = call_object(task[TOLD])
    if value == 0:
        error = address + 8 * ERROR
        take_error(error, error + 8, error + 16)
    else:
        drop_object(value)
    unlock_python(state)
    return STOPPED if value == 0 else 0


@kernel("=", exact=True)
def run_functions(memory, table):
    """Carry out Python functions: perform their tapes, or call Python.

    A row has the address of a task. Python computes with subnormal numbers, whatever kernels do
    (see `run`).
    """
    rows = integers(table, 1 + integers(table, 1)[0])
    before, status = arithmetic(), 0
    if is_single(memory):
        set_arithmetic(before & ~SUBNORMALS_ARE_ZERO)
    for r in range(1, rows.size):
        tape = integers(rows[r], LENGTH)[TAPE]
        if tape == 0 or not perform(tape):
            status = call_python(rows[r])
            if status != 0:
                break
    if is_single(memory):
        set_arithmetic(before)
    return status
