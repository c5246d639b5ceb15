"""The public names of the package, all of which the reference describes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import nengo_jit

# Modules for users, and for those who extend the package
MODULES = [
    "nengo_jit",
    "nengo_jit.builder",
    "nengo_jit.converters",
    "nengo_jit.engines",
    "nengo_jit.engines.cpu.extending",
    "nengo_jit.engines.stepwise",
    "nengo_jit.neurons",
    "nengo_jit.planner",
    "nengo_jit.planner.passes",
    "nengo_jit.plot",
    "nengo_jit.profiling",
    "nengo_jit.scalar",
    "nengo_jit.training",
]


def names() -> Iterator[str]:
    """Yield every public name, as users write it; an object with two names has the first."""
    seen = set()
    for name in MODULES:
        module = importlib.import_module(name)
        for each in public_of(module):
            if id(getattr(module, each)) not in seen:
                yield f"{name}.{each}"
            seen.add(id(getattr(module, each)))


def public_of(module: object) -> list[str]:
    """The public names of a module: those in ``__all__``, else what it defines itself."""
    if module is nengo_jit:
        return sorted({*nengo_jit.__all__, *nengo_jit.PLACES} - {"__version__"})
    if hasattr(module, "__all__"):
        return [each for each in module.__all__ if not each.startswith("build_")]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and value.__module__ == getattr(module, "__name__", None)
    ]
