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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import numpy as np
import websocket

DT = 0.001  # seconds
MOST_TO_BUILD = 60.0  # seconds, since kernels may have to be compiled
N_VOLTAGES = 5  # lines of a voltage plot, as nengo-gui draws it
PATTERN = re.compile(
    r'new Nengo\.(?:(\w+)\((?:\w+, )*(\{".*\})\);|(Ace|NetGraph)\((?:main, \{uid:)?"(\d+)")'
)


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
class Component:
    """A plot, or another part of a page, and what it was sent.

    Attributes
    ----------
    kind : str
        nengo-gui's name of it in JavaScript, such as "Value"; "Voltage" for voltages.
    info : dict
        Its settings.
    steps : list of int
        For a plot, the number of each step.
    values : list of tuple of float
        For a plot of values, the values of each step.
    texts : list of str
        Messages that are text.
    is_shown : bool
        Whether it is still on the page.
    """

    kind: str
    info: dict[str, Any]
    socket: Any
    steps: list[int] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    is_shown: bool = True

    def send(self, message: str | dict[str, Any]) -> None:
        """Send a message to the server, as JSON unless it is text."""
        self.socket.send(message if isinstance(message, str) else json.dumps(message))

    def remove(self, message: str = "remove") -> None:
        """Remove the plot from the page; the message says so to the server, if there is one."""
        self.is_shown = False
        if message:
            self.send(message)

    def listen(self) -> None:
        """Take what comes until the socket is closed."""
        try:
            while True:
                self.take(self.socket.recv())
        except (websocket.WebSocketException, OSError):
            pass

    def take(self, message: bytes | str) -> None:
        """Note a message: text, or one or several records, each of which begins with a time."""
        if isinstance(message, str):
            self.texts.append(message)
            return
        record = self._record
        size = record.size if record else max(len(message), 1)
        for place in range(0, len(message), size):
            (t,) = struct.unpack_from("<f", message, place)
            self.steps.append(round(t / DT))
            if record:
                self.values.append(record.unpack_from(message, place)[1:])

    @property
    def _record(self) -> struct.Struct | None:
        n_values = self.info.get("n_lines", self.info.get("n_sliders"))
        return struct.Struct(f"<{1 + n_values}f") if n_values else None

    @property
    def missing(self) -> int:
        """int: how many steps between the first and the last are missing, or out of order."""
        distances = np.diff(self.steps)
        return int(np.sum(np.abs(distances - 1)))


class Page:
    """A page of nengo-gui, as a browser opens it.

    Attributes
    ----------
    components : list of Component
        In the order in which they were made; those that the server makes later are at the end.
    """

    def __init__(self, url: str):
        jar = CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        html = opener.open(url, timeout=60).read().decode()
        self._cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
        self._host = url.split("/")[2]
        self.components: list[Component] = []
        self._seen = 0
        self.show(html)

    def show(self, javascript: str) -> None:
        """Connect to the components that a script makes."""
        for kind, described, part, uid in PATTERN.findall(javascript):
            info = {"uid": uid} if part else json.loads(described)
            socket = websocket.create_connection(
                f"ws://{self._host}/viz_component?uid={info['uid']}",
                cookie=self._cookie,
                origin=f"http://{self._host}",
            )
            if kind == "Value" and info["n_lines"] == N_VOLTAGES:
                kind = "Voltage"
            self.components.append(Component(kind or part, info, socket))
            threading.Thread(target=self.components[-1].listen, daemon=True).start()

    def __getitem__(self, kind: str) -> Component:
        """The newest component of a kind that is shown."""
        return [each for each in self.components if each.kind == kind and each.is_shown][-1]

    def add(self, kind: str, uid: str, **more: Any) -> Component:
        """Add a plot of an object, as the menu of the object does, once the object is drawn."""
        graph = self["NetGraph"]
        assert self.wait(lambda: any(f'"uid": "{uid}"' in text for text in graph.texts)), uid
        n_components = len(self.components)
        place = {"x": 0.5, "y": 0.5, "width": 0.1, "height": 0.1}
        graph.send({"act": "create_graph", "type": kind, "uid": uid, **place, **more})
        assert self.wait(lambda: self.follow() > n_components), f"no {kind}"
        return self.components[-1]

    def follow(self) -> int:
        """Do what the server has asked for meanwhile; returns the number of components so far."""
        graph = self["NetGraph"]
        while self._seen < len(graph.texts):
            message = json.loads(graph.texts[self._seen])
            self._seen += 1
            if message.get("type") == "js":
                self.show(message["code"])
            elif message.get("type") == "delete_graph":
                for each in self.components:
                    if each.is_shown and each.info["uid"] == message["uid"]:
                        each.remove("remove_undo" if message.get("notify_server", True) else "")
        return len(self.components)

    @staticmethod
    def wait(condition: Callable[[], object], seconds: float = MOST_TO_BUILD) -> bool:
        """Wait until a condition holds; returns whether it does."""
        latest = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > latest:
                return False
            time.sleep(0.05)
        return True

    @property
    def errors(self) -> list[str]:
        """List of str: the tracebacks that the editor has shown."""
        said = [json.loads(text) for text in self["Ace"].texts]
        return [each["error"]["trace"] for each in said if each.get("error")]

    def play(self) -> None:
        """Press the button to play, and wait until the clock moves."""
        clock = self["SimControl"]
        time.sleep(0.1)  # for the clock to see a new plot
        n_messages = len(clock.steps)
        assert self.play_until(lambda: len(set(clock.steps[n_messages:])) > 10), self.errors

    def play_until(self, condition: Callable[[], object]) -> bool:
        """Press the button until a condition holds: new plots and new code pause a while later."""
        for _ in range(round(MOST_TO_BUILD)):
            self["SimControl"].send("continue")
            if self.wait(condition, seconds=1.0):
                return True
        return False

    def close(self) -> None:
        """Close all sockets."""
        for component in self.components:
            component.socket.shutdown()
