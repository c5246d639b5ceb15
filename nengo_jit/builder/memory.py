"""Functions that pin memory; see `nengo_jit.ir.memory`."""

from nengo_jit.ir.memory import EXPORTING, hold, owner_of

__all__ = ["EXPORTING", "hold", "owner_of"]
