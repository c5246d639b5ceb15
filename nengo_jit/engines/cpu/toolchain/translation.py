"""Let Numba do what kernels need, and no more.

Kernels need LLVM's language only, of which `compiler.py` makes machine code, once for a kernel and
all that it calls. By default Numba makes machine code of every function and helper, ready to be
called, optimises each of them for itself, and looks for what there is none of in kernels. Without
that, compiling takes half the time.

What takes Numba longest is to find types. It has many templates for a function such as addition,
and tries one after the other for each call, though kernels have few kinds of calls: so the
template that has matched such a call before is tried first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import codegen, registry, targetconfig, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.runtime import context as runtime
from numba.core.target_extension import get_local_target
from numba.core.types import functions
from numba.core.utils import order_by_target_specificity

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
        (targetconfig, "TargetConfig", "values", _values),
        (functions, "BaseFunction", "get_call_type", _get_call_type(functions.BaseFunction)),
    ):
        known = getattr(module, owner, None)
        if hasattr(known, name):
            setattr(known, name, substitute)


def warm_up() -> None:
    """Have Numba load what it would load for the first function."""
    for context in (registry.cpu_target.typing_context, registry.cpu_target.target_context):
        context.refresh()


def _finalize(library: Any, name: str) -> int:
    library._ensure_finalized()
    return 0


def _prepare(library: Any, module: Any) -> None:
    module.data_layout = library._codegen._data_layout


def _values(config: Any) -> dict[str, Any]:
    """The options of a target, set or by default."""
    return {name: config._values.get(name, each.default) for name, each in config.options.items()}


def _get_call_type(owner: Any) -> Callable[..., Any]:
    """What finds the signature of a call: by the template that has matched such a call before."""
    find = owner.get_call_type
    known: dict[Any, tuple[Any, bool]] = {}  # templates, and whether they were given literal types

    def ways(context: Any, function: Any) -> list[tuple[Any, bool]]:
        """Templates and whether to give them literal types, in Numba's order."""
        target = get_local_target(context)
        templates = order_by_target_specificity(target, function.templates, fnkey=function.key[0])
        return [
            (template, is_literal)
            for template in templates
            for is_literal in ((True, False) if template.prefer_literal else (False, True))
        ]

    def match(template: Any, is_literal: bool, args: Any) -> Any:
        return template.apply(args if is_literal else tuple(map(types.unliteral, args)), {})

    def get_call_type(function: Any, context: Any, args: Any, kws: Any) -> Any:
        call = function.key, tuple(args)
        if not kws and call in known:
            template = known[call][0](context)
            signature = match(template, known[call][1], args)
            if signature is not None:
                function._impl_keys[signature.args] = template.get_impl_key(signature)
                return signature
        signature = find(function, context, args, kws)
        for template, is_literal in [] if kws else ways(context, function):
            try:
                if match(template(context), is_literal, args) is not None:
                    known[call] = template, is_literal
                    break
            except Exception:  # which says that it does not match
                continue
        return signature

    return get_call_type
