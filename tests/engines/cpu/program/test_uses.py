"""Who reads and who writes what."""

from dataclasses import replace

from circuits import signal

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.program.uses import Uses
from nengo_jit.ir.learning_rules import SimPES
from nengo_jit.ir.operator import Copy, Reset
from nengo_jit.planner import ProbePlan


def uses_of(*operators, probed=()):
    model = Model()
    for operator in operators:
        model.add_op(operator)
    probes = tuple(ProbePlan(None, each, 1) for each in probed)
    return Uses(replace(CpuBackend().plan(model), probes=probes))


def test_whoever_touches_a_part_uses_all_of_it():
    x, y = signal(4), signal(2)
    reset, copy = Reset(x), Copy(x[:2], y)
    uses = uses_of(reset, copy)
    assert uses.only_reader_of(x) is copy
    assert uses.only_reader_of(x[:2]) is None  # which is not all that there is
    assert uses.is_only_writer(reset, x)
    assert uses.other_writer(copy, y) is None
    halves = Reset(x[:2]), Reset(x[2:])
    uses = uses_of(*halves)
    assert uses.writers_of(x) == [*halves]
    assert uses.other_writer(halves[0], x) is halves[1]
    assert not uses.is_only_writer(halves[0], x[:2])


def test_probes_are_readers():
    x = signal(4)
    copy = Copy(x, signal(4))
    assert uses_of(copy).only_reader_of(x) is copy
    assert uses_of(copy, probed=[x]).only_reader_of(x) is None


def test_updates_come_after_reading():
    rule = SimPES(signal(3), signal(2), signal(2, 3), 0.1)
    uses = uses_of(rule)
    assert uses.is_updated(rule.delta)
    assert uses.is_updated(rule.delta[1:])
    assert not uses.is_updated(rule.error)
