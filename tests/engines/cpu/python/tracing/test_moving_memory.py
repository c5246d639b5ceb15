"""Arrays that are replaced under a tape: it sees so, and Python carries the function out."""

import ctypes

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.regions import CHECKED

N_STEPS = 600
CHANGE = 0.32  # seconds: within a run of several steps


def simulate(make, engine, parts=(N_STEPS,), between=None):
    """Run what ``make()`` builds: data, the error, and how many functions were tapes at first."""
    with nengo.Network(seed=0) as net:
        probes = [nengo.Probe(node, synapse=None) for node in make()]
    error = n_compiled = None
    make_simulator = nengo.Simulator if engine == "nengo" else nengo_jit.Simulator
    options = {"optimize": False} if engine == "nengo" else {"engine": engine}
    with make_simulator(net, progress_bar=False, **options) as sim:
        if engine == "cpu":
            n_compiled = len(sim.plan.compiled)
        try:
            for n_steps in parts:
                sim.run_steps(n_steps)
                if between is not None:
                    between()
        except Exception as raised:
            error = type(raised), str(raised)[:40]
        if engine == "cpu" and between is not None:
            n_compiled = len(sim.plan.compiled)
        return [sim.data[probe].tolist() for probe in probes], error, n_compiled


def grow(values):
    values.resize(5000, refcheck=False)
    values[:2] = 7.0


def grow_and_shrink(values):
    values.resize(5000, refcheck=False)
    values.resize(2, refcheck=False)
    values[0] = 7.0


def shrink(values):
    values.resize(1, refcheck=False)


def set_shape(values):
    values.shape = (1, 2)


def set_strides(values):
    values.strides = (0,)


def set_dtype(values):
    values[...] = 1.0, 2.0
    values.dtype = np.int64


def protect(values):
    values.setflags(write=False)


# With bounds checks, arrays whose memory kernels know cannot be resized.
RESIZES = [
    pytest.param(change, marks=pytest.mark.skipif(CHECKED, reason="arrays are held"))
    for change in (grow, grow_and_shrink, shrink)
]
CHANGES = [*RESIZES, set_shape, set_strides, set_dtype, protect]


def read(values, t):
    return values[1] * t


def read_all(values, t):
    return values.sum() * t


def look_up(values, t):
    return values[int(t * 1000) % 2]


def write(values, t):
    values[1] += t
    return values[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("use", [read, read_all, look_up, write])
@pytest.mark.parametrize("change", CHANGES)
def test_an_array_is_changed_in_mid_run(change, use):
    def make():
        values = np.array([1.0, 2.0])

        def disturb(t):
            if abs(t - CHANGE) < 1e-9:
                change(values)
            return float(str(t))  # str: only Python can do that

        return nengo.Node(disturb), nengo.Node(lambda t: use(values, t), size_out=1)

    data, error, n_compiled = simulate(make, "cpu")
    assert n_compiled == 1
    for engine in ("nengo", "reference"):
        expected, expected_error, _ = simulate(make, engine)
        assert data == expected
        assert (error is None) == (expected_error is None)
        assert error is None or error[0] is expected_error[0]


@pytest.mark.parametrize("change", [RESIZES[0], set_strides, set_dtype])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_array_is_changed_between_runs(change):
    """The function is traced anew, with what the array has become."""
    arrays = []

    def make():
        values = np.array([1.0, 2.0])
        arrays.append(values)
        return (nengo.Node(lambda t: values[1] * t),)

    def between():
        if len(arrays) not in changed:
            changed.add(len(arrays))
            change(arrays[-1])

    changed = set()
    data, error, n_compiled = simulate(make, "cpu", (200, 200, 200), between)
    expected, *_ = simulate(make, "nengo", (200, 200, 200), between)
    assert (data, error) == (expected, None)
    assert n_compiled == 1


def test_an_array_that_others_look_at_cannot_be_resized():
    """In nengo, the function would read memory that has been freed."""

    def make():
        owner = np.arange(4.0)
        part = owner[1:]

        def disturb(t):
            if abs(t - CHANGE) < 1e-9:
                owner.resize(100_000, refcheck=False)
            return float(str(t))

        return nengo.Node(lambda t: part * t), nengo.Node(disturb)

    data, error, n_compiled = simulate(make, "cpu")
    assert error == (ValueError, "cannot resize an array that references or"[:40])
    assert len(data[0]) == round(CHANGE / 0.001) - 1
    assert data[0][-1] == [x * (CHANGE - 0.001) for x in (1.0, 2.0, 3.0)]
    assert n_compiled == 1


def test_a_buffer_that_a_function_reads_cannot_be_resized():
    def make():
        buffer = bytearray(np.arange(3.0).tobytes())
        values = np.ndarray(3, buffer=buffer)

        def disturb(t):
            if abs(t - CHANGE) < 1e-9:
                buffer.extend(bytes(10**6))
            return float(str(t))

        return nengo.Node(lambda t: values * t), nengo.Node(disturb)

    data, error, n_compiled = simulate(make, "cpu")
    assert error[0] is BufferError
    assert data[0][-1] == [x * (CHANGE - 0.001) for x in (0.0, 1.0, 2.0)]
    assert n_compiled == 1


def test_memory_of_other_libraries_is_left_to_python():
    """Nothing could keep them from moving it."""
    buffer = (ctypes.c_double * 3)(1.0, 2.0, 3.0)
    values = np.ctypeslib.as_array(buffer)

    def make():
        return (nengo.Node(lambda t: values * t),)

    data, _, n_compiled = simulate(make, "cpu")
    assert data == simulate(make, "nengo")[0]
    assert n_compiled == 0


def test_an_array_that_only_the_tape_knows_stays():
    """Where a default argument is replaced, which is noticed before the next run."""

    def make():
        def read(t, values=np.array([1.0, 2.0])):  # noqa: B008  the array is a default on purpose
            return values[1] * t

        def disturb(t):
            if abs(t - CHANGE) < 1e-9:
                read.__defaults__ = (np.array([3.0, 4.0]),)
                trash.extend(np.full(2, 9.0) for _ in range(100))
            return float(str(t))

        trash = []
        return nengo.Node(read), nengo.Node(disturb)

    data, error, _ = simulate(make, "cpu", (400, 200))
    assert error is None
    times = 0.001 * np.arange(1, N_STEPS + 1)
    first, second = (np.ravel(data[0]) == factor * times for factor in (2.0, 4.0))
    assert (first | second).all()
    assert first[:319].all()
    assert second[400:].all()


def test_names_that_are_deleted():
    """As in Python, a variable around a function can be deleted while it is in use."""

    def make():
        gain = 2.0

        def disturb(t):
            nonlocal gain
            if abs(t - CHANGE) < 1e-9:
                del gain
            return float(str(t))

        return nengo.Node(lambda t: gain * t, size_out=1), nengo.Node(disturb)

    data, error, _ = simulate(make, "cpu")
    expected, expected_error, _ = simulate(make, "reference")
    assert (data, error) == (expected, expected_error)
    assert error[0] is NameError
