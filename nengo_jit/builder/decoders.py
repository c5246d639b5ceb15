"""Solve for the decoders of a model's connections, which share systems of equations.

Threads compute several systems at a time, before their connections are built. This changes no
generator and calls no code of the user's: functions are evaluated natively or not at all. When such
a connection is built, its function is evaluated again, and the decoders count only if the values
are the same and, for solvers that draw random numbers, the state of the connection's generator is.
Memory is kept only for connections that are still to be built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any

import numpy as np
from nengo import Connection, Ensemble, Network

from nengo_jit.builder import cholesky
from nengo_jit.builder.built import points_of
from nengo_jit.builder.sharing import (  # noqa: F401  (re-exported)
    BY_CHOLESKY,
    NOISY,
    NON_NEGATIVE,
    SEQUENTIAL,
    WELL_CONDITIONED,
    Key,
    Uses,
    connections_in_order,
    decodes_value,
    dimensions_of,
    key_of,
)
from nengo_jit.builder.systems import POINTS, Solved, System  # noqa: F401  (re-exported)
from nengo_jit.builder.targets import targets_ahead
from nengo_jit.ir.evaluator import IN_PYTHON, Evaluator
from nengo_jit.neurons.rates import IN_NUMPY, RateBackend
from nengo_jit.parallel import n_cores, one_thread_in_blas, parallel_map

BUDGET = 4 << 20  # bytes that are kept for connections that are still to be built
IN_WORK = 512 << 20  # bytes of systems that threads solve at the same time
BATCH = 1 << 17  # rates: a thread takes systems of at least that many together

Ahead = list[tuple[Connection, np.ndarray]]


class Decoders:
    """Solves for the decoders of the connections of one model.

    Parameters
    ----------
    threads : int, optional
        Number of threads to use at most, by default the number of cores. Results do not depend
        on it.
    method : RateBackend
        See `nengo_jit.neurons.rates.rates`.
    evaluator : Evaluator
        Evaluates the connections' functions.

    Attributes
    ----------
    method, evaluator
        As given.
    solved : callable or None
        Called with the ensemble of each expected system once that is solved.
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
        self._seeds: Mapping[object, int] = {}
        self._needs_scipy = not cholesky.is_available()

    def expect(self, network: Network, seeds: Mapping[object, int]) -> None:
        """Count the uses of each system by the connections of a network, before it is built.

        Parameters
        ----------
        network : nengo.Network
            The network.
        seeds : mapping of (object, int)
            The seeds of the connections.
        """
        self._seeds = seeds
        for key, dimensions in connections_in_order(network):
            uses = self._uses.setdefault(key, Uses())
            self._needs_scipy |= key.solver_type not in BY_CHOLESKY
            if isinstance(dimensions, Connection):
                uses.functions.append(dimensions)
            else:
                uses.values[dimensions] += 1

    @property
    def expected(self) -> list[Ensemble]:
        """List of Ensemble: one for each system that connections still need."""
        return [key.ensemble for key in self._uses]

    def forget(self) -> None:
        """Drop all systems and all counts."""
        self._uses.clear()
        self._systems.clear()
        self._latest = None

    def solve(
        self,
        key: Key,
        conn: Connection,
        params: Mapping[object, Any],
        targets: Callable[[], np.ndarray],
        rng: np.random.RandomState,
    ) -> Solved | None:
        """Solve for the decoders of a connection.

        Parameters
        ----------
        key : Key
            From `key_of`.
        conn : nengo.Connection
            The connection.
        params : mapping of (object, object)
            The built parameters of each object, such as the connection's ensemble.
        targets : callable
            Returns the values of the connection's function at the evaluation points. Called only
            if they may be other than the represented value, or if the solver draws random numbers.
        rng : numpy.random.RandomState
            Source of randomness for the solver.

        Returns
        -------
        decoders : (n_neurons, size) numpy.ndarray
        solver_info : dict
            None in place of both if no neuron fires at any point.
        """
        latest, system = self._latest, self._systems.get(key)
        if latest is not None and latest is not system:  # rarely needed again soon
            latest.activities = None
        if system is None:
            self._needs_scipy |= key.solver_type not in BY_CHOLESKY
            with one_thread_in_blas(self._needs_scipy) as limited:
                system = self._prepare(key, params, self.threads if limited else 1)
        self._latest = system
        if system.is_silent:
            return None
        if decodes_value(key, conn):
            decoders, info = system.decode_value(dimensions_of(conn.pre_slice))
            return decoders, dict(info)
        return system.decode_function(conn, targets(), rng)

    def used(self, key: Key, conn: Connection) -> bool:
        """Count down the uses of a system, and free what no connection needs any more.

        Returns
        -------
        bool
            Whether no connection needs the system any more.
        """
        uses = self._uses.get(key, Uses())
        if decodes_value(key, conn):
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
            return True
        if not uses.functions and key in self._systems:
            self._systems[key].forget_matrices()
        return False

    def _prepare(self, key: Key, params: Mapping[object, Any], threads: int) -> System:
        """Solve a system and, in parallel, others that fit into memory, before they are needed."""
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
                    system.decode_ahead(conn, targets, self._seeds.get(conn))
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
        """Yield the keys of systems to solve together, with the values of functions to decode."""
        yield key, self._functions_ahead(key, params)
        room = BUDGET - sum(system.nbytes for system in self._systems.values())
        for other, uses in self._uses.items():
            if other == key or other in self._systems:
                continue
            built = params.get(other.ensemble)
            if built is None:  # nor are most of those that come later
                return
            size = 8 * len(built.gain) * (len(points_of(built)) + len(built.gain))
            is_large = size > room
            if is_large and (other.solver_type not in SEQUENTIAL or size * self.threads > IN_WORK):
                return
            ahead = self._functions_ahead(other, params)
            if len(ahead) < len(uses.functions):
                if is_large:
                    return
                room -= size
            room -= sum(targets.nbytes for _, targets in ahead)
            yield other, ahead

    def _functions_ahead(self, key: Key, params: Mapping[object, Any]) -> Ahead:
        """Return the connections whose functions run natively, with the functions' values."""
        uses, ahead = self._uses.get(key, Uses()), []
        targets: np.ndarray | None
        for conn in uses.functions:
            points = points_of(params[key.ensemble])
            if conn.function is None:
                targets = points[:, conn.pre_slice].astype(points.dtype)
            else:
                targets = targets_ahead(conn, points, self.evaluator)
            if targets is not None:
                ahead.append((conn, targets))
        return ahead


def _batches(keys: Iterable[Key], params: Mapping[object, Any]) -> Iterator[list[Key]]:
    """Divide keys into batches, each large enough to be worth a task for a thread."""
    batch: list[Key] = []
    size = 0
    for key in keys:
        batch.append(key)
        built = params[key.ensemble]
        size += len(points_of(built)) * len(built.gain)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
