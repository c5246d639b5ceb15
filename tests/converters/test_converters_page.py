"""The code in docs/converters.md runs as written."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
nir = pytest.importorskip("nir")
PAGE = Path(__file__).parents[2] / "docs" / "converters.md"


def test_the_page_runs():
    names = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), names)
    assert names["sim"].data[names["probe"]].shape == (1, 10)
    assert isinstance(names["graph"], nir.NIRGraph)
    assert len(names["again"].ensembles) == 1
