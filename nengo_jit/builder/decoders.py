"""Solve for the decoders of a network's ensembles, sharing what connections have in common.

The connections from an ensemble mostly have the same evaluation points and the same solver. Their
decoders then come from one system of equations, whose matrix is computed once. Where they decode
the same dimensions of the represented value itself, even the decoders are the same.

The arithmetic is nengo's, on as many threads as it takes; a linear algebra library may round
differently when it runs on another number of threads.

Systems are computed ahead of their use, several at a time, in threads. That draws no random
numbers and calls no code of the user's, so that nobody can tell: functions are evaluated natively
or not at all, and once more when their turn has come, to see that they still have these values.
Only what connections will still need is kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from nengo import Connection, Ensemble, Network
from nengo.builder.ensemble import BuiltEnsemble
from nengo.solvers import LstsqL2, LstsqL2nz, NnlsL2, NnlsL2nz, Solver
from nengo.utils.least_squares_solvers import Cholesky

from nengo_jit.builder.linalg import Solve, dot, dot_transposed, gram, solve_nonnegative, solver_of
from nengo_jit.builder.targets import targets_ahead
from nengo_jit.ir.evaluator import IN_PYTHON, Evaluator
from nengo_jit.neurons.rates import IN_NUMPY, RateBackend, known_rates, rates, tells_rates
from nengo_jit.parallel import for_each, n_cores, one_thread_in_blas, parallel_map

BUDGET = 8 << 20  # bytes that are kept for connections to come
WELL_CONDITIONED = 1e6  # neurons / reg²: up to there, rounding stays far below 1e-9
BATCH = 1 << 17  # rates that a thread is given to compute before it asks for more
POINTS = 1 << 17  # rates that are computed together: they stay in a core's cache

NON_NEGATIVE = (NnlsL2, NnlsL2nz)

_KNOWN = {each: each.__call__ for each in (LstsqL2, LstsqL2nz, Cholesky, *NON_NEGATIVE)}

Solved = tuple[np.ndarray, dict[str, object]]
Ahead = list[tuple[Connection, np.ndarray]]


class Key(NamedTuple):
    """What connections that share a system have in common."""

    ensemble: Ensemble
    solver_type: type
    reg: float
    transpose: bool | None


@dataclass
class Uses:
    """What connections will still need a system for.

    Attributes
    ----------
    values : Counter
        How many connections decode which dimensions of the value, as `dimensions_of` has them.
    functions : list of nengo.Connection
        Those that decode functions of the value.
    """

    values: Counter[Hashable] = field(default_factory=Counter)
    functions: list[Connection] = field(default_factory=list)


def dimensions_of(chosen: Any) -> Hashable:
    """A connection's ``pre_slice`` as something hashable; None if it is out of the ordinary."""
    if chosen is Ellipsis:
        chosen = slice(None)
    if isinstance(chosen, slice):
        return chosen.start, chosen.stop, chosen.step, None
    if isinstance(chosen, tuple) or np.ndim(chosen) != 1:
        return None
    return tuple(np.asarray(chosen).tolist())


def _selection(dimensions: Any) -> Any:
    """What `dimensions_of` was given."""
    return slice(*dimensions[:3]) if dimensions[-1:] == (None,) else list(dimensions)


def key_of(ensemble: Any, chosen: object, eval_points: object, solver: Solver) -> Key | None:
    """The key of the system that decoders come from.

    Parameters
    ----------
    ensemble : object
        Where the connection begins.
    chosen : object
        The connection's ``pre_slice``.
    eval_points : object
        The connection's own evaluation points; None for those of the ensemble.
    solver : nengo.solvers.Solver
        The connection's solver.

    Returns
    -------
    Key or None
        None if nengo's code has to be called: for evaluation points of the connection's own, for
        dimensions that are neither a slice nor a list, for solvers and neuron types that are not
        known exactly, and where so little regularisation is asked for that rounding would matter.
    """
    if type(ensemble) is not Ensemble or eval_points is not None or not _is_known(solver):
        return None
    if dimensions_of(chosen) is None:
        return None
    if known_rates(ensemble.neuron_type) is None:
        return None
    reg = solver.reg
    if reg**2 * WELL_CONDITIONED < ensemble.n_neurons:
        return None
    if type(solver) in NON_NEGATIVE:
        return Key(ensemble, type(solver), reg, False)
    if not _is_known(solver.solver):
        return None
    return Key(ensemble, type(solver), reg, solver.solver.transpose)


def _is_known(solver: Solver) -> bool:
    """Whether a solver is one whose arithmetic is here, and was not replaced by other code."""
    return _KNOWN.get(type(solver)) is type(solver).__call__


def connections_in_order(network: Network) -> Iterator[tuple[Key, Hashable]]:
    """Keys of a network's decoded connections in the order in which they will be built.

    With each key comes which dimensions of the value are decoded, or else the connection.
    """
    for subnetwork in network.networks:
        yield from connections_in_order(subnetwork)
    for conn in network.connections:
        key = key_of(conn.pre_obj, conn.pre_slice, conn.eval_points, conn.solver)
        if key is not None:
            yield key, dimensions_of(conn.pre_slice) if conn.function is None else conn
    for probe in network.probes:
        if probe.attr == "decoded_output":
            chosen = slice(None) if probe.slice is None else probe.slice
            key = key_of(probe.obj, chosen, None, probe.solver)
            if key is not None:
                yield key, dimensions_of(chosen)


class System:
    """The equations that an ensemble's decoders solve, and what they were solved for.

    Parameters
    ----------
    key : Key
        Which system.
    built : BuiltEnsemble
        The ensemble's parameters.
    method : RateBackend
        See `nengo_jit.neurons.rates.rates`.
    threads : int
        How many threads may be used.

    Attributes
    ----------
    activities : (n_eval_points, n_neurons) numpy.ndarray or None
        Firing rates (hertz); None where they are not kept.
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
        """int: memory that is taken, but for the decoders."""
        m, n = len(self._built.eval_points), len(self._built.gain)
        size = 0 if self.activities is None else m * n
        if self._solve is not None:
            size += m**2 if self._is_transposed else n**2
        return 8 * size

    def _compute(self) -> np.ndarray:
        """Firing rates (hertz) of the neurons at all evaluation points."""
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
        """Decoders of some dimensions of the represented value, and the solver's info."""
        if dimensions not in self._values:
            points = self._built.eval_points[:, _selection(dimensions)]
            self._values[dimensions] = self.decode(points.astype(points.dtype))
        return self._values[dimensions]

    def decode_ahead(self, conn: Connection, targets: np.ndarray) -> None:
        """Find decoders of a function that a connection will ask for."""
        self._functions[id(conn)] = targets, self.decode(targets)

    def decode_function(self, conn: Connection, targets: np.ndarray) -> Solved:
        """Decoders of a connection's function, given its values, and the solver's info."""
        ahead = self._functions.pop(id(conn), None)
        if ahead is not None and np.array_equal(ahead[0], targets):
            return ahead[1]
        return self.decode(targets)

    def decode(self, targets: np.ndarray) -> Solved:
        """Decoders of targets, given at the ensemble's evaluation points.

        Parameters
        ----------
        targets : (n_eval_points, size) numpy.ndarray
            What to decode.

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
        """As nengo has it: the regularised system, of clipped targets, is solved as it stands."""
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
        """The regularised Gram matrix of neurons or, where those are more, of points."""
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
        """Free all but the decoders of values."""
        self.activities = self._solve = None


class Decoders:
    """Solves for the decoders of the connections of one model.

    Parameters
    ----------
    threads : int, optional
        How many threads to use at most; as many as there are cores by default. Results do not
        depend on it.
    method : RateBackend
        See `nengo_jit.neurons.rates.rates`.
    evaluator : Evaluator
        How connections' functions are evaluated.

    Attributes
    ----------
    method, evaluator
        As given.
    solved : callable or None
        Called with the ensemble of each expected system that is ready.
    """

    def __init__(
        self,
        threads: int | None = None,
        method: RateBackend = IN_NUMPY,
        evaluator: Evaluator = IN_PYTHON,
    ):
        self.threads = n_cores() if threads is None else threads
        self.method = method
        self.evaluator = evaluator
        self.solved: Callable[[Ensemble], None] | None = None
        self._uses: dict[Key, Uses] = {}
        self._systems: dict[Key, System] = {}
        self._latest: System | None = None

    def expect(self, network: Network) -> None:
        """Count the connections of a network that is going to be built."""
        for key, dimensions in connections_in_order(network):
            uses = self._uses.setdefault(key, Uses())
            if isinstance(dimensions, Connection):
                uses.functions.append(dimensions)
            else:
                uses.values[dimensions] += 1

    @property
    def expected(self) -> list[Ensemble]:
        """List of Ensemble: one for each system that is going to be needed."""
        return [key.ensemble for key in self._uses]

    def forget(self) -> None:
        """Forget all systems and what was expected."""
        self._uses.clear()
        self._systems.clear()
        self._latest = None

    def solve(
        self,
        key: Key,
        conn: Connection,
        params: Mapping[object, Any],
        targets: Callable[[], np.ndarray],
    ) -> Solved | None:
        """Decoders of a connection, and the solver's info; None if no neuron ever fires.

        Parameters
        ----------
        key : Key
            From `key_of`.
        conn : nengo.Connection
            The connection.
        params : mapping of (object, object)
            What has been built, such as the connection's ensemble.
        targets : callable
            Returns what to decode at each evaluation point; called only if the connection is
            not one of the represented value.
        """
        latest, system = self._latest, self._systems.get(key)
        if latest is not None and latest is not system:  # most likely not needed soon
            latest.activities = None
        if system is None:
            with one_thread_in_blas() as limited:
                system = self._prepare(key, params, self.threads if limited else 1)
        self._latest = system
        if system.is_silent:
            return None
        if conn.function is None:
            decoders, info = system.decode_value(dimensions_of(conn.pre_slice))
            return decoders, dict(info)
        return system.decode_function(conn, targets())

    def used(self, key: Key, conn: Connection) -> None:
        """Note that a connection has its decoders, and forget what nobody else needs."""
        uses = self._uses.get(key, Uses())
        if conn.function is None:
            dimensions = dimensions_of(conn.pre_slice)
            uses.values[dimensions] -= 1
            if uses.values[dimensions] <= 0:
                del uses.values[dimensions]
        else:
            uses.functions = [other for other in uses.functions if other is not conn]
        if not uses.values and not uses.functions:
            if self._latest is self._systems.pop(key, None):
                self._latest = None
            self._uses.pop(key, None)
        elif not uses.functions and key in self._systems:
            self._systems[key].forget_matrices()

    def _prepare(self, key: Key, params: Mapping[object, Any], threads: int) -> System:
        """Compute a system and, as far as memory allows, those that will be needed soon."""
        jobs = dict(self._ahead(key, params))
        inner = threads if len(jobs) < threads else 1

        def make(key: Key) -> System:
            system = System(key, params[key.ensemble], self.method, inner)
            uses, ahead = self._uses.get(key), jobs[key]
            if uses is None:
                return system
            if not system.is_silent:
                for dimensions in uses.values:
                    system.decode_value(dimensions)
                for conn, targets in ahead:
                    system.decode_ahead(conn, targets)
            if len(uses.functions) == len(ahead):
                system.forget_matrices()
            return system

        batches = list(_batches(jobs, params))
        with closing(parallel_map(lambda keys: list(map(make, keys)), batches, threads)) as done:
            for made, system in zip(jobs, chain.from_iterable(done)):
                self._systems[made] = system
                if self.solved is not None and made in self._uses:
                    self.solved(made.ensemble)
        return self._systems[key]

    def _ahead(self, key: Key, params: Mapping[object, Any]) -> Iterator[tuple[Key, Ahead]]:
        """A system and those that may be computed with it, with functions to decode."""
        yield key, self._functions_ahead(key, params)
        room = BUDGET - sum(system.nbytes for system in self._systems.values())
        for other, uses in self._uses.items():
            built = params.get(other.ensemble)
            if built is None or other == key or other in self._systems:
                continue
            size = 8 * len(built.gain) * (len(built.eval_points) + len(built.gain))
            if size > room:
                return
            ahead = self._functions_ahead(other, params)
            room -= sum(targets.nbytes for _, targets in ahead)
            if len(ahead) < len(uses.functions):
                room -= size
            yield other, ahead

    def _functions_ahead(self, key: Key, params: Mapping[object, Any]) -> Ahead:
        """The connections whose functions can be evaluated natively, and their values."""
        uses, ahead = self._uses.get(key, Uses()), []
        for conn in uses.functions:
            points = params[key.ensemble].eval_points
            targets = targets_ahead(conn, points, self.evaluator)
            if targets is not None:
                ahead.append((conn, targets))
        return ahead


def _batches(keys: Iterable[Key], params: Mapping[object, Any]) -> Iterator[list[Key]]:
    """Keys of systems that are worth handing to a thread together."""
    batch: list[Key] = []
    size = 0
    for key in keys:
        batch.append(key)
        built = params[key.ensemble]
        size += len(built.eval_points) * len(built.gain)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
