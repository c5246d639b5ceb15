"""Find the network in a Python file."""

from __future__ import annotations

import sys
import tokenize
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nengo import Network

from nengo_jit.cli.errors import BadInputError, running_model
from nengo_jit.labels import name_by_variables

NAME = "model"  # of the variable that has the network, as in nengo-gui
FUNCTION = "make_network"  # of the function that makes networks of parameters
RUN_NAME = "nengo_jit_model"  # the value of ``__name__`` in the file


def load(path: Path) -> Network:
    """Execute a Python file and return its network.

    That is the value of the variable ``model``, or else the only outermost network that a
    variable has. Its objects without a label are labelled with the names of their variables. The
    file sees its folder first on Python's path; ``if __name__ == "__main__":`` is not executed.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    nengo.Network

    Raises
    ------
    BadInputError
        If the file cannot be read, or does not have one network.
    ModelError
        If the file raises an error.
    """
    return network_in(path, read(path))


def load_function(path: Path) -> tuple[Callable[..., object], bool]:
    """Execute a Python file and return a function that makes networks.

    That is the file's function ``make_network``, if it has one. Else it is a function without
    parameters that executes the file again; for errors see `load`.

    Returns
    -------
    make_network : callable
        The function.
    is_own : bool
        Whether it is one of the file.
    """
    source = read(path)
    variables = _execute(path, source)
    function = variables.get(FUNCTION)
    if callable(function):
        return function, True
    _find(path, variables)
    return partial(network_in, path.absolute(), source), False


def network_in(path: Path, source: str) -> Network:
    """Execute the source of a file and return its network; see `load`."""
    variables = _execute(path, source)
    network = _find(path, variables)
    name_by_variables(network, variables)
    return network


def _execute(path: Path, source: str) -> dict[str, object]:
    """Execute the source of a file; returns its variables."""
    variables: dict[str, object] = {
        "__name__": RUN_NAME,
        "__file__": str(path.absolute()),
        "__builtins__": __builtins__,
    }
    sys.path.insert(0, str(path.absolute().parent))
    sys.argv = [str(path)]
    with running_model():
        exec(compile(source, str(path), "exec"), variables)
    return variables


def read(path: Path) -> str:
    """Return the text of a Python file; BadInputError if it cannot be read."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from None
    except (SyntaxError, UnicodeDecodeError):
        source = "\0"
    if "\0" not in source:
        return source
    from nengo_jit.persistence.checkpoint import is_checkpoint

    if is_checkpoint(path):
        raise BadInputError(f"{path} is a checkpoint: nengo-jit resume MODEL.PY {path}")
    raise BadInputError(f"{path} cannot be read: it is not a text file")


def _find(path: Path, variables: dict[str, object]) -> Network:
    model = variables.get(NAME)
    if isinstance(model, Network):
        return model
    networks = {name: each for name, each in variables.items() if isinstance(each, Network)}
    inner = {each for network in networks.values() for each in network.all_networks}
    outer = {each: name for name, each in networks.items() if each not in inner}
    if not outer:
        raise BadInputError(f"{path} has no network: assign one to a variable named '{NAME}'")
    if len(outer) > 1:
        names = ", ".join(sorted(outer.values()))
        raise BadInputError(f"{path} has several networks ({names}): name one of them '{NAME}'")
    return next(iter(outer))
