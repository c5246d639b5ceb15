"""Plans as text: a table of operators or groups, and how an engine runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap

from nengo_jit.ir.base import Operator
from nengo_jit.planner.merge import Group, kind_of

WIDTH = 100  # characters of a line
INDENT = 41  # of continuation lines


@dataclass(frozen=True)
class Execution:
    """How an engine runs a group.

    Attributes
    ----------
    kernels : tuple of str
        The compiled functions that run it.
    notes : tuple of (str, int)
        Remarks, such as into which operators members are fused, with the number of members that
        each applies to.
    threads : tuple of int
        The threads that run it, counted from one.
    nanoseconds : float or None
        Estimated time in a step; None if unknown.
    """

    kernels: tuple[str, ...]
    notes: tuple[tuple[str, int], ...]
    threads: tuple[int, ...]
    nanoseconds: float | None


def name_of(operator: Operator) -> str:
    """Return an operator's tag, or else its text; unlabeled objects keep their address."""
    name = str(getattr(operator, "tag", None) or operator)
    return name.replace(" (unlabeled) at ", " at ")


def size_of(operator: Operator) -> int:
    """Return the number of elements of the first signal that an operator writes to."""
    written = (*operator.sets, *operator.incs, *operator.updates)
    return written[0].size if written else 0


def clip(text: str, width: int = WIDTH) -> str:
    """Cut a text to a width."""
    return text if len(text) <= width else text[: width - 1] + "…"


def in_order(operators: Sequence[Operator]) -> Iterator[str]:
    """Yield a table of operators in order: a row for neighbours of one kind, with the first."""
    yield f"{'operators':>9s} {'elements':>9s}  kind"
    for kind, neighbours in groupby(operators, kind_of):
        some = list(neighbours)
        elements = sum(map(size_of, some))
        yield clip(f"{len(some):9d} {elements:9d}  {kind}")
        yield _about(some[0])


def by_group(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a table of groups as planned."""
    yield f"{'level':>5s} {'members':>8s} {'elements':>9s}  {'kind':28s}  first member"
    for group in groups:
        elements = sum(map(size_of, group.members))
        numbers = f"{group.level:5d} {len(group.members):8d} {elements:9d}"
        yield clip(f"{numbers}  {group.kind:28s}  {name_of(group.members[0])}")


def by_execution(groups: Sequence[Group], executions: Sequence[Execution]) -> Iterator[str]:
    """Yield a table of groups as they run, and a line for the first member of each."""
    header = f"{'level':>5s} {'members':>8s} {'elements':>9s} {'threads':>7s} {'ns':>7s}"
    yield f"{header}  kind: what runs"
    for group, execution in zip(groups, executions):
        n = len(group.members)
        nanoseconds = _number(execution.nanoseconds)
        threads = span_of(execution.threads)
        elements = sum(map(size_of, group.members))
        numbers = f"{group.level:5d} {n:8d} {elements:9d} {threads:>7s} {nanoseconds:>7s}  "
        notes = [note if count == n else f"{count} {note}" for note, count in execution.notes]
        what = "; ".join([", ".join(execution.kernels), *notes] if execution.kernels else notes)
        first, *more = wrap(f"{group.kind}: {what or 'no kernel'}", WIDTH - INDENT)
        yield numbers + first
        for line in more:
            yield f"{'':{INDENT}s}{line}"
        yield _about(group.members[0])


def _about(operator: Operator) -> str:
    return clip(f"       {name_of(operator)}")


def counted(number: int, thing: str) -> str:
    """A number of things, as in "1 probe" and "2 probes"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def duration(nanoseconds: float) -> str:
    """Format a duration with two significant digits, in a suitable unit."""
    for unit in ("ns", "µs", "ms", "s"):
        if round(nanoseconds) < 1000 or unit == "s":
            break
        nanoseconds *= 1e-3
    return f"{nanoseconds:.{0 if nanoseconds >= 10 else 1}f} {unit}"


def _number(nanoseconds: float | None) -> str:
    if nanoseconds is None:
        return "?"
    return f"{nanoseconds:.{0 if nanoseconds >= 10 or nanoseconds == 0 else 1}f}"


def span_of(threads: Sequence[int]) -> str:
    """Format numbers of threads; consecutive ones as a range."""
    if len(threads) > 2 and threads[-1] - threads[0] == len(threads) - 1:
        return f"{threads[0]}-{threads[-1]}"
    return ", ".join(map(str, threads)) if threads else "-"
