"""What machine code is made for: a processor, and whether kernels check bounds.

The processor is this machine's, unless Numba's variables say otherwise: ``NUMBA_CPU_NAME`` is a
name that LLVM knows, such as ``x86-64-v3``, and ``NUMBA_CPU_FEATURES`` a list such as
``+avx2,-avx512f`` of what it has besides, or has not.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from nengo_jit.regions import CHECKED

# Functions that need instructions only some processors have, in LLVM's language
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
}
SIGNS = {"vectors of 512 bits": "zmm", "compressing bytes": "vpcompressb"}  # in assembly


def settings() -> dict[str, str]:
    """The environment variables that choose the processor, as far as they are set."""
    names = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
    return {name: os.environ[name] for name in names if name in os.environ}


def description() -> str:
    """All that tells one target from another: homes are shared by different machines."""
    chosen = [f"{name}={value}" for name, value in settings().items() if value]
    return "\n".join([*chosen, _processor(), "checked" if CHECKED else ""])


def _processor() -> str:
    """The instructions that this machine's processor knows."""
    try:
        described = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    names = ("model name", "cpu model", "flags", "features")
    lines = described.splitlines()
    return "\n".join(line for line in lines if line.lower().startswith(names))


@cache
def target_machine() -> Any:
    """What LLVM makes code with, for wherever the code may lie."""
    import llvmlite.binding as llvm  # takes long

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name = os.environ.get("NUMBA_CPU_NAME")
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if not features:  # a processor that is named has its own
        features = "" if name else llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name or llvm.get_host_cpu_name(),
        features=features,
        opt=3,
        reloc="pic",
        codemodel="small",
    )


@cache
def has(ability: str) -> bool:
    """Whether the target has one of the abilities in `PROBES`, judging by code for it."""
    import llvmlite.binding as llvm  # takes long

    assembly = target_machine().emit_assembly(llvm.parse_assembly(PROBES[ability]))
    return SIGNS[ability] in assembly
