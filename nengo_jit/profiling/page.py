"""A profile as one HTML page: interactive pictures by Plotly, which is in the page, and tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from nengo_jit.labels import SEPARATOR
from nengo_jit.planner.printing import duration
from nengo_jit.profiling.tables import Cell, Table, size

ROOT = "all"
BUTTONS = ("time of a step", "memory", "build time")
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 1.5em auto; max-width: 1200px;
       padding: 0 1em; color: #222; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ padding: 2px 12px 2px 0; }}
tr:nth-child(even) td {{ background: #f5f5f5; }}
th {{ border-bottom: 1px solid #999; font-weight: 600; }}
h4 {{ margin: 1.6em 0 .4em; font-size: 1.1em; }}
</style></head>
<body><h1>{title}</h1>
<p>Areas are proportional to the time of a step, to memory, or to the time of the build. Click on a
network or an object to see what is in it; hover over an area for its figures.</p>
{picture}
{tables}
</body></html>
"""

Leaf = tuple[tuple[str, ...], float]  # path from the outermost network, and size of the area


def page(name: str, cells: Iterable[Cell], objects: Table, tables: str) -> str:
    """Return the page, as text.

    Parameters
    ----------
    name : str
        Name of the network.
    cells : iterable of Cell
        Time by object and kernel.
    objects : dict of (str, list)
        The table of objects.
    tables : str
        What is below the pictures, in HTML.

    Raises
    ------
    ImportError
        If Plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure, Treemap
    except ImportError:
        raise ImportError("The page needs Plotly: pip install 'nengo-jit[plot]'") from None

    figure = Figure()
    for number, (leaves, form) in enumerate(
        (
            (_times(cells), lambda seconds: duration(1e9 * seconds)),
            (_column(objects, "bytes"), size),
            (_column(objects, "build seconds"), lambda seconds: duration(1e9 * seconds)),
        )
    ):
        areas = _areas(leaves, name)
        figure.add_trace(
            Treemap(
                **areas,
                text=[form(value) for value in areas["values"]],
                branchvalues="total",
                texttemplate="%{label}<br>%{text}",
                hovertemplate="%{label}<br>%{text}, %{percentRoot:.1%} of all<extra></extra>",
                visible=number == 0,
                tiling={"pad": 1},
            )
        )
    buttons = [
        {"label": label, "method": "update", "args": [{"visible": [i == j for j in range(3)]}]}
        for i, label in enumerate(BUTTONS)
    ]
    menu = {"type": "buttons", "direction": "right", "buttons": buttons, "x": 0, "y": 1.1}
    menu.update(xanchor="left", yanchor="top")
    figure.update_layout(height=620, margin={"t": 60, "l": 0, "r": 0, "b": 0}, updatemenus=[menu])
    options = {"displayModeBar": False}
    return PAGE.format(
        title=escape(f"Profile of {name}"),
        picture=figure.to_html(full_html=False, include_plotlyjs=True, config=options),
        tables=tables,
    )


def _times(cells: Iterable[Cell]) -> Iterator[Leaf]:
    for cell in cells:
        yield (*_networks(cell.place), cell.obj, cell.kernel), cell.seconds


def _column(table: Table, column: str) -> Iterator[Leaf]:
    for name, place, value in zip(table["object"], table["network"], table[column]):
        if value:
            yield (*_networks(place), name), value


def _networks(place: str) -> tuple[str, ...]:
    return tuple(place.split(SEPARATOR)) if place else ()


def _areas(leaves: Iterable[Leaf], name: str) -> dict[str, Any]:
    """Areas of a treemap, with all that contain others: identifiers, labels, parents, values."""
    values: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for path, value in leaves:
        for depth in range(len(path) + 1):
            values[path[:depth]] += value
    paths = list(values)
    return {
        "ids": ["/".join((ROOT, *path)) for path in paths],
        "labels": [escape(path[-1] if path else name) for path in paths],
        "parents": ["/".join((ROOT, *path[:-1])) if path else "" for path in paths],
        "values": [values[path] for path in paths],
    }
