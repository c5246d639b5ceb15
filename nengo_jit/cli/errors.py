"""Errors of the command line: bad input, and models that fail."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from traceback import TracebackException

import typer

OURS = (str(Path(__file__).parents[1]), contextlib.__file__)  # which decorates our functions
TYPER = str(Path(typer.__file__).parent)
format_of_python = warnings.formatwarning


class BadInputError(Exception):
    """The command line asks for something that cannot be done. The message is one line."""


class ModelError(Exception):
    """A model has raised an error.

    Parameters
    ----------
    error : BaseException
        The error.

    Attributes
    ----------
    text : str
        Its traceback, without the frames of this package.
    """

    def __init__(self, error: BaseException):
        super().__init__(str(error))
        self.text = "".join(traceback_of_model(error).format())


@contextlib.contextmanager
def running_model() -> Iterator[None]:
    """Context that runs code of the user: an error in it is a `ModelError`."""
    try:
        yield
    except (BadInputError, ModelError):
        raise
    except SystemExit as error:
        raise ModelError(error) from None
    except Exception as error:
        raise ModelError(error) from None


def traceback_of_model(error: BaseException) -> TracebackException:
    """Return the traceback of an error, without the frames of this package."""
    found = TracebackException.from_exception(error)
    _remove_our_frames(found)
    return found


def format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Format a warning: as Python does if it is about a line of the model, else as one line."""
    if filename.startswith((*OURS, TYPER)):
        return f"nengo-jit: {' '.join(str(message).split())}\n"
    return format_of_python(message, category, filename, lineno, line)


def _remove_our_frames(found: TracebackException | None) -> None:
    """Remove the frames of this package from a traceback, and from those that led to it."""
    while found is not None:
        found.stack[:] = [frame for frame in found.stack if not frame.filename.startswith(OURS)]
        _remove_our_frames(found.__context__)
        found = found.__cause__
