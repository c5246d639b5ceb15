"""Kernels for neurons: each runs a formula over all neurons of its type.

A row has the addresses of the currents, the output, the states and the parameters (dt first),
and the number of neurons. The loops are the same for all formulas with as many states; what is
in them is the formula's own step.
"""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from nengo.neurons import RatesToSpikesNeuronType

import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu.fingerprint import referred
from nengo_jit.engines.cpu.kernels.lif import lif
from nengo_jit.engines.cpu.kernels.operator import dot_columns, start
from nengo_jit.engines.cpu.kernels.spikes import flag_spikes, listed_spikes
from nengo_jit.engines.cpu.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.machine import (
    Kernel,
    Row,
    compilable,
    integers,
    reals,
    tuple_of,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.machine import kernel as kernel_with
from nengo_jit.engines.cpu.random import Loan, Stream, fill_uniform, is_legacy, next_poisson
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import DotInc
from nengo_jit.neurons import Formula, formula_of
from nengo_jit.neurons.lif import FORMULA as LIF
from nengo_jit.neurons.poisson_spiking import FORMULA as POISSON_SPIKING
from nengo_jit.neurons.poisson_spiking import step as poisson_spiking_step
from nengo_jit.neurons.stochastic_spiking import FORMULA as STOCHASTIC_SPIKING
from nengo_jit.neurons.stochastic_spiking import step as stochastic_spiking_step

# nanoseconds for a neuron, and for each elementary function of its formula
NEURON_COST, FUNCTION_COST = 0.3, 2.0
ELEMENTARY = (vocabulary.exp, vocabulary.expm1, vocabulary.log1p, vocabulary.tanh)


def _without_state(step, n_parameters):
    def run_neurons(memory, table):
        use_widest_vectors()
        rows = integers(table, 1 + 4 * integers(table, 1)[0])
        for r in range(1, rows.size, 4):
            n = rows[r + 3]
            current, output = vector(memory, rows[r], n), vector(memory, rows[r + 1], n)
            p = tuple_of(vector(memory, rows[r + 2], n_parameters), n_parameters)
            for i in range(n):
                (output[i],) = step(current[i], *p)
        return 0

    return run_neurons


def _with_one_state(step, n_parameters):
    def run_neurons(memory, table):
        use_widest_vectors()
        rows = integers(table, 1 + 5 * integers(table, 1)[0])
        for r in range(1, rows.size, 5):
            n = rows[r + 4]
            current, output = vector(memory, rows[r], n), vector(memory, rows[r + 1], n)
            x = vector(memory, rows[r + 2], n)
            p = tuple_of(vector(memory, rows[r + 3], n_parameters), n_parameters)
            for i in range(n):
                output[i], x[i] = step(current[i], x[i], *p)
        return 0

    return run_neurons


def _with_two_states(step, n_parameters):
    def run_neurons(memory, table):
        use_widest_vectors()
        rows = integers(table, 1 + 6 * integers(table, 1)[0])
        for r in range(1, rows.size, 6):
            n = rows[r + 5]
            current, output = vector(memory, rows[r], n), vector(memory, rows[r + 1], n)
            x, y = vector(memory, rows[r + 2], n), vector(memory, rows[r + 3], n)
            p = tuple_of(vector(memory, rows[r + 4], n_parameters), n_parameters)
            for i in range(n):
                output[i], x[i], y[i] = step(current[i], x[i], y[i], *p)
        return 0

    return run_neurons


def _with_three_states(step, n_parameters):
    def run_neurons(memory, table):
        use_widest_vectors()
        rows = integers(table, 1 + 7 * integers(table, 1)[0])
        for r in range(1, rows.size, 7):
            n = rows[r + 6]
            current, output = vector(memory, rows[r], n), vector(memory, rows[r + 1], n)
            x, y = vector(memory, rows[r + 2], n), vector(memory, rows[r + 3], n)
            z = vector(memory, rows[r + 4], n)
            p = tuple_of(vector(memory, rows[r + 5], n_parameters), n_parameters)
            for i in range(n):
                output[i], x[i], y[i], z[i] = step(current[i], x[i], y[i], z[i], *p)
        return 0

    return run_neurons


LOOPS = (_without_state, _with_one_state, _with_two_states, _with_three_states)

for _step in (stochastic_spiking_step, poisson_spiking_step):
    compilable(_step)


@cache
def kernel_of(formula: Formula) -> Kernel | None:
    """The kernel that runs a formula; None if it has more states than there are loops for."""
    if formula.random is not None:
        return RANDOM.get(formula)
    if len(formula.states) >= len(LOOPS):
        return None
    make_loop = LOOPS[len(formula.states)]
    step = compilable(formula.step, formula.contract)
    loop = make_loop(step, 1 + len(formula.parameter_names))
    fields = f"aw{'a' * len(formula.states)}=n"
    return Kernel(loop, fields, cost=_cost(step), contract=formula.contract)


def _cost(step: Any) -> float:
    """About how long a step takes for a neuron (nanoseconds)."""
    called = [each for each in referred(step).values() if isinstance(each, FunctionType)]
    elementary = sum(each in ELEMENTARY for each in called)
    others = [each for each in called if each.__module__ != vocabulary.__name__]
    return max([NEURON_COST, *map(_cost, others)]) + FUNCTION_COST * elementary


@kernel_with("=p=m==", cost=4.0)
def stochastic_spiking(memory, table):
    """`nengo_jit.neurons.stochastic_spiking`."""
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n = rows[r + 3]
        current, output = vector(memory, rows[r], n), vector(memory, rows[r + 1], n)
        p = vector(memory, rows[r + 2], 3)
        dt, p1, p2 = p[0], p[1], p[2]
        drawn = reals(rows[r + 5], n)
        fill_uniform(rows[r + 4], drawn)
        for i in range(n):
            (output[i],) = stochastic_spiking_step(current[i], drawn[i], dt, p1, p2)
    return 0


@kernel_with("=p=m==", cost=15.0)
def poisson_spiking(memory, table):
    """`nengo_jit.neurons.poisson_spiking`."""
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n = rows[r + 3]
        current, output = vector(memory, rows[r], n), vector(memory, rows[r + 1], n)
        p = vector(memory, rows[r + 2], 3)
        dt, p1, p2 = p[0], p[1], p[2]
        drawn = reals(rows[r + 5], n)
        for i in range(n):
            rate = abs(current[i]) if p1 > 0 else current[i]
            drawn[i] = next_poisson(rows[r + 4], np.float64(rate * dt))
        for i in range(n):
            (output[i],) = poisson_spiking_step(current[i], drawn[i], dt, p1, p2)
    return 0


RANDOM = {STOCHASTIC_SPIKING: stochastic_spiking, POISSON_SPIKING: poisson_spiking}


def _generator(operator: SimNeurons, lowering: Lowering) -> int | None:
    """Address of the generator that a model's neurons keep, for as long as a run lasts.

    The generator belongs to the model: another engine may go on from where this one ends, and a
    reset does not rewind it.
    """
    rng: Any = operator.state_extra.get("rng")
    if len(operator.state_extra) != 1 or not is_legacy(rng):
        return None
    stream = Stream(lowering.buffer(Stream.size))
    lowering.loans.append(Loan(rng, stream))
    return stream.address


def _may_be_refused(operator: SimNeurons, lowering: Lowering) -> bool:
    """Whether there may be negative rates, for which NumPy refuses to draw Poisson numbers."""
    if operator.neurons.negative:
        return False  # there are negative spikes
    writers = lowering.writers_of(operator.J)
    if len(writers) != 1 or type(writers[0]) is not SimNeurons:
        return True
    base = writers[0].neurons
    is_known = formula_of(base) is not None and not isinstance(base, RatesToSpikesNeuronType)
    return base.negative or not is_known or writers[0].output is not operator.J


@lowers(SimNeurons, lambda operator: formula_of(operator.neurons) is not None)
def lower_sim_neurons(operator: SimNeurons, lowering: Lowering) -> Lowered | None:
    """Run the type's formula; types without one run in Python."""
    formula = formula_of(operator.neurons)
    if formula is None or set(operator.state) != set(formula.states):
        return None
    if formula.random is None and operator.state_extra:
        return None
    kernel = kernel_of(formula)
    if kernel is None:
        return None
    signals = [operator.J, operator.output, *(operator.state[name] for name in formula.states)]
    arrays = [lowering.array(signal) for signal in signals]
    lowered: Lowered
    n = operator.output.size
    drawing: tuple[int, ...] = ()
    if formula.random is not None:
        if formula is POISSON_SPIKING and _may_be_refused(operator, lowering):
            return None
        generator = _generator(operator, lowering)
        if generator is None:
            return None
        drawing = (generator, start(lowering.buffer(n, np.float64)))
    parameters: Any = formula.parameters(operator.neurons, lowering.dt)
    address = lowering.parameters([lowering.dt, *parameters])
    output, flags = start(arrays[1]), lowering.flags[operator.output]
    if formula is LIF:
        product = _product(operator, lowering)
        lowered = [(lif, (*product, *map(start, arrays), flags, address, n))]
    else:
        lowered = [(kernel, (*map(start, arrays), address, n, *drawing))]
    is_weighted = operator.output in lowering.weighted
    if formula.spiking and is_weighted and lowering.is_only_writer(operator, operator.output):
        lowering.spiking.add(operator.output)
        if not lowering.is_exposed(operator.output):  # else its readers have to look for spikes
            if formula is not LIF:
                lowered.append((flag_spikes, (output, flags, n)))
            listing, lowering.events[operator.output] = listed_spikes(n, flags, lowering)
            lowered += listing
    return lowered


def _product(operator: SimNeurons, lowering: Lowering) -> Row:
    """What makes the currents, for `lif`: the only product that is added to them, if it can be."""
    J = start(lowering.array(operator.J))
    nothing = (J, J, 0, 0, 0)
    products = [each for each in lowering.writers_of(operator.J) if type(each) is DotInc]
    if len(products) != 1 or lowering.only_reader_of(operator.J) is not operator:
        return nothing
    (product,) = products
    lowered = lowering.lower(product)
    if not lowered or lowered[0][0] is not dot_columns or not lowering.can_wait(product):
        return nothing
    columns, begin, x, y, n, m, distance = lowered[0][1]
    if begin == y or (y, n) != (J, operator.J.size):  # there is something else to be added
        return nothing
    lowering.do_together(product, operator)
    return columns, begin, x, m, distance
