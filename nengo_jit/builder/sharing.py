"""Find the connections that can share a system of equations for their decoders.

Most connections from an ensemble use the same evaluation points and the same solver. Their decoders
are then solutions of one system, and are equal where the connections decode the same dimensions of
the represented value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from nengo import Connection, Ensemble, Network
from nengo.solvers import (
    Lstsq,
    LstsqL2,
    LstsqL2nz,
    LstsqMultNoise,
    LstsqNoise,
    NnlsL2,
    NnlsL2nz,
    Solver,
)
from nengo.utils.least_squares_solvers import Cholesky

from nengo_jit.neurons.rates import known_rates

WELL_CONDITIONED = 1e6  # neurons / reg²: up to this ratio, rounding errors stay far below 1e-9
LEAST_RCOND = 1e-3  # of `Lstsq`: below it, rounding errors of the Gram matrix matter
BY_CHOLESKY = (LstsqL2, LstsqL2nz)  # they need no other function of LAPACK
NON_NEGATIVE = (NnlsL2, NnlsL2nz)
NOISY = (LstsqNoise, LstsqMultNoise)  # they draw other random numbers for each connection
SEQUENTIAL = (Lstsq, *NOISY)  # threads solve several systems at a time faster than each by itself

_KNOWN = {
    each: each.__call__ for each in (Lstsq, LstsqL2, LstsqL2nz, Cholesky, *NON_NEGATIVE, *NOISY)
}


class Key(NamedTuple):
    """The key of a system of equations: the settings of connections that can share it.

    ``reg`` is the solver's parameter of that name, its ``rcond``, or its ``noise``. Connections of
    `NOISY` solvers share only the activities.
    """

    ensemble: Ensemble
    solver_type: type
    reg: float
    transpose: bool | None


@dataclass
class Uses:
    """The remaining uses of a system by connections that have not been built yet.

    Attributes
    ----------
    values : Counter
        Number of connections that decode the represented value, by `dimensions_of` their slice.
    functions : list of nengo.Connection
        Connections that decode functions of the value, or whose solver draws random numbers.
    """

    values: Counter[Hashable] = field(default_factory=Counter)
    functions: list[Connection] = field(default_factory=list)


def dimensions_of(chosen: Any) -> Hashable:
    """Convert a connection's ``pre_slice`` to a hashable key; None if it is no slice or list."""
    if chosen is Ellipsis:
        chosen = slice(None)
    if isinstance(chosen, slice):
        return chosen.start, chosen.stop, chosen.step, None
    if isinstance(chosen, tuple) or np.ndim(chosen) != 1:
        return None
    return tuple(np.asarray(chosen).tolist())


def selection_of(dimensions: Any) -> slice | list[int]:
    """Convert the result of `dimensions_of` back to an index."""
    return slice(*dimensions[:3]) if dimensions[-1:] == (None,) else list(dimensions)


def key_of(ensemble: Any, chosen: object, eval_points: object, solver: Solver) -> Key | None:
    """Return the key of the system that a connection's decoders are a solution of.

    Parameters
    ----------
    ensemble : object
        The connection's pre object.
    chosen : object
        The connection's ``pre_slice``.
    eval_points : object
        The connection's own evaluation points; None for those of the ensemble.
    solver : nengo.solvers.Solver
        The connection's solver.

    Returns
    -------
    Key or None
        None if nengo's solver has to be called. That is the case if the connection has evaluation
        points of its own, if the dimensions are neither a slice nor a list, if the solver or the
        neuron type is not exactly one of those of nengo's that are known here, or if the
        regularisation is so weak that rounding errors matter.
    """
    if type(ensemble) is not Ensemble or eval_points is not None or not _is_known(solver):
        return None
    if dimensions_of(chosen) is None:
        return None
    if known_rates(ensemble.neuron_type) is None:
        return None
    if type(solver) is Lstsq:
        in_range = LEAST_RCOND <= solver.rcond < 1
        return Key(ensemble, Lstsq, solver.rcond, None) if in_range else None
    if type(solver) in NOISY:
        if not _is_known(solver.solver) or not solver.noise > 0:
            return None
        return Key(ensemble, type(solver), solver.noise, solver.solver.transpose)
    reg = solver.reg
    if reg**2 * WELL_CONDITIONED < ensemble.n_neurons:
        return None
    if type(solver) in NON_NEGATIVE:
        return Key(ensemble, type(solver), reg, False)
    if not _is_known(solver.solver):
        return None
    return Key(ensemble, type(solver), reg, solver.solver.transpose)


def _is_known(solver: Solver) -> bool:
    """Whether a solver is exactly one of nengo's, with its original ``__call__``."""
    return _KNOWN.get(type(solver)) is type(solver).__call__


def decodes_value(key: Key, conn: Connection) -> bool:
    """Whether a connection has the decoders of all that decode the same dimensions of the value."""
    return conn.function is None and key.solver_type not in NOISY


def connections_in_order(network: Network) -> Iterator[tuple[Key, Hashable]]:
    """Yield the keys of a network's decoded connections, in the order in which they are built.

    Each key comes with the dimensions that the connection decodes, as `dimensions_of` returns them,
    or with the connection itself if it decodes a function or its solver draws random numbers.
    """
    for subnetwork in network.networks:
        yield from connections_in_order(subnetwork)
    for conn in network.connections:
        pre = conn.pre_obj
        if type(pre) is not Ensemble:
            continue
        chosen = conn.pre_slice
        key = key_of(pre, chosen, conn.eval_points, conn.solver)
        if key is not None:
            yield key, dimensions_of(chosen) if decodes_value(key, conn) else conn
    for probe in network.probes:
        if probe.attr == "decoded_output":
            chosen = slice(None) if probe.slice is None else probe.slice
            key = key_of(probe.obj, chosen, None, probe.solver)
            if key is not None and key.solver_type not in NOISY:  # its connection is not made yet
                yield key, dimensions_of(chosen)
