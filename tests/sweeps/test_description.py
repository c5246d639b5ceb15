"""Descriptions are the same in every process, and differ if what they describe differs."""

import functools
import subprocess
import sys
import threading
from pathlib import Path

import nengo
import numpy as np
import pytest

from nengo_jit.sweeps.description import difference, is_users, parts_of, text_of

SCALE = 2


class Plain:
    def __init__(self, value):
        self.value = value

    def double(self):
        return 2 * self.value


def helper(x):
    return x + SCALE


def maker(value, of=helper):
    def make(gain):
        return of(gain) * value

    return make


@functools.lru_cache
def cached(x):
    return x + 1


def test_functions_are_described_by_what_they_refer_to(monkeypatch):
    before = parts_of(maker(1))
    assert before == parts_of(maker(1))
    assert "closure variable 'value' was 1, and is 3" in difference(before, parts_of(maker(3)))
    assert "closure variable 'of'" in difference(before, parts_of(maker(1, abs)))
    monkeypatch.setitem(globals(), "SCALE", 3)  # which the helper reads
    assert "closure variable 'of'" in difference(before, parts_of(maker(1)))


def test_code_counts_but_neither_comments_nor_lines():
    def made(text):
        variables = {"__name__": "nowhere"}
        exec(text, variables)
        return parts_of(variables["f"])

    assert made("def f(a):\n return a + 1") == made("# f\n\ndef f(a):\n\n return a + 1  # one")
    assert difference(made("def f(a): return a + 1"), made("def f(a): return a + 2")) is not None
    assert difference(made("def f(a): return a.x"), made("def f(a): return a.y")) is not None
    assert difference(made("def f(a=1): return a"), made("def f(a=2): return a")) is not None
    inner = "def f():\n def g(): return {}\n return g"
    assert difference(made(inner.format(1)), made(inner.format(2))) is not None


def test_attributes_do_not_count_as_globals():
    exec("def f(a): return a.SCALE", globals() | {"__name__": __name__}, made := {})
    assert not any("SCALE" in part for part in parts_of(made["f"]))


def test_modules_of_users_are_followed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_helpers_of_sweeps.py").write_text("def f(): return 1\ndef g(): return 1\n")
    import my_helpers_of_sweeps as helpers

    exec("def make(): return helpers.f()", {"helpers": helpers, "__name__": "x"}, made := {})
    before = parts_of(made["make"])
    monkeypatch.setattr(helpers, "g", None)
    assert parts_of(made["make"]) == before
    monkeypatch.setattr(helpers, "f", lambda: 2)
    assert "'helpers.f'" in difference(before, parts_of(made["make"]))
    assert is_users("my_helpers_of_sweeps") and is_users("__main__") and is_users("unknown")
    assert not any(
        map(is_users, ("numpy", "nengo.dists", "nengo_jit.sweeps.description", "math", "functools"))
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 2}),
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(1000), np.eye(1000)[0]),
        (Plain(1), Plain(2)),
        (Plain(1).double, Plain(2).double),
        (functools.partial(helper, 1), functools.partial(helper, 2)),
        (nengo.LIF(), nengo.LIF(tau_rc=0.03)),
        (np.random.RandomState(1), np.random.RandomState(2)),
        (np.sin, np.cos),
        (Path("a"), Path("b")),
        (cached, helper),
        ("x" * 999, "x" * 998),
    ],
)
def test_values_are_told_apart(one, other):
    assert text_of(one) != text_of(other)
    assert text_of(one) == text_of(one)
    assert max(len(text_of(one)), len(text_of(other))) <= 300


def test_what_counts_as_equal():
    assert text_of(np.float64(0.5)) == text_of(0.5)
    assert text_of([Plain(1), {"b", "a"}]) == text_of([Plain(1), {"a", "b"}])
    shown, fresh = nengo.dists.Uniform(-1, 1), nengo.dists.Uniform(-1, 1)
    repr(shown)  # which it keeps
    assert text_of(shown) == text_of(fresh)
    looped = [1]
    looped.append(looped)
    assert text_of(looped) == "[1, object 0]"
    assert text_of(threading.Lock()) == "_thread.lock"


SCRIPT = """
import nengo, numpy as np, pathlib
from nengo_jit.sweeps.description import parts_of, text_of

class Mine(nengo.LIF):
    def step(self, dt, J, output): output[...] = J

with nengo.Network(seed=1) as net:
    ensembles = [nengo.Ensemble(5, 1, neuron_type=Mine()) for _ in range(3)]
    nengo.Connection(ensembles[0], ensembles[1], function=lambda x: float(x[0]) in {1, 2, "abc"})
names = {"one", "two", "three"}
def make(a=net, b=pathlib.Path("x"), c=np.random.default_rng(2)):
    return names, ensembles, a
print(parts_of(make), text_of([net, Mine, names, make]))
"""


def test_descriptions_are_the_same_in_every_process(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    texts = {
        subprocess.run(
            [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(3)
    }
    assert len(texts) == 1 and " at 0x" not in texts.pop()
