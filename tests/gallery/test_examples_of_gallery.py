"""Each example of the gallery does what its text and its picture say.

Examples that take long, or need what only the extra ``gallery`` installs, run in ``make gallery``,
which sets ``NENGO_JIT_GALLERY``.
"""

import os
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

GALLERY = Path(__file__).parents[2] / "gallery"
only_in_make_gallery = pytest.mark.skipif(
    "NENGO_JIT_GALLERY" not in os.environ, reason="takes long: run in `make gallery`"
)
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning", "error::UserWarning")


@pytest.fixture
def example(monkeypatch):
    """Run an example; returns its names, once it is checked that it has drawn something."""
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")

    def run(name):
        names = runpy.run_path(str(GALLERY / f"{name}.py"), run_name="__main__")
        assert plt.get_fignums() and all(axes.has_data() for axes in plt.gcf().axes)
        return names

    yield run
    plt.close("all")


def test_the_oscillator_has_the_frequencies_that_it_is_asked_for(example):
    names = example("oscillator")
    np.testing.assert_allclose(names["frequencies"], [2, 1, -2], rtol=0.05)
    radius = np.hypot(names["x"], names["y"])[1000:]
    assert radius.min() > 0.7 and radius.max() < 1.3


def test_the_lorenz_attractor_has_two_wings(example):
    names = example("lorenz")
    assert names["changes_of_side"] > 10
    assert names["x"].min() < -10 and names["x"].max() > 10
    assert names["z"].min() > 0 and 30 < names["z"].max() < 50


def test_the_delay_network_delays_a_heartbeat(example):
    pytest.importorskip("pywt")
    names = example("delay_network")
    assert names["error"] < 0.06 and names["correlation"] > 0.94
    undelayed = np.corrcoef(
        names["sim"].data[names["output"]].T, names["sim"].data[names["signal"]].T
    )
    assert undelayed[0, 1] < 0.3


def test_the_arm_reaches_its_targets_after_adaptation_and_not_before(example):
    missed = example("arm")["missed"]
    assert missed[0].mean() > 10  # centimetres
    assert missed[1:].max() < 3 and missed[-1].mean() < 1


def test_basal_ganglia_choose_the_highest_utility(example):
    names = example("basal_ganglia")
    np.testing.assert_array_equal(names["choices"], names["UTILITIES"].argmax(axis=1))
    activity = np.sort(names["activity"], axis=1)
    assert (activity[:, -1] > 0.9).all() and (activity[:, :-1] < 0.1).all()


def test_questions_are_answered(example):
    pytest.importorskip("nengo_spa")
    names = example("question_answering")
    assert names["answers"] == list(names["ANSWERS"].values())


@only_in_make_gallery
def test_a_hundred_thousand_neurons_bind_vectors(example):
    names = example("large")
    assert names["model"].n_neurons > 100_000
    at_end = names["at_end"]
    assert at_end.diagonal().min() > 0.98
    assert np.abs(at_end[~np.eye(len(at_end), dtype=bool)]).max() < 0.3


def test_digits_are_classified(example):
    assert example("digits")["accuracy"] >= 0.96


def test_cells_fire_at_edges_of_their_orientation(example):
    names = example("held_images")
    assert names["n"] == names["rates"][0].size
    where = np.unravel_index(names["rates"].sum(axis=(1, 2)).argmax(axis=1), (4,))[0]
    assert set(where) == {0}  # roofs and horizons
    assert names["rates"].max() > 100 and np.median(names["rates"]) == 0


@only_in_make_gallery
def test_training_moves_the_boundary(example):
    untrained, trained = example("training")["accuracies"]
    assert untrained < 0.8 and trained >= 0.95


def test_each_kind_of_cell_has_its_pattern(example):
    counts = dict(zip((names := example("izhikevich"))["KINDS"], names["counts"]))
    assert 5 < counts["regular spiking"] < 15
    assert counts["fast spiking"] > 3 * counts["regular spiking"]
    chattering = names["spikes"][list(counts).index("chattering")]
    intervals = np.diff(np.flatnonzero(names["sim"].data[chattering]))
    assert intervals.max() > 8 * np.median(intervals)  # bursts


def test_cuba_keeps_firing_irregularly(example):
    names = example("cuba")
    assert 3 < names["rate"] < 10
    assert np.mean(names["variations"]) > 0.5
    assert names["fired"][-200:].mean() * 1000 > 3


def test_cells_choose_an_orientation_by_bcm(example):
    names = example("bcm")
    assert names["before"].mean() < 0.4 and names["after"].mean() > 0.7
    assert len(set(names["preferred"])) == 4


def test_stdp_strengthens_inputs_that_fire_together(example):
    names = example("own_learning_rule")
    strength = names["strength"]
    assert abs(strength[0].mean() - 0.5) < 0.02
    together, others = strength[-1, : names["TOGETHER"]], strength[-1, names["TOGETHER"] :]
    assert together.mean() > 0.9 and others.mean() < 0.1


@only_in_make_gallery
def test_the_error_of_a_sweep_falls_with_the_number_of_neurons(example):
    names = example("sweep")
    assert dict(names["errors"].sizes) == {"n_neurons": 5, "neuron_type": 2, "seed": 10}
    means = names["errors"].mean("seed").values
    assert (np.diff(means, axis=0) < 0).all() and (means[0] > 3 * means[-1]).all()
