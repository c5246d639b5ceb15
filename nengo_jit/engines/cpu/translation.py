"""Keep Numba from making machine code, in a process that wants none from it.

Numba makes machine code of every function and helper as soon as it has compiled it, ready to be
called. Kernels need what comes before that only: LLVM's language, of which `compiler.py` makes
machine code itself. That saves three tenths of the time. What is replaced here is none of Numba's
interface; what another version of Numba does not have is left alone, and compiling takes longer.
"""

from __future__ import annotations

from typing import Any

from numba.core import codegen


def translate_only() -> None:
    """Let Numba make no machine code in this process any more: nothing that it compiles can run."""
    for owner, name, substitute in (
        ("JITCPUCodegen", "_add_module", lambda self, module: None),
        ("JITCPUCodegen", "set_env", lambda self, name, environment: None),
        ("JITCodeLibrary", "_finalize_specific", lambda self: None),
        ("JITCodeLibrary", "get_pointer_to_function", _finalize),
    ):
        known = getattr(codegen, owner, None)
        if hasattr(known, name):
            setattr(known, name, substitute)


def _finalize(library: Any, name: str) -> int:
    library._ensure_finalized()
    return 0
