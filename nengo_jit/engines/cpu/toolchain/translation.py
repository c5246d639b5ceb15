"""Let Numba do what kernels need, and no more.

Kernels need LLVM's language only, of which `compiler.py` makes machine code, once for a kernel and
all that it calls. By default Numba makes machine code of every function and helper, ready to be
called, optimises each of them for itself, and looks for what there is none of in kernels. Without
that, compiling takes half the time.
"""

from __future__ import annotations

from typing import Any

from numba.core import codegen
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.runtime import context as runtime

# Passes that find nothing in kernels: ``with``, functions within functions, functions that Numba is
# to inline, expressions of whole arrays, and what would be wrong.
UNNEEDED = {
    "DeadBranchPrune",
    "IRLegalization",
    "InlineClosureLikes",
    "InlineInlinables",
    "InlineOverloads",
    "NoPythonSupportedFeatureValidation",
    "NopythonRewrites",
    "WithLifting",
}


class KernelCompiler(CompilerBase):
    """Numba's compiler for kernels and their helpers."""

    def define_pipelines(self) -> list[Any]:
        """Numba's passes but those that are not needed."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [each for each in passes.passes if each[0].__name__ not in UNNEEDED]
        passes.finalize()
        return [passes]


def translate_only() -> None:
    """Let Numba make no machine code in this process any more: nothing that it compiles can run.

    What is replaced here is none of Numba's interface; what another version of Numba does not have
    is left alone, and compiling takes longer.
    """
    for module, owner, name, substitute in (
        (codegen, "JITCPUCodegen", "_add_module", lambda self, module: None),
        (codegen, "JITCPUCodegen", "set_env", lambda self, name, environment: None),
        (codegen, "JITCodeLibrary", "_finalize_specific", lambda self: None),
        (codegen, "JITCodeLibrary", "get_pointer_to_function", _finalize),
        (codegen, "CPUCodeLibrary", "_optimize_functions", _prepare),
        (codegen, "CPUCodeLibrary", "_optimize_final_module", lambda self: None),
        # Arrays in kernels are views: there are no references to be counted.
        (runtime, "NRTContext", "incref", lambda self, builder, type, value: None),
        (runtime, "NRTContext", "decref", lambda self, builder, type, value: None),
    ):
        known = getattr(module, owner, None)
        if hasattr(known, name):
            setattr(known, name, substitute)


def _finalize(library: Any, name: str) -> int:
    library._ensure_finalized()
    return 0


def _prepare(library: Any, module: Any) -> None:
    module.data_layout = library._codegen._data_layout
