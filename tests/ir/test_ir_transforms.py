import nengo
import nengo.builder.transforms as reference
import numpy as np
import pytest
from convolutions import (
    BOTH,
    close,
    convolutions,
    naive_convolution,
    naive_transposed_convolution,
    operands,
    random_array,
    shape_of,
    transposed_convolutions,
)
from hypothesis import given, settings
from nengo.builder.signal import SignalDict as NengoSignalDict

from nengo_jit.ir.signal import Signal
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc, same_padding, windows

by_example = settings(max_examples=60, deadline=None, derandomize=True)


def run_nengos(operator, n_steps=1):
    signals = NengoSignalDict()
    operator.init_signals(signals)
    step = operator.make_step(signals, 0.001, None)
    for _ in range(n_steps):
        step()
    return signals


class TestConvInc:
    @by_example
    @given(conv=convolutions())
    def test_it_adds_what_loops_add(self, run, conv):
        signals = operands(conv)
        W, X, Y = (signal.initial_value for signal in signals.values())
        result = run(ConvInc(**signals, conv=conv))[signals["Y"]]
        assert close(result, Y + naive_convolution(conv, W, X))

    @by_example
    @given(conv=convolutions())
    def test_it_adds_what_nengos_adds(self, run, conv):
        signals = operands(conv)
        expected = run_nengos(reference.ConvInc(**signals, conv=conv), n_steps=2)
        result = run(ConvInc(**signals, conv=conv), n_steps=2)
        assert close(result[signals["Y"]], expected[signals["Y"]])

    def test_an_example_by_hand(self, run):
        conv = nengo.Convolution(1, (4, 1), kernel_size=(2,), strides=(1,))
        Y = Signal(np.zeros(3))
        W, X = Signal(np.array([1.0, 10.0]).reshape(2, 1, 1)), Signal([1.0, 2.0, 3.0, 4.0])
        assert run(ConvInc(W, X, Y, conv))[Y].tolist() == [21, 32, 43]

    def test_odd_padding_is_at_the_end(self, run):
        conv = nengo.Convolution(1, (3, 1), kernel_size=(2,), strides=(1,), padding="same")
        Y = Signal(np.zeros(3))
        W, X = Signal(np.array([1.0, 10.0]).reshape(2, 1, 1)), Signal([1.0, 2.0, 3.0])
        assert run(ConvInc(W, X, Y, conv))[Y].tolist() == [21, 32, 3]

    def test_depthwise_filters_see_one_channel_each(self, run):
        conv = nengo.Convolution(2, (2, 2), kernel_size=(1,), strides=(1,), groups=2)
        Y = Signal(np.zeros(4))
        W, X = Signal([[[10.0, 100.0]]]), Signal([1.0, 2.0, 3.0, 4.0])
        assert run(ConvInc(W, X, Y, conv))[Y].tolist() == [10, 200, 30, 400]


class TestConvTransposeInc:
    @by_example
    @given(conv=transposed_convolutions())
    def test_it_adds_what_loops_add(self, run, conv):
        signals = operands(conv)
        W, X, Y = (signal.initial_value for signal in signals.values())
        result = run(ConvTransposeInc(**signals, conv=conv))[signals["Y"]]
        assert close(result, Y + naive_transposed_convolution(conv, W, X))

    @by_example
    @given(conv=transposed_convolutions())
    def test_it_adds_what_nengos_adds(self, run, conv):
        signals = operands(conv)
        expected = run_nengos(reference.ConvTransposeInc(**signals, conv=conv), n_steps=2)
        result = run(ConvTransposeInc(**signals, conv=conv), n_steps=2)
        assert close(result[signals["Y"]], expected[signals["Y"]])

    @by_example
    @given(conv=transposed_convolutions())
    def test_it_is_the_transpose_of_a_convolution(self, run, conv):
        forward = nengo.Convolution(
            n_filters=conv.input_shape.n_channels,
            input_shape=conv.output_shape,
            kernel_size=conv.kernel_size,
            strides=conv.strides,
            padding=conv.padding,
            channels_last=conv.channels_last,
        )
        kernel = random_array(*conv.kernel_shape)
        x, y = random_array(conv.size_in, seed=1), random_array(conv.size_out, seed=2)
        there, back = Signal(shape=forward.size_out), Signal(shape=conv.size_out)
        forward_kernel = Signal(kernel.swapaxes(-1, -2))
        convolved = run(ConvInc(forward_kernel, Signal(y), there, forward))[there]
        transposed = run(ConvTransposeInc(Signal(kernel), Signal(x), back, conv))[back]
        assert convolved @ x == pytest.approx(y @ transposed, rel=1e-10, abs=1e-12)

    def test_an_example_by_hand(self, run):
        conv = nengo.ConvolutionTranspose(1, (2, 1), kernel_size=(3,), strides=(2,))
        Y = Signal(np.zeros(5))
        W, X = Signal(np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)), Signal([1.0, 2.0])
        assert run(ConvTransposeInc(W, X, Y, conv))[Y].tolist() == [1, 10, 102, 20, 200]


class TestBothConvolutions:
    @BOTH
    def test_y_is_incremented_and_kernel_and_input_are_read(
        self, operator_class, conv_class, naive
    ):
        conv = conv_class(2, (4, 4, 3))
        signals = operands(conv)
        operator = operator_class(**signals, conv=conv, tag="it")
        assert isinstance(operator, GeneralConvInc)
        assert tuple(signals.values()) == (operator.W, operator.X, operator.Y)
        assert operator.reads == [signals["W"], signals["X"]]
        assert operator.incs == [signals["Y"]]
        assert operator.sets == operator.updates == []
        assert operator.conv is conv
        assert operator.is_transpose == (operator_class is ConvTransposeInc)

    @BOTH
    def test_every_step_adds(self, run, operator_class, conv_class, naive):
        conv = conv_class(2, (5, 5, 3))
        signals = operands(conv)
        W, X, Y = (signal.initial_value for signal in signals.values())
        result = run(operator_class(**signals, conv=conv), n_steps=3)[signals["Y"]]
        assert close(result, Y + 3 * naive(conv, W, X))

    @BOTH
    def test_a_changed_input_counts_from_the_next_step(
        self, prepare, operator_class, conv_class, naive
    ):
        conv = conv_class(2, (5, 5, 3), strides=(2, 2))
        signals = operands(conv)
        memory, step = prepare(operator_class(**signals, conv=conv))
        step()
        x = random_array(conv.size_in, seed=3)
        memory[signals["X"]] = x
        memory[signals["Y"]] = 0
        step()
        assert close(memory[signals["Y"]], naive(conv, signals["W"].initial_value, x))

    @BOTH
    @pytest.mark.parametrize("is_last", [False, True])
    def test_input_and_output_may_be_strided_views(
        self, run, operator_class, conv_class, naive, is_last
    ):
        conv = conv_class(2, shape_of((4, 5), 3, is_last), channels_last=is_last)
        W = random_array(*conv.kernel_shape)
        source = Signal(random_array(2 * conv.size_in, seed=1))
        target = Signal(np.zeros(3 * conv.size_out))
        X, Y = source[::-2], target[1::3]
        memory = run(operator_class(Signal(W), X, Y, conv))
        assert close(memory[Y], naive(conv, W, X.initial_value.copy()))
        assert not np.any(memory[target[::3]])
        assert not np.any(memory[target[2::3]])

    @BOTH
    def test_three_dimensions_are_not_implemented(self, prepare, operator_class, conv_class, naive):
        conv = conv_class(2, (4, 4, 4, 1), kernel_size=(2, 2, 2), strides=(1, 1, 1))
        operator = operator_class(**operands(conv), conv=conv)  # another engine may be able to
        with pytest.raises(NotImplementedError, match="> 2D"):
            prepare(operator)


class TestWindows:
    @pytest.mark.parametrize(
        "size_in, kernel, stride, expected",
        [
            (5, 3, 1, (1, 1)),
            (5, 2, 1, (0, 1)),
            (5, 4, 1, (1, 2)),
            (5, 1, 1, (0, 0)),
            (5, 3, 2, (1, 1)),
            (6, 3, 2, (0, 1)),
            (7, 2, 3, (0, 1)),
            (6, 2, 3, (0, 0)),
            (1, 4, 1, (1, 2)),
        ],
    )
    def test_same_padding_is_shared_between_both_ends(self, size_in, kernel, stride, expected):
        size_out = -(-size_in // stride)
        assert same_padding(size_in, size_out, kernel, stride) == expected

    def test_windows_are_what_the_kernel_sees_at_each_place(self):
        image = random_array(6, 7, 2)
        view = windows(image, (3, 2), (2, 3))
        assert view.shape == (2, 2, 3, 2, 2)
        assert np.shares_memory(view, image)
        for i in range(2):
            for j in range(2):
                assert np.array_equal(view[i, j], image[2 * i : 2 * i + 3, 3 * j : 3 * j + 2])
