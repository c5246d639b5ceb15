"""What the host computes ahead of a chunk of steps for the members of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nengo_jit.engines.jax.batch.inputs import GivenRows, Inputs
from nengo_jit.engines.jax.batch.members import Member
from nengo_jit.engines.jax.bucket import Drawn
from nengo_jit.engines.jax.draws import Draw, Drawing, Draws, Generators
from nengo_jit.ir.base import Operator
from nengo_jit.planner.plan import Plan


class BatchDraws(Drawing):
    """Draws numbers for the members of a batch; see `nengo_jit.engines.jax.draws.Drawing`.

    Arrays have an axis for the members after that of the steps, unless all of their numbers are
    the same for all members, such as those of functions of time.

    Parameters
    ----------
    plan : Plan
        Tells the time.
    members : sequence of Member
        The members.
    inputs : Inputs
        What users give.
    """

    def __init__(self, plan: Plan, members: Sequence[Member], inputs: Inputs):
        self._members, self._inputs = members, inputs
        self._dtype = plan.time.dtype
        self._shared = Draws(plan)
        self._own = [Draws(plan) for _ in members]
        self._owned: set[Operator] = set()

    def begin(self, draws: Sequence[Mapping[Operator, Draw]], generators: Generators) -> None:
        first, *others = draws
        self._owned = {
            op for op in first if not others or any(each[op] is not first[op] for each in others)
        }
        self._shared.begin([{op: first[op] for op in first if op not in self._owned}], [{}])
        for own, each, drawn_from in zip(self._own, draws, generators):
            own.begin([{op: each[op] for op in self._owned}], [drawn_from])

    def forget(self, operators: Iterable[Operator]) -> None:
        operators = list(operators)
        for draws in (self._shared, *self._own):
            draws.forget(operators)

    def draw(self, operator: Operator, number: int) -> np.ndarray:
        if self._is_given(operator):
            return np.zeros(0)
        if operator not in self._owned:
            row = self._shared.draw(operator, number)
            return np.broadcast_to(row, (len(self._members), *row.shape))
        rows = []
        for member, own in zip(self._members, self._own):
            with member.at_work():
                rows.append(own.draw(operator, number))
        return np.stack(rows)

    def _is_given(self, operator: Operator) -> bool:
        return isinstance(operator, GivenRows) or operator in self._inputs.functions

    def prepare(self, places: Sequence[Drawn], first: int, n: int) -> int:
        needed = [
            replace(place, members=tuple(op for op in place.members if not self._is_given(op)))
            for place in places
        ]
        n = self._shared.prepare(needed, first, n)
        if self._owned.isdisjoint(op for place in needed for op in place.members):
            return n
        for member, own in zip(self._members, self._own):
            with member.at_work():
                n = own.prepare(needed, first, n)
        return n

    def rewind(self, number: int) -> None:
        for member, own in zip(self._members, self._own):
            if own.beyond(number):
                with member.at_work():
                    own.rewind(number)

    def take(self, places: Sequence[Drawn], first: int, n: int, size: int) -> list[np.ndarray]:
        return [self._taken(place, first, n, size) for place in places]

    def _taken(self, place: Drawn, first: int, n: int, size: int) -> np.ndarray:
        operator = place.members[0]
        is_owned = isinstance(operator, GivenRows) or not self._owned.isdisjoint(place.members)
        axes = (len(self._members),) if is_owned else ()
        array = np.zeros((size, *axes, *place.shape), self._dtype)
        if isinstance(operator, GivenRows):
            rows = self._inputs.rows(operator.signal, first, n)
            array[:n] = np.nan if rows is None else rows.swapaxes(0, 1)
            return array
        flat, start = array.reshape(size, len(self._members) if is_owned else 1, -1), 0
        for operator in place.members:
            end = start + operator.outputs()[0].size
            if operator in self._owned:
                for member, own in enumerate(self._own):
                    flat[:n, member, start:end] = own.rows(operator, first, n)
            elif not self._is_given(operator):
                rows = np.array(self._shared.rows(operator, first, n))
                flat[:n, :, start:end] = rows.reshape(n, 1, -1)
            start = end
        return array
