"""Compute the targets of decoders: the values of functions at evaluation points."""

from __future__ import annotations

import numpy as np
from nengo import Connection, solvers
from nengo.exceptions import BuildError, SignalError
from nengo.utils.functions import function_name

from nengo_jit.ir.evaluator import (  # noqa: F401  (re-exported)
    IN_PYTHON,
    Evaluator,
    Natively,
    assign,
)
from nengo_jit.settings import settings

MOST_STOPS = 20  # of native evaluation; after that, Python evaluates the remaining points


def get_targets(
    conn: Connection,
    eval_points: np.ndarray,
    dtype: np.dtype | None = None,
    evaluator: Evaluator = IN_PYTHON,
) -> np.ndarray:
    """Return the values that a connection should decode, one row for each evaluation point.

    Parameters
    ----------
    conn : nengo.Connection
        A connection from an ensemble.
    eval_points : (n_eval_points, dimensions) numpy.ndarray
        The points.
    dtype : numpy.dtype, optional
        Type of the result, by default of nengo's default precision.
    evaluator : Evaluator
        Evaluates the connection's function.

    Returns
    -------
    (n_eval_points, size_mid) numpy.ndarray

    Raises
    ------
    BuildError
        If the connection's function returns None.
    """
    dtype = settings().float_dtype if dtype is None else dtype
    if isinstance(conn.function, np.ndarray):
        return conn.function
    points = eval_points[:, conn.pre_slice]
    if conn.function is None:
        return points.astype(dtype)
    function = conn.function
    targets = np.zeros((len(points), conn.size_mid), dtype=dtype)
    if isinstance(function, np.ufunc) and function.nin == function.nout == 1:
        targets[...] = function(points)
        return targets
    natively = evaluator.natively(function, points, targets) if points.ndim == 2 else None
    i = n_stops = 0
    while i < len(points):
        if natively is not None and n_stops < MOST_STOPS:
            n_filled = natively(points[i:], targets[i:])
            if n_filled is None:
                i, natively = 0, None
            else:
                i += n_filled
            n_stops += 1
        if i < len(points):
            value = function(points[i])
            if value is None:
                raise BuildError(
                    f"Building {conn}: Connection function returned None. "
                    "Cannot solve for decoders."
                )
            assign(value, targets[i])
            i += 1
    return targets


def check_targets(conn: Connection, eval_points: np.ndarray, targets: np.ndarray) -> None:
    """Check that targets are finite. Third-party solvers may accept infinity and NaN.

    Parameters
    ----------
    conn : nengo.Connection
        A connection from an ensemble.
    eval_points : (n_eval_points, dimensions) numpy.ndarray
        The points.
    targets : (n_eval_points, size_mid) numpy.ndarray
        From `get_targets`.

    Raises
    ------
    SignalError
        If they are not. The message names the first point at which the function is not finite.
    """
    bad = np.flatnonzero(~np.isfinite(targets).all(axis=tuple(range(1, targets.ndim))))
    if not len(bad) or type(conn.solver).__module__ != solvers.__name__:
        return
    point = eval_points[bad[0]][conn.pre_slice]
    name = "the value" if conn.function is None else f"the function {function_name(conn.function)}"
    if isinstance(conn.function, np.ndarray):
        name = "the array given as the function"
    raise SignalError(
        f"Building {conn}: at {len(bad)} of {len(targets)} evaluation points {name} is not "
        f"finite, so there are no decoders. The first of them is {point}, where it is "
        f"{targets[bad[0]]}. Return finite numbers, or choose other eval_points."
    )


def targets_ahead(
    conn: Connection, eval_points: np.ndarray, evaluator: Evaluator
) -> np.ndarray | None:
    """Evaluate a connection's function natively; return None if that is not possible.

    Parameters and result are those of `get_targets`.
    """
    points = eval_points[:, conn.pre_slice]
    targets = np.zeros((len(points), conn.size_mid), dtype=settings().float_dtype)
    natively = evaluator.natively(conn.function, points, targets)
    is_complete = natively is not None and natively(points, targets) == len(points)
    return targets if is_complete else None
