"""Kernels for neurons: each runs a formula over all neurons of its type.

A row has the addresses of the currents, the output, the states and the parameters (dt first),
and the number of neurons. The loop is made for each formula, since what is in it is the formula's
own step, and since the states are as many as the formula has.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from nengo.neurons import RatesToSpikesNeuronType

import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu.kernels.dot import factors_of
from nengo_jit.engines.cpu.kernels.lif import COPIED, MULTIPLIED, SCALED, lif
from nengo_jit.engines.cpu.kernels.spikes import flag_spikes, listing
from nengo_jit.engines.cpu.language.kernel import (
    Address,
    Count,
    Factor,
    In,
    InOut,
    Kernel,
    Out,
    Own,
    start,
)
from nengo_jit.engines.cpu.language.mt19937 import (
    Loan,
    Stream,
    fill_uniform,
    is_legacy,
    next_poisson,
)
from nengo_jit.engines.cpu.language.primitives import (
    Memory,
    compilable,
    float64s,
    helper,
    tuple_of,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.fusion import Part
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.toolchain.fingerprint import referred
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons import Formula, formula_of
from nengo_jit.neurons.base import uniform
from nengo_jit.neurons.lif import FORMULA as LIF
from nengo_jit.neurons.poisson_spiking import counts

# nanoseconds for a neuron, and for each elementary function of its formula
NEURON_COST, FUNCTION_COST = 0.3, 2.0
ELEMENTARY = (vocabulary.exp, vocabulary.expm1, vocabulary.log1p, vocabulary.tanh)

# A formula has any number of states, and may have a random number: see `kernel_of`.
LOOP = """
def run_neurons(memory, current, output, parameters, n, {columns}):
    use_widest_vectors()
    currents, outputs = vector(memory, current, n), vector(memory, output, n)
    p = tuple_of(vector(memory, parameters, {n_parameters}), {n_parameters})
    {before}
    for i in range(n):
        outputs[i], {new} = step(currents[i], {old} *p)
"""
WRITTEN_WITH = (float64s, tuple_of, use_widest_vectors, vector)


@helper(forceinline=True)
def draw_uniform(generator, drawn, currents, p):
    """What `nengo_jit.neurons.base.uniform` draws."""
    fill_uniform(generator, drawn)


@helper(forceinline=True)
def draw_counts(generator, drawn, currents, p):
    """What `nengo_jit.neurons.poisson_spiking.counts` draws; its parameters come after dt."""
    for i in range(drawn.size):
        rate = abs(currents[i]) if p[1] > 0 else currents[i]
        drawn[i] = next_poisson(generator, np.float64(rate * p[0]))


# How kernels draw what a formula's ``random`` draws, and how long a number takes (nanoseconds)
DRAWS = {uniform: (draw_uniform, 4.0), counts: (draw_counts, 15.0)}


@cache
def kernel_of(formula: Formula) -> Kernel[...] | None:
    """The kernel that runs a formula; None if kernels cannot draw its random numbers.

    It has a column for each state, which are called state_0, state_1 and so on. Random numbers
    are drawn for one neuron after the other, so that a row of them cannot be divided.
    """
    names = [f"state_{k}" for k in range(len(formula.states))]
    types: dict[str, Any] = {"memory": Memory, "parameters": Address, "return": None}
    before = [f"{name}_of = vector(memory, {name}, n)" for name in names]
    given = [f"{name}_of[i]," for name in names]
    draw, cost = None, 0.0
    if formula.random is None:
        types |= {"current": In, "output": Out, "n": Count, **dict.fromkeys(names, InOut)}
    elif formula.random in DRAWS:
        draw, cost = DRAWS[formula.random]
        before += ["drawn = float64s(numbers, n)", "draw(generator, drawn, currents, p)"]
        types |= {"current": Address, "output": Own, "n": Factor, **dict.fromkeys(names, Address)}
        types |= {"generator": Address, "numbers": Address}
    else:
        return None
    source = LOOP.format(
        columns=", ".join(names if draw is None else [*names, "generator", "numbers"]),
        before="; ".join(before),
        new=" ".join(given),
        old=" ".join(given if draw is None else [*given, "drawn[i],"]),
        n_parameters=1 + len(formula.parameter_names),
    )
    step = compilable(formula.step, formula.contract)
    made: dict[str, Any] = {"step": step, "draw": draw}
    made |= {each.__name__: each for each in WRITTEN_WITH}
    exec(source, made)
    function = made["run_neurons"]
    function.__annotations__ = types
    return Kernel(function, cost=cost + _cost(step), contract=formula.contract)


def _cost(step: Any) -> float:
    """About how long a step takes for a neuron (nanoseconds)."""
    called = [each for each in referred(step).values() if isinstance(each, FunctionType)]
    elementary = sum(each in ELEMENTARY for each in called)
    others = [each for each in called if each.__module__ != vocabulary.__name__]
    return max([NEURON_COST, *map(_cost, others)]) + FUNCTION_COST * elementary


def _generator(operator: SimNeurons, lowering: Lowering) -> Address:
    """Address of the generator that a model's neurons keep, for as long as a run lasts.

    The generator belongs to the model: another engine may go on from where this one ends, and a
    reset does not rewind it.
    """
    stream = Stream(lowering.arena.buffer(Stream.size))
    lowering.loans.append(Loan(operator.state_extra["rng"], stream))
    return stream.address


def _may_be_refused(operator: SimNeurons, facts: Facts) -> bool:
    """Whether there may be negative rates, for which NumPy refuses to draw Poisson numbers."""
    if operator.neurons.negative:
        return False  # there are negative spikes
    writers = facts.uses.writers_of(operator.J)
    if len(writers) != 1 or type(writers[0]) is not SimNeurons:
        return True
    base = writers[0].neurons
    is_known = formula_of(base) is not None and not isinstance(base, RatesToSpikesNeuronType)
    return base.negative or not is_known or writers[0].output is not operator.J


def _has_kernel(operator: SimNeurons) -> bool:
    """Whether there is a kernel for neurons, whatever else may keep them in Python."""
    formula = formula_of(operator.neurons)
    return formula is not None and formula.random in (None, *DRAWS)


def _fits_kernel(operator: SimNeurons, facts: Facts) -> bool:
    """Whether neurons keep what their formula keeps, and can be given random numbers."""
    formula = formula_of(operator.neurons)
    if formula is None or set(operator.state) != set(formula.states):
        return False
    if formula.random is None:
        return not operator.state_extra
    if formula.random is counts and _may_be_refused(operator, facts):
        return False
    return len(operator.state_extra) == 1 and is_legacy(operator.state_extra.get("rng"))


@lowers(SimNeurons, _has_kernel, _fits_kernel)
def lower_sim_neurons(operator: SimNeurons, lowering: Lowering) -> Lowered:
    """Run the type's formula; list spikes if products wait for them."""
    formula = formula_of(operator.neurons)
    assert formula is not None
    n = operator.output.size
    parameters: Any = formula.parameters(operator.neurons, lowering.dt)
    address = lowering.arena.parameters([lowering.dt, *parameters])
    current, output = lowering.address(operator.J), lowering.address(operator.output)
    states = [lowering.address(operator.state[name]) for name in formula.states]
    flags = lowering.populations.flags[operator.output]
    if formula is LIF:
        voltages, refractory_times = states
        row = lif.row(
            **_currents(operator, lowering),
            currents=current,
            output=output,
            voltages=voltages,
            refractory_times=refractory_times,
            flags=flags,
            parameters=address,
            n=n,
        )
    else:
        used = kernel_of(formula)
        assert used is not None
        drawing: dict[str, Any] = {}
        if formula.random is not None:
            numbers = start(lowering.arena.buffer(n, np.float64))
            drawing = {"generator": _generator(operator, lowering), "numbers": numbers}
        row = used.row(
            current=current,
            output=output,
            **{f"state_{k}": state for k, state in enumerate(states)},
            parameters=address,
            n=n,
            **drawing,
        )
    lowered = [row]
    if operator.output in lowering.fusion.listed:
        if formula is not LIF:
            lowered.append(flag_spikes.row(output=output, flags=flags, n=n))
        lowered += listing(flags, lowering.populations.lists_of(operator.output))
    return lowered


def _currents(operator: SimNeurons, lowering: Lowering) -> dict[str, Any]:
    """What makes the currents, for `lif`: a product that is fused into the neurons, or nothing."""
    product = lowering.part_of(operator, Part.CURRENTS)
    if product is not None:
        return {**factors_of(product, lowering), "terms": _terms(operator, lowering)}
    J = lowering.address(operator.J)
    nothing = Address(0)
    return {"columns": J, "begin": J, "x": nothing, "m": 0, "distance": 0, "terms": nothing}


def _terms(operator: SimNeurons, lowering: Lowering) -> Address:
    """Address of what is added to the product, see `lif`."""
    terms = lowering.fusion.terms.get(operator, ())
    if not terms:
        return Address(0)
    table = [lowering.address(operator.J), len(terms)]
    for term in terms:
        if type(term) is Copy:
            table += [COPIED, 0, lowering.address(term.src)]
            continue
        (a, factors), (_, numbers) = sorted(
            ((signal, lowering.array(signal)) for signal in (term.A, term.X)),
            key=lambda each: each[1].size,
        )
        if factors.size > 1 and _is_uniform(a, factors, lowering):
            factors = factors[:1]
        kind = SCALED if factors.size == 1 else MULTIPLIED
        table += [kind, start(factors), start(numbers)]
    return lowering.arena.constant(table, np.int64)


def _is_uniform(signal: Signal, values: np.ndarray, lowering: Lowering) -> bool:
    """Whether a signal is a constant whose numbers are all equal."""

    def is_uniform() -> bool:
        return bool((values == values[0]).all())

    if not lowering.facts.is_fixed(signal) or not is_uniform():
        return False
    lowering.assumptions.assume(signal, is_uniform)
    return True
