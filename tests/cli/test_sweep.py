"""The command ``sweep``."""

import numpy as np
import pytest
import xarray
from commands import MODEL, command, refused

import nengo_jit
from nengo_jit.cli.errors import BadInputError
from nengo_jit.cli.sweep import values_of

FUNCTION = """
import nengo
from beside import scale

def make_network(gain, n=10, kind="lif"):
    with nengo.Network() as network:
        ensemble = nengo.Ensemble(n, 1, label=str(kind))
        nengo.Connection(nengo.Node([scale * gain]), ensemble)
        nengo.Probe(ensemble, synapse=0.01, label="decoded")
        nengo.Probe(ensemble.neurons, label="spikes")
    if gain == 9:
        raise ValueError("nine")
    return network
"""


@pytest.fixture
def function(tmp_path):
    (tmp_path / "beside.py").write_text("scale = 0.5\n")
    path = tmp_path / "function.py"
    path.write_text(FUNCTION)
    return path


def test_a_function_is_run_for_all_parameters_and_seeds(function, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    options = ["--param", "gain=0.5,1,9", "-p", "kind=a,b", "--seeds", 2, "-t", 0.02]
    options += ["--probe", "decoded", "-o", "r.zarr"]
    done = command(
        "sweep",
        function,
        *options,
        "--probe",
        "decoded",
        "-o",
        "r.zarr",
        cwd=tmp_path / "elsewhere",
    )
    assert done.returncode == 1, done.stderr
    assert "8 runs done in" in done.stdout and "4 failed" in done.stdout
    assert done.stderr.splitlines() == ["nengo-jit: 4 failed: ValueError: nine"]
    ds = xarray.open_zarr(tmp_path / "elsewhere" / "r.zarr")
    assert ds.decoded.dims[:3] == ("gain", "kind", "seed") and "spikes" not in ds
    assert ds.gain.values.tolist() == [0.5, 1, 9] and ds.kind.values.tolist() == ["a", "b"]
    variables = {"__name__": "function"}
    exec(FUNCTION.replace("from beside import scale", "scale = 0.5"), variables)
    network = variables["make_network"](1)
    network.seed = 1
    with nengo_jit.Simulator(network, progress_bar=False) as sim:
        sim.run(0.02)
    expected = sim.data[network.probes[0]]
    np.testing.assert_array_equal(ds.decoded.sel(gain=1, kind="a", seed=1), expected)


def test_a_network_is_run_for_all_seeds_and_goes_on(model, tmp_path):
    def swept(*options):
        return command("sweep", model, "-t", 0.02, "-o", "r.zarr", *options, cwd=tmp_path)

    assert swept("--seeds", 2).returncode == 0
    assert xarray.open_zarr(tmp_path / "r.zarr").decoded.shape == (2, 10, 1)
    done = swept("--seeds", 2)
    assert done.returncode == 0 and "all runs were done already" in done.stdout
    assert xarray.open_zarr(tmp_path / "r.zarr").decoded.shape == (2, 10, 1)
    line = refused(swept("--seeds", 3))
    assert "the list of seeds was" in line
    assert line.rstrip().endswith("Choose another path, or overwrite it")  # by --overwrite, here
    assert swept("--seeds", 3, "--overwrite").returncode == 0
    model.write_text(MODEL.replace("30, 1", "31, 1"))
    assert "make_network's arguments was" in refused(swept("--seeds", 3))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--out", "r.npz"], ".zarr"),
        (["--param", "gain"], "write NAME=A,B,C"),
        (["--param", "gain=1", "--param", "gain=2"], "'gain' has values already"),
        (["--param", "gain=1", "--param", "unknown=1"], "'unknown'"),
        (["--param", "n=1"], "'gain'"),
        (["--seeds", "-1"], "--seeds"),
        (["--time", "-1"], "--time"),
        (["--param", "gain=1", "--vary", "all"], "'noise'"),
        (["--param", "gain=1", "--cluster", "nowhere"], "--cluster nowhere"),
        (["--param", "time=1"], "'time'"),
    ],
)
def test_what_cannot_be_run_is_a_line(options, named, function):
    folder = function.parent
    assert named in refused(command("sweep", function, "--out", "r.zarr", *options, cwd=folder))
    assert sorted(path.name for path in folder.glob("*.zarr")) == []


def test_parameters_need_a_function(model):
    line = refused(command("sweep", model, "--param", "a=1", "--out", "r.zarr", cwd=model.parent))
    assert "has no function make_network(a)" in line


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2.5", [1, 2.5]),
        ("(1, 2),None", [(1, 2), None]),
        ("'a,b',c", ["a,b", "c"]),
        ("lif, relu", ["lif", "relu"]),
        ("True", [True]),
        ("1e-3", [0.001]),
    ],
)
def test_values_are_literals_or_texts(text, values):
    assert values_of([f"a={text}"]) == {"a": values}


@pytest.mark.parametrize("option", ["=1", "gain", "gain=", "gain= "])
def test_no_values_are_an_error(option):
    with pytest.raises(BadInputError, match="write NAME=A,B,C"):
        values_of([option])
