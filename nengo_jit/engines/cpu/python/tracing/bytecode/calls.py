"""Instructions that look up attributes and call functions."""

from __future__ import annotations

import dis

from nengo_jit.engines.cpu.python.tracing.bytecode.frame import (
    IS_312,
    IS_313,
    NULL,
    Frame,
    argument,
    handles,
)
from nengo_jit.engines.cpu.python.tracing.iterators import elements
from nengo_jit.engines.cpu.python.tracing.values import Value


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
    frame.stack.append(frame.interpreter.call(function, args, kwargs))


@handles("RETURN_GENERATOR")
def _return_generator(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(None)
