"""nengo-jit: run Nengo models as machine code, with the results of ``nengo.Simulator``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nengo_jit.converters import from_nir, from_torch, to_nir
    from nengo_jit.simulator import SimulationData, Simulator
    from nengo_jit.sweeps.sweep import sweep
    from nengo_jit.training.trainer import Trainer as Trainer

__version__ = "0.1.0"
__all__ = [  # Trainer needs an extra
    "SimulationData",
    "Simulator",
    "__version__",
    "from_nir",
    "from_torch",
    "sweep",
    "to_nir",
]
PLACES = {
    "SimulationData": "simulator",
    "Simulator": "simulator",
    "Trainer": "training",
    "from_nir": "converters",
    "from_torch": "converters",
    "sweep": "sweeps.sweep",
    "to_nir": "converters",
}


def __getattr__(name: str) -> object:
    """Import what is used, when it is first used: the command line needs no simulator."""
    from importlib import import_module
    from importlib.util import find_spec

    if name in PLACES:
        globals()[name] = getattr(import_module(f"nengo_jit.{PLACES[name]}"), name)
        return globals()[name]
    if not name.startswith("_") and find_spec(f"nengo_jit.{name}") is not None:
        return import_module(f"nengo_jit.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *PLACES})
