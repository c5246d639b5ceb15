"""Tables in HTML, for notebooks and pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[bool] = ()
) -> str:
    """Return a table in HTML.

    Parameters
    ----------
    headings : sequence of str
        Headings of the columns.
    rows : iterable of sequence of str
        The cells, as text.
    numbers : sequence of bool
        For each column, whether it is aligned to the right; by default none is.
    """
    right = [*numbers, *[False] * (len(headings) - len(numbers))]
    parts = ["<table><thead><tr>"]
    parts += [_cell("th", text, is_right) for text, is_right in zip(headings, right)]
    parts.append("</tr></thead><tbody>")
    for row in rows:
        parts += ["<tr>", *(_cell("td", text, r) for text, r in zip(row, right)), "</tr>"]
    parts.append("</tbody></table>")
    return "".join(parts)


def _cell(tag: str, text: str, is_right: bool) -> str:
    return f'<{tag} style="text-align:{"right" if is_right else "left"}">{escape(text)}</{tag}>'
