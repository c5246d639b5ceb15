"""The kernels that carry out Python functions: as tapes, or by calling Python.

A task is a list of integers that describes one function. It also has the addresses of the kernels
`perform`, `call_python` and `compare`, so that each of them is compiled once and not inlined.
Kernels read a result of a common kind (a number, a list or tuple of numbers, an array) from its
memory, which takes a few nanoseconds. A function in Python stores all other results, those that do
not fit, and those that are not finite.
"""

# Numba infers the types of helpers, which have no annotations.
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
    call,
    float32s,
    float64s,
    fp_control,
    helper,
    int32s,
    int64s,
    is_single,
    scratch,
    set_fp_control,
    uint8s,
)
from nengo_jit.engines.cpu.language.python_objects import (
    acquire_gil,
    as_integer,
    call_object,
    call_object_of_one,
    decref,
    fetch_error,
    foreign_float64,
    foreign_float64s,
    foreign_int32,
    foreign_int64,
    foreign_int64s,
    release_gil,
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

# The fields of a task. An object is given by its address.
TAPE = 0  # address of the tape; zero to call Python
PERFORM = 1  # addresses of the kernels `perform`, `call_python` and `compare`
CALL = 2
COMPARE = 3
CALLED = 4  # object that is called, without arguments
STORE = 5  # object that stores results that kernels cannot; zero to ignore all results
OUTPUT = 6  # address to store results at, in either precision
N_OUTPUTS = 7  # number of elements there
ITEMSIZE = 8  # bytes of an element
AFTER_CALL = 9  # object that is called after each call of Python; zero for none
KINDS = 10  # address of `objects.KINDS`
PATH = 11  # address of the `COMMIT` of the path that is being compared; zero for none
DIFFERS = 12  # object that is called if the results of Python and of the tape differ
WAS_CALLED = 13  # address of an integer that is set to 1 when Python has been called; zero for none
CHECK = 14  # object that is called before a tape if that integer is not zero; it may clear `TAPE`
N_SPANS = 15  # how many spans of memory are restored if Python raises
SPANS = 16  # address of a list: for each span its address, a buffer's, and the size (bytes)
ERROR = 17  # type, value and traceback of an error that Python raised: three fields
LENGTH = 20


@helper()
def number_in(value, kinds):
    """The value of a Python number; infinity for any other object."""
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
    """Write a number in the precision of the output."""
    if itemsize == 8:
        double = float64s(address, 1)
        double[0] = number
    else:
        single = float32s(address, 1)
        single[0] = np.float32(number)


@helper()
def largest(itemsize):
    """The largest number of a precision."""
    return LARGEST if itemsize == 8 else LARGEST_SHORT


@helper()
def store_array(value, n, output, itemsize, double):
    """Store a contiguous float64 array of ``n`` finite numbers; returns whether it is one."""
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
    """Store ``n`` objects from a list of addresses; returns whether all are finite numbers."""
    values, most = foreign_int64s(items, n), largest(itemsize)
    for i in range(n):
        if not abs(number_in(values[i], kinds)) <= most:
            return False
    for i in range(n):
        put(number_in(values[i], kinds), output + i * itemsize, itemsize)
    return True


@helper()
def store_value(value, n, output, itemsize, kinds):
    """Store a result of Python's as ``n`` numbers; returns whether its kind and size fit."""
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
def save(task):
    """Copy the spans of a task to their buffers."""
    spans = int64s(task[SPANS], 3 * task[N_SPANS])
    for i in range(0, spans.size, 3):
        copy(spans[i], spans[i + 1], spans[i + 2])


@helper()
def restore(task):
    """Copy the buffers of a task back."""
    spans = int64s(task[SPANS], 3 * task[N_SPANS])
    for i in range(0, spans.size, 3):
        copy(spans[i + 1], spans[i], spans[i + 2])


@helper()
def copy(address, target, size):
    """Copy bytes from one address to another."""
    source, copied = uint8s(address, size), uint8s(target, size)
    for i in range(size):
        copied[i] = source[i]


@helper()
def call_briefly(address, field):
    """Call the object in a field of a task, and ignore its result; returns a status.

    The status is zero, or `STOPPED` if the object raised an error.
    """
    state = acquire_gil()
    return conclude(address, call_object(int64s(address, LENGTH)[field]), state)


@helper()
def conclude(address, value, state):
    """Release a result and the GIL; returns zero, or `STOPPED` if Python raised an error."""
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

    During a comparison, `AFTER_CALL` is not called, and `WAS_CALLED` not set: a function with a
    tape rebinds nothing.
    """
    task = int64s(address, LENGTH)
    uint8s(task[OUTPUT], task[N_OUTPUTS] * task[ITEMSIZE])  # check bounds before the GIL is held
    save(task)
    state = acquire_gil()
    value = call_object(task[CALLED])
    if value != 0 and task[STORE] != 0:
        kinds = int64s(task[KINDS], N_KINDS)
        if not store_value(value, task[N_OUTPUTS], task[OUTPUT], task[ITEMSIZE], kinds):
            stored = call_object_of_one(task[STORE], value)
            decref(value)
            value = stored
    if task[WAS_CALLED] != 0 and task[PATH] == 0:
        int64s(task[WAS_CALLED], 1)[0] = 1
    if value != 0 and task[AFTER_CALL] != 0 and task[PATH] == 0:
        decref(value)
        value = call_object(task[AFTER_CALL])
    if value == 0:
        restore(task)
    return conclude(address, value, state)


@helper()
def compare_with_python(address):
    """Carry out a task both ways, see `compare`; returns a status.

    The GIL is held from before the tape reads anything until the end, so that no other thread
    changes what the tape and Python read.
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
    if task[TAPE] != 0 and task[WAS_CALLED] != 0 and int64s(task[WAS_CALLED], 1)[0] != 0:
        status = call_briefly(address, CHECK)
        if status != 0:
            return status
    done = IN_PYTHON if task[TAPE] == 0 else call(task[PERFORM], task[TAPE])
    if done == IN_PYTHON:
        return call(task[CALL], address)
    return compare_with_python(address) if done > OUT_OF_BOUNDS else done


@kernel(exact=True)
def run_functions(memory: Memory, task: Address) -> int:
    """Carry out a Python function: execute its tape, or call Python.

    Subnormal numbers are enabled meanwhile, even if kernels flush them to zero (see `run`).
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
    """Execute a tape at one point after the other, until Python is needed.

    The tape reads ``n_in`` numbers at ``point``, and stores ``n_out`` numbers at ``result``. The
    index of the current point is at ``number``. Returns how many points are complete.
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
