"""Random networks whose Python code notes in which order it is called, which must be nengo's.

A network has six callers: functions of nodes and connections, processes, synapses, neuron types,
what draws random numbers for formulas, operators of third parties, and parts of nengo's processes
that are written in Python. Each adds
its number to one list, or only changes one number that they all share, in a way that depends on
their order; those may be performed as tapes. Some networks have two callers that raise in the same
step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import nengo
import nengo.builder
import numpy as np
from nengo.builder.operator import Operator
from sharing import sharing

import nengo_jit
from nengo_jit.neurons import Formula, register
from nengo_jit.scalar import maximum

Call = Callable[[], float]
Maker = Callable[[np.random.RandomState, Call], Any]

N_CALLERS = 6
PARTS = (5, 125)  # steps; before the second part functions are traced
SIMULATORS: dict[str, Callable[[nengo.Network], Any]] = {
    "nengo": lambda network: nengo.Simulator(network, optimize=False),
    "reference": lambda network: nengo_jit.Simulator(network, engine="reference"),
    "one thread": lambda network: nengo_jit.Simulator(network, engine="cpu", threads=1),
    "two threads": lambda network: nengo_jit.Simulator(network, engine="cpu", threads=2),
    "jax": lambda network: nengo_jit.Simulator(network, engine="jax"),
}
ROUNDED = {"jax"}  # computes up to rounding, and takes long to compile
EXACT = [name for name in SIMULATORS if name not in ROUNDED]


class CallError(Exception):
    """What callers raise; it has the number of the caller."""


@dataclass
class Shared:
    """What the callers of a network share.

    Attributes
    ----------
    calls : list of int
        Who was called, in this order.
    number : (1,) numpy.ndarray
        What every caller changes.
    is_built : bool
        Whether callers may fail.
    """

    calls: list[int] = field(default_factory=list)
    number: np.ndarray = field(default_factory=lambda: np.zeros(1))
    is_built: bool = False

    def begin(self) -> None:
        """Forget what building has called."""
        self.calls.clear()
        self.number[:] = 0.0
        self.is_built = True

    def caller(self, own: int, is_noted: bool, fails_at: int) -> Call:
        """A function for the caller of a number.

        Parameters
        ----------
        own : int
            The number.
        is_noted : bool
            Whether the list of calls is written to, or the shared number only.
        fails_at : int
            The call that raises; zero for none.
        """
        calls, number = self.calls, self.number

        def change() -> float:
            number[0] = 0.5 * number[0] + own
            return number[0]

        def note() -> float:
            calls.append(own)
            if self.is_built and calls.count(own) == fails_at:
                raise CallError(own)
            return change()

        return note if is_noted or fails_at else change


class Process(nengo.Process):
    """A process that calls a caller."""

    def __init__(self, call: Call, size_in: int = 0):
        self.call = call
        super().__init__(default_size_in=size_in, default_size_out=1)

    def make_step(self, shape_in, shape_out, dt, rng, state):
        call = self.call
        if shape_in == (0,):
            return lambda t: call()
        return lambda t, x: call()


class Synapse(nengo.synapses.Synapse):
    """A synapse that calls a caller."""

    def __init__(self, call: Call):
        self.call = call
        super().__init__()

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        call = self.call
        return lambda t, x: call()


class Dist(nengo.dists.Uniform):
    """A distribution that calls a caller: nengo's noise has a kernel, but not with this."""

    def __init__(self, call: Call):
        super().__init__(-1, 1)
        self.call = call

    def sample(self, n, d=None, rng=np.random):
        return np.full((n, d or 1), self.call())


class OfThirdParty(nengo.Process):
    """A process that a third party's operator carries out."""

    def __init__(self, call: Call, size_in: int = 0):
        self.call = call
        super().__init__(default_size_in=size_in, default_size_out=1)


class CallOperator(Operator):
    """The operator for that."""

    def __init__(self, call, sig_in, sig_out):
        super().__init__()
        self.call = call
        self.sets, self.incs, self.updates = [sig_out], [], []
        self.reads = [] if sig_in is None else [sig_in]

    def make_step(self, signals, dt, rng):
        call, output = self.call, signals[self.sets[0]]

        def step():
            output[...] = call()

        return step


@nengo.builder.Builder.register(OfThirdParty)
def build_of_third_party(model, process, sig_in=None, sig_out=None, mode="set"):
    assert mode == "set"
    if sig_out is None:
        sig_out = nengo.builder.Signal(shape=1)
    model.add_op(CallOperator(process.call, sig_in, sig_out))
    return sig_out


def _function(rng: np.random.RandomState, call: Call) -> nengo.Node:
    way = rng.randint(4)
    if way == 0:
        return nengo.Node(lambda t, x: (call(), None)[1], size_in=1)
    if way == 1:
        return nengo.Node(lambda t, x: call(), size_in=1, size_out=1)
    return nengo.Node(lambda t: call(), size_out=1)


def _mapping(rng: np.random.RandomState, call: Call) -> nengo.Node:
    """A node that passes on what a connection's function gives."""
    node = nengo.Node(size_in=1)
    synapse = (None, 0.005)[rng.randint(2)]
    nengo.Connection(nengo.Node(np.sin), node, function=lambda x: call(), synapse=synapse)
    return node


def _process(rng: np.random.RandomState, call: Call) -> nengo.Node:
    return nengo.Node(Process(call, size_in=rng.randint(2)))


def _synapse(rng: np.random.RandomState, call: Call) -> nengo.Node:
    """A node that passes on what the synapse gives; its input comes from itself."""
    node = nengo.Node(size_in=1)
    if rng.randint(3) == 0:
        nengo.Probe(node, synapse=Synapse(call))
    else:
        nengo.Connection(node, node, synapse=Synapse(call))
    return node


def _neurons(rng: np.random.RandomState, call: Call) -> nengo.Ensemble:
    class Neurons(nengo.RectifiedLinear):
        def step(self, dt, J, output):
            call()
            output[...] = np.maximum(0.0, J)

        def rates(self, x, gain, bias):
            return nengo.RectifiedLinear().rates(x, gain, bias)

    return nengo.Ensemble(rng.randint(1, 5), 1, neuron_type=Neurons())


class Drawing(nengo.RectifiedLinear):
    """Neurons whose random numbers a caller draws; the rest has a kernel."""

    def __init__(self, call: Call):
        super().__init__()
        self.call = call

    def make_state(self, n_neurons, rng=np.random, dtype=None):
        return {"rng": Caller(self.call)}

    def step(self, dt, J, output, rng):
        output[...] = np.maximum(0.0, J) + rng.call()

    def rates(self, x, gain, bias):
        return nengo.RectifiedLinear().rates(x, gain, bias)


class Caller(np.random.RandomState):
    """A generator that has a caller with it."""

    def __init__(self, call: Call):
        super().__init__(0)
        self.call = call


register(
    Formula(
        name="drawing",
        neuron_type=Drawing,
        step=lambda J, drawn, dt: (maximum(0.0, J) + drawn,),
        random=lambda rng, J, dt: rng.call(),
    )
)


def _drawing(rng: np.random.RandomState, call: Call) -> nengo.Ensemble:
    return nengo.Ensemble(rng.randint(1, 5), 1, neuron_type=Drawing(call))


def _operator(rng: np.random.RandomState, call: Call) -> nengo.Node:
    return nengo.Node(OfThirdParty(call, size_in=rng.randint(2)))


def _part(rng: np.random.RandomState, call: Call) -> nengo.Node:
    """Only when it is lowered turns out that this calls Python."""
    if rng.randint(2):
        return nengo.Node(nengo.processes.Piecewise({0.001: lambda t: call(), 0.05: 1.0}))
    return nengo.Node(nengo.processes.WhiteNoise(Dist(call), seed=1), size_out=1)


KINDS: dict[str, Maker] = {
    "function": _function,
    "mapping": _mapping,
    "process": _process,
    "synapse": _synapse,
    "neurons": _neurons,
    "drawing": _drawing,
    "operator": _operator,
    "part": _part,
}


@dataclass(frozen=True)
class Case:
    """A network to build.

    Attributes
    ----------
    seed : int
        Of all that is random.
    kinds : tuple of str
        Of each caller, see `KINDS`.
    with_ensembles : bool
        Whether there are ensembles and nodes that call nothing.
    """

    seed: int
    kinds: tuple[str, ...]
    with_ensembles: bool

    def build(self) -> tuple[nengo.Network, Shared]:
        """The network, with probes, and what its callers share."""
        rng, shared = np.random.RandomState(self.seed), Shared()
        fails_at = [0] * N_CALLERS
        if rng.randint(4) == 0:
            for caller in rng.choice(N_CALLERS, 2, replace=False):
                fails_at[caller] = 3
        noted = rng.choice([0.0, 0.5, 1.0])
        with nengo.Network(seed=self.seed) as network:
            network.config[nengo.Connection].synapse = 0.005
            parts: list[Any] = [
                (KINDS[kind], shared.caller(number, rng.rand() < noted, fails_at[number]))
                for number, kind in enumerate(self.kinds)
            ]
            if self.with_ensembles:
                parts += [_ensemble] * rng.randint(1, 3) + [_passthrough] * rng.randint(3)
            made = [
                part(rng) if callable(part) else part[0](rng, part[1])
                for part in (parts[i] for i in rng.permutation(len(parts)))
            ]
            for each in made:
                if each.size_out:
                    nengo.Probe(each)
            self._connect(rng, [made[i] for i in rng.permutation(len(made))])
        return network, shared

    @staticmethod
    def _connect(rng: np.random.RandomState, made: list[Any]) -> None:
        """Connect some of the network's parts; without a synapse from former to later ones."""
        for number, post in enumerate(made):
            for _ in range(rng.randint(3) if post.size_in else 0):
                pre = rng.randint(len(made))
                way = rng.randint(3) if pre < number else rng.randint(2)
                synapse = (0.005, nengo.Alpha(0.01), None)[way]
                if made[pre].size_out:
                    nengo.Connection(made[pre], post, synapse=synapse)


def _ensemble(rng: np.random.RandomState) -> nengo.Ensemble:
    return nengo.Ensemble(rng.randint(1, 20), 1)


def _passthrough(rng: np.random.RandomState) -> nengo.Node:
    return nengo.Node(size_in=1)


def draw(seed: int) -> Case:
    """The case of a seed: all kinds of callers in turn, then mixed, with and without ensembles."""
    names = list(KINDS)
    others, number = divmod(seed, len(names) + 1)
    if number < len(names):
        return Case(seed, (names[number],) * N_CALLERS, others % 2 == 1)
    mixed = np.random.RandomState(seed).choice(names, N_CALLERS)
    return Case(seed, tuple(map(str, mixed)), others % 2 == 1)


def outcome(case: Case, name: str) -> dict[str, Any]:
    """What is called and changed while a case runs on a simulator, and what that raises."""
    network, shared = case.build()
    raised = None
    with sharing(), SIMULATORS[name](network) as sim:
        shared.begin()
        try:
            for n_steps in PARTS:
                sim.run_steps(n_steps)
        except CallError as error:
            raised = error.args[0]
        recorded = [sim.data[probe].tolist() for probe in network.all_probes if _is_exact(probe)]
    return {
        "calls": list(shared.calls),
        "number": shared.number.item(),
        "raised by": raised,
        "recorded": recorded,
    }


def _is_exact(probe: nengo.Probe) -> bool:
    """Whether a probe records what one caller returns, and not what decoders make of it."""
    output = getattr(probe.target, "output", None)
    return callable(output) or isinstance(output, nengo.Process)


def check(case: Case, names: Sequence[str] = EXACT) -> None:
    """Run a case on some simulators; raises an AssertionError if anything differs from nengo's."""
    expected = outcome(case, "nengo")
    for name in names:
        found = outcome(case, name)
        for what, value in expected.items():
            if what == "recorded" and name in ROUNDED:
                for ours, theirs in zip(found[what], value, strict=True):
                    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
                continue
            assert found[what] == value, f"{what} on {name}: {difference(found[what], value)}"


def difference(found: Any, expected: Any) -> str:
    """Say where two lists, or other things, begin to differ."""
    if isinstance(expected, list):
        for place, (one, other) in enumerate(zip(found, expected)):
            if one != other:
                return f"at {place}, {difference(one, other)}"
        return f"{len(found)} in place of {len(expected)}"
    return f"{found} in place of {expected}"
