import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.builder import Model
from nengo_jit.builder.operator import Reset
from nengo_jit.builder.signal import Signal
from nengo_jit.builder.transforms import ConvInc, ConvTransposeInc, GeneralConvInc
from nengo_jit.engines.cpu.kernels.correlations import correlate_filters, correlate_pixels

by_example = settings(max_examples=40, deadline=None, derandomize=True)
many_examples = settings(by_example, max_examples=150)
seeds, precisions = st.integers(0, 10**6), st.sampled_from([32, 64])


def random_convolution(rng, transposed, wide):
    dimensions, last, padding = rng.randint(1, 3), bool(rng.randint(2)), rng.randint(2)
    groups = 1 if transposed else rng.choice([1, 1, 1, 2, 3])
    sizes = [int(n) for n in rng.randint(1, 8, dimensions)]
    if wide:
        sizes[-1] = int(rng.randint(8, 70))
    largest = sizes if padding == 0 and not transposed else [4] * dimensions
    channels = int(groups * rng.randint(1, 6))
    kind = nengo.ConvolutionTranspose if transposed else nengo.Convolution
    return kind(
        int(groups * rng.choice([1, 2, 3, 5, 8, 9, 16, 17, 33])),
        (*sizes, channels) if last else (channels, *sizes),
        kernel_size=[int(rng.randint(1, min(n, 4) + 1)) for n in largest],
        strides=[int(n) for n in rng.choice([1, 1, 2, 3], dimensions)],
        padding=("valid", "same")[padding],
        channels_last=last,
        **({} if transposed else {"groups": int(groups)}),
    )


def check_convolution(check, make, operator_type, readonly, silence, wide, with_reset, transposed):
    conv = random_convolution(make.rng, transposed, wide)
    source, y = make.view(conv.size_in), make.view(conv.size_out)
    if silence:  # most inputs are exactly zero
        values = np.where(make.rng.rand(conv.size_in) < 0.8, 0, source.initial_value)
        source = Signal(values.astype(source.dtype))
    weights = make.signal(*conv.kernel_shape, readonly=readonly)
    resets = [Reset(y, value=0.5)] if with_reset else []
    check([*resets, operator_type(weights, source, y, conv)])


convolution_cases = given(
    seed=seeds,
    bits=precisions,
    general=st.booleans(),
    readonly=st.booleans(),
    silence=st.booleans(),
    wide=st.booleans(),
    with_reset=st.booleans(),
)


@many_examples
@convolution_cases
def test_convolutions(check, maker, seed, bits, general, **options):
    operator_type = GeneralConvInc if general else ConvInc
    check_convolution(check, maker(seed, bits), operator_type, transposed=False, **options)


@many_examples
@convolution_cases
def test_transposed_convolutions(check, maker, seed, bits, general, **options):
    operator_type = GeneralConvInc if general else ConvTransposeInc
    check_convolution(check, maker(seed, bits), operator_type, transposed=True, **options)


KINDS = {
    "few filters": (nengo.Convolution(1, (40, 40, 1), padding="same"), correlate_pixels),
    "few of many channels": (nengo.Convolution(2, (9, 40, 3)), correlate_pixels),
    "interleaved": (nengo.Convolution(1, (9, 64, 1), strides=(1, 2)), correlate_pixels),
    "one run of pixels": (
        nengo.Convolution(8, (4, 5, 16), kernel_size=(1, 1), channels_last=False),
        correlate_pixels,
    ),
    "channels first": (nengo.Convolution(16, (3, 9, 32), channels_last=False), correlate_pixels),
    "groups": (nengo.Convolution(12, (4, 9, 32), groups=2, channels_last=False), correlate_pixels),
    "many filters": (nengo.Convolution(40, (9, 9, 3)), correlate_filters),
    "groups of filters": (nengo.Convolution(40, (9, 9, 4), groups=2), correlate_filters),
    "channelwise": (nengo.Convolution(40, (9, 9, 40), groups=40), correlate_filters),
    "transposed": (nengo.ConvolutionTranspose(16, (7, 7, 8), strides=(2, 3)), correlate_filters),
    "transposed, few filters": (
        nengo.ConvolutionTranspose(1, (9, 40, 1), strides=(2, 2), padding="same"),
        correlate_pixels,
    ),
}


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("conv, kernel", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("special", [0.0, np.nan])
def test_every_way(maker, run_both, kernels_of, conv, kernel, special, bits):
    make = maker(3, bits)
    x, y = make.signal(conv.size_in), make.signal(conv.size_out)
    is_transposed = isinstance(conv, nengo.ConvolutionTranspose)
    operator_type = ConvTransposeInc if is_transposed else ConvInc
    model = Model()
    model.add_op(Reset(x[7:8], value=special))
    model.add_op(operator_type(make.signal(*conv.kernel_shape, readonly=True), x, y, conv))
    results = []
    for threads in (1, 2, 3):
        with np.errstate(invalid="ignore"):
            cpu, reference = run_both(model, 2, threads)
        assert kernels_of(kernel.name), "another kernel is used"
        results.append(cpu.signals[y].copy())
    tolerance = 1e-10 if bits == 64 else 1e-4
    np.testing.assert_allclose(results[0], reference.signals[y], tolerance, tolerance)
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_zeros_times_infinity_are_not_skipped(maker, run_both):
    make = maker(0, 64)
    conv = nengo.Convolution(3, (4, 2), kernel_size=(2,), strides=(1,))
    kernel = make.array(*conv.kernel_shape)
    kernel[0, 0, 0] = np.inf
    y = make.signal(conv.size_out)
    model = Model()
    model.add_op(ConvInc(Signal(kernel, readonly=True), Signal(np.zeros(8)), y, conv))
    with np.errstate(invalid="ignore"):
        cpu, _ = run_both(model, 0)
        cpu.run(1)
    assert np.isnan(cpu.signals[y]).any()


def test_three_dimensions_are_refused_as_by_the_operator(maker, run_both):
    make = maker(0, 64)
    conv = nengo.Convolution(2, (3, 3, 3, 1), kernel_size=(2, 2, 2), strides=(1, 1, 1))
    model = Model()
    model.add_op(
        ConvInc(
            make.signal(*conv.kernel_shape),
            make.signal(conv.size_in),
            make.signal(conv.size_out),
            conv,
        )
    )
    with pytest.raises(NotImplementedError, match="2D"):
        run_both(model, 1)
