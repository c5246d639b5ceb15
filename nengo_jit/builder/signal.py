"""Signals and their memory, under the name of nengo's module; see `nengo_jit.ir`."""

from nengo_jit.ir.memory import ALIGNMENT, SignalDict, address, align, aligned_block
from nengo_jit.ir.signal import MOST_SHARED, Signal, byte_span, is_index, is_sparse

__all__ = [
    "ALIGNMENT",
    "MOST_SHARED",
    "Signal",
    "SignalDict",
    "address",
    "align",
    "aligned_block",
    "byte_span",
    "is_index",
    "is_sparse",
]
