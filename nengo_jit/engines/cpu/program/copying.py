"""A kernel that copies bytes: programs save memory before a step that may fail."""

from __future__ import annotations

from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import Address, Memory, uint8s


@kernel()
def copy_bytes(memory: Memory, src: Address, dst: Address, n_bytes: int) -> None:
    """``dst[:] = src``, for numbers of any type."""
    source, target = uint8s(src, n_bytes), uint8s(dst, n_bytes)
    for i in range(n_bytes):
        target[i] = source[i]
