"""Names of cache entries: a kernel's name, and a digest of all that its machine code depends on.

That is the kernel's function and what it calls, the precision, the compiler and the processor. So
an entry is never out of date.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version

import numpy as np

from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.language.kernel import Routine
from nengo_jit.engines.cpu.toolchain.fingerprint import fingerprint
from nengo_jit.engines.cpu.toolchain.jobs import reachable
from nengo_jit.engines.cpu.toolchain.target import description

# Modules that machine code depends on, besides those that define its functions
COMPILER = (
    "engines/cpu/toolchain/llvm/accessors",
    "engines/cpu/toolchain/llvm/checks",
    "engines/cpu/toolchain/half_tables",
    "engines/cpu/toolchain/llvm/elementwise",
    "engines/cpu/toolchain/llvm/half",
    "engines/cpu/toolchain/llvm/interface",
    "engines/cpu/toolchain/compiler",
    "engines/cpu/toolchain/loader",
    "engines/cpu/toolchain/llvm/intrinsics",
    "engines/cpu/toolchain/llvm/members",
    "engines/cpu/toolchain/llvm/simd",
    "engines/cpu/toolchain/linker",
    "engines/cpu/language/operations",
    "engines/cpu/language/primitives",
    "engines/cpu/language/python_objects",
    "engines/cpu/toolchain/llvm/elementary",
    "engines/cpu/toolchain/llvm/vector_loops",
    "engines/cpu/toolchain/target",
    "engines/cpu/toolchain/translation",
    "engines/cpu/toolchain/wrapper",
    "regions",
)


@cache
def name_of(kernel: Routine, dtype: np.dtype) -> str:
    """Name of the cache entry of a kernel's machine code for one precision."""
    options = fastmath(kernel), *map(_options, reachable(kernel.code))
    key = fingerprint(kernel.code, repr(kernel.signature), options, dtype, _compiler())
    return f"{kernel.name}-{key}"


def fastmath(kernel: Routine) -> tuple[str, ...]:
    """LLVM's names of the fast-math flags that a kernel allows."""
    if kernel.exact:
        return ()
    flags = {"nsz": True, "contract": kernel.contract, "reassoc": kernel.reassociate}
    return tuple(sorted(name for name, is_allowed in flags.items() if is_allowed))


def _options(function: Callable[..., object]) -> str:
    """Compiler options of a helper or a formula, as a text that is the same in every process."""
    # A function that is not registered as a formula is compiled with the options of its caller.
    contract = primitives.FORMULAS.get(function, True)
    options = {**primitives.HELPERS.get(function, {}), "contract": contract}
    return str([(name, _sorted(value)) for name, value in sorted(options.items())])


def _sorted(value: object) -> object:
    return sorted(value) if isinstance(value, (set, frozenset)) else value


@cache
def _compiler() -> str:
    """Digest of all that machine code depends on besides the kernel."""
    python = sys.implementation.cache_tag or sys.version
    parts = (python, version("numba"), version("llvmlite"), description(), *map(_source, COMPILER))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _source(module: str) -> bytes:
    """Source of a module of this package; its bytecode, if there is no source."""
    folder = importlib.resources.files("nengo_jit")
    for ending in (".py", ".pyc"):
        file = folder.joinpath(module + ending)
        if file.is_file():
            return file.read_bytes()
    raise ImportError(
        f"nengo_jit is not installed completely: {module}.py is missing in {folder}. It is needed "
        "to know which machine code in the cache is up to date."
    )
