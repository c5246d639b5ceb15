"""What kernels are written with, for Numba: see `nengo_jit.engines.cpu.language.primitives`.

Each is a few instructions in LLVM's language, or a function of the C library or of Python's.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core.cgutils import alloca_once, get_or_insert_function
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template
from numba.extending import overload
from numba.np.arrayobj import load_item, make_array

from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.toolchain.target import has
from nengo_jit.engines.cpu.toolchain.translation import KernelCompiler
from nengo_jit.regions import CHECKED

# Nothing but kernels calls these, so Numba need not make what Python and C would call.
ONLY_FOR_KERNELS = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": KernelCompiler,
}


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


def instruction(function: Callable[..., Any], prefer_literal: bool = False) -> Any:
    """Decorator: what takes the place of calls of a function that is only declared in Python.

    This is quicker to compile than a function that is inlined: Numba need not look at one, and
    LLVM gets no call.

    Parameters
    ----------
    function : callable
        What is declared.
    prefer_literal : bool
        Whether the definition gets types of literals for arguments that are.
    """

    def register(definition: Callable[..., Any]) -> Callable[..., Any]:
        """The definition is one as for `numba.extending.intrinsic`."""
        template = make_intrinsic_template(
            function, definition, function.__name__, prefer_literal=prefer_literal
        )
        infer(template)
        infer_global(function, types.Function(template))
        return definition

    return register


@instruction(primitives.tuple_of, prefer_literal=True)
def _tuple_of(typingctx: Any, array: Any, size: Any) -> Any:
    result = types.UniTuple(array.dtype, size.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = make_array(array)(context, builder, args[0]).data
        places = [builder.gep(data, [ir.IntType(64)(i)]) for i in range(result.count)]
        values = [load_item(context, builder, array, place) for place in places]
        return context.make_tuple(builder, result, values)

    return result(array, size), codegen


@instruction(primitives.call)
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


@instruction(primitives.call_function)
def _call_function(typingctx: Any, function: Any, x: Any) -> Any:
    return _at_address(types.float64, [types.float64])


@instruction(primitives.call_function_of_two)
def _call_function_of_two(typingctx: Any, function: Any, x: Any, y: Any) -> Any:
    return _at_address(types.float64, [types.float64] * 2)


@instruction(primitives.call_loop)
def _call_loop(
    typingctx: Any, function: Any, arguments: Any, sizes: Any, steps: Any, data: Any
) -> Any:
    return _at_address(types.none, [types.int64] * 4)


@instruction(primitives.ctz)
def _ctz(typingctx: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), codegen


@instruction(primitives.popcount)
def _popcount(typingctx: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


@instruction(primitives.can_compress)
def _can_compress(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(1), has("compressing bytes"))

    return types.boolean(), codegen


IS_X86 = llvm.get_process_triple().startswith(("x86_64", "i686"))


@instruction(primitives.spin_hint)
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


@instruction(primitives.fp_control)
def _fp_control(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not IS_X86:
            return ir.Constant(ir.IntType(64), 0)
        place = alloca_once(builder, ir.IntType(32))
        _call_for_mxcsr(builder, "stmxcsr", place)
        return builder.zext(builder.load(place), ir.IntType(64))

    return types.int64(), codegen


@instruction(primitives.set_fp_control)
def _set_fp_control(typingctx: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if IS_X86:
            place = alloca_once(builder, ir.IntType(32))
            builder.store(builder.trunc(args[0], ir.IntType(32)), place)
            _call_for_mxcsr(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.none(types.int64), codegen


WIDEST = '"prefer-vector-width"="512"'  # attribute of functions, in LLVM's language


@instruction(primitives.use_widest_vectors)
def _use_widest_vectors(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite's own `add` refuses attributes that it does not know.
        set.add(builder.function.attributes, WIDEST)
        return context.get_dummy_value()

    return types.none(), codegen


def _define_without_vectors(function: Callable[..., Any], is_needed: Callable[[], bool]) -> None:
    """Define a function that keeps the loop that calls it from becoming vector instructions."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if is_needed():
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.asm(nothing, "", "", [], side_effect=True)
        return context.get_dummy_value()

    instruction(function)(lambda typingctx: (types.none(), codegen))


_define_without_vectors(primitives.no_vectorize, lambda: True)
# processors that compress bytes gather fast, too
_define_without_vectors(primitives.gather_if_fast, lambda: not has("compressing bytes"))


def define_external(
    function: Callable[..., Any], name: str, result: Any, *parameters: Any, is_builtin: bool = True
) -> None:
    """Define a function as one of the C library or of Python's.

    Parameters
    ----------
    function : callable
        What is declared.
    name : str
        Of the C function.
    result : numba.types.Type
        What it returns.
    *parameters : numba.types.Type
        What it is given.
    is_builtin : bool
        Whether LLVM may put something else in its place.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        c_type = ir.VoidType() if result is types.none else context.get_value_type(result)
        c_types = [context.get_value_type(each) for each in parameters]
        declared = get_or_insert_function(builder.module, ir.FunctionType(c_type, c_types), name)
        value = builder.call(declared, args)
        if not is_builtin:
            # llvmlite's own `add` refuses attributes that it does not know.
            set.add(value.attributes, "nobuiltin")
        return context.get_dummy_value() if result is types.none else value

    def definition(typingctx: Any, *arguments: Any) -> Any:
        return result(*parameters), codegen

    declared_as = signature(function)
    first = Parameter("typingctx", Parameter.POSITIONAL_OR_KEYWORD)
    # Functions have the attribute if it is set (PEP 362), of which type checkers do not know.
    definition.__signature__ = declared_as.replace(  # type: ignore[attr-defined]
        parameters=[first, *declared_as.parameters.values()]
    )
    instruction(function)(definition)


define_external(primitives.libm_log, "log", types.float64, types.float64, is_builtin=False)
define_external(primitives.libm_exp, "exp", types.float64, types.float64, is_builtin=False)
define_external(primitives.acquire_gil, "PyGILState_Ensure", types.int32)
define_external(primitives.release_gil, "PyGILState_Release", types.none, types.int32)
define_external(primitives.call_object, "PyObject_CallNoArgs", types.int64, types.int64)
define_external(primitives.decref, "Py_DecRef", types.none, types.int64)
define_external(
    primitives.as_integer, "PyLong_AsLongLongAndOverflow", types.int64, types.int64, types.int64
)
_new_tuple = types.ExternalFunction("PyTuple_New", types.int64(types.int64))
_give_to_tuple = types.ExternalFunction(
    "PyTuple_SetItem", types.int32(types.int64, types.int64, types.int64)
)
_keep_object = types.ExternalFunction("Py_IncRef", types.void(types.int64))
_call_object_of_tuple = types.ExternalFunction(
    "PyObject_CallObject", types.int64(types.int64, types.int64)
)

IS_LINUX = sys.platform == "linux"
MONOTONIC = 1 if IS_LINUX else 6  # number of the clock, as in <time.h>
_clock_gettime: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))


@define(primitives.nanoseconds)
def _nanoseconds():
    place = primitives.scratch(16)
    _clock_gettime(MONOTONIC, place)
    parts = primitives.int64s(place, 2)
    return parts[0] * 1_000_000_000 + parts[1]


# Linux has the system call futex(2) for threads that sleep until a number changes. Elsewhere they
# look at it from time to time.
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


@define(primitives.call_object_of_one)
def _call_object_of_one(function, argument):
    arguments = _new_tuple(1)
    if arguments == 0:
        return 0
    _keep_object(argument)
    _give_to_tuple(arguments, 0, argument)
    result = _call_object_of_tuple(function, arguments)
    primitives.decref(arguments)
    return result
