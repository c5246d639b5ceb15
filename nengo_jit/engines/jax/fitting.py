"""Which operators run on the device: those whose operands fit each other.

All others are left to their step in Python, which works or raises as nengo's does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from nengo import Process

from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.engines.jax.noise import sampler_of
from nengo_jit.ir.base import Operator
from nengo_jit.ir.compute import Computation, computation
from nengo_jit.ir.filters import noise, with_passthrough
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc
from nengo_jit.ir.processes import SimProcess, given
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons import Formula
from nengo_jit.neurons.base import uniform
from nengo_jit.options import FAST, NENGO


def is_lowered(operator: Operator, dt: float, noise: str = NENGO) -> bool:
    """Whether an operator runs on the device; others call Python.

    Parameters
    ----------
    operator : Operator
        Any operator.
    dt : float
        Length of a step (seconds).
    noise : {"nengo", "fast"}
        The user's option.
    """
    try:
        known = computation(operator, dt)
    except Exception:  # whatever it is, the step in Python says it better
        return False
    if known is None:
        return False
    if isinstance(operator, SimProcess) and _draws_from_users(operator.process):
        return False
    formula = known.parameters[0] if known.parameters else None
    random = formula.random if isinstance(formula, Formula) else None
    if random is not None and len(operator.state_extra) != 1:
        return False
    if random not in (None, uniform) and not (noise == FAST and sampler_of(operator, dt)):
        return False  # what it draws depends on the state
    if any(each.readonly or each.sparse for each in known.outputs):
        return False
    if any(each.sparse for each in known.inputs):
        if not isinstance(operator, DotInc):
            return False
        (matrix, vector), (target,) = known.inputs, known.outputs
        return matrix.readonly and matrix.shape == target.shape + vector.shape
    return _fits(operator, known)


def _draws_from_users(process: Process) -> bool:
    """Whether a process draws from a distribution of the user's, which is Python code."""
    dist = getattr(process, "dist", None)
    return dist is not None and type(dist).__module__ != "nengo.dists"


def takes_draws(operator: Operator) -> bool:
    """Whether `Operator.draws` of an operator that is lowered returns a function."""
    if isinstance(operator, SimProcess):
        return operator.input is None
    return isinstance(operator, SimNeurons) and bool(operator.state_extra)


def _fits(operator: Operator, known: Computation) -> bool:
    """Whether the results have the shapes of the outputs."""
    if isinstance(operator, Copy):
        return _copy_fits(operator, known)
    if isinstance(operator, SimNeurons):
        signals = (*known.inputs, *known.outputs)
        return len({(each.shape, each.dtype) for each in signals}) == 1
    if isinstance(operator, SimProcess) and not _process_fits(operator, known):
        return False
    values = [np.broadcast_to(np.zeros((), each.dtype), each.shape) for each in known.inputs]
    if takes_draws(operator):
        values.append(np.zeros(known.outputs[0].shape, known.outputs[0].dtype))
    arguments = tuple(
        (each.shape, each.dtype.str) if isinstance(each, np.ndarray) else each
        for each in (*known.parameters, *values)
    )
    is_array = tuple(isinstance(each, np.ndarray) for each in (*known.parameters, *values))
    results = _results(known.function, arguments, is_array)
    if results is None:
        return False
    return all(
        _is_assigned(result, each, each in operator.incs)
        for result, each in zip(results, known.outputs)
    )


def _copy_fits(operator: Copy, known: Computation) -> bool:
    (source,), (target,) = known.inputs, known.outputs
    if operator.incs and not np.can_cast(source.dtype, target.dtype, "same_kind"):
        return False
    numbers: list[Any] = [np.broadcast_to(0, each.shape) for each in (source, target)]
    try:
        selected: Any = known.function(np, *known.parameters, numbers[0])[0]
        np.broadcast_to(selected, numbers[1][known.place].shape)
    except (IndexError, TypeError, ValueError):
        return False
    return True


def _process_fits(operator: SimProcess, known: Computation) -> bool:
    """Whether input, output and state of a process have the shapes that it needs."""
    output = operator.output.shape
    if operator.input is None:
        return len(output) == 1
    if operator.input.shape != output or known.parameters[0] in (given, noise):
        return False
    if known.parameters[0] is with_passthrough and len(output) > 1:
        return False
    state = operator.state.get("X")
    return state is None or state.shape[1:] == output


@lru_cache(maxsize=4096)
def _results(
    function: Any, arguments: tuple[Any, ...], is_array: tuple[bool, ...]
) -> tuple[jax.ShapeDtypeStruct, ...] | None:
    """Shapes and types of what a function returns; None if the arguments do not fit each other."""
    fixed = [None if array else each for each, array in zip(arguments, is_array)]
    like = [jax.ShapeDtypeStruct(*each) for each, array in zip(arguments, is_array) if array]

    def run(*arrays: Any) -> Any:
        given = iter(arrays)
        values = (next(given) if a else each for each, a in zip(fixed, is_array))
        return tuple(jnp.asarray(each) for each in function(jnp, *values))

    try:
        with as_given():
            results: tuple[jax.ShapeDtypeStruct, ...] = jax.eval_shape(run, *like)
    except (ArithmeticError, IndexError, TypeError, ValueError):
        return None
    return results


def _is_assigned(value: jax.ShapeDtypeStruct, target: Signal, is_added: bool) -> bool:
    """Whether NumPy assigns, or adds, an array to a signal."""
    if is_added and not np.can_cast(value.dtype, target.dtype, "same_kind"):
        return False
    try:
        return np.broadcast_shapes(value.shape, target.shape) == target.shape
    except ValueError:
        return False
