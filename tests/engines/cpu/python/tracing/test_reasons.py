"""The page on what stays in Python has all reasons that tracing may give, and no others."""

import ast
import re
from pathlib import Path

import nengo_jit
from nengo_jit.engines.cpu.python.tracing.bytecode.frame import REASONS

PACKAGE = Path(nengo_jit.__file__).parent
PYTHON = PACKAGE / "engines" / "cpu" / "python"
PAGE = PACKAGE.parent / "docs" / "stays_in_python.md"
# Reasons that are put together elsewhere than where they are raised
OTHERS = {
    "cannot be compiled (…: …)",
    "reads the closure variable `…`, which is not assigned",
    "uses the instruction …",
}


def text_of(node):
    """What a literal says, with "…" for its variable parts; None if it is no literal."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (each.value if isinstance(each, ast.Constant) else "…" for each in node.values)
        return "".join(parts)
    return None


def raised():
    for path in (*(PYTHON / "tracing").rglob("*.py"), PYTHON / "callbacks.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Unsupported":
                yield text_of(node.args[0])


def test_the_page_has_all_reasons():
    reasons = {each.replace("{}", "…") for each in (*REASONS.values(), *OTHERS)}
    reasons.update(each for each in raised() if each is not None)
    rows = re.findall(r"^\| .+? \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    listed = {reason for row in rows for reason in row.split("<br>")}
    listed -= {"---", "is called, since it"}
    assert listed == reasons
