"""Runs in one process: each is that of a simulator of its own."""

import random
import warnings

import cloudpickle
import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.sweeps import worker
from nengo_jit.sweeps.worker import Job, Run, run_batch


def noisy():
    with nengo.Network(seed=5) as network:
        ensemble = nengo.Ensemble(20, 1, noise=nengo.processes.WhiteNoise(seed=None))
        nengo.Probe(ensemble.neurons, label="spikes")
        nengo.Probe(nengo.Node(lambda t: np.random.rand()), label="drawn")
    return network


def counting():
    counts = []
    network = noisy()
    with network:
        nengo.Probe(nengo.Node(lambda t: counts.append(t) or len(counts)), label="count")
    return network


def drawing():
    network = noisy()
    with network:
        rng = np.random.RandomState(1)
        nengo.Probe(nengo.Node(lambda t: rng.rand()), label="own")
        ensemble = nengo.Ensemble(9, 1, neuron_type=nengo.StochasticSpiking(nengo.LIFRate()))
        nengo.Probe(ensemble.neurons, label="stochastic")
    return network


def do(make_network, seeds, parameters=(), **options):
    settings = {name: dict(nengo.rc.items(name)) for name in nengo.rc.sections()}
    settings["decoder_cache"]["enabled"] = "False"
    known = {"time": 0.02, "dt": 0.001, "probes": None, "vary": None, "reserved": frozenset()}
    job = Job(make_network, **(known | options), settings=settings)
    packed = cloudpickle.dumps(dict(parameters))
    outcomes = run_batch(
        cloudpickle.dumps(job), [Run(number, packed, seed) for number, seed in enumerate(seeds)]
    )
    assert [outcome.number for outcome in outcomes] == [*range(len(seeds))]
    return outcomes


def samples_of(outcome):
    assert outcome.error == ""
    return {variable.name: array for variable, _, array in outcome.samples}


def single(make_network, seed, sim_seed=None):
    np.random.seed(0 if sim_seed is not None else seed)
    network = make_network()
    if sim_seed is None:
        network.seed = seed
    with nengo_jit.Simulator(network, seed=sim_seed, progress_bar=False) as sim:
        if sim_seed is not None:
            np.random.seed(sim_seed)
        sim.run(0.02)
        return {probe.label: np.array(sim.data[probe]) for probe in network.probes}


@pytest.mark.parametrize("make_network", [noisy, counting, drawing])
def test_each_run_is_that_of_a_simulator(make_network):
    for seed, outcome in zip((3, 4), do(make_network, [3, 4])):
        expected = single(make_network, seed)
        assert samples_of(outcome).keys() == expected.keys()
        for name, array in samples_of(outcome).items():
            np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("make_network", [noisy, counting, drawing])
def test_only_noise_varies(make_network):
    found = [samples_of(outcome) for outcome in do(make_network, [3, 4, 3], vary="noise")]
    for seed, samples in zip((3, 4, 3), found):
        expected = single(make_network, None, sim_seed=seed)
        for name, array in samples.items():
            np.testing.assert_array_equal(array, expected[name])
    assert not np.array_equal(found[0]["spikes"], found[1]["spikes"])


@pytest.mark.parametrize(("make_network", "n_builds"), [(noisy, 1), (counting, 3), (drawing, 3)])
def test_networks_without_hidden_state_are_built_once_if_noise_varies(
    make_network, n_builds, monkeypatch
):
    built = []
    build = worker._build
    monkeypatch.setattr(worker, "_build", lambda *each: built.append(0) or build(*each))
    do(make_network, [1, 2, 3], vary="noise")
    assert len(built) == n_builds
    do(make_network, [1, 2, 3])
    assert len(built) == n_builds + 3


def test_a_simulator_that_fails_is_not_used_again():
    first = random.Random(7).random()

    def failing():
        network = noisy()
        with network:
            nengo.Node(lambda t: 1 / 0 if random.random() == first else 0)
        return network

    before, failed, after = do(failing, [6, 7, 6], vary="noise")
    assert failed.error.startswith("ZeroDivisionError") and not failed.samples
    np.testing.assert_array_equal(samples_of(before)["spikes"], samples_of(after)["spikes"])


def test_runs_leave_nothing_behind():
    def rude(things):
        things.append(1)
        nengo.rc["precision"]["bits"] = "32"
        random.seed(1)
        np.random.seed(1)
        assert things == [1]
        assert np.geterr()["over"] == "warn"
        np.seterr(over="raise")
        return noisy()

    states = random.getstate(), np.random.get_state()[1].tolist()
    for outcome in do(rude, [1, 2], {"things": []}):
        assert outcome.error == ""
    assert nengo.rc["precision"]["bits"] == "64"
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states


def test_warnings_are_collected_without_addresses():
    class MineError(UserWarning):
        pass

    def warned():
        warnings.warn(f"{object()} is strange", MineError, stacklevel=1)
        return noisy()

    (outcome,) = do(warned, [1])
    assert outcome.warned == {
        (UserWarning, "<object object> is strange"),
        (UserWarning, "The sweep's seeds replace the seed of the network"),
    }


def named():
    network = noisy()
    return network, {"a b": network.probes[0], "gain": network.probes[1]}


def test_probes_have_names():
    (outcome,) = do(named, [1], reserved=frozenset({"gain"}))
    assert [*samples_of(outcome)] == ["a_b", "probe_gain"]
    assert outcome.samples[0][0].dims == ("time", "a_b.0")
    (outcome,) = do(named, [1], probes=("a_b",))
    assert [*samples_of(outcome)] == ["a_b"]
    (outcome,) = do(named, [1], probes=("c",))
    assert "There is no probe 'c', only ['a_b', 'gain']" in outcome.error


def sparse():
    with nengo.Network() as network:
        ends = nengo.Node(np.ones(3)), nengo.Node(size_in=3)
        transform = nengo.Sparse((3, 3), indices=[[0, 1]], init=[2.0])
        nengo.Probe(nengo.Connection(*ends, transform=transform), "weights")
    return network


def stop():
    raise SystemExit("enough")


def interrupt():
    raise KeyboardInterrupt("enough")


def surrogate():
    raise ValueError("\udcff")


def named_twice():
    network = noisy()
    return network, dict.fromkeys("ab", network.probes[0])


@pytest.mark.parametrize(
    ("make_network", "options", "text"),
    [
        (lambda: None, {}, "It must return a network, or a network and a dictionary"),
        (lambda: (noisy(), []), {}, "It must return a network"),
        (lambda: nengo.Network(), {"vary": "noise"}, "needs a network with a seed"),
        (lambda: [][1], {}, "IndexError: list index out of range"),
        (stop, {}, "SystemExit: enough"),
        (sparse, {}, "sparse matrices"),
        (interrupt, {}, "KeyboardInterrupt: enough"),
        (surrogate, {}, r"ValueError: \udcff"),
        (lambda: (noisy(), dict.fromkeys("ab")), {}, "Names must be of different probes"),
        (lambda: (noisy(), {"a": noisy().probes[0]}), {}, "Names must be of different probes"),
        (named_twice, {}, "Names must be of different probes"),
    ],
)
def test_errors_are_texts(make_network, options, text):
    (outcome,) = do(make_network, [1], **options)
    assert text in outcome.error and not outcome.samples
