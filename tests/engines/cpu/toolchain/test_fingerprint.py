"""Fingerprints of functions: equal for what does the same, different for what may not."""

import math
from enum import IntEnum
from types import ModuleType

import numpy as np
import pytest

from nengo_jit.engines.cpu.toolchain.fingerprint import fingerprint, referred

FACTOR = 2.0


def with_global(x):
    return FACTOR * x


def calls_other(x):
    return with_global(x) + math.sqrt(x)


def recursive(n):
    return 1 if n == 0 else n * recursive(n - 1)


def with_array(values):
    return lambda x: x + values[0]


def with_closure(factor):
    return lambda x: factor * x


def test_equal_functions_have_equal_fingerprints():
    def first(x):
        return x + 1.0

    def second(x):
        """A name, a docstring and a place change nothing but the constants."""
        return x + 1.0

    assert fingerprint(first) == fingerprint(first)
    assert fingerprint(with_closure(3)) == fingerprint(with_closure(3))
    assert fingerprint(with_array(np.ones(2))) == fingerprint(with_array(np.ones(2)))
    assert len(fingerprint(second)) == 32


@pytest.mark.parametrize(
    "one, other",
    [
        (lambda x: x + 1.0, lambda x: x + 2.0),
        (lambda x: x + 1.0, lambda x: x + 1),
        (lambda x: x + 0.0, lambda x: x - 0.0),
        (lambda x: x, lambda x, y=1: x),
        (lambda x: math.sin(x), lambda x: math.cos(x)),
        (lambda x: math.sin(x), lambda x: np.sin(x)),
        (with_closure(3), with_closure(4)),
        (with_closure(3), with_closure(3.0)),
        (with_closure(np.float32(3)), with_closure(np.float64(3))),
        (with_closure((1, 2)), with_closure((1, (2,)))),
        (with_array(np.ones(2)), with_array(np.ones(3))),
        (with_array(np.ones(2)), with_array(np.array([1.0, 2.0]))),
    ],
)
def test_different_functions_have_different_fingerprints(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_what_is_called_and_globals_count(monkeypatch):
    before = fingerprint(calls_other)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert fingerprint(calls_other) != before


def test_more_values_count():
    assert fingerprint(with_global, "a", "b") != fingerprint(with_global, "ab")
    assert fingerprint(with_global, np.dtype("f4")) != fingerprint(with_global, np.dtype("f8"))


def test_recursion_ends():
    assert fingerprint(recursive) == fingerprint(recursive)


def test_what_a_function_refers_to():
    assert set(referred(calls_other)) == {"with_global", "math"}
    assert referred(with_closure(5)) == {"factor": 5}


@pytest.mark.parametrize("value", [[1, 2], {}, object(), np.array([None])])
def test_what_can_change_unseen_is_refused(value):
    with pytest.raises(TypeError, match="has no fingerprint"):
        fingerprint(with_closure(value))


def test_constants_of_modules_matter():
    module = ModuleType("constants_of_the_user")
    module.GAIN, module.OTHER = 2.0, 1.0

    def function(x):
        return module.GAIN * x

    first = fingerprint(function)
    module.OTHER = 3.0
    assert fingerprint(function) == first
    module.GAIN = 5.0
    assert fingerprint(function) != first


def enumeration(**values):
    return IntEnum("Code", values, module=__name__)


@pytest.mark.parametrize("other", [{"ADD": 1, "MULTIPLY": 3}, {"MULTIPLY": 1, "ADD": 2}])
def test_values_of_enumerations_matter(other):
    """They become constants in machine code, where a function or a module refers to them."""
    first = enumeration(ADD=1, MULTIPLY=2)
    module = ModuleType("codes_of_the_user")

    def from_module():
        return module.Code.ADD

    fingerprints = []
    for each in (first, enumeration(ADD=1, MULTIPLY=2), enumeration(**other)):
        module.Code = each
        fingerprints.append((fingerprint(with_closure(each)), fingerprint(from_module)))
    assert fingerprints[0] == fingerprints[1]
    assert fingerprints[0][0] != fingerprints[2][0]
    assert fingerprints[0][1] != fingerprints[2][1]
