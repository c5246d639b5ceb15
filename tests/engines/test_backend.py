"""Backends, and how they are found."""

import importlib
import sys

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.engines import (
    ENGINES,
    GROUP,
    Backend,
    backend_class,
    backend_for,
    known_engines,
)
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.toolchain.target import has_half_precision
from nengo_jit.engines.reference import ReferenceBackend
from nengo_jit.options import Options


def model_of_an_array():
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(10, 3)
        nengo.Connection(nengo.Node([1, 2, 3]), array.input, synapse=None)
    model = Model()
    model.build(net)
    return model


def test_the_reference_engine_is_planned_for_without_passes():
    plan = ReferenceBackend().plan(model_of_an_array())
    assert (plan.invariant, plan.deferred, plan.groups, plan.runs) == (
        frozenset(),
        frozenset(),
        (),
        (),
    )


def test_the_cpu_engine_is_planned_for_by_all_passes():
    plan = CpuBackend().plan(model_of_an_array())
    assert plan.invariant and plan.deferred and plan.groups and plan.runs


@pytest.mark.parametrize("name", ENGINES)
def test_what_engines_take(name):
    options = Options.chosen(engine=name, threads=2, compile_python=False)
    backend = backend_for(options)
    assert (backend.name, backend.options) == (name, options)
    assert np.dtype("float64") in backend.precisions
    has_half = {"cpu": has_half_precision(), "reference": True, "jax": False}
    assert (np.dtype("float16") in backend.precisions) == has_half[name]


class Picky(Backend):
    """Takes an option that no other engine has, and not the number of threads."""

    name = "picky"
    options_taken = frozenset({"compile_python", "batch"})

    def compile(self, plan, progress=None):
        raise NotImplementedError


def test_options_that_are_given_and_not_taken_are_errors():
    Picky(Options.chosen(compile_python=False))
    Picky(Options(threads=2))  # which nobody has given by keyword
    with pytest.raises(ValidationError, match=r"threads: .*'picky'.*it has: batch, compile_python"):
        Picky(Options.chosen(threads=2))


def test_a_backend_must_say_how_to_compile():
    class Nothing(Backend):
        name = "nothing"

    with pytest.raises(TypeError, match="compile"):
        Nothing()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install packages with entry points: ``install(name="module:attribute")``."""
    modules = set(sys.modules)

    def install(**points):
        package = tmp_path / "others-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (package / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        return tmp_path

    yield install
    for name in set(sys.modules) - modules:
        if name.startswith("others"):
            del sys.modules[name]


FINE = """
from nengo_jit.engines.reference import ReferenceBackend

class Backend(ReferenceBackend):
    name = "fine"
"""


def test_engines_of_other_packages_are_known_and_unknown_ones_list_them(install):
    folder = install(zeta="others_fine:Backend", fine="others_fine:Backend")
    (folder / "others_fine.py").write_text(FINE)
    assert list(known_engines()) == [*ENGINES, "fine", "zeta"]
    assert "others_fine" not in sys.modules  # it is imported when it is chosen
    known = "'cpu', 'reference', 'jax', 'fine', 'zeta'"
    with pytest.raises(ValidationError, match=f"'warp'; known.*{known}"):
        backend_class("warp")
    assert backend_class("fine").name == "fine"
    with nengo_jit.Simulator(nengo.Network(), engine="fine") as sim:
        sim.run_steps(3)
        assert (sim.engine, sim.n_steps) == ("fine", 3)


def test_what_cannot_be_imported_says_why_and_harms_nobody_else(install):
    folder = install(
        broken="others_broken:Backend",
        missing="others_missing:Backend",
        nothing="others_fine:Nothing",
        function="others_fine:print",
        fine="others_fine:Backend",
    )
    (folder / "others_fine.py").write_text(FINE + "\nfrom builtins import print\n")
    (folder / "others_broken.py").write_text("raise RuntimeError('no licence')\n")
    for name, reason in (
        ("broken", "'others_broken:Backend' of the package others: RuntimeError: no licence"),
        ("missing", "ModuleNotFoundError: No module named 'others_missing'"),
        ("nothing", "AttributeError: .*Nothing"),
        ("function", "has no Backend"),
    ):
        with pytest.raises(ValidationError, match=reason):
            nengo_jit.Simulator(nengo.Network(), engine=name)
    for name in (*ENGINES, "fine"):
        nengo_jit.Simulator(nengo.Network(), engine=name).close()


def test_nobody_can_replace_our_engines(install):
    folder = install(cpu="others_fine:Backend", reference="others_fine:Backend")
    (folder / "others_fine.py").write_text(FINE)
    assert backend_class("cpu") is backend_class() is CpuBackend
    assert backend_class("reference") is ReferenceBackend
    assert list(known_engines()) == list(ENGINES)
