"""What kernels are written with, for Numba: see `nengo_jit.engines.cpu.machine`.

Each is a few instructions in LLVM's language, or a function of the C library or of Python's.
"""

# Intrinsics take one argument less when they are called than when they are defined.
# mypy: disable-error-code="call-arg, no-untyped-def"

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload
from numba.np.unsafe.ndarray import to_fixed_tuple

from nengo_jit.engines.cpu import machine
from nengo_jit.engines.cpu.target import has
from nengo_jit.regions import CHECKED

# Nothing but kernels calls these, so Numba need not make what Python and C would call.
ONLY_FOR_KERNELS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def define(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Decorator: the implementation of a function that is only declared in Python.

    Inlining is left to LLVM: wherever Numba inlines something it infers all types anew, which
    takes far longer.

    Parameters
    ----------
    function : callable
        What is declared.
    **options
        For the compiler, see `numba.njit`.
    """

    def register(implementation: Callable[..., Any]) -> Callable[..., Any]:
        jit_options: Any = {"boundscheck": CHECKED, **ONLY_FOR_KERNELS, **options}
        declare = overload(function, strict=False, jit_options=jit_options)
        declare(lambda *arguments: implementation)
        return implementation

    return register


def define_inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `define`, where a call would take longer than what is called."""
    return define(function, forceinline=True)


@intrinsic
def typed_pointer(typingctx: Any, address: Any, example: Any) -> Any:
    """Pointer to an address, of numbers of the type of ``example``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(example)(types.int64, example), codegen


@define_inlined(machine.tuple_of)
def _tuple_of(array, size):
    return to_fixed_tuple(array, size)


@intrinsic
def _call(typingctx: Any, kernel: Any, table: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        kernel_type = ir.FunctionType(ir.IntType(64), [pointer, ir.IntType(64)])
        function = builder.inttoptr(args[0], kernel_type.as_pointer())
        return builder.call(function, [ir.Constant(pointer, None), args[1]])

    return types.int64(types.int64, types.int64), codegen


def _at_address(result: Any, parameters: list[Any]) -> Any:
    """A function that calls the C function at an address: ``function(address, *parameters)``."""
    c_types = {types.float64: ir.DoubleType(), types.int64: ir.IntType(64)}
    c_type = ir.FunctionType(
        c_types.get(result, ir.VoidType()), [c_types[each] for each in parameters]
    )

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.inttoptr(args[0], c_type.as_pointer())
        value = builder.call(function, args[1:])
        return context.get_dummy_value() if result is types.none else value

    return result(types.int64, *parameters), codegen


@intrinsic
def _call_function(typingctx: Any, function: Any, x: Any) -> Any:
    return _at_address(types.float64, [types.float64])


@intrinsic
def _call_function_of_two(typingctx: Any, function: Any, x: Any, y: Any) -> Any:
    return _at_address(types.float64, [types.float64] * 2)


@intrinsic
def _call_loop(
    typingctx: Any, function: Any, arguments: Any, sizes: Any, steps: Any, data: Any
) -> Any:
    return _at_address(types.none, [types.int64] * 4)


@intrinsic
def add_atomically(typingctx: Any, address: Any, value: Any) -> Any:
    """Add to the integer at an address, see `machine.atomic_add`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _lowest_bit(typingctx: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), codegen


@intrinsic
def _number_of_bits(typingctx: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


@intrinsic
def _can_compress(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(1), has("compressing bytes"))

    return types.boolean(), codegen


IS_X86 = llvm.get_process_triple().startswith(("x86_64", "i686"))


@intrinsic
def _spin_hint(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if IS_X86:
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), nothing), [])
        return context.get_dummy_value()

    return types.none(), codegen


def _barrier(builder: Any) -> None:
    """Keep LLVM from moving what reads or writes memory from one side of this to the other."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)


def _call_for_mxcsr(builder: Any, name: str, place: Any) -> None:
    """Load or store the register that says how x86 processors compute, from or to a place."""
    function_type = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    function = builder.module.declare_intrinsic(f"llvm.x86.sse.{name}", (), function_type)
    _barrier(builder)
    builder.call(function, [builder.bitcast(place, function_type.args[0])])
    _barrier(builder)


@intrinsic
def _arithmetic(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not IS_X86:
            return ir.Constant(ir.IntType(64), 0)
        place = builder.alloca(ir.IntType(32))
        _call_for_mxcsr(builder, "stmxcsr", place)
        return builder.zext(builder.load(place), ir.IntType(64))

    return types.int64(), codegen


@intrinsic
def _set_arithmetic(typingctx: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if IS_X86:
            place = builder.alloca(ir.IntType(32))
            builder.store(builder.trunc(args[0], ir.IntType(32)), place)
            _call_for_mxcsr(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.none(types.int64), codegen


@intrinsic
def _use_widest_vectors(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite's own `add` refuses attributes that it does not know.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), codegen


def _without_vectors(is_needed: Callable[[], bool]) -> Any:
    """A function that keeps the loop that calls it from becoming vector instructions."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if is_needed():
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.asm(nothing, "", "", [], side_effect=True)
        return context.get_dummy_value()

    return intrinsic(lambda typingctx: (types.none(), codegen))


_one_by_one = _without_vectors(lambda: True)
# processors that compress bytes gather fast, too
_gather_if_fast = _without_vectors(lambda: not has("compressing bytes"))


def _from_c_library(name: str) -> Any:
    """A function of one number from the C library, never a substitute for it."""

    @intrinsic
    def function(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            number = ir.DoubleType()
            declared = builder.module.globals.get(name) or ir.Function(
                builder.module, ir.FunctionType(number, [number]), name
            )
            result = builder.call(declared, args)
            # llvmlite's own `add` refuses attributes that it does not know.
            set.add(result.attributes, "nobuiltin")
            return result

        return types.float64(types.float64), codegen

    return function


_log_of_c, _exp_of_c = _from_c_library("log"), _from_c_library("exp")
_lock_python = types.ExternalFunction("PyGILState_Ensure", types.int32())
_unlock_python = types.ExternalFunction("PyGILState_Release", types.void(types.int32))
_call_object = types.ExternalFunction("PyObject_CallNoArgs", types.int64(types.int64))
_call_object_of_tuple = types.ExternalFunction(
    "PyObject_CallObject", types.int64(types.int64, types.int64)
)
_new_tuple = types.ExternalFunction("PyTuple_New", types.int64(types.int64))
_give_to_tuple = types.ExternalFunction(
    "PyTuple_SetItem", types.int32(types.int64, types.int64, types.int64)
)
_keep_object = types.ExternalFunction("Py_IncRef", types.void(types.int64))
_drop_object = types.ExternalFunction("Py_DecRef", types.void(types.int64))
_as_integer = types.ExternalFunction(
    "PyLong_AsLongLongAndOverflow", types.int64(types.int64, types.int64)
)


IS_LINUX = sys.platform == "linux"
MONOTONIC = 1 if IS_LINUX else 6  # number of the clock, as in <time.h>
_clock_gettime: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))


@define(machine.nanoseconds)
def _nanoseconds():
    place = machine.scratch(16)
    _clock_gettime(MONOTONIC, place)
    parts = machine.integers(place, 2)
    return parts[0] * 1_000_000_000 + parts[1]


# Linux has the system call futex(2) for threads that sleep until a number changes. Elsewhere they
# look at it from time to time.
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine()) if IS_LINUX else None
WAIT, WAKE = 128, 129  # operations, for threads of one process
NAP = 50  # microseconds

if FUTEX is not None:
    _system_call: Any = types.ExternalFunction("syscall", types.int64(*[types.int64] * 5))
    define(machine.sleep_while)(
        lambda address, value: _system_call(FUTEX, address, WAIT, value & 0xFFFFFFFF, 0)
    )
    define(machine.wake_sleepers)(lambda address: _system_call(FUTEX, address, WAKE, 1 << 30, 0))
else:
    _nap: Any = types.ExternalFunction("usleep", types.int32(types.uint32))
    define(machine.sleep_while)(lambda address, value: _nap(NAP))
    define(machine.wake_sleepers)(lambda address: 0)


@define(machine.call_object_of_one)
def _call_object_of_one(function, argument):
    arguments = _new_tuple(1)
    if arguments == 0:
        return 0
    _keep_object(argument)
    _give_to_tuple(arguments, 0, argument)
    result = _call_object_of_tuple(function, arguments)
    _drop_object(arguments)
    return result


define_inlined(machine.call)(lambda kernel, table: _call(kernel, table))
define_inlined(machine.call_function)(lambda function, x: _call_function(function, x))
define_inlined(machine.call_function_of_two)(
    lambda function, x, y: _call_function_of_two(function, x, y)
)
define_inlined(machine.call_loop)(
    lambda function, arguments, sizes, steps, data: _call_loop(
        function, arguments, sizes, steps, data
    )
)
define_inlined(machine.lock_python)(lambda: _lock_python())
define_inlined(machine.unlock_python)(lambda state: _unlock_python(state))
define_inlined(machine.call_object)(lambda function: _call_object(function))
define_inlined(machine.drop_object)(lambda value: _drop_object(value))
define_inlined(machine.as_integer)(lambda value, overflow: _as_integer(value, overflow))
define_inlined(machine.spin_hint)(lambda: _spin_hint())
define_inlined(machine.arithmetic)(lambda: _arithmetic())
define_inlined(machine.set_arithmetic)(lambda bits: _set_arithmetic(bits))
define_inlined(machine.lowest_bit)(lambda bits: _lowest_bit(bits))
define_inlined(machine.can_compress)(lambda: _can_compress())
define_inlined(machine.number_of_bits)(lambda bits: _number_of_bits(bits))
define_inlined(machine.one_by_one)(lambda: _one_by_one())
define_inlined(machine.gather_if_fast)(lambda: _gather_if_fast())
define(machine.log_of_c)(lambda x: _log_of_c(x))
define(machine.exp_of_c)(lambda x: _exp_of_c(x))

# This is about the function that calls it.
overload(machine.use_widest_vectors, inline="always")(lambda: lambda: _use_widest_vectors())
