"""What only the CPU engine does: merging what runs together, and undoing what came before."""

import importlib
import pkgutil
from dataclasses import replace
from itertools import pairwise

import nengo
import numpy as np
import pytest
from compiling import compiled

from nengo_jit.builder import Model, Operator
from nengo_jit.builder.processes import build_synapse
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu import kernels
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.engines.cpu.language.kernel import Kernel, Routine
from nengo_jit.engines.cpu.program.schedule import batches
from nengo_jit.engines.cpu.python.callee import FOR_TAPES
from nengo_jit.ir.operator import Reset
from nengo_jit.neurons import formulas
from nengo_jit.options import Options


def engine_for(model, threads=1):
    engine = compiled(model, threads=threads)
    engine.reset(0)
    return engine


class Failing(nengo.Process):
    """A process without a kernel, which raises in the third step."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        def step(t, x):
            if t > 0.0025:
                raise ValueError("no more")
            return x

        return step


def test_what_was_merged_to_before_a_callback_is_put_back_if_it_raises():
    model = Model()
    time = model.time.reshape(1)
    first = build_synapse(model, nengo.Lowpass(0.01), time)
    second = build_synapse(model, nengo.LinearFilter([1], [0.01, 1]), time)
    model.build(Failing(), first)
    model.build(Failing(), second)
    engine = engine_for(model)
    engine.run(2)
    before = [engine.signals[signal].copy() for signal in (first, second)]
    with pytest.raises(ValueError, match="no more"):
        engine.run(1)
    assert engine.n_steps == 2
    for signal, value in zip((first, second), before):
        assert np.array_equal(engine.signals[signal], value)


class HalfDone(Operator):
    """Changes an array in place, and raises once in a while before it changes another one."""

    def __init__(self, first, second):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [], [first, second]

    def make_step(self, signals, dt, rng):
        first, second = (signals[each] for each in self.updates)
        calls = []

        def step():
            calls.append(None)
            first[...] += 1
            if len(calls) % 3 == 0:
                raise ValueError("not now")
            second[...] += 1

        return step


def test_what_only_the_last_callback_writes_is_saved_when_python_is_called():
    model = Model()
    signals = [Signal(np.zeros(5)) for _ in range(4)]
    model.add_op(HalfDone(*signals[:2]))
    model.add_op(HalfDone(*signals[2:]))
    engine = engine_for(model)
    saved = [array for array, _ in engine._assembly.saved]
    own = [array for arrays in engine._assembly.own.values() for array, _ in arrays]
    assert len(own) == 2
    for signal in signals:
        is_saved, is_own = (
            any(np.may_share_memory(engine.signals[signal], each) for each in arrays)
            for arrays in (saved, own)
        )
        assert is_saved is not is_own
    expected = 0
    for _ in range(9):
        try:
            engine.run(1)
            expected += 1
        except ValueError:
            pass
        assert all((engine.signals[signal] == expected).all() for signal in signals)
    assert 0 < expected < 9


class Neurons(nengo.LIF):
    """A neuron type that might do anything."""


@pytest.mark.parametrize(
    "node, neuron_type",
    [(Failing(default_size_in=0), nengo.LIF()), (np.sin, nengo.LIF()), ([1.0], Neurons())],
)
def test_code_of_users_is_planned_for_at_once(node, neuron_type):
    with nengo.Network(seed=0) as net:
        nengo.Connection(nengo.Node(node), nengo.Ensemble(5, 1, neuron_type=neuron_type))
    model = Model()
    model.build(net)
    plan = CpuBackend().plan(model)
    engine = CpuEngine(plan, Options(threads=1))
    assert plan.callers == {callback.operator for callback in engine.callbacks} != set()


def test_what_lowering_finds_to_call_python_is_planned_for_then():
    with nengo.Network(seed=0) as net:
        for way in (np.sin, np.cos):
            node = nengo.Node(nengo.processes.Piecewise({0: way}))
            nengo.Connection(node, nengo.Ensemble(5, 1), synapse=None)
            nengo.Node(way)
    model = Model()
    model.build(net)
    plan = CpuBackend().plan(model)
    engine = CpuEngine(plan, Options(threads=2))  # on one thread, programs do not keep their levels
    called = [callback.operator for callback in engine.callbacks]
    assert len(plan.callers) == 2
    assert len(called) == 4
    assert engine.plan.callers == set(called)
    assert called == [op for op in plan.operators if op in engine.plan.callers]
    tasks = [task.operator for level in engine._programs.later._levels for task in level]
    assert [operator for operator in tasks if operator in engine.plan.callers] == called
    assert {group.level for group in engine.plan.groups if set(group.members) & set(called)} == {1}


def test_an_ensemble_array_is_one_row():
    with nengo.Network(seed=0) as net:
        nengo.networks.EnsembleArray(50, 20)
    model = Model()
    model.build(net)
    (group,) = (g for g in CpuBackend().plan(model).groups if g.kind == "SimNeurons LIF")
    assert len(group.members) == 20
    levels = engine_for(model, threads=2)._programs.later._levels
    (neurons,) = (w for level in levels for w in batches(level, 8) if _name(w.code) == "lif")
    assert len(neurons.rows) == 1


def array_network():
    with nengo.Network(seed=0) as net:
        net.array = nengo.networks.EnsembleArray(20, 8)
        squares = net.array.add_output("square", np.square)
        nengo.Connection(nengo.Node(np.linspace(-1, 1, 8)), net.array.input)
        nengo.Probe(squares, synapse=0.01)
    return net


def test_what_nobody_reads_is_computed_when_somebody_looks():
    net = array_network()
    model = Model()
    model.build(net)
    output = model.sig[net.array.output]["out"]
    engine = engine_for(model, threads=2)  # programs for one thread do not keep their levels
    whole = CpuEngine(replace(engine.plan, deferred=frozenset()), Options(threads=1))
    left_out = [task for level in engine._programs.deferred._levels for task in level]
    assert {task.code.when for task in left_out} == {"after"}
    absorbed = {op for op in engine.plan.deferred if engine._lowering.fusion.is_absorbed(op)}
    assert {type(operator) for operator in absorbed} == {Reset}
    assert {p.operator for p in left_out} | absorbed == engine.plan.deferred
    assert engine.plan.deferred == engine.explain().deferred
    assert output in {signal for op in engine.plan.deferred for signal in op.sets}
    engine.is_asked = True
    engines = [engine, whole]
    for each in engines:
        each.reset(0)
    for n_steps in (1, 30, 1, 1, 5):
        for each in engines:
            each.run(n_steps)
        if n_steps > 1:
            assert engine.signals[output].tobytes() != whole.signals[output].tobytes()
        engine.settle()
        for signal, array in engine.signals.items():
            assert array.tobytes() == whole.signals[signal].tobytes(), signal
    assert np.any(engine.signals[output] != 0)


def test_nothing_is_left_out_where_python_might_look_at_it():
    net = array_network()
    seen = []
    with net:
        nengo.Node(lambda t: seen.append(view.copy()), size_in=0, size_out=0)
    model = Model()
    model.build(net)
    engine = engine_for(model)
    assert engine.plan.deferred
    assert engine.explain().deferred == frozenset()
    view = engine.signals[model.sig[net.array.output]["out"]]
    engine.run(60)
    assert sum(np.any(a != b) for a, b in pairwise(seen)) > 30


def _name(code):
    return code.function.__name__ if isinstance(code, Kernel) else "callback"


def test_the_plan_says_what_runs_in_python(caplog):
    class Custom(nengo.Process):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            return lambda t: rng.uniform(size=shape_out)

    with nengo.Network() as net:
        nengo.Node(lambda t: t if t < 5 else print(t), label="function")
        nengo.Node(lambda t: print(t), label="in Python", size_out=0)
        nengo.Node(Custom(), size_out=1, label="process")
    model = Model()
    model.build(net)
    engine = engine_for(model)
    engine.reset(0)
    text = str(engine.explain())
    assert "in Python: SimPyFunc" in text
    assert "in Python: SimProcess" in text
    assert "except where it calls `print`" in text
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["SimProcess Custom set has no compiled kernel and runs in Python"]


def test_compile_all_asks_for_every_kernel_in_either_precision(monkeypatch):
    asked = []
    monkeypatch.setattr(kernels, "load_kernels", asked.extend)
    kernels.compile_all()
    for dtype in ("float64", "float32"):
        names = {k.function.__name__ for k, each in asked if each == dtype}
        assert {
            "lif",
            "copy",
            "outer",
            "correlate_filters",
            "filter_first_order",
            "record",
        } <= names
        assert {"run", "wait_for_all", "run_functions", "perform_at_points"} <= names
    for found in pkgutil.iter_modules(kernels.__path__, f"{kernels.__name__}."):
        module = importlib.import_module(found.name)
        here = {value for value in vars(module).values() if isinstance(value, Routine)}
        others = {each for each in here if each.name.startswith("half_")}
        assert here - others <= {k for k, _ in asked}
    assert set(FOR_TAPES) <= set(asked)
    n_rates = sum(k.function.__name__ == "compute_rates" for k, _ in asked)
    tell_rates = [each for each in formulas() if each.rate or each.settling]
    assert n_rates == len(tell_rates)
    assert set(filter(None, map(kernels.neurons.kernel_of, formulas()))) <= {k for k, _ in asked}
