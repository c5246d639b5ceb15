"""Tables of a profile as text, for Rich, and in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from nengo_jit.markup import html_table
from nengo_jit.planner.printing import clip, duration

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_ROWS = 20  # that are shown
WIDEST = 40  # characters of a cell
NUMBERS = (int, float)
NOTE = (
    "Parts were timed on one thread. A kernel that works for several operators, and a kernel into "
    "which others are fused, is timed as a whole: its time is shared out among them by estimated "
    "cost. The time of decoders that were solved ahead counts for the object that needed the first."
)

Table: TypeAlias = dict[str, list[Any]]  # columns by name, all of one length


class Cell(NamedTuple):
    """What a kernel, or a function, spends in a step for an object.

    Attributes
    ----------
    place : str
        Names of the networks around the object.
    obj : str
        Name of the object.
    kernel : str
        The kernel, or how Python is called.
    seconds : float
        Time in a step.
    """

    place: str
    obj: str
    kernel: str
    seconds: float


def shown(column: str, value: Any) -> str:
    """A value as people read it: durations and sizes with their units."""
    if value is None:
        return ""
    if column == "share":
        return f"{value:.1%}"
    if column.endswith("seconds"):
        return duration(1e9 * value) if value else "0"
    if column == "bytes":
        return size(value)
    return str(value)


def size(n_bytes: float) -> str:
    """Format a number of bytes with three significant digits, in a suitable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.3g} {unit}"


def title_of(column: str) -> str:
    """The heading of a column."""
    return "time" if column == "seconds" else column.replace("seconds", "time")


def rows_of(table: Table) -> Iterator[list[str]]:
    """Yield the first rows of a table as text, then one that says how many are left."""
    n_rows = len(next(iter(table.values())))
    for i in range(min(n_rows, MOST_ROWS)):
        yield [clip(shown(column, values[i]), WIDEST) for column, values in table.items()]
    if n_rows > MOST_ROWS:
        yield [f"... and {n_rows - MOST_ROWS} more", *[""] * (len(table) - 1)]


def is_number(values: Iterable[Any]) -> bool:
    """Whether a column is aligned to the right."""
    return all(value is None or isinstance(value, NUMBERS) for value in values)


def as_text(table: Table) -> Iterator[str]:
    """Yield the lines of a table."""
    rows = [[title_of(column) for column in table], *rows_of(table)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    right = [is_number(values) for values in table.values()]
    for row in rows:
        cells = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right)
        )
        yield ("  " + "  ".join(cells)).rstrip()


def as_rich(summary: str, tables: Iterable[tuple[str, Table]], note: str) -> RenderableType:
    """Tables for Rich's console."""
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    parts: list[RenderableType] = [Text(summary, style="bold")]
    for title, table in tables:
        drawn = RichTable(title=title, title_justify="left", box=None, header_style="dim")
        for column, values in table.items():
            justify = "right" if is_number(values) else "left"
            drawn.add_column(title_of(column), justify=justify)  # type: ignore[arg-type]
        for row in rows_of(table):
            drawn.add_row(*map(Text, row))
        parts += [Text(""), drawn]
    return Group(*parts, Text(""), Text(note, style="dim"))


def as_html(summary: str, tables: Iterable[tuple[str, Table]], note: str) -> str:
    """Tables in HTML, for a notebook or as a part of a page."""
    parts = [f"<p><b>{escape(summary)}</b></p>"]
    for title, table in tables:
        headings = [title_of(column) for column in table]
        numbers = [is_number(values) for values in table.values()]
        parts.append(f"<h4>{escape(title)}</h4>")
        parts.append(html_table(headings, list(rows_of(table)), numbers))
    return "".join([*parts, f"<p><small>{escape(note)}</small></p>"])
