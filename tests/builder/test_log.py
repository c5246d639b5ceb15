"""The log of a build."""

from itertools import pairwise

import nengo

from nengo_jit.builder import Model
from nengo_jit.builder.log import BuildLog


def test_operators_are_logged_with_the_object_that_they_were_added_for():
    with nengo.Network() as net:
        a = nengo.Ensemble(5, 1)
        with nengo.Network():
            b = nengo.Ensemble(5, 1)
            probe = nengo.Probe(b, synapse=0.1)
        connection = nengo.Connection(a, b, learning_rule_type=nengo.PES())
    model = Model()
    before = len(model.operators)
    model.build(net)
    log = list(model.log)
    assert [each.obj for each in log] == [a, b, probe, connection]
    assert log[0].first == before
    for one, following in pairwise(log):
        assert one.first < one.last == following.first
    assert log[-1].last == len(model.operators)
    assert all(each.seconds >= 0 for each in log)
    rules = model.operators[log[-1].first : log[-1].last]
    assert "SimPES" in {type(operator).__name__ for operator in rules}


def test_what_is_built_in_between_belongs_to_no_object():
    log = BuildLog()
    log.note(None, 2)
    log.note("a", 5)
    log.note(None, 7)
    log.note("b", 9)
    assert [each[:3] for each in log] == [("a", 2, 5), ("b", 7, 9)]
