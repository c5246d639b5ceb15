"""What an example says: its title, its introduction, and its cells of text and code.

An example is a script. Its docstring has the title and an introduction. A line ``# %%`` begins a
cell; comments that follow it at once are the cell's text, in Markdown, and the rest is its code.
"""

import ast
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


class Cell(NamedTuple):
    """Text in Markdown, and the code that it is about. Either may be empty."""

    text: str
    code: str


class Example(NamedTuple):
    """A script: its name without ``.py``, its title, introduction and cells."""

    name: str
    title: str
    introduction: str
    cells: list[Cell]


def split(part: str) -> Cell:
    """Split a cell into the comments that it begins with, and its code."""
    lines = part.strip("\n").split("\n")
    n_comments = next((i for i, line in enumerate(lines) if line[:1] != "#"), len(lines))
    text = " ".join(line.lstrip("# ") for line in lines[:n_comments])
    return Cell(text, "\n".join(lines[n_comments:]).strip("\n"))


def read(path: Path) -> Example:
    """Read a script."""
    source = path.read_text("utf-8")
    module = ast.parse(source)
    title, _, introduction = (ast.get_docstring(module) or "").partition("\n")
    code = "\n".join(source.split("\n")[module.body[0].end_lineno :])
    cells = [split(part) for part in code.split("\n# %%\n")]
    return Example(path.stem, title.rstrip("."), " ".join(introduction.split()), cells)


def notebook(example: Example) -> nbformat.NotebookNode:
    """Return the example as a notebook that has not been run."""
    cells = [new_markdown_cell(f"# {example.title}\n\n{example.introduction}")]
    for cell in example.cells:
        cells += [new_markdown_cell(cell.text)] if cell.text else []
        cells += [new_code_cell(cell.code)] if cell.code else []
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # the same whenever it is written
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})
