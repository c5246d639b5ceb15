"""Plans in HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from nengo_jit.ir.base import Operator
from nengo_jit.markup import html_table
from nengo_jit.planner.merge import Group, kind_of
from nengo_jit.planner.printing import Execution, duration, name_of, size_of, span_of

MOST_ROWS = 60


def plan_as_html(
    summary: str,
    operators: Sequence[Operator],
    groups: Sequence[Group],
    executions: Sequence[Execution],
    remarks: Sequence[str],
) -> str:
    """Return a plan in HTML: a row for each group, or for neighbours of one kind.

    Parameters
    ----------
    summary : str
        The first line.
    operators, groups, executions
        See `Plan`.
    remarks : sequence of str
        Lines below the table.
    """
    headings = ["kind", "members", "elements", "first member"]
    numbers = [False, True, True, False]
    rows = list(_rows(operators, groups))
    if executions:
        headings += ["threads", "time", "what runs"]
        numbers += [True, True, False]
        rows = [[*row, *_how(each)] for row, each in zip(rows, executions)]
    if len(rows) > MOST_ROWS:
        remarks = [
            f"... and {len(rows) - MOST_ROWS} more rows; print the plan to see all",
            *remarks,
        ]
    table = html_table(headings, rows[:MOST_ROWS], numbers)
    lines = "".join(f"{escape(line)}<br>" for line in remarks)
    return f"<p><b>{escape(summary)}</b></p>{table}<p>{lines}</p>"


def _rows(operators: Sequence[Operator], groups: Sequence[Group]) -> Iterator[list[str]]:
    members: Iterator[tuple[str, Sequence[Operator]]]
    if groups:
        members = ((group.kind, group.members) for group in groups)
    else:
        members = ((kind, list(some)) for kind, some in groupby(operators, kind_of))
    for kind, some in members:
        elements = sum(map(size_of, some))
        yield [kind, str(len(some)), str(elements), name_of(some[0])]


def _how(execution: Execution) -> list[str]:
    time = execution.nanoseconds
    notes = [note for note, _ in execution.notes]
    return [
        span_of(execution.threads),
        "?" if time is None else duration(time),
        "; ".join([", ".join(execution.kernels), *notes] if execution.kernels else notes),
    ]
