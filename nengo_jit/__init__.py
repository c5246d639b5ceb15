"""nengo-jit: run Nengo models as machine code, with the results of ``nengo.Simulator``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nengo_jit.simulator import SimulationData, Simulator

__version__ = "0.1.0"
__all__ = ["SimulationData", "Simulator", "__version__"]


def __getattr__(name: str) -> object:
    """Import the simulator when it is first asked for: the command line starts without it."""
    from importlib import import_module

    if not name.startswith("_"):
        simulator = import_module("nengo_jit.simulator")
        globals().update({each: getattr(simulator, each) for each in __all__ if each[0] != "_"})
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
