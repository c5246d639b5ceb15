"""A model in nengo-gui, in a headless Chromium, from loading to an error and back.

``make test-gui`` runs it. With PICTURES=folder in the environment, screenshots go to that folder.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from chromium import MISSING, NAMES, tab
from gui_client import serving

MODEL = """\
import nengo

nengo.rc["decoder_cache"]["enabled"] = "False"  # it warns if other processes use it
with nengo.Network(seed=1) as model:
    stimulus = nengo.Node([0.5, 0])
    ensemble = nengo.Ensemble(50, 2)
    nengo.Connection(stimulus, ensemble)
"""
BROKEN = """\
    culprit = nengo.Node(lambda t: 1 / 0 if t > 0.05 else t)
"""
ITEM = "Nengo.netgraph.svg_objects['{}'].shape"
PLAY = "document.querySelector('#pause_button')"
RESET = "document.querySelector('#reset_button')"
GRAPHS = "Nengo.Component.components"
TIME = "sim.time_slider.last_time"  # seconds
HANDLE = f"{GRAPHS}.find(c => c.sliders).sliders[0].handle"
MENU = "[...document.querySelectorAll('.dropdown-menu a')].find(a => a.textContent.trim() == '{}')"
CONSOLE = "document.querySelector('#rightpane').textContent"
PLACES = {  # centers, in parts of the picture
    "Value(ensemble)": (0.32, 0.25),
    "XYValue(ensemble)": (0.75, 0.25),
    "Raster(ensemble)": (0.32, 0.75),
    "Voltage(ensemble)": (0.75, 0.75),
    "Slider(stimulus)": (0.08, 0.75),
}
SIZE = {"Slider": (0.06, 0.15)}


def layout():
    """The file in which nengo-gui keeps where the plots are."""
    lines = []
    for number, (plot, (x, y)) in enumerate(PLACES.items()):
        width, height = SIZE.get(plot.split("(")[0], (0.18, 0.2))
        lines.append(f"_viz_{number} = nengo_gui.components.{plot}")
        for name, value in (("x", x), ("y", y), ("width", width), ("height", height)):
            lines.append(f"_viz_config[_viz_{number}].{name} = {value}")
    return "\n".join(lines)


@pytest.fixture
def browser(tmp_path):
    """A tab with the model, and the server."""
    if not any(map(shutil.which, NAMES)):
        pytest.fail(MISSING)
    file = tmp_path / "model.py"
    file.write_text(MODEL)
    Path(f"{file}.cfg").write_text(layout())
    with serving(file) as server, tab() as page:
        page.go(server.url)
        page.wait(f"'ensemble' in Nengo.netgraph.svg_objects && {ITEM.format('ensemble')}")
        time.sleep(1.0)  # for the objects to be where they belong
        yield page
        assert page.problems == []
        assert server.process.poll() is None
        (line,) = server.said  # the console has the address, and nothing else
        assert line.startswith("model.py: http://")


def play(page):
    """Click on play, and wait until simulated time goes on."""
    page.wait("sim.paused")
    time.sleep(0.3)
    began = page.value(TIME)
    page.click(PLAY)
    page.wait(f"!sim.paused && {TIME} > {began} + 0.6")


def keep(page, name):
    """Write a picture, for people."""
    if "PICTURES" in os.environ:
        page.screenshot(Path(os.environ["PICTURES"], f"gui_{name}.png"))


def newest(page, number):
    """The newest values that a plot has drawn."""
    return page.value(f"{GRAPHS}[{number}].data_store.data.map(line => line.at(-1))")


def test_from_loading_to_an_error_and_back(browser):
    number = {
        kind: browser.value(f"{GRAPHS}.findIndex(c => c instanceof Nengo.{kind})")
        for kind in ("Value", "XYValue", "Raster")
    }
    assert browser.value(f"{GRAPHS}.length") == 5
    play(browser)
    assert newest(browser, number["Value"]) == pytest.approx([0.5, 0], abs=0.2)
    assert newest(browser, number["XYValue"]) == pytest.approx([0.5, 0], abs=0.3)
    assert browser.value(f"{GRAPHS}[{number['Raster']}].path.attr('d').length") > 100
    keep(browser, "plots")

    browser.drag(HANDLE, 0, -40)  # the slider, up
    browser.wait(f"{GRAPHS}[{number['Value']}].data_store.data[0].at(-1) > 0.7")

    browser.click(ITEM.format("ensemble"), "right")  # a plot, while it runs
    browser.wait(MENU.format("Firing pattern"))
    browser.click(MENU.format("Firing pattern"))
    browser.wait(f"{GRAPHS}.length == 6")
    play(browser)

    browser.click(PLAY)  # pause
    browser.wait("sim.paused")
    time.sleep(0.5)
    paused_at = browser.value(TIME)
    time.sleep(0.5)
    assert browser.value(TIME) == paused_at > 0
    browser.click(RESET)
    browser.wait(f"{TIME} == 0")

    browser.value(f"ace.edit('editor').setValue({json.dumps(MODEL + BROKEN)})")
    browser.wait("'culprit' in Nengo.netgraph.svg_objects")
    time.sleep(0.3)
    browser.click(PLAY)
    browser.wait(f"{CONSOLE}.includes('ZeroDivisionError: division by zero (in culprit)')")
    keep(browser, "error")

    browser.value(f"ace.edit('editor').setValue({json.dumps(MODEL)})")
    browser.wait(f"!('culprit' in Nengo.netgraph.svg_objects) && !{CONSOLE}.includes('Error')")
    play(browser)
