"""Progress bars show what is being done: building, planning, lowering, loading kernels."""

import nengo
import pytest
from nengo.utils.progress import Progress

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.engines import backend_class
from nengo_jit.progress import begin_stage

STAGES = ["Planning", "Lowering", "Loading kernels"]


class Noted(Progress):
    """Notes its stages, and how far each has got.

    Parameters
    ----------
    stop : str or None
        The stage in which Ctrl-C is pressed.
    """

    def __init__(self, stop=None):
        super().__init__()
        self.stages, self.stop = {}, stop

    def step(self, n=1):
        if self.name_during == self.stop:
            raise KeyboardInterrupt
        super().step(n)
        self.stages[self.name_during] = self.n_steps, self.max_steps


def network():
    with nengo.Network(seed=1) as net:
        array = nengo.networks.EnsembleArray(20, 10)
        nengo.Connection(nengo.Node([1.0] * 10), array.input)
        nengo.Probe(array.output)
    return net


@pytest.fixture
def model():
    model = Model()
    model.build(network())
    return model


def test_each_stage_gets_to_its_end(model):
    backend, noted = backend_class("cpu")(), Noted()
    backend.compile(backend.plan(model, noted), noted)
    assert list(noted.stages) == STAGES
    for name in STAGES[1:]:
        n_steps, most = noted.stages[name]
        assert n_steps == most
    assert noted.stages["Lowering"][0] == len(model.operators)


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_in_any_stage_leaves_nothing_behind(model, stage):
    backend = backend_class("cpu")()
    noted = Noted(stop=stage)
    with pytest.raises(KeyboardInterrupt):
        backend.compile(backend.plan(model, noted), noted)
    engine = backend.compile(backend.plan(model))
    engine.reset(0)
    engine.run(3)
    assert engine.n_steps == 3


def test_ctrl_c_while_a_network_is_built(monkeypatch):
    """The bar is closed, and the network can be built afterwards."""
    shown = []

    class Bar(nengo.utils.progress.ProgressBar):
        def update(self, progress):
            shown.append((progress.name_during, progress.finished, progress.success))

        def close(self):
            shown.append("closed")

    net = network()
    step = Progress.step

    def interrupted(self, n=1):
        step(self, n)
        if self.name_during == "Building" and self.n_steps > self.max_steps / 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Progress, "step", interrupted)
        nengo_jit.Simulator(net, progress_bar=Bar())
    assert shown[-2:] == [("Building", True, False), "closed"]
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(3)


def test_a_new_stage_begins_at_zero():
    progress = Progress("Building", max_steps=3)
    progress.step(2)
    begin_stage(progress, "Planning", 8)
    assert (progress.name_during, progress.progress, progress.max_steps) == ("Planning", 0.0, 8)
    begin_stage(progress, "Nothing to do", 0)
    assert progress.max_steps == 1
    begin_stage(None, "Without a bar", 3)
