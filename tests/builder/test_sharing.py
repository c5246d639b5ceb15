"""Which connections share a system of equations for their decoders."""

import nengo
import numpy as np
from nengo.solvers import LstsqL2, LstsqL2nz
from nengo.utils.least_squares_solvers import SVD

from nengo_jit.builder.sharing import key_of


class MySolver(LstsqL2):
    """A subclass of a solver of nengo's, which might do anything."""


class MyNeurons(nengo.LIF):
    """A subclass of a neuron type of nengo's, which might do anything."""


def key(ens, eval_points=None, solver=None, chosen=slice(None)):
    return key_of(ens, chosen, eval_points, LstsqL2() if solver is None else solver)


def test_only_solvers_and_neuron_types_of_nengos_are_shared(monkeypatch):
    with nengo.Network():
        ens = nengo.Ensemble(10, 1)
        mine = nengo.Ensemble(10, 1, neuron_type=MyNeurons())
        node = nengo.Node(0)
    assert key(ens) is not None
    assert key(ens, solver=LstsqL2nz()) is not None
    assert key(mine) is None
    assert key(node) is None
    assert key(ens, chosen=Ellipsis) is not None
    assert key(ens, chosen=np.array([True])) is not None
    assert key(ens, chosen=([0],)) is None
    assert key(ens, chosen=[[0]]) is None
    assert key(ens, eval_points=np.zeros((3, 1))) is None
    assert key(ens, solver=MySolver()) is None
    assert key(ens, solver=nengo.solvers.NoSolver()) is None
    assert key(ens, solver=LstsqL2(solver=SVD())) is None
    assert key(ens, solver=LstsqL2(reg=0)) is None
    assert key(ens, solver=LstsqL2(reg=1e-3)) is None
    assert key(ens, solver=nengo.solvers.Lstsq()) is not None
    assert key(ens, solver=nengo.solvers.Lstsq(rcond=1e-4)) is None
    assert key(ens, solver=nengo.solvers.Lstsq(rcond=1)) is None
    assert key(ens, solver=nengo.solvers.LstsqNoise()) is not None
    assert key(ens, solver=nengo.solvers.LstsqNoise(noise=0)) is None
    assert key(ens, solver=nengo.solvers.LstsqMultNoise(solver=SVD())) is None
    monkeypatch.setattr(LstsqL2, "__call__", lambda *args, **kwargs: None)
    assert key(ens) is None
    assert key(ens, solver=LstsqL2nz()) is not None
