"""Compile kernels: the only way from Python functions to machine code.

Numba turns a function and the helpers that it calls into LLVM's language, and LLVM makes an
object file of that. Importing this takes a third of a second and fifty megabytes, so it is done
only in processes that have something to compile.

The names that kernels use (`nengo_jit.engines.cpu.machine`) and the vocabulary of formulas
(`nengo_jit.engines.cpu.scalar`) are defined here and there for Numba.
"""

# Intrinsics take one argument less when they are called than when they are defined, and Numba
# reads some functions from their bytecode.
# mypy: disable-error-code="call-arg, no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import errors
from numba.extending import intrinsic, models, overload, register_model
from numba.np.unsafe.ndarray import to_fixed_tuple

import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu import machine, scalar
from nengo_jit.engines.cpu.fingerprint import referred

ENTRY = "kernel"  # symbol that an object file exports

REALS = {np.dtype(np.float64): types.float64, np.dtype(np.float32): types.float32}

# Arrays in kernels are views, so there is never anything to free.
RUNTIME = "define void @NRT_MemInfo_call_dtor(ptr %memory) { ret void }"

# A C function around the one that Numba made, which returns its result through a pointer and an
# error as a status.
WRAPPER = """
define i64 @{entry}(ptr %memory, i64 %table) {{
  %result = alloca i64
  %error = alloca ptr
  %status = call i32 @"{function}"(ptr %result, ptr %error, ptr %memory, i64 %table)
  %failed = icmp ne i32 %status, 0
  %value = load i64, ptr %result
  %answer = select i1 %failed, i64 {stopped}, i64 %value
  ret i64 %answer
}}
"""


def compile_kernel(function: Callable[..., Any], dtype: np.dtype, fastmath: set[str]) -> bytes:
    """Compile a kernel's function.

    Parameters
    ----------
    function : callable
        ``function(memory, table) -> status`` in the subset of Python that Numba compiles.
    dtype : numpy.dtype
        Type of the numbers.
    fastmath : set of str
        What LLVM may do with floating-point arithmetic, by LLVM's names.

    Returns
    -------
    bytes
        An object file of the platform's format, which exports `ENTRY`.
    """
    define_helpers()
    signature = types.int64(types.CPointer(REALS[np.dtype(dtype)]), types.int64)
    options: Any = {"fastmath": fastmath, "error_model": "numpy"}
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled = njit(signature, **options)(function)
    result: Any = compiled.overloads[signature.args]
    wrapper = WRAPPER.format(
        entry=ENTRY, function=result.fndesc.llvm_func_name, stopped=machine.STOPPED
    )
    module = llvm.parse_assembly(compiled.inspect_llvm(signature.args) + wrapper)
    module.link_in(llvm.parse_assembly(RUNTIME))
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != ENTRY:
            each.linkage = "internal"
    target = target_machine()
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options()))
    return bytes(target.emit_object(module))


@cache
def target_machine() -> Any:
    """What LLVM makes code for: this machine's processor, wherever the code may lie."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="small",
    )


_defined: set[Callable[..., Any]] = set()


def define_helpers() -> None:
    """Make functions that have become helpers or formulas since the last time known to Numba."""
    for function, options in machine.HELPERS.items():
        if function not in _defined:
            _define(function, **options)(function)
    _defined.update(machine.HELPERS)
    for step in machine.FORMULAS:
        _define_formula(step)


def _define_formula(step: Any) -> None:
    """Make a formula known to Numba, and those that it calls."""
    if step in _defined or step in vars(vocabulary).values():
        return
    _defined.add(step)
    scalar.define_formula(step)
    for each in referred(step).values():
        if isinstance(each, FunctionType):
            _define_formula(each)


def _define(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Decorator: the implementation of a function that is only declared in Python.

    LLVM inlines it sooner than Numba, which infers all types anew wherever it inlines something.
    """

    def register(implementation: Callable[..., Any]) -> Callable[..., Any]:
        jit_options: Any = options
        declare = overload(function, strict=False, jit_options=jit_options)
        declare(lambda *arguments: implementation)
        return implementation

    return register


def _define_inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `_define`, where a call would take longer than what is called."""
    return _define(function, forceinline=True)


@intrinsic
def _pointer(typingctx: Any, memory: Any, address: Any) -> Any:
    """Pointer to an address, of the type of ``memory``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[1], context.get_value_type(signature.return_type))

    return memory(memory, types.int64), codegen


@intrinsic
def _typed_pointer(typingctx: Any, address: Any, example: Any) -> Any:
    """Pointer to an address, of numbers of the type of ``example``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(example)(types.int64, example), codegen


@_define_inlined(machine.vector)
def _vector(memory, address, size):
    return carray(_pointer(memory, address), size)


@_define_inlined(machine.integers)
def _integers(address, size):
    return carray(_typed_pointer(address, np.int64(0)), size)


@_define_inlined(machine.short_integers)
def _short_integers(address, size):
    return carray(_typed_pointer(address, np.int32(0)), size)


@_define_inlined(machine.octets)
def _octets(address, size):
    return carray(_typed_pointer(address, np.uint8(0)), size)


@_define_inlined(machine.reals)
def _reals(address, size):
    return carray(_typed_pointer(address, np.float64(0)), size)


@_define_inlined(machine.short_reals)
def _short_reals(address, size):
    return carray(_typed_pointer(address, np.float32(0)), size)


@_define_inlined(machine.tuple_of)
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
def _atomic_add(typingctx: Any, address: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, args[1], "acq_rel")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _atomic_load(typingctx: Any, address: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def _scratch(typingctx: Any, n_bytes: Any) -> Any:
    if not isinstance(n_bytes, types.IntegerLiteral):
        raise errors.RequireLiteralValue("The size must be a literal number")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with builder.goto_entry_block():
            pointer = builder.alloca(ir.ArrayType(ir.IntType(8), n_bytes.literal_value))
            pointer.align = 64
        return builder.ptrtoint(pointer, ir.IntType(64))

    return types.int64(n_bytes), codegen


@intrinsic
def _bits_of(typingctx: Any, flags: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        octets = ir.VectorType(ir.IntType(8), 64)
        values = builder.load(builder.inttoptr(args[0], octets.as_pointer()), align=1)
        are_set = builder.icmp_unsigned("!=", values, ir.Constant(octets, None))
        return builder.bitcast(are_set, ir.IntType(64))

    return types.int64(types.int64), codegen


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


def has_vbmi2() -> bool:
    """Whether the processor compresses vectors of bytes, as x86 does from Ice Lake and Zen 4 on."""
    return bool(llvm.get_host_cpu_features().get("avx512vbmi2", False))


@intrinsic
def _can_compress(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(1), has_vbmi2())

    return types.boolean(), codegen


LISTED_AT_ONCE = 16  # bits of 64: mostly no more are set


@intrinsic
def _list_bits(typingctx: Any, bits: Any, first: Any, address: Any) -> Any:
    octets, mask = ir.VectorType(ir.IntType(8), 64), ir.VectorType(ir.IntType(1), 64)
    integers = ir.VectorType(ir.IntType(64), LISTED_AT_ONCE)

    def lanes(numbers: Any) -> Any:
        return ir.Constant(ir.VectorType(ir.IntType(32), LISTED_AT_ONCE), list(numbers))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        compress = builder.module.declare_intrinsic(
            "llvm.experimental.vector.compress.v64i8",
            (),
            ir.FunctionType(octets, [octets, mask, octets]),
        )
        numbers = ir.Constant(octets, list(range(64)))
        set_bits = builder.bitcast(args[0], mask)
        listed = builder.call(compress, [numbers, set_bits, ir.Constant(octets, ir.Undefined)])
        single = builder.insert_element(
            ir.Constant(integers, ir.Undefined), args[1], ir.Constant(ir.IntType(32), 0)
        )
        firsts = builder.shuffle_vector(single, single, lanes([0] * LISTED_AT_ONCE))
        place = builder.inttoptr(args[2], integers.as_pointer())

        def store(k: int) -> None:
            some = builder.shuffle_vector(
                listed, listed, lanes(range(k * LISTED_AT_ONCE, (k + 1) * LISTED_AT_ONCE))
            )
            target = builder.gep(place, [ir.Constant(ir.IntType(64), k)])
            builder.store(builder.add(builder.zext(some, integers), firsts), target, align=8)

        store(0)
        are_more = builder.icmp_unsigned(
            ">", builder.ctpop(args[0]), ir.Constant(ir.IntType(64), LISTED_AT_ONCE)
        )
        with builder.if_then(are_more, likely=False):
            for k in range(1, 64 // LISTED_AT_ONCE):
                store(k)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), codegen


class Lanes(types.Type):
    """As many numbers as the processor's widest vectors hold, in a register.

    Parameters
    ----------
    number : numba.types.Float
        Type of each of them.
    """

    def __init__(self, number: Any):
        n_bytes = 64 if llvm.get_host_cpu_features().get("avx512f", False) else 32
        self.number, self.size = number, n_bytes * 8 // number.bitwidth
        self.suffix = f"v{self.size}f{number.bitwidth}"  # of LLVM's intrinsics
        super().__init__(f"Lanes({number}, {self.size})")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """How `Lanes` are represented: as a vector in LLVM's sense."""

    def __init__(self, manager: Any, lanes: Any):
        number = manager.lookup(lanes.number).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(number, lanes.size))


def _spread(builder: Any, value: Any, size: int) -> Any:
    """A vector all of whose elements are the same."""
    one = builder.insert_element(
        ir.Constant(ir.VectorType(value.type, size), ir.Undefined), value, ir.IntType(32)(0)
    )
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), size), None))


def _first_lanes(builder: Any, n: Any, size: int) -> Any:
    """Which of as many lanes are the first n."""
    places = ir.Constant(ir.VectorType(n.type, size), list(range(size)))
    return builder.icmp_signed("<", places, _spread(builder, n, size))


def _access_lanes(builder: Any, lanes: Any, vector: Any, args: Any) -> Any:
    """Load lanes, or store them if that is what the last argument is."""
    address, n, *values = args
    alignment = ir.IntType(32)(lanes.number.bitwidth // 8)
    pointer = builder.inttoptr(address, vector.as_pointer())
    mask = _first_lanes(builder, n, lanes.size)
    kind = "store" if values else "load"
    others = [] if values else [ir.Constant(vector, None)]
    given = [*values, pointer, alignment, mask, *others]
    function = builder.module.declare_intrinsic(
        f"llvm.masked.{kind}.{lanes.suffix}.p0",
        (),
        ir.FunctionType(ir.VoidType() if values else vector, [each.type for each in given]),
    )
    return builder.call(function, given)


@intrinsic
def _n_lanes(typingctx: Any, memory: Any) -> Any:
    size = Lanes(memory.dtype).size
    return types.int64(memory), lambda context, builder, signature, args: ir.IntType(64)(size)


@intrinsic
def _load_lanes(typingctx: Any, memory: Any, address: Any, n: Any) -> Any:
    lanes = Lanes(memory.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _access_lanes(builder, lanes, context.get_value_type(lanes), args[1:])

    return lanes(memory, types.int64, types.int64), codegen


@intrinsic
def _store_lanes(typingctx: Any, address: Any, n: Any, lanes: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _access_lanes(builder, lanes, context.get_value_type(lanes), args)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, lanes), codegen


@intrinsic
def _add_product(typingctx: Any, lanes: Any, factor: Any, others: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = context.get_value_type(lanes)
        function = builder.module.declare_intrinsic(
            f"llvm.fmuladd.{lanes.suffix}", (), ir.FunctionType(vector, [vector] * 3)
        )
        return builder.call(function, [_spread(builder, args[1], lanes.size), args[2], args[0]])

    return lanes(lanes, lanes.number, lanes), codegen


IS_X86 = llvm.get_process_triple().startswith(("x86_64", "i686"))


@intrinsic
def _relax(typingctx: Any) -> Any:
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
_gather_if_fast = _without_vectors(lambda: not has_vbmi2())  # what has it gathers fast, too


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
_yield_processor = types.ExternalFunction("sched_yield", types.int32())
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
_take_error = types.ExternalFunction("PyErr_Fetch", types.void(*[types.int64] * 3))
_as_integer = types.ExternalFunction(
    "PyLong_AsLongLongAndOverflow", types.int64(types.int64, types.int64)
)


@_define(machine.call_object_of_one)
def _call_object_of_one(function, argument):
    arguments = _new_tuple(1)
    if arguments == 0:
        return 0
    _keep_object(argument)
    _give_to_tuple(arguments, 0, argument)
    result = _call_object_of_tuple(function, arguments)
    _drop_object(arguments)
    return result


_define_inlined(machine.call)(lambda kernel, table: _call(kernel, table))
_define_inlined(machine.call_function)(lambda function, x: _call_function(function, x))
_define_inlined(machine.call_function_of_two)(
    lambda function, x, y: _call_function_of_two(function, x, y)
)
_define_inlined(machine.call_loop)(
    lambda function, arguments, sizes, steps, data: _call_loop(
        function, arguments, sizes, steps, data
    )
)
_define_inlined(machine.lock_python)(lambda: _lock_python())
_define_inlined(machine.unlock_python)(lambda state: _unlock_python(state))
_define_inlined(machine.call_object)(lambda function: _call_object(function))
_define_inlined(machine.drop_object)(lambda value: _drop_object(value))
_define_inlined(machine.take_error)(
    lambda kind, value, traceback: _take_error(kind, value, traceback)
)
_define_inlined(machine.as_integer)(lambda value, overflow: _as_integer(value, overflow))
_define_inlined(machine.atomic_add)(lambda address, value: _atomic_add(address, value))
_define_inlined(machine.atomic_load)(lambda address: _atomic_load(address))
_define_inlined(machine.yield_processor)(lambda: _yield_processor())
_define_inlined(machine.relax)(lambda: _relax())
_define_inlined(machine.arithmetic)(lambda: _arithmetic())
_define_inlined(machine.set_arithmetic)(lambda bits: _set_arithmetic(bits))
_define_inlined(machine.bits_of)(lambda flags: _bits_of(flags))
_define_inlined(machine.lowest_bit)(lambda bits: _lowest_bit(bits))
_define_inlined(machine.can_compress)(lambda: _can_compress())
_define_inlined(machine.list_bits)(lambda bits, first, address: _list_bits(bits, first, address))
_define_inlined(machine.n_lanes)(lambda memory: _n_lanes(memory))
_define_inlined(machine.load_lanes)(lambda memory, address, n: _load_lanes(memory, address, n))
_define_inlined(machine.store_lanes)(lambda address, n, lanes: _store_lanes(address, n, lanes))
_define_inlined(machine.add_product)(
    lambda lanes, factor, others: _add_product(lanes, factor, others)
)
_define_inlined(machine.number_of_bits)(lambda bits: _number_of_bits(bits))
_define_inlined(machine.one_by_one)(lambda: _one_by_one())
_define_inlined(machine.gather_if_fast)(lambda: _gather_if_fast())
_define(machine.log_of_c)(lambda x: _log_of_c(x))
_define(machine.exp_of_c)(lambda x: _exp_of_c(x))

# These two are about the function that calls them.
overload(machine.use_widest_vectors, inline="always")(lambda: lambda: _use_widest_vectors())
overload(machine.scratch, inline="always", prefer_literal=True)(
    lambda n_bytes: lambda n_bytes: _scratch(n_bytes)
)
