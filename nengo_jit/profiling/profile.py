"""The result of a profile: tables, as text, as dictionaries and as a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nengo_jit.planner.printing import duration
from nengo_jit.profiling.tables import NOTE, Cell, Table, as_html, as_rich, as_text

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Profile:
    """Where the time of a simulation goes.

    A profile prints as tables, in color with Rich, and shows itself in notebooks. Each table is a
    dictionary of columns, from which ``pandas.DataFrame(profile.objects)`` makes a data frame.

    Attributes
    ----------
    name : str
        Name of the network.
    engine : str
        Name of the engine.
    threads : int
        Most threads that steps use when they are not timed.
    n_steps : int
        Number of timed steps.
    seconds : float
        Duration of a timed step, without the time that the measuring takes.
    untimed_seconds : float
        Duration of a step as it usually runs, on all threads.
    kernels : dict of (str, list)
        Time by kernel: kernel, operators, seconds in a step, share.
    objects : dict of (str, list)
        By object of the network: object, network, kind, seconds in a step, share, bytes, and
        seconds that it took to build. The rest is what belongs to no object.
    networks : dict of (str, list)
        Sums over the objects that are directly in each network: network, objects, seconds in a
        step, share, bytes, and seconds to build.
    functions : dict of (str, list)
        By Python function: function, file, object, how it is carried out, seconds in a step, share.
    build : dict of (str, list)
        By stage of the build, and kind of object: stage, part, seconds.
    cells : list of Cell
        Time by object and kernel.
    """

    name: str
    engine: str
    threads: int
    n_steps: int
    seconds: float
    untimed_seconds: float
    kernels: Table
    objects: Table
    networks: Table
    functions: Table
    build: Table
    cells: list[Cell]

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Yield the tables that have rows, with their titles."""
        found = {
            "Networks": self.networks,
            "Objects": self.objects,
            "Kernels": self.kernels,
            "Python functions": self.functions,
            "Build": self.build,
        }
        for title, table in found.items():
            if next(iter(table.values())):
                yield title, table

    def summary(self) -> str:
        """What a step takes, in a line."""
        threads = f" on up to {self.threads} threads" if self.threads > 1 else ""
        return (
            f"{self.name}: a step takes {duration(1e9 * self.untimed_seconds)}{threads}, "
            f"and {duration(1e9 * self.seconds)} on one thread while {self.n_steps} steps "
            f"were timed (engine '{self.engine}')"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings, lists and dictionaries."""
        return {
            "name": self.name,
            "engine": self.engine,
            "threads": self.threads,
            "n_steps": self.n_steps,
            "seconds": self.seconds,
            "untimed_seconds": self.untimed_seconds,
            **{
                name: {column: list(values) for column, values in getattr(self, name).items()}
                for name in ("networks", "objects", "kernels", "functions", "build")
            },
        }

    def save_html(self, path: str | Path) -> None:
        """Write a page with pictures and tables that needs no other file, and no network.

        Parameters
        ----------
        path : str or Path
            The file.

        Raises
        ------
        ImportError
            If Plotly, of the extra ``plot``, is not installed.
        """
        from nengo_jit.profiling.page import page

        text = page(self.name, self.cells, self.objects, self._repr_html_())
        Path(path).write_text(text, encoding="utf-8")

    def __str__(self) -> str:
        lines = [self.summary()]
        for title, table in self.tables():
            lines += ["", title, *as_text(table)]
        return "\n".join([*lines, "", NOTE])

    def __rich__(self) -> RenderableType:
        return as_rich(self.summary(), self.tables(), NOTE)

    def _repr_html_(self) -> str:
        return as_html(self.summary(), self.tables(), NOTE)
