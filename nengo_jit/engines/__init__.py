"""Engines run a Plan."""

from __future__ import annotations

from importlib import import_module

from nengo.exceptions import ValidationError

from nengo_jit.engines.base import Engine

# Where each engine is, the fastest first. An engine is imported when it is first used, since
# its compiler takes time to import or may not be installed.
ENGINES = {
    "cpu": "nengo_jit.engines.cpu.engine.CpuEngine",
    "reference": "nengo_jit.engines.reference.ReferenceEngine",
}


def engine_class(name: str | None) -> type[Engine]:
    """The engine of a given name, or the fastest there is.

    Parameters
    ----------
    name : str or None
        A key of ``ENGINES``, or None.

    Raises
    ------
    ValidationError
        If there is no engine of that name.
    """
    if name is None:
        name = next(iter(ENGINES))
    if name not in ENGINES:
        known = ", ".join(f"'{known}'" for known in ENGINES)
        raise ValidationError(f"Unknown engine {name!r}; known engines: {known}", attr="engine")
    module, _, class_name = ENGINES[name].rpartition(".")
    found: type[Engine] = getattr(import_module(module), class_name)
    return found


__all__ = ["ENGINES", "Engine", "engine_class"]
