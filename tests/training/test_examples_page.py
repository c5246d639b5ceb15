"""The programs in docs/training_examples.md run as written, and learn."""

import re
from pathlib import Path

import nengo
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "training_examples.md"
pytest.importorskip("sklearn")


def test_the_examples_learn():
    names, bits = {}, nengo.rc["precision"]["bits"]
    try:
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
            exec(compile(code, str(PAGE), "exec"), names)
    finally:
        nengo.rc["precision"]["bits"] = bits
    assert names["digits_accuracy"] > 0.85
    assert names["drift_after"] < 0.8 * names["drift_before"]
    assert names["product_losses"][-1] < names["product_losses"][0] / 10
    assert names["losses"]["solved"][0] < names["losses"]["random"][-1]
    assert names["error_after"] < 0.5 * names["error_before"]
    assert len(names["unbinding"].all_ensembles) == 72
