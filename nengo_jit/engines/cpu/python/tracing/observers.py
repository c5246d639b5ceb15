"""Detect debuggers, profilers and coverage tools, which must see every call."""

from __future__ import annotations

import sys
from types import ModuleType

MONITORING: ModuleType | None = getattr(sys, "monitoring", None)  # looked up once: that is slow
TOOLS = range(6)
NO_TOOLS = [None for _ in TOOLS]


def calls_are_observed() -> bool:
    """Whether a tool observes Python in this thread, so that functions must be called.

    Returns
    -------
    bool
        Whether a function has been set by `sys.settrace` or `sys.setprofile`, or a tool uses
        `sys.monitoring` (from Python 3.12 on).
    """
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    return MONITORING is not None and [*map(MONITORING.get_tool, TOOLS)] != NO_TOOLS
