"""Start nengo-gui, and look at a page of it over websockets, as a browser would."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import numpy as np
import websocket

DT = 0.001  # seconds
N_VOLTAGES = 5  # lines of a voltage plot, as nengo-gui draws it
PATTERN = r"new Nengo\.(\w+)\((?:\w+, )*(\{.*\})\);|Nengo\.(Ace)\(\"(\d+)\""


class Server:
    """A server of nengo-gui.

    Attributes
    ----------
    process : subprocess.Popen
        Its process.
    said : list of str
        The lines that it has printed.
    url : str
        Address of its first page.
    """

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process
        self.said: list[str] = []
        self._reader = threading.Thread(target=self.said.extend, args=(process.stdout,))
        self._reader.start()

    @property
    def url(self) -> str:
        for _ in range(600):
            for line in list(self.said):
                found = re.search(r"http://\S+", line)
                if found:
                    return found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("The server does not start:\n" + "".join(self.said))

    @property
    def cpu_seconds(self) -> float:
        """float: processor time of the server so far (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def stop(self) -> None:
        """Kill the server."""
        self.process.kill()
        self.process.wait()
        self._reader.join()


@contextmanager
def serving(model: Path, backend: str = "nengo_jit") -> Iterator[Server]:
    """Context with a server for a model: `nengo-jit gui`, or nengo-gui's own for other backends."""
    command = [sys.executable, "-u", "-X", "faulthandler", "-m"]
    if backend == "nengo_jit":
        command += ["nengo_jit", "gui", str(model), "--no-browser", "--port", "0"]
    else:
        command += ["nengo_gui.main", "--no-browser", "--port", "0", "-b", backend, str(model)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=model.parent,
    )
    server = Server(process)
    try:
        yield server
    finally:
        server.stop()


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


