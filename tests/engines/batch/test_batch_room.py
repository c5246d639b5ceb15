"""Batches that do not fit in memory are refused, with the number of members that do."""

import os

import nengo
import pytest
from nengo.exceptions import ValidationError

import nengo_jit
from nengo_jit.engines.batch import making
from nengo_jit.engines.batch.room import check_room, physical_memory


class Foreign(nengo.Process):
    """A process whose steps are made anew for each member."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t: rng.uniform(size=shape_out)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("has_own_engines", [False, True])
def test_a_batch_that_does_not_fit(engine, has_own_engines, monkeypatch):
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Ensemble(100, 1))
        if has_own_engines:
            nengo.Node(Foreign(default_size_in=0))
    options = {"engine": engine, "progress_bar": False}
    with nengo_jit.Simulator(net, batch=1, **options) as sim:
        of_each = sum(rows.nbytes for rows in sim._engine.signals.blocks)
    monkeypatch.setattr(making, "physical_memory", lambda: 20 * of_each)
    with pytest.raises(ValidationError, match="members fit at most") as raised:
        nengo_jit.Simulator(net, batch=64, **options)
    most = int(str(raised.value).split(": ")[-1].split()[0])
    assert 5 < most < 20
    nengo_jit.Simulator(net, batch=most, **options).close()
    with pytest.raises(ValidationError, match=f"{most} members fit"):
        nengo_jit.Simulator(net, batch=most + 1, **options)


def test_memory_that_is_not_known(monkeypatch):
    check_room(10**9, 10**9, 0, None)
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert physical_memory() is None


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="memory is not known")
def test_the_memory_of_this_machine():
    assert physical_memory() > 1 << 28
