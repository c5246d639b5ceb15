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
from nengo_jit.engines.cpu.fingerprint import referred
from nengo_jit.engines.cpu.kernel import Address, Count, Factor, In, InOut, Kernel, Out, Own, start
from nengo_jit.engines.cpu.kernels.lif import lif
from nengo_jit.engines.cpu.kernels.operator import dot_columns
from nengo_jit.engines.cpu.kernels.spikes import flag_spikes, listed_spikes
from nengo_jit.engines.cpu.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.machine import (
    Memory,
    compilable,
    helper,
    reals,
    tuple_of,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.random import Loan, Stream, fill_uniform, is_legacy, next_poisson
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import DotInc
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
WRITTEN_WITH = (reals, tuple_of, use_widest_vectors, vector)


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
        before += ["drawn = reals(numbers, n)", "draw(generator, drawn, currents, p)"]
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


def _generator(operator: SimNeurons, lowering: Lowering) -> Address | None:
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


def _has_kernel(operator: SimNeurons) -> bool:
    """Whether there is a kernel for neurons, whatever else may keep them in Python."""
    formula = formula_of(operator.neurons)
    return formula is not None and formula.random in (None, *DRAWS)


@lowers(SimNeurons, _has_kernel)
def lower_sim_neurons(operator: SimNeurons, lowering: Lowering) -> Lowered | None:
    """Run the type's formula; types without one run in Python."""
    formula = formula_of(operator.neurons)
    if formula is None or set(operator.state) != set(formula.states):
        return None
    if formula.random is None and operator.state_extra:
        return None
    used = kernel_of(formula)
    if used is None:
        return None
    drawing: dict[str, Any] = {}
    n = operator.output.size
    if formula.random is not None:
        if formula.random is counts and _may_be_refused(operator, lowering):
            return None
        generator = _generator(operator, lowering)
        if generator is None:
            return None
        drawing = {"generator": generator, "numbers": start(lowering.buffer(n, np.float64))}
    parameters: Any = formula.parameters(operator.neurons, lowering.dt)
    address = lowering.parameters([lowering.dt, *parameters])
    current, output = lowering.address(operator.J), lowering.address(operator.output)
    states = [lowering.address(operator.state[name]) for name in formula.states]
    flags = lowering.flags[operator.output]
    if formula is LIF:
        voltages, refractory_times = states
        row = lif.row(
            **_product(operator, lowering),
            currents=current,
            output=output,
            voltages=voltages,
            refractory_times=refractory_times,
            flags=flags,
            parameters=address,
            n=n,
        )
    else:
        row = used.row(
            current=current,
            output=output,
            **{f"state_{k}": state for k, state in enumerate(states)},
            parameters=address,
            n=n,
            **drawing,
        )
    lowered = [row]
    is_weighted = operator.output in lowering.weighted
    if formula.spiking and is_weighted and lowering.is_only_writer(operator, operator.output):
        lowering.spiking.add(operator.output)
        if not lowering.is_exposed(operator.output):  # else its readers have to look for spikes
            if formula is not LIF:
                lowered.append(flag_spikes.row(output=output, flags=flags, n=n))
            listing, lowering.events[operator.output] = listed_spikes(n, flags, lowering)
            lowered += listing
    return lowered


def _product(operator: SimNeurons, lowering: Lowering) -> dict[str, Any]:
    """What makes the currents, for `lif`: the only product that is added to them, if it can be."""
    J = lowering.address(operator.J)
    nothing = {"columns": J, "begin": J, "x": Address(0), "m": 0, "distance": 0}
    products = [each for each in lowering.writers_of(operator.J) if type(each) is DotInc]
    if len(products) != 1 or lowering.only_reader_of(operator.J) is not operator:
        return nothing
    (product,) = products
    lowered = lowering.lower(product)
    if not lowered or lowered[0].kernel is not dot_columns or not lowering.can_wait(product):
        return nothing
    row = lowered[0]
    is_whole = (row["y"], row["n"]) == (J, operator.J.size)
    if row["begin"] == J or not is_whole:  # there is something else to be added
        return nothing
    lowering.do_together(product, operator)
    return {name: row[name] for name in nothing}
