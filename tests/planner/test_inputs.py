"""Operators that let users give the outputs of nodes."""

import nengo
import numpy as np

from nengo_jit.builder import Model
from nengo_jit.ir.given import Given
from nengo_jit.planner import make_plan
from nengo_jit.planner.inputs import accept_inputs


def test_the_order_of_all_other_operators_stays():
    with nengo.Network(seed=0) as net:
        constant = nengo.Node([1.0, 2.0])
        function = nengo.Node(lambda t, x: x, size_in=2, size_out=2)
        noise = nengo.Node(nengo.processes.WhiteNoise())
        later = nengo.Node(nengo.processes.FilteredNoise(), size_out=1)
        nengo.Connection(constant, function, synapse=None)
        nengo.Connection(function[0], later, synapse=None) if later.size_in else None
        ens = nengo.Ensemble(10, 1, noise=nengo.processes.WhiteNoise())
        nengo.Connection(noise, ens)
    model = Model()
    model.build(net)
    plan = make_plan(model)
    nodes = (constant, function, noise, later)
    outputs = {node: model.sig[node]["out"] for node in nodes}
    written = [list(operator.sets) for operator in plan.operators]
    changed, made = accept_inputs(plan, outputs)
    tags = [each.tag for each in changed.operators if not isinstance(each, Given)]
    assert tags == [each.tag for each in plan.operators]
    assert [list(operator.sets) for operator in plan.operators] == written  # the model's own
    assert made.keys() == outputs.keys()
    for node, operator in made.items():
        assert operator.output is outputs[node]
        place = changed.operators.index(operator)
        if node is constant:
            assert operator.computed.readonly
            np.testing.assert_array_equal(operator.computed.initial_value, [1, 2])
        else:
            assert operator.computed in changed.operators[place - 1].sets
    assert made[function].function.fn is function.output
    assert made[noise].function is None
