import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Copy, DotInc, Reset
from nengo_jit.builder.signal import Signal

by_example = settings(max_examples=100, deadline=None, derandomize=True)
seeds, precisions = st.integers(0, 10**6), st.sampled_from([32, 64])


@by_example
@given(
    seed=seeds,
    bits=precisions,
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    readonly=st.booleans(),
    column=st.booleans(),
)
def test_dot_inc(check, maker, seed, bits, n, m, readonly, column):
    make = maker(seed, bits)
    x, y = ((m, 1), (n, 1)) if column else ((m,), (n,))
    check([DotInc(make.view(n, m, readonly=readonly), make.view(*x), make.view(*y))])


@pytest.mark.parametrize(
    "a, x, y",
    [
        ((), (), ()),
        ((), (3,), (3,)),
        ((3,), (), (3,)),
        ((), (), (4,)),
        ((3, 1), (), (3, 1)),
        ((5,), (5,), ()),
        ((5,), (5,), (1,)),
        ((5,), (5,), (3,)),
        ((5,), (5, 1), (1,)),
        ((1, 5), (5,), (1,)),
        ((1,), (1,), (1, 1)),
        ((4, 1), (1,), (4,)),
    ],
)
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("readonly", [False, True])
def test_dot_inc_of_vectors_and_scalars(check, maker, a, x, y, bits, readonly):
    make = maker(len(a), bits)
    check([DotInc(make.signal(*a, readonly=readonly), make.signal(*x), make.signal(*y))])


@by_example
@given(
    seed=seeds,
    bits=precisions,
    n=st.integers(1, 20),
    m=st.integers(1, 7),
    setter=st.sampled_from(["reset", "constant", "variable"]),
    others=st.sampled_from(["none", "copied", "part"]),
)
def test_dot_inc_after_what_sets_the_sum(check, maker, seed, bits, n, m, setter, others):
    """Which is left out if the products can begin with it."""
    make = maker(seed, bits)
    y, x = make.signal(n), make.signal(m)
    operators = [
        Reset(y, value=0.3)
        if setter == "reset"
        else Copy(make.signal(n, readonly=setter == "constant"), y),
        DotInc(make.signal(n, m, readonly=True), x, y),
        Copy(y, make.signal(n)),
    ]
    if others == "copied":
        operators.append(Copy(make.signal(n), y, inc=True))
    if others == "part":
        operators.append(DotInc(make.signal(1, m, readonly=True), x, y[:1]))
    check(operators)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 1.0])  # of neurons that spike
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 9, 40])
def test_dot_inc_of_spikes(check, maker, n, share, readonly, bits):
    """More neurons than are listed together, and as few rows as are added up side by side."""
    make, m = maker(n, bits), 2100
    J, output, voltage = make.signal(m), make.signal(m), make.signal(m)
    currents = np.where(make.rng.uniform(size=m) < share, 600.0, 0.0)
    neurons = SimNeurons(nengo.SpikingRectifiedLinear(), J, output, {"voltage": voltage})
    check(
        [
            Copy(Signal(currents.astype(J.dtype), readonly=True), J),
            neurons,
            DotInc(make.signal(n, m, readonly=readonly), output, make.signal(n)),
        ]
    )
