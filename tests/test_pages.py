"""Pages of the site are true: their code runs, and what they name and link to is there."""

import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import nengo
import numpy as np
import pytest
import typer
from pages import (
    DOCS,
    HOW_TO,
    NOT_RUN,
    ROOT,
    all_blocks,
    anchors,
    blocks,
    commands,
    files,
    install,
    links,
    pages,
    text_of,
)

from nengo_jit.cli.app import app

SETTINGS = "[decoder_cache]\nenabled: False\n[progress]\nprogress_bar: False\n"


@pytest.mark.parametrize("page", HOW_TO)
def test_what_a_page_shows_passes_the_tests_that_it_shows(page, tmp_path):
    install(page, tmp_path)
    (tmp_path / "nengorc").write_text(SETTINGS)
    (command,) = re.findall(r"[Rr]un\s+`pytest ([^`]+)`", text_of(page))
    arguments = [sys.executable, "-m", "pytest", *command.split()]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout) and "skipped" not in done.stdout


@pytest.mark.parametrize("page", HOW_TO)
def test_code_on_pages_is_formatted_and_checked(page, tmp_path):
    install(page, tmp_path)
    for command in (["format", "--check"], ["check", "--select", "E,F,UP,B", "--ignore", "B905"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--line-length", "100", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


# By tests/training, in a process with JAX, and by tests/converters, where PyTorch is.
RUN_ELSEWHERE = {"converters", "training", "training_examples"}
SCRIPTS = [
    page for page in pages() if page not in {*HOW_TO, *RUN_ELSEWHERE} and blocks(page, "python")
]


@pytest.mark.parametrize("page", SCRIPTS)
def test_the_code_on_a_page_runs_from_top_to_bottom(page, tmp_path):
    (tmp_path / "nengorc").write_text(SETTINGS)
    code = "\n\n".join(code for _, code in blocks(page, "python"))
    (tmp_path / "page.py").write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", pages())
def test_each_block_has_a_language(page):
    known = {"python", "bash", "text", "toml"}
    assert {language for _, language, _ in all_blocks(page)} <= known


def test_blocks_that_do_not_run_are_few():
    marked = [page for page in pages() for prose, *_ in all_blocks(page) if NOT_RUN.search(prose)]
    assert marked == ["cpu_engine", "sweeps"]
    n_marks = sum(text_of(page).count("\n<!-- not run") for page in pages())
    assert n_marks == len(marked)  # each is directly before a block


@pytest.mark.parametrize("page", [page for page in pages() if commands(page)])
def test_commands_on_pages_are_there(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model.py", "run.ckpt"):
        (tmp_path / name).touch()
    for line in commands(page):
        check_command(line)


def check_command(line):
    program, *arguments = [
        each for each in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S*", each)
    ]
    match program:
        case "make":
            rules = (ROOT / "Makefile").read_text("utf-8")
            assert all(re.search(rf"^{each}:", rules, re.MULTILINE) for each in arguments), line
        case "pip":
            project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
            named = re.findall(r"\[(.*)\]", arguments[-1])
            extras = {each for names in named for each in names.split(",")}
            assert extras <= project["optional-dependencies"].keys(), line
        case "nengo-jit":
            command = typer.main.get_command(app).commands[arguments[0]]
            command.make_context(arguments[0], arguments[1:])
        case "python" | ".venv/bin/python":
            script = (ROOT / arguments[0]).read_text("utf-8")
            for each in arguments[1:]:
                assert not each.startswith("--") or each.split("=")[0] in script, line
        case _:
            assert program == "chmod", line


def test_every_page_is_on_the_site():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")[1]
    listed = re.findall(r"([\w/]+)\.md$", navigation, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) - {"benchmarks", "changelog"} == {
        page for page in pages() if not page.startswith("..")
    }


def test_every_page_is_found_from_the_readme():
    found, left = set(), ["../README"]
    while left:
        page = left.pop()
        if page in found:
            continue
        found.add(page)
        linked = [each.split("#")[0] for each in links(page) if each.split("#")[0].endswith(".md")]
        folder = (DOCS / page).parent
        for each in linked:
            path = Path(os.path.relpath(os.path.join(folder, each), DOCS)).with_suffix("")
            left += [path.as_posix()] if (DOCS / f"{path}.md").exists() else []
    assert set(pages()) <= found


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        other = {"benchmarks.md": "../benchmarks/README.md"}.get(path, path)
        target = (DOCS / page).parent / other if path else DOCS / f"{page}.md"
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(os.path.relpath(target, DOCS).removesuffix(".md")), link


def test_files_that_pages_name_are_there():
    root = DOCS.parent
    folders = ("nengo_jit", "tests", "benchmarks", "examples", "docs")
    known = [
        f"/{path.relative_to(root).as_posix()}" for f in folders for path in (root / f).rglob("*.*")
    ]
    own = {name for page in HOW_TO for name in files(page)}
    for page in pages():
        named = re.findall(r"[`(#]((?:[\w<>]+/)*[\w<>]+\.(?:py|md|sh))\b", text_of(page))
        missing = [
            name
            for name in named
            if "<" not in name
            and name not in (*own, "benchmarks.md", "changelog.md", "CHANGELOG.md")
            and not any(path.endswith(f"/{name}") for path in known)
        ]
        assert not missing, page


# What Nengo's users ask in public, in their words
ASKED = [
    "save a simulation and load it later",
    "run my model with several random seeds",
    "why is my simulation slow",
    "record only spikes",
    "change connection weights during a simulation",
    "run in real time",
    "make a custom neuron type",
    "why different results from nengo",
    "get reproducible results",
    "simulation run out of memory",
]


@pytest.mark.parametrize("asked", ASKED)
def test_a_question_has_an_answer_under_its_own_words(asked):
    headings = re.findall(r"^## (.+)$", text_of("questions"), re.MULTILINE)
    words = set(asked.split()) - {"a", "and", "in", "it", "is", "my", "run", "the", "with"}
    (answer,) = [each for each in headings if words <= set(re.findall(r"[\w-]+", each.lower()))]
    assert answer.endswith("?")


def test_the_reference_has_every_public_name(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "making")
    public = importlib.import_module("public")
    described = [
        name
        for page in pages()
        if page.startswith("reference/")
        for name in re.findall(r"^::: ([\w.]+)$", text_of(page), re.MULTILINE)
    ]
    assert sorted(described) == sorted(public.names())


def test_the_table_of_features_is_of_what_there_is(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "making")
    supported = importlib.import_module("supported")
    kinds = {title: (module, base, make) for title, module, base, make in supported.KINDS}
    module, base, make = kinds["Neuron types"]
    names = {each.__name__ for each in supported.classes(module, base)}
    assert {"LIF", "Izhikevich", "PoissonSpiking", "Direct"} <= names
    assert "RatesToSpikesNeuronType" not in names
    assert supported.on_cpu(partial(make, nengo.LIF)) == "kernels"
    nodes = {name: supported.on_cpu(make) for name, make in supported.NODES.items()}
    assert nodes["an object with a state"] == "in Python"
    assert nodes["a function of time"] == "compiled from its Python code"
    assert supported.difference(np.array([1.0, 2.0]), np.array([1.0, 2.5])).endswith("10⁻¹")


def test_pictures_are_of_a_plan(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "making")
    pictures = importlib.import_module("pictures")
    for draw in (pictures.stages, pictures.step, pictures.levels):
        ElementTree.fromstring(draw())
    _, sizes = pictures.planned()
    assert f"{sizes.operators:,} operators" in pictures.stages()
    assert sizes.calls < sizes.groups < sizes.operators
