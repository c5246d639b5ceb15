"""A network as a pure function of its parameters, its state and its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isqrt
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from nengo import Network, Node
from nengo.exceptions import BuildError, ValidationError
from nengo.processes import Process

from nengo_jit.builder import Builder
from nengo_jit.builder.interop import use_our_build_functions, use_our_operators
from nengo_jit.building import build_model, new_model
from nengo_jit.engines.base import memory_of
from nengo_jit.engines.jax.arrays import Constant, to_device
from nengo_jit.engines.jax.backend import JaxBackend
from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.engines.jax.bucket import Bucket, Constants
from nengo_jit.engines.jax.bucketing import Bucketing
from nengo_jit.engines.jax.columns import Column, column_of
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.engines.jax.fitting import is_lowered
from nengo_jit.engines.jax.lowering import Lowered, State
from nengo_jit.engines.jax.phases import phases_of
from nengo_jit.engines.jax.python.placing import Placement
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal
from nengo_jit.labels import Labels
from nengo_jit.options import Options
from nengo_jit.planner.plan import Plan, ProbePlan
from nengo_jit.training.derived import Derived
from nengo_jit.training.filters import Filters
from nengo_jit.training.gradients import differentiable
from nengo_jit.training.packing import learned_elements, packed_constants
from nengo_jit.training.parameters import Parameters, Selection
from nengo_jit.training.sparse import sparse_leaves
from nengo_jit.training.stacks import Stacked, Stacks
from nengo_jit.training.surrogates import Surrogate

Arrays: TypeAlias = dict[str, jax.Array]
Step: TypeAlias = Callable[[State, Arrays], tuple[State, Arrays]]

CHUNKED_FROM = 128  # steps; with fewer, all values are kept for the gradient


class Bound(NamedTuple):
    """Constants, given parameters."""

    leaves: Sequence[Constant]
    indices: Sequence[jax.Array]
    values: list[jax.Array]  # of signals, see `Derived.values`


class Program:
    """A network as a pure function.

    Parameters
    ----------
    network : nengo.Network
        The network. It is built once, and not changed.
    dt : float
        Length of a step (seconds).
    seed : int, optional
        Seed of the build, and of nodes' processes, for a network that has none.
    surrogate : callable
        Derivative of a spike.
    trainable : iterable of object or type, callable, or None
        What is trained, see `Trainer`.

    Attributes
    ----------
    trained : frozenset of str
        Names of the parameters that are trained.
    parameters : Parameters
        The network's parameters.
    stacks : Stacks
        The same, many in one array, as the functions of the program take them.
    nodes : dict of (str, nengo.Node)
        By name, nodes without an input: they are the inputs.
    probes : dict of (str, nengo.Probe)
        By name, all probes: they are the outputs.
    dtype : numpy.dtype
        Type of all floating-point numbers.

    Raises
    ------
    BuildError
        If a part of the network cannot be trained; the message names it.
    """

    def __init__(
        self,
        network: Network,
        dt: float,
        seed: int | None,
        surrogate: Surrogate,
        trainable: Selection = None,
    ):
        backend = JaxBackend(Options(engine="jax"))
        model = new_model(network, dt, backend)
        use_our_build_functions(model, Builder())
        given, network.seed = network.seed, seed if network.seed is None else network.seed
        try:
            build_model(network, model, backend)
        finally:
            network.seed = given
        labels = Labels(network)
        nodes = [node for node in network.all_nodes if node.size_in == 0 and node.size_out]
        self.nodes = {name: node for node, name in labels.unique(nodes).items()}
        targets = {model.sig[node]["out"] for node in nodes}
        model.operators[:] = [each for each in model.operators if not targets & {*each.sets}]
        use_our_operators(model.operators)
        self._plan = backend.plan(model)
        self._seed = model.seeds[network]
        self.dt, self.dtype = dt, np.dtype(model.time.dtype)
        self.parameters = Parameters(network, model)
        names = labels.unique([each.probe for each in self._plan.probes])
        self.probes = {name: probe for probe, name in names.items()}
        self._signals, _ = memory_of(self._plan)
        self._signals.allocate(targets)
        self._blocks = Blocks(self._plan.runs, self._signals)
        constants = Constants()
        bucketing = Bucketing(self._plan, self._signals, self._blocks, Placement(), {}, constants)
        buckets = [_trained(each, surrogate) for each in _buckets_of(self._plan, bucketing)]
        self.trained = self.parameters.selected(trainable)
        self.parameters.forget_time_constants(self.trained)
        self.stacks = Stacks(self.parameters.kinds(), self.trained)
        self._derived = Derived(self.parameters.recipes(), self.stacks, self.dtype)
        time_constants = self.parameters.time_constants()
        self._filters = Filters(time_constants, self.stacks, bucketing.constants, dt)
        buckets = [self._filters.replaced(each) for each in buckets]
        self._sparse = sparse_leaves(buckets)
        self._given = [self._column(model.sig[node]["out"]) for node in nodes]
        self._recorded = [self._recorded_column(each.signal) for each in self._plan.probes]
        columns = [*self._given, *(each for each in self._recorded if each is not None)]
        self._lowered = Lowered(buckets, columns)
        with as_given():
            self._leaves = [to_device(each) for each in bucketing.constants.leaves]
            self._indices = [jnp.asarray(each) for each in self._lowered.indices]
            self._initial = tuple(jnp.asarray(each) for each in self._blocks.host)
        self._packed = packed_constants(bucketing.constants, self._signals, self._derived)
        self._learned = list(learned_elements(self._blocks, self._derived))

    def _column(self, signal: Signal) -> Column:
        return column_of([self._blocks.region_of(signal)], signal.shape)

    def _recorded_column(self, signal: Signal) -> Column | None:
        return self._column(signal) if signal in self._blocks else None

    def bind(self, params: Stacked) -> Bound:
        """Compute what depends on parameters only; can be traced."""
        values = self._derived.values(params)
        leaves = list(self._leaves)
        for number, packed in self._packed.items():
            leaves[number] = packed.filled(values)
        for number, leaf in self._sparse.items():
            leaves[number] = leaf.filled(self._derived.value_of(leaf.signal, values))
        for number, value in self._filters.leaves(params).items():
            leaves[number] = value
        return Bound(leaves, self._indices, values)

    def initial_state(self, params: Stacked) -> State:
        """Return the state before the first step; can be traced."""
        blocks = list(self._initial)
        if self._learned:
            values = self._derived.values(params)
        for number, elements, like, index in self._learned:
            blocks[number] = blocks[number].at[elements].set(jnp.ravel(values[like])[index])
        return tuple(blocks)

    def step(self, bound: Bound, state: State, inputs: Arrays) -> tuple[State, Arrays]:
        """Advance the network by one step.

        Parameters
        ----------
        bound : Bound
            From `bind`.
        state : tuple of jax.Array
            From `initial_state`, or the step before.
        inputs : dict of (str, (size_out,) jax.Array)
            The output of each node without input.

        Returns
        -------
        tuple of jax.Array, dict of (str, jax.Array)
            The state and the values of all probes at the end of the step.
        """
        blocks = list(state)
        for name, column in zip(self.nodes, self._given):
            (part,) = column.parts
            values = inputs[name].astype(self.dtype)
            blocks[part.block] = blocks[part.block].at[part.index].set(values)
        number = jnp.zeros((), int)  # is only used to draw
        state = self._lowered.run(bound.leaves, bound.indices, tuple(blocks), (), number)
        outputs = {}
        for name, planned, place in zip(self.probes, self._plan.probes, self._recorded):
            if place is not None:
                value = self._lowered.read(place, bound.indices, state)
            else:
                value = self._constant(planned.signal, bound)
            outputs[name] = value
        return state, outputs

    def _constant(self, signal: Signal, bound: Bound) -> jax.Array:
        """Return the value of a signal that no operator changes."""
        if signal in self._derived.places:
            return self._derived.value_of(signal, bound.values)
        return jnp.asarray(self._signals[signal])

    def run(
        self, params: Stacked, state: State, inputs: Arrays, remat: str | int | None = None
    ) -> tuple[State, Arrays]:
        """Run a number of steps.

        Parameters
        ----------
        params : dict of (str, jax.Array)
            All parameters, in stacks.
        state : tuple of jax.Array
            From `initial_state`, or the run before.
        inputs : dict of (str, (steps, size_out) jax.Array)
            The output of each node without input, in each step.
        remat : "auto", int or None
            See `Trainer`.

        Returns
        -------
        tuple of jax.Array, dict of (str, (samples, size) jax.Array)
            The state after the last step, and the samples of each probe.
        """
        bound = self.bind(params)
        (n_steps,) = {len(each) for each in inputs.values()}

        def step(state: State, inputs: Arrays) -> tuple[State, Arrays]:
            return self.step(bound, state, inputs)

        state, outputs = _scanned(step, state, inputs, n_steps, chunk_size(n_steps, remat))
        for name in self.probes:
            due = self._due(name, n_steps)
            if len(due) < n_steps:
                outputs[name] = outputs[name][np.array(due, int)]
        return state, outputs

    def n_samples(self, name: str, n_steps: int) -> int:
        """Return the number of samples of a probe in a number of steps."""
        return len(self._due(name, n_steps))

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a probe's samples."""
        shape: tuple[int, ...] = self._planned(name).signal.shape
        return shape

    def _planned(self, name: str) -> ProbePlan:
        return self._plan.probes[list(self.probes).index(name)]

    def _due(self, name: str, n_steps: int) -> list[int]:
        """Return the steps, counted from zero, of which a probe has a sample."""
        planned = self._planned(name)
        return [i for i in range(n_steps) if planned.is_due(i + 1)]

    def tabulated(self, name: str, n_steps: int) -> np.ndarray:
        """Return the output of a node, (n_steps, size_out), as Nengo computes it."""
        rng = np.random.RandomState(self._seed)  # for processes without a seed
        return _tabulated(self.nodes[name], n_steps, self.dt, self.dtype, rng)


def chunk_size(n_steps: int, remat: str | int | None) -> int:
    """Return the number of steps whose values are kept at a time for the gradient."""
    if remat is None or (remat == "auto" and n_steps < CHUNKED_FROM):
        return n_steps
    return isqrt(n_steps) if remat == "auto" else max(1, min(int(remat), n_steps))


def _scanned(
    step: Step,
    state: State,
    inputs: Arrays,
    n_steps: int,
    size: int,
) -> tuple[State, Arrays]:
    """Scan over steps; each chunk of ``size`` is computed again for the gradient."""
    if size == n_steps:
        return lax.scan(step, state, inputs)

    @jax.checkpoint
    def chunk(state: State, inputs: Arrays) -> tuple[State, Arrays]:
        return lax.scan(step, state, inputs)

    n_chunks = n_steps // size
    n_whole = n_chunks * size
    whole = {
        name: jnp.reshape(each[:n_whole], (n_chunks, size, *each.shape[1:]))
        for name, each in inputs.items()
    }
    state, outputs = lax.scan(chunk, state, whole)
    outputs = {
        name: jnp.reshape(each, (n_whole, *each.shape[2:])) for name, each in outputs.items()
    }
    if n_whole == n_steps:
        return state, outputs
    rest = {name: each[n_whole:] for name, each in inputs.items()}
    state, last = chunk(state, rest)
    return state, {name: jnp.concatenate([each, last[name]]) for name, each in outputs.items()}


def _buckets_of(plan: Plan, bucketing: Bucketing) -> list[Bucket]:
    """All operators as buckets; BuildError if one calls Python or draws random numbers."""
    for operator in plan.operators:
        if not is_lowered(operator, plan.dt):
            raise BuildError(
                f"{_named(operator)} cannot be trained: it calls Python in each step. Functions "
                "of nodes, ensembles in Direct mode and types of other packages do."
            )
    phases = phases_of(plan, {}, bucketing)
    buckets = [each for phase in phases if isinstance(phase, list) for each in phase]
    drawing = Lowered(buckets).drawn
    if drawing:
        raise BuildError(f"{_named(drawing[0].members[0])} cannot be trained: it is random")
    return buckets


def _named(operator: Operator) -> str:
    return str(getattr(operator, "tag", None) or operator)


def _trained(bucket: Bucket, surrogate: Surrogate) -> Bucket:
    if not isinstance(bucket.members[0], SimNeurons):
        return bucket
    return replace(bucket, function=differentiable(surrogate))


def _tabulated(
    node: Node, n_steps: int, dt: float, dtype: np.dtype, rng: np.random.RandomState
) -> np.ndarray:
    """Return what a node without input outputs in each step."""
    output, times = node.output, (np.arange(1, n_steps + 1) * dt).astype(dtype)
    if isinstance(output, Process):
        rows = output.run_steps(n_steps, d=node.size_out, dt=dt, rng=rng)
    elif callable(output):
        rows = np.array([np.broadcast_to(output(t), node.size_out) for t in times.tolist()])
    elif output is None:
        raise ValidationError(f"{node} has no output: give values for it", attr="x")
    else:
        rows = np.tile(output, (n_steps, 1))
    return np.asarray(rows, dtype)
