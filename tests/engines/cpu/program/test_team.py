"""Teams of threads: a run is whole or has not begun, whatever happens meanwhile."""

import _thread
import os
import sys
import threading
import time
from pathlib import Path

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_jit
from nengo_jit.builder.learning_rules import SimPES
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Operator
from nengo_jit.builder.signal import Signal, address
from nengo_jit.engines.cpu import engine
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.engines.cpu.language.columns import Own
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import FLOAT64, PAUSED, Memory, int64s
from nengo_jit.engines.cpu.program import pace, program, team
from nengo_jit.engines.cpu.program.copying import copy_bytes
from nengo_jit.engines.cpu.program.lowering import LOWERINGS
from nengo_jit.engines.cpu.program.program import Executable
from nengo_jit.engines.cpu.program.schedule import Batch
from nengo_jit.engines.cpu.program.team import IS_LAST, LEADS, TEAM, wait_for_all
from nengo_jit.engines.cpu.python import callbacks, tapes_in_use

N_STEPS = 12


def network(function=lambda t: np.sin(20 * t)):
    """Python, learning, random numbers and neurons, in levels that threads can share."""
    with nengo.Network(seed=1) as net:
        stimulus = nengo.Node(function, size_out=1)
        array = nengo.networks.EnsembleArray(20, 8)
        poisson = nengo.Ensemble(10, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        noise = nengo.Node(nengo.processes.WhiteNoise(), size_out=1)
        nengo.Connection(stimulus, array.input, transform=np.ones((8, 1)))
        nengo.Connection(noise, poisson)
        target = nengo.Node(lambda t, x: x + 0.1 * t, size_in=1)
        learned = nengo.Connection(
            array.ea_ensembles[0], target, learning_rule_type=nengo.PES(1e-3)
        )
        nengo.Connection(target, learned.learning_rule)
        net.probes_ = [
            nengo.Probe(array.output),
            nengo.Probe(array.ea_ensembles[0].neurons),
            nengo.Probe(poisson.neurons),
            nengo.Probe(target),
            nengo.Probe(learned, "weights", sample_every=0.003),
        ]
    return net


def data_of(sim):
    return [sim.data[probe].tobytes() for probe in sim.model.probes]


def simulator(net, threads=3, **options):
    options = {"engine": "cpu", "progress_bar": False, "seed": 4, **options}
    return nengo_jit.Simulator(net, threads=threads, **options)


@pytest.fixture(scope="module")
def expected():
    with simulator(network(), threads=1) as sim:
        sim.run_steps(N_STEPS)
        return data_of(sim)


def test_what_threads_share_is_what_one_thread_computes(expected, always_shared):
    with simulator(network()) as sim:
        assert sim._engine._programs.later.shared.n_threads == 3
        sim.run_steps(N_STEPS)
        assert data_of(sim) == expected


def test_simulators_run_side_by_side(expected, always_shared):
    results = {}

    def run(number):
        with simulator(network()) as sim:
            for _ in range(N_STEPS):
                sim.run_steps(1)
            results[number] = data_of(sim)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number] for number in range(4)] == [expected] * 4


@kernel()
def fail_at(memory: Memory, step: int, counter: Own) -> int:
    """Count steps; fail in one of them."""
    count = int64s(counter, 1)
    count[0] += 1
    return 7 if count[0] == step else 0


def barrier(role):
    return Batch(wait_for_all, [wait_for_all.row(n_threads=2, team=TEAM.address, role=role)])


def crew_of_two(counters, barriers, undo=()):
    """Two threads that count steps, of which one may fail in a step."""
    parts = []
    for number, (counter, fails_at) in enumerate(counters):
        role = LEADS if number == 0 else 0
        parts.append(
            [
                Batch(fail_at, [fail_at.row(step=fails_at, counter=address(counter))]),
                *[barrier(role)] * barriers,
                barrier(role | IS_LAST),
            ]
        )
    return Executable(parts, FLOAT64, np.zeros(2, np.int64), undo)


def run_when_ready(crew, n_steps, patience=1 << 62):
    while not TEAM.is_ready(2):
        pass
    return crew.run(n_steps, patience=patience)


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("barriers", [0, 1, 5])
def test_a_kernel_that_fails_in_any_thread_ends_the_run(failing, barriers):
    counters = [np.zeros(2, np.int64) for _ in range(2)]
    crew = crew_of_two([(c, 5 if i == failing else 0) for i, c in enumerate(counters)], barriers)
    assert run_when_ready(crew, 100) > 0
    assert crew.n_done == 4
    assert "'fail_at' has failed with status 7" in crew.why_it_failed()
    assert [counter[0] for counter in counters] == [5, 5]
    assert run_when_ready(crew, 100) == 0  # the team works on
    assert [counter[0] for counter in counters] == [105, 105]


def test_what_a_failed_step_has_written_is_put_back_by_the_run_itself():
    value, saved = np.array([1.0]), np.array([2.0])
    counters = [np.zeros(2, np.int64) for _ in range(2)]
    undo = [copy_bytes.row(src=address(saved), dst=address(value), n_bytes=8)]
    crew = crew_of_two([(counters[0], 3), (counters[1], 0)], 1, undo)
    assert run_when_ready(crew, 2) == 0
    assert value[0] == 1.0
    assert run_when_ready(crew, 2) > 0
    assert value[0] == 2.0


def test_a_run_that_waits_too_long_pauses_after_a_whole_step():
    counters = [np.zeros(2, np.int64) for _ in range(2)]
    crew = crew_of_two([(counter, 0) for counter in counters], 1)
    left = 300
    while left:
        status = run_when_ready(crew, left, patience=-1)
        assert status == PAUSED
        assert crew.n_done == 1
        left -= 1
    assert [counter[0] for counter in counters] == [300, 300]


def test_where_no_thread_can_be_started_one_does_everything(expected, monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    fresh = team.Team()
    monkeypatch.setattr(program, "TEAM", fresh)
    monkeypatch.setattr("nengo_jit.engines.cpu.program.schedule.WORTHWHILE", 0.0)
    monkeypatch.setattr(pace, "BRIEF", 0.0)
    monkeypatch.setattr(pace, "LONG_ENOUGH", 0.0)
    monkeypatch.setattr(pace, "SAMPLE", 0.0)
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    tried = []
    monkeypatch.setattr(
        pace.Pace, "give_up", lambda self, give_up=pace.Pace.give_up: tried.append(give_up(self))
    )
    with simulator(network()) as sim:
        sim.run_steps(N_STEPS)
        assert data_of(sim) == expected
    assert tried


def test_threads_sleep_while_python_runs(always_shared):
    seen = []

    def wait_until_all_sleep(t):
        while TEAM._memory[team.SLEEPERS // 8] < 2:
            time.sleep(0.001)
        seen.append(t)
        return 0.5

    with simulator(network(wait_until_all_sleep), threads=3) as sim:
        sim.run_steps(5)
    assert len(seen) == 5


class Counter(Operator):
    """An operator whose kernel fails in a step."""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_kernel_that_fails_is_an_error_until_the_simulator_is_reset(
    threads, always_shared, monkeypatch
):
    counter = np.zeros(2, np.int64)
    lowered = [fail_at.row(step=6, counter=address(counter))]
    monkeypatch.setitem(LOWERINGS, Counter, lambda operator, lowering: lowered)
    model = nengo_jit.builder.Model()
    model.add_op(Counter("fails", sets=[Signal(np.zeros(1))], incs=[], reads=[], updates=[]))
    with simulator(network(), threads, model=model) as sim:
        with pytest.raises(SimulationError, match=r"'fail_at' has failed with status 7.* step 6"):
            sim.run_steps(20)
        assert sim.n_steps == 5
        with pytest.raises(SimulationError, match="fail_at"):
            sim.step()
        sim.reset()
        sim.run_steps(5)
        assert sim.n_steps == 5


def forks(t):
    if abs(t - 0.005) < 1e-9:
        child = os.fork()
        if child == 0:
            return 0.5
        forks.children.append(child)
    return 0.5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_run_ends_in_the_child_with_an_error(always_shared):
    forks.children = []
    parent = os.getpid()
    with simulator(network(forks)) as sim:
        try:
            sim.run_steps(N_STEPS)
        except SimulationError as error:
            is_child = os.getpid() != parent
            os._exit(42 if is_child and "fork" in str(error) else 43)
        finally:
            if os.getpid() != parent:
                os._exit(44)
        assert sim.n_steps == N_STEPS
    (child,) = forks.children
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(expected, always_shared):
    with simulator(network()) as sim:
        sim.run_steps(N_STEPS // 2)
        child = os.fork()
        sim.run_steps(N_STEPS // 2)
        is_right = data_of(sim) == expected
        if child == 0:
            os._exit(0 if is_right else 1)
    assert is_right
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class InterruptAt:
    """Raises KeyboardInterrupt at the n-th opcode that runs in some files."""

    def __init__(self, number, modules):
        self.number, self.count = number, 0
        self.files = {Path(module.__file__).as_posix() for module in modules}

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename not in self.files:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.count_opcodes

    def count_opcodes(self, frame, event, argument):
        if event == "opcode":
            self.count += 1
            if self.count == self.number:
                raise KeyboardInterrupt
        return self.count_opcodes


def interrupted_at(sim, n_steps, number):
    """Run with an interrupt at an opcode; tells whether there was one."""
    tracer = InterruptAt(number, [callbacks, tapes_in_use, engine, pace, program, team])
    sys._getframe().f_trace_opcodes = True  # before, or Python 3.12.1 shows no opcodes
    sys.settrace(tracer)
    try:
        sim._engine.run(n_steps)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return tracer.count >= number


def test_a_run_can_be_interrupted_anywhere(expected, always_shared, monkeypatch):
    monkeypatch.setattr(tapes_in_use, "calls_are_observed", lambda: False)  # by what interrupts
    monkeypatch.setattr(tapes_in_use, "WORTH_TRACING", 0)
    monkeypatch.setattr(tapes_in_use, "WORTH_CHECKING", 0)
    number, is_over = 0, False
    with simulator(network(), threads=2) as sim:
        neurons = [op for op in sim.step_order if isinstance(op, SimNeurons)]
        generators = [rng for op in neurons for rng in op.state_extra.values()]
        states = [rng.get_state() for rng in generators]
        while not is_over:
            sim.reset()
            for rng, state in zip(generators, states):  # as in nengo, a reset leaves them alone
                rng.set_state(state)
            sim.run_steps(3)
            number += 1
            is_over = not interrupted_at(sim, 5, number)
            assert len(sim.data[sim.model.probes[0]]) == sim.n_steps, number
            if sim.n_steps < N_STEPS:
                sim.run_steps(N_STEPS - sim.n_steps)
            assert data_of(sim) == expected, number
    assert number > 300


def test_looking_at_signals_disturbs_no_run(expected, always_shared):
    """Generators are on loan while a run goes on, and another thread must not give them back."""
    with simulator(network()) as sim:
        is_over = threading.Event()

        def look():
            while not is_over.is_set():
                assert len(sim.signals) > 0

        thread = threading.Thread(target=look)
        thread.start()
        try:
            for _ in range(N_STEPS // 2):
                sim.run_steps(2)
        finally:
            is_over.set()
            thread.join()
        assert data_of(sim) == expected


def test_signals_are_complete_after_an_interrupt_at_the_end_of_a_run(always_shared, monkeypatch):
    """A learning rule's delta is written when a run ends, or else when signals are read."""

    def delta_of(sim):
        (rule,) = (op for op in sim.step_order if isinstance(op, SimPES))
        return sim.signals[rule.updates[0]].copy()

    with nengo.Network(seed=3) as net:
        ensemble, stimulus = nengo.Ensemble(40, 1), nengo.Node([0.5])
        learned = nengo.Connection(
            ensemble, nengo.Node(size_in=1), learning_rule_type=nengo.PES(1e-3)
        )
        nengo.Connection(stimulus, learned.learning_rule)
    with simulator(net) as whole, simulator(net) as sim:
        whole.run_steps(7)
        delta = delta_of(whole)
        with monkeypatch.context() as patch:
            patch.setattr(CpuEngine, "settle", lambda engine: None)
            sim.run_steps(7)
            assert not np.array_equal(delta_of(sim), delta)
        assert np.array_equal(delta_of(sim), delta)


def test_the_first_run_can_be_interrupted_anywhere(expected, always_shared, monkeypatch):
    """Threads are started, programs are shared, functions are traced."""
    monkeypatch.setattr(tapes_in_use, "WORTH_TRACING", 0)
    number, is_over = 0, False
    net = network()
    while not is_over:
        fresh = team.Team()
        monkeypatch.setattr(program, "TEAM", fresh)
        with simulator(net, threads=2) as sim:
            number += 1 if number < 100 else 23
            is_over = not interrupted_at(sim, 5, number)
            sim.run_steps(N_STEPS - sim.n_steps)
            assert data_of(sim) == expected, number
    assert number > 300
