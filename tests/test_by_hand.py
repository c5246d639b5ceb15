"""What is put in the place of a simulator's methods and steps is what runs, as in nengo."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ReadonlyError

import nengo_jit
from nengo_jit.engines import ENGINES

SIMULATORS = ["nengo", *ENGINES]


class Example:
    """A model with noise, and a function that does something in step 50."""

    def __init__(self):
        self.sim, self.act = None, None
        with nengo.Network(seed=0) as self.net:
            stim = nengo.Node(self.function, size_out=1)
            ens = nengo.Ensemble(20, 1, noise=nengo.processes.WhiteNoise(seed=3))
            nengo.Connection(stim, ens)
            filtered = nengo.Node(nengo.processes.FilteredNoise(nengo.Lowpass(0.01)))
            noise = nengo.Node(nengo.processes.WhiteNoise(), size_out=2)
            self.neurons = ens.neurons
            nengo.Probe(ens, synapse=0.01)
            nengo.Probe(stim, sample_every=0.003)
            nengo.Probe(filtered)
            nengo.Probe(noise)

    def function(self, t):
        if self.sim is not None and self.act is not None and round(1000 * t) == 50:
            self.act(self.sim)
        return np.sin(9 * t)

    def run(self, use, simulator):
        """What somebody sees who uses a simulator, and the samples."""
        if simulator == "nengo":
            sim = nengo.Simulator(self.net, optimize=False, progress_bar=False, seed=1)
        else:
            sim = nengo_jit.Simulator(self.net, engine=simulator, progress_bar=False, seed=1)
        with sim:
            self.sim = sim
            seen = use(sim)
            return seen, sim.n_steps, [sim.data[probe] for probe in self.net.all_probes]


@pytest.fixture(params=ENGINES)
def is_nengos(request):
    """Check that ours does what nengo does with a use of a simulator."""

    def check(use, act=None):
        example = Example()
        example.act = act
        seen, n_steps, data = example.run(use, request.param)
        expected, expected_n, expected_data = example.run(use, "nengo")
        assert (seen, n_steps) == (expected, expected_n)
        for ours, theirs in zip(data, expected_data):
            assert len(ours) == len(theirs)
            assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-12)

    return check


class TestMethods:
    def test_recording_that_is_wrapped(self, is_nengos):
        def use(sim):
            calls, probe = [], sim._probe
            sim.run_steps(10)

            def wrapped():
                probe()
                calls.append(sim.n_steps)

            sim._probe = wrapped
            sim.run_steps(10)
            sim.step()
            del sim._probe
            sim.run_steps(5)
            return calls

        is_nengos(use)

    def test_recording_that_is_left_out(self, is_nengos):
        def use(sim):
            sim.run_steps(10)
            sim._probe = lambda: sim._probe_step_time()
            sim.run_steps(7)
            sim.step()
            del sim._probe
            sim.run_steps(5)
            sim.clear_probes()
            sim.run_steps(4)
            return sim.n_steps

        is_nengos(use)

    def test_time_that_is_replaced(self, is_nengos):
        def use(sim):
            def tell():
                calls.append(1)
                read()

            calls, read = [], sim._probe_step_time
            sim._probe_step_time = tell
            sim.run_steps(10)
            sim.reset()
            sim.run_steps(5)
            return len(calls)

        is_nengos(use)

    @pytest.mark.parametrize("name", ["step", "_probe", "_probe_step_time"])
    def test_the_class_is_changed_later(self, is_nengos, name):
        def use(sim):
            calls, kind = [], type(sim)
            method = getattr(kind, name)
            sim.run_steps(5)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(kind, name, lambda sim: (calls.append(1), method(sim)))
                sim.run_steps(5)
                sim.step()
            sim.run_steps(5)
            return len(calls)

        is_nengos(use)

    @pytest.mark.parametrize("name", ["step", "_probe", "_probe_step_time"])
    def test_within_a_run(self, is_nengos, name):
        calls = []

        def act(sim):
            method = getattr(sim, name)
            setattr(sim, name, lambda: (calls.append(1), method()))

        def use(sim):
            calls.clear()
            sim.run_steps(120)
            return len(calls)

        is_nengos(use, act)

    def test_before_the_constructor(self, is_nengos):
        def use(sim):
            class Early(type(sim)):
                def __init__(self, *args, **kwargs):
                    self._probe = self.tell
                    self.n_calls = 0
                    super().__init__(*args, **kwargs)

                def tell(self):
                    self.n_calls += 1
                    type(self)._probe(self)

            with nengo.Network() as net:
                probe = nengo.Probe(nengo.Node(0.5))
            with Early(net, progress_bar=False) as early:
                early.run_steps(8)
                return early.n_calls, early.data[probe].tolist()

        is_nengos(use)


class TestSteps:
    def test_more_of_them(self, is_nengos):
        def use(sim):
            calls = []
            sim.run_steps(10)
            steps = list(sim._steps)
            sim._steps = [*steps, lambda: calls.append(sim.n_steps)]
            sim.run_steps(10)
            sim.step()
            sim._steps = steps
            sim.run_steps(10)
            return calls

        is_nengos(use)

    def test_their_list_is_changed(self, is_nengos):
        def use(sim):
            calls = []
            sim._steps.insert(0, lambda: calls.append(sim.n_steps))
            sim.run_steps(10)
            del sim._steps[0]
            sim.step()
            sim._steps.append(lambda: calls.append(-1))
            sim.reset()
            sim.run_steps(10)
            return calls

        is_nengos(use)

    def test_that_were_never_asked_for(self, is_nengos):
        def use(sim):
            calls = []
            sim._steps = [lambda: calls.append(1)]
            sim.run_steps(3)
            sim.step()
            sim.reset()
            sim.run_steps(3)
            return calls

        is_nengos(use)

    def test_within_a_run(self, is_nengos):
        calls = []

        def act(sim):
            sim._steps = [*sim._steps, lambda: calls.append(sim.n_steps)]

        def use(sim):
            calls.clear()
            sim.run_steps(120)
            return calls

        is_nengos(use, act)

    def test_operators_that_are_left_out_count_from_the_next_reset(self, is_nengos):
        def use(sim):
            kinds = [type(op).__name__ for op in sim._step_order]
            sim.run_steps(10)
            del sim._step_order[kinds.index("SimNeurons")]
            sim.run_steps(5)
            sim.reset()
            sim.run_steps(20)
            return len(sim._step_order) - len(sim._steps)

        is_nengos(use)

    def test_noise_goes_on(self, is_nengos):
        def use(sim):
            for _ in range(3):
                sim.run_steps(7)
                for _ in range(5):
                    for step in sim._steps:
                        step()
                    sim._probe()

        is_nengos(use)


@pytest.fixture(params=ENGINES)
def sim(request):
    with nengo_jit.Simulator(Example().net, engine=request.param, progress_bar=False) as sim:
        yield sim


class TestAttributes:
    def test_dependencies_are_kept(self, sim):
        assert sim.dg is sim.dg
        mine = sim.dg = {}
        assert sim.dg is mine

    def test_rng_until_the_next_reset(self, sim):
        mine = sim.rng = np.random.RandomState(3)
        sim.run_steps(3)
        assert sim.rng is mine
        sim.reset()
        assert sim.rng is not mine

    def test_signals_are_the_engines(self, sim):
        sim.signals = sim.signals
        with pytest.raises(ReadonlyError, match=r"sim\.signals\[signal\] = value"):
            sim.signals = dict(sim.signals)
        sim.run_steps(2)
        sim.signals = None
        assert sim.signals is None
