"""Restrict Numba to what kernels need: translation to LLVM IR.

`compiler.py` makes machine code of the IR, once for a kernel and all that it calls. By default
Numba makes machine code of each function and helper by itself, optimises each of them, and runs
passes for constructs that kernels do not use. Without these, compiling takes half the time.

Type inference takes Numba longest. It has many templates for a function such as addition, and tries
them one after the other for each call. Kernels have few kinds of calls, so the template that
matched such a call before is tried first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from llvmlite.binding import ModuleRef
from numba.core import codegen, registry, targetconfig, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager
from numba.core.runtime import context as runtime
from numba.core.target_extension import get_local_target
from numba.core.types import functions
from numba.core.typing.context import Context
from numba.core.typing.templates import Signature
from numba.core.utils import order_by_target_specificity

Types = tuple[types.Type, ...]
Way = tuple[Any, bool]  # a template, and whether it gets literal types

# Passes for constructs that kernels do not use: ``with``, nested functions, functions that Numba
# inlines, expressions of whole arrays, and validation.
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

    def define_pipelines(self) -> list[PassManager]:
        """Numba's passes, without `UNNEEDED`."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [each for each in passes.passes if each[0].__name__ not in UNNEEDED]
        passes.finalize()
        return [passes]


def translate_only() -> None:
    """Stop Numba from making machine code in this process: nothing that it compiles can run.

    This replaces private functions of Numba. Those that another version does not have are skipped;
    compiling then takes longer.
    """
    for module, owner, name, substitute in (
        (codegen, "JITCPUCodegen", "_add_module", lambda self, module: None),
        (codegen, "JITCPUCodegen", "set_env", lambda self, name, environment: None),
        (codegen, "JITCodeLibrary", "_finalize_specific", lambda self: None),
        (codegen, "JITCodeLibrary", "get_pointer_to_function", _finalize),
        (codegen, "CPUCodeLibrary", "_optimize_functions", _prepare),
        (codegen, "CPUCodeLibrary", "_optimize_final_module", lambda self: None),
        # Arrays in kernels are views: there are no references to count.
        (runtime, "NRTContext", "incref", lambda self, builder, type, value: None),
        (runtime, "NRTContext", "decref", lambda self, builder, type, value: None),
        (targetconfig, "TargetConfig", "values", _values),
        (functions, "BaseFunction", "get_call_type", _get_call_type(functions.BaseFunction)),
    ):
        known = getattr(module, owner, None)
        if hasattr(known, name):
            setattr(known, name, substitute)


def warm_up() -> None:
    """Let Numba load now what it would load for the first function."""
    for context in (registry.cpu_target.typing_context, registry.cpu_target.target_context):
        context.refresh()


def _finalize(library: codegen.CPUCodeLibrary, name: str) -> int:
    library._ensure_finalized()
    return 0


def _prepare(library: codegen.CPUCodeLibrary, module: ModuleRef) -> None:
    module.data_layout = library._codegen._data_layout


def _values(config: Any) -> dict[str, object]:
    """Options of a target, set or by default."""
    return {name: config._values.get(name, each.default) for name, each in config.options.items()}


def _get_call_type(
    owner: type[functions.BaseFunction],
) -> Callable[..., Signature | None]:
    """Make a method that finds the signature of a call, by the template that matched before."""
    find = owner.get_call_type
    known: dict[Hashable, Way] = {}

    def ways(context: Context, function: functions.BaseFunction) -> list[Way]:
        """Ways to match a call, in Numba's order."""
        target = get_local_target(context)
        templates = order_by_target_specificity(target, function.templates, fnkey=function.key[0])
        return [
            (template, is_literal)
            for template in templates
            for is_literal in ((True, False) if template.prefer_literal else (False, True))
        ]

    def match(template: Any, is_literal: bool, args: Types) -> Signature | None:
        return template.apply(args if is_literal else tuple(map(types.unliteral, args)), {})

    def get_call_type(
        function: Any, context: Context, args: Types, kws: dict[str, types.Type]
    ) -> Signature | None:
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
            except Exception:  # it does not match
                continue
        return signature

    return get_call_type
