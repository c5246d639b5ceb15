"""Which network of a file is run, and what is said if there is none."""

import nengo
import pytest
from commands import command, refused

from nengo_jit.cli.errors import BadInputError, ModelError
from nengo_jit.cli.model_file import load

TWO = "import nengo\na = nengo.Network(label='A')\nb = nengo.Network(label='B')\n"


def load_text(folder, text):
    path = folder / "some_model.py"
    path.write_text(text)
    return load(path)


@pytest.fixture(autouse=True)
def path_of_python(monkeypatch):
    monkeypatch.setattr("sys.path", ["/nowhere"])
    monkeypatch.setattr("sys.argv", ["pytest"])


def test_the_variable_model_is_the_network(tmp_path):
    assert load_text(tmp_path, TWO + "model = b").label == "B"


def test_the_only_outermost_network_is_found(tmp_path):
    text = "import nengo\nwith nengo.Network(label='all') as whole:\n    part = nengo.Network()"
    found = load_text(tmp_path, text)
    assert found.label == "all"
    assert found.networks[0].label == "part"


def test_objects_are_named_by_their_variables(tmp_path):
    text = """
import nengo
with nengo.Network() as model:
    a = nengo.Ensemble(2, 1)
    b = nengo.Ensemble(2, 1, label='own')
    model.out = nengo.Probe(a)
"""
    model = load_text(tmp_path, text)
    assert [each.label for each in model.ensembles] == ["a", "own"]
    assert model.probes[0].label == "out"
    assert model.label is None


def test_what_follows_is_not_run(tmp_path):
    text = "import nengo\nmodel = nengo.Network()\nif __name__ == '__main__':\n    1 / 0"
    assert isinstance(load_text(tmp_path, text), nengo.Network)


def test_files_beside_it_can_be_imported(tmp_path):
    (tmp_path / "beside_the_model.py").write_text("label = 'beside'")
    text = "import nengo, beside_the_model as b\nmodel = nengo.Network(label=b.label)"
    assert load_text(tmp_path, text).label == "beside"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no network"),
        ("", "has no network"),
        (TWO, "several networks (a, b)"),
        ("model = 3", "has no network"),
    ],
)
def test_without_one_network_it_is_refused(tmp_path, text, message):
    with pytest.raises(BadInputError) as error:
        load_text(tmp_path, text)
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00x", b"# coding: no-such\n"])
def test_files_that_are_no_text_are_refused(tmp_path, content):
    path = tmp_path / "picture.py"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="not a text file"):
        load(path)


def test_files_of_zeros_are_refused(tmp_path):
    path = tmp_path / "zeros.py"
    path.write_bytes(bytes(100))
    with pytest.raises(BadInputError, match="not a text file"):
        load(path)


def test_folders_are_refused(tmp_path):
    assert "Is a directory" in refused(command("plan", tmp_path))


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("def f():\n    return 1 / 0\nf()\n", "ZeroDivisionError: division by zero"),
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("import sys\nsys.exit('no data')", "SystemExit: no data"),
        ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
    ],
)
def test_failing_files_show_their_own_traceback(tmp_path, text, last):
    with pytest.raises(ModelError) as error:
        load_text(tmp_path, text)
    shown = error.value.text
    assert last in shown.splitlines()[-1]
    assert "some_model.py" in shown
    assert "nengo_jit" not in shown
