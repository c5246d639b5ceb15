"""Random networks: a strategy that draws recipes, from which equal networks can be built afresh.

A recipe is plain data, so that hypothesis can print and shrink it, and so that networks whose
functions keep state of their own can be built once for each engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from hypothesis import strategies as st

RATES_TO_SPIKES = [nengo.PoissonSpiking, nengo.StochasticSpiking, nengo.RegularSpiking]
BASES = [nengo.LIFRate(), nengo.RectifiedLinear(), nengo.Tanh()]
NEURONS = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.01, tau_ref=0.0005, min_voltage=-1, amplitude=0.5),
    nengo.LIFRate(amplitude=2),
    nengo.AdaptiveLIF(inc_n=0.05),
    nengo.AdaptiveLIFRate(),
    nengo.Izhikevich(),
    nengo.RectifiedLinear(amplitude=0.1),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    *(spikes(base) for spikes in RATES_TO_SPIKES for base in BASES),
    nengo.Direct(),
]
SYNAPSES = [
    None,
    nengo.Lowpass(0),
    nengo.Lowpass(0.005),
    nengo.Alpha(0.003),
    nengo.Triangle(0.004),
    nengo.LinearFilter([0.002, 1], [0.005, 1]),  # passes part of its input at once
    nengo.LinearFilter([1], [1e-8, 6e-6, 0.008, 1]),
]
PROCESSES: list[Callable[[int | None], nengo.Process]] = [
    lambda seed: nengo.processes.WhiteNoise(nengo.dists.Gaussian(0, 0.03), seed=seed),
    lambda seed: nengo.processes.WhiteSignal(0.03, high=100, seed=seed),
    lambda seed: nengo.processes.FilteredNoise(
        nengo.Alpha(0.003), nengo.dists.Gaussian(0, 0.03), seed=seed
    ),
    lambda seed: nengo.processes.BrownNoise(seed=seed),
]
FUNCTIONS: dict[str, Callable[[np.ndarray], Any]] = {
    "square": lambda x: 0.5 * x**2,
    "mean": lambda x: np.mean(x),
    "pair": lambda x: [np.sin(x[0]), np.tanh(x[-1])],
}
RULES: dict[str, nengo.learning_rules.LearningRuleType] = {
    "PES": nengo.PES(1e-2),
    "RLS": nengo.RLS(1e-3, pre_synapse=0.005),
    "BCM": nengo.BCM(1e-7, theta_synapse=0.02),
    "Oja": nengo.Oja(1e-5),
    "Voja": nengo.Voja(1e-3, post_synapse=0.005),
}


@dataclass(frozen=True)
class NodeRecipe:
    """A node; ``kind`` is one of the methods' names below."""

    kind: str
    size: int
    seed: int

    @property
    def size_in(self) -> int:
        return self.size if self.kind in ("passthrough", "function", "filter") else 0

    @property
    def size_out(self) -> int:
        return self.size

    def build(self) -> nengo.Node:
        rng = np.random.RandomState(self.seed)
        phase, size = rng.uniform(-1, 1, self.size), self.size
        if self.kind == "constant":
            return nengo.Node(phase)
        if self.kind == "passthrough":
            return nengo.Node(size_in=size)
        if self.kind == "time":
            return nengo.Node(lambda t: np.sin(50 * t + phase), size_out=size)
        if self.kind == "stateful":
            return nengo.Node(lambda t: rng.uniform(-1, 1, size), size_out=size)
        if self.kind == "function":
            return nengo.Node(lambda t, x: np.tanh(x + phase) * np.cos(20 * t), size_in=size)
        if self.kind == "filter":
            return nengo.Node(nengo.Lowpass(0.004), size_in=size, size_out=size)
        seed = self.seed if self.seed % 2 else None  # None draws from the simulator's seed
        process = PROCESSES[self.seed % len(PROCESSES)](seed)
        return nengo.Node(process, size_out=size)


@dataclass(frozen=True)
class EnsembleRecipe:
    """An ensemble of the neuron type of a given number in ``NEURONS``."""

    n_neurons: int
    size: int
    type_number: int
    noise: bool
    seed: int

    @property
    def size_in(self) -> int:
        return self.size

    @property
    def size_out(self) -> int:
        return self.size

    @property
    def direct(self) -> bool:
        return isinstance(NEURONS[self.type_number], nengo.Direct)

    def build(self) -> nengo.Ensemble:
        neuron_type = NEURONS[self.type_number]
        rates = (220, 350) if isinstance(neuron_type, nengo.Sigmoid) else (100, 200)
        noise = nengo.processes.WhiteNoise(nengo.dists.Gaussian(0, 0.05))
        return nengo.Ensemble(
            self.n_neurons,
            self.size,
            neuron_type=neuron_type,
            radius=1.5,
            max_rates=nengo.dists.Uniform(*rates),
            intercepts=nengo.dists.Uniform(-1, 0.5),
            n_eval_points=100,
            noise=noise if self.noise and not self.direct else None,
            seed=self.seed,
        )


@dataclass(frozen=True)
class ConnectionRecipe:
    """A connection between objects by number, or between their neurons.

    What does not fit the sizes, such as a scalar transform between different ones, becomes a
    dense transform.
    """

    pre: int
    pre_neurons: bool
    pre_slice: Any
    post: int
    post_neurons: bool
    post_slice: Any
    function: str | None
    transform: str
    synapse: int
    weights: bool
    rule: str | None
    teacher: int
    seed: int

    def build(self, objects: list[Any]) -> nengo.Connection:
        pre, post = objects[self.pre], objects[self.post]
        pre = (pre.neurons if self.pre_neurons else pre)[as_index(self.pre_slice)]
        post = (post.neurons if self.post_neurons else post)[as_index(self.post_slice)]
        options: dict[str, Any] = {"synapse": SYNAPSES[self.synapse]}
        size = pre.size_out
        if self.function is not None:
            options["function"] = FUNCTIONS[self.function]
            size = np.size(FUNCTIONS[self.function](np.zeros(size)))
        if self.weights:
            options["solver"] = nengo.solvers.LstsqL2(weights=True)
        decoded = not self.pre_neurons and isinstance(objects[self.pre], nengo.Ensemble)
        options["transform"] = self.transform_between(size, post.size_in, decoded)
        if self.rule is None:
            return nengo.Connection(pre, post, **options)
        learned = nengo.Connection(pre, post, learning_rule_type=RULES[self.rule], **options)
        if self.rule in ("PES", "RLS"):
            teacher = objects[self.teacher]
            rng = np.random.RandomState(self.seed)
            transform = rng.uniform(-1, 1, (learned.learning_rule.size_in, teacher.size_out))
            nengo.Connection(
                teacher, learned.learning_rule, transform=transform, synapse=nengo.Lowpass(0.005)
            )
        return learned

    def transform_between(self, size_in: int, size_out: int, decoded: bool) -> Any:
        """A transform of the kind asked for, where it fits."""
        rng = np.random.RandomState(self.seed)
        largest = 0.005 if self.pre_neurons else 1.0  # a spike is 1000 high
        if self.transform == "sparse" and not decoded:
            places = np.argwhere(rng.uniform(size=(size_out, size_in)) < 0.5)
            if len(places):
                values = rng.uniform(-largest, largest, len(places))
                return nengo.Sparse((size_out, size_in), indices=places, init=values)
        if size_in == size_out and self.rule is None:
            if self.transform == "none":
                return nengo.transforms.NoTransform(size_in)
            if self.transform == "scalar":
                return rng.uniform(-largest, largest)
            if self.transform == "vector":
                return rng.uniform(-largest, largest, size_out)
            if self.transform == "convolution" and not decoded:
                kernel = rng.uniform(-largest, largest, (2, 1, 1))
                return nengo.Convolution(
                    1, (size_in, 1), kernel_size=(2,), strides=(1,), padding="same", init=kernel
                )
        return rng.uniform(-largest, largest, (size_out, size_in)) / np.sqrt(size_in)


@dataclass(frozen=True)
class ProbeRecipe:
    """A probe of an object, of its neurons or of a connection, by number."""

    target: str
    number: int
    part: Any
    synapse: int
    sample_every: float | None

    def build(self, objects: list[Any], connections: list[nengo.Connection]) -> nengo.Probe:
        options = {"synapse": SYNAPSES[self.synapse], "sample_every": self.sample_every}
        if self.target == "weights":
            weighted = [each for each in connections if is_dense(each)]
            if weighted:
                return nengo.Probe(weighted[self.number % len(weighted)], "weights", **options)
        target = objects[self.number % len(objects)]
        if self.target in ("neurons", "input") and is_spiking(target):
            attribute = "output" if self.target == "neurons" else "input"
            return nengo.Probe(target.neurons[as_index(self.part)], attribute, **options)
        if isinstance(target, nengo.Ensemble):
            return nengo.Probe(target if self.part is None else target[:1], **options)
        return nengo.Probe(target[as_index(self.part)], **options)


@dataclass(frozen=True)
class Recipe:
    """A network as plain data; `build` makes a new network of it each time."""

    objects: tuple[Any, ...]
    connections: tuple[ConnectionRecipe, ...]
    probes: tuple[ProbeRecipe, ...]
    seed: int

    @property
    def repeatable(self) -> bool:
        """Whether a reset rewinds everything: no object keeps a state or generator of its own."""
        return not any(
            (isinstance(each, NodeRecipe) and each.kind == "stateful")
            or (
                isinstance(each, EnsembleRecipe)
                and isinstance(
                    NEURONS[each.type_number], (nengo.PoissonSpiking, nengo.StochasticSpiking)
                )
            )
            for each in self.objects
        )

    def build(self) -> nengo.Network:
        with nengo.Network(seed=self.seed) as network:
            objects = [each.build() for each in self.objects]
            connections = [each.build(objects) for each in self.connections]
            for probe in self.probes:
                probe.build(objects, connections)
        return network


def is_spiking(target: Any) -> bool:
    """Whether an object is an ensemble that has neurons."""
    return isinstance(target, nengo.Ensemble) and not isinstance(target.neuron_type, nengo.Direct)


def is_dense(connection: nengo.Connection) -> bool:
    """Whether the weights of a connection are an array that can be probed."""
    from_ensemble = isinstance(connection.pre_obj, nengo.Ensemble)
    if from_ensemble and not is_spiking(connection.pre_obj):
        return False
    return isinstance(connection.transform, nengo.Dense)


def as_index(part: Any) -> Any:
    """What to index with: recipes have (start, stop, step) for a slice, a list, or None."""
    if part is None:
        return slice(None)
    return slice(*part) if isinstance(part, tuple) else list(part)


SEEDS = st.integers(0, 999)


@st.composite
def parts(draw: Any, size: int, lists: bool = True) -> Any:
    """A part of ``size`` elements: None for all, (start, stop, step), or a list of indices."""
    kind = draw(st.sampled_from(["all", "all", "slice", "list"]))
    if kind == "all":
        return None
    if kind == "slice" or not lists:
        start = draw(st.integers(0, size - 1))
        return start, draw(st.integers(start + 1, size)), draw(st.sampled_from([1, 1, 2]))
    indices = st.integers(-size, size - 1)
    return draw(st.lists(indices, min_size=1, max_size=size, unique_by=lambda i: i % size))


NODES = st.builds(
    NodeRecipe,
    kind=st.sampled_from(
        ["constant", "passthrough", "time", "stateful", "function", "filter", "process"]
    ),
    size=st.integers(1, 4),
    seed=SEEDS,
)
ENSEMBLES = st.builds(
    EnsembleRecipe,
    n_neurons=st.sampled_from([1, 3, 8, 20, 40]),
    size=st.integers(1, 3),
    type_number=st.integers(0, len(NEURONS) - 1),
    noise=st.sampled_from([False, False, True]),
    seed=SEEDS,
)


@st.composite
def connections(draw: Any, objects: list[Any]) -> ConnectionRecipe:
    """A connection that nengo can build between two of the objects."""
    takers = [i for i, each in enumerate(objects) if each.size_in]
    pre_number = draw(st.integers(0, len(objects) - 1))
    post_number = draw(st.sampled_from(takers))
    pre, post = objects[pre_number], objects[post_number]
    real_pre = isinstance(pre, EnsembleRecipe) and not pre.direct
    real_post = isinstance(post, EnsembleRecipe) and not post.direct
    pre_neurons = real_pre and draw(st.booleans())
    post_neurons = real_post and draw(st.sampled_from([False, False, True]))
    decoded = real_pre and not pre_neurons

    rules: list[str | None] = [None]
    if decoded and not post_neurons:
        rules += ["PES", "RLS"]
    if real_post and not pre_neurons and not post_neurons:
        rules += ["Voja"]
    if pre_neurons and post_neurons:
        rules += ["BCM", "Oja", "PES"]
    weights = decoded and real_post and not post_neurons and draw(st.booleans())
    if weights:
        rules = [None, "PES", "BCM", "Oja"]
    rule = draw(st.sampled_from(rules))

    has_functions = not pre_neurons and getattr(pre, "kind", None) != "passthrough"
    whole = rule is not None or weights
    pre_size = pre.n_neurons if pre_neurons else pre.size_out
    post_size = post.n_neurons if post_neurons else post.size_in
    # Without a synapse only forward in most cases, so that there are few cycles.
    forward = pre_number < post_number or draw(st.integers(0, 9)) == 0
    return ConnectionRecipe(
        pre=pre_number,
        pre_neurons=pre_neurons,
        pre_slice=None if whole else draw(parts(pre_size)),
        post=post_number,
        post_neurons=post_neurons,
        post_slice=None if whole else draw(parts(post_size)),
        function=draw(st.sampled_from([None, None, *FUNCTIONS])) if has_functions else None,
        transform=draw(
            st.sampled_from(["dense", "none", "scalar", "vector", "sparse", "convolution"])
            if rule is None and not weights
            else st.just("dense")
        ),
        synapse=draw(st.integers(0 if forward else 1, len(SYNAPSES) - 1)),
        weights=weights,
        rule=rule,
        teacher=draw(st.integers(0, len(objects) - 1)),
        seed=draw(SEEDS),
    )


@st.composite
def probes(draw: Any, objects: list[Any]) -> ProbeRecipe:
    """A probe of anything."""
    number = draw(st.integers(0, len(objects) - 1))
    target = draw(st.sampled_from(["object", "neurons", "input", "weights"]))
    size = getattr(objects[number], "n_neurons", objects[number].size_out)
    return ProbeRecipe(
        target=target,
        number=number,
        part=draw(parts(size)),
        synapse=draw(st.sampled_from([0, 0, 2, 3])),
        sample_every=draw(st.sampled_from([None, None, 0.002, 0.0035])),
    )


@st.composite
def recipes(draw: Any) -> Recipe:
    """A network of up to seven objects, with up to ten connections and five probes."""
    objects = [draw(NODES), draw(ENSEMBLES)]
    objects += draw(st.lists(NODES | ENSEMBLES | ENSEMBLES, min_size=1, max_size=5))
    return Recipe(
        objects=tuple(objects),
        connections=tuple(draw(st.lists(connections(objects), min_size=2, max_size=10))),
        probes=tuple(draw(st.lists(probes(objects), min_size=1, max_size=5))),
        seed=draw(SEEDS),
    )
