import nengo
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.builder import Model
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Copy, Reset, SparseDotInc
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


class Spiking:
    """Neurons, a sparse matrix of their spikes or of a view of them, and a sum of its own."""

    def __init__(self, seed, bits, n, m, density, form, step=1, kind=nengo.LIF, uniform=False):
        nengo.rc.set("precision", "bits", str(bits))
        rng = np.random.RandomState(seed)
        dtype = nengo.rc.float_dtype

        def signal(*shape, **options):
            return Signal(rng.uniform(-1, 1, shape).astype(dtype), **options)

        self.J = Signal(rng.uniform(-2, 60, m).astype(dtype))
        self.spikes = Signal(np.zeros(m, dtype))
        self.x = self.spikes if step == 1 else self.spikes[::step]
        numbers = scipy.sparse.random(n, self.x.size, density, random_state=rng).astype(dtype)
        if uniform:
            numbers.data[:] = 0.25
        self.matrix = Signal(numbers.asformat(form), readonly=True)
        self.y, self.total = signal(n), signal(n)
        neurons = kind()
        state = {name: Signal(np.zeros(m, dtype)) for name in neurons.state}
        self.operators = [
            SimNeurons(neurons, self.J, self.spikes, state),
            Reset(self.y, 0.5),
            SparseDotInc(self.matrix, self.x, self.y),
            Copy(self.y, self.total, inc=True),
        ]

    @property
    def model(self):
        model = Model()
        for operator in self.operators:
            model.add_op(operator)
        return model


@by_example
@given(
    seed=seeds,
    bits=precisions,
    n=st.integers(1, 30),
    m=st.integers(1, 60),
    density=st.floats(0, 1),
    form=st.sampled_from(["csr", "csc", "coo"]),
    step=st.sampled_from([1, 2, -1, -3]),
    kind=st.sampled_from([nengo.LIF, nengo.SpikingRectifiedLinear]),
    uniform=st.booleans(),
)
def test_spikes(check, seed, bits, n, m, density, form, step, kind, uniform):
    """Some spike, or most of them, or several times in a step."""
    circuit = Spiking(seed, bits, n, m, density, form, step, kind, uniform)
    check(circuit.operators, n_steps=30)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("m", [40, 5000])
def test_spikes_are_events(run_both, kernels_of, form, m):
    """Also those of several populations, divided among threads."""
    circuit = Spiking(0, 64, 300, m, 0.4, form)
    results = []
    for threads in (1, 2, 3):
        cpu, reference = run_both(circuit.model, 20, threads)
        assert len(kernels_of("sparse_dot_events")) == threads
        assert not kernels_of("sparse_dot_rows") and cpu.callbacks == []
        assert np.allclose(cpu.signals[circuit.total], reference.signals[circuit.total], 1e-10)
        results.append(cpu.signals[circuit.total])
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("part", ["data", "indices"])
@pytest.mark.parametrize("uniform", [False, True])
def test_changed_constants_of_spikes_count_from_the_next_step(run_both, form, part, uniform):
    circuit = Spiking(0, 64, 6, 40, 0.5, form, uniform=uniform)
    cpu, reference = run_both(circuit.model, 10)
    matrix = cpu.hand_out(circuit.matrix)  # which both engines have
    array = getattr(matrix, "col" if (part, form) == ("indices", "coo") else part)
    for _ in range(2):
        array.setflags(write=True)
        array[:] = array + np.arange(array.size) if part == "data" else array[::-1].copy()
        for engine in (cpu, reference):
            engine.run(10)
            engine.run(1)
        assert np.allclose(cpu.signals[circuit.total], reference.signals[circuit.total], 1e-10)
    assert part == "indices" or cpu.callbacks == []


def test_output_that_somebody_may_change(run_both):
    circuit = Spiking(0, 64, 6, 40, 0.5, "csr")
    cpu, reference = run_both(circuit.model, 10)
    for engine in (cpu, reference):
        engine.hand_out(circuit.spikes)[...] = 3
        engine.run(10)
    assert np.allclose(cpu.signals[circuit.total], reference.signals[circuit.total], 1e-10)
