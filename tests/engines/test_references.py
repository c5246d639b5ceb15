"""What functions refer to, assign to, and do with collections."""

from types import ModuleType, SimpleNamespace

import nengo
import numpy as np
import pytest

from nengo_jit.engines import references
from nengo_jit.engines.references import (
    attributes_assigned_by,
    cells_assigned_by,
    is_installed,
    only_added_to,
    referred,
    scopes_assigned_by,
)

ITEMS, KEY, COUNT = [], "a", 0


def adds(t):
    ITEMS.append(t)


def adds_to_an_item(t):
    ITEMS[KEY].append(t)
    ITEMS["b"][0].extend([t])


def adds_in_another_function(t):
    def inner(items=ITEMS):
        items.append(t)

    inner()


def adds_by_default(t, ITEMS=ITEMS):
    return ITEMS.append(t) or t


def reads(t):
    ITEMS.append(t)
    return len(ITEMS)


def sets(t):
    ITEMS[0] = t


def takes_out(t):
    ITEMS.append(t)
    ITEMS.pop(0)


def passes_on(t):
    adds(ITEMS)


def iterates(t):
    return [each for each in ITEMS]  # noqa: C416


def adds_to_a_result(t):
    ITEMS[len(KEY)].append(t)


def renames(t):
    other = ITEMS
    other.append(t)


def enclosed():
    items = []

    def function(t):
        items.append(t)

        def inner():
            items.append(t)

        return inner()

    return function


@pytest.mark.parametrize("function", [adds, adds_to_an_item, adds_by_default, enclosed()])
def test_functions_that_only_add(function):
    assert only_added_to(function) & {"ITEMS", "items"}


@pytest.mark.parametrize(
    "function",
    [
        *[reads, sets, takes_out, passes_on, iterates, adds_to_a_result, renames],
        adds_in_another_function,
    ],
)
def test_functions_that_do_more(function):
    assert "ITEMS" not in only_added_to(function)


@pytest.mark.parametrize(
    ("opname", "argval", "loaded"),
    [
        ("LOAD_FAST", "a", ("a",)),
        ("LOAD_FAST_LOAD_FAST", ("a", "b"), ("a", "b")),
        ("STORE_FAST_LOAD_FAST", ("a", "b"), ("b",)),
        ("LOAD_FROM_DICT_OR_GLOBALS", "a", ("a",)),
        ("STORE_FAST", "a", ()),
        ("LOAD_CONST", "a", ()),
    ],
)
def test_instructions_of_later_versions(opname, argval, loaded):
    assert references._loaded(SimpleNamespace(opname=opname, argval=argval)) == loaded


def test_what_functions_refer_to():
    module = ModuleType("users")
    module.inner, module.other = ITEMS, {}

    def function(t, a, b=KEY, *, c=3):
        return module.inner, np.sin, inside

    inside = 2.0
    found = dict(referred(function))
    assert found.pop("module.inner") is ITEMS
    assert found == {"b": KEY, "c": 3, "module": module, "np": np, "inside": 2.0}


def test_what_functions_assign_to():
    module, inside, obj = ModuleType("users"), 0, SimpleNamespace()
    module.count = 0

    def function(t):
        nonlocal inside
        global COUNT
        inside, COUNT = 1, 1
        obj.number = module.count = 3

    assert attributes_assigned_by(function) == {"number", "count"}
    assert [cell.cell_contents for cell in cells_assigned_by(function)] == [0]
    assert scopes_assigned_by(function) == [(globals(), ["COUNT"]), (vars(module), ["count"])]
    assert scopes_assigned_by(reads) == []


def test_libraries():
    assert all(map(is_installed, ("collections.abc", "numpy.random", nengo.__name__, "pytest")))
    assert not any(map(is_installed, ("__main__", __name__, "unknown")))
