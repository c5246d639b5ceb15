"""A simulator that several threads use at the same time, or a node of its own run."""

import os
import pickle
import threading
from itertools import pairwise

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, SimulatorClosed
from sharing import sharing

import nengo_jit
from nengo_jit.engines import ENGINES
from nengo_jit.turn import Turn

PATIENCE = 60  # seconds after which a test fails that would wait for ever

each_engine = pytest.mark.parametrize("engine", ENGINES)


class Thread(threading.Thread):
    """A thread that hands on what its function returns or raises."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self._call = lambda: function(*args)
        self._error = None
        self.start()

    def run(self):
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error

    def result(self):
        self.join(PATIENCE)
        assert not self.is_alive(), "the thread hangs"
        if self._error is not None:
            raise self._error
        return self._result


class Meeting:
    """A node waits in one of its steps until somebody has done something meanwhile."""

    def __init__(self, step):
        self.step = step
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def __reduce__(self):
        return Meeting, (None,)  # a copy waits for nobody

    def __call__(self, t):
        if round(1000 * t) == self.step:
            self.has_begun.set()
            assert self.may_go_on.wait(PATIENCE)


def milliseconds(t):
    return 1000 * t


def counting(function=None):
    """A network that records the number of the step, and calls a function in each step."""
    with nengo.Network(seed=0) as net:
        clock = nengo.Node(milliseconds)
        net.each, net.other = nengo.Probe(clock), nengo.Probe(clock)
        net.third = nengo.Probe(clock, sample_every=0.003)
        if function is not None:
            nengo.Node(function, size_out=0)
    return net


def steps(samples):
    """Numbers of steps that were recorded."""
    return np.rint(np.ravel(samples)).astype(int).tolist()


def are_consecutive(numbers, period=1):
    return all(later - earlier == period for earlier, later in pairwise(numbers))


# --- looking at data


@each_engine
def test_ten_threads_read_clear_and_slice_while_it_runs(engine):
    net, n_rounds = counting(), 60
    lists = {probe: [] for probe in net.all_probes}

    def read(probe, period):
        before = sim.n_steps
        seen = steps(sim.data[probe])
        assert are_consecutive(seen, period)
        assert not seen or seen[-1] <= sim.n_steps
        if probe is net.other:
            assert not seen or seen[-1] >= before

    def cut(probe, period):
        assert are_consecutive(steps(sim.data.raw[probe][-7:]), period)
        raw = sim.data.raw[probe]
        assert len(list(raw[:3])) <= 3
        assert len(raw) >= 0

    def trim(probe, period):
        del sim.data.raw[net.other][:-5]

    def clear(probe, period):
        for each, old in lists.items():
            old.append(sim.data.raw[each])
        sim.clear_probes()

    def work(action, probe, period):
        for _ in range(n_rounds):
            action(probe, period)

    tasks = [(read, net.each, 1), (read, net.third, 3), (cut, net.each, 1), (cut, net.third, 3)]
    with nengo_jit.Simulator(net, engine=engine) as sim:
        threads = [Thread(work, *task) for task in [*tasks, *tasks]]
        threads += [Thread(work, trim, None, 1), Thread(work, clear, None, 1)]
        n_steps = 0
        while any(thread.is_alive() for thread in threads):
            sim.run_steps(300)
            n_steps += 300
        for thread in threads:
            thread.result()
        clear(None, 1)
        assert sim.n_steps == n_steps
    for probe, period in ((net.each, 1), (net.third, 3)):
        recorded = [step for samples in lists[probe] for step in steps(samples)]
        assert recorded == list(range(period, n_steps + 1, period))
    for each, third in zip(lists[net.each], lists[net.third]):  # begin and end with the same step
        assert steps(third) == [step for step in steps(each) if step % 3 == 0]


@each_engine
def test_clearing_does_not_wait_for_a_run(engine):
    meeting = Meeting(10)
    net = counting(meeting)
    with nengo_jit.Simulator(net, engine=engine) as sim:
        run = Thread(sim.run_steps, 20)
        assert meeting.has_begun.wait(PATIENCE)
        assert (sim.n_steps, sim.time) == (9, 9 * 0.001)
        assert steps(sim.data[net.each]) == list(range(1, 10))
        assert len(sim.trange()) == 9
        sim.clear_probes()
        assert (len(sim.data[net.each]), len(sim.data[net.third])) == (0, 0)
        meeting.may_go_on.set()
        run.result()
        assert steps(sim.data[net.each]) == list(range(10, 21))
        assert steps(sim.data[net.third]) == [12, 15, 18]


# --- running


@each_engine
def test_threads_take_turns_to_run(engine):
    net = counting(lambda t: None)
    with nengo_jit.Simulator(net, engine=engine) as sim:

        def work(number):
            for _ in range(20):
                sim.step() if number % 2 else sim.run_steps(3)

        threads = [Thread(work, number) for number in range(6)]
        for thread in threads:
            thread.result()
        assert sim.n_steps == 3 * 20 + 3 * 60
        assert steps(sim.data[net.each]) == list(range(1, sim.n_steps + 1))


@each_engine
@pytest.mark.parametrize(
    ("call", "n_steps"),
    [
        (lambda sim: sim.run(0.005), 25),
        (lambda sim: sim.step(), 21),
        (lambda sim: sim.reset(), 0),
        (lambda sim: pickle.dumps(sim), 20),
        (lambda sim: str(sim.plan), 20),
    ],
    ids=["run", "step", "reset", "pickle", "plan"],
)
def test_what_needs_the_simulator_waits_for_the_run(engine, call, n_steps):
    meeting, ended = Meeting(10), []
    net = counting(meeting)
    with nengo_jit.Simulator(net, engine=engine) as sim:
        run = Thread(lambda: (sim.run_steps(20), ended.append("run")))
        assert meeting.has_begun.wait(PATIENCE)
        other = Thread(lambda: (call(sim), ended.append("call")))
        other.join(0.02)
        assert other.is_alive()
        meeting.step = None
        meeting.may_go_on.set()
        run.result()
        other.result()
        assert sorted(ended) == ["call", "run"]
        assert sim.n_steps == n_steps
        assert steps(sim.data[net.each]) == list(range(1, n_steps + 1))


@each_engine
def test_closing_ends_a_run(engine):
    net = counting()
    with nengo_jit.Simulator(net, engine=engine) as sim:
        run = Thread(sim.run_steps, 10**9)
        while not sim.n_steps:
            pass
        sim.close()
        n_steps = sim.n_steps
        assert sim.signals is None
        with pytest.raises(SimulatorClosed):
            run.result()
        assert sim.n_steps == n_steps == len(sim.data[net.each])


@each_engine
def test_who_waits_for_a_run_finds_the_simulator_closed(engine):
    meeting = Meeting(10)
    net = counting(meeting)
    with nengo_jit.Simulator(net, engine=engine) as sim:
        threads = [Thread(sim.run_steps, 10**9)]
        assert meeting.has_begun.wait(PATIENCE)
        threads += [Thread(call) for call in (sim.step, sim.reset, lambda: sim.run(1.0))]
        closing = Thread(sim.close)
        while not sim.closed:
            pass
        meeting.may_go_on.set()
        closing.result()
        for thread in threads:
            with pytest.raises(SimulatorClosed):
                thread.result()
        assert sim.n_steps == len(sim.data[net.each])


# --- calls from a node of the run


def run_with(simulator, call, **options):
    """Run a network of which a node calls something in one step; what there is at the end."""
    found = []

    def act(t):
        if found and not found[1:] and round(1000 * t) == 50:
            found.append(None)
            call(found[0])

    net = counting(act)
    with simulator(net, **options) as sim:
        found.append(sim)
        sim.run_steps(100)
        return sim.n_steps, sim.time, *(sim.data[probe].tolist() for probe in net.all_probes)


CALLS = {
    "step": lambda sim: sim.step(),
    "run": lambda sim: sim.run_steps(1200),
    "reset": lambda sim: sim.reset(),
    "reset twice": lambda sim: (sim.reset(), sim.reset(seed=3)),
    "clear": lambda sim: (sim.clear_probes(), sim.clear_probes()),
    "signals": lambda sim: sim.signals[sim.model.step].__setitem__((), 7),
}


@each_engine
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_node_may_use_its_own_simulator(engine, call):
    expected = run_with(nengo.Simulator, call, optimize=False)
    n_steps, time, *data = run_with(nengo_jit.Simulator, call, engine=engine)
    assert (n_steps, time) == expected[:2]
    assert [len(samples) for samples in data] == [len(samples) for samples in expected[2:]]


def test_a_node_may_run_a_simulator_that_uses_threads():
    calls = []

    def act(t):
        if calls and not calls[1:] and round(1000 * t) == 50:
            calls.append(None)
            calls[0].run_steps(30)

    net = counting(act)
    with net:
        array = nengo.networks.EnsembleArray(40, 12)
        nengo.Connection(nengo.Node(np.linspace(-1, 1, 12)), array.input)
        probe = nengo.Probe(array.output)
    with (
        sharing(),
        nengo_jit.Simulator(net, engine="cpu", threads=3) as sim,
    ):
        calls.append(sim)
        run = Thread(sim.run_steps, 100)
        run.result()
        assert sim.n_steps == len(sim.data[probe]) == len(sim.data[net.each]) == 130


@each_engine
def test_a_node_may_close_its_simulator(engine):
    found = []
    net = counting(lambda t: found[0].close() if found and t > 0.05 else None)
    with nengo_jit.Simulator(net, engine=engine) as sim:
        found.append(sim)
        with pytest.raises(SimulatorClosed):
            sim.run_steps(10**9)
        assert sim.n_steps == len(sim.data[net.each]) == 50


@each_engine
def test_constants_stay_in_a_run_that_is_reset(engine):
    found = []

    def act(t):
        if found and not found[1:] and round(1000 * t) == 50:
            found.append(None)
            found[0].reset()

    net = counting(act)
    with net:
        constant, relay = nengo.Node(np.ones(300)), nengo.Node(size_in=300)
        nengo.Connection(constant, relay, synapse=None, transform=np.diag(np.full(300, 2.0)))
        probe = nengo.Probe(relay)
    with nengo_jit.Simulator(net, engine=engine) as sim:
        found.append(sim)
        sim.run_steps(60)
        assert np.all(sim.data[probe][1:] == 2)


@pytest.mark.parametrize("is_free", [True, False])
def test_nothing_stays_locked_if_reading_is_interrupted(is_free):
    class Lock:
        """A lock of which the call that acquires it is interrupted when it is about to return."""

        def __init__(self):
            self.lock = threading.RLock()
            self._is_owned, self.release = self.lock._is_owned, self.lock.release

        def acquire(self, blocking):
            assert self.lock.acquire(blocking) is is_free
            raise KeyboardInterrupt

    turn, lock = Turn(None), Lock()
    turn._lock = lock
    if not is_free:
        Thread(lock.lock.acquire).result()
    for call in (turn.catch_up, lambda: turn.hold(pytest.fail)):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert not lock.lock._is_owned()


@each_engine
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_while_another_thread_runs_is_an_error_in_the_child(engine):
    begun, may_end = threading.Event(), threading.Event()

    def wait(t):
        if t > 0.02:
            begun.set()
            may_end.wait(60)

    with nengo_jit.Simulator(counting(wait), engine=engine, progress_bar=False) as sim:
        thread = threading.Thread(target=sim.run_steps, args=(40,))
        thread.start()
        begun.wait(60)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                sim.step()
            except SimulationError as error:
                may_end.set()
                sim.reset()
                sim.run_steps(30)
                status = 42 if "forked" in str(error) and sim.n_steps == 30 else 2
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        may_end.set()
        thread.join()
        assert os.waitstatus_to_exitcode(status) == 42
        assert sim.n_steps == 40
