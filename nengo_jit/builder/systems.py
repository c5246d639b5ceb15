"""Set up and solve the system of equations that an ensemble's decoders are a solution of.

The arithmetic is nengo's. It is divided among threads in such a way that results do not depend on
their number. (A linear algebra library may round differently if it runs threads of its own.)
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
from nengo import Connection
from nengo.builder.ensemble import BuiltEnsemble
from nengo.solvers import Lstsq, LstsqL2nz, LstsqMultNoise, NnlsL2nz
from nengo.utils.least_squares_solvers import Cholesky

from nengo_jit.builder import cholesky
from nengo_jit.builder.least_squares import Truncated, can_solve, solve_well_conditioned
from nengo_jit.builder.linalg import Solve, dot, dot_transposed, gram, solve_nonnegative, solver_of
from nengo_jit.builder.sharing import BY_CHOLESKY, NOISY, NON_NEGATIVE, Key, selection_of
from nengo_jit.neurons.rates import RateBackend, rates
from nengo_jit.parallel import for_each, one_thread_in_blas

POINTS = 1 << 17  # rates that are computed together: they stay in a core's cache

Solved = tuple[np.ndarray, dict[str, object]]


class Ahead(NamedTuple):
    """Decoders that were computed before their connection is built.

    Attributes
    ----------
    targets : (n_eval_points, size) numpy.ndarray
        The values that they decode.
    solved : tuple
        Decoders and the solver's info.
    before, after : tuple or None
        States of the connection's generator, if the solver draws from it.
    """

    targets: np.ndarray
    solved: Solved
    before: Any
    after: Any


def _is_same_state(one: Any, other: Any) -> bool:
    """Whether two generators are of the same type and in the same state."""
    return one[0] == other[0] and np.array_equal(one[1], other[1]) and one[2:] == other[2:]


class System:
    """The system of equations for the decoders of an ensemble, and its solutions so far.

    Parameters
    ----------
    key : Key
        The system's key.
    built : BuiltEnsemble
        The ensemble's parameters.
    method : RateBackend
        See `nengo_jit.neurons.rates.rates`.
    threads : int
        Number of threads to use at most.

    Attributes
    ----------
    activities : (n_eval_points, n_neurons) numpy.ndarray or None
        Firing rates (hertz); None if their memory has been freed.
    is_silent : bool
        Whether no neuron fires at any point.
    """

    def __init__(self, key: Key, built: BuiltEnsemble, method: RateBackend, threads: int):
        self._key = key
        self._built = built
        self._method = method
        self._threads = threads
        self._solve: Solve | None = None
        self._truncated: Truncated | None = None
        self._is_transposed = False
        self._needs_scipy = key.solver_type not in BY_CHOLESKY or not cholesky.is_available()
        self._values: dict[Hashable, Solved] = {}
        self._functions: dict[int, Ahead] = {}
        self.activities: np.ndarray | None = self._compute()
        self._largest = self.activities.max()
        self.is_silent = not self._largest > 0 and not self.activities.any()

    @property
    def nbytes(self) -> int:
        """int: memory of the activities and the factorised matrix, in bytes."""
        m, n = len(self._built.eval_points), len(self._built.gain)
        size = 0 if self.activities is None else m * n
        if self._solve is not None or self._truncated is not None:
            size += m**2 if self._is_transposed else n**2
        return 8 * size

    def _compute(self) -> np.ndarray:
        """Return the firing rates (hertz) of the neurons at all evaluation points."""
        ensemble, built, method = self._key.ensemble, self._built, self._method
        points, encoders = built.eval_points, built.encoders.T / ensemble.radius

        # numbers need no sums, and then a product by elements is faster
        product = np.multiply if points.shape[1] == 1 else np.matmul
        activities = np.empty((len(points), len(built.gain)))
        step = -(-POINTS // len(built.gain))

        def fill(start: int) -> None:
            x = activities[start : start + step]
            product(points[start : start + step], encoders, out=x)
            found = rates(ensemble.neuron_type, x, built.gain, built.bias, method, in_place=True)
            if found is not x:
                x[...] = found

        for_each(fill, range(0, len(points), step), self._threads)
        return activities

    def decode_value(self, dimensions: Hashable) -> Solved:
        """Return decoders of some dimensions of the represented value, and the solver's info."""
        if dimensions not in self._values:
            points = self._built.eval_points[:, selection_of(dimensions)]
            self._values[dimensions] = self.decode(points.astype(points.dtype))
        return self._values[dimensions]

    def decode_ahead(self, conn: Connection, targets: np.ndarray, seed: int | None) -> None:
        """Compute the decoders of a function before its connection is built.

        Parameters
        ----------
        conn : nengo.Connection
            The connection.
        targets : (n_eval_points, size) numpy.ndarray
            Values of its function.
        seed : int or None
            The seed of the connection. If it is unknown, solvers that draw random numbers wait.
        """
        if self._key.solver_type not in NOISY:
            self._functions[id(conn)] = Ahead(targets, self.decode(targets), None, None)
        elif seed is not None:
            rng = np.random.RandomState(seed)
            before = rng.get_state()
            self._functions[id(conn)] = Ahead(
                targets, self.decode(targets, rng), before, rng.get_state()
            )

    def decode_function(
        self, conn: Connection, targets: np.ndarray, rng: np.random.RandomState
    ) -> Solved:
        """Return decoders of a connection's function, given its values, and the solver's info."""
        ahead = self._functions.pop(id(conn), None)
        if ahead is not None and np.array_equal(ahead.targets, targets):
            if ahead.before is None:
                return ahead.solved
            if _is_same_state(ahead.before, rng.get_state()):
                rng.set_state(ahead.after)
                return ahead.solved
        return self.decode(targets, rng)

    def decode(self, targets: np.ndarray, rng: np.random.RandomState | None = None) -> Solved:
        """Solve for the decoders of targets.

        Parameters
        ----------
        targets : (n_eval_points, size) numpy.ndarray
            Values to decode, one row for each of the ensemble's evaluation points.
        rng : numpy.random.RandomState, optional
            Source of randomness, for solvers that need it.

        Returns
        -------
        decoders : (n_neurons, size) numpy.ndarray
        solver_info : dict
        """
        start = time.time()
        with one_thread_in_blas(self._needs_scipy):
            if self.activities is None:
                self.activities = self._compute()
            decoders, info = self._decode(self.activities, targets, rng)
        return decoders, {**info, "time": time.time() - start}

    def _decode(
        self, activities: np.ndarray, targets: np.ndarray, rng: np.random.RandomState | None
    ) -> Solved:
        kind = self._key.solver_type
        if kind in NOISY:
            assert rng is not None
            return self._noisy(activities, targets, rng)
        if kind is Lstsq:
            return self._truncate(activities, targets)
        if kind in BY_CHOLESKY and not targets.any():  # learning often begins with such decoders
            n, size = activities.shape[1], targets.shape[1]
            return np.zeros((n, size)), {"rmses": np.zeros(size)}
        if self._solve is None:
            self._solve = solver_of(self._make_matrix(activities))
        if kind in NON_NEGATIVE:
            return self._non_negative(activities, self._solve, targets)
        return self._least_squares(activities, self._solve, targets)

    def _noisy(
        self, activities: np.ndarray, targets: np.ndarray, rng: np.random.RandomState
    ) -> Solved:
        """Add noise to the activities, as nengo does, and solve without regularisation."""
        scale = self._key.reg
        if self._key.solver_type is LstsqMultNoise:
            noisy = rng.normal(scale=scale, size=activities.shape)
            noisy *= activities
        else:
            noisy = rng.normal(scale=scale * np.abs(activities).max(), size=activities.shape)
        noisy += activities
        decoders = None
        if can_solve(noisy) and not self._key.transpose:
            decoders = solve_well_conditioned(noisy, targets, self._threads)
        if decoders is None:
            solved: Solved = Cholesky(self._key.transpose)(noisy, targets, 0, rng=rng)
            return solved
        return decoders, {"rmses": self._rmses(noisy, decoders, targets)}

    def _truncate(self, activities: np.ndarray, targets: np.ndarray) -> Solved:
        """Solve by the largest singular values."""
        decoders = None
        if can_solve(activities):
            if self._truncated is None:
                self._truncated = Truncated(gram(activities, self._threads), self._key.reg)
            right = dot_transposed(activities, targets, self._threads)
            decoders = self._truncated.solve(right)
        if decoders is None or self._truncated is None:
            solved: Solved = Lstsq(rcond=self._key.reg)(activities, targets)
            return solved
        rmses = self._rmses(activities, decoders, targets)
        (m, n), rank = activities.shape, self._truncated.rank
        return decoders, {
            "rmses": rmses,
            "residuals": rmses * np.sqrt(m) if rank == n < m else np.array([]),
            "rank": rank,
            "singular_values": self._truncated.singular_values.copy(),
        }

    def _least_squares(self, activities: np.ndarray, solve: Solve, targets: np.ndarray) -> Solved:
        threads = self._threads
        if self._is_transposed:
            decoders = dot_transposed(activities, solve(targets), threads)
        else:
            decoders = solve(dot_transposed(activities, targets, threads))
        return decoders, {"rmses": self._rmses(activities, decoders, targets)}

    def _non_negative(self, activities: np.ndarray, solve: Solve, targets: np.ndarray) -> Solved:
        """Solve the regularised system for targets that are clipped at zero, as nengo does."""
        right = dot_transposed(activities, np.maximum(targets, 0), self._threads)
        solutions = [solve_nonnegative(solve, column) for column in right.T]
        known = [solution for solution in solutions if solution is not None]
        if len(known) < len(solutions):
            solver = self._key.solver_type(reg=self._key.reg)
            solved: Solved = solver(activities, targets)
            return solved
        decoders = np.stack([x for x, _ in known], axis=1)
        residuals = np.array([np.linalg.norm(error) for _, error in known])
        rmses = self._rmses(activities, decoders, targets)
        return decoders, {"rmses": rmses, "residuals": residuals}

    def _rmses(
        self, activities: np.ndarray, decoders: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        errors = dot(activities, decoders, self._threads)
        errors -= targets
        return np.sqrt(np.einsum("ij,ij->j", errors, errors) / len(errors))

    def _make_matrix(self, activities: np.ndarray) -> np.ndarray:
        """Return the regularised Gram matrix of the neurons, or of fewer points."""
        key, (m, n) = self._key, activities.shape
        sigma: Any = key.reg * self._largest
        if key.solver_type is LstsqL2nz:
            magnitudes = np.abs(activities)
            sigma = key.reg * magnitudes.max() * np.sqrt((magnitudes > 0).mean(axis=0))
            sigma[sigma == 0] = sigma.max()
        elif key.solver_type is NnlsL2nz:
            sigma = sigma * np.sqrt((activities > 0).mean(axis=0))
            sigma[sigma == 0] = 1
        transposed = key.transpose
        if transposed is None:
            transposed = m < n and np.size(sigma) == 1
        self._is_transposed = transposed
        matrix = gram(activities.T if transposed else activities, self._threads)
        matrix.flat[:: len(matrix) + 1] += m * sigma**2
        return matrix

    def forget_matrices(self) -> None:
        """Free the activities and the factorised matrix; keep the solutions."""
        self.activities = self._solve = self._truncated = None
