"""What an operator computes, in a form that an engine can trace, or the reason why not.

Each operator has a pure function `compute` beside its four lists, from the values that it reads to
those that it sets, increments or updates. The steps in NumPy, which the reference engine carries
out, are made of it (`Operator.make_step`), and others can trace it with their own array library.

There are four exceptions, which bring a ``make_step`` of their own:

- `SimPyFunc` calls a function of the user's. It has no `compute`.
- `SimProcess` calls the step that the process makes, which is Python code. nengo's own processes
  have a `compute` beside it.
- `SimNeurons` calls the neuron type's ``step``, which works in place, raises nengo's errors, and
  takes two thirds of the time in NumPy. Types with a formula have a `compute` beside it.
- Operators of third parties have a ``make_step`` only.
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

# what makes steps that do what `compute` says
KNOWN_STEPS = (Operator.make_step, SimNeurons.make_step, SimProcess.make_step)


class Computation(NamedTuple):
    """What an operator computes in a step: ``function(xp, *parameters, *values, *drawn)``.

    Attributes
    ----------
    function : callable
        The operator's `compute`, see `Operator`.
    parameters : tuple
        Numbers and arrays (of NumPy), which may be operands, too; all else is fixed.
    inputs : list of Signal
        Whose values it takes.
    outputs : list of Signal
        Whose new values it returns or, for those that are incremented, what is added.
    place : object
        Index of the elements of the output that are meant, where it is not ``...``.
    """

    function: Callable[..., tuple[Array, ...]]
    parameters: tuple[object, ...]
    inputs: list[Signal]
    outputs: list[Signal]
    place: Place


def computation(operator: Operator, dt: float) -> Computation | None:
    """What an operator computes.

    Parameters
    ----------
    operator : Operator
        Ours, nengo's or anybody's.
    dt : float
        Length of a step (seconds).

    Returns
    -------
    Computation or None
        None if only its `make_step` knows, so that Python has to be called.
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
    """A parameter, or the value of a signal, for another library.

    Parameters
    ----------
    xp : module
        An array library.
    value : object
        Of NumPy or SciPy, or anything else.

    Returns
    -------
    object
        An array of the library for an array or a number (float), `Rows` for a sparse matrix, all
        else as it is.
    """
    if is_spmatrix(value):
        return Rows(*(xp.asarray(part) for part in rows_of(value)))
    return xp.asarray(value) if isinstance(value, np.ndarray | float) else value
