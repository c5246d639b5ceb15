import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nengo_jit.engines.jax.arrays import xp
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.neurons import formulas
from nengo_jit.training.gradients import differentiable
from nengo_jit.training.surrogates import SURROGATES, fast_sigmoid

GRID = np.array([-50.0, -1.0, 0.0, 0.5, 1 - 1e-12, 1.0, 1 + 1e-12, 1.5, 10, 29.0, 30.0, 31, 300])
# without those of other tests
NAMES = {f.name: f for f in formulas() if f.neuron_type.__module__.startswith("nengo.")}


def arguments_of(formula, dtype):
    """Return dt and parameters, and values of current and states on a grid with thresholds."""
    parameters = formula.parameters(formula.neuron_type(*_base(formula)), 0.001)
    n = 1 + len(formula.states)
    grids = np.meshgrid(*[GRID] * min(n, 2), *[GRID[2:6] * 0.002] * max(0, n - 2))
    values = [each.ravel().astype(dtype) for each in grids]
    drawn = [np.full(values[0].shape, 0.5, dtype)] if formula.random is not None else []
    return (0.001, *parameters), (*values, *drawn)


def _base(formula):
    import nengo

    is_from_rates = issubclass(formula.neuron_type, nengo.neurons.RatesToSpikesNeuronType)
    return [nengo.LIFRate()] if is_from_rates else []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_engine_and_gradients_are_finite(name, dtype):
    formula = NAMES[name]
    numbers, values = arguments_of(formula, dtype)
    with as_given():
        compute = differentiable(fast_sigmoid)
        expected = jax.jit(lambda *each: SimNeurons.compute(xp, formula, *numbers, *each))(*values)

        def results(*each):
            return compute(xp, formula, *numbers, *each)

        @jax.jit
        def differentiated(*each):
            found, pull = jax.vjp(results, *each)
            return found, pull(tuple(map(jnp.ones_like, found)))

        found, slopes = differentiated(*values)
    for one, other in zip(expected, found):
        np.testing.assert_array_equal(one, other)
    for slope in slopes:
        assert slope.dtype == dtype
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", ["spiking_rectified_linear", "regular_spiking"])
def test_types_that_count_spikes_have_the_gradient_of_their_rate(name):
    formula = NAMES[name]
    numbers, _ = arguments_of(formula, np.float64)

    def output(J):
        return differentiable(fast_sigmoid)(xp, formula, *numbers, J, jnp.asarray(0.3))[0]

    with as_given():
        assert float(jax.jit(jax.grad(output))(jnp.asarray(40.0))) == pytest.approx(1.0)


@pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES)
def test_the_gradient_of_a_spike_is_the_surrogate_times_that_of_the_voltage(surrogate):
    formula = NAMES["lif"]
    numbers, _ = arguments_of(formula, np.float64)
    dt, tau_rc = numbers[:2]

    def output(voltage, J):
        compute = differentiable(surrogate)
        return compute(xp, formula, *numbers, J, voltage, jnp.asarray(0.0))[0]

    with as_given():
        J, voltage = jnp.asarray(3.0), jnp.asarray(0.9)
        by_voltage, by_current = jax.jit(jax.grad(output, (0, 1)))(voltage, J)
        decay = np.exp(-dt / tau_rc)
        distance = J + (voltage - J) * decay - 1
        slope = float(surrogate(distance)) / dt
        assert float(surrogate(jnp.asarray(0.0))) == 1
    assert float(by_voltage) == pytest.approx(slope * decay)
    assert float(by_current) == pytest.approx(slope * (1 - decay))
