"""The commands in order, and what their errors look like."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from nengo_jit import __version__
from nengo_jit.cli import BAD_INPUT, INTERRUPTED
from nengo_jit.cli.bench import bench
from nengo_jit.cli.compile import compile_kernels
from nengo_jit.cli.errors import BadInputError, ModelError, format_warning
from nengo_jit.cli.gui import gui
from nengo_jit.cli.info import info
from nengo_jit.cli.plan import plan
from nengo_jit.cli.profile import profile
from nengo_jit.cli.resume import resume
from nengo_jit.cli.run import run
from nengo_jit.cli.sweep import sweep

MODEL_FAILED = 1  # exit code

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # of all errors in a command line

# Rich would take longer to import than all else that a help text needs.
app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for function, name, summary in (
    (run, "run", "Run a model, and keep what its probes recorded."),
    (resume, "resume", "Continue a run from its newest checkpoint."),
    (sweep, "sweep", "Run a model with many parameters and seeds."),
    (profile, "profile", "Show where time and memory go."),
    (plan, "plan", "Print how a model runs."),
    (bench, "bench", "Compare a model with nengo's simulator on this machine."),
    (gui, "gui", "Edit, play and plot a model in nengo-gui."),
    (compile_kernels, "compile", "Compile all kernels ahead of time."),
    (info, "info", "Show versions, cores, the cache and engines."),
):
    app.command(name, short_help=summary)(function)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nengo-jit {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Run Nengo models as machine code, with the results of nengo.Simulator."""


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns the exit code.

    Bad input is one line of text, and 2. If the model fails, its own traceback is shown, without
    the frames of this package, and the code is 1.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C.
    """
    warnings.formatwarning = format_warning
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="nengo-jit", standalone_mode=False)
    except UsageError as error:
        return _refuse(_as_line(error))
    except BadInputError as error:
        return _refuse(str(error))
    except ModelError as error:
        sys.stderr.write(error.text)
        return MODEL_FAILED
    if code == INTERRUPTED:  # what Typer makes of Ctrl-C
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _as_line(error: Exception) -> str:
    """The message of an error in a command line, and where to find help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nengo-jit"
    message = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    end = "" if message.endswith("?") else "."
    return f"{message.rstrip('.')}{end} See {path} --help"


def _refuse(message: str) -> int:
    typer.echo(f"nengo-jit: {message}", err=True)
    return BAD_INPUT
