"""The frame of a traced function, and the table of handlers for CPython's instructions."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Protocol, TypeAlias

from nengo_jit.engines.cpu.python.tracing.guards import MISSING
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import LocalFunction, Unsupported, Value

IS_KNOWN_PYTHON = sys.version_info < (3, 14)
IS_312, IS_313 = sys.version_info >= (3, 12), sys.version_info >= (3, 13)
MOST_STEPS = 50_000  # instructions along all paths: some 50 ms
NULL = object()  # what CPython pushes in place of a bound method's owner
RETURNS = ("RETURN_VALUE", "RETURN_CONST")
REASONS = {
    "RAISE_VARARGS": "raises an error",
    "LOAD_ASSERTION_ERROR": "raises an error",
    "STORE_GLOBAL": "assigns to the global `{}`",
    "STORE_ATTR": "assigns to the attribute `{}`",
    "IMPORT_NAME": "imports `{}`",
    "BUILD_MAP": "makes a dictionary",
    "FORMAT_VALUE": "makes a string",
    "FORMAT_SIMPLE": "makes a string",
}


class Interpreter(Protocol):
    """What a frame needs of `nengo_jit.engines.cpu.python.tracing.interpreter.Interpreter`."""

    tracer: Tracer
    active: list[CodeType]

    def lift(self, value: object, name: str) -> Value:
        """A value from outside of the function, as a traced value."""

    def call(self, function: Value, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
        """Call a function."""

    def attribute(self, owner: Value, name: str) -> Value:
        """An attribute of a value."""


@dataclass
class Cell:
    """A variable that the traced function shares with the functions defined in it."""

    cell_contents: Value = MISSING


class Frame:
    """A function that is being executed.

    Parameters
    ----------
    interpreter : Interpreter
        Calls the functions that this one calls.
    function : LocalFunction
        The function.
    variables : dict of (str, Value)
        Its arguments, by name.

    Attributes
    ----------
    variables : dict of (str, Value)
        The local variables, by name. Those that are shared with other functions are cells.
    stack : list of Value
        The operand stack.
    keywords : tuple of str
        Names of keyword arguments for the next call.
    """

    def __init__(
        self, interpreter: Interpreter, function: LocalFunction, variables: Mapping[str, Value]
    ):
        self.interpreter = interpreter
        self.tracer = interpreter.tracer
        self.code = function.code
        self.namespace = function.namespace
        self.variables = dict(variables)
        self.closure = function.closure
        self.stack: list[Value] = []
        self.keywords: tuple[str, ...] = ()
        self._next = 0  # index of an instruction

    def generate(self) -> Iterator[Value]:
        """Execute a generator; yields what it yields.

        Raises
        ------
        Unsupported
            If it catches errors, such as the one that closes a generator.
        """
        if any(each.opname == "PUSH_EXC_INFO" for each in instructions(self.code)[0]):
            raise Unsupported("has a generator that catches errors")
        while True:
            value = self.run()
            if self.has_returned:
                return
            yield value
            self.stack.append(None)

    @property
    def has_returned(self) -> bool:
        """bool: whether the function has returned."""
        return instructions(self.code)[0][self._next].opname in RETURNS

    def run(self) -> Value:
        """Execute the function until it returns or yields; returns that value."""
        listed, indices = instructions(self.code)
        self.interpreter.active.append(self.code)
        i = self._next
        while True:
            instruction = listed[i]
            if instruction.opname in RETURNS:
                self._next = i
                break
            if instruction.opname == "YIELD_VALUE":
                self._next = i + 1
                break
            handler = HANDLERS.get(instruction.opname)
            if handler is None:
                raise Unsupported(_reason(instruction))
            self.tracer.n_steps += 1
            if self.tracer.n_steps > MOST_STEPS:
                raise Unsupported("computes too much")
            target = handler(self, instruction)
            i = i + 1 if target is None else _after_end(listed, indices[target])
        self.interpreter.active.pop()
        return instruction.argval if instruction.opname == "RETURN_CONST" else self.stack.pop()

    def pop(self, n: int) -> list[Value]:
        """Remove n values from the stack; returns them, the topmost last."""
        if n == 0:
            return []
        values = self.stack[-n:]
        del self.stack[-n:]
        return values


Handler: TypeAlias = Callable[[Frame, dis.Instruction], int | None]
HANDLERS: dict[str, Handler] = {}
"""What executes an instruction, by the name that `dis` gives it in CPython 3.11 to 3.13.

A handler returns the offset to jump to, or None to go on with the next instruction. A function with
other instructions stays in Python.
"""


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Decorator: register the handler of instructions."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


def argument(instruction: dis.Instruction) -> int:
    """The integer in an instruction."""
    assert instruction.arg is not None
    return instruction.arg


@cache
def instructions(code: CodeType) -> tuple[list[dis.Instruction], dict[int, int]]:
    """A function's instructions, and their indices by their offsets."""
    listed = list(dis.get_instructions(code))
    return listed, {each.offset: i for i, each in enumerate(listed)}


def is_ours(namespace: Mapping[str, object]) -> bool:
    """Whether this is the namespace of a module of nengo-jit, which nobody rebinds."""
    return str(namespace.get("__name__", "")).split(".")[0] == "nengo_jit"


def _after_end(listed: list[dis.Instruction], i: int) -> int:
    """Skip the cleanup after a loop, which Python 3.12 and 3.13 jump to or over."""
    if listed[i].opname == "END_FOR":
        return i + (2 if IS_313 else 1)
    return i


def _reason(instruction: dis.Instruction) -> str:
    unknown = f"uses the instruction {instruction.opname}"
    return REASONS.get(instruction.opname, unknown).format(instruction.argval)
