"""Trace Python functions: make tapes for the kernel `nengo_jit.engines.cpu.python.tape_vm`."""

from nengo_jit.engines.cpu.python.tracing.guards import Guards
from nengo_jit.engines.cpu.python.tracing.interpreter import trace, written
from nengo_jit.engines.cpu.python.tracing.observers import calls_are_observed
from nengo_jit.engines.cpu.python.tracing.traced import Traced
from nengo_jit.engines.cpu.python.tracing.values import Unsupported

__all__ = ["Guards", "Traced", "Unsupported", "calls_are_observed", "trace", "written"]
