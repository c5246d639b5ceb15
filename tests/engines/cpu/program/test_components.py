"""Components: whatever threads do side by side does not touch what the others do."""

import nengo
import pytest
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.exceptions import BuildError

from nengo_jit.builder import Model, Operator, Signal
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.engines.cpu.language.columns import Own
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import Address, Memory
from nengo_jit.engines.cpu.program import components
from nengo_jit.engines.cpu.program.components import Links, Task, phases
from nengo_jit.options import Options
from nengo_jit.planner.graph import dependency_graph, region_of, topological_order
from nengo_jit.planner.levels import levels

ROLES = ("sets", "incs", "reads", "updates")


class Touch(Operator):
    """An operator that does nothing."""

    def __init__(self, roles):
        super().__init__(**dict(zip(ROLES, roles)))


@st.composite
def operators(draw):
    """Operators that can run, on parts of a few signals."""
    bases = [Signal(shape=12, name=f"base {i}") for i in range(4)]
    made = []
    for _ in range(draw(st.integers(1, 20))):
        roles = []
        for _ in ROLES:
            start, size = draw(st.integers(0, 11)), draw(st.integers(1, 4))
            chosen = draw(st.sampled_from(bases))[start : min(start + size, 12)]
            roles.append([chosen] if draw(st.booleans()) else [])
        try:
            topological_order(dependency_graph([*made, Touch(roles)]))
        except BuildError:
            continue
        made.append(Touch(roles))
    return made


@kernel(cost=1.0)
def doing(memory: Memory, what: Address, where: Own) -> None:
    pass


def levels_of(ops, graph):
    level = levels(graph, topological_order(graph), set())
    found = [[] for _ in range(1 + max(level.values(), default=-1))]
    for op in ops:
        found[level[op]].append(Task(op, doing.row(what=0, where=0)))
    return found


def touch_alike(one, other):
    """Whether the order of two operators matters."""
    for role in ROLES:
        for others_role in ROLES:
            if role == others_role == "reads":
                continue
            for mine in getattr(one, role):
                for its in getattr(other, others_role):
                    a, b = region_of(mine), region_of(its)
                    if mine.base is its.base and a.start < b.stop and b.start < a.stop:
                        return True
    return False


@given(operators())
@settings(derandomize=True, deadline=None, max_examples=150)
def test_components_of_a_phase_do_not_touch_each_other(ops):
    graph = dependency_graph(ops)
    before = components.FEWEST
    components.FEWEST = 1.5
    try:
        found = list(phases(levels_of(ops, graph), Links(graph)))
    finally:
        components.FEWEST = before
    done = [task.operator for phase in found for level in phase.levels for task in level]
    assert [task.operator for level in levels_of(ops, graph) for task in level] == done
    for phase in found:
        for one, component in phase.component_of.items():
            for other, others_component in phase.component_of.items():
                if component != others_component:
                    assert not touch_alike(one, other), (one, other)


def test_ensembles_of_an_array_are_components():
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(30, 20)
        nengo.Connection(nengo.Node([0.5] * 20), array.input)
        nengo.Probe(array.output, synapse=0.01)
    model = Model()
    model.build(net)
    plan = CpuBackend().plan(model)
    engine = CpuEngine(plan, Options(threads=2))
    (phase,) = (
        phase
        for phase in phases(engine._programs.later._levels, Links(plan.graph))
        if any(task.code.function.__name__ == "lif" for level in phase.levels for task in level)
    )
    kinds = [{type(task.operator).__name__ for task in level} for level in phase.levels]
    assert len(kinds) >= 3
    assert len(set(phase.component_of.values())) >= 20


@pytest.mark.parametrize("threads", [2, 3])
def test_components_change_no_results(threads, always_shared):
    with nengo.Network(seed=1) as net:
        a = nengo.networks.EnsembleArray(30, 12)
        b = nengo.networks.EnsembleArray(30, 12)
        nengo.Connection(nengo.Node([0.5] * 12), a.input)
        nengo.Connection(a.output, b.input, synapse=0.002)
        nengo.Connection(b.output, a.input, synapse=0.002)
    model = Model()
    model.build(net)
    engines = [compiled(model, threads=n) for n in (1, threads)]
    for engine in engines:
        engine.reset(0)
        engine.run(100)
    for signal, array in engines[0].signals.items():
        assert (array == engines[1].signals[signal]).all(), signal
