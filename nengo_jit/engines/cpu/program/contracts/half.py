"""Requirements on operators in half precision: that kernels have NumPy's bits.

In nengo some arrays and numbers have double precision whatever the model has. NumPy then computes
in double precision and rounds once. Kernels round after each operation in half precision, so that
an operator that meets such numbers runs in Python, unless its kernel is written for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import LinearFilter

from nengo_jit.ir.base import Operator
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset, SparseDotInc, TimeUpdate
from nengo_jit.ir.probe import SimProbe
from nengo_jit.ir.processes import SimProcess, make_step_of
from nengo_jit.neurons import formula_of

# Processes whose output may be added to a signal. That of the others may have double precision.
ADDED = LinearFilter.make_step, FilteredNoise.make_step, WhiteNoise.make_step
PROCESSES = (
    *ADDED,
    WhiteSignal.make_step,
    PresentInput.make_step,
    Piecewise.make_step,
)


def are_weak(values: Iterable[object]) -> bool:
    """Whether numbers are Python's: they take the precision of arrays, which NumPy's do not."""
    return all(type(value) in (float, int, bool) for value in values)


def has_numpys_bits(operator: Operator, dt: float) -> bool:
    """Whether kernels round an operator's numbers, of half precision, as NumPy does.

    Parameters
    ----------
    operator : Operator
        An operator that meets its contract.
    dt : float
        Length of a step (seconds).
    """
    check = CHECKS.get(type(operator))
    return check is not None and are_weak([dt]) and check(operator)


def _neurons(operator: SimNeurons) -> bool:
    formula = formula_of(operator.neurons)
    names = () if formula is None else formula.parameter_names
    return are_weak(getattr(operator.neurons, name) for name in names)


def _process(operator: SimProcess) -> bool:
    make_step = make_step_of(operator.process)
    return make_step in (ADDED if operator.mode == "inc" else PROCESSES)


def _rule(operator: SimPES | SimBCM) -> bool:
    return are_weak([operator.learning_rate])


def _oja(operator: SimOja) -> bool:
    return are_weak([operator.learning_rate, operator.beta])


def _voja(operator: SimVoja) -> bool:
    return are_weak([operator.learning_rate]) and operator.scale.dtype == operator.delta.dtype


def _always(operator: Operator) -> bool:
    return True


CHECKS: dict[type, Callable[[Any], bool]] = {
    **dict.fromkeys(
        (Reset, Copy, ElementwiseInc, DotInc, SparseDotInc, TimeUpdate, SimProbe), _always
    ),
    SimNeurons: _neurons,
    SimProcess: _process,
    SimPES: _rule,
    SimBCM: _rule,
    SimRLS: _always,
    SimOja: _oja,
    SimVoja: _voja,
}
