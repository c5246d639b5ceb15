"""The server of ``nengo-jit gui``: nengo-gui's, on our simulator."""

from __future__ import annotations

import logging
import threading
import warnings
from pathlib import Path

import jedi
import nengo_gui
from nengo_gui import exec_env, guibackend, page, server

from nengo_jit import Simulator
from nengo_jit.cli import gui_plots
from nengo_jit.cli.errors import BadInputError
from nengo_jit.cli.gui_page import Page

BACKEND = "nengo_jit"
EXAMPLE = "examples/default.py"  # in nengo-gui


class RequestHandler(guibackend.GuiRequestHandler):
    """Answers the browser. Unlike nengo-gui's own, it works with current versions of Jedi."""

    def ws_default(self) -> None:
        """Serve a part of a page, unless it was removed before the browser connected to it."""
        if int(self.query["uid"][0]) in self.server.component_uids:
            super().ws_default()

    def complete(self) -> server.HttpResponse:
        """Answer with the names that could stand at the cursor."""
        return self._complete()

    @guibackend.RequireAuthentication("/login")
    def _complete(self) -> server.JsonResponse:
        place = int(self.db["row"]) + 1, int(self.db["col"])
        try:
            found = jedi.Script(self.db["code"], path=self.db["filename"]).complete(*place)
        except Exception:  # Jedi fails on some incomplete code
            return server.JsonResponse([])
        return server.JsonResponse(
            [{"name": c.name, "value": c.name, "score": 1, "meta": c.type} for c in found]
        )


class Server(guibackend.GuiServer):
    """Serves pages of nengo-gui on our simulator, to browsers of this machine.

    Parameters
    ----------
    model : Path or None
        File of the first page's model; an example of nengo-gui by default.
    address : tuple of (str, int)
        Name of this machine, and a free port, or 0 for any.
    """

    def __init__(self, model: Path | None, address: tuple[str, int]):
        if BACKEND not in exec_env.known_modules:
            exec_env.known_modules.append(BACKEND)
        gui_plots.install()
        logging.getLogger("nengo_jit").setLevel(logging.ERROR)  # keep the console quiet
        filename = model or Path(nengo_gui.__file__).parent / EXAMPLE
        super().__init__(
            guibackend.ModelContext(filename=str(filename)),
            guibackend.GuiServerSettings(address),
            page.PageSettings(backend=BACKEND),
        )
        self.RequestHandlerClass = RequestHandler
        self._checked: Page | None = None

    def create_page(self, filename: str | None, reset_cfg: bool = False) -> Page:
        """Make a page for a browser."""
        made = Page(self, filename, self.page_settings, reset_cfg)
        self.pages.append(made)
        return made

    def check_model(self) -> None:
        """Execute the model's file; BadInputError if it raises an error, or has no network."""
        try:
            checked = Page(self, None, self.page_settings)
        except UnicodeDecodeError as error:
            name = self.model_context.filename
            raise BadInputError(f"{name} cannot be read: it is not in {error.encoding}") from None
        checked.finished = True  # it never runs
        for component in checked.components:
            self.component_uids.pop(id(component), None)
        if checked.error is not None:
            *_, last = checked.error["trace"].strip().splitlines()
            where = f"{checked.filename}, line {checked.error['line']}"
            raise BadInputError(f"{where}: {last.strip()}")
        self._checked = checked

    def warm_up(self) -> None:
        """Build the model that was checked, with its plots, in the background.

        The kernels that it needs are compiled and loaded then, and nengo's cache has its decoders.
        """
        threading.Thread(target=self._build, daemon=True).start()

    def _build(self) -> None:
        checked, self._checked = self._checked, None
        if checked is None:
            return
        try:
            for component in checked.components:
                component.add_nengo_objects(checked)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Simulator(checked.model, progress_bar=False).close()
        except Exception:  # the page says so when it builds the model
            return
