import nengo
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.builder import Model
from nengo_jit.builder.operator import SparseDotInc
from nengo_jit.builder.signal import Signal

by_example = settings(max_examples=40, deadline=None, derandomize=True)
seeds, precisions = st.integers(0, 10**6), st.sampled_from([32, 64])


def sparse(make, n, m, density, form):
    matrix = scipy.sparse.random(n, m, density, random_state=make.rng, dtype=np.float64)
    return matrix.astype(nengo.rc.float_dtype).asformat(form)


@by_example
@given(
    seed=seeds,
    bits=precisions,
    n=st.integers(1, 30),
    m=st.integers(1, 30),
    density=st.floats(0, 1),
    form=st.sampled_from(["csr", "csc", "coo"]),
    readonly=st.booleans(),
    column=st.booleans(),
)
def test_sparse_matrices(check, maker, seed, bits, n, m, density, form, readonly, column):
    make = maker(seed, bits)
    matrix = Signal(sparse(make, n, m, density, form), readonly=readonly)
    x, y = make.view(m), make.view(n)
    if column and x.base is x and y.base is y:
        x, y = x.column(), y.column()
    check([SparseDotInc(matrix, x, y)])


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_changed_data_of_a_sparse_matrix_count_from_the_next_step(maker, run_both, form):
    make = maker(0, 64)
    matrix, x, y = Signal(sparse(make, 5, 4, 0.6, form)), make.signal(4), make.signal(5)
    model = Model()
    model.add_op(SparseDotInc(matrix, x, y))
    engines = run_both(model, 2)
    for engine in engines:
        engine.signals[matrix].data[...] *= 3
        engine.run(2)
    cpu, reference = engines
    assert cpu.callbacks == []
    assert np.allclose(cpu.signals[y], reference.signals[y], rtol=1e-12)


def test_long_indices(maker, check):
    make = maker(0, 64)
    matrix = sparse(make, 5, 4, 0.6, "csr")
    matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
    check([SparseDotInc(Signal(matrix), make.signal(4), make.signal(5))])


@pytest.mark.parametrize("dtype, form", [("float32", "csr"), ("int64", "csr"), ("float64", "dia")])
def test_other_sparse_matrices_run_in_python(maker, run_both, dtype, form):
    make = maker(0, 64)
    matrix = scipy.sparse.csr_matrix(np.arange(12).reshape(3, 4)).astype(dtype).asformat(form)
    y = make.signal(3)
    model = Model()
    model.add_op(SparseDotInc(Signal(matrix), make.signal(4), y))
    cpu, reference = run_both(model, 2)
    assert len(cpu.callbacks) == 1
    assert np.array_equal(cpu.signals[y], reference.signals[y])
