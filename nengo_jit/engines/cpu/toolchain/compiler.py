"""Compile kernels: the only way from Python functions to machine code.

Numba translates a function and the helpers that it calls to LLVM IR, and LLVM makes an object file
of it. Importing this module takes a third of a second and fifty megabytes, so that only processes
that compile kernels do it.

The primitives (`nengo_jit.engines.cpu.language.primitives`) are defined in ``intrinsics.py``,
``accessors.py`` and ``simd.py``, the functions of formulas in ``elementary.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba import from_dtype, njit, types
from numba.core.typing.templates import Signature

import nengo_jit.engines.cpu.toolchain.llvm.accessors
import nengo_jit.engines.cpu.toolchain.llvm.elementwise
import nengo_jit.engines.cpu.toolchain.llvm.members
import nengo_jit.engines.cpu.toolchain.llvm.simd  # noqa: F401 (importing them defines primitives)
import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.language.primitives import FLOAT16, FLOAT32, FLOAT64
from nengo_jit.engines.cpu.toolchain.fingerprint import referred
from nengo_jit.engines.cpu.toolchain.half_tables import FUNCTIONS, symbol_of
from nengo_jit.engines.cpu.toolchain.llvm import checks, elementary, half, intrinsics
from nengo_jit.engines.cpu.toolchain.loader import address_of_symbol
from nengo_jit.engines.cpu.toolchain.target import target_machine
from nengo_jit.engines.cpu.toolchain.wrapper import ENTRY, noting, wrapper
from nengo_jit.regions import CHECKED, SYMBOL

for _symbol in (SYMBOL, *map(symbol_of, FUNCTIONS)):  # Numba loads the code that it compiles
    llvm.add_symbol(_symbol, address_of_symbol(_symbol))

REALS = {FLOAT64: types.float64, FLOAT32: types.float32, FLOAT16: half.half}

# Arrays in kernels are views: there is never anything to free.
RUNTIME = "define void @NRT_MemInfo_call_dtor(ptr %memory) { ret void }"

# Functions that the wrapper calls if bounds are checked
DECLARED_FOR_CHECKS = """
declare i32 @"{check}"(ptr, ptr, i64, i64)
declare void @note(i1)
"""


def compile_kernel(
    function: Callable[..., object],
    signature: primitives.Signature,
    dtype: np.dtype,
    fastmath: set[str],
) -> bytes:
    """Compile a function.

    Parameters
    ----------
    function : callable
        In the subset of Python that Numba compiles.
    signature : Signature
        Its parameters and result.
    dtype : numpy.dtype
        Type of the numbers.
    fastmath : set of str
        LLVM's names of the fast-math flags that are allowed.

    Returns
    -------
    bytes
        An object file in the platform's format, which exports `ENTRY`.
    """
    define_helpers()
    returned = types.int64 if signature.has_status else types.none
    memory = types.CPointer(REALS[np.dtype(dtype)])
    name, translated = _translate(function, returned(memory, *_parameters(signature)), fastmath)
    attributes = intrinsics.WIDEST if intrinsics.WIDEST in translated else ""
    more, check = [RUNTIME], ""
    if CHECKED:
        check, code = _translate(checks.known_table, types.int64(types.int64, types.int64), set())
        more += [code, noting(signature.name)]
        translated += DECLARED_FOR_CHECKS.format(check=check)
    module = llvm.parse_assembly(translated + wrapper(signature, name, attributes, check))
    for each in more:
        module.link_in(llvm.parse_assembly(each))
    for each in (*module.functions, *module.global_variables):
        if not each.is_declaration and each.name != ENTRY:
            each.linkage = "internal"
    return _optimised(module)


def _translate(
    function: Callable[..., object], signature: Signature, fastmath: set[str]
) -> tuple[str, str]:
    """Translate a function to LLVM IR; returns its name there, and a module."""
    options: Any = {"fastmath": fastmath, "error_model": "numpy", "boundscheck": CHECKED}
    options |= intrinsics.ONLY_FOR_KERNELS
    compiled: Any = njit(signature, **options)(function)
    ((given, result),) = compiled.overloads.items()
    return result.fndesc.llvm_func_name, compiled.inspect_llvm(given)


def _parameters(signature: primitives.Signature) -> list[types.Type]:
    """Numba's types of the parameters after `primitives.Memory`."""
    if signature.columns is None:
        return [types.int64]
    if signature.takes_all:
        row = np.dtype([(name, np.int64) for name in signature.columns], align=True)
        return [types.Array(from_dtype(row), 1, "C")]
    return [types.int64] * len(signature.columns)


def _optimised(module: llvm.ModuleRef) -> bytes:
    """Optimise a module in LLVM IR, and compile it to an object file.

    LLVM vectorises loops only, not straight-line code (SLP): then all numbers of an array are
    rounded alike, however many of them a call has.
    """
    target = target_machine()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization, tuning.slp_vectorization = True, False
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)
    return bytes(target.emit_object(module))


_defined: set[Callable[..., object]] = set()


def define_helpers() -> None:
    """Make helpers and formulas known to Numba, unless they are already."""
    for function, options in primitives.HELPERS.items():
        if function not in _defined:
            intrinsics.define(function, **options)(function)
    _defined.update(primitives.HELPERS)
    for step, contract in primitives.FORMULAS.items():
        assert isinstance(step, FunctionType)
        _define_formula(step, contract)


def _define_formula(step: FunctionType, contract: bool) -> None:
    """Make a formula, and those that it calls, known to Numba."""
    if step in _defined or step in vars(vocabulary).values():
        return
    _defined.add(step)
    elementary.define_formula(step, contract)
    for each in referred(step).values():
        if isinstance(each, FunctionType):
            _define_formula(each, primitives.FORMULAS.get(each, contract))
