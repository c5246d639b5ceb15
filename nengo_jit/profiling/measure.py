"""Take a profile: run timed steps, and assign what they took to the objects of the network."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

import nengo.builder as reference
from nengo.utils.functions import function_name

from nengo_jit.builder.caching import seconds_of
from nengo_jit.engines import Engine
from nengo_jit.engines.timing import BLOCK, Part, Timing, n_interruptions
from nengo_jit.ir.base import Operator
from nengo_jit.labels import Labels
from nengo_jit.planner.merge import kind_of
from nengo_jit.planner.plan import Plan
from nengo_jit.profiling.owners import log_of, memory_of_parameters, memory_of_signals, owners_of
from nengo_jit.profiling.profile import Profile
from nengo_jit.profiling.tables import Cell, Table

REST = "(engine)"
OUTERMOST = "(outermost)"
FIRST_STAGE = "signals, operators and decoders"


def take_profile(engine: Engine, name: str, model: reference.Model, n_steps: int) -> Profile:
    """Run steps and profile them: the first half as always, the second half timed.

    Parameters
    ----------
    engine : Engine
        The engine, between two runs.
    name : str
        Name of the engine.
    model : Model or nengo.builder.Model
        What it runs.
    n_steps : int
        Number of steps, at least 4.
    """
    n_untimed = n_steps - n_steps // 2
    untimed_seconds = _typical(engine, n_untimed)
    timing = engine.run_timed(n_steps - n_untimed)
    plan = engine.explain()
    accounts = Accounts(timing, plan, model)
    objects = accounts.objects(engine)
    return Profile(
        name=str(getattr(model.toplevel, "label", None) or "network"),
        engine=name,
        threads=getattr(engine, "threads", 1),
        n_steps=timing.n_steps,
        seconds=timing.seconds / timing.n_steps,
        untimed_seconds=untimed_seconds,
        kernels=accounts.kernels(),
        objects=objects,
        networks=accounts.networks(objects),
        functions=accounts.functions(),
        build=_build(model),
        cells=accounts.cells(),
    )


def _typical(engine: Engine, n_steps: int) -> float:
    """Run steps as always; return the mean duration of a step.

    Steps during which another program took the processor do not count, if there are others.
    """
    counted: list[tuple[float, int]] = []
    others: list[tuple[float, int]] = []
    left, size = n_steps, max(1, n_steps // 20)
    while left > 0:
        n_before, begin = n_interruptions(), perf_counter()
        n_done = engine.run(min(size, left))
        seconds = perf_counter() - begin
        (others if n_interruptions() > n_before else counted).append((seconds, n_done))
        left -= n_done
        size = max(1, min(10 * size, round(n_done * BLOCK / max(seconds, 1e-9))))
    times, numbers = zip(*(counted or others))
    return float(sum(times) / sum(numbers))


class Accounts:
    """The time of a step by kernel, object and function.

    Parameters
    ----------
    timing : Timing
        What was measured.
    plan : Plan
        The plan that was run.
    model : Model or nengo.builder.Model
        What was planned.
    """

    def __init__(self, timing: Timing, plan: Plan, model: reference.Model):
        self._parts = timing.parts
        self._per_step = 1 / timing.n_steps
        self._plan, self._model = plan, model
        self._labels = Labels(model.toplevel)
        self._owners = owners_of(model)
        self._reasons = dict(plan.in_python)
        self._compiled = dict(plan.compiled)

    def kernels(self) -> Table:
        """Time by kernel."""
        seconds: defaultdict[str, float] = defaultdict(float)
        operators: dict[str, set[Operator | None]] = defaultdict(set)
        for part in self._parts:
            name = self._name(part)
            seconds[name] += part.seconds * self._per_step
            operators[name].update(part.shares)
        rows = [
            (name, len(operators[name] - {None}) or None, each) for name, each in _sorted(seconds)
        ]
        return _table(["kernel", "operators", "seconds"], rows, share_of="seconds")

    def objects(self, engine: Engine) -> Table:
        """Time, memory and build time by object."""
        seconds: defaultdict[object, float] = defaultdict(float)
        for part in self._parts:
            for operator, share in part.shares.items():
                seconds[self._owner(operator)] += part.seconds * share * self._per_step
        memory: Counter[object] = Counter()
        memory.update(memory_of_signals(self._model.operators, self._owners))
        memory.update(memory_of_parameters(self._model.params, self._model.operators))
        for planned in self._plan.probes:
            samples = engine.samples.get(planned.probe)
            if samples is not None and not isinstance(samples, list):
                signal = planned.signal
                memory[planned.probe] += len(samples) * signal.size * signal.itemsize
        built = {each.obj: each.seconds for each in log_of(self._model)}
        names = list(dict.fromkeys([*seconds, *built, *memory]))
        names.sort(key=lambda obj: -seconds[obj])
        rows = [
            (
                self._labels[obj] if obj is not None and not isinstance(obj, str) else obj or REST,
                self._labels.place_of(obj),
                "" if obj is None or isinstance(obj, str) else type(obj).__name__,
                seconds[obj],
                memory[obj],
                built.get(obj),
            )
            for obj in names
            if seconds[obj] or memory[obj] or obj in built
        ]
        columns = ["object", "network", "kind", "seconds", "bytes", "build seconds"]
        return _table(columns, rows, share_of="seconds")

    @staticmethod
    def networks(objects: Table) -> Table:
        """Time, memory and build time of the objects that are directly in each network."""
        found: dict[str, list[float]] = {}
        for place, kind, *values in zip(
            *(objects[name] for name in ("network", "kind", "seconds", "bytes", "build seconds"))
        ):
            if kind:
                sums = found.setdefault(place or OUTERMOST, [0, 0.0, 0, 0.0])
                for i, value in enumerate([1, *values]):
                    sums[i] += value or 0
        in_order = sorted(found.items(), key=lambda each: -each[1][1])
        rows = [(place, *sums) for place, sums in in_order]
        columns = ["network", "objects", "seconds", "bytes", "build seconds"]
        return _table(columns, rows, share_of="seconds", whole=sum(objects["seconds"]))

    def functions(self) -> Table:
        """Time by function that is written in Python."""
        seconds: defaultdict[Operator, float] = defaultdict(float)
        for part in self._parts:
            if part.is_function:
                for operator in part.shares:
                    if operator is not None:
                        seconds[operator] += part.seconds * self._per_step
        rows = [
            (*_function(operator), self._text(self._owner(operator)), self._how(operator), each)
            for operator, each in _sorted(seconds)
        ]
        columns = ["function", "file", "object", "how", "seconds"]
        return _table(columns, rows, share_of="seconds", whole=self._whole)

    def cells(self) -> list[Cell]:
        """Time by object and kernel, the longest first."""
        found: defaultdict[tuple[str, str, str], float] = defaultdict(float)
        for part in self._parts:
            for operator, share in part.shares.items():
                owner = self._owner(operator)
                place = self._labels.place_of(owner)
                key = place, self._text(owner), self._name(part)
                found[key] += part.seconds * share * self._per_step
        return [Cell(place, obj, kernel, each) for (place, obj, kernel), each in _sorted(found)]

    @property
    def _whole(self) -> float:
        return sum(part.seconds for part in self._parts) * self._per_step

    def _owner(self, operator: Operator | None) -> object:
        if operator is None:
            return None
        if isinstance(operator, str):  # an engine's name for several operators
            return f"({operator})"
        return self._owners.get(operator, f"({kind_of(operator)})")

    def _text(self, owner: object) -> str:
        if owner is None:
            return REST
        return owner if isinstance(owner, str) else self._labels[owner]

    def _name(self, part: Part) -> str:
        if part.is_function:
            (operator,) = part.shares
            assert operator is not None
            return self._how(operator)
        return part.name

    def _how(self, operator: Operator) -> str:
        if operator in self._compiled:
            return "compiled Python"
        reason = self._reasons.get(operator)
        return "Python" if reason is None else f"Python: it {reason}"


def _sorted(seconds: Mapping[Any, float]) -> list[tuple[Any, float]]:
    return sorted(seconds.items(), key=lambda each: -each[1])


def _table(
    columns: list[str], rows: Iterable[tuple[Any, ...]], share_of: str, whole: float | None = None
) -> Table:
    """A table with a column for the share in the sum, or in the whole."""
    values = list(zip(*rows)) or [()] * len(columns)
    table = {column: list(each) for column, each in zip(columns, values)}
    total = sum(table[share_of]) if whole is None else whole
    found: Table = {}
    for column, each in table.items():
        found[column] = each
        if column == share_of:
            found["share"] = [value / total if total else 0.0 for value in each]
    return found


def _function(operator: Operator) -> tuple[str, str]:
    """Name and place of the function that an operator calls."""
    function = getattr(operator, "fn", None)
    name = kind_of(operator) if function is None else function_name(function)
    if function is None:
        function = _method(operator)
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__code__"):
        function = type(function).__call__
    code = getattr(function, "__code__", None)
    where = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    return name, where


def _method(operator: Operator) -> object:
    """The method that says what an operator without a function computes."""
    for part, method in (("neurons", "step"), ("process", "make_step")):
        if hasattr(operator, part):
            return getattr(type(getattr(operator, part)), method)
    return type(operator).make_step


def _build(model: reference.Model) -> Table:
    """Time by stage of the build; the first stage by kind of object."""
    log = log_of(model)
    kinds: defaultdict[str, float] = defaultdict(float)
    for built in log:
        kinds[type(built.obj).__name__] += built.seconds
    rows: list[tuple[str, str, float]] = []
    for stage, seconds in log.stages.items():
        if stage == FIRST_STAGE:
            rows += [(stage, kind, each) for kind, each in _sorted(kinds)]
            cache = seconds_of(model.decoder_cache)
            if cache:
                rows.append((stage, "files of nengo's cache of decoders", cache))
            rest = seconds - sum(kinds.values()) - cache
            rows.append((stage, "seeds, and the rest", max(0.0, rest)))
        else:
            rows.append((stage, "", seconds))
    return _table(["stage", "part", "seconds"], rows, share_of="seconds")
