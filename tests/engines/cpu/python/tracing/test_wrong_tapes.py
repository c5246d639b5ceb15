"""Tapes that were made wrong on purpose are found out, whichever instruction is wrong."""

import ctypes
import math
from unittest.mock import patch

import numpy as np
import pytest
from compiling import compiled

from nengo_jit.builder import Model
from nengo_jit.builder.operator import SimPyFunc
from nengo_jit.builder.signal import Signal, address
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.language.operations import Operation
from nengo_jit.engines.cpu.python import tapes_in_use
from nengo_jit.engines.cpu.python.instructions import (
    PART_WIDTH,
    Field,
    GroupHead,
    Opcode,
    Part,
)
from nengo_jit.engines.cpu.python.tracing.addresses import c_function, loop_of
from nengo_jit.engines.reference import ReferenceBackend

N_PROOFS, INTERVAL = 20, 1000
TABLE = np.arange(1.0, 7.0) ** 2


def counter():
    counts = np.zeros(1, np.int64)

    def function(t, x):
        counts[0] += 3
        return counts[0] + x[0]

    return function


def switch():
    switched = np.zeros(1, bool)

    def function(t, x):
        switched[0] = not switched[0]
        return switched[0] + x[0]

    return function


def short_table():
    gains = np.array([0.5, 0.25, 2.0], np.float32)

    def function(t, x):
        gains[1:] = gains[:-1]
        gains[0] = x[0]
        return x[0]

    return function


def constantly(function):
    return lambda: function


def where_positive(t, x):
    v = x.copy()
    v[v > 0] = np.tanh(v[v > 0])
    return v


FUNCTIONS = {
    Opcode.BRANCH: constantly(lambda t, x: 1.5 * x[0] if x[0] > 0 else x[1]),
    Opcode.FUNCTION: constantly(lambda t, x: math.sin(x[0])),
    Opcode.FUNCTION_OF_TWO: constantly(lambda t, x: math.atan2(x[0], x[1])),
    Opcode.LOOP: constantly(lambda t, x: np.sin(x)),
    Opcode.LOOP_SHORT: constantly(lambda t, x: np.sin(x.astype(np.float32))),
    Opcode.CALL: constantly(lambda t, x: np.cumsum(x)),
    Opcode.POSITIONS: constantly(where_positive),
    Opcode.PUT: constantly(where_positive),
    Opcode.PACK: constantly(lambda t, x: np.sin(x.astype(np.float32))),
    Opcode.UNPACK: constantly(lambda t, x: np.sin(x.astype(np.float32))),
    Opcode.LOAD: constantly(lambda t, x: x),
    Opcode.LOAD_SHORT: short_table,
    Opcode.LOAD_INTEGERS: counter,
    Opcode.LOAD_BOOLEANS: switch,
    Opcode.STORE: constantly(lambda t, x: x[::-1]),
    Opcode.STORE_SHORT: short_table,
    Opcode.STORE_INTEGERS: counter,
    Opcode.STORE_BOOLEANS: switch,
    Opcode.GATHER: constantly(lambda t, x: x[[2, 0, 1]] * x),
    Opcode.LOOKUP: constantly(lambda t, x: TABLE[round(2 + 2 * x[0])] + 0 * x),
    Opcode.ROLL: constantly(lambda t, x: np.roll(x, int(t * 1000) % 3)),
    Opcode.FIND: constantly(lambda t, x: x[::-1] * np.argmax(x)),
    Opcode.TAKE: constantly(where_positive),
    Opcode.GROUP: constantly(lambda t, x: (np.tile(x, 7) * 2.0 + np.tile(x, 7) ** 2)[5:8]),
    Opcode.MOVE: constantly(lambda t, x: x + np.max(x)),
    Opcode.ADD: constantly(lambda t, x: x + x[0]),
    Opcode.SUBTRACT: constantly(lambda t, x: x - t),
    Opcode.MULTIPLY: constantly(lambda t, x: x * x[::-1]),
    Opcode.DIVIDE: constantly(lambda t, x: x[0] / x[1]),
    Opcode.REMAINDER: constantly(lambda t, x: x[0] % x[1]),
    Opcode.FLOOR_DIVIDE: constantly(lambda t, x: 9 * x[0] // x[1]),
    Opcode.NEGATIVE: constantly(lambda t, x: -x),
    Opcode.ABSOLUTE: constantly(lambda t, x: abs(x[0]) + x[0] / 2),
    Opcode.SQRT: constantly(lambda t, x: math.sqrt(2 + x[0])),
    Opcode.FLOOR: constantly(lambda t, x: math.floor(9 * x[0])),
    Opcode.CEIL: constantly(lambda t, x: math.ceil(9 * x[0])),
    Opcode.TRUNC: constantly(lambda t, x: math.trunc(9 * x[0])),
    Opcode.RINT: constantly(lambda t, x: round(9 * x[0])),
    Opcode.INTEGER: constantly(lambda t, x: int(9 * x[0])),
    Opcode.LESS: constantly(lambda t, x: x < 0),
    Opcode.LESS_EQUAL: constantly(lambda t, x: x <= 0),
    Opcode.EQUAL: constantly(lambda t, x: x == np.abs(x)),
    Opcode.NOT_EQUAL: constantly(lambda t, x: x != np.abs(x)),
    Opcode.AND: constantly(lambda t, x: (x > 0) & (x < 5)),
    Opcode.OR: constantly(lambda t, x: (x > 0) | (x < -5)),
    Opcode.NOT: constantly(lambda t, x: ~(x > 0)),
    Opcode.SELECT: constantly(lambda t, x: np.where(x > 0, x, t)),
    Opcode.SHORT: short_table,
}
ELEMENTWISE = [each for each in Opcode if each >= Opcode.MOVE]
LASTS = {Opcode.RETURN, Opcode.REDO, Opcode.COMMIT}  # compute nothing
PARTS = {Opcode.SPREAD, Opcode.CHECK}  # are in groups
BOUNDS = {Opcode.LARGEST}  # may only make Python be called, or not
OTHERS = {  # another operation that can take the place of one
    **dict.fromkeys(ELEMENTWISE, Opcode.NEGATIVE),
    Opcode.NEGATIVE: Opcode.MOVE,
    Opcode.ABSOLUTE: Opcode.FLOOR,
    Opcode.LOAD: Opcode.LOAD_BOOLEANS,
    Opcode.LOAD_INTEGERS: Opcode.LOAD,
    Opcode.STORE: Opcode.STORE_BOOLEANS,
    Opcode.STORE_SHORT: Opcode.STORE_BOOLEANS,
    Opcode.STORE_INTEGERS: Opcode.STORE_SHORT,
}
LOOPS = Opcode.LOOP, Opcode.LOOP_SHORT
STORES = [each for each in Opcode if Opcode.STORE <= each <= Opcode.STORE_BOOLEANS]
FOR_RESULTS = np.zeros(64)
NUMBERS = np.full(64, 1.123)
OTHER_MEMORY = {
    Opcode.LOAD_SHORT: np.full(64, 0.125, np.float32),
    Opcode.UNPACK: np.full(64, 0.125, np.float32),
    Opcode.LOAD_INTEGERS: np.full(64, 5),
    Opcode.LOAD_BOOLEANS: np.full(64, 7, np.uint8),
    Opcode.GATHER: np.full(64, address(NUMBERS)),
}


def does_nothing():
    return True


def last_part(line):
    """The last part of a group."""
    head = (ctypes.c_int64 * len(GroupHead)).from_address(int(line[Field.GROUP]))
    n_before = head[GroupHead.N_FIRST] + head[GroupHead.N_PARTS] - 1
    place = len(GroupHead) + n_before * PART_WIDTH
    return (ctypes.c_int64 * PART_WIDTH).from_address(int(line[Field.GROUP]) + 8 * place)


def other_operation(line):
    if line[Field.OPCODE] == Opcode.GROUP:
        last_part(line)[Part.OPERATION] = Operation.SUBTRACT
        return
    line[Field.OPCODE] = OTHERS[line[Field.OPCODE]]


def other_operand(line):
    if line[Field.OPCODE] == Opcode.GROUP:
        last_part(line)[Part.A] = address(NUMBERS)
    elif line[Field.OPCODE] in LOOPS:
        ctypes.c_int64.from_address(int(line[Field.ARGUMENTS])).value = address(NUMBERS)
    elif line[Field.OPCODE] == Opcode.CALL:
        line[Field.OBJECT] = id(does_nothing)
    else:
        memory = OTHER_MEMORY.get(line[Field.OPCODE], NUMBERS)
        line[Field.A] = address(memory) + memory.nbytes // 2  # operands may go either way


def lost_result(line):
    if line[Field.OPCODE] == Opcode.GROUP:
        last_part(line)[Part.RESULT] = address(FOR_RESULTS)
        return
    line[Field.RESULT] = address(FOR_RESULTS)
    if line[Field.OPCODE] in STORES:
        line[Field.SHADOW] = line[Field.RESULT]
    elif line[Field.OPCODE] in LOOPS:
        ctypes.c_int64.from_address(int(line[Field.ARGUMENTS]) + 8).value = int(line[Field.RESULT])


def fewer_elements(line):
    line[Field.N] -= 1


def other_target(line):
    line[Field.TARGET] = 4  # which follows the branch, wherever that leads to


def other_function(line):
    place, function = {
        Opcode.FUNCTION: (Field.FUNCTION, c_function("cos")),
        Opcode.FUNCTION_OF_TWO: (Field.FUNCTION_OF_TWO, c_function("hypot")),
        Opcode.LOOP: (Field.LOOP, loop_of(np.cos, "d->d")[0]),
        Opcode.LOOP_SHORT: (Field.LOOP, loop_of(np.cos, "f->f")[0]),
    }[line[Field.OPCODE]]
    line[place] = function


def cases():
    for operation in FUNCTIONS:
        if operation == Opcode.BRANCH:
            yield from ((operation, change) for change in (other_operand, other_target))
            continue
        if operation != Opcode.FIND:  # which would find nothing
            yield operation, other_operand
        if operation != Opcode.CALL:  # the object that is called knows where its result goes
            yield operation, lost_result
        if operation in OTHERS or operation == Opcode.GROUP:
            yield operation, other_operation
        if operation in (Opcode.FUNCTION, Opcode.FUNCTION_OF_TWO, *LOOPS):
            yield operation, other_function
        elif operation in (Opcode.LOAD, Opcode.STORE, Opcode.GATHER, Opcode.ADD, Opcode.SELECT):
            yield operation, fewer_elements


HAVE_STATE = {
    Opcode.LOAD_INTEGERS,
    Opcode.LOAD_BOOLEANS,
    Opcode.STORE_INTEGERS,
    Opcode.STORE_BOOLEANS,
}
HAVE_STATE |= {Opcode.LOAD_SHORT, Opcode.STORE_SHORT, Opcode.SHORT}
named = pytest.mark.parametrize(
    "operation, change",
    [pytest.param(*case, id=f"{case[0].name}-{case[1].__name__}") for case in cases()],
)


def test_every_instruction_has_a_case():
    assert set(FUNCTIONS) == set(Opcode) - LASTS - PARTS - BOUNDS


class Pair:
    """A function, run step by step by either engine on the same input."""

    def __init__(self, make):
        self.engines, self.rng = [], np.random.RandomState(0)
        for engine_class in (CpuBackend, ReferenceBackend):
            model = Model()
            self.x, self.output = Signal(np.zeros(3)), Signal(np.zeros(3))
            model.add_op(SimPyFunc(self.output, make(), t=model.time, x=self.x))
            engine = compiled(model, engine_class)
            engine.reset(0)
            engine.explain()
            self.engines.append((engine, self.x, self.output))
        self.callback = self.engines[0][0].callbacks[0]

    def step(self):
        """Carry out a step; tells whether both are equal."""
        row = self.rng.uniform(0.2, 0.9, 3) * self.rng.choice([-1, 1], 3)
        results = []
        with patch.object(tapes_in_use, "WORTH_CHECKING", 0):  # tapes, even for a single step
            for engine, x, output in self.engines:
                engine.signals[x] = row
                engine.run(1)
                results.append(engine.signals[output].tobytes())
        return results[0] == results[1]

    def change(self, operation, change):
        code = self.callback.traced.tape.code
        change(
            max(
                (line for line in code[1:] if line[Field.OPCODE] == operation),
                key=lambda line: line[Field.N],
            )
        )


@pytest.fixture(autouse=True)
def as_often_as_users_have_it(compare_tapes):
    compare_tapes(N_PROOFS, INTERVAL)


@named
def test_no_wrong_value_is_used_if_a_tape_is_wrong_from_the_beginning(operation, change, caplog):
    pair = Pair(FUNCTIONS[operation])
    pair.change(operation, change)
    assert all(pair.step() for _ in range(100))
    assert pair.callback.wrong
    assert "None of its results on this path had been used." in caplog.text
    ((_, remark),) = pair.engines[0][0].explain().in_python
    assert remark == pair.callback.wrong


@named
def test_a_tape_that_becomes_wrong_is_found_out_within_a_thousand_calls(operation, change, caplog):
    pair = Pair(FUNCTIONS[operation])
    assert all(pair.step() for _ in range(100))
    assert not pair.callback.wrong
    pair.change(operation, change)
    are_equal = [pair.step() for _ in range(INTERVAL) if not pair.callback.wrong]
    assert pair.callback.wrong
    assert operation in HAVE_STATE or not all(are_equal)
    assert "Up to 999 earlier results may be wrong, too." in caplog.text
    if operation not in HAVE_STATE:
        assert all(pair.step() for _ in range(100))
