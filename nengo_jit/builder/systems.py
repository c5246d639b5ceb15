"""Set up and solve the system of equations that an ensemble's decoders are a solution of.

The arithmetic is nengo's. It is divided among threads in such a way that results do not depend on
their number. (A linear algebra library may round differently if it runs threads of its own.)
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any

import numpy as np
from nengo import Connection
from nengo.builder.ensemble import BuiltEnsemble
from nengo.solvers import LstsqL2nz, NnlsL2nz

from nengo_jit.builder.linalg import Solve, dot, dot_transposed, gram, solve_nonnegative, solver_of
from nengo_jit.builder.sharing import NON_NEGATIVE, Key, selection_of
from nengo_jit.neurons.rates import RateBackend, rates, tells_rates
from nengo_jit.parallel import for_each, one_thread_in_blas

POINTS = 1 << 17  # rates that are computed together: they stay in a core's cache

Solved = tuple[np.ndarray, dict[str, object]]


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
        self._is_transposed = False
        self._values: dict[Hashable, Solved] = {}
        self._functions: dict[int, tuple[np.ndarray, Solved]] = {}
        self.activities: np.ndarray | None = self._compute()
        self._largest = self.activities.max()
        self.is_silent = not self._largest > 0 and not self.activities.any()

    @property
    def nbytes(self) -> int:
        """int: memory of the activities and the factorised matrix, in bytes."""
        m, n = len(self._built.eval_points), len(self._built.gain)
        size = 0 if self.activities is None else m * n
        if self._solve is not None:
            size += m**2 if self._is_transposed else n**2
        return 8 * size

    def _compute(self) -> np.ndarray:
        """Return the firing rates (hertz) of the neurons at all evaluation points."""
        ensemble, built, method = self._key.ensemble, self._built, self._method
        points, encoders = built.eval_points, built.encoders.T / ensemble.radius

        def at(points: np.ndarray) -> np.ndarray:
            x = np.dot(points, encoders)
            return rates(ensemble.neuron_type, x, built.gain, built.bias, method)

        step = -(-POINTS // len(built.gain))
        if len(points) <= step or not tells_rates(ensemble.neuron_type):
            return at(points)
        activities = np.empty((len(points), len(built.gain)))

        def fill(start: int) -> None:
            activities[start : start + step] = at(points[start : start + step])

        for_each(fill, range(0, len(points), step), self._threads)
        return activities

    def decode_value(self, dimensions: Hashable) -> Solved:
        """Return decoders of some dimensions of the represented value, and the solver's info."""
        if dimensions not in self._values:
            points = self._built.eval_points[:, selection_of(dimensions)]
            self._values[dimensions] = self.decode(points.astype(points.dtype))
        return self._values[dimensions]

    def decode_ahead(self, conn: Connection, targets: np.ndarray) -> None:
        """Compute the decoders of a function before its connection is built."""
        self._functions[id(conn)] = targets, self.decode(targets)

    def decode_function(self, conn: Connection, targets: np.ndarray) -> Solved:
        """Return decoders of a connection's function, given its values, and the solver's info."""
        ahead = self._functions.pop(id(conn), None)
        if ahead is not None and np.array_equal(ahead[0], targets):
            return ahead[1]
        return self.decode(targets)

    def decode(self, targets: np.ndarray) -> Solved:
        """Solve for the decoders of targets.

        Parameters
        ----------
        targets : (n_eval_points, size) numpy.ndarray
            Values to decode, one row for each of the ensemble's evaluation points.

        Returns
        -------
        decoders : (n_neurons, size) numpy.ndarray
        solver_info : dict
        """
        start = time.time()
        with one_thread_in_blas():
            if self.activities is None:
                self.activities = self._compute()
            if self._solve is None:
                self._solve = solver_of(self._make_matrix(self.activities))
            if self._key.solver_type in NON_NEGATIVE:
                solved = self._non_negative(self.activities, self._solve, targets)
            else:
                solved = self._least_squares(self.activities, self._solve, targets)
        decoders, info = solved
        return decoders, {**info, "time": time.time() - start}

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
        self.activities = self._solve = None
