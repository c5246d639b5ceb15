import nengo
import numpy as np
import pytest

from nengo_jit.builder import Model
from nengo_jit.planner import make_plan
from nengo_jit.planner.plan import ProbePlan


@pytest.fixture
def model():
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(np.sin, label="stim")
        ens = nengo.Ensemble(10, 1, label="ens")
        nengo.Connection(stim, ens)
        nengo.Probe(ens, sample_every=0.002, label="probe")
        nengo.Probe(stim)
    model = Model()
    model.build(net)
    return model


def test_plan_has_every_operator_once(model):
    plan = make_plan(model)
    assert set(plan.operators) == set(model.operators)
    assert len(plan.operators) == len(model.operators)


def test_plan_knows_probes_and_clock(model):
    plan = make_plan(model)
    assert [planned.probe for planned in plan.probes] == model.probes
    assert [planned.period for planned in plan.probes] == [2, 1]
    assert [planned.signal for planned in plan.probes] == [
        model.sig[probe]["in"] for probe in model.probes
    ]
    assert (plan.dt, plan.step, plan.time) == (model.dt, model.step, model.time)


def test_plan_is_the_same_every_time(model):
    assert make_plan(model) == make_plan(model)


def test_plan_is_frozen(model):
    with pytest.raises(AttributeError):
        make_plan(model).dt = 1.0


def test_plan_prints_as_a_table(model):
    text = str(make_plan(model))
    assert f"{len(model.operators)} operators, 2 probes, dt = 0.001 s" in text
    assert "<Ensemble 'ens'> encoding" in text
    assert "every 2 steps" in text
    assert len(text.splitlines()) == 1 + len(model.operators) + 2


def test_an_operator_without_make_step_is_not_run(model):
    class Marker:
        sets = incs = updates = ()
        reads = (model.time,)

    model.operators.append(Marker())
    assert not any(isinstance(op, Marker) for op in make_plan(model).operators)


@pytest.mark.parametrize(
    "period, due", [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), (0.5, [1, 2, 3, 4, 5]), (1.5, [2, 3, 5])]
)
def test_samples_are_due_as_in_nengo(period, due):
    planned = ProbePlan(probe=None, signal=None, period=period)
    assert [n for n in range(1, 6) if planned.is_due(n)] == due
