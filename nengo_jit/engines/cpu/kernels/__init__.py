"""Kernels, one file for each file of operators in the builder; importing registers them."""

from nengo_jit.engines.cpu.kernels import (
    learning_rules,
    neurons,
    operator,
    probe,
    processes,
    python,
    rates,
    tape,
    transforms,
)
from nengo_jit.engines.cpu.library import load_kernels
from nengo_jit.engines.cpu.machine import PRECISIONS, Kernel


def compile_all() -> None:
    """Compile every kernel, for either precision, and keep them on disk.

    That happens by itself, kernel by kernel, when one is first needed. Calling this after an
    installation saves the users of a machine the wait.
    """
    for name in __all__:
        found = [value for value in vars(globals()[name]).values() if isinstance(value, Kernel)]
        for dtype in PRECISIONS:
            load_kernels((kernel, dtype) for kernel in found)


__all__ = [
    "learning_rules",
    "neurons",
    "operator",
    "probe",
    "processes",
    "python",
    "rates",
    "tape",
    "transforms",
]
