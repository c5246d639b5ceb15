"""What connections decode: their functions' values at evaluation points."""

from __future__ import annotations

import numpy as np
from nengo import Connection, solvers
from nengo.exceptions import BuildError, SignalError
from nengo.utils.functions import function_name

from nengo_jit.ir.evaluator import (  # noqa: F401  (whose names have always been here, too)
    IN_PYTHON,
    Evaluator,
    Natively,
    assign,
)
from nengo_jit.settings import settings

MOST_STOPS = 20  # of native evaluation, after which Python does the rest by itself


def get_targets(
    conn: Connection,
    eval_points: np.ndarray,
    dtype: np.dtype | None = None,
    evaluator: Evaluator = IN_PYTHON,
) -> np.ndarray:
    """What a connection should decode at each evaluation point.

    Parameters
    ----------
    conn : nengo.Connection
        A connection from an ensemble.
    eval_points : (n_eval_points, dimensions) numpy.ndarray
        The points.
    dtype : numpy.dtype, optional
        Type of the result; nengo's default precision where not given.
    evaluator : Evaluator
        How the connection's function is evaluated.

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
    """See that decoders can be found for targets.

    Solvers of others than nengo may do with infinity and NaN what they like.

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
        That names the first point at which the function is not finite.
    """
    bad = np.flatnonzero(~np.isfinite(targets).all(axis=tuple(range(1, targets.ndim))))
    if not len(bad) or type(conn.solver).__module__ != solvers.__name__:
        return
    point = eval_points[bad[0]][conn.pre_slice]
    name = "the value" if conn.function is None else f"the function {function_name(conn.function)}"
    if isinstance(conn.function, np.ndarray):
        name = "what is given as the function"
    raise SignalError(
        f"Building {conn}: at {len(bad)} of {len(targets)} evaluation points {name} is not "
        f"finite, so that there are no decoders. The first of them is {point}, where it is "
        f"{targets[bad[0]]}. Let it return finite numbers, or choose other eval_points."
    )


def targets_ahead(
    conn: Connection, eval_points: np.ndarray, evaluator: Evaluator
) -> np.ndarray | None:
    """What a connection's function is at evaluation points, if that can be computed natively.

    Parameters and result are those of `get_targets`.
    """
    points = eval_points[:, conn.pre_slice]
    targets = np.zeros((len(points), conn.size_mid), dtype=settings().float_dtype)
    natively = evaluator.natively(conn.function, points, targets)
    is_complete = natively is not None and natively(points, targets) == len(points)
    return targets if is_complete else None
