"""Files that commands write: probe data and pictures."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nengo_jit.cli.errors import BadInputError
from nengo_jit.labels import Labels

if TYPE_CHECKING:
    from nengo_jit import Simulator

PICTURES = (".png", ".svg", ".pdf")


def check_can_draw() -> None:
    """Refuse to draw without Matplotlib."""
    if find_spec("matplotlib") is None:
        raise BadInputError("Pictures need Matplotlib: pip install 'nengo-jit[plot]'")


def save_npz(sim: Simulator, path: Path) -> None:
    """Write the samples of all probes: for each an array with its name, and "… time" (seconds)."""
    arrays = {}
    for probe, name in Labels(sim.model.toplevel).unique(sim.model.probes).items():
        arrays[name] = np.asarray(sim.data[probe])
        times = sim.trange(sample_every=probe.sample_every)
        arrays[f"{name} time"] = times[len(times) - len(arrays[name]) :]
    with path.open("wb") as file:  # savez would add a suffix
        np.savez(file, allow_pickle=False, **arrays)
