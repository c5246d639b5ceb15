"""Profiles: what is measured is assigned to the objects of the network."""

import json
from html.parser import HTMLParser

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, SimulatorClosed, ValidationError

import nengo_jit
from nengo_jit.engines.reference import ReferenceEngine
from nengo_jit.profiling import Profile


def square(x):
    return x**2


class Slow:
    def __call__(self, t):
        self.last = t
        for _ in range(300):
            pass
        return t


def network():
    with nengo.Network(seed=0, label="whole") as net:
        net.slow = nengo.Node(Slow(), label="slow")
        net.small = nengo.Ensemble(20, 1, label="small")
        with nengo.Network(label="part") as net.part:
            net.large = nengo.Ensemble(2000, 1, label="large")
        net.connection = nengo.Connection(
            net.small, net.large, function=square, learning_rule_type=nengo.PES()
        )
        nengo.Connection(net.slow, net.small)
        net.probe = nengo.Probe(net.large, label="out")
    return net


@pytest.fixture(scope="module", params=["cpu", "reference"])
def profile(request):
    with nengo_jit.Simulator(network(), progress_bar=False, engine=request.param) as sim:
        yield sim.profile(400)
        assert sim.n_steps == 400
        assert len(sim.data[sim.model.probes[0]]) == 400


def column(table, key, value):
    """A row's value, by the text in its first column."""
    first = next(iter(table))
    return dict(zip(table[first], table[value]))[key]


def test_parts_sum_to_the_whole(profile):
    for table in (profile.kernels, profile.objects):
        assert sum(table["share"]) == pytest.approx(1.0)
        assert sum(table["seconds"]) == pytest.approx(profile.seconds, rel=0.05)
    assert sum(cell.seconds for cell in profile.cells) == pytest.approx(profile.seconds, rel=0.05)


def test_objects_are_named_with_their_networks(profile):
    objects = profile.objects
    assert {"slow", "small", "large", "small → large", "slow → small", "out"} <= set(
        objects["object"]
    )
    assert column(objects, "large", "network") == "part"
    assert column(objects, "small", "network") == ""
    assert column(objects, "large", "kind") == "Ensemble"
    assert column(objects, "small → large", "kind") == "Connection"
    assert column(objects, "large", "seconds") > 0


def test_all_operators_of_the_network_have_an_owner(profile):
    others = {
        name for name, kind in zip(profile.objects["object"], profile.objects["kind"]) if not kind
    }
    assert others <= {"(engine)", "(TimeUpdate)"}


def test_networks_are_sums_of_their_objects(profile):
    networks = profile.networks
    assert set(networks["network"]) == {"(outermost)", "part"}
    assert column(networks, "part", "objects") == 1
    assert column(networks, "part", "seconds") == column(profile.objects, "large", "seconds")


def test_functions_are_listed_with_their_file(profile):
    functions = profile.functions
    (where,) = functions["file"]
    assert where.split(":")[0] == __file__
    assert functions["object"] == ["slow"]
    assert functions["how"][0].startswith("Python")
    assert 0 < functions["seconds"][0] < profile.seconds
    if profile.engine == "cpu":
        assert functions["how"] == ["Python: it is a Slow, an object with state"]


class Ramp(nengo.Process):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t: [t]


class Halved(nengo.RectifiedLinear):
    def step(self, dt, J, output):
        output[...] = 0.5 * J


def test_neuron_types_and_processes_of_users_are_listed_with_their_file():
    with nengo.Network() as net:
        nengo.Node(Ramp(default_size_out=1))
        nengo.Ensemble(5, 1, neuron_type=Halved())
    with nengo_jit.Simulator(net, progress_bar=False, compile_python=False) as sim:
        table = sim.profile(10).functions
    found = dict(zip(table["function"], table["file"]))
    for method in (Ramp.make_step, Halved.step):
        kind = method.__qualname__.split(".")[0]
        (file,) = (found[name] for name in found if kind in name)
        assert file == f"{__file__}:{method.__code__.co_firstlineno}"


def test_memory_is_that_of_signals_parameters_and_samples(profile):
    objects = profile.objects
    assert column(objects, "out", "bytes") >= 8 * 400
    large = column(objects, "large", "bytes")
    assert 2000 * 8 * 5 < large < 2000 * 8 * 30
    assert column(objects, "slow", "bytes") < 100


def test_the_build_is_listed_by_stage_and_kind(profile):
    build = profile.build
    assert {"plan", "memory and kernels"} < set(build["stage"])
    assert {"Ensemble", "Connection", "Node", "Probe"} < set(build["part"])
    assert all(seconds >= 0 for seconds in build["seconds"])
    assert column(profile.objects, "small → large", "build seconds") > 0
    assert sum(build["share"]) == pytest.approx(1.0)


def test_tables_are_made_of_plain_values(profile):
    found = json.loads(json.dumps(profile.to_dict()))
    assert found["engine"] == profile.engine
    for name in ("networks", "objects", "kernels", "functions", "build"):
        assert len({len(values) for values in found[name].values()}) == 1, name


def test_texts_have_all_tables(profile):
    text = str(profile)
    for word in ("whole: a step takes", "Objects", "Kernels", "Python functions", "Build", "large"):
        assert word in text
    html = profile._repr_html_()
    assert "<h4>Kernels</h4>" in html and "small → large" in html

    from rich.console import Console

    console = Console(width=120)
    with console.capture() as captured:
        console.print(profile)
    assert "Kernels" in captured.get() and "large" in captured.get()


class Sources(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_no_other_file(profile, tmp_path):
    profile.save_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    parser = Sources()
    parser.feed(page)
    assert parser.found == []
    assert "Plotly.newPlot" in page and "Profile of whole" in page
    assert "large" in page and "<h4>Objects</h4>" in page


def test_areas_contain_their_parts(profile):
    from nengo_jit.profiling.page import _areas, _times

    areas = _areas(_times(profile.cells), profile.name)
    total = dict(zip(areas["ids"], areas["values"]))
    inside = dict.fromkeys(total, 0.0)
    for name, parent in zip(areas["ids"], areas["parents"]):
        if parent:
            inside[parent] += total[name]
    for name in set(areas["parents"]) - {""}:
        assert inside[name] == pytest.approx(total[name])
    assert "all/part/large" in total


def test_labels_may_be_anything(tmp_path):
    with nengo.Network(label="<b> & co") as net:
        nengo.Ensemble(10, 1, label="<script>alert(1)</script>")
    with nengo_jit.Simulator(net, progress_bar=False, engine="reference") as sim:
        found = sim.profile(10)
    assert "<script>alert" not in found._repr_html_()
    found.save_html(tmp_path / "page.html")
    assert "<script>alert" not in (tmp_path / "page.html").read_text()


def test_results_and_state_are_those_of_a_run():
    net = network()
    found = []
    for profiled in (True, False):
        with nengo_jit.Simulator(net, progress_bar=False) as sim:
            for steps in (100, 300, 100):
                if profiled and steps == 300:
                    assert isinstance(sim.profile(steps), Profile)
                else:
                    sim.run_steps(steps)
            found.append(sim.data[net.probe])
    np.testing.assert_array_equal(*found)


def test_models_that_nengo_has_built_have_a_profile():
    model = nengo.builder.Model(builder=nengo.builder.Builder())
    model.build(network())
    with nengo_jit.Simulator(None, model=model, progress_bar=False) as sim:
        found = sim.profile(100)
    assert sum(found.objects["share"]) == pytest.approx(1.0)
    assert "(SimNeurons LIF)" in found.objects["object"]
    assert next(iter(found.build.values())) == []


def test_engines_may_name_steps_of_several_operators(monkeypatch):
    def make_steps(self, rng):
        steps = [self.step_of(operator, rng) for operator in self.plan.operators]
        yield "all of them", lambda: [step() for step in steps]

    monkeypatch.setattr(ReferenceEngine, "make_steps", make_steps)
    with nengo_jit.Simulator(network(), progress_bar=False, engine="reference") as sim:
        found = sim.profile(20)
    assert column(found.kernels, "all of them", "share") > 0.5
    assert "(all of them)" in found.objects["object"]


def test_an_empty_network_has_a_profile():
    with nengo_jit.Simulator(nengo.Network(), progress_bar=False) as sim:
        assert "a step takes" in str(sim.profile(10))


@pytest.mark.parametrize("steps", [3, 0, -1])
def test_too_few_steps_are_refused(steps):
    with nengo_jit.Simulator(nengo.Network(), progress_bar=False) as sim:
        with pytest.raises(ValidationError, match="at least 4"):
            sim.profile(steps)
        assert sim.n_steps == 0


def test_a_closed_simulator_has_no_profile():
    with nengo_jit.Simulator(nengo.Network(), progress_bar=False) as sim:
        pass
    with pytest.raises(SimulatorClosed):
        sim.profile()


def test_replaced_methods_have_no_profile():
    class Own(nengo_jit.Simulator):
        def step(self):
            super().step()

    with (
        Own(nengo.Network(), progress_bar=False) as sim,
        pytest.raises(SimulationError, match="replaced"),
    ):
        sim.profile()


def test_a_step_cannot_profile_its_own_simulator():
    with nengo.Network() as net:
        nengo.Node(lambda t: sims[0].profile(), size_out=0)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        sims = [sim]
        with pytest.raises(SimulationError, match="within a step"):
            sim.step()


@pytest.mark.parametrize("calls_python", [True, False])
def test_on_the_jax_engine_calls_are_shared_out_among_all_their_operators(calls_python):
    pytest.importorskip("jax")
    net = network()
    if not calls_python:
        net.slow.output = [0.5]
    with nengo_jit.Simulator(net, engine="jax", progress_bar=False) as sim:
        profile = sim.profile(steps=20)
    seconds = dict(zip(profile.objects["object"], profile.objects["seconds"]))
    assert sum(seconds.values()) == pytest.approx(profile.seconds, rel=0.05)
    assert seconds["large"] > seconds["small"] > 0
