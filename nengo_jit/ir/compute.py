"""The function that an operator computes, in a form that an engine can trace.

Each operator has a pure function `compute`, from the values that it reads to those that it sets,
increments or updates. The reference engine runs it in NumPy (`Operator.make_step`); other engines
can trace it with their own array library.

Four kinds of operators override ``make_step``:

- `SimPyFunc` calls a function of the user's. It has no `compute`.
- `SimProcess` calls the step that the process makes, which is Python code. For nengo's own
  processes it also has a `compute`.
- `SimNeurons` calls the neuron type's ``step``, which works in place, raises nengo's errors, and
  takes two thirds of the time of `compute` in NumPy. Neuron types with a formula also have a
  `compute`.
- Third-party operators have only a ``make_step``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from nengo.utils.numpy import is_spmatrix

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.products import Rows, rows_of
from nengo_jit.ir.selection import Place
from nengo_jit.ir.signal import Signal

# implementations of make_step that agree with `compute`
KNOWN_STEPS = (Operator.make_step, SimNeurons.make_step, SimProcess.make_step)


class Computation(NamedTuple):
    """The computation of an operator in a step: ``function(xp, *parameters, *values, *drawn)``.

    Attributes
    ----------
    function : callable
        The operator's `compute`, see `Operator`.
    parameters : tuple
        Floats and NumPy arrays, which an engine may treat as operands; all else is fixed.
    inputs : list of Signal
        Signals whose values it takes.
    outputs : list of Signal
        Signals whose new values it returns or, if they are incremented, the increments.
    place : object
        Index of the elements of the output that it computes; ``...`` for all.
    """

    function: Callable[..., tuple[Array, ...]]
    parameters: tuple[object, ...]
    inputs: list[Signal]
    outputs: list[Signal]
    place: Place


def computation(operator: Operator, dt: float) -> Computation | None:
    """Return the computation of an operator.

    Parameters
    ----------
    operator : Operator
        Ours, nengo's or a third party's.
    dt : float
        Length of a step (seconds).

    Returns
    -------
    Computation or None
        None if the operator has only a `make_step`, so that Python has to be called.
    """
    if not isinstance(operator, Operator) or "make_step" in vars(operator):
        return None
    if type(operator).compute is Operator.compute:
        return None
    if type(operator).make_step not in KNOWN_STEPS:
        return None
    parameters = operator.parameters(dt)
    if parameters is None:
        return None
    return Computation(
        operator.compute, parameters, operator.inputs(), operator.outputs(), operator.place()
    )


def to_library(xp: Namespace, value: object) -> object:
    """Convert a parameter, or the value of a signal, to an array library.

    Parameters
    ----------
    xp : module
        An array library.
    value : object
        An array of NumPy or SciPy, or any other object.

    Returns
    -------
    object
        An array of the library for an array or a float, `Rows` for a sparse matrix, all else
        unchanged.
    """
    if is_spmatrix(value):
        return Rows(*(xp.asarray(part) for part in rows_of(value)))
    return xp.asarray(value) if isinstance(value, np.ndarray | float) else value
