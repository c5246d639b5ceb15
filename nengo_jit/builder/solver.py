"""Solve for decoders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from nengo import Connection, Ensemble
from nengo.cache import NoDecoderCache
from nengo.exceptions import BuildError
from nengo.solvers import NoSolver, Solver
from nengo.transforms import Dense

from nengo_jit.builder.builder import Builder, Model, method_of
from nengo_jit.builder.built import drop_points, points_of, read_only
from nengo_jit.builder.caching import SaltedCache
from nengo_jit.builder.ensemble import gen_eval_points, get_activities
from nengo_jit.builder.sharing import BY_CHOLESKY, Key, key_of
from nengo_jit.builder.systems import Solved
from nengo_jit.builder.targets import check_targets, get_targets
from nengo_jit.ir.evaluator import IN_PYTHON
from nengo_jit.neurons.rates import IN_NUMPY, RateBackend, rates, tells_rates
from nengo_jit.parallel import one_thread_in_blas
from nengo_jit.settings import settings

LEAST_CACHED = 3e6  # multiplications for a Gram matrix: smaller systems are solved, not looked up
WORTH_BLAS_THREADS = 1e9  # multiplications for a Gram matrix; threads slow smaller ones down


def get_eval_points(model: Model, conn: Connection, rng: np.random.RandomState) -> np.ndarray:
    """Return the evaluation points of a connection: its own or, read-only, its ensemble's.

    Parameters
    ----------
    model : Model
        The model that the ensemble has been built into.
    conn : nengo.Connection
        A connection from an ensemble.
    rng : numpy.random.RandomState
        Source of randomness for the connection's own points.

    Returns
    -------
    (n_eval_points, dimensions) numpy.ndarray
    """
    if conn.eval_points is not None:
        return gen_eval_points(conn.pre_obj, conn.eval_points, rng, conn.scale_eval_points)
    return read_only(points_of(model.params[conn.pre_obj]))


def check_activities(activities: np.ndarray, conn: Connection) -> None:
    """Raise BuildError if no neuron fires at any evaluation point."""
    if not np.any(activities):
        raise _silent(conn)


def _silent(conn: Connection) -> BuildError:
    return BuildError(
        f"Building {conn}: 'activities' matrix is all zero for {conn.pre_obj}. This is "
        "because no evaluation points fall in the firing ranges of any neurons."
    )


def build_linear_system(
    model: Model, conn: Connection, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the system of equations that a connection's decoders are a solution of.

    Parameters
    ----------
    model : Model
        The model that the ensemble has been built into.
    conn : nengo.Connection
        A connection from an ensemble.
    rng : numpy.random.RandomState
        Source of randomness.

    Returns
    -------
    eval_points : (n_eval_points, dimensions) numpy.ndarray
    activities : (n_eval_points, n_neurons) numpy.ndarray
        Firing rates (hertz).
    targets : (n_eval_points, size_mid) numpy.ndarray

    Raises
    ------
    BuildError
        If no neuron fires at any of the points.
    """
    eval_points = get_eval_points(model, conn, rng)
    activities = get_activities(model.params[conn.pre_obj], conn.pre_obj, eval_points)
    check_activities(activities, conn)
    return eval_points, activities, get_targets(conn, eval_points)


def solve_for_decoders(
    conn: Connection,
    gain: np.ndarray,
    bias: np.ndarray,
    x: np.ndarray,
    targets: np.ndarray,
    rng: np.random.RandomState,
    method: RateBackend = IN_NUMPY,
) -> tuple[np.ndarray, dict[str, object]]:
    """Call a connection's solver; decoder caches wrap this function.

    Parameters
    ----------
    conn : nengo.Connection
        A connection from an ensemble.
    gain, bias : (n_neurons,) numpy.ndarray
        Tuning of the ensemble's neurons.
    x : (n_eval_points, n_neurons) numpy.ndarray
        Evaluation points as each neuron's encoder sees them (in radii).
    targets : (n_eval_points, size_mid) numpy.ndarray
        The values to decode.
    rng : numpy.random.RandomState
        Source of randomness for the solver.
    method : RateBackend
        Computes the rates.

    Returns
    -------
    decoders : (n_neurons, size_mid) numpy.ndarray
    solver_info : dict
        The solver's information about the solution.

    Raises
    ------
    BuildError
        If no neuron fires at any of the points.
    """
    activities = rates(conn.pre_obj.neuron_type, x, gain, bias, method)
    check_activities(activities, conn)
    if activities.size * len(gain) > WORTH_BLAS_THREADS:
        return conn.solver(activities, targets, rng=rng)
    with one_thread_in_blas():
        return conn.solver(activities, targets, rng=rng)


def build_decoders(
    model: Model, conn: Connection, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    """Compute a connection's decoders or, for a non-compositional solver, its weights.

    The model's decoder cache is used if the user chose the connection's seed, unless the cache is
    the simulator's own and the decoders are computed as fast as they are looked up.

    Parameters
    ----------
    model : Model
        The model that the ensembles have been built into.
    conn : nengo.Connection
        A connection from an ensemble.
    rng : numpy.random.RandomState
        Source of randomness.

    Returns
    -------
    eval_points : (n_eval_points, dimensions) numpy.ndarray
    decoders : (size_mid, n_neurons) numpy.ndarray
        Of shape ``(post neurons, n_neurons)`` for a non-compositional solver.
    solver_info : dict

    Raises
    ------
    BuildError
        If no neuron fires at any of the points, or if the solver is not compositional and the
        transform is not dense.
    SignalError
        If a value to decode is not finite.
    """
    eval_points = get_eval_points(model, conn, rng)
    solver = conn.solver
    in_neuron_space = solver.weights and not solver.compositional
    key, evaluator = None, IN_PYTHON
    if isinstance(model, Model):  # models of nengo's own class have no shared systems
        evaluator = model.decoders.evaluator
        if not in_neuron_space:
            key = key_of(conn.pre_obj, conn.pre_slice, conn.eval_points, solver)

    def targets() -> np.ndarray:
        values = get_targets(conn, eval_points, evaluator=evaluator)
        check_targets(conn, eval_points, values)
        return _project_to_neurons(model, conn, values, rng) if in_neuron_space else values

    if key is not None and (not _uses_cache(model, conn) or _is_quick(model, key, eval_points)):
        decoders, solver_info = _solve_shared(model, key, conn, targets, rng)
    else:
        decoders, solver_info = _solve_alone(model, key, conn, eval_points, targets(), rng)
    if key is not None and model.decoders.used(key, conn):
        drop_points(model.params, conn.pre_obj)
    return eval_points, decoders.T, solver_info


def _uses_cache(model: Model, conn: Connection) -> bool:
    return bool(model.seeded[conn]) and not isinstance(model.decoder_cache, NoDecoderCache)


def _is_quick(model: Model, key: Key, eval_points: np.ndarray) -> bool:
    """Whether decoders are computed as fast as the simulator's own cache finds them."""
    if key.solver_type not in BY_CHOLESKY or not isinstance(model.decoder_cache, SaltedCache):
        return False
    ensemble = key.ensemble
    n_multiplications = len(eval_points) * ensemble.n_neurons**2
    return n_multiplications < LEAST_CACHED and tells_rates(ensemble.neuron_type)


def _solve_shared(
    model: Model,
    key: Key,
    conn: Connection,
    targets: Callable[[], np.ndarray],
    rng: np.random.RandomState,
) -> Solved:
    """Solve with a system that other connections share."""
    solved = model.decoders.solve(key, conn, model.params, targets, rng)
    if solved is None:
        raise _silent(conn)
    return solved


def _solve_alone(
    model: Model,
    key: Key | None,
    conn: Connection,
    eval_points: np.ndarray,
    targets: np.ndarray,
    rng: np.random.RandomState,
) -> Solved:
    """Look the decoders up in the decoder cache, if there is one, or else call the solver."""
    built = model.params[conn.pre_obj]
    encoders = built.encoders / conn.pre_obj.radius
    if key is not None and isinstance(model.decoder_cache, SaltedCache):
        # Only a digest of `x` is made, for which that of its factors will do: they are smaller.
        x = np.concatenate([np.shape(eval_points), np.ravel(eval_points), np.ravel(encoders)])
    else:
        x = np.dot(eval_points, encoders.T)
    solve: Callable[..., Solved] = partial(solve_for_decoders, method=method_of(model))
    if _uses_cache(model, conn):
        if key is not None:

            def solve(
                conn: Connection, *args: object, rng: np.random.RandomState, **kwargs: object
            ) -> Solved:
                return _solve_shared(model, key, conn, lambda: targets, rng)

        solve = model.decoder_cache.wrap_solver(solve)
    return solve(conn, built.gain, built.bias, x, targets, rng=rng)


def _project_to_neurons(
    model: Model, conn: Connection, targets: np.ndarray, rng: np.random.RandomState
) -> np.ndarray:
    """Convert targets in the represented space to input currents of the post neurons."""
    if not isinstance(conn.transform, Dense):
        raise BuildError(
            f"Building {conn}: Non-compositional solvers only work with Dense transforms"
        )
    if not isinstance(conn.post_obj, Ensemble):
        raise BuildError(
            f"Building {conn}: a non-compositional solver needs an ensemble as its post object"
        )
    transform = conn.transform.sample(rng=rng)
    encoders = model.params[conn.post_obj].scaled_encoders
    return np.dot(np.dot(targets, transform.T), encoders.T[conn.post_slice])


@Builder.register(Solver)
def build_solver(
    model: Model, solver: Solver, conn: Connection, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    """Build a connection's solver: see `build_decoders`."""
    return build_decoders(model, conn, rng)


@Builder.register(NoSolver)
def build_no_solver(
    model: Model, solver: NoSolver, conn: Connection, rng: np.random.RandomState
) -> tuple[None, np.ndarray, dict[str, object]]:
    """Take the decoders that a `nengo.solvers.NoSolver` holds, without evaluating anything."""
    activities = np.zeros((1, conn.pre_obj.n_neurons), dtype=settings().float_dtype)
    targets = np.zeros((1, conn.size_mid), dtype=settings().float_dtype)
    decoders, solver_info = solver(activities, targets, rng=rng)
    return None, decoders.T, solver_info
