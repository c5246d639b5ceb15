"""Compile kernels: the only way from Python functions to machine code.

Numba turns a function and the helpers that it calls into LLVM's language, and LLVM makes an
object file of that. Importing this takes a third of a second and fifty megabytes, so it is done
only in processes that have something to compile.

The names that kernels use (`nengo_jit.engines.cpu.machine`) are defined for Numba in
``intrinsics.py``, ``accessors.py`` and ``lanes.py``, the vocabulary of formulas in ``scalar.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba import njit, types

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
# error as a status.
WRAPPER = """
define i64 @{entry}(ptr %memory, i64 %table) {{
  %result = alloca i64
  %error = alloca ptr
  %status = call i32 @"{function}"(ptr %result, ptr %error, ptr %memory, i64 %table)
  %failed = icmp ne i32 %status, 0
  %value = load i64, ptr %result
  %answer = select i1 %failed, i64 {stopped}, i64 %value
{note}  ret i64 %answer
}}
"""

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
    options: Any = {"fastmath": fastmath, "error_model": "numpy", "boundscheck": CHECKED}
    options |= intrinsics.ONLY_FOR_KERNELS
    compiled = njit(signature, **options)(function)
    result: Any = compiled.overloads[signature.args]
    wrapper = WRAPPER.format(
        entry=ENTRY,
        function=result.fndesc.llvm_func_name,
        stopped=machine.OUT_OF_BOUNDS if CHECKED else machine.STOPPED,
        note=CALL_NOTE if CHECKED else "",
    )
    if CHECKED:
        wrapper += "declare void @note(i1)"
    module = llvm.parse_assembly(compiled.inspect_llvm(signature.args) + wrapper)
    module.link_in(llvm.parse_assembly(RUNTIME))
    if CHECKED:
        name = function.__name__
        note = NOTE.format(symbol=SYMBOL, field=KERNEL, name=name, size=len(name) + 1)
        module.link_in(llvm.parse_assembly(note))
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != ENTRY:
            each.linkage = "internal"
    return _optimised(module)


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
