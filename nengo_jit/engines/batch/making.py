"""Make the engine of a batch: plan for all members, and make as many engines as pay."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import replace

import numpy as np
from nengo.utils.progress import Progress

from nengo_jit.engines.backend import Backend
from nengo_jit.engines.base import Engine
from nengo_jit.engines.batch.base import BatchEngine
from nengo_jit.engines.batch.engine import InTurnEngine
from nengo_jit.engines.batch.room import check_room, physical_memory
from nengo_jit.ir.base import Operator
from nengo_jit.ir.model import Model
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.parallel import n_cores
from nengo_jit.planner import Plan

COPIES = 2  # of the memory of a member: for users, and to go back if a step raises


def make_batch(
    backend: Backend,
    model: Model,
    n_members: int,
    values: Mapping[Signal, np.ndarray],
    progress: Progress | None = None,
) -> BatchEngine:
    """Make the engine of a batch.

    Parameters
    ----------
    backend : Backend
        The backend of the engines that run members.
    model : Model
        The model.
    n_members : int
        Number of members.
    values : dict of (Signal, numpy.ndarray)
        Initial values by member, for signals that are not read-only.
    progress : nengo.utils.progress.Progress, optional
        Is updated while the first engine gets ready.

    Returns
    -------
    BatchEngine

    Raises
    ------
    ValidationError
        If the members do not fit in the memory.
    """
    plan = backend.plan(model)
    at_once = backend.compile_batch(plan, n_members, values)
    if at_once is not None:
        return at_once
    n_threads = backend.options.threads or n_cores()
    options = backend.options
    if n_members >= n_threads:
        options = replace(options, threads=1)
    first = _engine(backend, options, plan, progress)
    of_each = sum(block.size for block in first.signals.blocks)
    copies = COPIES if first.takes_turns else COPIES + 1  # one in its own engine
    check_room(n_members, copies * of_each, 0, physical_memory())
    if not first.takes_turns:
        others = [_engine(backend, backend.options, plan) for _ in range(n_members - 1)]
        return InTurnEngine([first, *others], plan, backend.options, n_members, values)
    n_engines = 1
    if n_threads > 1 and n_members >= n_threads:
        if first.is_thread_safe:
            n_engines = n_threads
        else:  # one engine with all threads
            first = _engine(backend, backend.options, plan)
    engines = [first]
    for _ in range(n_engines - 1):
        own = _with_own_generators(model)
        engines.append(_engine(backend, options, plan if own is model else backend.plan(own)))
    return InTurnEngine(engines, plan, backend.options, n_members, values)


def _engine(
    backend: Backend, options: Options, plan: Plan, progress: Progress | None = None
) -> Engine:
    """Make an engine that is ready to say whether members may take turns."""
    backend = copy(backend)
    backend.options = options
    engine = backend.compile(plan, progress)
    engine.reset(0, lambda: None)
    return engine


def _with_own_generators(model: Model) -> Model:
    """Return a model whose neurons draw from generators of their own, for another thread."""
    copies: dict[Operator, Operator] = {}
    known: dict[int, object] = {}
    for operator in model.operators:
        if isinstance(operator, SimNeurons) and operator.state_extra:
            made = copies[operator] = copy(operator)
            made.state_extra = deepcopy(operator.state_extra, known)
    if not copies:
        return model
    other = copy(model)
    other.operators = [copies.get(each, each) for each in model.operators]
    return other
