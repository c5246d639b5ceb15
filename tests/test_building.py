"""What making a simulator shows, and that Ctrl-C ends it in every stage."""

import gc
import signal
import sys
import threading

import nengo
import numpy as np
import pytest
from nengo.utils.progress import Progress, ProgressBar

import nengo_jit
from nengo_jit.builder.systems import System
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.engines.cpu.program.program import Program
from nengo_jit.engines.cpu.toolchain import kernel_cache
from nengo_jit.planner import passes

STAGES = ["Building", "Planning", "Lowering", "Loading kernels", "Assembling"]

PLACES = {  # that do a part of the work of a stage
    "building": (System, "decode"),
    "planning": (passes, "topological_order"),
    "facts for lowering": (Lowering, "__init__"),
    "lowering": (Lowering, "lower"),
    "loading kernels": (kernel_cache, "load_kernels"),
    "assembling": (Program, "__init__"),
}


class Quiet(ProgressBar):
    """A bar that shows nothing, which is not nengo's `NoProgressBar`."""

    def update(self, progress):
        pass


@pytest.fixture
def network():
    with nengo.Network(seed=1) as net:
        array = nengo.networks.EnsembleArray(20, 5)
        out = nengo.Node(size_in=5)
        nengo.Connection(array.output, out)
        net.probe = nengo.Probe(out)
    return net


@pytest.fixture
def entered(monkeypatch):
    """What progress has been shown of: all of it, and then its parts."""
    entered = []
    enter = Progress.__enter__

    def note(self):
        entered.append(self)
        return enter(self)

    monkeypatch.setattr(Progress, "__enter__", note)
    return entered


@pytest.fixture
def shares(entered, monkeypatch):
    """By stage: the share that is done after each of its steps."""
    shares = {}
    step = Progress.step

    def count(self, n=1):
        step(self, n)
        if self is not entered[0]:
            shares.setdefault(self.name_during, []).append(self.n_steps / self.max_steps)

    monkeypatch.setattr(Progress, "step", count)
    return shares


def test_each_stage_is_shown_from_its_beginning_to_its_end(network, entered, shares):
    with nengo_jit.Simulator(network, progress_bar=Quiet(), engine="cpu"):
        whole, *_, last = entered
    assert (whole.n_steps, whole.max_steps) == (3, 3)
    assert list(shares) == STAGES[:-1]
    for of_stage in shares.values():
        assert of_stage[0] > 0 and of_stage == sorted(of_stage) and of_stage[-1] == 1
    assert (last.name_during, last.max_steps) == (STAGES[-1], None)  # who knows how long it takes


def test_results_do_not_depend_on_whether_progress_is_shown(network):
    data = []
    for bar in (Quiet(), False):
        with nengo_jit.Simulator(network, progress_bar=bar) as sim:
            sim.run_steps(50)
            data.append(sim.data[network.probe])
    np.testing.assert_array_equal(*data)


@pytest.mark.parametrize("stage", PLACES)
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_each_stage_and_leaves_nothing_behind(
    network, stage, threads, monkeypatch, ctrl_c
):
    def make():
        return nengo_jit.Simulator(network, progress_bar=Quiet(), engine="cpu", threads=threads)

    owner, name = PLACES[stage]
    original = getattr(owner, name)

    def interrupted(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return original(*args, **kwargs)

    before = set(threading.enumerate())
    with monkeypatch.context() as patch:
        for module in (owner, *_importers(name, original)):
            patch.setattr(module, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            make()
    assert gc.isenabled()
    assert set(threading.enumerate()) <= before
    with make() as sim:  # again, as if nothing had happened
        sim.run_steps(10)
        assert len(sim.data[network.probe]) == 10


def _importers(name, function):
    """Modules that have imported a function by its name."""
    modules = [each for key, each in sys.modules.items() if key.startswith("nengo_jit.")]
    return [module for module in modules if vars(module).get(name) is function]
