"""Plots of ``nengo-jit gui`` that differ from nengo-gui's."""

from __future__ import annotations

import nengo_gui
import numpy as np
from nengo_gui import components, page, server


class Voltage(components.Voltage):
    """A plot of voltages in which no step is missing.

    nengo-gui's own copies the samples of its probe, deletes all, and takes their times from the
    simulator's clock. Steps that run meanwhile are lost, or get the times of others.
    """

    _n_steps = 0  # that have been sent

    def add_nengo_objects(self, page: page.Page) -> None:
        """Add the probe, for a new simulator."""
        super().add_nengo_objects(page)
        self._n_steps = 0

    def update_client(self, client: server.WebSocket) -> None:
        """Send the samples that are new, each as its time and voltages, one above the other."""
        sim = self.page.sim
        if sim is None:
            return
        samples = sim.data.raw[self.probe]
        new = samples[:]
        del samples[: len(new)]
        for voltages in new:
            self._n_steps += 1
            shifted = voltages + np.arange(self.n_neurons)
            client.write_binary(self.struct.pack(self._n_steps * sim.dt, *shifted))


class LostPlot(components.Component):
    """Stands for a plot that the page has no longer, and ends its connection."""

    def update_client(self, client: server.WebSocket) -> None:
        """End the connection, in its thread."""
        raise server.SocketClosedError


def install() -> None:
    """Make nengo-gui use these plots, in this process."""
    nengo_gui.components.Voltage = Voltage
