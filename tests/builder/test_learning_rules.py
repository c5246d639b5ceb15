from types import SimpleNamespace

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError
from nengo.solvers import LstsqL2

import nengo_jit
from nengo_jit.builder import (
    Model,
    build_bcm,
    build_learning_rule,
    build_oja,
    build_pes,
    build_rls,
    build_voja,
)
from nengo_jit.builder.learning_rules import build_or_passthrough, get_post_ens, get_pre_ens
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal

DT = 0.002

SIM_CLASSES = {
    nengo.PES: SimPES,
    nengo.BCM: SimBCM,
    nengo.Oja: SimOja,
    nengo.Voja: SimVoja,
    nengo.RLS: SimRLS,
}


def close(actual, expected):
    return np.allclose(actual, expected, rtol=1e-10, atol=1e-15)


def network(make_connection):
    """A network of two ensembles, and a connection with a learning rule between them."""
    with nengo.Network(seed=3) as net:
        net.config[nengo.Ensemble].neuron_type = nengo.LIFRate()
        stimulus = nengo.Node(lambda t: [np.cos(40 * t), np.sin(60 * t)], label="stimulus")
        net.pre = nengo.Ensemble(12, 2, label="pre")
        net.post = nengo.Ensemble(10, 2, radius=1.5, label="post")
        nengo.Connection(stimulus, net.pre, synapse=None)
        nengo.Connection(stimulus, net.post, synapse=None)
        net.node = nengo.Node(size_in=2, label="sink")
        net.conn = make_connection(net.pre, net.post, net.node)
    return net


def build(net):
    model = Model(dt=DT)
    model.build(net)
    return model


def operators_of(model, operator_class):
    return [operator for operator in model.operators if isinstance(operator, operator_class)]


def filtered_by(model, signal):
    """The synapse whose output a signal is, and its input."""
    (operator,) = (o for o in operators_of(model, SimProcess) if o.output is signal)
    assert operator.mode == "set"  # no delay
    return operator.process, operator.input


def neurons_connection(rule, n_pre=12, n_post=10):
    """Between neurons, by random weights."""
    weights = np.random.RandomState(0).uniform(-1e-3, 1e-3, (n_post, n_pre))
    return lambda pre, post, _: nengo.Connection(
        pre.neurons[:n_pre], post.neurons[:n_post], transform=weights, learning_rule_type=rule
    )


def decoded_connection(rule):
    return lambda pre, post, _: nengo.Connection(pre, post, learning_rule_type=rule)


def connection_for(rule):
    return (neurons_connection if rule.modifies == "weights" else decoded_connection)(rule)


RULES = [nengo.PES(), nengo.BCM(), nengo.Oja(), nengo.Voja(), nengo.RLS()]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)

PES_CONNECTIONS = {
    "ensemble to ensemble": lambda pre, post, _: {"pre": pre, "post": post},
    "ensemble to part of ensemble": lambda pre, post, _: {"pre": pre[1], "post": post[0]},
    "ensemble to node": lambda pre, _, node: {"pre": pre, "post": node},
    "neurons to ensemble": lambda pre, post, _: {
        "pre": pre.neurons,
        "post": post,
        "transform": np.ones((2, 12)) * 1e-3,
    },
    "neurons to node": lambda pre, _, node: {
        "pre": pre.neurons[:5],
        "post": node,
        "transform": np.ones((2, 5)) * 1e-3,
    },
    "ensemble to ensemble by weights": lambda pre, post, _: {
        "pre": pre,
        "post": post,
        "solver": LstsqL2(weights=True),
    },
    "ensemble to part of ensemble by weights": lambda pre, post, _: {
        "pre": pre[0],
        "post": post[1],
        "solver": LstsqL2(weights=True),
    },
    "ensemble to neurons": lambda pre, post, _: {
        "pre": pre,
        "post": post.neurons,
        "transform": np.ones((10, 2)) * 1e-3,
    },
    "neurons to neurons": lambda pre, post, _: {
        "pre": pre.neurons,
        "post": post.neurons,
        "transform": np.ones((10, 12)) * 1e-3,
    },
    "neurons to some neurons": lambda pre, post, _: {
        "pre": pre.neurons[2:9],
        "post": post.neurons[::3],
        "transform": np.ones((4, 7)) * 1e-3,
    },
}
ENCODES_ERROR = {
    "ensemble to ensemble by weights",
    "ensemble to part of ensemble by weights",
    "ensemble to neurons",
    "neurons to neurons",
    "neurons to some neurons",
}
every_pes_connection = pytest.mark.parametrize("kind", PES_CONNECTIONS)


def pes_network(kind, rule=None):
    rule = nengo.PES(learning_rate=1e-3) if rule is None else rule
    return network(
        lambda *ends: nengo.Connection(**PES_CONNECTIONS[kind](*ends), learning_rule_type=rule)
    )


class TestBuildLearningRule:
    @every_rule
    def test_delta_is_added_to_what_the_rule_modifies(self, rule):
        net = network(connection_for(rule))
        model = build(net)
        delta = model.sig[net.conn.learning_rule]["delta"]
        target = (
            model.sig[net.post]["encoders"]
            if rule.modifies == "encoders"
            else model.sig[net.conn]["weights"]
        )
        assert delta.shape == target.shape
        assert not np.any(delta.initial_value)
        (copy,) = (o for o in operators_of(model, Copy) if o.src is delta)
        assert copy.dst is target
        assert copy.inc
        assert not target.readonly

    @every_rule
    def test_one_operator_computes_delta(self, rule):
        net = network(connection_for(rule))
        model = build(net)
        (operator,) = operators_of(model, SIM_CLASSES[type(rule)])
        assert operator.delta is model.sig[net.conn.learning_rule]["delta"]
        assert model.params[net.conn.learning_rule] is None

    @every_rule
    def test_a_rule_can_be_built_onto_a_connection_that_was_built_without(self, rule):
        net = network(connection_for(rule))
        net.conn.learning_rule_type = None
        model = build(net)
        assert not operators_of(model, SIM_CLASSES[type(rule)])
        net.conn.learning_rule_type = rule
        build_learning_rule(model, net.conn.learning_rule)
        (operator,) = operators_of(model, SIM_CLASSES[type(rule)])
        assert operator.delta is model.sig[net.conn.learning_rule]["delta"]

    @pytest.mark.parametrize(
        "build_rule, rule",
        [
            (build_pes, nengo.PES()),
            (build_bcm, nengo.BCM()),
            (build_oja, nengo.Oja()),
            (build_voja, nengo.Voja()),
            (build_rls, nengo.RLS()),
        ],
        ids=["pes", "bcm", "oja", "voja", "rls"],
    )
    def test_a_rules_type_can_be_built_many_times(self, build_rule, rule):
        net = network(connection_for(rule))
        model = build(net)
        build_rule(model, rule, net.conn.learning_rule)
        one, other = operators_of(model, SIM_CLASSES[type(rule)])
        assert one.delta is other.delta

    @pytest.mark.parametrize("target", ["biases", None, ""])
    def test_an_unknown_target_is_refused(self, target):
        net = network(decoded_connection(nengo.PES()))
        model = build(net)
        rule = SimpleNamespace(modifies=target, connection=net.conn)
        with pytest.raises(BuildError, match=f"Unknown target {target!r}"):
            build_learning_rule(model, rule)

    def test_a_connection_without_weights_cannot_learn_them(self):
        net = network(
            lambda pre, post, _: nengo.Connection(pre.neurons[:10], post.neurons, label="wires")
        )
        model = build(net)
        rule = SimpleNamespace(modifies="weights", connection=net.conn)
        with pytest.raises(BuildError, match=r"wires.*no weights"):
            build_learning_rule(model, rule)

    def test_rules_may_come_in_a_list_or_a_dictionary(self):
        rules = [nengo.BCM(), nengo.Oja()]
        for several in (rules, dict(zip("ab", rules))):
            model = build(network(neurons_connection(several)))
            assert len(operators_of(model, SimBCM)) == len(operators_of(model, SimOja)) == 1


class TestHelpers:
    @pytest.mark.parametrize("kind", PES_CONNECTIONS)
    def test_the_ensembles_at_the_ends_of_a_connection(self, kind):
        net = pes_network(kind)
        assert get_pre_ens(net.conn) is net.pre
        assert get_post_ens(net.conn) is (net.node if "node" in kind else net.post)

    def test_without_a_synapse_a_signal_is_passed_through(self):
        model, signal = Model(dt=DT), Signal(shape=2)
        assert build_or_passthrough(model, None, signal) is signal
        assert len(model.operators) == 1

    def test_a_synapse_filters_without_delay(self):
        model, signal, synapse = Model(dt=DT), Signal(shape=2), nengo.Lowpass(0.1)
        assert filtered_by(model, build_or_passthrough(model, synapse, signal)) == (synapse, signal)


class TestBuildPES:
    @every_pes_connection
    def test_the_error_is_encoded_exactly_where_the_connection_ends_in_neurons(self, kind):
        model = build(pes_network(kind))
        tags = [operator.tag for operator in model.operators]
        assert tags.count("PES:encode") == (kind in ENCODES_ERROR)

    @every_pes_connection
    def test_its_signals_can_be_probed(self, kind):
        net = pes_network(kind)
        model, rule = build(net), net.conn.learning_rule
        sig = model.sig[rule]
        assert set(rule.probeable) | {"in"} <= set(sig)
        assert sig["in"] is sig["error"]
        assert sig["error"].shape == (rule.size_in,)
        (reset,) = (o for o in operators_of(model, Reset) if o.dst is sig["error"])
        assert reset.value == 0

    @every_pes_connection
    def test_the_operator_reads_activities_and_error(self, kind):
        net = pes_network(kind)
        model = build(net)
        sig = model.sig[net.conn.learning_rule]
        (operator,) = operators_of(model, SimPES)
        assert operator.pre_filtered is sig["activities"]
        assert operator.learning_rate == 1e-3
        assert (operator.error is sig["error"]) == (kind not in ENCODES_ERROR)
        assert sig["delta"].shape == operator.error.shape + operator.pre_filtered.shape

    @pytest.mark.parametrize(
        "kind, rows, columns",
        [
            ("ensemble to ensemble by weights", slice(None), slice(None)),
            ("ensemble to part of ensemble by weights", slice(None), slice(1, 2)),
            ("ensemble to neurons", slice(None), slice(None)),
            ("neurons to neurons", slice(None), slice(None)),
            ("neurons to some neurons", slice(None, None, 3), slice(None)),
        ],
    )
    def test_the_error_is_encoded_by_the_encoders_that_the_connection_ends_in(
        self, kind, rows, columns
    ):
        net = pes_network(kind)
        model = build(net)
        sig = model.sig[net.conn.learning_rule]
        (encode,) = (o for o in operators_of(model, DotInc) if o.tag == "PES:encode")
        (operator,) = operators_of(model, SimPES)
        encoders = model.params[net.post].scaled_encoders[rows, columns]
        assert np.array_equal(encode.A.initial_value, encoders)
        assert encode.A.base is model.sig[net.post]["encoders"]
        assert encode.X is sig["error"]
        assert encode.Y is operator.error
        assert [o.value for o in operators_of(model, Reset) if o.dst is operator.error] == [0]

    def test_activities_are_filtered_without_delay(self):
        synapse = nengo.Lowpass(0.02)
        net = pes_network("ensemble to ensemble", nengo.PES(pre_synapse=synapse))
        model = build(net)
        activities = model.sig[net.conn.learning_rule]["activities"]
        assert filtered_by(model, activities) == (synapse, model.sig[net.pre]["out"])

    def test_activities_need_no_filter(self):
        net = pes_network("ensemble to ensemble", nengo.PES(pre_synapse=None))
        model = build(net)
        assert model.sig[net.conn.learning_rule]["activities"] is model.sig[net.pre]["out"]

    def test_only_the_neurons_that_the_connection_begins_in_count(self):
        net = pes_network("neurons to some neurons", nengo.PES(pre_synapse=None))
        model = build(net)
        activities = model.sig[net.conn.learning_rule]["activities"]
        assert activities.base is model.sig[net.pre.neurons]["out"]
        assert (activities.elemoffset, activities.shape) == (2, (7,))

    @pytest.mark.parametrize("indices", [[0, 2, 3], [4, 1, 0]])
    def test_a_list_of_neurons_at_the_end_is_refused(self, indices):
        net = network(
            lambda pre, post, _: nengo.Connection(
                pre.neurons,
                post.neurons[indices],
                transform=np.ones((3, 12)),
                learning_rule_type=nengo.PES(),
                label="culprit",
            )
        )
        with pytest.raises(BuildError, match=r"culprit.*does not support advanced indexing"):
            build(net)

    def test_a_list_of_neurons_at_the_beginning_is_copied(self):
        net = network(
            lambda pre, post, _: nengo.Connection(
                pre.neurons[[3, 1, 4]],
                post,
                transform=np.ones((2, 3)),
                learning_rule_type=nengo.PES(pre_synapse=None),
            )
        )
        model = build(net)
        activities = model.sig[net.conn.learning_rule]["activities"]
        assert activities.shape == (3,)
        copies = [o for o in operators_of(model, Copy) if o.dst is activities]
        assert [copy.src_slice for copy in copies] == [[3, 1, 4]]


class TestBuildBCMAndOja:
    @pytest.mark.parametrize("rule_class", [nengo.BCM, nengo.Oja])
    def test_activities_on_both_sides_are_filtered_without_delay(self, rule_class):
        pre_synapse, post_synapse = nengo.Lowpass(0.02), nengo.Alpha(0.03)
        rule = rule_class(pre_synapse=pre_synapse, post_synapse=post_synapse, learning_rate=0.5)
        net = network(neurons_connection(rule))
        model = build(net)
        sig = model.sig[net.conn.learning_rule]
        pre, post = model.sig[net.pre.neurons]["out"], model.sig[net.post.neurons]["out"]
        assert filtered_by(model, sig["pre_filtered"]) == (pre_synapse, pre)
        assert filtered_by(model, sig["post_filtered"]) == (post_synapse, post)
        (operator,) = operators_of(model, SIM_CLASSES[rule_class])
        assert operator.pre_filtered is sig["pre_filtered"]
        assert operator.post_filtered is sig["post_filtered"]
        assert operator.learning_rate == 0.5

    @pytest.mark.parametrize("rule_class", [nengo.BCM, nengo.Oja])
    def test_activities_need_no_filter(self, rule_class):
        net = network(neurons_connection(rule_class(pre_synapse=None, post_synapse=None)))
        model = build(net)
        sig = model.sig[net.conn.learning_rule]
        assert sig["pre_filtered"] is model.sig[net.pre.neurons]["out"]
        assert sig["post_filtered"] is model.sig[net.post.neurons]["out"]

    @pytest.mark.parametrize("rule_class", [nengo.BCM, nengo.Oja])
    def test_a_solved_weight_matrix_can_learn_too(self, rule_class):
        net = network(
            lambda pre, post, _: nengo.Connection(
                pre, post, solver=LstsqL2(weights=True), learning_rule_type=rule_class()
            )
        )
        model = build(net)
        assert model.sig[net.conn.learning_rule]["delta"].shape == (10, 12)

    def test_the_threshold_is_a_slow_average_of_the_post_activity(self):
        synapse = nengo.Lowpass(2.0)
        net = network(neurons_connection(nengo.BCM(theta_synapse=synapse)))
        model = build(net)
        theta = model.sig[net.conn.learning_rule]["theta"]
        assert filtered_by(model, theta) == (synapse, model.sig[net.post.neurons]["out"])
        assert operators_of(model, SimBCM)[0].theta is theta

    def test_oja_reads_the_weights_of_the_connection(self):
        net = network(neurons_connection(nengo.Oja(beta=0.25)))
        model = build(net)
        (operator,) = operators_of(model, SimOja)
        assert operator.weights is model.sig[net.conn]["weights"]
        assert operator.beta == 0.25

    @pytest.mark.parametrize("rule", [nengo.BCM(), nengo.Oja()], ids=["BCM", "Oja"])
    def test_every_probeable_signal_is_there(self, rule):
        net = network(neurons_connection(rule))
        assert set(rule.probeable) <= set(build(net).sig[net.conn.learning_rule])


class TestBuildVoja:
    def test_its_signals(self):
        synapse = nengo.Lowpass(0.02)
        rule = nengo.Voja(post_synapse=synapse, learning_rate=0.5)
        net = network(decoded_connection(rule))
        model = build(net)
        sig = model.sig[net.conn.learning_rule]
        assert set(rule.probeable) | {"in"} <= set(sig)
        assert sig["scaled_encoders"] is model.sig[net.post]["encoders"]
        assert filtered_by(model, sig["post_filtered"]) == (synapse, model.sig[net.post]["out"])
        assert sig["delta"].shape == (10, 2)
        (operator,) = operators_of(model, SimVoja)
        assert operator.pre_decoded is model.sig[net.post]["in"]
        assert operator.post_filtered is sig["post_filtered"]
        assert operator.scaled_encoders is sig["scaled_encoders"]
        assert operator.learning_signal is sig["in"]
        assert operator.learning_rate == 0.5

    def test_the_scale_is_gain_over_radius(self):
        net = network(decoded_connection(nengo.Voja()))
        model = build(net)
        (operator,) = operators_of(model, SimVoja)
        assert np.array_equal(operator.scale, model.params[net.post].gain / 1.5)

    def test_the_learning_signal_is_one_plus_its_inputs(self):
        net = network(decoded_connection(nengo.Voja()))
        model = build(net)
        learning = model.sig[net.conn.learning_rule]["in"]
        assert learning.shape == (1,)
        (reset,) = (o for o in operators_of(model, Reset) if o.dst is learning)
        assert reset.value == 1

    def test_the_post_activity_needs_no_filter(self):
        net = network(decoded_connection(nengo.Voja(post_synapse=None)))
        model = build(net)
        sig = model.sig[net.conn.learning_rule]
        assert sig["post_filtered"] is model.sig[net.post.neurons]["out"]


class TestBuildRLS:
    def test_its_signals(self):
        synapse = nengo.Lowpass(0.02)
        rule = nengo.RLS(pre_synapse=synapse, learning_rate=0.5)
        net = network(decoded_connection(rule))
        model = build(net)
        sig = model.sig[net.conn.learning_rule]
        assert set(rule.probeable) | {"in"} <= set(sig)
        assert sig["in"] is sig["error"]
        assert sig["error"].shape == (2,)
        assert filtered_by(model, sig["pre_filtered"]) == (synapse, model.sig[net.pre]["out"])
        (operator,) = operators_of(model, SimRLS)
        for name in ("pre_filtered", "error", "delta", "inv_gamma"):
            assert getattr(operator, name) is sig[name]
        assert str(operator).startswith("SimRLS")

    def test_the_running_inverse_begins_with_the_learning_rate(self):
        net = network(decoded_connection(nengo.RLS(learning_rate=0.5)))
        inv_gamma = build(net).sig[net.conn.learning_rule]["inv_gamma"]
        assert close(inv_gamma.initial_value, np.eye(12) * 0.5 * DT / 12)

    @pytest.mark.parametrize("bits, expected", [("16", "float64"), ("32", "float32")])
    def test_half_precision_is_too_coarse_for_it(self, bits, expected):
        nengo.rc.set("precision", "bits", bits)
        net = network(decoded_connection(nengo.RLS()))
        sig = build(net).sig[net.conn.learning_rule]
        assert sig["error"].dtype == sig["inv_gamma"].dtype == expected
        assert sig["delta"].dtype == sig["pre_filtered"].dtype == f"float{bits}"

    def test_it_can_begin_in_neurons_and_needs_no_filter(self):
        net = network(
            lambda pre, _, node: nengo.Connection(
                pre.neurons,
                node,
                transform=np.zeros((2, 12)),
                learning_rule_type=nengo.RLS(pre_synapse=None),
            )
        )
        model = build(net)
        sig = model.sig[net.conn.learning_rule]
        assert sig["pre_filtered"] is model.sig[net.pre.neurons]["out"]


# --- Running ---


def simulate(net, probed, n_steps=8):
    """Data of probes of ``(object, attribute)``, by name."""
    with net:
        probes = {
            name: nengo.Probe(obj, attr, synapse=None) for name, (obj, attr) in probed.items()
        }
    with nengo_jit.Simulator(net, dt=DT, progress_bar=False) as sim:
        sim.run_steps(n_steps)
    return {name: sim.data[probe] for name, probe in probes.items()}, sim


def connect_error(net):
    with net:
        source = nengo.Node(lambda t: [1 + 50 * t, -0.5], label="error")
        nengo.Connection(source, net.conn.learning_rule, synapse=None)


class TestLearning:
    @every_rule
    def test_weights_change_by_the_delta_of_the_step_before(self, rule):
        net = network(connection_for(rule))
        learned = net.conn.learning_rule
        if rule.size_in == "post_state":
            connect_error(net)
        target = (
            (learned, "scaled_encoders") if rule.modifies == "encoders" else (net.conn, "weights")
        )
        data, sim = simulate(net, {"weights": target, "delta": (learned, "delta")})
        initial = (
            sim.data[net.post].scaled_encoders
            if rule.modifies == "encoders"
            else sim.data[net.conn].weights
        )
        weights, delta = data["weights"], data["delta"]
        assert np.all(np.any(delta, axis=(1, 2)))
        assert np.array_equal(weights[0], initial)
        for k in range(1, len(weights)):
            assert np.array_equal(weights[k], weights[k - 1] + delta[k - 1])

    def test_the_changes_of_several_rules_add_up(self):
        net = network(neurons_connection([nengo.BCM(), nengo.Oja()]))
        bcm, oja = net.conn.learning_rule
        data, _ = simulate(
            net, {"weights": (net.conn, "weights"), "bcm": (bcm, "delta"), "oja": (oja, "delta")}
        )
        changes = data["bcm"] + data["oja"]
        assert np.all(np.any(data["oja"], axis=(1, 2)))
        for k in range(1, len(changes)):
            assert close(data["weights"][k], data["weights"][k - 1] + changes[k - 1])

    def test_a_new_run_begins_with_the_initial_weights(self):
        net = network(decoded_connection(nengo.PES(learning_rate=1e-2)))
        connect_error(net)
        with net:
            probe = nengo.Probe(net.conn, "weights")
        with nengo_jit.Simulator(net, dt=DT, progress_bar=False) as sim:
            sim.run_steps(5)
            first = sim.data[probe].copy()
            sim.reset()
            sim.run_steps(5)
            assert np.array_equal(sim.data[probe], first)
        assert not np.array_equal(first[0], first[-1])

    @pytest.mark.parametrize(
        "kind",
        ["ensemble to ensemble", "ensemble to ensemble by weights", "neurons to some neurons"],
    )
    def test_pes(self, kind):
        net = pes_network(kind)
        connect_error(net)
        rule = net.conn.learning_rule
        data, sim = simulate(net, {name: (rule, name) for name in rule.probeable})
        encoders = np.eye(2)
        if kind in ENCODES_ERROR:
            encoders = sim.data[net.post].scaled_encoders[net.conn.post_slice]
        n_neurons = data["activities"].shape[1]
        for step, delta in enumerate(data["delta"]):
            assert close(data["error"][step], [1 + 50 * (step + 1) * DT, -0.5])
            error = encoders @ data["error"][step]
            expected = -1e-3 * DT / n_neurons * np.outer(error, data["activities"][step])
            assert close(delta, expected)

    @every_rule
    def test_weights_and_deltas_are_those_of_nengo(self, rule):
        net = network(connection_for(rule))
        if rule.size_in == "post_state":
            connect_error(net)
        with net:
            probes = [nengo.Probe(net.conn.learning_rule, name) for name in rule.probeable]
            probes.append(nengo.Probe(net.conn, "weights"))
        with nengo_jit.Simulator(net, dt=DT, progress_bar=False) as ours:
            ours.run_steps(30)
        with nengo.Simulator(net, dt=DT, progress_bar=False, optimize=False) as theirs:
            theirs.run_steps(30)
        for probe in probes:
            assert close(ours.data[probe], theirs.data[probe]), probe.attr

    def test_bcm(self):
        net = network(neurons_connection(nengo.BCM(learning_rate=1e-6)))
        rule = net.conn.learning_rule
        data, _ = simulate(net, {name: (rule, name) for name in rule.probeable})
        for step, delta in enumerate(data["delta"]):
            post = data["post_filtered"][step]
            post = post * (post - data["theta"][step])
            assert close(delta, 1e-6 * DT * np.outer(post, data["pre_filtered"][step]))

    def test_oja(self):
        net = network(neurons_connection(nengo.Oja(learning_rate=1e-6, beta=0.5)))
        rule = net.conn.learning_rule
        probed = {name: (rule, name) for name in rule.probeable}
        data, _ = simulate(net, {**probed, "weights": (net.conn, "weights")})
        for step, delta in enumerate(data["delta"]):
            post, weights = data["post_filtered"][step], data["weights"][step]
            growth = np.outer(post, data["pre_filtered"][step])
            forgetting = 0.5 * (post**2)[:, np.newaxis] * weights
            assert close(delta, 1e-6 * DT * (growth - forgetting))

    @pytest.mark.parametrize("learning", [None, -1.0, -0.75])
    def test_voja(self, learning):
        net = network(decoded_connection(nengo.Voja(learning_rate=1e-2)))
        rule = net.conn.learning_rule
        if learning is not None:
            with net:
                nengo.Connection(nengo.Node(learning), rule, synapse=None)
        probed = {name: (rule, name) for name in rule.probeable}
        data, sim = simulate(net, {**probed, "input": (net.post, "input")})
        scale = sim.data[net.post].gain[:, np.newaxis] / 1.5
        rate = 1e-2 * DT * (1 + (learning or 0))
        for step, delta in enumerate(data["delta"]):
            post = data["post_filtered"][step][:, np.newaxis]
            target = scale * post * data["input"][step]
            assert close(delta, rate * (target - post * data["scaled_encoders"][step]))

    def test_rls(self):
        net = network(decoded_connection(nengo.RLS(learning_rate=1e-2)))
        connect_error(net)
        rule = net.conn.learning_rule
        data, _ = simulate(net, {name: (rule, name) for name in rule.probeable})
        P = np.eye(12) * 1e-2 * DT / 12
        for step, delta in enumerate(data["delta"]):
            r, error = data["pre_filtered"][step], data["error"][step]
            k = 1 / (1 + r @ P @ r)
            assert close(delta, -k * np.outer(error, P @ r))
            P = P - k * np.outer(P @ r, P @ r)
            assert close(data["inv_gamma"][step], P)

    def test_pes_makes_the_error_smaller(self):
        with nengo.Network(seed=1) as net:
            pre = nengo.Ensemble(30, 1, neuron_type=nengo.LIFRate())
            output = nengo.Node(size_in=1)
            nengo.Connection(nengo.Node(0.5), pre, synapse=None)
            conn = nengo.Connection(
                pre, output, function=lambda x: 0, learning_rule_type=nengo.PES(3e-3), synapse=None
            )
            nengo.Connection(output, conn.learning_rule, synapse=None)
            nengo.Connection(nengo.Node(-0.8), conn.learning_rule, synapse=None)
            probe = nengo.Probe(output)
        with nengo_jit.Simulator(net, progress_bar=False) as sim:
            sim.run(0.2)
        assert abs(sim.data[probe][0, 0]) < 0.1
        assert abs(sim.data[probe][-1, 0] - 0.8) < 0.01
