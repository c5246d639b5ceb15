"""Carry out the bytecode of Python functions on traced values.

Each method of `Frame` is named after the instruction that it carries out, as `dis` lists them for
CPython 3.11 to 3.13. An instruction without a method is one that only Python can carry out.
"""

from __future__ import annotations

import builtins
import dis
import operator
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.python.tracing.guards import MISSING
from nengo_jit.engines.cpu.python.tracing.indexing import get_item, set_item
from nengo_jit.engines.cpu.python.tracing.iterators import Iteration, elements, iterate
from nengo_jit.engines.cpu.python.tracing.operators import apply, check_nesting, compare, truth
from nengo_jit.engines.cpu.python.tracing.values import (
    Array,
    LocalFunction,
    Unsupported,
    described,
    is_known,
)

IS_KNOWN_PYTHON = sys.version_info < (3, 14)
IS_312, IS_313 = sys.version_info >= (3, 12), sys.version_info >= (3, 13)
MOST_STEPS = 50_000  # instructions along all ways: some 50 ms
NULL = object()
RETURNS = ("RETURN_VALUE", "RETURN_CONST")
BINARY = {
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
WORDS = {
    "RAISE_VARARGS": "raises an error",
    "LOAD_ASSERTION_ERROR": "raises an error",
    "STORE_GLOBAL": "assigns to the global `{}`",
    "STORE_ATTR": "assigns to the attribute `{}`",
    "IMPORT_NAME": "imports `{}`",
    "BUILD_MAP": "makes a dictionary",
    "FORMAT_VALUE": "makes a string",
    "FORMAT_SIMPLE": "makes a string",
}


@dataclass
class Cell:
    """A variable of a function that functions inside of it use, too."""

    cell_contents: Any = MISSING


@cache
def instructions(code: CodeType) -> tuple[list[dis.Instruction], dict[int, int]]:
    """A function's instructions, and their indices by what jumps call them."""
    listed = list(dis.get_instructions(code))
    return listed, {each.offset: i for i, each in enumerate(listed)}


def is_ours(namespace: dict[str, Any]) -> bool:
    """Whether it is the namespace of a module of nengo-jit, which nobody rebinds."""
    return str(namespace.get("__name__", "")).split(".")[0] == "nengo_jit"


def _jump_if(expected: bool) -> Any:
    def jump(frame: Frame, instruction: Any) -> int | None:
        is_true = truth(frame.tracer, frame.stack.pop())
        return int(instruction.argval) if is_true is expected else None

    return jump


def _jump_if_none(expected: bool) -> Any:
    def jump(frame: Frame, instruction: Any) -> int | None:
        return int(instruction.argval) if (frame.stack.pop() is None) is expected else None

    return jump


def _jump_or_pop(expected: bool) -> Any:
    def jump(frame: Frame, instruction: Any) -> int | None:
        if truth(frame.tracer, frame.stack[-1]) is expected:
            return int(instruction.argval)
        frame.stack.pop()
        return None

    return jump


class Frame:
    """A function that is being carried out.

    Parameters
    ----------
    interpreter : Interpreter
        What carries it out.
    function : LocalFunction
        The function.
    variables : dict of (str, object)
        Its arguments, by name.
    """

    def __init__(self, interpreter: Any, function: LocalFunction, variables: dict[str, Any]):
        self.interpreter = interpreter
        self.tracer = interpreter.tracer
        self.code = function.code
        self.namespace = function.namespace
        self.variables = variables
        self.closure = function.closure
        self.stack: list[Any] = []
        self.keywords: tuple[str, ...] = ()
        self._next = 0  # instruction

    def generate(self) -> Iterator[Any]:
        """What a generator yields, carrying it out as far as is needed.

        Raises
        ------
        Unsupported
            If it catches errors, as that of a generator that is not wanted any more.
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
        """bool: whether the function has come to its end."""
        return instructions(self.code)[0][self._next].opname in RETURNS

    def run(self) -> Any:
        """Carry the function out; returns what it returns, or yields."""
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
            carry_out: Any = getattr(self, f"_{instruction.opname.lower()}", None)
            if carry_out is None:
                raise Unsupported(_in_words(instruction))
            self.tracer.n_steps += 1
            if self.tracer.n_steps > MOST_STEPS:
                raise Unsupported("computes too much")
            target = carry_out(instruction)
            i = i + 1 if target is None else self._skip_end(listed, indices[target])
        self.interpreter.active.pop()
        return instruction.argval if instruction.opname == "RETURN_CONST" else self.stack.pop()

    @staticmethod
    def _skip_end(listed: list[dis.Instruction], i: int) -> int:
        """Where a loop that has come to its end goes on: Python 3.12 and 3.13 clean up there."""
        if listed[i].opname == "END_FOR":
            return i + (2 if IS_313 else 1)
        return i

    def _pop(self, n: int) -> list[Any]:
        if n == 0:
            return []
        values = self.stack[-n:]
        del self.stack[-n:]
        return values

    def _nothing(self, instruction: Any) -> None:
        pass

    _resume = _nop = _cache = _precall = _to_bool = _extended_arg = _nothing
    _jump_no_interrupt = _nothing

    # Variables and constants

    def _load_const(self, instruction: Any) -> None:
        self.stack.append(instruction.argval)

    def _load_fast(self, instruction: Any) -> None:
        self.stack.append(self._variable(instruction.argval))

    _load_fast_check = _load_fast

    def _variable(self, name: str) -> Any:
        value = self.variables.get(name, MISSING)
        if value is MISSING:
            raise Unsupported(f"reads `{name}` before assigning it")
        return value

    def _load_fast_and_clear(self, instruction: Any) -> None:
        self.stack.append(self.variables.pop(instruction.argval, MISSING))

    def _load_fast_load_fast(self, instruction: Any) -> None:
        self.stack += [self._variable(name) for name in instruction.argval]

    def _store_fast(self, instruction: Any) -> None:
        self.variables[instruction.argval] = self.stack.pop()

    def _store_fast_store_fast(self, instruction: Any) -> None:
        for name in instruction.argval:
            self.variables[name] = self.stack.pop()

    def _store_fast_load_fast(self, instruction: Any) -> None:
        stored, loaded = instruction.argval
        self.variables[stored] = self.stack.pop()
        self.stack.append(self._variable(loaded))

    def _delete_fast(self, instruction: Any) -> None:
        self.variables.pop(instruction.argval, None)

    def _load_global(self, instruction: Any) -> None:
        name = instruction.argval
        value = self.namespace.get(name, MISSING)
        if not is_ours(self.namespace):
            self.tracer.watched.add_name(self.namespace, name)
        where = f"the global `{name}`"
        if value is MISSING:
            names: Any = self.namespace.get("__builtins__", builtins)
            names = names if isinstance(names, Mapping) else vars(names)
            value = names.get(name, MISSING)
            self.tracer.watched.add_name(names, name)
            where = f"`{name}`"
        if value is MISSING:
            raise Unsupported(f"reads the global `{name}`, which does not exist")
        value = self.interpreter.lift(value, where)
        has_null = instruction.arg & 1
        self.stack += [value, NULL] if has_null and IS_313 else [NULL] * has_null + [value]

    def _make_cell(self, instruction: Any) -> None:
        name = instruction.argval
        self.variables[name] = Cell(self.variables.get(name, MISSING))

    def _copy_free_vars(self, instruction: Any) -> None:
        self.variables.update(zip(self.code.co_freevars, self.closure))

    _load_closure = _load_fast

    def _load_deref(self, instruction: Any) -> None:
        name = instruction.argval
        cell = self.variables[name]
        if isinstance(cell, CellType):
            try:
                value = cell.cell_contents
            except ValueError:
                raise Unsupported(f"reads `{name}` before it is assigned") from None
            if not is_ours(self.namespace):
                self.tracer.watched.add_cell(cell)
            value = self.interpreter.lift(value, f"the variable `{name}` around it")
        else:
            value = cell.cell_contents
            if value is MISSING:
                raise Unsupported(f"reads `{name}` before assigning it")
        self.stack.append(value)

    def _store_deref(self, instruction: Any) -> None:
        cell = self.variables[instruction.argval]
        if isinstance(cell, CellType):
            raise Unsupported(f"assigns to `{instruction.argval}`, a variable around it")
        cell.cell_contents = self.stack.pop()

    def _make_function(self, instruction: Any) -> None:
        code = self.stack.pop()
        function = LocalFunction(code, self.namespace)
        flags = 0 if IS_313 else instruction.arg
        if flags & 8:
            function.closure = self.stack.pop()
        if flags & 4:
            self.stack.pop()
        if flags & 2:
            function.keyword_defaults = self.stack.pop()
        if flags & 1:
            function.defaults = self.stack.pop()
        self.stack.append(function)

    def _set_function_attribute(self, instruction: Any) -> None:
        function, value = self.stack.pop(), self.stack.pop()
        names = {1: "defaults", 2: "keyword_defaults", 8: "closure"}
        if instruction.arg in names:
            setattr(function, names[instruction.arg], value)
        self.stack.append(function)

    # The stack

    def _push_null(self, instruction: Any) -> None:
        self.stack.append(NULL)

    def _pop_top(self, instruction: Any) -> None:
        self.stack.pop()

    _end_for = _pop_top

    def _copy(self, instruction: Any) -> None:
        self.stack.append(self.stack[-instruction.arg])

    def _swap(self, instruction: Any) -> None:
        n = instruction.arg
        self.stack[-1], self.stack[-n] = self.stack[-n], self.stack[-1]

    # Operators

    def _binary_op(self, instruction: Any) -> None:
        b, a = self.stack.pop(), self.stack.pop()
        symbol = instruction.argrepr
        is_in_place = symbol.endswith("=")
        function = BINARY[symbol.rstrip("=")]
        if is_in_place and isinstance(a, list):
            raise Unsupported(f"changes a list by `{symbol}`")
        value = apply(self.tracer, function, a, b)
        if is_in_place and isinstance(a, Array):
            set_item(self.tracer, a, ..., _same_kind(a, value))
            value = a
        self.stack.append(value)

    def _unary_negative(self, instruction: Any) -> None:
        self.stack.append(apply(self.tracer, operator.neg, self.stack.pop()))

    def _unary_positive(self, instruction: Any) -> None:
        self.stack.append(apply(self.tracer, operator.pos, self.stack.pop()))

    def _unary_invert(self, instruction: Any) -> None:
        self.stack.append(apply(self.tracer, operator.invert, self.stack.pop()))

    def _unary_not(self, instruction: Any) -> None:
        self.stack.append(not truth(self.tracer, self.stack.pop()))

    def _compare_op(self, instruction: Any) -> None:
        b, a = self.stack.pop(), self.stack.pop()
        self.stack.append(compare(self.tracer, instruction.argval, a, b))

    def _is_op(self, instruction: Any) -> None:
        b, a = self.stack.pop(), self.stack.pop()
        self.stack.append(_are_identical(a, b) != bool(instruction.arg))

    def _contains_op(self, instruction: Any) -> None:
        values, value = self.stack.pop(), self.stack.pop()
        if not isinstance(values, (list, tuple)):
            raise Unsupported(f"searches {described(values)}")
        found = any(
            (is_known(each) and each is value)
            or truth(self.tracer, compare(self.tracer, "==", each, value))
            for each in values
        )
        self.stack.append(found != bool(instruction.arg))

    def _binary_subscr(self, instruction: Any) -> None:
        key, value = self.stack.pop(), self.stack.pop()
        self.stack.append(get_item(self.tracer, value, key))

    def _binary_slice(self, instruction: Any) -> None:
        value, start, stop = self._pop(3)
        self.stack.append(get_item(self.tracer, value, slice(start, stop)))

    def _store_subscr(self, instruction: Any) -> None:
        value, target, key = self._pop(3)
        set_item(self.tracer, target, key, value)

    def _store_slice(self, instruction: Any) -> None:
        value, target, start, stop = self._pop(4)
        set_item(self.tracer, target, slice(start, stop), value)

    # Lists and tuples

    def _build_tuple(self, instruction: Any) -> None:
        self.stack.append(tuple(self._elements(instruction.arg)))

    def _build_list(self, instruction: Any) -> None:
        self.stack.append(self._elements(instruction.arg))

    def _elements(self, n: int) -> list[Any]:
        values = self._pop(n)
        if any(isinstance(value, (list, tuple)) for value in values):
            check_nesting(values)
        return values

    def _build_slice(self, instruction: Any) -> None:
        self.stack.append(slice(*self._pop(instruction.arg)))

    def _list_extend(self, instruction: Any) -> None:
        target = self.stack[-1 - instruction.arg]
        target.extend(elements(self.tracer, self.stack.pop()))
        check_nesting(target)

    def _list_append(self, instruction: Any) -> None:
        value = self.stack.pop()
        target = self.stack[-instruction.arg]
        target.append(value)
        if isinstance(value, (list, tuple)):
            check_nesting(target)

    def _list_to_tuple(self, instruction: Any) -> None:
        self.stack.append(tuple(self.stack.pop()))

    def _call_intrinsic_1(self, instruction: Any) -> None:
        if instruction.arg != 6:
            raise Unsupported("uses an instruction that is not known")
        self._list_to_tuple(instruction)

    def _unpack_sequence(self, instruction: Any) -> None:
        values = elements(self.tracer, self.stack.pop())
        if len(values) != instruction.arg:
            raise Unsupported(f"unpacks {len(values)} values into {instruction.arg} variables")
        self.stack += values[::-1]

    # Calls

    def _load_attr(self, instruction: Any) -> None:
        value = self.interpreter.attribute(self.stack.pop(), instruction.argval)
        is_method = IS_312 and instruction.arg & 1
        if is_method:
            self.stack += [value, NULL] if IS_313 else [NULL, value]
        else:
            self.stack.append(value)

    def _load_method(self, instruction: Any) -> None:
        self.stack += [NULL, self.interpreter.attribute(self.stack.pop(), instruction.argval)]

    def _kw_names(self, instruction: Any) -> None:
        self.keywords = self.code.co_consts[instruction.arg]

    def _call(self, instruction: Any) -> None:
        keywords, self.keywords = self.keywords, ()
        args = self._pop(instruction.arg)
        n = len(args) - len(keywords)
        self._call_with(tuple(args[:n]), dict(zip(keywords, args[n:])))

    def _call_kw(self, instruction: Any) -> None:
        self.keywords = self.stack.pop()
        self._call(instruction)

    def _call_function_ex(self, instruction: Any) -> None:
        kwargs = self.stack.pop() if instruction.arg & 1 else {}
        args = self.stack.pop()
        self._call_with(tuple(elements(self.tracer, args)), kwargs)

    def _call_with(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first, second = self._pop(2)
        if first is NULL:
            function = second
        else:
            function = first
            args = args if second is NULL else (second, *args)
        self.stack.append(self.interpreter.call(function, args, kwargs))

    def _return_generator(self, instruction: Any) -> None:
        self.stack.append(None)

    # Jumps

    def _get_iter(self, instruction: Any) -> None:
        value = self.stack.pop()
        is_iterator = isinstance(value, Iteration)
        self.stack.append(value if is_iterator else iterate(self.tracer, value))

    def _for_iter(self, instruction: Any) -> int | None:
        iterator: Iterator[Any] = self.stack[-1]
        value = next(iterator, NULL)
        if value is NULL:
            self.stack.pop()
            return int(instruction.argval)
        self.stack.append(value)
        return None

    def _jump_forward(self, instruction: Any) -> int:
        return int(instruction.argval)

    _jump_backward = _jump_backward_no_interrupt = _jump_forward

    _pop_jump_if_true = _pop_jump_forward_if_true = _pop_jump_backward_if_true = _jump_if(True)
    _pop_jump_if_false = _pop_jump_forward_if_false = _pop_jump_backward_if_false = _jump_if(False)
    _pop_jump_if_none = _pop_jump_forward_if_none = _pop_jump_backward_if_none = _jump_if_none(True)
    _pop_jump_if_not_none = _pop_jump_forward_if_not_none = _jump_if_none(False)
    _pop_jump_backward_if_not_none = _pop_jump_if_not_none
    _jump_if_true_or_pop, _jump_if_false_or_pop = _jump_or_pop(True), _jump_or_pop(False)


def _are_identical(a: Any, b: Any) -> bool:
    """Whether values are the same object, for kinds of which tracing makes as many as Python."""
    if a is None or b is None or (type(a) is bool and type(b) is bool):
        return a is b
    kinds = (list, tuple, type, FunctionType, BuiltinFunctionType, ModuleType, np.ufunc)
    if type(a) in kinds and type(b) in kinds:
        return a is b
    raise Unsupported("asks whether values are the same object")


def _same_kind(array: Array, value: Any) -> Any:
    """What is assigned in place; NumPy does not let that change an array's type or shape."""
    if isinstance(value, Array) and value.dtype == array.dtype:
        if value.registers.shape == array.registers.shape:
            return value
        raise Unsupported("changes an array in place by numbers of another shape")
    raise Unsupported("changes an array in place by numbers of another type")


def _in_words(instruction: dis.Instruction) -> str:
    known_words = WORDS.get(instruction.opname, f"uses the instruction {instruction.opname}")
    return known_words.format(instruction.argval)
