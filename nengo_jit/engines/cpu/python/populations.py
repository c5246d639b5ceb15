"""Populations of equal neurons that run as one.

If the tape of a user's neuron type computes each neuron by itself, populations that are neighbours
in memory, with a type of equal parameters, are carried out by one tape: that of their neurons
together. Its first population is the *leader*; the others have nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from nengo.params import FrozenObject, Parameter

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing import Unsupported
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    LOADS,
    STORES,
    Instruction,
    LoopCall,
    Memory,
    Span,
)
from nengo_jit.engines.cpu.python.tracing.reads import ELEMENTWISE, reads
from nengo_jit.engines.cpu.python.tracing.tape import Writer
from nengo_jit.ir.base import Operator
from nengo_jit.ir.memory import address
from nengo_jit.ir.neurons import SimNeurons

# Attributes that a step cannot read, or that the parameters are in
NOT_IN_STEPS = {"initial_state", "_paramdict", "_FrozenObject__argreprs"}
PLAIN = (float, int, bool, str, type(None))
BY_ELEMENT = {*ELEMENTWISE, *LOADS.values(), *STORES.values(), Opcode.COMMIT, Opcode.RETURN}
BY_ELEMENT |= {Opcode.LOOP, Opcode.LOOP_SHORT, Opcode.PACK, Opcode.UNPACK}
BY_ELEMENT |= {Opcode.POSITIONS, Opcode.TAKE, Opcode.PUT}


def are_alike(a: Operator, b: Operator) -> bool:
    """Whether two operators are populations whose neurons compute the same."""
    if not (type(a) is type(b) is SimNeurons) or a.state_extra or b.state_extra:
        return False
    return list(a.state) == list(b.state) and _are_equal(a.neurons, b.neurons)


def _are_equal(a: object, b: object) -> bool:
    """Whether objects have the same type and attributes."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if type(a) in PLAIN:
        return a == b
    if not (isinstance(a, FrozenObject) and isinstance(b, FrozenObject)):
        return False
    if vars(a).keys() != vars(b).keys():
        return False
    inherited = [item for base in type(a).__mro__ for item in vars(base).items()]
    parameters = {name for name, value in inherited if isinstance(value, Parameter)}
    names = (parameters | vars(a).keys()) - NOT_IN_STEPS
    return all(_are_equal(getattr(a, name), getattr(b, name)) for name in names)


def joined(
    steps: Sequence[object], own: Sequence[Sequence[np.ndarray]]
) -> tuple[Callable[[], object], list[np.ndarray]]:
    """The step of several populations as one, and its arrays.

    Parameters
    ----------
    steps : sequence of object
        Steps of the populations, which must be partial calls.
    own : sequence of sequence of numpy.ndarray
        The arrays of each.

    Raises
    ------
    Unsupported
        If they are not neighbours in memory.
    """
    arrays = [_joined(parts) for parts in zip(*own)]
    at = {id(part): array for part, array in zip(own[0], arrays)}
    step = steps[0]
    if not isinstance(step, partial):
        raise Unsupported("is no partial call")
    args = [at.get(id(each), each) for each in step.args]
    keywords = {name: at.get(id(each), each) for name, each in step.keywords.items()}
    return partial(step.func, *args, **keywords), arrays


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Vectors that follow each other in memory as one."""
    first = parts[0]
    end = first.ctypes.data
    for part in parts:
        is_vector = part.ndim == 1 and part.flags.c_contiguous and part.dtype == first.dtype
        is_next = part.ctypes.data == end and part.flags.writeable == first.flags.writeable
        if not (is_vector and is_next):
            raise Unsupported("has neurons that are not neighbours in memory")
        end += part.nbytes
    n = sum(part.size for part in parts)
    return np.lib.stride_tricks.as_strided(first, (n,), writeable=first.flags.writeable)


class Recorded:
    """What has been traced, in a form that does not depend on the number of neurons.

    Parameters
    ----------
    writer : Writer
        Has the tape.
    own : sequence of numpy.ndarray
        Arrays of the populations.

    Attributes
    ----------
    code : list of tuple
        A description of each instruction.

    Raises
    ------
    Unsupported
        If a neuron's numbers depend on other neurons.
    """

    def __init__(self, writer: Writer, own: Sequence[np.ndarray]):
        self._writer = writer
        self._n = own[0].size
        self._own = {address(array): i for i, array in enumerate(own)}
        self._definitions: dict[int, tuple[int, bool]] = {}  # index, and whether it has all neurons
        self.code = [self._described(i, each) for i, each in enumerate(writer.instructions)]

    def _described(self, index: int, instruction: Instruction) -> tuple[object, ...]:
        opcode, n = instruction.opcode, instruction.n
        n -= opcode == Opcode.POSITIONS
        is_whole = n == self._n and n > 1
        if opcode not in BY_ELEMENT or not (is_whole or n <= 1):
            raise Unsupported("computes neurons together")
        sources = [self._source(span, n) for span in reads(instruction)]
        others = [self._other(each) for each in (*instruction.operands, instruction.result)]
        if isinstance(instruction.result, int):
            self._definitions[instruction.result] = index, is_whole
        return opcode, is_whole, *sources, *others

    def _source(self, span: Span, n: int) -> object:
        """What an operand reads: a constant, one number, or the number of the same neuron."""
        is_single = span.stride == 0 or span.size <= 1
        if span.first >= CONSTANTS:
            if not is_single:
                raise Unsupported("uses other constants for other neurons")
            return self._writer.constant(span.first)
        index, is_whole = self._definitions.get(span.first, (-1, False))
        is_of_same = is_whole and span.stride == 1 and span.size in (n, n + 1)
        if index < 0 or is_of_same == (is_single and not is_whole):
            raise Unsupported("computes neurons together")
        return index

    def _other(self, operand: object) -> object:
        if isinstance(operand, Memory):
            if operand.size == self._n and operand.address in self._own:
                return self._own[operand.address]
            raise Unsupported("reads arrays that are not the neurons'")
        if isinstance(operand, LoopCall):
            if operand.steps[-1] == 0:
                raise Unsupported("computes neurons together")
            return operand.function, operand.data
        return None


def check_independence(alone: Recorded, together: Recorded) -> None:
    """Check that each neuron is computed by itself, whatever the number of neurons.

    Raises
    ------
    Unsupported
        If it is not.
    """
    if alone.code != together.code:
        raise Unsupported("depends on the number of neurons")
