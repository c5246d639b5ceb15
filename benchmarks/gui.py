"""Run all examples that nengo-gui brings along as nengo-gui does, on nengo and on nengo-jit.

Each is loaded with its plots, built, and stepped at full speed for ``--seconds`` of simulated time,
or for ``--most`` seconds of processor time ("CPU"), whichever is shorter. Then three sizes of
models, and a paused model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import nengo_gui

from nengo_jit.cli.gui_page import Page
from nengo_jit.cli.gui_server import Server

EXAMPLES = Path(nengo_gui.__file__).parent / "examples"
BACKENDS = ("nengo", "nengo_jit")
SMALL = """
import nengo
with nengo.Network(seed=1) as model:
    stimulus = nengo.Node([0])
    ensemble = nengo.Ensemble({n}, 1)
    nengo.Connection(stimulus, ensemble)
"""
SPA = """
import nengo
import nengo.spa as spa
with spa.SPA(seed=1) as model:
    model.a = spa.State(32)
    model.b = spa.State(32)
    model.cortical = spa.Cortical(spa.Actions("b = a * A"))
    model.input = spa.Input(a="A")
"""
MODELS = {
    "100 neurons": (SMALL.format(n=100), "ensemble", ("Value", "Raster", "Voltage")),
    "SPA": (SPA, "model.b", ("Value",)),
    "5,000 neurons": (SMALL.format(n=5000), "ensemble", ("Value", "Raster", "Voltage")),
}


def measure(path: Path, backend: str, seconds: float, most: float) -> tuple[float | None, str]:
    """Step a model for some simulated time, or until the processor time is over.

    Returns
    -------
    float or None
        Simulated seconds per second of CPU; None after an error.
    str
        The last line of the error.
    """
    server = Server(path, ("localhost", 0))
    server.page_settings.backend = backend
    page = Page(server, None, server.page_settings)
    page.finished = True  # we step it ourselves
    control = page.components[0]
    control.paused, control.target_rate = False, None
    if page.error is None:
        page.build()
    if page.error is not None or page.sim is None:
        return None, (page.error or {"trace": "no simulator"})["trace"].strip().splitlines()[-1]
    sim = page.sim
    try:
        for _ in range(100):
            sim.step()
        began, cpu, n_steps = time.process_time(), 0.0, 0
        while n_steps * sim.dt < seconds and cpu < most:
            sim.step()
            n_steps += 1
            cpu = time.process_time() - began
        return n_steps * sim.dt / cpu, ""
    except Exception as error:
        return None, repr(error)
    finally:
        for binding in server.bindings:
            binding.socket.close()
        sim.close()


def paused(path: Path, backend: str) -> float:
    """Share of a core that a paused model takes."""
    server = Server(path, ("localhost", 0))
    server.page_settings.backend = backend
    page = Page(server, None, server.page_settings)
    page.build()
    time.sleep(1.0)  # it has taken its first step, and waits
    began, cpu = time.monotonic(), time.process_time()
    time.sleep(2.0)
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    page.finished = True
    page.sim = None
    time.sleep(0.1)
    return share


def main() -> int:
    """Print all tables; returns how many examples run on nengo only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="simulated, of each example")
    parser.add_argument("--most", type=float, default=10.0, help="seconds of CPU for each")
    parser.add_argument("--only", default="", help="part of the names of examples; 'none' for none")
    options = parser.parse_args()
    limits = options.seconds, options.most
    n_worse = 0
    for path in sorted(EXAMPLES.rglob("*.py")):
        name = str(path.relative_to(EXAMPLES))
        if options.only in name:
            (nengo, why), (ours, reason) = (measure(path, b, *limits) for b in BACKENDS)
            n_worse += nengo is not None and ours is None
            if nengo and ours:
                print(f"{name:45} {nengo:7.2f} {ours:7.2f} {ours / nengo:6.1f} times", flush=True)
            else:
                print(f"{name:45} nengo: {nengo or why}; nengo_jit: {ours or reason}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, (text, shown, plots) in MODELS.items():
            path = Path(folder, "model.py")
            path.write_text(text)
            lines = [f"_viz_{i} = nengo_gui.components.{p}({shown})" for i, p in enumerate(plots)]
            Path(f"{path}.cfg").write_text("\n".join(lines))
            (nengo, why), (ours, reason) = (measure(path, b, *limits) for b in BACKENDS)
            shares = ", ".join(f"{b} {100 * paused(path, b):.1f} %" for b in BACKENDS)
            print(f"{name}: {nengo or why} and {ours or reason} s per s of CPU; paused: {shares}")
    print(f"{n_worse} examples run on nengo only")
    return n_worse


if __name__ == "__main__":
    sys.exit(main())
