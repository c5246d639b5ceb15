"""Every formula computes what nengo's own step computes: in NumPy to the bit, compiled nearly."""

from functools import cache
from importlib import import_module

import nengo
import numpy as np
import pytest
from libraries import Library, every_library
from numba import njit
from pages import install

from nengo_jit.engines.cpu.language.primitives import compilable
from nengo_jit.engines.cpu.toolchain.compiler import define_helpers
from nengo_jit.neurons import Formula, formula_of, register
from nengo_jit.scalar import bind

DT = 0.001  # seconds
N_NEURONS = 64

NEURONS = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.05, tau_ref=0.0005, min_voltage=-1, amplitude=0.3),
    nengo.LIF(tau_ref=0, min_voltage=-np.inf),
    nengo.LIFRate(),
    nengo.LIFRate(tau_rc=0.05, tau_ref=0, amplitude=0.3),
    nengo.AdaptiveLIF(),
    nengo.AdaptiveLIF(tau_n=0.1, inc_n=0.1, tau_rc=0.05, min_voltage=-1, amplitude=0.3),
    nengo.AdaptiveLIFRate(),
    nengo.AdaptiveLIFRate(tau_n=0.1, inc_n=0.1, tau_rc=0.05, tau_ref=0.001, amplitude=0.3),
    nengo.Izhikevich(),
    nengo.Izhikevich(tau_recovery=0.1, coupling=0.26, reset_voltage=-50, reset_recovery=2),
    nengo.RectifiedLinear(),
    nengo.RectifiedLinear(amplitude=0.3),
    nengo.SpikingRectifiedLinear(),
    nengo.SpikingRectifiedLinear(amplitude=0.3),
    nengo.Sigmoid(),
    nengo.Sigmoid(tau_ref=0.01),
    nengo.Tanh(),
    nengo.Tanh(tau_ref=0.01),
    nengo.RegularSpiking(nengo.Tanh(), amplitude=0.3),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.Tanh(), amplitude=0.3),
    nengo.StochasticSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.Tanh(), amplitude=0.3),
    nengo.PoissonSpiking(nengo.LIFRate()),
]

all_neurons = pytest.mark.parametrize("neurons", NEURONS, ids=str)


def draw_currents(neurons, rng, dtype, largest):
    """Currents around the threshold, some zero, negative, at the threshold or very large."""
    J = rng.normal(1.0, 2.0, N_NEURONS)
    is_rate = isinstance(neurons, nengo.neurons.RatesToSpikesNeuronType)
    if is_rate or isinstance(neurons, nengo.RectifiedLinear):
        J *= 300.0  # hertz
    J[rng.randint(N_NEURONS, size=12)] = np.repeat([0.0, 1.0, largest, -largest], 3)
    if isinstance(neurons, nengo.PoissonSpiking) and not neurons.negative:
        J = np.abs(J)
    return J.astype(dtype)


def step_by_formula(neurons, step, J, states, rng, number=float):
    """One step: the output and the new states; ``rng`` may be None where nothing is random."""
    formula = formula_of(neurons)
    parameters = formula.parameters(neurons, DT)
    drawn = [formula.random(rng, J, DT, *parameters)] if formula.random else []
    drawn = [draw.astype(J.dtype) for draw in drawn]
    with np.errstate(all="ignore"):
        return step(J, *states, *drawn, number(DT), *map(number, parameters))


@all_neurons
@pytest.mark.parametrize("dtype, n_steps, rtol", [(np.float64, 1000, 0), (np.float32, 200, 1e-6)])
def test_numpy_gives_the_numbers_of_nengo(neurons, dtype, n_steps, rtol):
    formula = formula_of(neurons)
    rng = np.random.RandomState(0)
    state = neurons.make_state(N_NEURONS, rng=np.random.RandomState(1), dtype=dtype)
    output = np.zeros(N_NEURONS, dtype=dtype)
    n_active = 0
    for k in range(n_steps):
        J = draw_currents(neurons, rng, dtype, 1e6)
        if formula.random:
            state["rng"] = np.random.RandomState(k)
        states = [state[name].copy() for name in formula.states]
        results = step_by_formula(neurons, formula.step, J, states, np.random.RandomState(k))
        with np.errstate(all="ignore"):
            neurons.step(DT, J, output, **state)
        for got, expected in zip(results, [output, *(state[name] for name in formula.states)]):
            np.testing.assert_allclose(got, expected, rtol=rtol, atol=0)
        np.testing.assert_array_equal(results[0] != 0, output != 0)
        n_active += np.count_nonzero(output)
    assert n_active > n_steps


@all_neurons
@every_library
def test_other_libraries_give_the_numbers_of_numpy(neurons, name):
    library, formula = Library(name), formula_of(neurons)
    xp, rng = library.xp, np.random.RandomState(0)
    parameters = formula.parameters(neurons, DT)
    state = neurons.make_state(N_NEURONS, rng=rng)
    states = [state[name] for name in formula.states]
    for k in range(20):
        J = draw_currents(neurons, rng, np.float64, 1e3)
        random = formula.random
        drawn = [random(np.random.RandomState(k), J, DT, *parameters)] if random else []
        arrays = [J, *states, *drawn]
        arguments = [np.asarray(each, float) for each in (*arrays, DT, *parameters)]
        with np.errstate(all="ignore"):
            expected = formula.step(*arrays, DT, *parameters)
            results = library.call(bind(formula.step, xp), list(map(xp.asarray, arguments)))
        scale = 1.0 + np.abs(J).max() + sum(np.abs(state).max() for state in states)
        for result, value in zip(results, expected):
            library.assert_equal(result, value, scale=scale)
        states = list(expected[1:])


@pytest.mark.parametrize("neurons", [n for n in NEURONS if formula_of(n).rate], ids=str)
@every_library
def test_other_libraries_give_the_rates_of_numpy(neurons, name):
    library, formula = Library(name), formula_of(neurons)
    J = draw_currents(neurons, np.random.RandomState(0), np.float64, 1e3)
    parameters = formula.parameters(neurons, DT)
    arguments = [library.xp.asarray(np.asarray(each)) for each in (J, *parameters)]
    with np.errstate(all="ignore"):
        expected = formula.rate(J, *parameters)
        rates = library.call(bind(formula.rate, library.xp), arguments)
    library.assert_equal(rates, expected)


@cache
def compiled_step(formula):
    """The formula, compiled, applied to whole arrays."""
    arrays = ["J", *formula.states, *(["drawn"] if formula.random else [])]
    elements = ", ".join(f"{name}[i]" for name in arrays)
    parameters = ", ".join(formula.parameter_names)
    results = ", ".join(f"results[{i}, i]" for i in range(1 + len(formula.states)))
    source = f"""
def apply({", ".join(arrays)}, dt, {parameters}):
    results = np.empty(({1 + len(formula.states)}, J.size), J.dtype)
    for i in range(J.size):
        {results}, = step({elements}, dt, {parameters})
    return results
"""
    namespace = {"step": compilable(formula.step, formula.contract), "np": np}
    exec(source, namespace)
    define_helpers()
    return njit(error_model="numpy", fastmath={"contract", "nsz"})(namespace["apply"])


@all_neurons
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_compiled_gives_the_numbers_of_numpy(neurons, dtype, tolerance):
    """One step at a time, from the same states, since a spike may come a step later."""
    formula = formula_of(neurons)
    rng = np.random.RandomState(0)
    state = neurons.make_state(N_NEURONS, rng=rng, dtype=dtype)
    states = [state[name] for name in formula.states]
    for k in range(200):
        J = draw_currents(neurons, rng, dtype, 1e3)
        results = [
            step_by_formula(neurons, step, J, states, np.random.RandomState(k), number)
            for step, number in [(formula.step, float), (compiled_step(formula), dtype)]
        ]
        scale = 1.0 + np.abs(J) + sum(np.abs(state) for state in states)
        for expected, got in zip(*results):
            assert got.dtype == dtype
            assert np.all(np.abs(got - expected) <= tolerance * (scale + np.abs(expected)))
        if formula.spiking:
            np.testing.assert_array_equal(results[0][0] != 0.0, results[1][0] != 0.0)
        states = [np.asarray(state, dtype=dtype) for state in results[0][1:]]


@all_neurons
def test_formulas_fit_their_neuron_types(neurons):
    formula = formula_of(neurons)
    assert formula.name.isidentifier()
    assert formula.spiking == neurons.spiking
    assert set(formula.states) == set(neurons.state)
    assert formula.parameters(neurons, DT) == tuple(
        float(getattr(neurons, name)) for name in formula.parameter_names
    )
    arguments = formula.step.__code__.co_varnames[: formula.step.__code__.co_argcount]
    assert arguments[: 1 + len(formula.states)] == ("J", *formula.states)
    assert arguments[-1 - len(formula.parameter_names) :] == ("dt", *formula.parameter_names)
    n_drawn = 1 if formula.random else 0
    assert len(arguments) == 2 + len(formula.states) + n_drawn + len(formula.parameter_names)


def test_poisson_counts_refuse_negative_rates_as_nengo_does():
    neurons = nengo.PoissonSpiking(nengo.LIFRate())
    J = np.array([-1.0])
    with pytest.raises(ValueError):
        neurons.step(DT, J, np.zeros(1), rng=np.random.RandomState(0))
    with pytest.raises(ValueError):
        step_by_formula(neurons, formula_of(neurons).step, J, [], np.random.RandomState(0))


def test_unknown_types_have_no_formula():
    class Custom(nengo.LIF):
        pass

    assert formula_of(Custom()) is None
    assert formula_of(nengo.Direct()) is None


def test_replaced_steps_have_no_formula(monkeypatch):
    def step(self, dt, J, output, **state):
        output[...] = 0

    with monkeypatch.context() as patch:
        patch.setattr(nengo.LIF, "step", step)
        assert formula_of(nengo.LIF()) is None
        assert formula_of(nengo.AdaptiveLIF()) is None  # which calls it
        assert formula_of(nengo.LIFRate()) is not None
    assert formula_of(nengo.LIF()) is not None

    neurons = nengo.Tanh()
    neurons.__dict__["step"] = step
    assert formula_of(neurons) is None


def test_types_can_be_registered_from_outside():
    class Doubling(nengo.neurons.NeuronType):
        factor = 2

        def step(self, dt, J, output):
            output[...] = self.factor * J

    def step(J, dt, factor):
        return (factor * J,)

    formula = register(Formula("doubling", Doubling, step, parameter_names=("factor",)))
    assert formula_of(Doubling()) is formula
    assert formula.parameters(Doubling(), DT) == (2.0,)


def test_example_in_the_documentation_is_compiled(tmp_path, monkeypatch):
    install("neurons", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    neurons = import_module("tiring").Tiring()
    formula = formula_of(neurons)
    J, fatigue = np.linspace(-9.0, 9.0, 50), np.linspace(0.0, 1.0, 50)
    parameters = formula.parameters(neurons, DT)
    np.testing.assert_allclose(
        compiled_step(formula)(J, fatigue, DT, *parameters),
        formula.step(J, fatigue, DT, *parameters),
        rtol=1e-14,
    )
