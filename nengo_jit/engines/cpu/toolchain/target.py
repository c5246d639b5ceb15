"""The target of machine code: the processor, and whether kernels check bounds.

The processor is this machine's, unless Numba's environment variables name another one:
``NUMBA_CPU_NAME`` is a name that LLVM knows, such as ``x86-64-v3``, and ``NUMBA_CPU_FEATURES`` is a
list of features to add or remove, such as ``+avx2,-avx512f``.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nengo_jit.regions import CHECKED

if TYPE_CHECKING:
    from llvmlite.binding import TargetMachine

# Functions in LLVM IR that compile to special instructions if the processor has them
PROBES = {
    "vectors of 512 bits": """
define <8 x double> @probe(<8 x double> %x) "min-legal-vector-width"="512" {
  %y = fadd <8 x double> %x, %x
  ret <8 x double> %y
}
""",
    "compressing bytes": """
declare <64 x i8> @llvm.experimental.vector.compress.v64i8(<64 x i8>, <64 x i1>, <64 x i8>)
define <64 x i8> @probe(<64 x i8> %x, <64 x i1> %m) "min-legal-vector-width"="512" {
  %y = call <64 x i8> @llvm.experimental.vector.compress.v64i8(<64 x i8> %x, <64 x i1> %m,
                                                               <64 x i8> poison)
  ret <64 x i8> %y
}
""",
    "converting to half precision": """
define half @probe(float %x) {
  %y = fptrunc float %x to half
  ret half %y
}
""",
}
SIGNS = {
    "vectors of 512 bits": "zmm",
    "compressing bytes": "vpcompressb",
    "converting to half precision": "vcvt",
}  # in the assembly of a probe


def settings() -> dict[str, str]:
    """The environment variables that choose the processor, if they are set."""
    names = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
    return {name: os.environ[name] for name in names if name in os.environ}


def description() -> str:
    """Text that identifies the target: several machines may share a home folder."""
    chosen = [f"{name}={value}" for name, value in settings().items() if value]
    return "\n".join([*chosen, _processor(), "checked" if CHECKED else ""])


def has_half_precision() -> bool:
    """Whether the target converts numbers of half precision by instructions."""
    if platform.machine() not in ("x86_64", "AMD64", "i686"):
        return True  # 64-bit ARM does
    return has("converting to half precision") if settings() else "f16c" in _processor().split()


@cache
def _processor() -> str:
    """Name and features of this machine's processor."""
    try:
        described = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    names = ("model name", "cpu model", "flags", "features")
    lines = described.splitlines()
    return "\n".join(line for line in lines if line.lower().startswith(names))


@cache
def target_machine() -> TargetMachine:
    """LLVM's target machine, for position-independent code."""
    import llvmlite.binding as llvm  # takes long

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name = os.environ.get("NUMBA_CPU_NAME")
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if not features:  # a named processor has its own
        features = "" if name else llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name or llvm.get_host_cpu_name(),
        features=features,
        opt=3,
        reloc="pic",
        codemodel="small",
    )


@cache
def has(feature: str) -> bool:
    """Whether the target has one of the features in `PROBES`, by compiling the probe."""
    import llvmlite.binding as llvm  # takes long

    assembly = target_machine().emit_assembly(llvm.parse_assembly(PROBES[feature]))
    return SIGNS[feature] in assembly
