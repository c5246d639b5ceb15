"""Memory that kernels read stays where it is, whoever it belongs to."""

import ctypes

import nengo
import numpy as np
import pytest
import scipy.sparse
from compiling import compiled

import nengo_jit
from nengo_jit.builder import Model, Signal
from nengo_jit.builder.operator import Copy, DotInc, Reset, SparseDotInc
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.language.mt19937 import Stream
from nengo_jit.engines.reference import ReferenceBackend
from nengo_jit.regions import CHECKED

ENGINES = ReferenceBackend, CpuBackend


def make_engine(engine_class, *operators):
    model = Model()
    for operator in operators:
        model.add_op(operator)
    engine = compiled(model, engine_class)
    engine.reset(0)
    return engine


def product(engine_class, weights, x):
    """An engine that multiplies anew in each step, and where the product is."""
    y = Signal(np.zeros(len(weights)))
    multiply = DotInc(Signal(weights, readonly=True), Signal(x), y)
    return make_engine(engine_class, Reset(y), multiply), y


@pytest.mark.parametrize("size", [3, 400])
@pytest.mark.parametrize("engine_class", ENGINES)
def test_weights_cannot_be_resized(engine_class, size):
    weights = np.random.RandomState(0).rand(size, size)
    right = weights.dot(np.ones(size))
    engine, y = product(engine_class, weights, np.ones(size))
    with pytest.raises(ValueError, match="resize"):
        weights.resize((10 * size, 10 * size), refcheck=False)
    engine.run(2)
    engine.settle()
    np.testing.assert_allclose(engine.signals[y], right)
    del engine
    if not CHECKED:  # else they are held for as long as they exist
        weights.resize((10 * size, 10 * size), refcheck=False)


@pytest.mark.parametrize("engine_class", ENGINES)
def test_weights_in_memory_of_other_libraries_are_copied(engine_class):
    buffer = (ctypes.c_double * 9)(*range(9))
    weights = np.ctypeslib.as_array(buffer).reshape(3, 3)
    engine, y = product(engine_class, weights, np.ones(3))
    ctypes.memset(buffer, 0, ctypes.sizeof(buffer))
    engine.run(1)
    engine.settle()
    assert engine.signals[y].tolist() == [3.0, 12.0, 21.0]


@pytest.mark.parametrize("engine_class", ENGINES)
def test_weights_in_a_buffer(engine_class):
    buffer = bytearray(np.arange(9.0).tobytes())
    weights = np.ndarray((3, 3), buffer=buffer)
    engine, y = product(engine_class, weights, np.ones(3))
    with pytest.raises(BufferError):
        buffer.extend(bytes(10**6))
    engine.run(1)
    engine.settle()
    assert engine.signals[y].tolist() == [3.0, 12.0, 21.0]


@pytest.mark.parametrize("engine_class", ENGINES)
def test_weights_that_are_not_aligned(engine_class):
    weights = np.zeros(9 * 8 + 1, np.uint8)[1:].view(np.float64).reshape(3, 3)
    weights[...] = np.arange(9.0).reshape(3, 3)
    engine, y = product(engine_class, weights, np.ones(3))
    engine.run(1)
    engine.settle()
    assert engine.signals[y].tolist() == [3.0, 12.0, 21.0]
    assert all(array.flags.aligned for array in engine.signals.values())


def test_inputs_that_are_presented_cannot_be_resized():
    with nengo.Network() as net:
        process = nengo.processes.PresentInput(np.arange(6.0).reshape(3, 2), 0.001)
        probe = nengo.Probe(nengo.Node(process))
    with nengo_jit.Simulator(net, engine="cpu") as sim:
        with pytest.raises(ValueError, match="resize"):
            process.inputs.resize((10**5, 2), refcheck=False)
        sim.run_steps(4)
        assert sim.data[probe].tolist() == [[0, 1], [2, 3], [4, 5], [0, 1]]


def sparse_engine(engine_class, readonly, kind, x=(1.0, 1.0, 1.0)):
    matrix = scipy.sparse.csr_matrix(np.diag([1.0, 2.0, 3.0])).asformat(kind)
    weights, y, out = Signal(matrix, readonly=readonly), Signal(np.zeros(3)), Signal(np.zeros(3))
    multiply = SparseDotInc(weights, Signal(np.array(x)), y)
    engine = make_engine(engine_class, Reset(y), multiply, Copy(y, out))
    return engine, engine.signals[weights], out


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("engine_class", ENGINES)
def test_the_numbers_of_a_sparse_matrix_are_replaced(engine_class, kind):
    engine, matrix, out = sparse_engine(engine_class, False, kind)
    engine.run(1)
    engine.settle()
    assert engine.signals[out].tolist() == [1.0, 2.0, 3.0]
    matrix.data = np.array([4.0, 5.0, 6.0])
    engine.run(2)
    engine.settle()
    assert engine.signals[out].tolist() == [4.0, 5.0, 6.0]
    matrix.data[0] = 7.0
    engine.run(2)
    engine.settle()
    assert engine.signals[out].tolist() == [7.0, 5.0, 6.0]


@pytest.mark.parametrize("kind, name", [("csr", "indices"), ("csc", "indptr"), ("coo", "row")])
@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("engine_class", ENGINES)
def test_the_indices_of_a_sparse_matrix_are_replaced(engine_class, readonly, kind, name):
    x = 1.0, 10.0, 100.0
    engine, matrix, out = sparse_engine(engine_class, readonly, kind, x)
    engine.run(1)
    engine.settle()
    before = getattr(matrix, name)
    setattr(matrix, name, before.copy() if name == "indptr" else before[::-1].copy())
    if name == "indptr":
        matrix.indptr[1:] = 3
    expected = matrix.toarray().dot(x).tolist()
    assert expected != [1.0, 20.0, 300.0]
    engine.run(2)
    engine.settle()
    assert engine.signals[out].tolist() == expected


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("engine_class", ENGINES)
def test_the_numbers_of_a_constant_sparse_matrix_are_replaced(engine_class, kind):
    engine, matrix, out = sparse_engine(engine_class, True, kind)
    engine.run(1)
    engine.settle()
    matrix.data = np.array([4.0, 5.0, 6.0])
    engine.run(2)
    engine.settle()
    assert engine.signals[out].tolist() == [4.0, 5.0, 6.0]


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_the_numbers_of_a_sparse_matrix_cannot_be_resized(kind):
    engine, matrix, out = sparse_engine(CpuBackend, False, kind)
    data = matrix.data
    with pytest.raises(ValueError, match="resize"):
        data.resize(100, refcheck=False)
    engine.run(1)
    engine.settle()
    assert engine.signals[out].tolist() == [1.0, 2.0, 3.0]


def test_a_generator_beyond_its_end():
    """NumPy reads on."""
    rng = np.random.RandomState(0)
    words = rng.get_state()[1]
    rng.set_state(("MT19937", words, 10**6))
    with pytest.raises(ValueError, match="position 1000000"):
        Stream(np.zeros(Stream.size, np.int64)).load(rng)
