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
    print(
        {
            key: names[key]
            for key in (
                "digits_accuracy",
                "drift_before",
                "drift_after",
                "product_losses",
                "found_before",
                "found_after",
                "losses",
            )
        }
    )
    assert names["digits_accuracy"] > 0.85
    assert names["drift_after"] < names["drift_before"] / 2
    assert names["product_losses"][-1] < names["product_losses"][0] / 10
    assert names["found_after"] > names["found_before"] + 0.1
    assert names["losses"]["solved"][0] < names["losses"]["random"][-1]
