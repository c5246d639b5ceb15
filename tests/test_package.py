"""What ``import nengo_jit`` does."""

import subprocess
import sys

import pytest

import nengo_jit


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_imported_before_it_is_used():
    assert run("import nengo_jit, sys; print('numpy' in sys.modules)") == "False\n"


@pytest.mark.parametrize(
    "code",
    [
        "import nengo_jit; nengo_jit.Simulator",
        "from nengo_jit import Simulator, SimulationData",
        "from nengo_jit import *; Simulator",
        "import nengo_jit; nengo_jit.plot.values",
        "from nengo_jit import plot; plot.values",
        "import nengo_jit, sys; from nengo_jit import *; 'jax' in sys.modules and 1/0",
        "import nengo_jit; nengo_jit.simulator.Simulator is nengo_jit.Simulator or 1/0",
    ],
)
def test_it_is_there_when_it_is_used(code):
    run(code)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'Simulater'"):
        nengo_jit.Simulater  # noqa: B018
    assert not hasattr(nengo_jit, "__wrapped__")


def test_all_names_are_listed():
    assert {"Simulator", "SimulationData", "Trainer", "__version__"} <= set(dir(nengo_jit))
