"""The pictures of docs/how_it_works.md, drawn from the plan of a model when the site is built.

The model is the basal ganglia in ``benchmarks/models.py``. Pictures are SVG within the page, so
that ``docs/assets/site.css`` can give them the page's colors.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

import nengo

import nengo_jit
from nengo_jit.planner import Plan

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import models

WIDTH = 640  # of a picture, in its own units; text has 15
LABEL = 128  # width of labels at the left
COLORS = ("#00897b", "#5c6bc0", "#ef6c00", "#8e24aa", "#6d8b1f", "#c2185b", "#546e7a", "#b28704")
KINDS = ("SimNeurons", "DotInc", "SimProcess", "ElementwiseInc", "Copy", "Reset", "SimPyFunc")


class Sizes(NamedTuple):
    """How large the model is after each stage of making a simulator."""

    ensembles: int
    connections: int
    neurons: int
    operators: int
    signals: int
    groups: int
    calls: int
    optimized: int


@cache
def planned() -> tuple[Plan, Sizes]:
    """Return the plan of the model, on one thread, and sizes."""
    network = models.basal_ganglia()
    with nengo_jit.Simulator(network, engine="cpu", threads=1, progress_bar=False) as sim:
        sim.run_steps(300)  # so that functions are compiled
        plan, n_signals = sim.plan, len(sim.signals or ())
    with nengo.Simulator(network, progress_bar=False) as sim:
        n_optimized = len(sim.model.operators)
    sizes = Sizes(
        len(network.all_ensembles),
        len(network.all_connections),
        network.n_neurons,
        len(plan.operators),
        n_signals,
        len(plan.groups),
        sum(len(each.kernels) for each in plan.executions),
        n_optimized,
    )
    return plan, sizes


def svg(height: float, title: str, parts: Iterable[str]) -> str:
    """A picture, with a title for those who cannot see it."""
    view = f'viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}"'
    inner = "".join(parts)
    return (
        f'<div class="picture"><svg xmlns="http://www.w3.org/2000/svg" {view}>{inner}</svg></div>'
    )


def text(
    x: float, y: float, what: str, size: int = 15, anchor: str = "start", css: str = ""
) -> str:
    """A line of text; the point is at its left end, or where the anchor says."""
    look = f'font-size="{size}" text-anchor="{anchor}" class="{css}"'
    return f'<text x="{x:g}" y="{y:g}" {look}>{escape(what)}</text>'


def stages() -> str:
    """What a simulator is made of, from the network to the kernels that run."""
    _, sizes = planned()
    boxes = [
        (
            "nengo.Network",
            f"{sizes.ensembles} ensembles, {sizes.connections} connections, "
            f"{sizes.neurons:,} neurons",
        ),
        (
            "Model",
            f"{sizes.operators:,} operators on {sizes.signals:,} signals",
        ),
        ("Plan", f"{sizes.groups} groups of operators that do not depend on each other"),
        ("Engine", f"{sizes.calls} calls of compiled kernels in each step"),
    ]
    arrows = ["build", "plan", "lower"]
    parts = []
    for number, (title, content) in enumerate(boxes):
        top = 96 * number
        parts.append(f'<rect class="box" x="1" y="{top + 1}" width="638" height="58" rx="6"/>')
        parts.append(text(16, top + 36, title, 17))
        parts.append(text(170, top + 36, content, 15, css="faint"))
    for number, verb in enumerate(arrows):
        top = 96 * number + 60
        parts.append(f'<path class="line" stroke-width="2" d="M80 {top + 4}v26l-6 -8m6 8l6 -8"/>')
        parts.append(text(100, top + 23, verb, 14, css="faint"))
    return svg(352, "From a network to kernels: " + "; ".join(c for _, c in boxes), parts)


def kind_of(kind: str) -> str:
    """The first word of a group's kind, which has a color."""
    return kind.split()[0]


def color_of(kind: str) -> str:
    """The color of a kind of operators."""
    word = kind_of(kind)
    return COLORS[KINDS.index(word) if word in KINDS else -1]


def step() -> str:
    """Where the time of a step goes: the groups that take the most."""
    plan, _ = planned()
    timed = [
        (execution.nanoseconds, group, execution)
        for group, execution in zip(plan.groups, plan.executions)
        if execution.nanoseconds
    ]
    timed.sort(key=lambda each: -each[0])
    total = sum(nanoseconds for nanoseconds, _, _ in timed)
    shown = timed[:6]
    rest = total - sum(nanoseconds for nanoseconds, _, _ in shown)
    lines = [
        (
            nanoseconds,
            f"{len(group.members)} {group.kind}: {', '.join(execution.kernels)}",
            color_of(group.kind),
        )
        for nanoseconds, group, execution in shown
    ]
    lines.append((rest, f"the other {len(plan.groups) - len(shown)} groups", COLORS[-2]))
    parts = []
    for number, (nanoseconds, label, color) in enumerate(lines):
        top = 46 * number
        width = max(2.0, 540 * nanoseconds / lines[0][0])
        parts.append(text(0, top + 16, label))
        parts.append(
            f'<rect x="0" y="{top + 22}" width="{width:.1f}" height="14" rx="2" fill="{color}"/>'
        )
        parts.append(text(width + 8, top + 34, f"{nanoseconds / 1000:.1f} µs", 14, css="faint"))
    return svg(46 * len(lines), "Estimated time of each group in a step", parts)


def levels() -> str:
    """The groups of a plan by level: what runs, and what is fused into something else."""
    plan, _ = planned()
    n_levels = 1 + max(group.level for group in plan.groups)
    column = (WIDTH - LABEL) / n_levels
    kinds = list(dict.fromkeys(kind_of(group.kind) for group in plan.groups))
    kinds = [each for each in KINDS if each in kinds]
    parts = []
    for row, kind in enumerate(kinds):
        y = 46 * row + 24
        parts.append(f'<path class="line" d="M{LABEL} {y}H{WIDTH}"/>')
        parts.append(text(0, y + 5, kind, 14))
        for level in range(n_levels):
            found = [
                (group, execution)
                for group, execution in zip(plan.groups, plan.executions)
                if group.level == level and kind_of(group.kind) == kind
            ]
            if not found:
                continue
            n_members = sum(len(group.members) for group, _ in found)
            radius = min(column / 2 - 1, 5 + 1.1 * n_members**0.5)
            runs = any(each.kernels for _, each in found) or kind == "SimPyFunc"
            look = f'fill="{color_of(kind)}"' if runs else f'fill="none" stroke="{color_of(kind)}"'
            x = LABEL + column * (level + 0.5)
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y}" r="{radius:.1f}" {look} stroke-width="2"/>'
            )
            white = 'fill="white" style="fill:white"' if runs else ""
            parts.append(
                f'<text x="{x:.1f}" y="{y + 4}" font-size="12" text-anchor="middle" {white}>'
                f"{n_members}</text>"
            )
    bottom = 46 * len(kinds)
    for level in range(n_levels):
        x = LABEL + column * (level + 0.5)
        parts.append(text(x, bottom + 16, str(level), 13, "middle", "faint"))
    parts.append(text(0, bottom + 16, "level", 13, css="faint"))
    return svg(bottom + 26, "Groups of operators by kind and level", parts)
