"""Pictures that commands draw."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from nengo_jit.cli.errors import BadInputError
from nengo_jit.cli.options import check_can_write

SUFFIXES = (".png", ".svg", ".pdf")


def check_can_draw(path: Path) -> None:
    """Refuse a picture that cannot be drawn, or written."""
    if find_spec("matplotlib") is None:
        raise BadInputError("Pictures need Matplotlib: pip install 'nengo-jit[plot]'")
    check_can_write(path, SUFFIXES)
