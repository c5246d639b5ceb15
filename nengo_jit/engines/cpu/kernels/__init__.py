"""Kernels, and the functions that lower operators to them; importing registers both."""

import numpy as np

from nengo_jit.engines.cpu.kernels import (
    convolutions,
    dense,
    dot,
    events,
    filters,
    half,
    half_rules,
    half_sparse,
    held,
    inputs,
    learned_products,
    learning_rules,
    lif,
    neurons,
    noise,
    nonzeros,
    operator,
    probe,
    processes,
    rates,
    rls,
    sparse,
    spikes,
    tables,
)
from nengo_jit.engines.cpu.language.kernel import Routine
from nengo_jit.engines.cpu.language.primitives import FLOAT64, PRECISIONS
from nengo_jit.engines.cpu.program import copying, team
from nengo_jit.engines.cpu.python import blocks, compare
from nengo_jit.engines.cpu.python import call as python
from nengo_jit.engines.cpu.python import tape_vm as tape
from nengo_jit.engines.cpu.toolchain.kernel_cache import load_kernels
from nengo_jit.neurons import formulas


def all_kernels() -> list[tuple[Routine, np.dtype]]:
    """Return every kernel, with each precision that it is compiled for.

    Half precision is left out, and so are kernels that are for it alone, by their names.
    """
    values = [value for name in __all__ for value in vars(globals()[name]).values()]
    values += [*vars(copying).values(), *vars(team).values(), *map(neurons.kernel_of, formulas())]
    routines = [value for value in values if isinstance(value, Routine)]
    found = dict.fromkeys(each for each in routines if not each.name.startswith("half_"))
    computing_rates = filter(None, map(rates.kernel_of, formulas()))
    return [
        *((kernel, dtype) for dtype in PRECISIONS for kernel in found),
        *((kernel, FLOAT64) for kernel in computing_rates),
    ]


def compile_all() -> None:
    """Compile every kernel, for each precision, and keep them on disk.

    Kernels are otherwise compiled when they are first needed. Call this after an installation, or
    run ``nengo-jit compile``, to save the users of a machine the wait.
    """
    load_kernels(all_kernels())


__all__ = [
    "blocks",
    "compare",
    "convolutions",
    "dense",
    "dot",
    "events",
    "filters",
    "half",
    "half_rules",
    "half_sparse",
    "held",
    "inputs",
    "learned_products",
    "learning_rules",
    "lif",
    "neurons",
    "noise",
    "nonzeros",
    "operator",
    "probe",
    "processes",
    "python",
    "rates",
    "rls",
    "sparse",
    "spikes",
    "tables",
    "tape",
]
