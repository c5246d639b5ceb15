"""Dead code: nobody who looks at signals between runs can tell what was left out within them."""

from dataclasses import replace

import nengo
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.exceptions import BuildError
from test_graph import touch

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo_jit.ir.probe import SimProbe
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.planner import make_plan
from nengo_jit.planner.deferred import deferred
from nengo_jit.planner.graph import dependency_graph, operators_before, topological_order
from nengo_jit.planner.passes import find_deferred

DT = 0.001
SIZE = 4
TIME = Signal(np.zeros(()), name="time")


def found(*operators, recorded=()):
    graph = dependency_graph(operators)
    return deferred(graph, operators_before(graph), topological_order(graph), recorded)


def signals(n, shape=SIZE):
    return [Signal(np.ones(shape), name=f"{i}") for i in range(n)]


def neurons(x, y):
    return SimNeurons(nengo.RectifiedLinear(), x, y)


def synapse(x, y):
    state = {"X": Signal(np.zeros((1, *y.shape)))}
    return SimProcess(nengo.Lowpass(0.002), x, y, TIME, mode="update", state=state)


def test_what_leads_nowhere_is_unread():
    a, b, c, d = signals(4)
    ops = Reset(c), ElementwiseInc(a, b, c), Copy(c, d)
    assert found(neurons(a, b), *ops) == set(ops)


def test_what_anything_else_reads_or_adds_to_is_not():
    a, b, c, d = signals(4)
    ops = Reset(c), Copy(a, c, inc=True), Copy(c, d)
    readers = SimProbe(c), neurons(c, b), synapse(c[:1], b[:1]), touch(reads=[c[1:2]])
    for other in (*readers, touch(incs=[c[2:]])):
        assert found(*ops, other) == {ops[-1]}
    assert found(*ops, touch(updates=[c])) == set()
    assert found(*ops, SimProbe(d)) == set()
    assert found(*ops, recorded=[d[:1]]) == set()


def test_what_reads_memory_that_is_updated_is_not_since_it_would_see_the_next_steps():
    a, b, c = signals(3)
    assert found(synapse(a, b), Copy(b, c)) == set()


def test_sums_with_a_past_are_not():
    a, b = signals(2)
    assert found(Copy(a, b, inc=True)) == set()
    reset = Reset(b[::2])
    assert found(reset, Copy(a, b, inc=True)) == set()
    some = Copy(a, b, [0, 2], [0, 2])
    assert found(some) == {some}
    assert found(some, Copy(a, b, inc=True)) == set()
    assert found(neurons(a, b), Copy(a, b, inc=True)) == set()


def test_a_sum_of_which_another_part_is_read_is_not():
    a, b = signals(2)
    ops = Reset(b), Copy(a[:2], b[:2], inc=True), Copy(a[2:], b[2:], inc=True)
    assert found(*ops) == set(ops)
    assert found(*ops, SimProbe(b[:1])) == set()


def test_what_keeps_state_or_is_of_an_unknown_type_is_not():
    class OwnCopy(Copy):
        """May do anything."""

    a, b, c, d = signals(4)
    assert found(neurons(a, b), synapse(a, c), OwnCopy(a, d), touch(reads=[a])) == set()


MATRIX = Signal(np.arange(float(SIZE**2)).reshape(SIZE, SIZE) / 10, readonly=True)
OPERATORS = [  # from two vectors and something to select
    lambda x, y, part, places: Reset(y[part], 0.5),
    lambda x, y, part, places: Reset(y),
    lambda x, y, part, places: Copy(x[part], y[part]),
    lambda x, y, part, places: Copy(x, y, places, places, inc=False),
    lambda x, y, part, places: Copy(x, y, places, places, inc=True),
    lambda x, y, part, places: ElementwiseInc(x[part], x[part], y[part]),
    lambda x, y, part, places: DotInc(MATRIX, x, y),
    lambda x, y, part, places: neurons(x[part], y[part]),
    lambda x, y, part, places: synapse(x[part], y[part]),
    lambda x, y, part, places: SimProbe(x),
]
PARTS = [slice(None), slice(0, 2), slice(1, 3), slice(None, None, 2)]
PLACES = [None, None, [0, 2], [1, 3]]


@st.composite
def operators(draw):
    """Operators that can run, on vectors and parts of them."""
    vectors = [Signal(1 / np.arange(1, 1 + SIZE), name=name) for name in "ab"]
    vectors += [Signal(np.zeros(SIZE), name=name) for name in "cdefg"]
    choices = [st.sampled_from(each) for each in (vectors, vectors, PARTS, PLACES)]
    made = []
    for _ in range(draw(st.integers(3, 14))):
        make = draw(st.sampled_from(OPERATORS))
        operator = make(*(draw(choice) for choice in choices))
        try:
            topological_order(dependency_graph([*made, operator]))
        except BuildError:
            continue
        made.append(operator)
    return made


class Runner:
    """Runs operators in NumPy, some of them when a run has ended only."""

    def __init__(self, operators, left_out):
        order = topological_order(dependency_graph(operators))
        self.signals = SignalDict(signal for op in order for signal in op.all_signals)
        rng = np.random.RandomState(0)
        steps = [(op, op.make_step(self.signals, DT, rng)) for op in order]
        self.steps = [step for op, step in steps if op not in left_out]
        self.after = [step for op, step in steps if op in left_out]

    def run(self, n_steps):
        for step in self.steps * n_steps + self.after:
            step()


def assert_same_between_runs(some, whole, runs, random):
    """Run both, and write to signals in between."""
    for n_steps in runs:
        some.run(n_steps)
        whole.run(n_steps)
        for signal, array in whole.signals.items():
            assert array.tobytes() == some.signals[signal].tobytes(), signal
        for signal in whole.signals:
            if not signal.readonly and signal.dtype == float and random.random() < 0.3:
                whole.signals[signal] = some.signals[signal] = random.random()


RUNS = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(operators(), RUNS, st.randoms())
def test_between_runs_all_signals_are_what_they_would_be(operators, runs, random):
    runners = Runner(operators, found(*operators)), Runner(operators, ())
    with np.errstate(over="ignore", invalid="ignore"):
        assert_same_between_runs(*runners, runs, random)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(operators(), RUNS, st.randoms())
def test_on_the_cpu_engine_too(operators, runs, random):
    model = Model()
    model.operators += operators
    plan = CpuBackend().plan(model)
    engines = [CpuEngine(each) for each in (plan, replace(plan, deferred=frozenset()))]
    for engine in engines:
        engine.reset(0)
    assert_same_between_runs(*engines, runs, random)


def test_the_plan_says_what_is_left_out_and_until_when():
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(10, 3)
        squares = array.add_output("square", np.square)
        probe = nengo.Probe(squares, synapse=0.01)
    model = Model()
    model.build(net)
    plan = make_plan(model, [find_deferred])
    assert {signal for op in plan.deferred for signal in op.sets} > {model.sig[array.output]["in"]}
    assert not {signal.base for op in plan.deferred for signal in op.sets} & {
        model.sig[squares]["in"],
        model.sig[probe]["in"],
    }
    last = str(plan).splitlines()[-1]
    assert last.startswith(f"deferred until signals are read: {len(plan.deferred)} operators, ")
    assert "<Node 'output'>.in" in last


def test_a_plan_in_which_all_is_read_says_nothing_and_a_long_list_is_cut():
    model = Model()
    x, *others = signals(6)
    model.add_op(SimProbe(x))
    assert "at the end" not in str(make_plan(model, [find_deferred]))
    for other in others:
        model.add_op(Copy(x, other))
    assert str(make_plan(model, [find_deferred])).endswith(
        "deferred until signals are read: 5 operators, since nothing else reads 1, 2, 3, 2 more"
    )
