"""Words that were replaced stay out of the package; docs and docstrings are in plain English."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nengo_jit

PACKAGE = Path(nengo_jit.__file__).parent
ROOT = Path(__file__).parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))
TEXTS = [
    *MODULES,
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)),
    *sorted((ROOT / "benchmarks").glob("*.*")),
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
]

# Identifiers that were replaced, and by what
REPLACED = {
    "strands": "components",
    "Piece": "Task",
    "Work": "Batch",
    "steady": "invariant",
    "unread": "deferred",
    "Watched": "Guards",
    "Method": "Strategy, RateBackend or BoundMethod",
    "octets": "uint8s",
    "integers": "int64s",
    "short_integers": "int32s",
    "reals": "float64s",
    "short_reals": "float32s",
    "lock_python": "acquire_gil",
    "unlock_python": "release_gil",
    "take_error": "fetch_error",
    "drop_object": "decref",
    "relax": "spin_hint",
    "arithmetic": "fp_control",
    "set_arithmetic": "set_fp_control",
    "bits_of": "movemask",
    "lowest_bit": "ctz",
    "number_of_bits": "popcount",
    "one_by_one": "no_vectorize",
}
# Where a word means something else: it is LLVM's or the field's there
MEANT_OTHERWISE = {
    "bits_of": {"engines/cpu/toolchain/llvm/elementary.py"},
}
MODULE_NAMES = {"library": "kernel_cache", "image": "linker", "strands": "components"}

# What a reader stumbles over, and what is meant
PHRASES = {
    "take the lock": "acquire the GIL",
    "whoever runs python": "the GIL",
    "shares its core gets the more": "spin-wait hint",
    "what is done with what": "name the nouns",
    "tell where the kernel is that": "set the address of the kernel",
    "nothing is said of": "leave it out",
    "whoever waits": "a waiting thread",
    "gets to know": "name what is passed",
    "in the words of": "written with",
    "what there is of": "name it",
}


NAMED = {
    ast.Name: "id",
    ast.Attribute: "attr",
    ast.arg: "arg",
    ast.keyword: "arg",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
}


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every name that code gives or uses, but no text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            yield from [*node.name.split("."), node.asname or ""]
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names
        for kind, attribute in NAMED.items():
            if isinstance(node, kind):
                yield getattr(node, attribute) or ""


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_identifiers_that_were_replaced_do_not_come_back(path):
    found = {each.strip("_") for each in identifiers(ast.parse(path.read_text("utf-8")))}
    for word in sorted(REPLACED.keys() & found):
        if name_of(path) not in MEANT_OTHERWISE.get(word, ()):
            pytest.fail(f"{word}: say {REPLACED[word]}")


def test_modules_that_were_renamed_do_not_come_back():
    for path in MODULES:
        assert path.stem not in MODULE_NAMES, f"{path}: say {MODULE_NAMES[path.stem]}"


@pytest.mark.parametrize("phrase", PHRASES)
def test_texts_do_without(phrase):
    found = [
        str(path.relative_to(ROOT))
        for path in TEXTS
        if phrase in re.sub(r"[\s#]+", " ", path.read_text("utf-8")).lower()
    ]
    assert not found, f"{phrase!r}: say {PHRASES[phrase]}"


def test_what_is_found_is_what_code_names():
    code = "import a.b as c\nfrom d import e\ndef f(g, *, h=1):\n    'i'\n    return j.k(l=m)\n"
    assert {*identifiers(ast.parse(code))} - {""} == set("abcdefghjklm")
