"""Tapes are compared with Python: when, what is compared, and what becomes of a difference."""

import logging
import signal

import nengo
import numpy as np
import pytest
from compiling import compiled

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.operator import SimPyFunc
from nengo_jit.builder.signal import Signal, address
from nengo_jit.engines.cpu.language.kernel import routine
from nengo_jit.engines.cpu.language.primitives import FLOAT64, call, float64s, int64s
from nengo_jit.engines.cpu.python import call as field
from nengo_jit.engines.cpu.python import tape_vm, tapes_in_use
from nengo_jit.engines.cpu.python.instructions import WIDTH, Field, Opcode
from nengo_jit.engines.cpu.python.tracing import tracer
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.regions import CHECKED

STAYS = "stays in Python from now on: it "


@pytest.fixture(autouse=True)
def as_often_as_users_have_it(compare_tapes):
    compare_tapes(20, 1000)


class Engine:
    """An engine with one function of time, which counts how often Python is called."""

    def __init__(self, function, size_out=1, before_call=None):
        model = Model()
        self.output = Signal(np.zeros(size_out))
        model.add_op(SimPyFunc(self.output, function, model.time, None))
        self.engine = compiled(model)
        self.engine.reset(0)
        self.plan = self.engine.explain()
        (self.callback,) = self.engine.callbacks
        call = self.callback._kept[field.CALLED]
        self.calls = []  # in which steps

        def counting():
            self.calls.append(self.engine.n_steps + 1)
            if before_call is not None:
                before_call(self)
            return call()

        self.callback.put(field.CALLED, counting)

    def run(self, n_steps):
        self.engine.run(n_steps)
        return self.engine.signals[self.output].tolist()


def even(t):
    return 1.0 if round(t * 1000) % 2 == 0 else t * 2


def late(t):
    return 1.0 if t > 5.0005 else t * 2


def test_the_first_calls_are_compared_and_then_one_in_a_thousand():
    engine = Engine(lambda t: t * 2)
    engine.run(10_500)
    assert engine.calls == [*range(1, 21), *range(1020, 10_500, 1000)]


def test_each_path_is_compared_before_it_is_believed():
    engine = Engine(late)
    engine.run(5100)
    assert engine.calls == [*range(1, 21), 1020, 2020, 3020, 4020, *range(5001, 5021)]


def test_no_thousand_calls_pass_without_a_comparison_and_each_path_has_its_turn():
    engine = Engine(even)
    engine.run(20_000)
    calls = np.array(engine.calls)
    assert calls[:40].tolist() == list(range(1, 41))
    assert np.diff(calls).max() <= 1000
    assert len(calls) < 40 + 2 * 20
    for parity in (0, 1):
        assert np.diff(calls[calls % 2 == parity]).max() <= 2000


def test_runs_one_after_the_other_count_together():
    engine = Engine(lambda t: t * 2)
    for _ in range(300):
        engine.run(7)
    assert engine.calls == [*range(1, 21), 1020, 2020]


def test_runs_of_few_steps_may_call_python(monkeypatch):
    monkeypatch.setattr(tapes_in_use.ShortRuns, "begin", lambda runs: False)
    engine = Engine(lambda t: t * 2)
    for _ in range(100):
        engine.run(3)
    assert len(engine.calls) == 300


def simulate(make, n_steps=300):
    """Data of a model, and the simulator, which is closed."""
    with nengo.Network(seed=0) as net:
        probes = [nengo.Probe(each, synapse=None) for each in make()]
    data = []
    for simulator in (nengo_jit.Simulator, nengo.Simulator):
        with simulator(net, progress_bar=False) as sim:
            if simulator is nengo_jit.Simulator:
                ours = sim
                assert sim.plan.compiled
            sim.run_steps(n_steps)
            if simulator is nengo_jit.Simulator:
                plan = sim.plan
            data.append([np.array(sim.data[probe]) for probe in probes])
    return data, plan, ours


class Halved(nengo.Process):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        memory = np.zeros(shape_out)

        def step(t, x):
            memory[:] = memory * 0.5 + x
            return memory

        return step


class Doubled(nengo.neurons.NeuronType):
    def rates(self, x, gain, bias):
        return 2 * self.current(x, gain, bias)

    def step(self, dt, J, output):
        output[...] = 2 * J


def node():
    return (nengo.Node(lambda t: 2 * t, label="twice"),)


def node_with_input():
    stimulus = nengo.Node(lambda t: np.sin(t))
    doubled = nengo.Node(lambda t, x: [x[0] * t, x[0]], size_in=1)
    nengo.Connection(stimulus, doubled, synapse=None)
    return stimulus, doubled


def process():
    stimulus = nengo.Node(lambda t: np.sin(t))
    halved = nengo.Node(Halved(), size_in=1, size_out=1)
    nengo.Connection(stimulus, halved, synapse=None)
    return (halved,)


def neurons():
    stimulus = nengo.Node(lambda t: np.sin(t))
    gains = {"gain": np.ones(3), "bias": np.zeros(3), "encoders": np.ones((3, 1))}
    ensemble = nengo.Ensemble(3, 1, neuron_type=Doubled(), **gains)
    nengo.Connection(stimulus, ensemble, synapse=None)
    return (ensemble.neurons,)


def direct_mode():
    ensemble = nengo.Ensemble(1, 1, neuron_type=nengo.Direct())
    result = nengo.Node(size_in=1)
    nengo.Connection(nengo.Node(lambda t: np.sin(t)), ensemble, synapse=None)
    nengo.Connection(ensemble, result, function=lambda x: x * 3, synapse=None)
    return (result,)


@pytest.mark.parametrize("make", [node, node_with_input, process, neurons, direct_mode])
def test_what_is_computed_is_what_nengo_computes_if_tapes_are_wrong(make, wrong_tapes, caplog):
    (ours, theirs), plan, sim = simulate(make)
    for got, expected in zip(ours, theirs):
        assert got.tobytes() == expected.tobytes()
    assert STAYS in caplog.text
    assert any("when compiled and" in remark for _, remark in plan.in_python)
    assert all(
        not callback.words[field.TAPE] for callback in sim._engine.callbacks if callback.wrong
    )


def test_the_warning_names_the_function_the_step_and_both_values(wrong_tapes, caplog):
    _, plan, _ = simulate(node)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("nengo_jit.engines.cpu.python.callee", logging.WARNING)
    message = record.getMessage()
    assert "<Node 'twice'>" in message
    assert STAYS + "gave 2.002 when compiled and 0.004 in Python, in step 2." in message
    assert message.endswith("None of its results on this path had been used.")
    ((_, remark),) = plan.in_python
    assert remark == "gave 2.002 when compiled and 0.004 in Python, in step 2"
    assert "it gave 2.002 when compiled" in str(plan)


def test_a_function_stays_in_python_after_a_reset(wrong_tapes, caplog):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: 2 * t))
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        for _ in range(2):
            sim.run_steps(300)
            np.testing.assert_array_equal(sim.data[probe], 2 * sim.trange()[:, None])
            sim.reset()
        assert len(sim.plan.in_python) == 1
    assert len(caplog.records) == 1


GAIN = 1.0


def test_what_has_been_rebound_is_no_fault_of_the_tape(caplog, monkeypatch):
    """As from another thread, of which the run hears nothing."""
    monkeypatch.setitem(globals(), "GAIN", 1.0)

    def rebind(engine):
        if engine.calls[-1] == 1020:
            globals()["GAIN"] = 2.0

    engine = Engine(lambda t: GAIN, before_call=rebind)
    assert engine.run(1019) == [1.0]
    assert engine.run(100) == [2.0]
    assert len(engine.calls) == 120  # Python for the rest of the run
    assert engine.run(100) == [2.0]  # traced anew
    assert len(engine.calls) == 140
    assert not engine.callback.wrong
    assert not caplog.records


def test_a_name_that_is_rebound_for_a_moment_only(monkeypatch):
    monkeypatch.setitem(globals(), "GAIN", 1.0)

    def rebind(engine):
        globals()["GAIN"] = 2.0 if engine.calls[-1] == 1020 else 1.0

    engine = Engine(lambda t: GAIN, before_call=rebind)
    engine.run(1100)
    globals()["GAIN"] = 1.0
    n_calls = len(engine.calls)
    assert engine.run(1000) == [1.0]
    assert len(engine.calls) < n_calls + 30  # a tape again


def test_arrays_that_only_python_writes_to_are_compared(caplog):
    gains = np.array([1.0, 2.0])

    def write(engine):
        gains[1] = 3.0 if engine.calls[-1] == 5 else gains[1]

    engine = Engine(lambda t: gains[0] * t, before_call=write)
    engine.run(10)
    assert engine.callback.wrong == "gave 2.0 when compiled and 3.0 in Python, in step 5"
    assert gains.tolist() == [1.0, 3.0]  # what Python has written stays
    assert len(engine.calls) == 10


@pytest.mark.skipif(CHECKED, reason="arrays are held")
def test_memory_that_is_moved_meanwhile_is_not_looked_at():
    gains = np.array([1.0, 2.0])

    def move(engine):
        if engine.calls[-1] == 5:
            gains.resize(1000, refcheck=False)

    engine = Engine(lambda t: gains[1] * t, before_call=move)
    assert engine.run(50) == [2.0 * 0.05]
    assert len(engine.calls) == 50
    assert not engine.callback.wrong
    assert engine.run(150) == [2.0 * 0.2]
    assert len(engine.calls) == 70


@routine(exact=True)
def perform_and_write(memory, tape):
    """Perform a tape, and write to an array every other time, as another thread might.

    The end of the tape's head has the address of: that of `perform`, that of the array, a count.
    """
    row = int64s(int64s(tape, WIDTH)[WIDTH - 1], 3)
    done = call(row[0], tape)
    row[2] += 1
    float64s(row[1], 1)[0] += row[2] % 2
    return done


def test_other_threads_may_write_what_a_tape_reads_before_python_has_the_gil():
    gains = np.ones(2)
    engine = Engine(lambda t: gains[0] * t)
    perform = address_of(tape_vm.perform, FLOAT64)
    row = np.array([perform, address(gains), 0])
    engine.callback.traced.tape.code[0, WIDTH - 1] = address(row)
    engine.callback.words[field.PERFORM] = address_of(perform_and_write, FLOAT64)
    engine.run(20)
    assert not engine.callback.wrong
    assert row[2] == 40
    assert gains[0] == 21.0


@pytest.mark.parametrize("n_bytes, is_compared", [(1 << 20, True), (1 << 21, False)])
def test_large_tables_are_not_copied(n_bytes, is_compared):
    table = np.zeros(n_bytes // 8)

    def write(engine):
        table[1] = engine.calls[-1]

    engine = Engine(lambda t: table[int(t * 1000) % 7 + 2], before_call=write)
    engine.run(30)
    assert bool(engine.callback.wrong) == is_compared


def test_views_along_different_paths_do_not_disturb_each_other():
    whole = np.zeros(6)
    part = whole[2:4]

    def function(t):
        if round(t * 1000) % 2:
            whole[:] = whole + t
            return whole[3]
        part[:] = part - t
        return part[0]

    engine = Engine(function)
    engine.run(200)
    assert engine.plan.compiled
    assert not engine.callback.wrong


def test_python_raises_where_the_tape_has_a_value(wrong_tapes, caplog):
    engine = Engine(lambda t: 1 / (2 * t - 0.002))
    with pytest.raises(ZeroDivisionError):
        engine.run(10)
    assert engine.engine.n_steps == 0
    assert "Python raised ZeroDivisionError('float division by zero'), in step 1" in (
        engine.callback.wrong
    )
    assert STAYS in caplog.text
    with pytest.raises(ZeroDivisionError):
        engine.run(10)


def test_ctrl_c_while_python_is_called_for_a_comparison(ctrl_c, caplog):
    def interrupt(engine):
        if len(engine.calls) == 7:
            signal.raise_signal(signal.SIGINT)

    engine = Engine(lambda t: t * 2, before_call=interrupt)
    with pytest.raises(KeyboardInterrupt):
        engine.run(10)
    assert engine.engine.n_steps == 6
    assert engine.run(100) == [2 * 0.106]
    assert engine.calls == [*range(1, 8), *range(7, 21)]  # the seventh is compared again
    assert not engine.callback.wrong
    assert not caplog.records


def test_an_error_after_a_comparison_says_nothing_about_it():
    def stop(engine):
        if engine.calls[-1] == 5:
            raise KeyboardInterrupt

    engine = Engine(lambda t: t * 2 if t < 0.0085 else 1 / (t * 0.0), before_call=stop)
    with pytest.raises(KeyboardInterrupt):
        engine.run(20)
    stop.__code__ = (lambda engine: None).__code__
    with pytest.raises(ZeroDivisionError):
        engine.run(20)
    assert engine.engine.n_steps == 8
    assert not engine.callback.wrong


def test_a_path_is_the_same_for_tapes_that_are_long():
    state = np.zeros(3)

    def function(t):
        for i in range(3):
            if state[i] * t < 0.1:
                state[i] += 0.25 * (i + 1)
            else:
                state[i] = 0.0
        return state.sum()

    engine = Engine(function)
    engine.run(2000)
    assert not engine.callback.wrong
    commits = engine.callback.traced.tape.code[:, Field.OPCODE] == Opcode.COMMIT
    assert 1 < commits.sum() <= 8 < tracer.MOST_PATHS
