"""Kernels on their way to another process: whatever they refer to comes with them."""

import io
import math
import os
import pickle

import numpy as np
import pytest

from nengo_jit.engines.cpu.kernels import operator
from nengo_jit.engines.cpu.kernels.neurons import kernel_of
from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.language.primitives import FLOAT64, Signature, compilable, helper
from nengo_jit.engines.cpu.toolchain.fingerprint import fingerprint
from nengo_jit.engines.cpu.toolchain.jobs import job_for, receive, send, source_of
from nengo_jit.neurons import formulas

FACTOR = np.float32(2.5)
TABLE = np.arange(3.0)


@helper(forceinline=True)
def doubled(x, factor=2.0):
    return factor * x


@compilable
def half(x):
    return 0.5 * doubled(x)


def everything(memory, table):
    return half(3.0) + FACTOR + TABLE[1] + math.sqrt(4.0) + np.float64(1.0) + recursive(3)


def recursive(n):
    return 1 if n == 0 else n * recursive(n - 1)


def there(function, **options):
    """The task that arrives for a function."""
    return source_of(job_for("name", function, Signature("name"), FLOAT64, ("nsz",)))


def test_functions_do_the_same_there():
    task = there(everything)
    assert task.function is not everything
    assert task.function(None, 0) == everything(None, 0)
    assert fingerprint(task.function) == fingerprint(everything)
    assert (task.dtype, task.fastmath) == (FLOAT64, ("nsz",))


def test_closures_come_along():
    def outer(factor):
        def inner(memory, table):
            return factor * table if table == 0 else inner(memory, table - 1) + factor

        return inner

    assert there(outer(5)).function(None, 3) == outer(5)(None, 3)


def test_helpers_and_formulas_are_known_there():
    task = there(everything)
    (function,), (formula,) = task.helpers, task.formulas
    assert task.helpers[function] == {"forceinline": True}
    assert (function.__name__, formula.__name__) == ("doubled", "half")
    assert formula(4.0) == 4.0
    assert formula.__globals__["doubled"] is function  # what the compiler knows is what is called
    task.register()
    assert primitives.HELPERS.pop(function) and primitives.FORMULAS.pop(formula)


def test_functions_that_several_kernels_call_are_the_same_there():
    def another(memory, table):
        return doubled(table)

    (first,), (second,) = there(everything).helpers, there(another).helpers
    assert first is second is not doubled


def test_functions_of_the_package_are_the_same_there():
    called = there(operator.copy_inc.function).function.__globals__
    assert called["vector"] is primitives.vector


@pytest.mark.parametrize("formula", formulas(), ids=lambda formula: str(formula.step.__module__))
def test_all_formulas_arrive(formula):
    function = kernel_of(formula).function
    assert fingerprint(there(function).function) == fingerprint(function)


def test_longer_functions_are_more_work():
    def short(memory, table):
        return 0

    long, brief = (job_for("", f, Signature("name"), FLOAT64, ()) for f in (everything, short))
    assert long.work > brief.work > 0


def test_messages_arrive_one_by_one():
    read, write = (os.fdopen(file, mode) for file, mode in zip(os.pipe(), ("rb", "wb")))
    with read, write:
        for message in ("a", [1, None], b"\0" * 1000):
            send(write, message)
        write.close()
        assert [receive(read) for _ in range(3)] == ["a", [1, None], b"\0" * 1000]
        with pytest.raises(EOFError):
            receive(read)


def test_a_message_that_ends_too_early_is_an_error():
    file = io.BytesIO()
    send(file, "message")
    with pytest.raises((EOFError, pickle.UnpicklingError)):
        receive(io.BytesIO(file.getvalue()[:-3]))
