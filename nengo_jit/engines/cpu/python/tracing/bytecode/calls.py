"""Instructions that look up attributes and call functions."""

from __future__ import annotations

import dis

from nengo_jit.engines.cpu.python.tracing.bytecode.frame import (
    IS_312,
    IS_313,
    NULL,
    Cell,
    Frame,
    argument,
    handles,
)
from nengo_jit.engines.cpu.python.tracing.bytecode.variables import variable_of_closure
from nengo_jit.engines.cpu.python.tracing.guards import MISSING
from nengo_jit.engines.cpu.python.tracing.iterators import elements
from nengo_jit.engines.cpu.python.tracing.values import Unsupported, Value


@handles("LOAD_ATTR")
def _load_attr(frame: Frame, instruction: dis.Instruction) -> None:
    value = frame.interpreter.attribute(frame.stack.pop(), instruction.argval)
    is_method = IS_312 and argument(instruction) & 1
    if is_method:
        frame.stack += [value, NULL] if IS_313 else [NULL, value]
    else:
        frame.stack.append(value)


@handles("LOAD_METHOD")
def _load_method(frame: Frame, instruction: dis.Instruction) -> None:
    value = frame.interpreter.attribute(frame.stack.pop(), instruction.argval)
    frame.stack += [NULL, value]


@handles("KW_NAMES")
def _kw_names(frame: Frame, instruction: dis.Instruction) -> None:
    frame.keywords = frame.code.co_consts[argument(instruction)]


@handles("CALL")
def _call(frame: Frame, instruction: dis.Instruction) -> None:
    keywords, frame.keywords = frame.keywords, ()
    args = frame.pop(argument(instruction))
    n = len(args) - len(keywords)
    _call_with(frame, tuple(args[:n]), dict(zip(keywords, args[n:])))


@handles("CALL_KW")
def _call_kw(frame: Frame, instruction: dis.Instruction) -> None:
    keywords = frame.stack.pop()
    assert isinstance(keywords, tuple)
    frame.keywords = keywords
    _call(frame, instruction)


@handles("CALL_FUNCTION_EX")
def _call_function_ex(frame: Frame, instruction: dis.Instruction) -> None:
    kwargs = frame.stack.pop() if argument(instruction) & 1 else {}
    assert isinstance(kwargs, dict)
    args = elements(frame.tracer, frame.stack.pop())
    _call_with(frame, tuple(args), kwargs)


def _call_with(frame: Frame, args: tuple[Value, ...], kwargs: dict[str, Value]) -> None:
    first, second = frame.pop(2)
    if first is NULL:
        function = second
    else:
        function = first
        args = args if second is NULL else (second, *args)
    if function is super and not args:
        args = _arguments_of_super(frame)
    frame.stack.append(frame.interpreter.call(function, args, kwargs))


def _arguments_of_super(frame: Frame) -> tuple[Value, Value]:
    """What `super` takes from the frame if it gets no arguments."""
    names = frame.code.co_varnames[: frame.code.co_argcount]
    owner = frame.variables.get(names[0], MISSING) if names else MISSING
    if isinstance(owner, Cell):
        owner = owner.cell_contents
    if owner is MISSING or "__class__" not in frame.code.co_freevars:
        raise Unsupported("calls `super` outside of a method")
    return variable_of_closure(frame, "__class__"), owner


@handles("LOAD_SUPER_ATTR")
def _load_super_attr(frame: Frame, instruction: dis.Instruction) -> None:
    function, after, owner = frame.pop(3)
    found = frame.interpreter.call(function, (after, owner), {})
    value = frame.interpreter.attribute(found, frame.code.co_names[argument(instruction) >> 2])
    is_method = argument(instruction) & 1
    if is_method:
        frame.stack += [value, NULL] if IS_313 else [NULL, value]
    else:
        frame.stack.append(value)


@handles("RETURN_GENERATOR")
def _return_generator(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(None)
