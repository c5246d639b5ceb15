"""The command ``profile``."""

import json

import pytest
from commands import command, refused


def test_tables_a_page_and_data_are_written(model, tmp_path):
    done = command(
        "profile", model, "--steps", 200, "--html", "p.html", "--json", "p.json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    for text in ("model.py: a step takes", "Kernels", "squares", "inner"):
        assert text in done.stdout
    assert "Profile of model.py" in (tmp_path / "p.html").read_text()
    found = json.loads((tmp_path / "p.json").read_text())
    assert "squares" in found["objects"]["object"]


FAILING = """
import nengo
with nengo.Network() as model:
    nengo.Node(lambda t: 1 / 0 if t > 0.01 else 0)
"""


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--steps", "3"], "--steps"),
        (["--html", "page.txt"], "page.txt"),
        (["--json", "/no/such/folder/x.json"], "/no/such/folder"),
        (["--engine", "no-such"], "no-such"),
    ],
)
def test_bad_options_are_refused(model, options, named, tmp_path):
    assert named in refused(command("profile", model, *options, cwd=tmp_path))


def test_a_failing_model_shows_its_own_traceback(model):
    model.write_text(
        "import nengo\nmodel = nengo.Network()\nwith model:\n  nengo.Node(lambda t: 1/0)"
    )
    done = command("profile", model)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr and "nengo_jit/" not in done.stderr
