import numpy as np
import pytest
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from nengo.exceptions import BuildError

from nengo_jit.builder import Model
from nengo_jit.builder.operator import Copy, DotInc, ElementwiseInc, Reset

by_example = settings(max_examples=100, deadline=None, derandomize=True)
seeds, precisions = st.integers(0, 10**6), st.sampled_from([16, 32, 64])
shapes = array_shapes(min_dims=0, max_dims=3, max_side=12)


@st.composite
def broadcastable(draw, shape):
    """A shape that broadcasts to another: without leading dimensions, with ones for some."""
    kept = shape[draw(st.integers(0, len(shape))) :]
    return tuple(draw(st.sampled_from([n, n, 1])) for n in kept)


@by_example
@given(seed=seeds, bits=precisions, shape=shapes)
def test_reset(check, maker, seed, bits, shape):
    check([Reset(maker(seed, bits).view(*shape), value=0.1 * seed)])


@by_example
@given(
    seed=seeds,
    bits=precisions,
    data=st.data(),
    shape=shapes,
    inc=st.booleans(),
    readonly=st.booleans(),
)
def test_copy(check, maker, seed, bits, data, shape, inc, readonly):
    make = maker(seed, bits)
    source = make.view(*data.draw(broadcastable(shape)), readonly=readonly)
    check([Copy(source, make.view(*shape), inc=inc)])


@by_example
@given(
    seed=seeds,
    bits=precisions,
    data=st.data(),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    rest=st.sampled_from([(), (3,), (2, 4)]),
    kinds=st.tuples(*[st.sampled_from(["list", "mask", "slice", "none"])] * 2),
    inc=st.booleans(),
)
def test_copy_of_selections(check, maker, seed, bits, data, sizes, rest, kinds, inc):
    make = maker(seed, bits)
    n = data.draw(st.integers(1, min(sizes)))
    sizes = [n if kind == "none" else size for kind, size in zip(kinds, sizes)]

    def selection(kind, size, repeats):
        if kind == "slice":
            return [slice(None, n), slice(size - n, None)][make.rng.randint(2)]
        chosen = make.rng.choice(size, n, replace=repeats)
        if kind == "mask":
            return np.isin(np.arange(size), make.rng.permutation(size)[:n])
        return None if kind == "none" else [int(i) for i in chosen - size * (chosen % 2)]

    source, target = (
        selection(kind, size, repeats) for kind, size, repeats in zip(kinds, sizes, (True, inc))
    )
    src, dst = make.view(sizes[0], *rest), make.view(sizes[1], *rest)
    check([Copy(src, dst, src_slice=source, dst_slice=target, inc=inc)])


def test_a_selected_element_goes_everywhere(check, maker):
    make = maker(0, 64)
    check([Copy(make.signal(4), make.signal(5), src_slice=[2], dst_slice=[0, 4, 1])])


@by_example
@given(
    seed=seeds,
    bits=precisions,
    data=st.data(),
    shape=shapes,
    full=st.sampled_from(["A", "X"]),
    readonly=st.booleans(),
)
def test_elementwise_inc(check, maker, seed, bits, data, shape, full, readonly):
    make = maker(seed, bits)
    factors = {"A": data.draw(broadcastable(shape)), "X": data.draw(broadcastable(shape))}
    factors[full] = shape
    a, x = make.view(*factors["A"], readonly=readonly), make.view(*factors["X"])
    check([ElementwiseInc(a, x, make.view(*shape))])


def test_operators_of_one_group_do_not_mix(check, maker):
    make = maker(0, 64)
    operators = []
    for n in (3, 9, 20):
        operators += [
            Copy(make.signal(n), make.signal(2 * n)[::2]),
            Copy(make.signal(n), make.signal(n)),
            ElementwiseInc(make.signal(), make.signal(2 * n)[::-2], make.signal(n)),
            ElementwiseInc(make.signal(n), make.signal(n), make.signal(n)),
            DotInc(make.signal(n, 10), make.signal(20)[::2], make.signal(n)),
            DotInc(make.signal(n, 10), make.signal(10), make.signal(n)),
        ]
    check(operators)


def test_what_a_step_would_refuse_is_refused(maker):
    make = maker(0, 64)
    for operator, error in (
        (ElementwiseInc(make.signal(3), make.signal(2), make.signal(3)), BuildError),
        (ElementwiseInc(make.signal(1, 1), make.signal(3), make.signal(3)), BuildError),
        (Copy(make.signal(2), make.signal(5), dst_slice=[1, 1]), BuildError),
        (Copy(make.signal(2), make.signal(3)), ValueError),
        (Copy(make.signal(2), make.signal(5), dst_slice=[1, 9]), IndexError),
        (Copy(make.signal(3), make.signal(5), dst_slice=[1, 2]), ValueError),
    ):
        model = Model()
        model.add_op(operator)
        with pytest.raises(error):
            engine = compiled(model)
            engine.reset(0)
            engine.run(1)
