"""Drive a headless Chromium over its DevTools protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "Chromium is not installed. On Debian: apt-get install chromium"


@contextmanager
def tab(width: int = 1000, height: int = 600) -> Iterator[Tab]:
    """Context with a tab of a new Chromium; RuntimeError if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [found, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "--no-first-run"]
        command += ["--remote-allow-origins=*", f"--window-size={width},{height}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield Tab(_address(Path(profile, "DevToolsActivePort")), width, height)
        finally:
            process.kill()
            process.wait()


def _address(path: Path) -> str:
    """Address of the first tab's websocket, once the browser has written its port to a file."""
    for _ in range(300):
        if path.exists() and path.read_text().strip():
            port = path.read_text().split()[0]
            tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list"))
            pages = [each for each in tabs if each["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise RuntimeError("Chromium does not start")


class Tab:
    """A tab of the browser.

    Attributes
    ----------
    problems : list of str
        Uncaught exceptions in the page's scripts.
    """

    def __init__(self, address: str, width: int, height: int):
        self._socket = websocket.create_connection(address, timeout=120)
        self._n_calls = 0
        self.problems: list[str] = []
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        self._n_calls += 1
        number = self._n_calls
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("method") == "Runtime.exceptionThrown":
                self.problems.append(str(answer["params"]["exceptionDetails"]))
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def go(self, url: str) -> None:
        """Load a page."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState == 'complete' && typeof sim != 'undefined'")

    def value(self, script: str) -> Any:
        """Value of an expression in JavaScript."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 120.0) -> None:
        """Wait until an expression is true."""
        latest = time.monotonic() + seconds
        while not self.value(f"!!({script})"):
            assert time.monotonic() < latest, f"never: {script}"
            time.sleep(0.05)

    def place(self, element: str) -> tuple[float, float]:
        """Center of an element, which is given by an expression (pixels)."""
        box = f"(({element}).getBoundingClientRect())"
        return self.value(f"[{box}.x + {box}.width / 2, {box}.y + {box}.height / 2]")

    def mouse(self, kind: str, x: float, y: float, button: str = "left") -> None:
        """A mouse event: mousePressed, mouseReleased or mouseMoved."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1)

    def click(self, element: str, button: str = "left") -> None:
        """Click on an element."""
        x, y = self.place(element)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, button)
        self.mouse("mouseReleased", x, y, button)

    def drag(self, element: str, right: float, down: float) -> None:
        """Drag an element by a distance (pixels)."""
        x, y = self.place(element)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        for part in (0.25, 0.5, 0.75, 1.0):
            self.mouse("mouseMoved", x + part * right, y + part * down)
        self.mouse("mouseReleased", x + right, y + down)

    def screenshot(self, path: Path) -> None:
        """Write a picture of the page, in PNG."""
        found = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))
