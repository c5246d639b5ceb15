"""``nengo-jit gui``: edit, play and plot a model in nengo-gui."""

from __future__ import annotations

import errno
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from nengo_jit.cli.errors import BadInputError

NEEDED = ("nengo_gui", "jedi")
HOST = "localhost"
FIRST_PORT, LAST_PORT = 8080, 65535

ModelFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL.PY",
        help="Python file that makes a network, the variable 'model'; an example by default.",
        show_default=False,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        "-p",
        min=0,
        max=LAST_PORT,
        help=f"Port of the server; the first free one from {FIRST_PORT} on by default.",
        show_default=False,
    ),
]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")]


def gui(model: ModelFile = None, port: Port = None, browser: Browser = True) -> None:
    """Edit, play and plot a model in nengo-gui, on the simulator of nengo-jit.

    The server ends when its last page has been closed, or by Ctrl-C.
    """
    if not all(map(find_spec, NEEDED)):
        raise BadInputError("This command needs nengo-gui and Jedi: pip install 'nengo-jit[gui]'")
    port = _choose_port(port)

    from nengo_jit.cli.gui_server import Server
    from nengo_jit.cli.model_file import read

    if model is not None:
        read(model)  # refuses what cannot be read
    server = Server(model, (HOST, port))
    server.check_model()
    typer.echo(f"{server.model_context.filename}: {server.get_url()} (Ctrl-C to stop)")
    server.warm_up()
    if browser:
        import webbrowser

        webbrowser.open(str(server.get_url(token="one-time")))
    try:
        server.serve_forever(poll_interval=0.02)
    except KeyboardInterrupt:
        pass
    finally:
        server.shutdown()
        server.wait_for_shutdown(timeout=0.5)


def _choose_port(wanted: int | None) -> int:
    """The port that was asked for, or the first free one; refuses one that is taken."""
    if wanted is None:
        free = (port for port in range(FIRST_PORT, LAST_PORT + 1) if not _is_taken(port))
        return next(free)
    if _is_taken(wanted):
        raise BadInputError(f"--port {wanted}: another program uses this port")
    return wanted


def _is_taken(port: int) -> bool:
    """Whether a port is in use on one of the addresses of this machine for itself."""
    for family, kind, protocol, _, address in socket.getaddrinfo(
        HOST, port, type=socket.SOCK_STREAM
    ):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except PermissionError as error:
                raise BadInputError(f"--port {port}: {error.strerror}") from None
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return True
    return False
