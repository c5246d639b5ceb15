"""nengo-jit: run Nengo models as machine code, with the results of ``nengo.Simulator``."""

from nengo_jit.simulator import SimulationData, Simulator

__version__ = "0.1.0"
__all__ = ["SimulationData", "Simulator", "__version__"]
