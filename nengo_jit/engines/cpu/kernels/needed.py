"""Which kernels a model needs: all of them once it is built, or the likely ones before that.

Compiling takes longest, so likely kernels are compiled while the model is being built. Nothing
waits for the kernels of tapes: until they are compiled, Python is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import nengo
import numpy as np
from nengo import Network, Sparse
from nengo.base import Process
from nengo.synapses import Lowpass

from nengo_jit.engines.cpu.kernels import (
    events,
    filters,
    half,
    held,
    learned_products,
    neurons,
    operator,
    probe,
    processes,
    rates,
    sparse,
    spikes,
)
from nengo_jit.engines.cpu.kernels.lif import lif
from nengo_jit.engines.cpu.language.kernel import Routine
from nengo_jit.engines.cpu.language.primitives import FLOAT16, FLOAT64
from nengo_jit.engines.cpu.program.copying import copy_bytes
from nengo_jit.engines.cpu.program.products import is_worth_holding
from nengo_jit.engines.cpu.program.team import lead, run
from nengo_jit.engines.cpu.python import call as python
from nengo_jit.neurons import Formula, formula_of
from nengo_jit.neurons.lif import FORMULA as LIF

Needed = list[tuple[Routine, np.dtype]]


def needed(used: Iterable[Routine], dtype: np.dtype) -> Needed:
    """Return the kernels and types that a program needs to run.

    Parameters
    ----------
    used : iterable of Routine
        The kernels of its operators.
    dtype : numpy.dtype
        Type of its numbers.
    """
    used = list(used)
    running: Needed = [(run, dtype), (copy_bytes, FLOAT64), (lead, FLOAT64)]
    if python.run_functions in used:
        running.append((python.call_python, FLOAT64))
    return [*running, *((kernel, dtype) for kernel in used)]


def likely(network: Network, dtype: np.dtype) -> Needed:
    """Return what a network will almost certainly need to run.

    Parameters
    ----------
    network : nengo.Network
        The network.
    dtype : numpy.dtype
        Type of the model's numbers.
    """
    is_half = dtype == FLOAT16
    used: list[Routine | None] = [probe.complete_step, probe.advance_time, copy_bytes]
    for formula in _formulas(network):
        used += [python.run_functions] if neurons.draws_in_python(formula) else []
        used.append(lif if formula is LIF and not is_half else neurons.kernel_of(formula))
        used += [spikes.list_spikes] if formula.spiking else []
    if is_half:
        used += _likely_only_in_half(network)
    else:
        used += _likely_if_not_in_half(network, spikes.list_spikes in used)
    if network.all_ensembles:
        used += [operator.fill, operator.copy_inc]
    if network.all_probes:
        used.append(probe.record)
    if any(callable(node.output) for node in network.all_nodes):
        used.append(python.run_functions)
    return needed(filter(None, used), dtype)


def _likely_only_in_half(network: Network) -> Iterator[Routine]:
    filtered = (*network.all_connections, *network.all_probes)
    sizes = {
        each.size_in if isinstance(each, nengo.Probe) else each.size_out
        for each in filtered
        if isinstance(each.synapse, Lowpass) and each.synapse.tau > 0
    }
    if 1 in sizes:
        yield half.half_filter_of_one
    if max(sizes, default=0) > 1:
        yield filters.filter_first_order
    if network.all_ensembles:
        yield half.half_dot_columns
        yield half.half_dot_rows


def _likely_if_not_in_half(network: Network, has_spikes: bool) -> Iterator[Routine | None]:
    if has_spikes:
        yield events.dot_events
    yield from map(processes.kernel_of, _processes(network))
    if any(map(_encodes_much, network.all_ensembles)):
        yield held.notice
    yield from _learned_products(network)
    if any(isinstance(each.transform, Sparse) for each in network.all_connections):
        yield sparse.sparse_dot_events if has_spikes else sparse.sparse_dot_rows


def needed_to_build(network: Network) -> Needed:
    """Return what is needed to build a network.

    Parameters
    ----------
    network : nengo.Network
        The network.
    """
    kernels = map(rates.kernel_of, _formulas(network))
    return [(kernel, FLOAT64) for kernel in kernels if kernel is not None]


def _formulas(network: Network) -> list[Formula]:
    types = {type(each.neuron_type): each.neuron_type for each in network.all_ensembles}
    return [each for each in map(formula_of, types.values()) if each is not None]


def _encodes_much(ensemble: nengo.Ensemble) -> bool:
    """Whether the product of an ensemble's encoders is worth keeping."""
    return is_worth_holding(ensemble.n_neurons * ensemble.dimensions, ensemble.dimensions)


def _learned_products(network: Network) -> list[Routine]:
    """Return the kernels of products with matrices that a rule changes."""
    found: list[Routine] = []
    for connection in network.all_connections:
        rules = connection.learning_rule_type
        pre = getattr(connection.pre_obj, "ensemble", connection.pre_obj)
        if isinstance(rules, (nengo.PES, nengo.BCM, nengo.Oja)) and isinstance(pre, nengo.Ensemble):
            formula = formula_of(pre.neuron_type)
            is_spiking = formula is not None and formula.spiking
            of_spikes = learned_products.dot_learned_rows_events
            found.append(of_spikes if is_spiking else learned_products.dot_learned_rows)
        elif isinstance(rules, nengo.Voja):
            found.append(learned_products.dot_learned_rows)
    return found


def _processes(network: Network) -> list[Process]:
    """Return the processes of nodes and ensembles, and all synapses."""
    found = [node.output for node in network.all_nodes]
    found += [ensemble.noise for ensemble in network.all_ensembles]
    found += [each.synapse for each in (*network.all_connections, *network.all_probes)]
    return [each for each in found if isinstance(each, Process)]
