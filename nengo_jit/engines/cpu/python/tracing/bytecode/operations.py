"""Instructions for operators, comparisons and subscripts."""

from __future__ import annotations

import dis
import operator
from types import BuiltinFunctionType, FunctionType, ModuleType

import numpy as np

from nengo_jit.engines.cpu.python.tracing.bytecode.frame import Frame, Handler, argument, handles
from nengo_jit.engines.cpu.python.tracing.indexing import (
    change,
    change_selection,
    get_item,
    set_item,
)
from nengo_jit.engines.cpu.python.tracing.operators import (
    apply,
)
from nengo_jit.engines.cpu.python.tracing.rows import change_row
from nengo_jit.engines.cpu.python.tracing.selections import (
    Selection,
)
from nengo_jit.engines.cpu.python.tracing.truths import compare, truth
from nengo_jit.engines.cpu.python.tracing.ufuncs import Operator
from nengo_jit.engines.cpu.python.tracing.values import (
    Array,
    Row,
    Unsupported,
    Value,
    described,
    is_known,
)

BINARY: dict[str, Operator] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "@": operator.matmul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
}
UNARY: dict[str, Operator] = {
    "UNARY_NEGATIVE": operator.neg,
    "UNARY_POSITIVE": operator.pos,
    "UNARY_INVERT": operator.invert,
}


@handles("BINARY_OP")
def _binary_op(frame: Frame, instruction: dis.Instruction) -> None:
    b, a = frame.stack.pop(), frame.stack.pop()
    symbol = instruction.argrepr
    is_in_place = symbol.endswith("=")
    if is_in_place and isinstance(a, list):
        raise Unsupported(f"changes a list by `{symbol}`")
    value = apply(frame.tracer, BINARY[symbol.rstrip("=")], a, b)
    if is_in_place and isinstance(a, Selection):
        assert isinstance(value, Selection)
        change_selection(frame.tracer, a, value)
        value = a
    if is_in_place and isinstance(a, Row):
        change_row(frame.tracer, a, value)
        value = a
    elif is_in_place and isinstance(a, Array):
        change(frame.tracer, a, value)
        value = a
    frame.stack.append(value)


def _unary(function: Operator) -> Handler:
    def handler(frame: Frame, instruction: dis.Instruction) -> None:
        frame.stack.append(apply(frame.tracer, function, frame.stack.pop()))

    return handler


for _name, _function in UNARY.items():
    handles(_name)(_unary(_function))


@handles("UNARY_NOT")
def _unary_not(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(not truth(frame.tracer, frame.stack.pop()))


@handles("COMPARE_OP")
def _compare_op(frame: Frame, instruction: dis.Instruction) -> None:
    b, a = frame.stack.pop(), frame.stack.pop()
    frame.stack.append(compare(frame.tracer, instruction.argval, a, b))


@handles("IS_OP")
def _is_op(frame: Frame, instruction: dis.Instruction) -> None:
    b, a = frame.stack.pop(), frame.stack.pop()
    frame.stack.append(_are_identical(a, b) != bool(argument(instruction)))


def _are_identical(a: Value, b: Value) -> bool:
    """Whether values are the same object, for types of which tracing keeps the identity."""
    if a is None or b is None or (type(a) is bool and type(b) is bool):
        return a is b
    kinds = (list, tuple, type, FunctionType, BuiltinFunctionType, ModuleType, np.ufunc)
    if type(a) in kinds and type(b) in kinds:
        return a is b
    raise Unsupported("compares the identity of values")


@handles("CONTAINS_OP")
def _contains_op(frame: Frame, instruction: dis.Instruction) -> None:
    values, value = frame.stack.pop(), frame.stack.pop()
    if not isinstance(values, (list, tuple)):
        raise Unsupported(f"searches {described(values)}")
    found = any(
        (is_known(each) and each is value)
        or truth(frame.tracer, compare(frame.tracer, "==", each, value))
        for each in values
    )
    frame.stack.append(found != bool(argument(instruction)))


@handles("BINARY_SUBSCR")
def _binary_subscr(frame: Frame, instruction: dis.Instruction) -> None:
    key, value = frame.stack.pop(), frame.stack.pop()
    frame.stack.append(get_item(frame.tracer, value, key))


@handles("BINARY_SLICE")
def _binary_slice(frame: Frame, instruction: dis.Instruction) -> None:
    value, start, stop = frame.pop(3)
    frame.stack.append(get_item(frame.tracer, value, slice(start, stop)))


@handles("STORE_SUBSCR")
def _store_subscr(frame: Frame, instruction: dis.Instruction) -> None:
    value, target, key = frame.pop(3)
    set_item(frame.tracer, target, key, value)


@handles("STORE_SLICE")
def _store_slice(frame: Frame, instruction: dis.Instruction) -> None:
    value, target, start, stop = frame.pop(4)
    set_item(frame.tracer, target, slice(start, stop), value)
