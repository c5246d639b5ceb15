"""``nengo-jit gui``, seen over websockets, as a browser sees it."""

import json
import signal
import socket
from types import SimpleNamespace

import numpy as np
import pytest
from commands import command, refused
from gui_client import Page, serving

MODEL = """
import nengo
import numpy as np

nengo.rc["decoder_cache"]["enabled"] = "False"  # it warns if other processes use it
steps = []


def on_step(sim):
    if sim is not None:  # nengo-gui may have reset it meanwhile
        steps.append(sim.n_steps)


def page(t):
    page._nengo_html_ = f"<p>{len(steps)} of {t:.3f}</p>"


page._nengo_html_ = ""

with nengo.Network(seed=1) as model:
    stimulus = nengo.Node([0.25])
    ensemble = nengo.Ensemble(50, 1)
    nengo.Connection(stimulus, ensemble)
    html = nengo.Node(page)
"""
FAILS_LATER = """
with model:
    with nengo.Network(label="inner"):
        culprit = nengo.Node(lambda t: 1 / 0 if t > 0.02 else t)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


@pytest.fixture
def gui(file):
    with serving(file) as server:
        page = Page(server.url)
        yield SimpleNamespace(server=server, page=page, control=page["SimControl"])
        page.close()


def test_a_port_that_is_taken_is_refused(file):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"--port {port}" in refused(command("gui", file, "--no-browser", "--port", port))


def test_a_file_that_is_missing_is_refused(tmp_path):
    assert "nowhere.py cannot be read" in refused(
        command("gui", "nowhere.py", "--no-browser", cwd=tmp_path)
    )


@pytest.mark.parametrize(
    "text, line",
    [
        ("x = 1\nx / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("x = (\n", "line 1: SyntaxError: '(' was never closed"),
        ("x = 1\n", 'must declare a nengo.Network called "model"'),
    ],
)
def test_a_file_with_an_error_is_refused(file, text, line):
    file.write_text(text)
    said = refused(command("gui", file.name, "--no-browser", "--port", 0, cwd=file.parent))
    assert "model.py" in said and line in said


def test_a_file_in_another_encoding_is_refused(file):
    file.write_text("# -*- coding: latin-1 -*-\n# \xe9\n", encoding="latin-1")
    said = refused(command("gui", file.name, "--no-browser", cwd=file.parent, PYTHONUTF8="1"))
    assert "model.py cannot be read: it is not in utf-8" in said


@pytest.mark.parametrize("name", ["nengo", "nengo_jit"])
def test_a_file_that_runs_a_simulator_is_told_not_to(file, name):
    text = f"{MODEL}\nimport {name}\n{name}.Simulator(model).run(1)\n"
    file.write_text(text)
    with serving(file) as server:
        page = Page(server.url)
        assert page.wait(lambda: len(page["Ace"].texts) > 1)
        said = "".join(page["Ace"].texts)
        line = len(text.splitlines())
        assert f"Simulators cannot be manually run inside nengo_gui (line {line})" in said
        page.play()
        page.close()


def test_ctrl_c_ends_the_server(gui):
    gui.page.play()
    gui.server.process.send_signal(signal.SIGINT)
    assert gui.server.process.wait(timeout=30) == 0
    (line,) = gui.server.said
    assert line.startswith("model.py: http://localhost:")


def test_pages_do_not_disturb_each_other(gui):
    other = Page(gui.server.url)
    pages = {0.8: gui.page, -0.8: other}
    plots = {value: page.add("Value", "stimulus") for value, page in pages.items()}
    for value, page in pages.items():
        slider = page.add("Slider", "stimulus")
        page.play()
        slider.send(f"0,{value}")
    assert other.wait(
        lambda: (
            [plot.values[-1][0] for plot in plots.values()] == pytest.approx(list(plots), abs=0.01)
        )
    )
    assert [plot.missing for plot in plots.values()] == [0, 0]
    other.close()
    gui.page.play()


def test_our_backend_is_listed_and_selected(gui):
    gui.control.send("config")
    assert gui.page.wait(lambda: any(text.startswith("sims:") for text in gui.control.texts))
    (options,) = [text for text in gui.control.texts if text.startswith("sims:")]
    assert "<option  selected>nengo_jit</option>" in options
    assert "<option >nengo</option>" in options


def test_plots_get_every_step_and_the_console_nothing(gui):
    kinds = ("Value", "Raster", "Voltage")
    plots = [gui.page.add(kind, "ensemble") for kind in kinds]
    html = gui.page.add("HTMLView", "html")
    gui.page.play()
    assert gui.page.wait(lambda: all(len(plot.steps) > 100 for plot in plots))
    gui.control.send("pause")
    assert [plot.missing for plot in plots] == [0, 0, 0]
    assert gui.page["Voltage"].steps[0] == 1
    n_steps, time = html.texts[50].split("<p>")[1].split("</p>")[0].split(" of ")
    assert float(time) == pytest.approx(0.001 * (int(n_steps) + 1))  # `on_step` runs after a step
    (line,) = gui.server.said
    assert line.startswith("model.py: http://localhost:")


def test_a_slider_is_seen_in_the_next_step(gui):
    slider, plot = gui.page.add("Slider", "stimulus"), gui.page.add("Value", "stimulus")
    gui.page.play()
    assert gui.page.wait(lambda: len(plot.values) > 100)
    slider.send("0,-0.75")
    assert gui.page.wait(lambda: plot.values[-1][0] < -0.74)
    values = np.array(plot.values)[:, 0]
    assert values[80] == pytest.approx(0.25, abs=0.01)
    first = 80 + np.argmax(values[80:] < 0.24)  # of a filter with a time constant of 0.01 s
    expected = -0.75 + np.exp(-0.1 * np.arange(1, 6)) * (values[first - 1] + 0.75)
    assert values[first : first + 5] == pytest.approx(expected, rel=1e-3)


def test_adding_and_removing_plots_in_mid_run_goes_on(gui):
    plot = gui.page.add("Value", "ensemble")
    gui.page.play()
    gui.page.add("Voltage", "ensemble")
    gui.page.play()
    assert gui.page.wait(lambda: len(gui.page["Voltage"].steps) > 20)
    plot.send("remove")
    gui.page.play()
    assert not gui.page.errors


def test_an_error_ends_with_itself_and_the_short_name_of_the_node(gui):
    gui.page["Ace"].send({"code": MODEL + FAILS_LATER, "save": False})
    assert gui.page.wait(lambda: any("inner" in text for text in gui.page["NetGraph"].texts))
    assert gui.page.play_until(lambda: gui.page.errors)
    (trace,) = gui.page.errors
    assert trace.endswith("ZeroDivisionError: division by zero (in culprit)\n")
    assert "step 21 (t = 0.021 s)" in trace and "<lambda>" in trace
    assert "nengo_jit" not in trace
    shown = [json.loads(text) for text in gui.page["Ace"].texts]
    (message,) = [each["short_msg"] for each in shown if each.get("error")]
    assert message == "ZeroDivisionError: division by zero (in culprit)"
    gui.page["Ace"].send({"code": MODEL, "save": False})  # and all is well again
    assert gui.page.wait(lambda: "error" in json.loads(gui.page["Ace"].texts[-1]))
    gui.page.play()


def test_a_plot_is_added_while_the_code_has_an_error(gui):
    gui.page["Ace"].send({"code": MODEL + "    1 / 0\n", "save": False})
    assert gui.page.wait(lambda: gui.page.errors)
    plot = gui.page.add("Value", "ensemble")
    gui.page.play()  # the model that there was
    assert gui.page.wait(lambda: len(plot.values) > 20)
    gui.page["Ace"].send({"code": MODEL, "save": False})
    assert gui.page.wait(lambda: json.loads(gui.page["Ace"].texts[-1]).get("error") is None)
    gui.page.play()
    n_values = len(plot.values)
    assert gui.page.wait(lambda: len(plot.values) > n_values + 20)


def test_what_was_done_to_plots_before_an_edit_is_not_undone(gui):
    gui.page.add("Value", "ensemble").remove()
    gui.page.add("Value", "stimulus")
    gui.page["Ace"].send({"code": MODEL.replace("50", "60"), "save": False})
    graph = gui.page["NetGraph"]
    assert gui.page.wait(
        lambda: {"type": "remove", "uid": "ensemble"} in map(json.loads, graph.texts)
    )
    graph.send({"undo": "1"})
    graph.send({"undo": "1"})
    gui.page.play()
    assert gui.page.wait(lambda: len(gui.page["Value"].values) > 20)
    assert gui.page["Value"].values[-1][0] == pytest.approx(0.25, abs=0.01)  # of the stimulus
    assert not gui.page.errors


def test_plots_of_changed_and_of_deleted_objects_do_not_disturb(gui):
    changed, deleted = gui.page.add("Voltage", "ensemble"), gui.page.add("HTMLView", "html")
    gui.page.play()
    code = MODEL.replace("50", "60").replace("html =", "other =")
    gui.page["Ace"].send({"code": code, "save": False})
    assert gui.page.wait(lambda: gui.page.follow() and not (changed.is_shown or deleted.is_shown))
    gui.page.play()
    assert gui.page.wait(lambda: len(gui.page["Voltage"].steps) > 20)  # the new one
    assert not gui.page.errors
    (line,) = gui.server.said  # none of the old ones, whose connections have ended
    assert line.startswith("model.py: http://localhost:")


@pytest.mark.parametrize(
    "more",
    [
        "    culprit = nengo.Node(lambda t: exit(3) if t > 0.02 else t)\n",
        "def on_step(sim):\n    if sim is not None and sim.n_steps == 20: exit(3)\n",
    ],
)
def test_an_exit_in_a_step_does_not_end_the_page(gui, more):
    gui.page["Ace"].send({"code": MODEL + more, "save": False})
    assert gui.page.play_until(lambda: gui.page.errors)
    assert "SystemExit: 3" in gui.page.errors[0]
    gui.page["Ace"].send({"code": MODEL, "save": False})
    assert gui.page.wait(lambda: "error" in json.loads(gui.page["Ace"].texts[-1]))
    gui.page.play()
