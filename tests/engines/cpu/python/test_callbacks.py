"""Python functions that are called in Python: what they return is stored as NumPy would do it."""

import signal
import sys
import traceback
from decimal import Decimal
from fractions import Fraction

import nengo.builder.operator
import numpy as np
import pytest
from compiling import compiled

from nengo_jit.builder import Model, Operator, Signal
from nengo_jit.builder.operator import SimPyFunc
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import Address, Memory, call_loop
from nengo_jit.engines.cpu.program.lowering import LOWERINGS
from nengo_jit.engines.cpu.python import objects
from nengo_jit.engines.cpu.toolchain.loader import in_c_library
from nengo_jit.engines.reference import ReferenceBackend


def make_engine(engine_class, model):
    engine = compiled(model, engine_class, compile_python=False)
    engine.reset(0)
    return engine


def result_of(engine_class, function, output):
    """What one step makes of the output, as bytes, or the error."""
    model = Model()
    model.add_op(SimPyFunc(output, function, None, None))
    engine = make_engine(engine_class, model)
    try:
        engine.run(1)
    except Exception as error:
        assert engine.n_steps == 0
        return engine.signals[output].tobytes(), type(error), str(error)
    return engine.signals[output].tobytes()


class Float(float):
    pass


class List(list):
    def __iter__(self):
        return iter([7.0, 8.0])


class Arraylike:
    def __array__(self, dtype=None, copy=None):
        return np.array([5.0, 6.0])


class Numberlike:
    def __float__(self):
        return 1.5


def unaligned():
    array = np.zeros(17, np.uint8)[1:].view(np.float64)
    array[:] = 0.1, 0.2
    return array


VALUES = {
    "float": 0.1,
    "negative zero": -0.0,
    "smallest": 5e-324,
    "largest": sys.float_info.max,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "float64": np.float64(0.1),
    "infinite float64": np.float64("-inf"),
    "float32": np.float32(0.1),
    "subclass of float": Float(0.1),
    "int": 3,
    "int that is rounded": 2**53 + 1,
    "int that is rounded up": 2**62 + 513,
    "largest int64": 2**63 - 1,
    "lowest int64": -(2**63),
    "uint64": 2**63,
    "large int": 2**70,
    "huge int": 10**400,
    "True": True,
    "bool_": np.True_,
    "int64": np.int64(-3),
    "complex": 1j,
    "None": None,
    "text": "1.5",
    "Fraction": Fraction(1, 3),
    "Decimal": Decimal("0.1"),
    "like a number": Numberlike(),
    "like an array": Arraylike(),
    "dict": {},
    "range": range(2),
    "set": {1.0, 2.0},
    "bytes": b"ab",
    "memory": memoryview(np.array([0.1, 0.2])),
    "list": [0.1, 0.2],
    "tuple": (0.1, 0.2),
    "ints": [1, -2],
    "bools": (True, False),
    "mixed": [1, 0.5],
    "float64s": [np.float64(0.1), np.float64(-0.0)],
    "float32s": [np.float32(0.1), 0.2],
    "rounded ints": [2**53 + 1, 0.5],
    "uint64s": [2**63, 1],
    "large ints": [2**70, 1.0],
    "larger ints": [2**70, 2**71],
    "huge ints": [10**400, 1.0],
    "Fractions": [Fraction(1, 2), 1.0],
    "Decimals": (Decimal("0.5"), 1.0),
    "numberlikes": [Numberlike(), 1.0],
    "texts": ["1", "2"],
    "Nones": [0.5, None],
    "infinite last": [0.5, float("inf")],
    "not a number first": (float("nan"), 0.5),
    "infinite items": [np.float64("inf"), 0.5],
    "nested": [[0.1, 0.2]],
    "column": [[0.1], [0.2]],
    "ragged": [[0.1], [0.2, 0.3]],
    "arrays": [np.array(0.1), np.array(0.2)],
    "one": [0.1],
    "one of an array": np.array([0.1]),
    "three": (0.1, 0.2, 0.3),
    "empty": [],
    "empty tuple": (),
    "subclass of list": List([1.0, 2.0]),
    "array": np.array([0.1, -0.0]),
    "strided": np.arange(4.0)[1::2],
    "reversed": np.array([0.1, 0.2])[::-1],
    "repeated": np.broadcast_to(np.array([0.1]), 2),
    "row": np.array([[0.1, 0.2]]),
    "column of an array": np.array([[0.1], [0.2]]),
    "scalar of an array": np.array(0.1),
    "too long": np.arange(3.0),
    "no numbers": np.zeros(0),
    "array of float32": np.array([0.1, 0.2], np.float32),
    "array of ints": np.array([2**53 + 1, 2]),
    "array of bools": np.array([True, False]),
    "array of objects": np.array([0.1, 1], object),
    "array of complex": np.array([1j, 0]),
    "swapped bytes": np.array([0.1, 0.2]).astype(">f8"),
    "read-only": np.frombuffer(np.array([0.1, 0.2]).tobytes()),
    "unaligned": unaligned(),
    "array with infinity": np.array([0.1, np.inf]),
    "array with NaN": np.array([np.nan, 0.1]),
    "large numbers": np.array([1e308, -1e308]),
    "nested number": [[0.1]],
    "array in a list": [np.array([0.1])],
    "arrays in a tuple": (np.array([0.1]), np.array([0.2])),
    "complex without imaginary part": 0.5 + 0j,
    "complex number of NumPy": np.complex128(0.5),
    "list of complex": [0.5, 1j],
    "masked nowhere": np.ma.array([0.1, 0.2], mask=[False, False]),
    "masked everywhere": np.ma.array([0.1], mask=[True]),
    "masked constant": np.ma.masked,
    "masked": np.ma.array([0.1, 0.2], mask=[True, False]),
    "matrix": np.ones((1, 2)).view(np.matrix),
    "record": np.zeros(2, [("x", float)]),
}
OUTPUTS = {
    "two": lambda: Signal([5.0, 6.0]),
    "one": lambda: Signal([5.0]),
    "scalar": lambda: Signal(5.0),
    "column": lambda: Signal([[5.0], [6.0]]),
    "with gaps": lambda: Signal(np.arange(4.0))[::2],
    "single precision": lambda: Signal(np.array([5.0, 6.0], np.float32)),
    "integers": lambda: Signal(np.array([5, 6])),
}


@pytest.mark.parametrize("shape", OUTPUTS)
@pytest.mark.parametrize("kind", VALUES)
def test_whatever_is_returned_is_stored_as_the_reference_engine_does(kind, shape):
    def function():
        return VALUES[kind]

    output = OUTPUTS[shape]()
    with np.errstate(over="ignore"):  # in single precision
        actual, expected = (
            result_of(each, function, output) for each in (CpuBackend, ReferenceBackend)
        )
    assert actual == expected


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("shape", ["two", "one"])
@pytest.mark.parametrize("kind", VALUES)
def test_whatever_is_returned_is_stored_as_nengo_does(kind, shape):
    outcomes = []
    for operator in (SimPyFunc, nengo.builder.operator.SimPyFunc):
        output = OUTPUTS[shape]()
        signals = {output: np.array(output.initial_value)}
        step = operator(output, lambda: VALUES[kind], None, None).make_step(signals, 0.001, None)
        try:
            step()
        except Exception as error:
            words = "non-finite" if "non-finite" in str(error) else ""
            outcomes.append((type(error), words))
        else:
            outcomes.append(signals[output].tobytes())
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("kind", VALUES)
def test_objects_that_lie_in_memory_in_another_way_are_left_to_python(kind, monkeypatch):
    monkeypatch.setattr("nengo_jit.engines.cpu.python.callee.KINDS", np.zeros(objects.N_KINDS, int))
    test_whatever_is_returned_is_stored_as_the_reference_engine_does(kind, "two")


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_result_may_overlap_with_the_output(shift):
    model = Model()
    block = Signal(np.arange(6.0))
    model.add_op(SimPyFunc(block[2:5], lambda: memory[2 + shift : 5 + shift], None, None))
    engine = make_engine(CpuBackend, model)
    memory = engine.signals[block]
    expected = np.arange(2.0, 5.0) + shift
    engine.run(1)
    assert np.array_equal(memory[2:5], expected)


@pytest.mark.parametrize("kind", ["float64", "list", "tuple", "array", "strided", "row"])
def test_what_is_returned_is_not_kept(kind):
    value = VALUES[kind]
    model = Model()
    output = Signal([5.0, 6.0])
    model.add_op(SimPyFunc(output, lambda: value, None, None))
    engine = make_engine(CpuBackend, model)
    objects_before = [value, *(value if isinstance(value, (list, tuple)) else [])]
    before = [sys.getrefcount(each) for each in objects_before]
    engine.run(300)
    after = [sys.getrefcount(each) for each in objects_before]
    assert np.abs(np.subtract(after, before)).max() < 50


def test_an_error_tells_where_it_comes_from():
    def culprit(x):
        raise ValueError("my own mistake")

    model = Model()
    model.add_op(SimPyFunc(Signal([0.0]), culprit, None, Signal([0.0])))
    engine = make_engine(CpuBackend, model)
    for _ in range(2):  # each time it is another one
        with pytest.raises(ValueError, match="my own mistake") as caught:
            engine.run(5)
        assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "culprit"
        assert len(getattr(caught.value, "__notes__", [""])) == 1


def test_an_error_has_the_cause_that_it_was_raised_from():
    def culprit(x):
        try:
            return 1 / x[0]
        except ZeroDivisionError as cause:
            raise KeyError("x") from cause

    model = Model()
    model.add_op(SimPyFunc(Signal([0.0]), lambda x: culprit(x.tolist()), None, Signal([0.0])))
    with pytest.raises(KeyError, match="x") as caught:
        make_engine(CpuBackend, model).run(1)
    assert type(caught.value.__cause__) is ZeroDivisionError


@kernel()
def interrupt(memory: Memory, function: Address, number: int) -> None:
    """Tell Python of a signal: the address of ``PyErr_SetInterruptEx``, and the number."""
    call_loop(function, number, 0, 0, 0)


class Interrupt(Operator):
    """Ctrl-C in every step, while compiled code is running."""

    def __init__(self, output):
        super().__init__(sets=[output], incs=[], reads=[], updates=[])


def test_ctrl_c_between_two_functions(monkeypatch, ctrl_c):
    function = in_c_library("PyErr_SetInterruptEx")
    row = interrupt.row(function=function, number=int(signal.SIGINT))
    monkeypatch.setitem(LOWERINGS, Interrupt, lambda *_: [row])
    interrupted = Signal([0.0])
    calls = []
    model = Model()
    model.add_op(Interrupt(interrupted))
    model.add_op(SimPyFunc(Signal([0.0]), calls.append, None, interrupted))
    engine = make_engine(CpuBackend, model)
    with pytest.raises(KeyboardInterrupt):
        engine.run(10)
    assert (engine.n_steps, calls) == (0, [])
