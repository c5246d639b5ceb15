"""Engines run a Plan. Other packages add theirs by entry points of the group ``nengo_jit.engines``.

An entry point has the name of the engine and refers to its `Backend`. It is imported when its
engine is first chosen.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from nengo.exceptions import ValidationError

from nengo_jit.engines.backend import Backend
from nengo_jit.engines.base import Engine
from nengo_jit.options import Options

GROUP = "nengo_jit.engines"

# Engines of this package, the fastest first
ENGINES = {
    name: EntryPoint(name, f"nengo_jit.engines.{backend}", GROUP)
    for name, backend in {
        "cpu": "cpu.backend:CpuBackend",
        "reference": "reference:ReferenceBackend",
        "jax": "jax.backend:JaxBackend",
    }.items()
}


def known_engines() -> dict[str, EntryPoint]:
    """All engines by name: first those of this package, which other packages cannot replace."""
    others = {each.name: each for each in entry_points(group=GROUP)}
    return {**ENGINES, **{name: others[name] for name in sorted(others.keys() - ENGINES.keys())}}


def backend_class(name: str | None = None) -> type[Backend]:
    """The backend of an engine.

    Parameters
    ----------
    name : str, optional
        Name of the engine; by default the fastest of this package.

    Raises
    ------
    ValidationError
        If there is no engine of that name, or it cannot be imported.
    """
    point = ENGINES.get(next(iter(ENGINES)) if name is None else name)
    if point is None:
        known = known_engines()
        if name not in known:
            names = ", ".join(f"'{each}'" for each in known)
            raise ValidationError(f"Unknown engine {name!r}; known engines: {names}", attr="engine")
        point = known[name]
    package = getattr(point, "dist", None)
    where = f"'{point.value}'" + (f" of the package {package.name}" if package else "")
    try:
        backend = point.load()
    except Exception as error:
        raise ValidationError(
            f"The engine {name!r} cannot be imported from {where}: {type(error).__name__}: {error}",
            attr="engine",
        ) from error
    if not (isinstance(backend, type) and issubclass(backend, Backend)):
        raise ValidationError(
            f"The engine {name!r} has no Backend: {where} is {backend!r}", attr="engine"
        )
    return backend


def backend_for(options: Options) -> Backend:
    """The backend of the engine that options name, with these options; see `backend_class`."""
    return backend_class(options.engine)(options)


__all__ = ["ENGINES", "Backend", "Engine", "backend_class", "backend_for", "known_engines"]
