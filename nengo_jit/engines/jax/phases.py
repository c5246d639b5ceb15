"""Phases of a step: what runs on the device, and the calls of Python in between."""

from __future__ import annotations

from collections.abc import Container
from itertools import groupby
from typing import TypeAlias

from nengo_jit.engines.jax.bucket import Bucket
from nengo_jit.engines.jax.bucketing import Bucketing
from nengo_jit.ir.base import Operator
from nengo_jit.planner.plan import Plan

Phase: TypeAlias = list[Bucket] | Operator


def phases_of(plan: Plan, on_host: Container[Operator], bucketing: Bucketing) -> list[Phase]:
    """Divide a step into phases.

    Parameters
    ----------
    plan : Plan
        The plan, with groups.
    on_host : container of Operator
        Operators that call Python. They keep nengo's order.
    bucketing : Bucketing
        Divides groups into buckets.

    Returns
    -------
    list of (list of Bucket or Operator)
        Buckets that run one after the other on the device, or an operator that calls Python.
    """
    place = {operator: number for number, operator in enumerate(plan.operators)}
    phases: list[Phase] = []
    for _, groups in groupby(plan.groups, key=lambda group: group.level):
        buckets: list[Bucket] = []
        callers: list[Operator] = []
        for group in groups:
            callers += [each for each in group.members if each in on_host]
            buckets += bucketing.buckets_of([each for each in group.members if each not in on_host])
        if phases and isinstance(phases[-1], list):
            phases[-1] += buckets
        elif buckets:
            phases.append(buckets)
        callers.sort(key=place.__getitem__)
        phases += callers
    return phases
