"""What users read when they print a plan: all of it, so that it stays readable."""

import nengo
import numpy as np
import pytest
from sharing import sharing

import nengo_jit

OSCILLATOR_ON_CPU = """\
Plan: 18 operators in 12 groups, 1 probe, dt = 0.001 s, kernels take about 166 ns a step
level  members  elements threads      ns  kind: what runs
    0        1         1       1     0.3  TimeUpdate: advance_time
       TimeUpdate{}
    0        2         4       1     1.2  Reset: fill
       <Ensemble 'oscillator'> input
    1        1        50       -       0  Copy: fused into DotInc as its bias
       <Neurons of <Ensemble 'oscillator'>> bias
    1        1         2       1     0.6  SimProcess WhiteSignal set: white_signal
       WhiteSignal(period=1.0, high=5)
    1        3         6       1     1.8  Copy inc: copy_inc
       <Connection from <Node 'kick'> to <Ensemble 'oscillator'>>
    2        1        50       -       0  DotInc: fused into SimNeurons LIF as its currents
       <Ensemble 'oscillator'> encoding
    2        1         2       1     0.6  SimProcess Lowpass update: filter_first_order
       Lowpass(tau=0.005)
    2        1         0       -       0  SimProbe: no kernel
       <Probe of 'decoded_output' of <Ensemble 'oscillator'>>
    3        1        50       1     100  SimNeurons LIF: lif, list_spikes
       <Neurons of <Ensemble 'oscillator'>>
    3        2         4       -       0  Reset: fused into DotInc as its bias
       <Connection from <Ensemble 'oscillator'> to <Ensemble 'oscillator'>>.apply_weights
    4        2         4       1      60  DotInc: dot_events
       <Connection from <Ensemble 'oscillator'> to <Ensemble 'oscillator'>>.apply_weights
    5        2         4       1     1.2  SimProcess Lowpass update: filter_first_order
       Lowpass(tau=0.1)
probe <Probe of 'decoded_output' of <Ensemble 'oscillator'>> every step
"""

OSCILLATOR_ON_REFERENCE = """\
Plan: 18 operators one after the other, 1 probe, dt = 0.001 s
operators  elements  kind
        1         1  TimeUpdate
       TimeUpdate{}
        1         2  Reset
       <Ensemble 'oscillator'> input
        1        50  Copy
       <Neurons of <Ensemble 'oscillator'>> bias
        3         6  Reset
       <Connection from <Ensemble 'oscillator'> to <Ensemble 'oscillator'>>.apply_weights
        1         2  SimProcess WhiteSignal set
       WhiteSignal(period=1.0, high=5)
        3         6  Copy inc
       <Connection from <Node 'kick'> to <Ensemble 'oscillator'>>
        1         2  SimProcess Lowpass update
       Lowpass(tau=0.005)
        1        50  DotInc
       <Ensemble 'oscillator'> encoding
        1         0  SimProbe
       <Probe of 'decoded_output' of <Ensemble 'oscillator'>>
        1        50  SimNeurons LIF
       <Neurons of <Ensemble 'oscillator'>>
        2         4  DotInc
       <Connection from <Ensemble 'oscillator'> to <Ensemble 'oscillator'>>.apply_weights
        2         4  SimProcess Lowpass update
       Lowpass(tau=0.1)
probe <Probe of 'decoded_output' of <Ensemble 'oscillator'>> every step
"""

LEARNING_ON_CPU = """\
Plan: 34 operators in 22 groups, 0 probes, dt = 0.001 s, kernels take about 215 ns a step
level  members  elements threads      ns  kind: what runs
    0        1         1       1     0.3  TimeUpdate: advance_time
       TimeUpdate{}
    0        1         1       1     0.3  Reset: fill
       <Node 'watch'> input
    1        1         1       1     0.3  Copy inc: copy_inc
       <Connection from <Ensemble 'post'> to <Node 'watch'>>
    2        1         0       1       ?  SimPyFunc: in Python
       <Node 'watch'>
    3        4         4       1     1.2  Reset: fill
       <Ensemble 'pre'> input
    3        1        30       -       0  Copy: fused into DotInc as its bias
       <Neurons of <Ensemble 'pre'>> bias
    4        1        30       1     9.0  DotInc: dot_columns
       <Ensemble 'pre'> encoding
    4        1        30       -       0  Copy: fused into DotInc as its bias
       <Neurons of <Ensemble 'post'>> bias
    4        4         4       1     1.2  Copy inc: copy_inc
       <Connection from <Ensemble 'pre'> to <Ensemble 'post'> computing 'zeros_like'>
    5        1        30       1      60  SimNeurons LIF: lif, list_spikes
       <Neurons of <Ensemble 'pre'>>
    5        1        30       -       0  DotInc: fused into SimNeurons LIF as its currents
       <Ensemble 'post'> encoding
    5        2         2       1     0.3  Reset: fill; 1 fused into DotInc as its bias
       <Connection from <Ensemble 'pre'> to <Ensemble 'post'> computing 'zeros_like'>.apply_weights
    5        1        30       1       0  Copy inc: copy_inc; fused into DotInc as its update
       weights += delta of <Connection from <Ensemble 'pre'> to <Ensemble 'post'> computing 'zeros_…
    5        1         1       1     0.3  SimProcess Lowpass update: filter_first_order
       Lowpass(tau=0.005)
    6        1        30       1      60  SimNeurons LIF: lif, list_spikes
       <Neurons of <Ensemble 'post'>>
    6        2         2       1      36  DotInc: dot_learned_rows_events, dot_events
       <Connection from <Ensemble 'pre'> to <Ensemble 'post'> computing 'zeros_like'>.apply_weights
    6        1        30       1     9.0  SimProcess Lowpass set: filter_first_order
       Lowpass(tau=0.005)
    6        2         2       -       0  Reset: fused into DotInc as its bias
       <Connection from <Ensemble 'post'> to <Node 'error'>>.apply_weights
    7        2         2       1     0.6  SimProcess Lowpass update: filter_first_order
       Lowpass(tau=0.005)
    7        1        30       1     9.3  SimPES: pes_factors, copy, outer; fused into Copy inc as
                                         its delta
       <LearningRule modifying <Connection from <Ensemble 'pre'> to <Ensemble 'post'> computing 'ze…
    7        2         2       1      27  DotInc: dot_events, copy; 1 copied from an equal one
       <Connection from <Ensemble 'post'> to <Node 'error'>>.apply_weights
    8        2         2       1     0.6  SimProcess Lowpass update: filter_first_order
       Lowpass(tau=0.005)
"""

WATCH = (
    "in Python: SimPyFunc{Signal(name=<Node 'watch'>.in, shape=(1,)) -> None, "
    "fn='<lambda>' '<Node 'watch'>'}: it calls `print`"
)


def oscillator():
    with nengo.Network(seed=0) as net:
        kick = nengo.Node(nengo.processes.WhiteSignal(1.0, 5), size_out=2, label="kick")
        ens = nengo.Ensemble(50, 2, label="oscillator")
        nengo.Connection(kick, ens)
        nengo.Connection(ens, ens, transform=[[1, 1], [-1, 1]], synapse=0.1)
        nengo.Probe(ens, synapse=0.01)
    return net


def learning():
    with nengo.Network(seed=0) as net:
        pre = nengo.Ensemble(30, 1, label="pre")
        post = nengo.Ensemble(30, 1, label="post")
        error = nengo.Node(size_in=1, label="error")
        watch = nengo.Node(lambda t, x: print(end=""), size_in=1, label="watch")
        conn = nengo.Connection(pre, post, function=np.zeros_like, learning_rule_type=nengo.PES())
        nengo.Connection(pre, error, transform=-1)
        nengo.Connection(post, error)
        nengo.Connection(post, watch)
        nengo.Connection(error, conn.learning_rule)
    return net


def ensemble_array():
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(nengo.processes.WhiteSignal(1.0, 5), size_out=16)
        array = nengo.networks.EnsembleArray(50, 16)
        nengo.Connection(stimulus, array.input)
        nengo.Probe(array.output, synapse=0.01)
    return net


def printed(net, engine, threads=1):
    with nengo_jit.Simulator(net, engine=engine, threads=threads, progress_bar=False) as sim:
        return str(sim.plan)


@pytest.mark.parametrize(
    "make, engine, expected",
    [
        (oscillator, "cpu", OSCILLATOR_ON_CPU),
        (oscillator, "reference", OSCILLATOR_ON_REFERENCE),
        (learning, "cpu", LEARNING_ON_CPU + WATCH),
    ],
)
def test_a_plan_as_text(make, engine, expected):
    assert printed(make(), engine) == expected.strip("\n")
    assert all(len(line) <= 100 for line in expected.splitlines() if line != WATCH)


def test_a_plan_says_which_threads_work_on_what():
    with sharing():
        text = printed(ensemble_array(), "cpu", threads=3)
    (line,) = [line for line in text.splitlines() if "SimNeurons LIF: lif" in line]
    assert line.split()[:4] == ["4", "16", "800", "1-3"]
    (fused,) = [line for line in text.splitlines() if "as its currents" in line]
    assert fused.split()[:5] == ["3", "16", "800", "-", "0"]
    assert "threads" not in printed(ensemble_array(), "reference")


def test_what_is_done_in_the_first_step_or_when_somebody_looks_is_said():
    with nengo.Network() as net:
        constant = nengo.Node(np.ones(3000))
        target = nengo.Node(size_in=3000)
        nengo.Connection(constant, target, synapse=None, transform=2)
        nengo.Connection(target, nengo.Node(size_in=3000), synapse=None)
        nengo.Probe(target, synapse=0.1)
    text = printed(net, "cpu")
    first = [line for line in text.splitlines() if line.endswith("; in the first step only")]
    assert [line.split()[4:] for line in first] == [
        ["0", "Reset:", "fill;", "in", "the", "first", "step", "only"],
        ["0", "Reset:", "fill;", "in", "the", "first", "step", "only"],
        ["0", "ElementwiseInc:", "scale_inc;", "in", "the", "first", "step", "only"],
        ["0", "Copy", "inc:", "copy_inc;", "in", "the", "first", "step", "only"],
    ]
    assert text.count("; deferred until signals are read") == 2


def test_the_same_in_single_precision():
    nengo.rc.set("precision", "bits", "32")
    assert printed(oscillator(), "cpu") == OSCILLATOR_ON_CPU.strip("\n")
