"""The code in docs/training.md runs as written."""

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_the_page_runs_and_freezes_what_it_has_learned():
    names = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), names)
    assert len(names["history"]) == 2
    assert np.isfinite(names["history"]["validation_loss"]).all()
    assert isinstance(names["net"].connections[0].transform.init, np.ndarray)
