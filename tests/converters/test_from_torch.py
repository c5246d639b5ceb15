import builtins

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_jit


def test_without_torch_an_error_says_what_to_install(monkeypatch):
    true_import = builtins.__import__

    def without(name, *arguments, **options):
        if name == "torch":
            raise ImportError(name)
        return true_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "nengo-jit\[torch\]"'):
        nengo_jit.from_torch(None)


torch = pytest.importorskip("torch")
nn = torch.nn


def outputs(net, rows, simulator=nengo_jit.Simulator):
    """Run a network with a row of inputs in each step."""
    with net:
        probe = nengo.Probe(net.output)
    net.input.output = nengo.processes.PresentInput(rows, 0.001)
    with simulator(net, progress_bar=False) as sim:
        sim.run_steps(len(rows))
    return sim.data[probe]


def random_module(seed):
    """Return a random module and the shape of its samples."""
    rng = np.random.RandomState(seed)
    torch.manual_seed(seed)
    activation = [nn.ReLU, nn.Sigmoid, nn.Tanh][rng.randint(3)]
    layers, shape = [], (int(rng.randint(2, 9)),)
    if seed % 2:
        shape = channels, *_ = int(rng.choice([1, 2])), 9, int(rng.randint(8, 11))
        filters = 2 * int(rng.randint(1, 3))
        padding = ["same", "valid", 1, (0, 2)][rng.randint(4)]
        stride = 1 if padding == "same" else int(rng.randint(1, 3))
        groups = channels if rng.randint(2) else 1
        kernel = (3, int(rng.randint(1, 4)))
        layers.append(
            nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=seed % 3 > 0)
        )
        layers += [activation(), nn.AvgPool2d(2, int(rng.randint(1, 3)), int(rng.randint(2)))]
        layers.append(nn.Sequential(nn.Dropout(), nn.Flatten()))
    n = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1]
    for _ in range(rng.randint(1, 4)):
        size = int(rng.randint(2, 9))
        layers.append(nn.Linear(n, size, bias=bool(rng.randint(2))))
        layers += [activation()] if rng.randint(2) else []
        n = size
    return nn.Sequential(*layers).eval(), shape


@pytest.mark.parametrize("seed", range(10))
def test_outputs_are_those_of_torch(seed):
    module, shape = random_module(seed)
    rows = np.random.RandomState(seed).randn(3, *shape)
    with torch.no_grad():
        expected = module.double()(torch.tensor(rows)).numpy()
    net = nengo_jit.from_torch(module, None if len(shape) == 1 else shape)
    found = outputs(net, rows.reshape(3, -1))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_layer_that_occurs_twice_is_applied_twice():
    layer = nn.Linear(3, 3)
    module = nn.Sequential(layer, nn.ReLU(), nn.Sequential(layer))
    rows = np.random.RandomState(0).randn(4, 3)
    expected = module.double()(torch.tensor(rows)).detach().numpy()
    np.testing.assert_allclose(outputs(nengo_jit.from_torch(module), rows), expected, atol=1e-12)


def test_numbers_of_half_precision_are_converted():
    for dtype in (torch.float16, torch.bfloat16):
        layer = nn.Linear(3, 2).to(dtype)
        bias = layer.bias.detach().double().numpy()
        found = outputs(nengo_jit.from_torch(layer), np.zeros((1, 3)))
        np.testing.assert_array_equal(found[0], bias)


@pytest.mark.parametrize("passing", [nn.Identity(), nn.Dropout()])
def test_the_first_layer_that_does_something_tells_the_shape(passing):
    net = nengo_jit.from_torch(nn.Sequential(passing, nn.Linear(3, 2)))
    assert net.input.size_out == 3


@pytest.mark.parametrize("shape", [4, "ab", (), (0,), (-1,), (2.5,), (2, None)])
def test_shapes_of_samples_are_sizes(shape):
    with pytest.raises(ValidationError, match="input_shape: Must be sizes above zero"):
        nengo_jit.from_torch(nn.ReLU(), shape)


def test_what_hooks_do_is_not_ignored():
    hooked, pruned = nn.Linear(3, 2), nn.Linear(3, 2)
    hooked.register_forward_hook(lambda module, inputs, output: 2 * output)
    pruned.register_forward_pre_hook(lambda module, inputs: None)
    for layer in (hooked, pruned):
        with pytest.raises(ValidationError, match=r"'1', Linear.* has hooks"):
            nengo_jit.from_torch(nn.Sequential(nn.Linear(3, 3), layer))


def test_a_network_can_be_trained_further():
    pytest.importorskip("jax")
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    net = nengo_jit.from_torch(module)
    with net:
        probe = nengo.Probe(net.output)
    trainer = nengo_jit.Trainer(net, batch=4)
    x = np.random.RandomState(0).randn(4, 1, 3)
    expected = module(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(trainer.predict({net.input: x})[probe], expected, atol=1e-5)
    assert {name.rsplit(".", 1)[1] for name in trainer.trained} >= {"bias", "transform"}


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_leaky_neurons_of_snntorch(reset):
    snn = pytest.importorskip("snntorch")
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6), snn.Leaky(0.9, reset_mechanism=reset, init_hidden=True)]
    layers += [nn.Linear(6, 3), snn.Leaky(0.7, threshold=0.5, init_hidden=True)]
    module = nn.Sequential(*layers)
    rows = np.random.RandomState(0).uniform(0, 2, (50, 4)).astype(np.float32)
    with torch.no_grad():
        expected = np.array([module(torch.tensor(row[None])).numpy()[0] for row in rows])
    assert 0.05 < expected.mean() < 0.95
    for simulator in (nengo_jit.Simulator, nengo.Simulator):
        np.testing.assert_array_equal(
            outputs(nengo_jit.from_torch(module), rows, simulator), expected
        )


def test_a_threshold_of_zero_is_named():
    snn = pytest.importorskip("snntorch")
    with pytest.raises(ValidationError, match=r"'0', Leaky.*threshold is not above zero"):
        nengo_jit.from_torch(nn.Sequential(snn.Leaky(0.9, threshold=0.0)), (3,))


@pytest.mark.parametrize(
    "layers, shape, message",
    [
        ([nn.MaxPool2d(2)], (1, 4, 4), "'0', MaxPool2d.*a maximum is no weighted sum"),
        ([nn.Linear(3, 2), nn.LSTM(2, 2)], None, "'1', LSTM.*supported are Linear"),
        ([nn.Conv2d(1, 1, 2, dilation=2)], (1, 5, 5), "'0', Conv2d.*dilation"),
        ([nn.Conv2d(1, 1, 2), nn.Linear(4, 2)], (1, 3, 3), "'1', Linear.*Flatten may be missing"),
        ([nn.AvgPool2d(2, padding=1, count_include_pad=False)], (1, 4, 4), "'0', AvgPool2d"),
        ([nn.Flatten(2)], (1, 4, 4), "'0', Flatten"),
        ([nn.Conv2d(1, 1, 3)], (1, 2, 2), "'0', Conv2d.*exceeds the spatial size"),
        ([nn.ReLU()], None, "Give the shape of a sample"),
        ([], None, "no layers"),
    ],
)
def test_what_cannot_be_converted_is_named(layers, shape, message):
    with pytest.raises(ValidationError, match=message):
        nengo_jit.from_torch(nn.Sequential(*layers), shape)
