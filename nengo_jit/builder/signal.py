"""Signals and their memory, under the name that nengo has for them; see `nengo_jit.ir.signal`."""

from nengo_jit.ir.signal import (
    ALIGNMENT,
    MOST_SHARED,
    Signal,
    SignalDict,
    address,
    align,
    aligned_block,
    byte_span,
    is_index,
    is_sparse,
)

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
