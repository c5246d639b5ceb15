"""Profiles: where the time and the memory of a simulation go, by the objects of the network."""

from nengo_jit.profiling.measure import take_profile
from nengo_jit.profiling.profile import Profile

__all__ = ["Profile", "take_profile"]
