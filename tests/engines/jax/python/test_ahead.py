"""What is called ahead of its step on the JAX engine: nobody can tell."""

import nengo
import numpy as np
import pytest

from nengo_jit import Simulator
from nengo_jit.engines.base import Engine
from nengo_jit.engines.jax.python.placing import OF_SIMULATOR

GAIN = 1.0


def simulate(make, engine, n_steps, change=lambda: None):
    """Run a network in pieces.

    ``make`` returns a network, and a list that its functions append to, or None. After each piece,
    ``change`` is called.

    Returns
    -------
    list
        The samples of each probe.
    list
        The list from ``make``, after all.
    list
        After each piece: the number of steps, and the error with its notes.
    """
    net, log = make()
    happened = []
    with Simulator(net, engine=engine, progress_bar=False) as sim:
        for n in n_steps:
            error = None
            try:
                sim.run_steps(n)
            except BaseException as raised:
                error = raised
            notes = [type(error), str(error), *getattr(error, "__notes__", [])]
            happened.append((sim.n_steps, notes))
            change()
        return [sim.data[probe] for probe in net.all_probes], log, happened


def assert_same(make, n_steps=(50,), change=lambda: None):
    ours, theirs = (simulate(make, engine, n_steps, change) for engine in ("jax", "reference"))
    for mine, expected in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-12, atol=1e-15)
    assert ours[1] == theirs[1]
    assert ours[2] == theirs[2]
    return ours


def nodes(*functions, size_in=0):
    """Unconnected nodes with probes, and white noise, whose numbers must not be skipped."""
    with nengo.Network(seed=2) as net:
        for i, function in enumerate(functions):
            nengo.Probe(nengo.Node(function, size_out=1, label=f"node {i}"))
        nengo.Probe(nengo.Node(nengo.processes.WhiteNoise(seed=5), size_out=2))
    return net


def raises(t):
    if t > 0.0295:
        raise KeyError("too late")
    return t


def divides(t):
    return 1.0 / (round(1000 * t) - 30)


def interrupts(t):
    if t > 0.0295:
        raise KeyboardInterrupt
    return t


@pytest.mark.parametrize("function", [raises, divides, interrupts])
def test_errors_end_a_run_in_their_step(function):
    net = nodes(lambda t: np.sin(t), function, np.cos)
    samples, _, happened = assert_same(lambda: (net, None), (50, 5, 5))
    assert [n for n, _ in happened] == [29, 29, 29]
    assert "node 1" in happened[0][1][-1]
    assert {len(each) for each in samples} == {29}


def test_an_error_in_step_700():
    def late(t):
        return t if t < 0.6995 else [t, t]

    _, _, happened = assert_same(lambda: (nodes(late), None), (2000,))
    assert happened[0][0] == 699


def test_what_a_function_does_after_an_error_is_done_once():
    def make():
        log = []

        def handles(t):
            try:
                return 1.0 / (round(1000 * t) - 30)
            except ZeroDivisionError:
                log.append(round(1000 * t))
                return 7.0

        return nodes(handles, raises), log

    assert_same(make, (10, 15, 50, 3))


@pytest.mark.parametrize("period", [1, 7])
def test_functions_with_side_effects_are_called_once_a_step(period):
    def make():
        log = []

        def appends(t):
            if round(1000 * t) % period == 0:
                log.append(t)
            return t

        return nodes(appends, raises), log

    assert_same(make, (10, 50))


def test_generators():
    def make():
        numbers = (i**2 for i in range(40))
        return nodes(lambda t: next(numbers), np.sin), None

    _, _, happened = assert_same(make, (10, 50))
    assert [n for n, _ in happened] == [10, 40]


@pytest.mark.parametrize("is_first", [True, False])
def test_names_that_another_function_rebinds(monkeypatch, is_first):
    monkeypatch.setitem(globals(), "GAIN", 1.0)

    def make():
        globals()["GAIN"] = 1.0

        def rebinds(t):
            global GAIN
            if round(1000 * t) == 20:
                GAIN = 3.0
            return t

        def reads(t):
            return GAIN * t

        def reads_x(t):
            return GAIN * np.sin(t)

        functions = [reads, reads_x]
        functions.insert(0 if is_first else 2, rebinds)
        return nodes(*functions), None

    assert_same(make, (50, 10))


def test_changes_between_runs(monkeypatch):
    factor = np.ones(1)

    def change():
        globals()["GAIN"] += 1.0
        factor[...] += 1

    def make():
        monkeypatch.setitem(globals(), "GAIN", 1.0)
        factor[...] = 1
        return nodes(lambda t: GAIN * t, lambda t: factor * t, raises), None

    samples, _, _ = assert_same(make, (3, 3, 3, 40, 1), change)
    assert np.allclose(samples[0][:6, 0], [0.001, 0.002, 0.003, 0.008, 0.010, 0.012])


class Process(nengo.Process):
    """Draws numbers, and does something else, too."""

    def __init__(self, also):
        super().__init__(default_size_in=0, default_size_out=1, seed=3)
        self.also = also

    def __repr__(self):
        return "Process()"

    def make_step(self, shape_in, shape_out, dt, rng, state):
        also = self.also

        def step(t):
            also(t)
            return rng.normal(size=shape_out)

        return step


@pytest.mark.parametrize("other", [np.sin, raises, divides, interrupts])
@pytest.mark.parametrize("is_first", [True, False])
def test_processes_and_functions_that_raise(other, is_first):
    def make():
        log = []
        functions = [Process(log.append), other]
        return nodes(*(functions if is_first else reversed(functions))), log

    assert_same(make, (10, 50))


def test_processes_that_raise():
    def make():
        log = []

        def also(t):
            log.append(t)
            if len(log) == 30:
                raise KeyboardInterrupt

        return nodes(np.sin, Process(also), np.cos), log

    _, _, happened = assert_same(make, (50, 5))
    assert [n for n, _ in happened] == [29, 34]


def test_processes_that_look_at_the_simulator():
    def run(engine):
        seen = []
        with nodes(Process(lambda t: seen.append((sim.n_steps, len(sim.data[probe]))))) as net:
            probe = nengo.Probe(nengo.Node(np.sin))
        with Simulator(net, engine=engine, progress_bar=False) as sim:
            sim.run_steps(20)
        return seen

    assert run("jax") == run("reference") == [(i, i) for i in range(20)]


def test_the_names_that_code_with_a_simulator_has():
    """All but what never changes in a run."""
    constant = {"batch", "dg", "dt", "ours", "plan", "rng", "seeds", "step_order"}
    public = {name for each in (Simulator, Engine) for name in dir(each) if name[0] != "_"}
    assert public - OF_SIMULATOR == constant


def test_processes_that_rebind_what_a_function_on_the_device_reads():
    def make():
        gain = 1.0

        def also(t):
            nonlocal gain
            gain = 1.0 if t < 0.0195 else 3.0

        with nengo.Network(seed=2) as net:
            source = nengo.Node(Process(also))
            node = nengo.Node(lambda t, x: gain * x, size_in=1)
            nengo.Connection(source, node, synapse=0.01)
            nengo.Probe(node)
        return net, None

    assert_same(make, (50, 10))


@pytest.mark.parametrize("neurons", [nengo.LIF(), nengo.StochasticSpiking(nengo.LIFRate())])
def test_a_state_that_is_taken_after_an_error(neurons):
    """Generators are in their states after the last complete step; more was drawn ahead."""
    is_broken = True

    def breaks(t):
        if t > 0.0295 and is_broken:
            raise KeyError("too late")
        return t

    with nodes(breaks) as net:
        ensemble = nengo.Ensemble(10, 1, neuron_type=neurons, seed=1)
        nengo.Probe(ensemble.neurons)
    samples = []
    for engine in ("jax", "reference"):
        is_broken = True
        with Simulator(net, engine=engine, progress_bar=False) as sim:
            sim.run_steps(3)
            with pytest.raises(KeyError):
                sim.run_steps(50)
            state = sim.state()
            is_broken = False
            sim.run_steps(20)
            sim.load_state(state)
            sim.run_steps(20)
            samples.append([sim.data[probe].copy() for probe in net.all_probes])
    for mine, expected in zip(*samples, strict=True):
        assert mine.shape == expected.shape
        np.testing.assert_allclose(mine, expected, rtol=1e-12)
