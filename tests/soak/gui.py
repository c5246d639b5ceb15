"""Play and pause a model in nengo-gui, and see that no sample is missing.

``make soak-gui`` sets up nengo-gui in an environment of its own and runs this ten times for 60
seconds. A websocket client shows a voltage plot, a value plot and a raster, as a browser would.
The server must not die, nor print a traceback, and what it sends must have every step. With
``--clicks``, it clicks at random instead: plots are added and removed, sliders moved, the model
edited, also wrongly. Then the server must not die, nor print an exception of nengo-jit.

``--backend nengo`` shows what nengo-gui's own plots do: it may lose a few voltages in a million.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import websocket

sys.path.append(str(Path(__file__).parents[1]))

from gui_client import Page, serving

MODEL = """
import nengo
import numpy as np

nengo.rc["decoder_cache"]["enabled"] = "False"  # it warns if other processes use it
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
PLOTS = [
    ("Value", "stimulus"),
    ("Value", "ensemble"),
    ("XYValue", "stimulus"),
    ("Raster", "ensemble"),
    ("Voltage", "ensemble"),
    ("SpikeGrid", "ensemble"),
    ("Slider", "stimulus"),
]
SHOWN = {"Value", "Voltage", "XYValue", "Raster", "Image", "Slider"}
EDITS = [  # of the model: more neurons, an error in the file, in a build, and in a step
    MODEL.replace("50", "80"),
    MODEL + "    1 / 0\n",
    MODEL + "    nengo.Connection(ensemble, ensemble, function=lambda x: 1 / 0)\n",
    MODEL + "    nengo.Node(lambda t: 1 / (t - 0.02 if abs(t - 0.02) > 1e-9 else 0))\n",
]


def play(page: Page, seconds: float, rng: random.Random) -> int:
    """Play and pause for some time after the first sample, or until the server is gone.

    Returns how often.
    """
    control, n_times = page["SimControl"], 0
    try:
        control.send("continue")
        page.wait(lambda: page["Voltage"].steps)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            control.send("continue")
            time.sleep(rng.uniform(0.05, 1.0))
            control.send("pause")
            time.sleep(rng.uniform(0.01, 0.2))
            n_times += 1
    except (websocket.WebSocketException, OSError):
        pass
    time.sleep(1.0)  # for what is still on its way, and for a server to die
    return n_times


def click(page: Page, seconds: float, rng: random.Random) -> int:
    """Click here and there for some time, or until the server is gone; returns how often."""
    actions = (
        lambda: page["SimControl"].send("continue"),
        lambda: page["SimControl"].send("continue"),
        lambda: page["SimControl"].send("pause"),
        lambda: page["SimControl"].send("reset"),
        lambda: page["Slider"].send(f"0,{rng.uniform(-1, 1)}"),
        lambda: page["Slider"].send("0,reset"),
        lambda: page.add(*rng.choice(PLOTS)),
        lambda: rng.choice([c for c in page.components if c.kind in SHOWN and c.is_shown]).remove(),
        lambda: page["NetGraph"].send({"undo": rng.choice("10")}),
        lambda: page["Ace"].send({"code": rng.choice(EDITS), "save": False}),
        lambda: page["Ace"].send({"code": MODEL, "save": False}),
    )
    n_times = 0
    end = time.monotonic() + seconds
    page.add("Slider", "stimulus")
    while time.monotonic() < end:
        try:
            rng.choice(actions)()
            page.follow()
        except (websocket.WebSocketException, OSError, IndexError, AssertionError):
            if not page["SimControl"].socket.connected:
                break  # else the plot is gone
        time.sleep(rng.choice((0.0, 0.02, 0.2, 0.5)))
        n_times += 1
    time.sleep(1.0)
    return n_times


def run(backend: str, seconds: float, seed: int, clicks: bool) -> list[str]:
    """One session; returns what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.py")
        model.write_text(MODEL)
        Path(f"{model}.cfg").write_text(LAYOUT)
        with serving(model, backend) as server:
            page = Page(server.url)
            n_times = (click if clicks else play)(page, seconds, random.Random(seed))
            status = server.process.poll()
            shown = page.errors
            page.close()
    wrong = [] if status is None else [f"the server died with {status}"]
    said = "".join(server.said)
    if clicks:
        n_steps = sum(len(component.steps) for component in page.components)
        print(f"{n_times} clicks, {n_steps} samples, {len(shown)} errors of the model shown")
        wrong += ["no plot was drawn, or no error shown"] if not (n_steps and shown) else []
        wrong += [f"shown: {each}" for each in shown if "ZeroDivisionError" not in each]
        wrong += ["the server printed an error"] if "Traceback" in said else []
        return wrong + ([said] if wrong else [])
    if "Traceback" in said or "rror" in said:
        wrong.append("the server printed an error")
    for name in ("Voltage", "Value", "Raster"):
        plot = page[name]
        print(f"{name}: {len(plot.steps)} samples, {plot.missing} missing; {n_times} pauses")
        if not plot.steps or plot.missing:
            wrong.append(f"{name}: {plot.missing} of {len(plot.steps)} samples are missing")
    return wrong + ([said] if wrong else [])


def main() -> int:
    """Run sessions; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="sessions")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each")
    parser.add_argument("--clicks", action="store_true", help="click at random instead")
    parser.add_argument("--seed", type=int, default=0, help="of the pauses")
    parser.add_argument("--backend", default="nengo_jit", help="simulator")
    options = parser.parse_args()
    n_wrong = 0
    for number in range(options.count):
        print(f"session {number + 1} of {options.count}", flush=True)
        wrong = run(options.backend, options.seconds, options.seed + number, options.clicks)
        print("\n".join(wrong), flush=True)
        n_wrong += bool(wrong)
    print(f"{n_wrong} of {options.count} sessions went wrong")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
