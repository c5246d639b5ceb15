"""Engines run a Plan."""

from __future__ import annotations

from nengo.exceptions import ValidationError

from nengo_jit.engines.base import Engine
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.engines.reference import ReferenceEngine

# The fastest first.
ENGINES: dict[str, type[Engine]] = {"cpu": CpuEngine, "reference": ReferenceEngine}


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
    return ENGINES[name]


__all__ = ["ENGINES", "Engine", "engine_class"]
