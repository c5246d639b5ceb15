"""Execute the bytecode of Python functions on traced values.

`Frame` has the loop, the other modules the handlers of CPython's instructions.
"""

from nengo_jit.engines.cpu.python.tracing.bytecode import (  # noqa: F401  they register handlers
    calls,
    collections,
    jumps,
    operations,
    stack,
    variables,
)
from nengo_jit.engines.cpu.python.tracing.bytecode.frame import IS_KNOWN_PYTHON, Frame, is_ours

__all__ = ["IS_KNOWN_PYTHON", "Frame", "is_ours"]
