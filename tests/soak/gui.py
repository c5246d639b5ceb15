"""Play and pause a model in nengo-gui, and see that no sample is missing.

``make soak-gui`` sets up nengo-gui in an environment of its own and runs this ten times for 60
seconds. A websocket client shows a voltage plot, a value plot and a raster, as a browser would.
The server must not die, nor print a traceback, and what it sends must have every step.

nengo-gui copies the voltages and then deletes them, without a lock: a step between the two is
lost, whatever the simulator. So it may lose a few in a million; ``--backend nengo`` shows how many.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import numpy as np
import websocket

DT = 0.001  # seconds
N_VOLTAGES = 5
MOST_TO_BUILD = 300.0  # seconds, since kernels may have to be compiled
LOST_BY_THE_GUI = 1e-3  # share of the voltages
MODEL = """
import nengo
import numpy as np

with nengo.Network(seed=1) as model:
    stimulus = nengo.Node(lambda t: np.sin(6 * t), label="stimulus")
    ensemble = nengo.Ensemble(50, 1, label="ensemble")
    nengo.Connection(stimulus, ensemble)
"""
LAYOUT = """
_viz_0 = nengo_gui.components.Voltage(ensemble)
_viz_1 = nengo_gui.components.Value(ensemble)
_viz_2 = nengo_gui.components.Raster(ensemble)
_viz_ace_editor = nengo_gui.components.AceEditor()
_viz_net_graph = nengo_gui.components.NetGraph()
_viz_sim_control = nengo_gui.components.SimControl()
"""


@dataclass
class Plot:
    """What a plot was sent.

    Attributes
    ----------
    steps : list of int
        The number of each step.
    """

    socket: Any
    record: struct.Struct | None
    steps: list[int] = field(default_factory=list)

    def listen(self) -> None:
        """Take what comes until the socket is closed."""
        try:
            while True:
                self.take(self.socket.recv())
        except (websocket.WebSocketException, OSError):
            pass

    def take(self, message: bytes | str) -> None:
        """Note the steps of a message: one or several records, each of which begins with a time."""
        if isinstance(message, bytes) and message:
            size = self.record.size if self.record else len(message)
            for place in range(0, len(message), size):
                (t,) = struct.unpack_from("<f", message, place)
                self.steps.append(round(t / DT))

    @property
    def missing(self) -> int:
        """int: how many steps between the first and the last are missing, or out of order."""
        distances = np.diff(self.steps)
        return int(np.sum(np.abs(distances - 1)))


class Page:
    """A page of nengo-gui, as a browser opens it."""

    def __init__(self, url: str):
        jar = CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        html = opener.open(url, timeout=60).read().decode()
        self._cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
        self._host = url.split("/")[2]
        self.plots: dict[str, Plot] = {}
        self._threads: list[threading.Thread] = []
        pattern = r"new Nengo\.(Value|Raster|SimControl)\(\w+, (?:sim, )?(\{.*\})\);"
        for kind, described in re.findall(pattern, html):
            info = json.loads(described)
            socket = self._connect(info["uid"])
            if kind == "Value":
                name = "voltage" if info["n_lines"] == N_VOLTAGES else "value"
                self._show(name, Plot(socket, struct.Struct(f"<{1 + info['n_lines']}f")))
            elif kind == "Raster":
                self._show("raster", Plot(socket, None))
            elif kind == "SimControl":
                self.control = socket
                self._show("control", Plot(socket, None))

    def _connect(self, uid: int) -> Any:
        return websocket.create_connection(
            f"ws://{self._host}/viz_component?uid={uid}",
            cookie=self._cookie,
            origin=f"http://{self._host}",
        )

    def _show(self, name: str, plot: Plot) -> None:
        self.plots[name] = plot
        self._threads.append(threading.Thread(target=plot.listen, daemon=True))
        self._threads[-1].start()

    def close(self) -> None:
        """Close all sockets."""
        for plot in self.plots.values():
            plot.socket.close()


def play(page: Page, seconds: float, rng: random.Random) -> int:
    """Play and pause for some time after the first sample, or until the server is gone.

    Returns how often.
    """
    n_times = 0
    try:
        page.control.send("continue")
        latest = time.monotonic() + MOST_TO_BUILD
        while not page.plots["voltage"].steps and time.monotonic() < latest:
            time.sleep(0.1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            page.control.send("continue")
            time.sleep(rng.uniform(0.05, 1.0))
            page.control.send("pause")
            time.sleep(rng.uniform(0.01, 0.2))
            n_times += 1
    except (websocket.WebSocketException, OSError):
        pass
    time.sleep(1.0)  # for what is still on its way, and for a server to die
    return n_times


def run(backend: str, seconds: float, seed: int) -> list[str]:
    """One session; returns what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.py")
        model.write_text(MODEL)
        Path(f"{model}.cfg").write_text(LAYOUT)
        command = [sys.executable, "-u", "-X", "faulthandler", "-m", "nengo_gui.main"]
        command += ["--no-browser", "--port", "0", "--backend", backend, str(model)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
        )
        said: list[str] = []
        reader = threading.Thread(target=said.extend, args=(process.stdout,))
        reader.start()
        try:
            page = Page(address_in(said, process))
            n_times = play(page, seconds, random.Random(seed))
            status = process.poll()
            page.close()
        finally:
            process.kill()
            process.wait()
            reader.join()
    wrong = [] if status is None else [f"the server died with {status}"]
    if any("Traceback" in line or "rror" in line for line in said):
        wrong.append("the server printed an error")
    for name in ("voltage", "value", "raster"):
        plot = page.plots[name]
        print(f"{name}: {len(plot.steps)} samples, {plot.missing} missing; {n_times} pauses")
        most = LOST_BY_THE_GUI * len(plot.steps) if name == "voltage" else 0
        if not plot.steps or plot.missing > most:
            wrong.append(f"{name}: {plot.missing} of {len(plot.steps)} samples are missing")
    return wrong + (["".join(said)] if wrong else [])


def address_in(said: list[str], process: Any) -> str:
    """Wait until the server has said where it is."""
    for _ in range(600):
        for line in list(said):
            if "http://" in line:
                return line.strip()
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("The server does not start:\n" + "".join(said))


def main() -> int:
    """Run sessions; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="sessions")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each")
    parser.add_argument("--seed", type=int, default=0, help="of the pauses")
    parser.add_argument("--backend", default="nengo_jit", help="simulator")
    options = parser.parse_args()
    n_wrong = 0
    for number in range(options.count):
        print(f"session {number + 1} of {options.count}", flush=True)
        wrong = run(options.backend, options.seconds, options.seed + number)
        print("\n".join(wrong), flush=True)
        n_wrong += bool(wrong)
    print(f"{n_wrong} of {options.count} sessions went wrong")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
