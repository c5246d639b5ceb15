"""Converters: networks of other libraries as networks of Nengo's, and back."""

from nengo_jit.converters.from_nir import from_nir
from nengo_jit.converters.from_torch import from_torch
from nengo_jit.converters.leaky import Leaky
from nengo_jit.converters.to_nir import to_nir

__all__ = ["Leaky", "from_nir", "from_torch", "to_nir"]
