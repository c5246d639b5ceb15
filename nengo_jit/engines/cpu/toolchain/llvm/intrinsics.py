"""Primitives in LLVM IR, for Numba; declared in `nengo_jit.engines.cpu.language.primitives`.

Each is a few instructions, or a call of a function of the C library or of Python's C interface.
"""

# Numba infers the types of the functions that it compiles.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any, TypeVar

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core.cgutils import alloca_once, get_or_insert_function
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template
from numba.extending import overload
from numba.np.arrayobj import load_item, make_array

from nengo_jit.engines.cpu.language import primitives, python_objects
from nengo_jit.engines.cpu.toolchain.llvm.interface import (
    Builder,
    Definition,
    IRType,
    Signature,
    Target,
    Type,
    Typing,
    Value,
    Values,
)
from nengo_jit.engines.cpu.toolchain.target import has
from nengo_jit.engines.cpu.toolchain.translation import KernelCompiler
from nengo_jit.regions import CHECKED

Implementation = TypeVar("Implementation", bound=Callable[..., object])
Define = TypeVar("Define", bound=Callable[..., Definition | None])

# Only kernels call these functions: they need no wrappers for calls from Python or C.
ONLY_FOR_KERNELS = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": KernelCompiler,
}


def define(
    function: Callable[..., object], **options: object
) -> Callable[[Implementation], Implementation]:
    """Decorator that makes a Python function the implementation of a primitive.

    LLVM inlines it. If Numba did, it would infer all types anew at each call, which takes far
    longer.

    Parameters
    ----------
    function : callable
        The primitive.
    **options
        For the compiler, see `numba.njit`.
    """

    def register(implementation: Implementation) -> Implementation:
        jit_options: Any = {"boundscheck": CHECKED, **ONLY_FOR_KERNELS, **options}
        declare = overload(function, strict=False, jit_options=jit_options)
        declare(lambda *arguments: implementation)
        return implementation

    return register


def instruction(
    function: Callable[..., object], prefer_literal: bool = False
) -> Callable[[Define], Define]:
    """Decorator that makes a function the `Definition` of a primitive, or of an operator.

    For arguments that it returns None for, Numba goes on to other definitions.

    The code that it generates takes the place of each call. This compiles faster than an inlined
    function: Numba has no function to compile, and LLVM gets no call.

    Parameters
    ----------
    function : callable
        The primitive.
    prefer_literal : bool
        Whether the definition gets literal types for arguments that are literals.
    """

    def register(definition: Define) -> Define:
        template = make_intrinsic_template(
            function, definition, function.__name__, prefer_literal=prefer_literal
        )
        infer(template)
        infer_global(function, types.Function(template))
        return definition

    return register


@instruction(primitives.tuple_of, prefer_literal=True)
def _tuple_of(typingctx: Typing, array: types.Array, size: types.IntegerLiteral) -> Definition:
    result = types.UniTuple(array.dtype, size.literal_value)

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        data = make_array(array)(context, builder, args[0]).data
        pointers = [builder.gep(data, [ir.IntType(64)(i)]) for i in range(result.count)]
        values = [load_item(context, builder, array, pointer) for pointer in pointers]
        return context.make_tuple(builder, result, values)

    return result(array, size), codegen


@instruction(primitives.call)
def _call(typingctx: Typing, kernel: Type, table: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        pointer = ir.IntType(8).as_pointer()
        kernel_type = ir.FunctionType(ir.IntType(64), [pointer, ir.IntType(64)])
        function = builder.inttoptr(args[0], kernel_type.as_pointer())
        return builder.call(function, [ir.Constant(pointer, None), args[1]])

    return types.int64(types.int64, types.int64), codegen


def _at_address(result: Type, parameters: list[Type]) -> Definition:
    """Define a call of the C function at an address: ``function(address, *parameters)``."""
    c_types: dict[Type, IRType] = {types.float64: ir.DoubleType(), types.int64: ir.IntType(64)}
    c_type = ir.FunctionType(
        c_types.get(result, ir.VoidType()), [c_types[each] for each in parameters]
    )

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        function = builder.inttoptr(args[0], c_type.as_pointer())
        value = builder.call(function, args[1:])
        return context.get_dummy_value() if result is types.none else value

    return result(types.int64, *parameters), codegen


@instruction(primitives.call_function)
def _call_function(typingctx: Typing, function: Type, x: Type) -> Definition:
    return _at_address(types.float64, [types.float64])


@instruction(primitives.call_function_of_two)
def _call_function_of_two(typingctx: Typing, function: Type, x: Type, y: Type) -> Definition:
    return _at_address(types.float64, [types.float64] * 2)


@instruction(primitives.call_loop)
def _call_loop(
    typingctx: Typing, function: Type, arguments: Type, sizes: Type, steps: Type, data: Type
) -> Definition:
    return _at_address(types.none, [types.int64] * 4)


@instruction(primitives.ctz)
def _ctz(typingctx: Typing, bits: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), codegen


@instruction(primitives.popcount)
def _popcount(typingctx: Typing, bits: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


@instruction(primitives.can_compress)
def _can_compress(typingctx: Typing) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        return ir.Constant(ir.IntType(1), has("compressing bytes"))

    return types.boolean(), codegen


IS_X86 = llvm.get_process_triple().startswith(("x86_64", "i686"))


@instruction(primitives.spin_hint)
def _spin_hint(typingctx: Typing) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        if IS_X86:
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), nothing), [])
        return context.get_dummy_value()

    return types.none(), codegen


def _barrier(builder: Builder) -> None:
    """Generate a compiler barrier: LLVM moves no access to memory across it."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)


def _call_for_mxcsr(builder: Builder, name: str, pointer: Value) -> None:
    """Generate code that loads x86's floating-point control register from memory, or stores it."""
    function_type = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    function = builder.module.declare_intrinsic(f"llvm.x86.sse.{name}", (), function_type)
    _barrier(builder)
    builder.call(function, [builder.bitcast(pointer, function_type.args[0])])
    _barrier(builder)


@instruction(primitives.fp_control)
def _fp_control(typingctx: Typing) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        if not IS_X86:
            return ir.Constant(ir.IntType(64), 0)
        pointer = alloca_once(builder, ir.IntType(32))
        _call_for_mxcsr(builder, "stmxcsr", pointer)
        return builder.zext(builder.load(pointer), ir.IntType(64))

    return types.int64(), codegen


@instruction(primitives.set_fp_control)
def _set_fp_control(typingctx: Typing, bits: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        if IS_X86:
            pointer = alloca_once(builder, ir.IntType(32))
            builder.store(builder.trunc(args[0], ir.IntType(32)), pointer)
            _call_for_mxcsr(builder, "ldmxcsr", pointer)
        return context.get_dummy_value()

    return types.none(types.int64), codegen


WIDEST = '"prefer-vector-width"="512"'  # attribute of functions in LLVM IR


@instruction(primitives.use_widest_vectors)
def _use_widest_vectors(typingctx: Typing) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        # llvmlite's own `add` rejects attributes that it does not know.
        set.add(builder.function.attributes, WIDEST)
        return context.get_dummy_value()

    return types.none(), codegen


def _define_without_vectors(function: Callable[..., object], is_needed: Callable[[], bool]) -> None:
    """Define a primitive that keeps LLVM from vectorising the loop that calls it."""

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        if is_needed():
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.asm(nothing, "", "", [], side_effect=True)
        return context.get_dummy_value()

    instruction(function)(lambda typingctx: (types.none(), codegen))


_define_without_vectors(primitives.no_vectorize, lambda: True)
# Processors that compress bytes gather fast, too.
_define_without_vectors(primitives.gather_if_fast, lambda: not has("compressing bytes"))


def define_external(
    function: Callable[..., object],
    name: str,
    result: Type,
    *parameters: Type,
    is_builtin: bool = True,
) -> None:
    """Define a primitive as a function of the C library or of Python's C interface.

    Parameters
    ----------
    function : callable
        The primitive.
    name : str
        Name of the C function.
    result : numba.types.Type
        Type of its result.
    *parameters : numba.types.Type
        Types of its parameters.
    is_builtin : bool
        Whether LLVM may replace it by code that it knows to be equivalent.
    """

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        c_type = ir.VoidType() if result is types.none else context.get_value_type(result)
        c_types = [context.get_value_type(each) for each in parameters]
        declared = get_or_insert_function(builder.module, ir.FunctionType(c_type, c_types), name)
        value = builder.call(declared, args)
        if not is_builtin:
            # llvmlite's own `add` rejects attributes that it does not know.
            set.add(value.attributes, "nobuiltin")
        return context.get_dummy_value() if result is types.none else value

    def definition(typingctx: Typing, *arguments: Type) -> Definition:
        return result(*parameters), codegen

    declared_as = signature(function)
    first = Parameter("typingctx", Parameter.POSITIONAL_OR_KEYWORD)
    # `inspect.signature` honours the attribute (PEP 362); type checkers do not know it.
    definition.__signature__ = declared_as.replace(  # type: ignore[attr-defined]
        parameters=[first, *declared_as.parameters.values()]
    )
    instruction(function)(definition)


define_external(primitives.libm_log, "log", types.float64, types.float64, is_builtin=False)
define_external(primitives.libm_exp, "exp", types.float64, types.float64, is_builtin=False)
define_external(python_objects.acquire_gil, "PyGILState_Ensure", types.int32)
define_external(python_objects.release_gil, "PyGILState_Release", types.none, types.int32)
define_external(python_objects.call_object, "PyObject_CallNoArgs", types.int64, types.int64)
define_external(python_objects.decref, "Py_DecRef", types.none, types.int64)
define_external(
    python_objects.as_integer, "PyLong_AsLongLongAndOverflow", types.int64, types.int64, types.int64
)
_new_tuple = types.ExternalFunction("PyTuple_New", types.int64(types.int64))
_set_tuple_item = types.ExternalFunction(
    "PyTuple_SetItem", types.int32(types.int64, types.int64, types.int64)
)
_incref = types.ExternalFunction("Py_IncRef", types.void(types.int64))
_call_object_of_tuple = types.ExternalFunction(
    "PyObject_CallObject", types.int64(types.int64, types.int64)
)

IS_LINUX = sys.platform == "linux"
MONOTONIC = 1 if IS_LINUX else 6  # number of the clock, as in <time.h>
_clock_gettime: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))


@define(primitives.nanoseconds)
def _nanoseconds():
    address = primitives.scratch(16)
    _clock_gettime(MONOTONIC, address)
    parts = primitives.int64s(address, 2)
    return parts[0] * 1_000_000_000 + parts[1]


# On Linux, threads sleep until a number changes by the system call futex(2). Elsewhere they poll.
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine()) if IS_LINUX else None
WAIT, WAKE = 128, 129  # operations, for threads of one process
NAP = 50  # microseconds

if FUTEX is not None:
    _system_call: Any = types.ExternalFunction("syscall", types.int64(*[types.int64] * 5))
    define(primitives.sleep_while)(
        lambda address, value: _system_call(FUTEX, address, WAIT, value & 0xFFFFFFFF, 0)
    )
    define(primitives.wake_sleepers)(lambda address: _system_call(FUTEX, address, WAKE, 1 << 30, 0))
else:
    _nap: Any = types.ExternalFunction("usleep", types.int32(types.uint32))
    define(primitives.sleep_while)(lambda address, value: _nap(NAP))
    define(primitives.wake_sleepers)(lambda address: 0)


@define(python_objects.call_object_of_one)
def _call_object_of_one(function, argument):
    arguments = _new_tuple(1)
    if arguments == 0:
        return 0
    _incref(argument)
    _set_tuple_item(arguments, 0, argument)
    result = _call_object_of_tuple(function, arguments)
    python_objects.decref(arguments)
    return result
