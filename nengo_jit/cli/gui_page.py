"""A page of ``nengo-jit gui``: a model, its plots, and the thread that runs it."""

from __future__ import annotations

import sys
import threading
import traceback
from typing import TypedDict

import nengo
from nengo_gui import exec_env, guibackend, page, user_action

from nengo_jit import Simulator
from nengo_jit.cli.errors import traceback_of_model
from nengo_jit.cli.gui_plots import LostPlot
from nengo_jit.profiling.owners import owners_of


class ShownError(TypedDict):
    """An error as nengo-gui's editor shows it: the traceback, and the line in the model's file."""

    trace: str
    line: int | None


class Page(page.Page):
    """A page of nengo-gui that survives what users do.

    nengo-gui's own pages stop for good, or lose plots, if a plot is added just before an edit,
    while the code has an error, or while the model is being built, or if adding or removing a plot
    is undone after an edit. Errors of our simulator end with the error and the name of the node.
    """

    model: nengo.Network | None
    locals: dict[str, object]  # the variables of the code
    _error: ShownError | None = None

    def __init__(
        self,
        gui: guibackend.GuiServer,
        filename: str | None,
        settings: page.PageSettings,
        reset_cfg: bool = False,
    ):
        super().__init__(gui, filename, settings, reset_cfg)
        self.lock = threading.RLock()  # since it is held while new code replaces components

    def execute(self, code: str) -> None:
        """Execute code. After an error, the page keeps the model that it has, and its plots."""
        if self.config is not None:
            self.save_config()  # the new model gets the plots that are in the file
        model, variables = self.model, self.locals
        super().execute(code)
        if self.error is None:
            self._forget_plots(self.undo_stack)
            self._forget_plots(self.redo_stack)
        elif model is not None:
            self.model, self.locals = model, variables

    @staticmethod
    def _forget_plots(stack: list[list[user_action.Action]]) -> None:
        """Remove the actions on plots: these belong to the old model."""
        stack[:] = [each for each in stack if not any(hasattr(one, "component") for one in each)]

    def add_component(self, component: object) -> None:
        """Add a plot, once no build is going on. Drop the simulator, which has no data for it."""
        with self.lock:
            if component not in self.components:
                self.sim = None
                super().add_component(component)

    def remove_component(self, component: object) -> None:
        """Remove a plot, unless new code has replaced it meanwhile."""
        with self.lock:
            if component in self.components:
                super().remove_component(component)

    def remove_graph(self, component: object) -> None:
        """Push the removal of a plot on the stack of what can be undone."""
        with self.lock:
            if component in self.components:
                super().remove_graph(component)

    def build(self) -> None:
        """Build the model with its plots. An error is shown, and does not end the page."""
        self._disconnect_lost_plots()
        try:
            super().build()
        except Exception:
            self.error = ShownError(trace=traceback.format_exc(), line=None)
            self.building = self.rebuild = False

    def runner(self) -> None:
        """Run the model and build it, in the page's thread, also after code that calls exit()."""
        while not self.finished:
            try:
                super().runner()
            except SystemExit:
                line = exec_env.determine_line_number()
                self.error = ShownError(trace=traceback.format_exc(), line=line)
                self.sim = None

    def _disconnect_lost_plots(self) -> None:
        """End the connections of plots that new code has removed: they get no data any more."""
        with self.lock:
            for each in list(self.gui.component_uids.values()):
                if each.page is self and each not in self.components and not each.replace_with:
                    each.replace_with = LostPlot()
                    each.replace_with.attach(self, each.config, each.uid)

    @property
    def error(self) -> ShownError | None:
        """Dict or None: the latest error. It is set while the exception is handled."""
        return self._error

    @error.setter
    def error(self, shown: ShownError | None) -> None:
        raised = sys.exc_info()[1]
        if shown is not None and raised is not None and hasattr(raised, "__notes__"):
            shown = ShownError(trace=self._explain(raised), line=shown["line"])
        self._error = shown

    def _explain(self, error: BaseException) -> str:
        """The traceback of an error: frames, notes, and at the end the error and the name."""
        found = traceback_of_model(error)
        notes = list(getattr(error, "__notes__", ()))
        found.__notes__ = None
        last = "".join(found.format_exception_only())
        frames = "".join(found.format()).removesuffix(last)
        name = self._name_of_culprit()
        last = f"{last.rstrip()} (in {name})\n" if name else last
        return frames + "\n".join([*notes, last])

    def _name_of_culprit(self) -> str | None:
        """The name, on the page, of the object in which a step failed."""
        sim = self.sim
        if not isinstance(sim, Simulator):
            return None
        operator = sim._engine.at_fault
        owner = owners_of(sim.model).get(operator) if operator is not None else None
        if owner not in self.default_labels and getattr(owner, "label", None) is None:
            return None
        return str(self.get_label(owner))
