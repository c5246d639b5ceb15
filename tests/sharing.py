"""Programs that threads share whether it pays or not, to see that results are the same."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from nengo_jit.engines.cpu.program.pace import Pace, Slice
from nengo_jit.engines.cpu.program.team import TEAM


@contextmanager
def sharing(most: int = sys.maxsize) -> Iterator[None]:
    """Context in which programs share all that can be shared, ``most`` steps at a time."""
    while not TEAM.is_ready(4):
        pass
    with (
        mock.patch("nengo_jit.engines.cpu.program.schedule.WORTHWHILE", 0.0),
        mock.patch.object(Pace, "is_brief", lambda pace, n_steps: False),
        mock.patch.object(Pace, "is_worth_it", True),
        mock.patch.object(Pace, "next", lambda pace, n_steps: Slice(min(most, n_steps), True)),
    ):
        yield
