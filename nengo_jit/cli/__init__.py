"""The command line ``nengo-jit``: one file for each command.

It uses Typer and Rich, of the extra ``cli``. All else is imported by the command that needs it, so
that help texts and refusals take no time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn

NEEDED = ("typer", "rich")
BAD_INPUT, INTERRUPTED = 2, 130  # exit codes


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and exit.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line, without the program's name; that of this process by default.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        print(
            f"nengo-jit: The command line needs {names}: pip install 'nengo-jit[cli]'",
            file=sys.stderr,
        )
        sys.exit(BAD_INPUT)
    try:
        from nengo_jit.cli.app import invoke

        code = invoke(arguments)
    except KeyboardInterrupt:
        print("nengo-jit: interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)
