"""Run the members of a batch: simulations of one plan that differ in inputs, seeds and values."""

from nengo_jit.engines.batch.base import BatchEngine

__all__ = ["BatchEngine"]
