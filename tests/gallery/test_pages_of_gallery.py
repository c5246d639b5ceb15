"""The gallery's pages and notebooks have all of each script, and say what was measured."""

import ast
import sys
from pathlib import Path

import nbformat
import pytest

GALLERY = Path(__file__).parents[2] / "gallery"
sys.path.append(str(GALLERY / "tools"))

from build_gallery import NAMES, SECTIONS  # noqa: E402
from texts import Cell, read, split  # noqa: E402
from texts import notebook as notebook_of  # noqa: E402
from writing import JIT, NENGO, Result, index, page  # noqa: E402


def result(ours, theirs):
    """Return a result with times to build and to run."""
    seconds = {
        name: {"build": build, "run": run}
        for name, (build, run) in {JIT: ours, NENGO: theirs}.items()
    }
    return Result(seconds, "12 spikes", "a Monday")


def statements(code):
    return [ast.dump(each) for each in ast.parse(code).body]


def test_all_scripts_are_in_the_gallery():
    assert sorted(NAMES) == sorted(path.stem for path in GALLERY.glob("*.py"))
    assert len(NAMES) >= 14


@pytest.mark.parametrize("name", NAMES)
def test_a_script_is_short_and_begins_with_a_title(name):
    source = (GALLERY / f"{name}.py").read_text("utf-8")
    assert len(source.splitlines()) <= 100
    example = read(GALLERY / f"{name}.py")
    assert 5 < len(example.title) < 50 and not example.title.endswith(".")
    assert 2 <= example.introduction.count(". ") + 1 <= 4
    assert "nengo_jit.Simulator(" in source or "nengo_jit.sweep(" in source


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_and_a_page_have_all_of_the_script(name):
    source = (GALLERY / f"{name}.py").read_text("utf-8")
    example = read(GALLERY / f"{name}.py")
    notebook = notebook_of(example)
    nbformat.validate(notebook)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert statements(code) == statements(source)[1:]  # all but the docstring
    written = page(example, result((0.1, 0.1), (1.0, 1.0)))
    for cell in example.cells:
        assert cell.text in written and cell.code in written
    assert f"# {example.title}" in written and "12 spikes" in written and "a Monday" in written
    assert f"{name}.light.png#only-light" in written and f"{name}.dark.png#only-dark" in written
    assert ".png" not in page(example, None)


def test_a_cell_begins_with_its_text():
    assert split("# One\n# two.\n\nx = 1  # three\n# four\n") == Cell(
        "One two.", "x = 1  # three\n# four"
    )
    assert split("import nengo\n") == Cell("", "import nengo")
    assert split("# Text.\n") == Cell("Text.", "")


def test_the_index_leads_to_all_examples():
    sections = {
        title: [read(GALLERY / f"{name}.py") for name in names] for title, names in SECTIONS.items()
    }
    written = index(sections, {"lorenz": result((1, 1), (2, 8))})
    for name in NAMES:
        assert f"({name}.md)" in written
    assert "5.0 times faster" in written and "8 times in running" in written


def test_where_nengo_is_faster_the_page_says_so():
    assert result((2, 1), (1, 1)).verdict == (
        "Not faster than nengo: it takes 1.5 times as long in all"
    )
    assert result((2, 1), (1, 8)).verdict == (
        "3.0 times faster than nengo in all, 8 times in running, but slower to build"
    )
    assert "slower" not in result((1, 1), (2, 8)).verdict
