import nengo
import numpy as np
import pytest
import scipy.sparse
from convolutions import BOTH, close, random_array, shape_of
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.dists import Uniform
from nengo.exceptions import BuildError
from nengo.transforms import SparseMatrix

from nengo_jit.builder import (
    Model,
    build_convolution,
    build_dense,
    build_no_transform,
    build_sparse,
)
from nengo_jit.builder.transforms import multiply
from nengo_jit.ir.operator import DotInc, ElementwiseInc, Reset, SparseDotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc

by_example = settings(max_examples=60, deadline=None, derandomize=True)


def built_operators(model):
    """The operators of a model, without the clock."""
    return model.operators[1:]


class TestMultiply:
    @pytest.mark.parametrize(
        "x, y, expected",
        [
            (2.0, 3.0, 6),
            (2.0, [1.0, 2.0], [2, 4]),
            ([1.0, 2.0], 3.0, [3, 6]),
            ([1.0, 2.0], [3.0, 4.0], [3, 8]),
            (2.0, [[1.0, 2.0], [3.0, 4.0]], [[2, 4], [6, 8]]),
            ([[1.0, 2.0], [3.0, 4.0]], 2.0, [[2, 4], [6, 8]]),
            ([10.0, 100.0], [[1.0, 2.0], [3.0, 4.0]], [[10, 20], [300, 400]]),
            ([[1.0, 2.0], [3.0, 4.0]], [10.0, 100.0], [[10, 200], [30, 400]]),
            ([[1.0, 2.0]], [[3.0], [4.0]], [[11]]),
        ],
    )
    def test_vectors_stand_for_diagonal_matrices(self, x, y, expected):
        assert multiply(np.array(x), np.array(y)).tolist() == expected

    @by_example
    @given(
        x=st.sampled_from([(), (3,), (3, 3), (2, 3)]), y=st.sampled_from([(), (3,), (3, 3), (3, 4)])
    )
    def test_it_is_the_product_of_the_matrices_meant(self, x, y):
        def matrix(array):
            return array * np.eye(3) if array.ndim < 2 else array

        x, y = random_array(*x), random_array(*y, seed=1)
        assert close(matrix(multiply(x, y)), matrix(x) @ matrix(y))

    @pytest.mark.parametrize("x, y", [((2, 2, 2), (2,)), ((2,), (2, 2, 2)), ((2, 2), (2, 2, 2))])
    def test_three_dimensions_are_refused(self, x, y):
        with pytest.raises(BuildError, match="Tensors not supported"):
            multiply(np.zeros(x), np.zeros(y))


class TestBuildDense:
    @pytest.mark.parametrize(
        "init, decoders, encoders, expected",
        [
            (2.0, None, None, 2.0),
            ([1.0, 2.0], None, None, [1.0, 2.0]),
            ([[1.0, 2.0], [3.0, 4.0]], None, None, [[1, 2], [3, 4]]),
            (2.0, [[1, 2, 3], [4, 5, 6]], None, [[2, 4, 6], [8, 10, 12]]),
            ([1.0, 10.0], [[1, 2, 3], [4, 5, 6]], None, [[1, 2, 3], [40, 50, 60]]),
            ([[1.0, 1.0], [0.0, 2.0]], [[1, 2, 3], [4, 5, 6]], None, [[5, 7, 9], [8, 10, 12]]),
            (2.0, [[1, 2], [3, 4]], [[1, 0, 1], [0, 1, 1]], [[2, 4], [6, 8], [8, 12]]),
            (2.0, None, [[1, 0, 1], [0, 1, 1]], [[2, 0], [0, 2], [2, 2]]),
            ([1.0, 10.0], None, [[1, 0, 1], [0, 1, 1]], [[1, 0], [0, 10], [1, 10]]),
        ],
    )
    def test_weights_are_encoders_times_transform_times_decoders(
        self, run, init, decoders, encoders, expected
    ):
        decoders, encoders = (None if a is None else np.array(a) for a in (decoders, encoders))
        weights = np.array(expected, dtype=float)
        model, transform = Model(), nengo.Dense((2, 2), init=init)
        x = random_array(weights.shape[-1] if weights.ndim else 2)
        sig_in = Signal(x)
        weighted, weight_sig = build_dense(model, transform, sig_in, decoders, encoders)
        assert np.array_equal(weight_sig.initial_value, weights)
        assert weight_sig.readonly
        product = weights @ x if weights.ndim == 2 else weights * x
        assert weighted.shape == product.shape
        assert close(run(*model.operators, n_steps=2)[weighted], product)

    @pytest.mark.parametrize(
        "init, operator_class",
        [(1.0, ElementwiseInc), ([1.0, 2.0], ElementwiseInc), (np.ones((2, 2)), DotInc)],
    )
    def test_the_product_is_reset_and_then_computed(self, init, operator_class):
        model, transform, sig_in = Model(), nengo.Dense((2, 2), init=init), Signal(shape=2)
        weighted, weights = build_dense(model, transform, sig_in)
        reset, product = built_operators(model)
        assert isinstance(reset, Reset)
        assert (reset.dst, reset.value) == (weighted, 0)
        assert type(product) is operator_class
        assert (weights, sig_in, weighted) == (product.A, product.X, product.Y)
        assert product.tag == f"{transform}.apply_weights"

    def test_a_matrix_need_not_be_square(self, run):
        model, matrix, sig_in = Model(), random_array(3, 2), Signal([1.0, 2.0])
        weighted, _ = build_dense(model, nengo.Dense((3, 2), init=matrix), sig_in)
        assert close(run(*model.operators)[weighted], matrix @ [1, 2])

    def test_a_distribution_is_sampled(self):
        transform = nengo.Dense((3, 2), init=Uniform(-1, 1))
        rng = np.random.RandomState(5)
        _, weights = build_dense(Model(), transform, Signal(shape=2), rng=rng)
        expected = Uniform(-1, 1).sample(3, 2, rng=np.random.RandomState(5))
        assert np.array_equal(weights.initial_value, expected)

    @pytest.mark.parametrize("bits", [16, 32, 64])
    @pytest.mark.parametrize("init", [1.0, Uniform(-1, 1)], ids=["scalar", "distribution"])
    @pytest.mark.parametrize("has_decoders", [False, True])
    @pytest.mark.parametrize("has_encoders", [False, True])
    def test_weights_have_the_precision_of_nengos_settings(
        self, bits, init, has_decoders, has_encoders
    ):
        nengo.rc.set("precision", "bits", str(bits))
        decoders = np.eye(2) if has_decoders else None
        encoders = np.eye(2) if has_encoders else None
        transform, sig_in = nengo.Dense((2, 2), init=init), Signal(shape=2)
        weighted, weights = build_dense(Model(), transform, sig_in, decoders, encoders)
        assert weighted.dtype == weights.dtype == f"float{bits}"

    def test_decoders_of_three_dimensions_are_refused(self):
        with pytest.raises(BuildError, match="Tensors not supported"):
            build_dense(Model(), nengo.Dense((2, 2)), Signal(shape=2), np.zeros((2, 2, 2)))

    def test_it_can_be_built_many_times(self):
        model, transform = Model(), nengo.Dense((2, 2))
        one = build_dense(model, transform, Signal(shape=2))
        other = build_dense(model, transform, Signal(shape=2))
        assert not set(one) & set(other)


class TestBuildSparse:
    dense = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    indices = ((0, 1), (0, 2), (1, 0))
    every_kind = pytest.mark.parametrize(
        "transform",
        [
            nengo.Sparse((2, 3), init=scipy.sparse.csr_matrix(dense)),
            nengo.Sparse((2, 3), init=scipy.sparse.coo_matrix(dense)),
            nengo.Sparse((2, 3), indices=indices, init=[2.0, 1.0, 3.0]),
        ],
        ids=["csr", "coo", "indices"],
    )

    @every_kind
    def test_the_product_is_reset_and_then_computed(self, run, transform):
        model, sig_in = Model(), Signal([10.0, 20.0, 30.0])
        weighted, weights = build_sparse(model, transform, sig_in)
        reset, product = built_operators(model)
        assert isinstance(reset, Reset)
        assert (reset.dst, reset.value) == (weighted, 0)
        assert type(product) is SparseDotInc
        assert (weights, sig_in, weighted) == (product.A, product.X, product.Y)
        assert weights.sparse
        assert weights.readonly
        assert np.array_equal(weights.initial_value.toarray(), self.dense)
        assert run(*model.operators, n_steps=2)[weighted].tolist() == [70, 30]

    def test_a_distribution_is_sampled(self):
        transform = nengo.Sparse((2, 3), indices=self.indices, init=Uniform(-1, 1))
        rng = np.random.RandomState(5)
        _, weights = build_sparse(Model(), transform, Signal(shape=3), rng=rng)
        expected = transform.sample(rng=np.random.RandomState(5))
        assert np.array_equal(weights.initial_value.toarray(), expected.toarray())

    @every_kind
    @pytest.mark.parametrize("bits", [32, 64])
    def test_weights_have_the_precision_of_nengos_settings(self, transform, bits):
        nengo.rc.set("precision", "bits", str(bits))
        weighted, weights = build_sparse(Model(), transform, Signal(shape=3))
        assert weighted.dtype == weights.dtype == f"float{bits}"

    @every_kind
    def test_half_precision_leaves_the_weights_as_they_are(self, run, transform):
        nengo.rc.set("precision", "bits", "16")
        model = Model()
        weighted, weights = build_sparse(model, transform, Signal([1.0, 2.0, 3.0]))
        assert weights.dtype == np.float64
        assert run(*model.operators)[weighted].tolist() == [7, 3]

    @every_kind
    def test_the_transform_is_left_as_it_is(self, transform):
        build_sparse(Model(), transform, Signal(shape=3))
        sample = transform.sample()
        assert np.array_equal(sample.toarray(), self.dense)
        assert isinstance(sample, (scipy.sparse.spmatrix, SparseMatrix))

    @every_kind
    def test_decoders_are_refused(self, transform):
        with pytest.raises(BuildError, match="sparse transform to a decoded connection"):
            build_sparse(Model(), transform, Signal(shape=3), decoders=np.ones((3, 4)))


class TestBuildNoTransform:
    def test_a_value_is_passed_on(self):
        model, sig_in = Model(), Signal(shape=2)
        assert build_no_transform(model, nengo.transforms.NoTransform(2), sig_in) == (sig_in, None)
        assert built_operators(model) == []

    @pytest.mark.parametrize("has_decoders", [False, True])
    @pytest.mark.parametrize("has_encoders", [False, True])
    def test_decoders_and_encoders_are_applied(self, run, has_decoders, has_encoders):
        if not has_decoders and not has_encoders:
            return
        decoders = random_array(2, 3) if has_decoders else None
        encoders = random_array(2, 4, seed=1) if has_encoders else None
        expected = decoders if has_decoders else np.eye(2)
        expected = encoders.T @ expected if has_encoders else expected
        x = random_array(expected.shape[1], seed=2)
        model = Model()
        weighted, weights = build_no_transform(
            model, nengo.transforms.NoTransform(2), Signal(x), decoders, encoders
        )
        assert close(weights.initial_value, expected)
        assert close(run(*model.operators)[weighted], expected @ x)


class TestModelBuild:
    @pytest.mark.parametrize(
        "transform, operator_class",
        [
            (nengo.Dense((2, 2), init=np.ones((2, 2))), DotInc),
            (nengo.Sparse((2, 2), init=scipy.sparse.csr_matrix(np.eye(2))), SparseDotInc),
            (nengo.Convolution(1, (2, 1), kernel_size=(1,), strides=(1,)), ConvInc),
            (
                nengo.ConvolutionTranspose(1, (2, 1), kernel_size=(1,), strides=(1,)),
                ConvTransposeInc,
            ),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_a_model_builds_transforms_of_every_type(self, transform, operator_class):
        model = Model()
        weighted, weights = model.build(transform, Signal(shape=2), decoders=None, encoders=None)
        assert type(model.operators[-1]) is operator_class
        assert model.operators[-1].Y is weighted
        assert model.operators[-1].reads[0] is weights

    def test_a_model_builds_no_transform(self):
        signal = Signal(shape=2)
        assert Model().build(nengo.transforms.NoTransform(2), signal) == (signal, None)


class TestBuildConvolution:
    @BOTH
    @pytest.mark.parametrize("is_last", [False, True])
    def test_it_is_built_with_a_reset(self, run, operator_class, conv_class, naive, is_last):
        kernel = random_array(3, 2, 3, 4)
        conv = conv_class(
            4,
            shape_of((5, 6), 3, is_last),
            kernel_size=(3, 2),
            strides=(2, 1),
            padding="same",
            channels_last=is_last,
            init=kernel,
        )
        model, x = Model(), random_array(conv.size_in, seed=1)
        sig_in = Signal(x)
        weighted, weights = build_convolution(model, conv, sig_in)
        reset, product = built_operators(model)
        assert isinstance(reset, Reset)
        assert (reset.dst, reset.value) == (weighted, 0)
        assert type(product) is operator_class
        assert (weights, sig_in, weighted) == (product.W, product.X, product.Y)
        assert product.conv is conv
        assert product.tag == f"{conv}.apply_weights"
        assert weights.readonly
        assert np.array_equal(weights.initial_value, kernel)
        assert weighted.shape == (conv.size_out,)
        assert close(run(*model.operators, n_steps=2)[weighted], naive(conv, kernel, x))

    @BOTH
    def test_a_distribution_is_sampled(self, operator_class, conv_class, naive):
        conv = conv_class(2, (5, 5, 3), init=Uniform(-1, 1))
        rng = np.random.RandomState(5)
        _, weights = build_convolution(Model(), conv, Signal(shape=conv.size_in), rng=rng)
        expected = conv.sample(rng=np.random.RandomState(5))
        assert np.array_equal(weights.initial_value, expected)

    @BOTH
    @pytest.mark.parametrize("bits", [16, 32, 64])
    def test_weights_have_the_precision_of_nengos_settings(
        self, operator_class, conv_class, naive, bits
    ):
        nengo.rc.set("precision", "bits", str(bits))
        conv = conv_class(2, (5, 5, 3))
        weighted, weights = build_convolution(Model(), conv, Signal(shape=conv.size_in))
        assert weighted.dtype == f"float{bits}"
        if bits == 16:  # the kernel keeps the precision that it is drawn in, as in nengo
            assert weights.dtype == conv.sample().dtype == np.float64
        else:
            assert weights.dtype == f"float{bits}"

    @BOTH
    def test_decoders_are_refused(self, operator_class, conv_class, naive):
        conv = conv_class(2, (5, 5, 3))
        with pytest.raises(BuildError, match="convolution transform to a decoded connection"):
            build_convolution(Model(), conv, Signal(shape=7), decoders=np.ones((conv.size_in, 7)))
