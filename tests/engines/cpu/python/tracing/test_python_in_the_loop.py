"""Functions that lie in wait: whatever they do, a simulation gives what Python would give."""

import math
import pickle
import threading

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengo_jit

N_STEPS = 600


def run(make, engine="cpu", n_steps=N_STEPS, trace_first=True, **options):
    """Run what ``make()`` builds; returns all data, what became of functions, and the error."""
    with nengo.Network(seed=0) as net:
        probed = make()
        probes = [nengo.Probe(each, synapse=None) for each in probed]
    error = None
    with nengo_jit.Simulator(net, engine=engine, progress_bar=False, **options) as sim:
        plan = sim.plan if trace_first else None
        try:
            sim.run_steps(n_steps)
        except Exception as caught:
            error = (type(caught), str(caught), getattr(caught, "__notes__", None))
        data = [sim.data[probe] for probe in probes]
        assert sim.n_steps == len(data[0])
        return data, plan or sim.plan, error


def check(make, n_compiled=None, **options):
    """Compare a model with the reference engine; returns what became of the functions."""
    data, plan, error = run(make, **options)
    expected, _, expected_error = run(make, "reference", **options)
    for got, wanted in zip(data, expected):
        assert got.tobytes() == wanted.tobytes()
    assert str(error)[:60] == str(expected_error)[:60]
    if n_compiled is not None:
        assert len(plan.compiled) == n_compiled
    return plan, error


def remarks(plan):
    return sorted(remark for _, remark in (*plan.in_python, *plan.compiled) if remark)


def test_an_array_that_another_node_changes_in_mid_run():
    def make():
        gains = np.array([1.0, 2.0])

        def change(t):
            gains[int(t * 1000) % 2] = np.float64(str(t))  # str: only Python can do that
            return t

        return nengo.Node(change), nengo.Node(lambda t: gains * t), nengo.Node(lambda t: gains[0])

    check(make, n_compiled=2)


def test_an_array_that_a_compiled_node_changes():
    def make():
        shared = np.zeros(3)

        def write(t):
            shared[1] = t
            shared[:] += 0.5
            return shared

        return nengo.Node(write), nengo.Node(lambda t: shared.sum())

    check(make, n_compiled=2)


def test_arrays_that_overlap():
    def make():
        whole = np.zeros(4)
        part = whole[1:3]

        def write(t):
            whole[:] = t
            part[0] += 1
            return whole

        return (nengo.Node(write),)

    plan, _ = check(make, n_compiled=0)
    assert "overlaps" in remarks(plan)[0]


def test_arrays_that_are_given_another_shape():
    def make():
        table = np.arange(4.0)

        def reshape(t):
            if t == 0.3:
                table.shape = (2, 2)
            return 0.0

        return nengo.Node(lambda t: table[1].sum()), nengo.Node(reshape)

    data, _, error = run(make, n_steps=200)
    assert error is None and data[0][-1] == 1.0


GAIN = 1.0


def test_a_global_that_another_node_rebinds_in_mid_run():
    def make():
        global GAIN
        GAIN = 1.0

        def rebind(t):
            global GAIN
            if int(t * 1000) % 50 == 0:
                GAIN = GAIN + 0.5
            return GAIN

        return nengo.Node(rebind), nengo.Node(lambda t: GAIN * t)

    plan, _ = check(make, n_compiled=2)
    assert remarks(plan) == ["assigns to the global `GAIN`"]  # in every fiftieth step


def test_a_variable_around_two_functions():
    def make():
        gain = 1.0

        def rebind(t):
            nonlocal gain
            gain += t
            return gain

        return nengo.Node(lambda t: gain), nengo.Node(rebind), nengo.Node(lambda t: gain * 2)

    check(make, n_compiled=2)


def test_a_variable_that_is_rebound_between_runs():
    gain = 1.0
    with nengo.Network() as net:
        node = nengo.Node(lambda t: gain * 2)
        probe = nengo.Probe(node, synapse=None)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        for _ in range(3):
            sim.run_steps(150)
            gain += 1.0
        assert np.unique(sim.data[probe]).tolist() == [2.0, 4.0, 6.0]
        assert len(sim.plan.compiled) == 1
        gain = [1.0]
        with pytest.raises(SimulationError):
            sim.run_steps(2)
        assert remarks(sim.plan) == ["reads the closure variable `gain`, a list"]


def test_a_function_whose_code_is_replaced():
    def function(t):
        return 1.0

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(function), synapse=None)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(150)
        function.__code__ = (lambda t: 2.0).__code__
        sim.run_steps(150)
        assert np.unique(sim.data[probe]).tolist() == [1.0, 2.0]


def test_variables_that_change_in_every_step_do_not_cost_more_and_more(monkeypatch):
    monkeypatch.setattr("nengo_jit.engines.base.PIECE_SECONDS", 1e9)  # however slow the machine is
    count = 0.0
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: count), synapse=None)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(150)
        for count in np.arange(40.0):
            sim.run_steps(20)
        assert sim.data[probe][150::20, 0].tolist() == list(range(40))
        assert remarks(sim.plan) == ["reads names that are rebound again and again"]


@pytest.mark.parametrize("when", [0.001, 0.05, 0.5])
def test_a_function_that_raises_late(when):
    def make():
        def late(t):
            if t >= when:
                raise RuntimeError("enough")
            return t

        return nengo.Node(lambda t: 2 * t), nengo.Node(late, label="late")

    _, error = check(make)
    assert error[0] is RuntimeError
    notes = "".join(error[2] or [])
    assert "<Node 'late'>" in notes and f"step {round(when * 1000)} " in notes


@pytest.mark.parametrize(
    "late",
    [
        lambda t: [t, 1.0] if t < 0.5 else [t],
        lambda t: [t, 1.0] if t < 0.5 else [t, 1.0, 2.0],
        lambda t: [t, 1.0] if t < 0.5 else None,
        lambda t: [t, 1.0] if t < 0.5 else [[t], [1.0]],
        lambda t: [t, 1.0] if t < 0.5 else "text",
        lambda t: [t, 1.0] if t < 0.5 else [t, None],
        lambda t: [t, 1.0 / (0.5 - t)] if t <= 0.5 else [0, 0],
        lambda t: [t, np.float64(1.0) / (0.5 - t)] if t <= 0.5 else [0, 0],
        lambda t: [t, np.sqrt(0.5 - t)],
        lambda t: [t, np.exp(t * 2000)],
        lambda t: [t, float("inf") if t > 0.5 else 0.0],
    ],
)
def test_a_function_that_returns_something_wrong_late(late):
    _, error = check(lambda: (nengo.Node(late, size_out=2),), n_compiled=1)
    assert error is None or error[0] in (SimulationError, ZeroDivisionError, FloatingPointError)


def test_a_function_that_keeps_its_input():
    kept = []

    def make():
        kept.clear()

        def keep(t, x):
            kept.append(x)
            return kept[0] if len(kept) < 10 else kept[-10]

        stimulus = nengo.Node(lambda t: [t, 2 * t])
        node = nengo.Node(keep, size_in=2)
        nengo.Connection(stimulus, node, synapse=None)
        return (node,)

    check(make, n_compiled=1)
    assert len({id(each) for each in kept}) == N_STEPS + 1  # one call when the node is made


def test_a_function_that_changes_its_input():
    def make():
        def change(t, x):
            x[0] = 100 * t
            x *= 2
            return x

        stimulus = nengo.Node(lambda t: [t, -t])
        node = nengo.Node(change, size_in=2)
        nengo.Connection(stimulus, node, synapse=None)
        return stimulus, node

    check(make, n_compiled=2)


def test_functions_without_a_result_are_called_once_a_step():
    seen = []

    def make():
        seen.clear()
        stimulus = nengo.Node(lambda t: t)
        sink = nengo.Node(lambda t, x: seen.append(x[0]), size_in=1, size_out=0)
        nengo.Connection(stimulus, sink, synapse=None)
        return (stimulus,)

    check(make)
    assert len(seen) == N_STEPS


def test_a_function_is_called_never_while_it_is_decided_on():
    calls = []

    def function(t):
        calls.append(t)
        return t

    with nengo.Network() as net:
        nengo.Node(function, size_out=1)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        assert remarks(sim.plan) and calls == []
        sim.run_steps(3)
    assert len(calls) == 3


def test_functions_of_direct_mode():
    def make():
        stimulus = nengo.Node(lambda t: [np.sin(t), np.cos(t)])
        ensemble = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        product = nengo.Ensemble(1, 1, neuron_type=nengo.Direct())
        nengo.Connection(stimulus, ensemble, synapse=None)
        nengo.Connection(ensemble, product, function=lambda x: x[0] * x[1], synapse=None)
        nengo.Connection(ensemble[1], product, function=np.square, synapse=None)
        return (product,)

    check(make, n_compiled=3)


def test_a_loop_without_an_end_is_not_waited_for():
    def endless(t):
        while t < 0:
            t = t * 1.0
        for _ in range(10**12):
            if t >= 0:
                return t
        return 0.0

    plan, _ = check(lambda: (nengo.Node(endless),))
    assert remarks(plan)


def test_large_arrays():
    def make():
        table = np.linspace(0, 1, 600_000).reshape(-1, 2)
        first = nengo.Node(lambda t: table[int(t * 1000)], size_out=2)  # read where it is
        return first, nengo.Node(lambda t: table[:100].sum() * t)

    plan, _ = check(make, n_compiled=1)
    assert "600000 numbers" in remarks(plan)[0]


def test_underflow_is_left_to_python_if_it_is_an_error():
    def make():
        return (nengo.Node(lambda t: np.exp(-2000.0 * t)),)

    with np.errstate(under="raise"):
        _, error = check(make)
    assert error[0] is FloatingPointError
    check(make, n_compiled=1)


def single_precision_neurons():
    class Leaky(nengo.neurons.NeuronType):
        spiking = True
        state = {"voltage": nengo.dists.Choice([0]), "rest": nengo.dists.Choice([0])}

        def rates(self, x, gain, bias):
            return np.maximum(self.current(x, gain, bias), 0)

        def step(self, dt, J, output, voltage, rest):
            voltage -= (J - voltage) * np.expm1(-dt / 0.02)
            rest[...] = np.tanh(rest + 0.1 * voltage) * (voltage > 0.3) - np.square(J) / 7
            spiked = np.clip(voltage, 0, 1.5) > 1
            output[:] = spiked * (1 / dt)
            voltage[spiked] = 0

    stimulus = nengo.Node(lambda t: np.sin(6 * t))
    shape = {"gain": np.linspace(0.5, 3, 50), "bias": np.linspace(-1, 1, 50)}
    ensemble = nengo.Ensemble(50, 1, neuron_type=Leaky(), **shape)
    nengo.Connection(stimulus, ensemble)
    ensemble.neurons.seed = 0
    return stimulus, nengo.Node(lambda t: 1.0)


SINGLE = [
    lambda t, x: 2 * x,
    lambda t, x: [x[0] * t, x[1] / 3],
    lambda t, x: x * 0.1 + t,
    lambda t, x: np.tanh(x) + np.exp(-x) * np.square(x),
    lambda t, x: [math.sin(x[0]), float(x[1]) ** 3],
    lambda t, x: [np.dot(x, x), np.sum(x) + np.mean(x)],
    lambda t, x: [np.linalg.norm(x), np.max(x) - x.min()],
    lambda t, x: np.outer(x, x).astype(np.float32) @ x,
    lambda t, x: np.where(x > 0.1, x, 0.1),
    lambda t, x: [x[0] > 0.3, x[1] == 0.1],
    lambda t, x: x.astype(float) * 0.1,
    lambda t, x: (np.repeat(x, 50) * 0.1 + t)[[0, 99]],
    lambda t, x: [x[np.argmax(x)], x[0] // 0.3],
    lambda t, x: x**2 + np.maximum(x, 0.2) ** 1.5,
    lambda t, x: np.float32(t) * x * np.float64(0.1),
]


@pytest.mark.parametrize("index", range(len(SINGLE)))
def test_single_precision(index):
    def make():
        stimulus = nengo.Node(lambda t: [np.sin(3 * t), 0.1])
        node = nengo.Node(SINGLE[index], size_in=2)
        nengo.Connection(stimulus, node, synapse=None)
        return stimulus, node

    nengo.rc.set("precision", "bits", "32")
    plan, _ = check(make, n_compiled=2)
    assert not remarks(plan)


def test_neurons_in_single_precision():
    nengo.rc.set("precision", "bits", "32")
    plan, _ = check(single_precision_neurons, n_compiled=3)
    assert not remarks(plan)


def test_numbers_that_single_precision_cannot_represent():
    def make():
        grown = np.array([1e30], np.float32)

        def grow(t):
            grown[...] = grown * 1.3
            return 1.0 / grown[0]

        return nengo.Node(grow), nengo.Node(lambda t: np.array([t]) * 1e39)

    nengo.rc.set("precision", "bits", "32")
    with pytest.warns(RuntimeWarning):
        check(make, n_compiled=2)


def test_short_runs_are_not_traced():
    with nengo.Network() as net:
        nengo.Node(lambda t: t)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(50)
        assert sim._engine.callbacks[0].traced is None
        sim.run_steps(60)
        assert sim._engine.callbacks[0].traced is not None
        sim.reset()
        assert sim._engine.callbacks[0].traced is None


def test_it_can_be_switched_off():
    plan, _ = check(lambda: (nengo.Node(lambda t: t),), compile_python=False, n_compiled=0)
    assert remarks(plan) == ["is not compiled because `compile_python` is off"]


def test_a_report(capsys):
    with nengo.Network() as net:
        nengo.Node(lambda t: t, label="fast")
        nengo.Node(lambda t: print(t), label="slow", size_out=0)
    with nengo_jit.Simulator(net, progress_bar=False, compile_python="report") as sim:
        text = capsys.readouterr().out
        assert "compiled: SimPyFunc" in text and "'<Node 'fast'>'" in text
        assert "'<Node 'slow'>'}: it calls `print`" in text
        assert text.strip() in str(sim.plan)
        other = pickle.loads(pickle.dumps(Pickled(sim)))
        assert other.options.compile_python == "report"


class Pickled:
    """The options of a simulator, without the functions, which cannot be pickled."""

    def __init__(self, sim):
        self.options = sim.__getstate__()["options"]


def test_other_values_are_refused():
    with nengo.Network() as net, pytest.raises(ValidationError, match="'report'"):
        nengo_jit.Simulator(net, compile_python="yes")


def test_signals_are_live_between_steps():
    with nengo.Network() as net:
        node = nengo.Node(lambda t, x: x + 1, size_in=1)
        probe = nengo.Probe(node, synapse=None)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(200)
        signal = sim.model.sig[node]["out"]
        view = sim.signals[signal]
        assert np.shares_memory(view, sim.signals[signal])
        assert view[0] == 1.0
        constant = sim.model.sig[node]["in"]
        sim.signals[constant] = 5.0  # which the next step resets
        sim.step()
        assert view[0] == sim.data[probe][-1, 0] == 1.0


def test_chunks_from_another_thread():
    def make():
        count = np.zeros(1)

        def python(t):
            count[0] += float(str(1))
            return count

        return nengo.Node(lambda t: np.sin(t)), nengo.Node(python), nengo.Node(lambda t: count * 2)

    with nengo.Network(seed=0) as net:
        probes = [nengo.Probe(each, synapse=None) for each in make()]
    with nengo_jit.Simulator(net, progress_bar=False) as sim:

        def work():
            for _ in range(20):
                sim.run_steps(30)

        thread = threading.Thread(target=work)
        thread.start()
        while thread.is_alive():
            for array in list(sim.signals.values()):
                float(np.sum(array))
        thread.join()
        data = [sim.data[probe] for probe in probes]
    expected, _, _ = run(make, "reference")
    for got, wanted in zip(data, expected):
        assert got.tobytes() == wanted.tobytes()


def test_threads_of_the_engine(always_shared):
    def make():
        stimulus = nengo.Node(lambda t: np.sin(t + np.arange(50)))
        node = nengo.Node(lambda t, x: np.tanh(x), size_in=50)
        nengo.Connection(stimulus, node, synapse=None)
        return stimulus, node

    check(make, n_compiled=2, threads=3)


def test_a_name_that_is_rebound_before_a_short_run_after_another_was_in_a_long_one():
    first = second = 1.0

    def rebind(t):
        nonlocal first
        if t > 0.2995:
            first = 2.0
            print(end="")  # what only Python can do
        return first

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: second), synapse=None)
        nengo.Probe(nengo.Node(lambda t: first), synapse=None)
        nengo.Node(rebind)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(300)
        second = 5.0
        sim.step()
        assert sim.data[probe][-1] == 5.0
