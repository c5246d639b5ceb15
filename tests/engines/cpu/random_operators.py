"""Random operators, many of which nobody would build: shapes, types and views that do not fit."""

import nengo
import numpy as np
import scipy.sparse

from nengo_jit.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import (
    Copy,
    DotInc,
    ElementwiseInc,
    Reset,
    SimPyFunc,
    SparseDotInc,
)
from nengo_jit.builder.processes import SimProcess
from nengo_jit.builder.signal import Signal
from nengo_jit.builder.transforms import ConvInc, ConvTransposeInc, GeneralConvInc

NEURONS = [
    nengo.LIF,
    nengo.LIFRate,
    nengo.AdaptiveLIF,
    nengo.AdaptiveLIFRate,
    nengo.Izhikevich,
    nengo.RectifiedLinear,
    nengo.SpikingRectifiedLinear,
    nengo.Sigmoid,
    nengo.Tanh,
    lambda: nengo.StochasticSpiking(nengo.LIFRate()),
    lambda: nengo.PoissonSpiking(nengo.LIFRate()),
    lambda: nengo.RegularSpiking(nengo.LIFRate()),
]
FILTERS = [
    lambda: nengo.Lowpass(0.005),
    lambda: nengo.Lowpass(0),
    lambda: nengo.Alpha(0.01),
    lambda: nengo.Triangle(0.004),
    lambda: nengo.LinearFilter([1], [1]),
    lambda: nengo.LinearFilter([0.5, 0.1], [1, 0.2, 0.3]),
    lambda: nengo.LinearFilter([1, 0.2], [0.3, 1.0]),
]
FEEDTHROUGH = FILTERS[-1]()  # whose result NumPy cannot add to anything, while kernels do
SOURCES = [
    lambda: nengo.processes.WhiteNoise(seed=0),
    lambda: nengo.processes.FilteredNoise(seed=0),
    lambda: nengo.processes.FilteredNoise(synapse=nengo.Alpha(0.01), seed=1),
    lambda: nengo.processes.FilteredNoise(synapse=nengo.Triangle(0.01), seed=1),
    lambda: nengo.processes.WhiteSignal(1.0, 5.0, seed=1),
    lambda: nengo.processes.PresentInput(np.arange(6.0).reshape(2, 3), 0.002),
    lambda: nengo.processes.PresentInput(np.arange(8.0).reshape(2, 2, 2), 0.002),
    lambda: nengo.processes.PresentInput([1.0, 2.0], 0.001),
    lambda: nengo.processes.Piecewise({0.001: 1.0, 0.002: -1}),
    lambda: nengo.processes.Piecewise({0.001: [1.0, 2.0], 0.002: [0, 4.0]}),
    lambda: nengo.processes.Piecewise({0.001: lambda t: t}),
]
RATES = [0.1, 0.1, 0.1, 0.1, 1, np.float64(0.1), np.array([0.1]), np.full(3, 0.2), None, "a", 2**70]
FUNCTIONS = [
    lambda *x: 1.5,
    lambda *x: [1.0, 2.0],
    lambda *x: x[-1],
    lambda *x: x[-1] * 2.0,
    lambda *x: np.ones(3),
    lambda *x: None,
    None,
    3,
]


class RandomOperators:
    """Makes random operators.

    Parameters
    ----------
    seed : int
        Of everything that is random.
    time : Signal
        What operators take as the time.
    """

    def __init__(self, seed, time):
        self.rng = np.random.RandomState(seed)
        self.time = time
        self.dtype = time.dtype
        self.n, self.m = self.rng.randint(1, 5), self.rng.randint(1, 12)
        self.made = []  # which may be used again

    def chance(self, probability):
        return self.rng.rand() < probability

    def pick(self, *options):
        return options[self.rng.randint(len(options))]

    def numbers(self, shape, dtype):
        return self.rng.uniform(-0.9, 0.9, shape).astype(dtype)

    def shape(self, *right, p=0.75):
        """The right shape, with a certain probability, or another one."""
        n, m = self.n, self.m
        vectors = [(0,), (1,), (2,), (n,), (m,), (n + 1,), (m + 1,)]
        matrices = [(1, 1), (n, m), (m, n), (n, 1), (1, n), (m, 1), (n + 1, m), (0, n), (n, 0)]
        return right if self.chance(p) else self.pick((), *vectors, *matrices, (2, n, m), (1, 1, 1))

    def signal(self, *shape):
        """A signal of a shape, mostly: plain, or a part of one with gaps, reversed, transposed."""
        if self.made and self.chance(0.04):
            return self.pick(*self.made)
        dtype = (
            self.pick(np.float32, np.float64, np.int64, bool) if self.chance(0.06) else self.dtype
        )
        readonly = self.chance(0.1)
        if self.chance(0.5):
            signal = Signal(self.numbers(shape, dtype), readonly=readonly)
        elif len(shape) == 2 and self.chance(0.3):
            base = Signal(self.numbers(shape[::-1], dtype), readonly=readonly)
            signal = Signal(base.initial_value.T, base=base, readonly=readonly)
        else:
            signal = self.part(shape, dtype, readonly)
        self.made.append(signal)
        return signal

    def part(self, shape, dtype, readonly):
        """A part of a signal; what is next to it must not change."""
        steps = [self.pick(1, 1, 2, 3, -1, -2) for _ in shape]
        spans = [n * abs(step) for n, step in zip(shape, steps)]
        whole = self.numbers([span + self.rng.randint(0, 3) for span in spans], dtype)
        base = Signal(whole, readonly=readonly)
        if base.ndim == 1 and base.size > 3 and self.chance(0.1):
            self.made.append(base[1:])
        slices = [
            slice(None, span, step) if step > 0 else slice(max(span - 1, 0), None, step)
            for span, step in zip(spans, steps)
        ]
        return base[tuple(slices)] if shape else base

    def selection(self, size):
        kind = self.rng.randint(8)
        if kind == 0:
            return self.rng.randint(-size - 1, size + 1, self.n).tolist()
        if kind == 1:
            return np.arange(self.n)
        if kind == 2:
            return self.rng.rand(size) < 0.5
        if kind == 3:
            return slice(None, self.n)
        if kind == 4:
            odd = [[], [0], [0, 0], [0.5], [True], ["a"], [[0]], 0, (0,), [None], -1]
            return self.pick(*odd, np.array([0, 2**40]))
        return None

    def reset(self):
        value = self.pick(0.0, 1.5, float("inf"), 3)
        return Reset(self.signal(*self.shape(self.n)), value=value)

    def copy(self):
        src, dst = (self.signal(*self.shape(self.n)) for _ in range(2))
        selections = {}
        if self.chance(0.5):
            selections = {
                "src_slice": self.selection(src.size),
                "dst_slice": self.selection(dst.size),
            }
        return Copy(src, dst, inc=self.chance(0.5), **selections)

    def elementwise_inc(self):
        shapes = self.pick((), (self.n,), (1,)), (self.n,), (self.n,)
        return ElementwiseInc(*(self.signal(*self.shape(*shape)) for shape in shapes))

    def dot_inc(self):
        a = self.signal(*self.shape(self.n, self.m))
        x = self.signal(*self.shape(*self.pick((self.m,), (self.m, 1))))
        y = self.signal(*self.shape(self.n, *x.shape[1:]))
        return DotInc(a, x, y, reshape=self.pick(None, None, None, True, False))

    def sparse_dot_inc(self):
        shape = (self.n, self.m) if self.chance(0.9) else (self.m, self.n)
        kind = self.pick("csr", "csr", "csc", "coo")
        matrix = scipy.sparse.random(*shape, density=0.5, random_state=self.rng, format=kind)
        dtype = self.dtype if self.chance(0.9) else np.dtype(np.float32)
        matrix = matrix.astype(dtype if dtype != np.float16 else np.float64)  # as nengo stores it
        if matrix.nnz and self.chance(0.3):
            which, value = self.rng.randint(4), self.pick(-1, 100)
            if kind == "coo":
                (matrix.row if which % 2 else matrix.col)[0] = value
            elif which == 0:
                matrix.indices[0] = value
            elif which == 1:
                matrix.indptr[-1] = 1000
            elif which == 2:
                matrix.indptr[1] = 1000
            else:
                matrix.indices[:] = matrix.indices[::-1].copy()  # not sorted
        vectors = (self.signal(*self.shape(size)) for size in shape[::-1])
        return SparseDotInc(Signal(matrix, readonly=self.chance(0.5)), *vectors)

    def neurons(self):
        neurons = self.pick(*NEURONS)()
        state = {
            name: self.signal(*self.shape(*value.shape, p=0.9)) if name != "rng" else value
            for name, value in neurons.make_state(self.n, rng=self.rng).items()
        }
        vectors = [self.signal(*self.shape(self.n, p=0.9)) for _ in range(2)]
        return SimNeurons(neurons, *vectors, self.spoiled(state))

    def spoiled(self, state):
        """A state of which a part may be missing, too much, or in another place."""
        if self.chance(0.05):
            state["more"] = self.signal(self.n)
        if self.chance(0.05):
            state = dict(list(state.items())[1:])
        return dict(reversed(state.items())) if self.chance(0.05) else state

    def process(self):
        is_filter = self.chance(0.5)
        process = self.pick(*(FILTERS if is_filter else SOURCES))()
        shape = self.shape(process.default_size_out or self.n, p=0.8)
        try:
            state = process.make_state(shape if is_filter else (0,), shape, 0.001)
        except (AssertionError, IndexError):
            state = {}
        state = {name: self.signal(*self.shape(*v.shape, p=0.9)) for name, v in state.items()}
        mode = self.pick("set", "inc", "update")
        has_input = is_filter == self.chance(0.95)
        return SimProcess(
            process,
            self.signal(*self.shape(*shape, p=0.9)) if has_input else None,
            self.signal(*self.shape(*shape, p=0.95)),
            self.time if self.chance(0.95) else self.signal(*self.shape(1)),
            "set" if process == FEEDTHROUGH else mode,
            self.spoiled(state),
        )

    def rule(self):
        n, m = self.n, self.m

        def make(*shape):
            return self.signal(*self.shape(*shape, p=0.9))

        rate, kind = self.pick(*RATES), self.rng.randint(5)
        if kind == 0:
            return SimPES(make(m), make(n), make(n, m), rate)
        if kind == 1:
            return SimBCM(make(m), make(n), make(n), make(n, m), rate)
        if kind == 2:
            beta = self.pick(1.0, 0.5, np.ones(1), None)
            return SimOja(make(m), make(n), make(n, m), make(n, m), rate, beta)
        if kind == 3:
            scale = self.numbers(self.shape(n, p=0.9), self.dtype)
            return SimVoja(make(m), make(n), make(n, m), make(n, m), scale, make(), rate)
        return SimRLS(make(m), make(n), make(n, m), make(m, m))

    def convolution(self):
        dimensions, channels, filters = self.rng.randint(1, 3), *self.rng.randint(1, 4, 2).tolist()
        pixels = self.rng.randint(3, 7, dimensions).tolist()
        is_transpose, channels_last = self.chance(0.5), self.chance(0.5)
        conv = (nengo.ConvolutionTranspose if is_transpose else nengo.Convolution)(
            n_filters=filters,
            input_shape=(*pixels, channels) if channels_last else (channels, *pixels),
            kernel_size=tuple(self.rng.randint(1, 4, dimensions).tolist()),
            strides=tuple(self.rng.randint(1, 4, dimensions).tolist()),
            padding=self.pick("same", "valid"),
            channels_last=channels_last,
            **({"groups": channels} if channels == filters and not is_transpose else {}),
        )
        kernel = list(conv.kernel_shape)
        if self.chance(0.25):
            i = self.rng.randint(len(kernel))
            kernel[i] = max(0, kernel[i] + self.pick(-1, 1, 2))
        images = [conv.input_shape.shape, conv.output_shape.shape]
        images = [shape if self.chance(0.2) else (int(np.prod(shape)),) for shape in images]
        operands = [self.signal(*self.shape(*shape, p=0.9)) for shape in (kernel, *images)]
        exact = ConvTransposeInc if is_transpose else ConvInc
        return self.pick(exact, GeneralConvInc)(*operands, conv)

    def function(self):
        return SimPyFunc(
            self.signal(*self.shape(self.n)) if self.chance(0.9) else None,
            self.pick(*FUNCTIONS),
            self.time if self.chance(0.5) else None,
            self.signal(*self.shape(self.n)) if self.chance(0.6) else None,
        )

    def circuit(self):
        """What is lowered together in a population: currents, spikes, products, learned weights."""
        n, m, right = self.n, self.m, 0.97

        def make(*shape):
            return self.signal(*self.shape(*shape, p=right))

        def fixed(*shape):
            return Signal(self.numbers(self.shape(*shape, p=right), self.dtype), readonly=True)

        x, J, spikes, bias = make(m), make(n), make(n), fixed(n)
        state = {name: make(n) for name in nengo.LIF.state}
        operators = [self.pick(Reset(J, 1.5), Copy(bias, J), Copy(fixed(n), J))]
        operators += [DotInc(self.pick(fixed, fixed, make)(n, m), x, J)]
        operators += [SimNeurons(nengo.LIF(), J, spikes, state)]
        decoders = fixed(m, n)
        for _ in range(self.rng.randint(1, 4)):
            y = make(m)
            operators += [Reset(y), DotInc(self.pick(decoders, fixed(m, n)), spikes, y)]
        if self.chance(0.5):
            weights, delta, y = make(m, n), make(m, n), make(m)
            factors = spikes, make(m), delta
            rule = self.pick(
                SimPES(*factors, 0.1),
                SimOja(spikes, make(m), self.pick(weights, make(m, n)), delta, 0.1, 0.5),
            )
            operators += [rule, Copy(delta, self.pick(weights, weights, make(m, n)), inc=True)]
            operators += [Reset(y), DotInc(weights, spikes, y)]
        return operators[: self.rng.randint(3, len(operators) + 1)]


KINDS = [
    "reset",
    "copy",
    "elementwise_inc",
    "dot_inc",
    "sparse_dot_inc",
    "neurons",
    "process",
    "rule",
    "convolution",
    "function",
    "circuit",
]
