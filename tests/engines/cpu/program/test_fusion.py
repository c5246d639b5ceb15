"""Fusion: what is carried out by the kernels of others, and what keeps operators apart."""

import nengo
import numpy as np
import pytest
from circuits import Circuit, M, N, lowering_for, pes, signal

import nengo_jit
from nengo_jit.builder import Model, Signal
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.program.fusion import Fused, Part
from nengo_jit.engines.cpu.program.products import Strategy
from nengo_jit.ir.learning_rules import SimOja, SimRLS
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo_jit.ir.transforms import ConvInc


@pytest.fixture
def circuit():
    return Circuit()


def test_bias_and_encoder_are_carried_out_by_neurons_and_equal_products_once(circuit):
    fusion = circuit.fuse()
    assert fusion.fused_into == {
        circuit.bias: Fused(circuit.encoding, Part.BIAS),
        circuit.encoding: Fused(circuit.neurons, Part.CURRENTS),
        circuit.resets[0]: Fused(circuit.decodings[0], Part.BIAS),
        circuit.resets[1]: Fused(circuit.decodings[1], Part.BIAS),
    }
    assert fusion.duplicate_of == {circuit.decodings[1]: circuit.decodings[0]}
    assert fusion.strategies[circuit.encoding] is Strategy.COLUMNS
    assert {fusion.strategies[each] for each in circuit.decodings} == {Strategy.EVENTS}
    assert (fusion.listed, fusion.searched) == ({circuit.spikes}, frozenset())
    assert fusion.parts[circuit.encoding][Part.BIAS] is circuit.bias
    absorbed = [each for each in circuit.operators if fusion.is_absorbed(each)]
    assert absorbed == [circuit.bias, circuit.encoding, *circuit.resets]


def test_the_graph_of_what_runs(circuit):
    fusion = circuit.fuse()
    plan = CpuBackend().plan(circuit.model)
    graph = fusion.graph(plan.graph)
    assert circuit.encoding in plan.graph[circuit.bias]
    assert graph[circuit.bias].count(circuit.neurons) == plan.graph[circuit.bias].count(
        circuit.neurons
    ) + plan.graph[circuit.bias].count(circuit.encoding)
    assert circuit.decodings[1] in graph[circuit.decodings[0]]
    assert circuit.decodings[1] not in plan.graph[circuit.decodings[0]]


def test_what_is_exposed_is_left_alone(circuit):
    circuit.exposed = [circuit.J, circuit.spikes, circuit.y[0]]
    fusion = circuit.fuse()
    assert (fusion.listed, fusion.searched) == (frozenset(), {circuit.spikes})
    assert fusion.fused_into == {circuit.resets[1]: Fused(circuit.decodings[1], Part.BIAS)}
    assert fusion.duplicate_of == {}


@pytest.mark.parametrize(
    "more",
    [
        lambda c: Copy(c.J, signal(N)),  # another reader of the currents
        lambda c: ElementwiseInc(signal(), signal(N), c.J),  # another term of them
        lambda c: Copy(c.J[1:3], signal(2)),  # a reader of a part of them
        lambda c: c.filter(signal(M), c.x, "update"),  # what is encoded changes
    ],
)
def test_an_encoder_waits_only_where_nobody_can_tell(circuit, more):
    fusion = circuit.fuse(more(circuit))
    assert not fusion.is_absorbed(circuit.encoding)


def test_an_encoder_does_not_wait_if_currents_are_recorded(circuit):
    fusion = circuit.fuse(probed=[circuit.J])
    assert not fusion.is_absorbed(circuit.encoding)
    assert fusion.is_absorbed(circuit.bias)


def test_an_encoder_of_what_never_changes_does_not_wait(circuit):
    circuit.encoding = DotInc(circuit.encoders, Signal(np.ones(M), readonly=True), circuit.J)
    assert not circuit.fuse().is_absorbed(circuit.encoding)


@pytest.mark.parametrize("neuron_type", [nengo.LIFRate(), nengo.SpikingRectifiedLinear()])
def test_only_lif_neurons_make_their_currents(circuit, neuron_type):
    state = {name: signal(N) for name in neuron_type.state}
    circuit.neurons = SimNeurons(neuron_type, circuit.J, circuit.spikes, state)
    fusion = circuit.fuse()
    assert fusion.is_absorbed(circuit.bias)
    assert not fusion.is_absorbed(circuit.encoding)
    assert bool(fusion.listed) is neuron_type.spiking


@pytest.mark.parametrize(
    "setter",
    [
        lambda J: Copy(signal(N), J),  # which may change
        lambda J: Copy(Signal(np.ones(N), readonly=True), J, src_slice=[*range(N)]),
        lambda J: Copy(Signal(np.ones(N), readonly=True), J, inc=True),
        lambda J: Reset(J[:N]),
        lambda J: Reset(J[1:]),
    ],
)
def test_only_constants_that_set_the_whole_sum_are_its_bias(circuit, setter):
    circuit.bias = setter(circuit.J)
    fusion = circuit.fuse()
    is_whole = type(circuit.bias) is Reset and circuit.bias.dst.size == N
    assert fusion.is_absorbed(circuit.bias) is fusion.is_absorbed(circuit.encoding) is is_whole


def test_a_sum_of_two_products_has_no_bias(circuit):
    fusion = circuit.fuse(DotInc(circuit.encoders, signal(M), circuit.J))
    assert not fusion.is_absorbed(circuit.bias)
    assert not fusion.is_absorbed(circuit.encoding)


def test_learned_weights_are_multiplied_row_by_row(circuit):
    circuit.encoders.readonly = False
    circuit.decoders[0].readonly = False
    fusion = circuit.fuse()
    assert fusion.strategies[circuit.encoding] is Strategy.ROWS
    assert fusion.strategies[circuit.decodings[0]] is Strategy.ROWS_OF_EVENTS
    assert fusion.duplicate_of == {}
    assert set(fusion.fused_into) == {circuit.resets[1]}


def test_products_are_not_equal_if_anything_differs(circuit):
    zeros = np.zeros((M, N))
    matrices = [Signal(each, readonly=True) for each in (zeros, -zeros, zeros, zeros[:3], zeros)]
    more = [
        DotInc(matrix, circuit.spikes, signal(len(matrix.initial_value))) for matrix in matrices
    ]
    starts = [Reset(op.Y, 1.0 if i == 2 else 0.0) for i, op in enumerate(more)]
    ends = [circuit.filter(op.Y, signal(*op.Y.shape), "update") for op in more]
    fusion = circuit.fuse(*more, *starts, *ends)
    assert fusion.duplicate_of == {
        more[4]: more[0],
        circuit.decodings[1]: circuit.decodings[0],
    }


def test_a_product_that_nothing_reads_is_not_copied(circuit):
    circuit.read.pop()
    fusion = circuit.fuse()
    assert fusion.duplicate_of == {}
    assert fusion.is_absorbed(circuit.resets[1])


def learned(rule, weights=None, inc=True, **options):
    """A rule, and what adds its delta to weights."""
    weights = weights or signal(M, N)
    return rule, Copy(rule.delta, weights, inc=inc, **options)


def fusion_of(*operators, exposed=(), probed=()):
    model = Model()
    for operator in operators:
        model.add_op(operator)
    return lowering_for(model, exposed, probed).fusion


def test_a_delta_is_applied_by_what_adds_it():
    rule, inc = learned(pes())
    fusion = fusion_of(rule, inc)
    assert fusion.fused_into == {rule: Fused(inc, Part.DELTA)}
    assert not fusion.is_absorbed(rule)
    assert fusion.parts == {inc: {Part.DELTA: rule}}


def test_a_rule_that_loses_weights_changes_those_alone():
    weights = signal(M, N)
    for lost, is_fused in ((weights, True), (signal(M, N), False)):
        rule = SimOja(signal(N), signal(M), lost, signal(M, N), 0.1, 0.5)
        fusion = fusion_of(*learned(rule, weights))
        assert (rule in fusion.fused_into) is is_fused


def test_the_delta_of_rls_is_applied_too():
    rule, inc = learned(SimRLS(signal(N), signal(M), signal(M, N), signal(N, N)))
    assert fusion_of(rule, inc).fused_into == {rule: Fused(inc, Part.DELTA)}


def test_a_delta_that_others_touch_is_written():
    rule, inc = learned(pes())
    assert fusion_of(rule, inc, Copy(rule.delta, signal(M, N))).fused_into == {}
    assert fusion_of(rule, inc, probed=[rule.delta]).fused_into == {}
    assert fusion_of(rule, inc, Reset(rule.delta)).fused_into == {}
    assert fusion_of(rule, inc, exposed=[rule.delta]).fused_into == {}


@pytest.mark.parametrize(
    "add",
    [
        lambda delta: Copy(delta, signal(M, N)),
        lambda delta: Copy(delta, signal(M, N), src_slice=[*range(M)], inc=True),
        lambda delta: Copy(delta[::-1], signal(M, N), inc=True),
        lambda delta: Copy(delta[:1], signal(M, N), inc=True),
        lambda delta: Copy(delta, signal(2 * M, N)[::2], inc=True),
        lambda delta: Copy(delta, signal(2, M, N), inc=True),
    ],
)
def test_a_delta_is_applied_only_as_a_whole(add):
    rule = pes()
    assert fusion_of(rule, add(rule.delta)).fused_into == {}


def test_weights_that_something_else_changes_get_a_delta():
    rule, inc = learned(pes())
    assert fusion_of(rule, inc, Reset(inc.dst)).fused_into == {}


def learned_product():
    """A product with learned weights, and what makes its rule come after it."""
    rule, inc = learned(pes())
    product = DotInc(inc.dst, signal(N), signal(M))
    return rule, inc, product, Copy(product.Y, rule.error, inc=True)


def test_weights_are_changed_when_they_are_used():
    rule, inc, product, back = learned_product()
    fusion = fusion_of(rule, inc, product, back, Reset(product.Y))
    assert fusion.fused_into == {
        rule: Fused(inc, Part.DELTA),
        inc: Fused(product, Part.UPDATE),
    }
    assert not fusion.is_absorbed(inc)


@pytest.mark.parametrize(
    "more",
    [
        lambda inc, product: DotInc(inc.dst, signal(N), signal(M)),  # another product
        lambda inc, product: Copy(inc.dst, signal(M, N)),
        lambda inc, product: Copy(inc.dst[:1], signal(1, N)),
    ],
)
def test_weights_that_others_read_are_changed_before(more):
    rule, inc, product, back = learned_product()
    fusion = fusion_of(rule, inc, product, back, more(inc, product))
    assert fusion.fused_into == {rule: Fused(inc, Part.DELTA)}


def test_probed_weights_are_changed_when_they_are_used():
    rule, inc, product, back = learned_product()
    fusion = fusion_of(rule, inc, product, back, probed=[inc.dst])
    assert fusion.fused_into[inc] == Fused(product, Part.UPDATE)


def test_exposed_weights_are_changed_before_they_are_used():
    rule, inc, product, back = learned_product()
    assert fusion_of(rule, inc, product, back, exposed=[inc.dst]).fused_into == {}


def test_a_rule_whose_factors_would_come_too_early_keeps_its_update():
    rule, inc, product, _ = learned_product()
    assert fusion_of(rule, inc, product).fused_into == {rule: Fused(inc, Part.DELTA)}


def test_what_does_not_meet_its_contract_is_not_fused(circuit):
    circuit.state["voltage"] = signal(N + 1)
    circuit.neurons = SimNeurons(nengo.LIF(), circuit.J, circuit.spikes, circuit.state)
    fusion = circuit.fuse()
    assert not fusion.is_absorbed(circuit.encoding)
    assert fusion.listed == frozenset()
    assert fusion.duplicate_of == {}


def is_held(shape, *exposed, setter=None, x=None, readonly=True, is_read=True):
    """Whether a product is kept, given what sets its sum before."""
    circuit = Circuit()
    matrix = Signal(np.ones(shape), readonly=readonly)
    given, y = x or signal(shape[1]), signal(shape[0])
    product = DotInc(matrix, given, y)
    operators = [product, *([setter(y)] if setter else [])]
    if x is None:
        operators.append(circuit.filter(signal(shape[1]), given, "set"))
    if is_read:
        operators.append(circuit.filter(y, signal(shape[0]), "update"))
    circuit.exposed = [{"A": matrix, "X": given, "Y": y}[name] for name in exposed]
    return product in circuit.fuse(*operators).held


BY_ROW, BY_COLUMN = (90, 200), (1000, 20)


def test_products_are_kept():
    assert is_held(BY_ROW)
    assert is_held(BY_ROW, setter=Reset)
    assert is_held(BY_COLUMN, setter=Reset)
    assert not is_held(BY_COLUMN)  # which is added to something else


@pytest.mark.parametrize("shape", [BY_ROW, BY_COLUMN])
def test_products_are_kept_only_where_nobody_can_tell(shape):
    for name in "AXY":
        assert not is_held(shape, name, setter=Reset)
    assert not is_held(shape, setter=Reset, readonly=False)
    assert not is_held(shape, setter=Reset, is_read=False)  # computed when somebody looks
    constant = Signal(np.ones(shape[1]), readonly=True)
    assert not is_held(shape, setter=Reset, x=constant)  # computed once in a run


def test_a_reset_is_what_the_sums_of_a_convolution_begin_with(circuit):
    conv = nengo.Convolution(2, (N, 1), kernel_size=(3,), strides=(1,))
    y, other = signal(conv.size_out), signal(conv.size_out)
    kernel = Signal(np.ones(conv.kernel_shape), readonly=True)
    reset, copy = Reset(y), Copy(Signal(np.ones(conv.size_out), readonly=True), other)
    first, second = (ConvInc(kernel, circuit.J, each, conv) for each in (y, other))
    fusion = circuit.fuse(reset, copy, first, second)
    assert fusion.fused_into[reset] == Fused(first, Part.BIAS)
    assert copy not in fusion.fused_into


def test_a_reset_that_is_exposed_is_not_fused_into_a_convolution(circuit):
    conv = nengo.Convolution(2, (N, 1), kernel_size=(3,), strides=(1,))
    y, kernel = signal(conv.size_out), Signal(np.ones(conv.kernel_shape), readonly=True)
    circuit.exposed, reset = [y], Reset(y)
    assert reset not in circuit.fuse(reset, ConvInc(kernel, circuit.J, y, conv)).fused_into


def undriven(neuron_type=None):
    """Neurons that only their own output drives: their ensemble's input is zero."""
    with nengo.Network(seed=0) as net:
        net.pool = nengo.Ensemble(50, 2, neuron_type=neuron_type or nengo.Sigmoid())
        net.other = nengo.Ensemble(50, 2, neuron_type=neuron_type or nengo.Sigmoid())
        weights = np.random.RandomState(0).normal(scale=0.01, size=(50, 50))
        for ens in (net.pool, net.other):
            nengo.Connection(ens.neurons, ens.neurons, transform=weights)
        nengo.Connection(nengo.Node([0.2]), net.other[1])
        net.probe = nengo.Probe(net.pool.neurons)
    return net


def test_encoders_of_ensembles_without_input_are_not_multiplied(kernels_of):
    net = undriven()
    results = []
    for engine in ("reference", "cpu"):
        with nengo_jit.Simulator(net, engine=engine) as sim:
            sim.run_steps(40)
            results.append(sim.data[net.probe])
    np.testing.assert_allclose(*results, rtol=1e-12)
    plan = str(sim.plan)
    assert plan.count("DotInc: no kernel") == 1
    assert plan.count("DotInc: dot_columns") == 1


@pytest.mark.parametrize("name", ["in", "encoders"])
@pytest.mark.parametrize("is_within", [False, True])
def test_users_change_input_and_encoders_of_ensembles_without_input(name, is_within):
    def change():
        (sim,) = box
        array = sim.signals[sim.model.sig[net.pool][name]]
        array.setflags(write=True)
        array[...] = 0.5

    def act(t):
        if is_within and box and round(t * 1000) in (12, 20):
            change()

    net, results, box = undriven(), [], []
    with net:
        nengo.Node(act)
    for engine in ("reference", "cpu"):
        box.clear()
        with nengo_jit.Simulator(net, engine=engine) as sim:
            box.append(sim)
            for _ in range(3):
                sim.run_steps(10)
                if not is_within:
                    change()
            results.append(sim.data[net.probe])
    np.testing.assert_allclose(*results, rtol=1e-12)


def test_zero_times_infinite_encoders():
    net = undriven()
    with nengo_jit.Simulator(net) as sim:
        sim.run_steps(5)
        encoders = sim.signals[sim.model.sig[net.pool]["encoders"]]
        encoders.setflags(write=True)
        encoders[3, 0] = np.inf
        sim.run_steps(5)
        assert np.isfinite(sim.data[net.probe][:5]).all()
        assert np.isnan(sim.data[net.probe][-1, 3])
