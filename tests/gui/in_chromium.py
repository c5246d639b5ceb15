"""A model in nengo-gui, in a headless Chromium, from loading to an error and back.

``make test-gui`` runs it. With PICTURES=folder in the environment, screenshots go to that folder.
"""

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
BARS = "document.querySelectorAll('.graph')"
PLOTS = ("Value", "XY-value", "Spikes", "Voltages", "Firing pattern")
N_LINES = "document.querySelectorAll('.graph path.line').length"
HEIGHT = "document.querySelectorAll('.graph path.line')[0].getBoundingClientRect().height"


@pytest.fixture
def browser(tmp_path):
    """A tab with the model, and the server."""
    if not any(map(shutil.which, NAMES)):
        pytest.fail(MISSING)
    file = tmp_path / "model.py"
    file.write_text(MODEL)
    with serving(file) as server, tab() as page:
        page.go(server.url)
        page.wait(f"'ensemble' in Nengo.netgraph.svg_objects && {ITEM.format('ensemble')}")
        time.sleep(1.0)  # for the objects to be where they belong
        yield page
        assert page.problems == []
        assert server.process.poll() is None
        (line,) = server.said  # the console has the address, and nothing else
        assert line.startswith("model.py: http://")


def add(page, plot, item):
    """Add a plot from the menu of an object; returns the number of plots."""
    n_plots = page.value(f"{BARS}.length")
    page.click(ITEM.format(item), "right")
    entry = f"[...document.querySelectorAll('.menu-item, .dropdown-menu a')].find(a => a.textContent.trim() == '{plot}')"
    page.wait(entry)
    page.click(entry)
    page.wait(f"{BARS}.length == {n_plots + 1}")
    return n_plots + 1


def now(page):
    """Time that the page shows (seconds)."""
    return page.value("sim.time_slider.last_time")


def play(page):
    """Click on play, and wait until simulated time goes on."""
    page.wait("sim.paused")
    began = now(page)
    page.click(PLAY)
    page.wait(f"sim.time_slider.last_time > {began} + 0.3")


def keep(page, name):
    """Write a picture, for people."""
    if "PICTURES" in os.environ:
        page.screenshot(Path(os.environ["PICTURES"], f"{name}.png"))


def test_from_loading_to_an_error_and_back(browser):
    for plot in PLOTS:
        add(browser, plot, "ensemble")
    add(browser, "Slider", "stimulus")
    play(browser)
    keep(browser, "plots")
