"""Compile kernels: the only way from Python functions to machine code.

Numba turns a function and the helpers that it calls into LLVM's language, and LLVM makes an
object file of that. Importing this takes a third of a second and fifty megabytes, so it is done
only in processes that have something to compile.

A function that Numba makes of a kernel is about one row; the loop over rows is in LLVM's language,
since each function that Numba makes takes it 20 milliseconds.

The names that kernels use (`nengo_jit.engines.cpu.machine`) are defined for Numba in
``intrinsics.py``, ``accessors.py`` and ``lanes.py``, the vocabulary of formulas in ``scalar.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba import from_dtype, njit, types

import nengo_jit.engines.cpu.accessors
import nengo_jit.engines.cpu.lanes  # noqa: F401 (they define what they are about)
import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu import intrinsics, machine, scalar
from nengo_jit.engines.cpu.fingerprint import referred
from nengo_jit.engines.cpu.target import target_machine
from nengo_jit.regions import CHECKED, KERNEL, REGIONS, SYMBOL, pointer

llvm.add_symbol(SYMBOL, pointer(REGIONS.shared))  # Numba loads what it compiles

ENTRY = "kernel"  # symbol that an object file exports

REALS = {np.dtype(np.float64): types.float64, np.dtype(np.float32): types.float32}

# Arrays in kernels are views, so there is never anything to free.
RUNTIME = "define void @NRT_MemInfo_call_dtor(ptr %memory) { ret void }"

# A C function around the one that Numba made, which returns its result through a pointer and an
# error as a status. LLVM inlines that one, which is called here only.
WRAPPER = """
define i64 @{entry}(ptr %memory, i64 %address) {attributes} {{
start:
  %result = alloca i64
  %error = alloca ptr
  {before}
  %status = call i32 @"{function}"(ptr %result, ptr %error, ptr %memory, {arguments})
  %failed = icmp ne i32 %status, 0
  %value = load i64, ptr %result
  %answer = select i1 %failed, i64 {stopped}, i64 %value
  {note}
  {after}
}}
"""
RETURN = "ret i64 %answer"

# The table that stands at the address, see `nengo_jit.engines.cpu.kernel.table_of`
TABLE = """
  %table = inttoptr i64 %address to ptr
  %n = load i64, ptr %table
  %rows = getelementptr i64, ptr %table, i64 1
"""
# The loop over its rows, which ends after the first status that is not zero
BEFORE_ROW = """
  {table}
  %size = mul i64 %n, {row_size}
  %end = getelementptr i8, ptr %rows, i64 %size
  %is_empty = icmp eq i64 %n, 0
  br i1 %is_empty, label %return, label %row
row:
  %place = phi ptr [ %rows, %start ], [ %next, %go_on ]
  {columns}
"""
COLUMN = """
  %at_{i} = getelementptr i64, ptr %place, i64 {i}
  %column_{i} = load i64, ptr %at_{i}
"""
AFTER_ROW = """
  %is_stopped = icmp ne i64 %answer, 0
  br i1 %is_stopped, label %return, label %go_on
go_on:
  %next = getelementptr i8, ptr %place, i64 {row_size}
  %is_over = icmp eq ptr %next, %end
  br i1 %is_over, label %return, label %row
return:
  %total = phi i64 [ 0, %start ], [ %answer, %row ], [ 0, %go_on ]
  ret i64 %total
"""
# An array of all rows as Numba passes it: owner, parent, size, bytes of a row, data, shape, strides
ARRAY = "ptr null, ptr null, i64 %n, i64 {row_size}, ptr %rows, i64 %n, i64 {row_size}"

# Where bounds are checked, a failure is noted; see `nengo_jit.regions`.
CALL_NOTE = """  call void @note(i1 %failed)
"""
NOTE = """
@{symbol} = external global i64
@name = private constant [{size} x i8] c"{name}\\00"
define void @note(i1 %failed) {{
  br i1 %failed, label %note, label %return
note:
  store ptr @name, ptr getelementptr (i64, ptr @{symbol}, i64 {field})
  br label %return
return:
  ret void
}}
"""


def compile_kernel(
    function: Callable[..., Any], signature: machine.Signature, dtype: np.dtype, fastmath: set[str]
) -> bytes:
    """Compile a function.

    Parameters
    ----------
    function : callable
        In the subset of Python that Numba compiles.
    signature : Signature
        What it is given.
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
    returned = types.int64 if signature.has_status else types.none
    memory = types.CPointer(REALS[np.dtype(dtype)])
    options: Any = {"fastmath": fastmath, "error_model": "numpy", "boundscheck": CHECKED}
    options |= intrinsics.ONLY_FOR_KERNELS
    compiled: Any = njit(returned(memory, *_parameters(signature)), **options)(function)
    ((given, result),) = compiled.overloads.items()
    translated = compiled.inspect_llvm(given)
    wrapper = _wrapper(
        signature,
        function=result.fndesc.llvm_func_name,
        attributes=intrinsics.WIDEST if intrinsics.WIDEST in translated else "",
    )
    module = llvm.parse_assembly(translated + wrapper)
    module.link_in(llvm.parse_assembly(RUNTIME))
    if CHECKED:
        name = function.__name__
        note = NOTE.format(symbol=SYMBOL, field=KERNEL, name=name, size=len(name) + 1)
        module.link_in(llvm.parse_assembly(note))
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != ENTRY:
            each.linkage = "internal"
    return _optimised(module)


def _parameters(signature: machine.Signature) -> list[Any]:
    """Numba's types of what a function is given besides `machine.Memory`."""
    if signature.columns is None:
        return [types.int64]
    if signature.takes_all:
        row = np.dtype([(name, np.int64) for name in signature.columns], align=True)
        return [types.Array(from_dtype(row), 1, "C")]
    return [types.int64] * len(signature.columns)


def _wrapper(signature: machine.Signature, **names: str) -> str:
    """The C function around one of Numba's, in LLVM's language."""
    columns = signature.columns or ()
    row_size = 8 * len(columns)
    before, arguments, after = "", "i64 %address", RETURN
    if signature.takes_all:
        before, arguments = TABLE, ARRAY.format(row_size=row_size)
    elif signature.columns is not None:
        loads = "".join(COLUMN.format(i=i) for i in range(len(columns)))
        before = BEFORE_ROW.format(table=TABLE, row_size=row_size, columns=loads)
        arguments = ", ".join(f"i64 %column_{i}" for i in range(len(columns)))
        after = AFTER_ROW.format(row_size=row_size)
    wrapper = WRAPPER.format(
        entry=ENTRY,
        before=before,
        arguments=arguments,
        after=after,
        stopped=machine.OUT_OF_BOUNDS if CHECKED else machine.STOPPED,
        note=CALL_NOTE if CHECKED else "",
        **names,
    )
    return wrapper + ("declare void @note(i1)" if CHECKED else "")


def _optimised(module: Any) -> bytes:
    """An object file of a module in LLVM's language.

    Only loops become vector instructions ("loop vectorisation", not "SLP"): so all numbers of an
    array are rounded alike, however many of them a call is about.
    """
    target = target_machine()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization, tuning.slp_vectorization = True, False
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)
    return bytes(target.emit_object(module))


_defined: set[Callable[..., Any]] = set()


def define_helpers() -> None:
    """Make functions that have become helpers or formulas since the last time known to Numba."""
    for function, options in machine.HELPERS.items():
        if function not in _defined:
            intrinsics.define(function, **options)(function)
    _defined.update(machine.HELPERS)
    for step, contract in machine.FORMULAS.items():
        _define_formula(step, contract)


def _define_formula(step: Any, contract: bool) -> None:
    """Make a formula known to Numba, and those that it calls."""
    if step in _defined or step in vars(vocabulary).values():
        return
    _defined.add(step)
    scalar.define_formula(step, contract)
    for each in referred(step).values():
        if isinstance(each, FunctionType):
            _define_formula(each, machine.FORMULAS.get(each, contract))
