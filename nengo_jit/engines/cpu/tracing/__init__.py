"""Python functions as tapes, for the kernel `nengo_jit.engines.cpu.kernels.tape`."""

from nengo_jit.engines.cpu.tracing.interpreter import trace
from nengo_jit.engines.cpu.tracing.observers import calls_are_observed
from nengo_jit.engines.cpu.tracing.tracer import Traced
from nengo_jit.engines.cpu.tracing.values import Unsupported
from nengo_jit.engines.cpu.tracing.watched import Watched

__all__ = ["Traced", "Unsupported", "Watched", "calls_are_observed", "trace"]
