"""The check of fusion finds whatever would make results wrong."""

from dataclasses import replace

import pytest
from circuits import Circuit, lowering_for, pes, signal

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.program.fusion import Fused, Part
from nengo_jit.engines.cpu.program.verify import verify_fusion
from nengo_jit.ir.learning_rules import SimOja
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.planner.verify import PlanError


@pytest.fixture
def circuit():
    return Circuit()


def verify(model, operators, change, exposed=()):
    """Fuse operators, and check what ``change(fusion)`` makes of the result."""
    for operator in operators:
        model.add_op(operator)
    lowering = lowering_for(model, exposed)
    verify_fusion(CpuBackend().plan(model), lowering.facts, change(lowering.fusion))


def refuses(match, circuit, change, *more, exposed=()):
    with pytest.raises(PlanError, match=match):
        verify(circuit.model, [*circuit.operators, *more], change, exposed)


def fusing(*entries):
    """Change of a fusion: each entry is an operator, whom it is fused into, and as what."""
    more = {operator: Fused(into, part) for operator, into, part in entries}
    return lambda fusion: replace(fusion, fused_into={**fusion.fused_into, **more})


def copying(operator, other):
    return lambda fusion: replace(fusion, duplicate_of={operator: other})


def test_what_the_pass_makes_is_right(circuit):
    verify(circuit.model, circuit.operators, lambda fusion: fusion)


def test_one_part_of_an_operator_is_one_operator(circuit):
    change = fusing((circuit.resets[0], circuit.encoding, Part.BIAS))
    refuses("same part", circuit, change)


def test_what_carries_an_operator_out_depends_on_it(circuit):
    change = fusing((circuit.resets[0], circuit.decodings[1], Part.BIAS))

    def without_the_other(fusion):
        kept = {op: each for op, each in fusion.fused_into.items() if op is not circuit.resets[1]}
        return change(replace(fusion, fused_into=kept))

    refuses("does not depend on it", circuit, without_the_other)


def test_what_carries_an_operator_out_runs(circuit):
    change = fusing((circuit.stimulus, circuit.encoding, Part.CURRENTS))
    refuses("does not run", circuit, change)


def test_nothing_else_is_added_to_a_sum_with_a_bias(circuit):
    other = DotInc(circuit.encoders, circuit.x, circuit.J)
    refuses("same sum", circuit, fusing((circuit.bias, circuit.encoding, Part.BIAS)), other)


def test_nobody_else_reads_currents(circuit):
    reader = circuit.filter(circuit.J[:4], signal(4), "update")
    change = fusing((circuit.encoding, circuit.neurons, Part.CURRENTS))
    refuses("read what", circuit, change, reader)


def test_what_is_read_is_not_changed_before_its_turn(circuit):
    update = circuit.filter(signal(4), circuit.x, "update")
    change = fusing((circuit.encoding, circuit.neurons, Part.CURRENTS))
    refuses("cannot be delayed", circuit, change, update)


def test_a_term_waits_for_neurons_that_alone_read_the_sum(circuit):
    term = Copy(signal(6), circuit.J, inc=True)
    change = fusing((term, circuit.neurons, Part.TERM))
    reader = circuit.filter(circuit.J[:4], signal(4), "update")
    refuses("read what", circuit, change, term, reader)


def test_a_term_is_not_changed_before_its_turn(circuit):
    early = signal(6)
    term = Copy(early, circuit.J, inc=True)
    update = circuit.filter(signal(6), early, "update")
    change = fusing((term, circuit.neurons, Part.TERM))
    refuses("cannot wait", circuit, change, term, update)


@pytest.mark.parametrize("name", ["x", "J"])
def test_nobody_can_look_at_what_waits(circuit, name):
    change = fusing(
        (circuit.bias, circuit.encoding, Part.BIAS),
        (circuit.encoding, circuit.neurons, Part.CURRENTS),
    )
    refuses("user code", circuit, change, exposed=[getattr(circuit, name)])


def test_what_is_copied_is_computed(circuit):
    refuses("is not computed", circuit, copying(circuit.decodings[0], circuit.encoding))


def test_what_is_copied_is_there_already(circuit):
    late = DotInc(circuit.decoders[0], circuit.state["voltage"], signal(4))
    first, second = circuit.filter(circuit.y[0], late.Y, "update"), circuit.decodings[0]
    refuses("none yet|another one", circuit, copying(second, late), late, first)


def test_what_is_copied_has_the_same_factor(circuit):
    other = DotInc(circuit.decoders[0], signal(6), signal(4))
    reader = circuit.filter(other.Y, signal(4), "update")
    refuses("another one", circuit, copying(circuit.decodings[0], other), other, reader)


def test_what_nobody_reads_is_not_copied(circuit):
    del circuit.read[1]
    refuses("another one", circuit, copying(circuit.decodings[0], circuit.decodings[1]))


def test_copies_are_not_seen(circuit):
    change = copying(circuit.decodings[1], circuit.decodings[0])
    refuses("user code", circuit, change, exposed=[circuit.y[1]])


def test_a_delta_is_touched_by_a_rule_and_what_applies_it_alone():
    rule = pes()
    inc = Copy(rule.delta, signal(*rule.delta.shape), inc=True)
    change = fusing((rule, inc, Part.DELTA))
    for other, match in (
        (Reset(rule.delta), "touch the delta"),
        (Copy(rule.delta, signal(*rule.delta.shape)), "touch the delta"),
        (Reset(inc.dst), "write to the weights"),
    ):
        with pytest.raises(PlanError, match=match):
            verify(Model(), [rule, inc, other], change)
    with pytest.raises(PlanError, match="learns"):
        verify(Model(), [rule, inc], change, exposed=[inc.dst])


def test_the_loss_of_a_rule_is_of_weights_that_no_other_loss_has_changed():
    weights = signal(3, 4)
    rules = [SimOja(signal(4), signal(3), weights, signal(3, 4), 0.1, 0.5) for _ in range(2)]
    incs = [Copy(rule.delta, weights, inc=True) for rule in rules]
    change = fusing(*((rule, inc, Part.DELTA) for rule, inc in zip(rules, incs)))
    with pytest.raises(PlanError, match="before another rule"):
        verify(Model(), [*rules, *incs], change)
    with pytest.raises(PlanError, match="others than rules"):
        verify(Model(), [rules[0], *incs], fusing((rules[0], incs[0], Part.DELTA)))


def keeping(*operators):
    return lambda fusion: replace(fusion, held=frozenset(operators))


def test_constant_products_may_be_kept(circuit):
    verify(circuit.model, circuit.operators, keeping(circuit.encoding))


def test_what_is_kept_cannot_change_unnoticed(circuit):
    refuses("unnoticed", circuit, keeping(circuit.encoding), exposed=[circuit.x])


def test_learnt_products_are_not_kept(circuit):
    circuit.encoders.readonly = False
    refuses("unnoticed", circuit, keeping(circuit.encoding))


def test_what_is_kept_is_computed_in_each_step(circuit):
    del circuit.read[1]
    refuses("in each step", circuit, keeping(*circuit.decodings))


def test_weights_are_changed_when_they_are_used_by_the_factors_of_the_step_before():
    rule = pes()
    inc = Copy(rule.delta, signal(*rule.delta.shape), inc=True)
    n_post, n_pre = rule.delta.shape
    product = DotInc(inc.dst, signal(n_pre), signal(n_post))
    back = Copy(product.Y, rule.error, inc=True)
    other = DotInc(inc.dst, signal(n_pre), signal(n_post))
    change = fusing((rule, inc, Part.DELTA), (inc, product, Part.UPDATE))
    verify(Model(), [rule, inc, product, back], change)
    with pytest.raises(PlanError, match="factors of another step"):
        verify(Model(), [rule, inc, product], change)
    with pytest.raises(PlanError, match="factors of another step"):
        alone = {inc: Fused(product, Part.UPDATE)}
        verify(Model(), [rule, inc, product, back], lambda each: replace(each, fused_into=alone))
    with pytest.raises(PlanError, match="use the weights"):
        verify(Model(), [rule, inc, product, back, other], change)
