"""The command line as a whole."""

import subprocess
import sys

import pytest
from commands import command, refused

import nengo_jit

COMMANDS = ("run", "resume", "sweep", "profile", "plan", "bench", "compile", "info")
HEAVY = ("nengo", "numpy", "numba", "scipy", "rich", "matplotlib")


def test_it_can_be_run_as_a_module():
    done = command("--version")
    assert done.returncode == 0
    assert done.stdout.split() == ["nengo-jit", nengo_jit.__version__]


@pytest.mark.parametrize("arguments", [(), *((name,) for name in COMMANDS)])
def test_help_is_short_and_imports_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nengo_jit", *arguments, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported.isdisjoint(HEAVY)


def test_help_lists_all_commands():
    text = command("--help").stdout
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert "..." not in text.split("Commands:")[1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["no-such-command"], "no-such-command"),
        (["run"], "MODEL.PY"),
        (["run", "model.py", "--no-such-option"], "--no-such-option"),
        (["run", "model.py", "--time", "soon"], "--time"),
        (["run", "no_such_file.py"], "no_such_file.py"),
    ],
)
def test_unknown_words_are_refused_in_one_line(arguments, named, model):
    assert named in refused(command(*arguments, cwd=model.parent))


def test_refusals_are_sentences():
    assert "Did you mean 'run'? See nengo-jit --help" in refused(command("rnu"))


def test_without_a_command_the_way_to_the_help_is_shown():
    assert "nengo-jit --help" in refused(command())


def test_without_its_packages_one_line_says_what_to_install(tmp_path):
    hidden = (
        "import sys, importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'rich' else find(name, *a); "
        "from nengo_jit.cli import main; main(['info'])"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert "needs rich: pip install 'nengo-jit[cli]'" in refused(done)


def test_output_may_be_cut_off(model):
    done = subprocess.run(
        f"'{sys.executable}' -m nengo_jit plan '{model}' | true",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
    )
    assert done.stderr.strip() == ""
