"""The library of machine code: on disk, so that nothing is compiled twice on a machine.

A kernel is filed under the `fingerprint` of all that its code depends on: its function and what
that calls, the type of the numbers, the compiler and the processor. So a file never goes stale,
and files can be deleted at any time. They are kept in ``~/.cache/nengo_jit``, or wherever the
environment variable ``NENGO_JIT_CACHE_DIR`` says.

On x86-64 Linux, code is put into memory as it is (see `nengo_jit.engines.cpu.linker`); elsewhere
LLVM does it.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.fingerprint import fingerprint
from nengo_jit.engines.cpu.image import load_image
from nengo_jit.engines.cpu.machine import Kernel
from nengo_jit.engines.cpu.target import description, target_machine

logger = logging.getLogger(__name__)

IS_LINKED_HERE = sys.platform == "linux" and platform.machine() == "x86_64"
# files that machine code depends on
COMPILER = (
    "accessors.py",
    "checks.py",
    "compiler.py",
    "intrinsics.py",
    "lanes.py",
    "linker.py",
    "scalar.py",
    "target.py",
)
_engines: list[Any] = []  # what owns the memory that LLVM puts code into


def directory() -> Path:
    """Where machine code is kept."""
    chosen = os.environ.get("NENGO_JIT_CACHE_DIR")
    return Path(chosen) if chosen else Path.home() / ".cache" / "nengo_jit"


@cache
def address_of(kernel: Kernel, dtype: np.dtype) -> int:
    """Address of a kernel's machine code for numbers of a type; compiles it if need be."""
    name = kernel.function.__name__
    flags = sorted(_fastmath(kernel))
    key = fingerprint(kernel.function, tuple(flags), dtype, *_compiler())
    path = directory() / f"{name}-{key}"
    try:
        content = path.read_bytes()
    except OSError:
        content = _compile(kernel, dtype)
        _save(path, content)
    return _load(content)


def load_kernels(kernels: Iterable[tuple[Kernel, np.dtype]], progress: Any = None) -> None:
    """Get kernels ready: from the disk or, the first time on a machine, by compiling them.

    Parameters
    ----------
    kernels : iterable of tuple of Kernel and numpy.dtype
        What is needed, each with the type of its numbers.
    progress : nengo.utils.progress.Progress, optional
        Is told of each kernel that is ready.
    """
    kernels = list(kernels)
    if progress is not None:
        progress.max_steps = max(len(kernels), 1)
    for kernel, dtype in kernels:
        address_of(kernel, np.dtype(dtype))
        if progress is not None:
            progress.step()


def _fastmath(kernel: Kernel) -> set[str]:
    """What LLVM may do with a kernel's arithmetic, by LLVM's names."""
    if kernel.exact:
        return set()
    flags = {"nsz": True, "contract": kernel.contract, "reassoc": kernel.reassociate}
    return {name for name, is_allowed in flags.items() if is_allowed}


def _compile(kernel: Kernel, dtype: np.dtype) -> bytes:
    from nengo_jit.engines.cpu import compiler  # takes long to import

    logger.info("Compiling %s for %s", kernel.function.__name__, dtype)
    object_file = compiler.compile_kernel(kernel.function, dtype, _fastmath(kernel))
    if not IS_LINKED_HERE:
        return object_file
    from nengo_jit.engines.cpu.linker import link

    return link(object_file, compiler.ENTRY).to_bytes()


def _save(path: Path, content: bytes) -> None:
    """Write a file at once, since other processes may read or write it, too."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        os.replace(file.name, path)
    except OSError as error:
        logger.info("Machine code is not kept for other processes: %s", error)


@cache
def _compiler() -> tuple[str, ...]:
    """All that machine code depends on besides the kernel."""
    sources = [(Path(__file__).parent / name).read_text() for name in COMPILER]
    return (version("numba"), version("llvmlite"), description(), *sources)


def _load(content: bytes) -> int:
    return load_image(content) if IS_LINKED_HERE else load_object(content)


def load_object(content: bytes) -> int:
    """Let LLVM put an object file into memory."""
    import llvmlite.binding as llvm

    from nengo_jit.engines.cpu.compiler import ENTRY

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(content))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(ENTRY))
