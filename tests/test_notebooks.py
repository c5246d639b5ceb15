"""Notebooks: what Jupyter shows, in a notebook that is executed."""

import nbformat
import nengo
import pytest
from nbclient import NotebookClient

import nengo_jit

CELLS = [
    """
import nengo, nengo_jit
nengo.rc["decoder_cache"]["enabled"] = "False"
with nengo.Network(seed=0, label="<tasty & small>") as model:
    stimulus = nengo.Node(lambda t: t % 1, label="stimulus")
    ensemble = nengo.Ensemble(20, 1, label="ensemble")
    nengo.Connection(stimulus, ensemble)
    decoded = nengo.Probe(ensemble, synapse=0.01, label="decoded")
sim = nengo_jit.Simulator(model, progress_bar=False)
""",
    "sim",
    "sim.plan",
    "sim.profile(100)",
    """
%matplotlib inline
nengo_jit.plot.values(sim, decoded);
""",
    """
from nengo.utils.progress import AutoProgressBar, TerminalProgressBar, VdomProgressBar
for bar in (VdomProgressBar(), TerminalProgressBar(), AutoProgressBar(VdomProgressBar(), 0), True):
    sim.run(0.01, progress_bar=bar)
sim.n_steps
""",
    "sim.close()\nsim",
]


@pytest.fixture(scope="module")
def outputs():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def html(output):
    return output[-1].data["text/html"]


def test_a_simulator_shows_what_it_runs(outputs):
    assert outputs[0] == []
    text = html(outputs[1])
    for part in ("&lt;tasty &amp; small&gt;", "cpu", "20", "probe decoded", "open", "0 s, 0 steps"):
        assert part in text
    assert "closed" in html(outputs[6]) and "0.14 s, 140 steps" in html(outputs[6])
    assert "140 by 1" in html(outputs[6])


def test_a_plan_shows_its_groups(outputs):
    text = html(outputs[2])
    for part in ("Plan: ", "SimNeurons LIF", "<td", "probe &lt;Probe", "compiled: SimPyFunc"):
        assert part in text


def test_a_profile_shows_its_tables(outputs):
    text = html(outputs[3])
    for part in ("a step takes", "<h4>Kernels</h4>", "ensemble", "&lt;lambda&gt;"):
        assert part in text


def test_a_plot_is_shown(outputs):
    assert outputs[4][-1].data["image/png"]


def test_all_progress_bars_of_nengo_work(outputs):
    assert outputs[5][-1].data["text/plain"] == "140"


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_representations_need_no_notebook(engine):
    with nengo_jit.Simulator(nengo.Network(), progress_bar=False, engine=engine) as sim:
        assert "without a label" in sim._repr_html_()
        assert "TimeUpdate" in sim.plan._repr_html_()
    with nengo_jit.Simulator(None, model=sim.model, progress_bar=False, engine=engine) as sim:
        assert engine in sim._repr_html_()


def test_long_plans_are_cut_off():
    with nengo.Network() as net:
        for _ in range(100):
            nengo.Connection(nengo.Node(0), nengo.Node(size_in=1), synapse=None)
    with nengo_jit.Simulator(net, progress_bar=False, engine="reference") as sim:
        text = sim.plan._repr_html_()
    assert text.count("<tr>") <= 61
