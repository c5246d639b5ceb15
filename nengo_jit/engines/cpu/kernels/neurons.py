"""Kernels for neurons: each runs a formula over all neurons of its type.

A row has the addresses of the currents, the output, the states and the parameters (dt first),
and the number of neurons. The source of the loop is generated for each formula, because formulas
differ in the number of their states.
"""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from nengo.neurons import RatesToSpikesNeuronType

import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu.kernels.dense import dot_columns
from nengo_jit.engines.cpu.kernels.dot import Operands, operands_of
from nengo_jit.engines.cpu.kernels.drawn_numbers import numbers_from_python
from nengo_jit.engines.cpu.kernels.held import hold_in_place
from nengo_jit.engines.cpu.kernels.lif import CURRENTS, MULTIPLIED, OUTPUT, SCALED, lif, show_spikes
from nengo_jit.engines.cpu.kernels.spikes import flag_spikes, listing
from nengo_jit.engines.cpu.language.columns import Count, Factor, In, InOut, Out, Own
from nengo_jit.engines.cpu.language.kernel import Kernel, start
from nengo_jit.engines.cpu.language.mt19937 import (
    BorrowedGenerator,
    Stream,
    fill_poisson,
    fill_uniform,
    is_legacy,
)
from nengo_jit.engines.cpu.language.primitives import (
    FLOAT16,
    Address,
    Memory,
    compilable,
    float64s,
    helper,
    int64s,
    scalars,
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

columns_after = dot_columns.variant(when="after")

# nanoseconds per neuron, and per elementary function of its formula
NEURON_COST, FUNCTION_COST = 0.3, 2.0
ELEMENTARY = (vocabulary.exp, vocabulary.expm1, vocabulary.log1p, vocabulary.tanh)

# A formula has any number of states and at most one random number, see `kernel_of`.
KERNEL = """
def run_neurons(memory, current, output, parameters, n, {columns}):
    use_widest_vectors()
    currents, outputs = vector(memory, current, n), vector(memory, output, n)
    p = tuple_of(scalars(memory, parameters, {n_parameters}), {n_parameters})
    {before}
    {loop}
"""
LOOP = """
    for i in range(n):
        outputs[i], {new} = step(currents[i], {old} *p)
"""
# Python draws numbers of either precision, see `drawn_numbers.py`
LOOP_OVER_NUMBERS = """
    if int64s(is_double, 1)[0]:
        drawn = float64s(numbers, n)
        for i in range(n):
            outputs[i], {new} = step(currents[i], {old} drawn[i], *p)
    else:
        drawn_singly = vector(memory, numbers, n)
        for i in range(n):
            outputs[i], {new} = step(currents[i], {old} drawn_singly[i], *p)
"""
WRITTEN_WITH = (float64s, int64s, scalars, tuple_of, use_widest_vectors, vector)


@helper(forceinline=True)
def draw_uniform(generator, drawn, currents, p):
    """Draw what `nengo_jit.neurons.base.uniform` draws."""
    fill_uniform(generator, drawn)


@helper(forceinline=True)
def draw_counts(generator, drawn, currents, p):
    """Draw what `nengo_jit.neurons.poisson_spiking.counts` draws; p is dt and its parameters."""
    for i in range(drawn.size):
        drawn[i] = np.float64((abs(currents[i]) if p[1] > 0 else currents[i]) * p[0])
    fill_poisson(generator, drawn)


# For a formula's ``random``: what draws the same in kernels, and the time per number (nanoseconds)
DRAWS = {uniform: (draw_uniform, 4.0), counts: (draw_counts, 5.0)}


@cache
def kernel_of(formula: Formula) -> Kernel[...]:
    """Return the kernel that runs a formula.

    It has a column for each state: state_0, state_1 and so on. Random numbers are drawn for one
    neuron after another, so a row with them cannot be divided.
    """
    names = [f"state_{k}" for k in range(len(formula.states))]
    types: dict[str, object] = {"memory": Memory, "parameters": Address, "return": None}
    before = [f"{name}_of = vector(memory, {name}, n)" for name in names]
    given = [f"{name}_of[i]," for name in names]
    draw, cost, loop, numbers = None, 0.0, LOOP, ""
    drawing: list[str] = []
    if formula.random is None:
        types |= {"current": In, "output": Out, "n": Count, **dict.fromkeys(names, InOut)}
    else:
        types |= {"current": Address, "output": Own, "n": Factor, **dict.fromkeys(names, Address)}
        if not draws_in_python(formula):
            draw, cost = DRAWS[formula.random]
            before += ["drawn = float64s(numbers, n)", "draw(generator, drawn, currents, p)"]
            drawing, numbers = ["generator", "numbers"], "drawn[i],"
        else:
            drawing, loop = ["numbers", "is_double"], LOOP_OVER_NUMBERS
        types |= dict.fromkeys(drawing, Address)
    source = KERNEL.format(
        columns=", ".join([*names, *drawing]),
        before="; ".join(before),
        loop=loop.format(new=" ".join(given), old=" ".join([*given, numbers])).strip(),
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
    """Return about how long a step of one neuron takes (nanoseconds)."""
    called = [each for each in referred(step).values() if isinstance(each, FunctionType)]
    elementary = sum(each in ELEMENTARY for each in called)
    others = [each for each in called if each.__module__ != vocabulary.__name__]
    return max([NEURON_COST, *map(_cost, others)]) + FUNCTION_COST * elementary


def draws_in_python(formula: Formula) -> bool:
    """Whether a formula has random numbers that kernels cannot draw."""
    return all(formula.random is not each for each in (None, *DRAWS))  # it may be unhashable


def _generator(operator: SimNeurons, lowering: Lowering) -> Address:
    """Return the address of the neurons' generator, which kernels borrow for each run.

    The generator belongs to the model: another engine may continue from where this one ends, and
    a reset does not rewind it.
    """
    stream = Stream(lowering.arena.buffer(Stream.size))
    (rng,) = operator.state_extra.values()
    lowering.borrowed.append(BorrowedGenerator(rng, stream))
    return stream.address


def _may_be_refused(operator: SimNeurons, facts: Facts) -> bool:
    """Return whether rates may be negative, for which NumPy refuses to draw Poisson numbers."""
    if operator.neurons.negative:
        return False  # there are negative spikes
    writers = facts.uses.writers_of(operator.J)
    if len(writers) != 1 or type(writers[0]) is not SimNeurons:
        return True
    base = writers[0].neurons
    formula = formula_of(base)
    if formula is None or draws_in_python(formula) or isinstance(base, RatesToSpikesNeuronType):
        return True
    return base.negative or writers[0].output is not operator.J


def _has_kernel(operator: SimNeurons) -> bool:
    """Return whether there is a kernel for neurons; they may still run in Python."""
    return formula_of(operator.neurons) is not None


def _calls_python(operator: SimNeurons) -> bool:
    """Return whether Python draws random numbers for neurons in each step."""
    formula = formula_of(operator.neurons)
    return formula is not None and draws_in_python(formula)


def _fits_kernel(operator: SimNeurons, facts: Facts) -> bool:
    """Return whether neurons have the states of their formula, and a generator if it needs one."""
    formula = formula_of(operator.neurons)
    if formula is None or set(operator.state) != set(formula.states):
        return False
    if facts.dtype == FLOAT16 and draws_in_python(formula):
        return False
    if formula.random is None:
        return not operator.state_extra
    if formula.random is counts and _may_be_refused(operator, facts):
        return False
    if len(operator.state_extra) != 1:
        return False
    (rng,) = operator.state_extra.values()
    return draws_in_python(formula) or (is_legacy(rng) and not facts.uses.is_shared(rng))


@lowers(SimNeurons, _has_kernel, _fits_kernel, _calls_python)
def lower_sim_neurons(operator: SimNeurons, lowering: Lowering) -> Lowered:
    """Run the formula of the type; list spikes if products need them."""
    formula = formula_of(operator.neurons)
    assert formula is not None
    n = operator.output.size
    parameters = formula.parameters(operator.neurons, lowering.dt)
    address = lowering.arena.parameters([lowering.dt, *parameters])
    current, output = lowering.address(operator.J), lowering.address(operator.output)
    states = [lowering.address(operator.state[name]) for name in formula.states]
    flags = lowering.populations.flags[operator.output]
    is_lif = formula is LIF and lowering.dtype != FLOAT16
    if is_lif:
        voltages, refractory_times = states
        before, operands, record = _currents(operator, lowering)
        hidden = 0
        if operator in lowering.fusion.without_currents:
            hidden |= CURRENTS
            lowering.delayed.add(operator.J.base)
            before.append(columns_after.row(**operands, record=record, y=current, n=n))
        if operator.output in lowering.fusion.without_output:
            hidden |= OUTPUT
            lowering.delayed.add(operator.output.base)
            before.append(show_spikes.row(flags=flags, output=output, parameters=address, n=n))
        row = lif.row(
            **operands,
            record=record,
            terms=_terms(operator, lowering),
            hidden=hidden,
            currents=current,
            output=output,
            voltages=voltages,
            refractory_times=refractory_times,
            flags=flags,
            parameters=address,
            n=n,
        )
    else:
        before = []
        drawing: dict[str, Address] = {}
        if draws_in_python(formula):
            drawing = numbers_from_python(operator, formula, lowering)
        elif formula.random is not None:
            numbers = start(lowering.arena.buffer(n, np.float64))
            drawing = {"generator": _generator(operator, lowering), "numbers": numbers}
        row = kernel_of(formula).row(
            current=current,
            output=output,
            **{f"state_{k}": state for k, state in enumerate(states)},
            parameters=address,
            n=n,
            **drawing,
        )
    lowered = [*before, row]
    if operator.output in lowering.fusion.listed:
        if not is_lif:
            lowered.append(flag_spikes.row(output=output, flags=flags, n=n))
        lowered += listing(flags, lowering.populations.lists_of(operator.output))
    return lowered


def _currents(operator: SimNeurons, lowering: Lowering) -> tuple[Lowered, Operands, Address]:
    """Return the product that is fused into neurons: rows before it, its operands, its record.

    If no product is fused, m is zero.
    """
    product = lowering.part_of(operator, Part.CURRENTS)
    if product is not None:
        before, record = hold_in_place(product, lowering, on_paths=True)
        return before, operands_of(product, lowering), record
    J, nothing = lowering.address(operator.J), Address(0)
    return [], {"columns": J, "begin": J, "x": nothing, "m": 0, "distance": 0}, nothing


def _terms(operator: SimNeurons, lowering: Lowering) -> Address:
    """Return the address of the terms that are added to the product, see `lif`; 0 if none are."""
    terms = lowering.fusion.terms.get(operator, ())
    if not terms:
        return Address(0)
    table = [lowering.address(operator.J), len(terms)]
    for term in terms:
        if type(term) is Copy:
            one = lowering.arena.parameters([1.0])
            table += [SCALED, one, lowering.address(term.src)]
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
