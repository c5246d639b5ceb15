"""Debuggers, profilers and tools that measure coverage: they are to see every call."""

from __future__ import annotations

import sys

MOST_TOOLS = 6  # of `sys.monitoring`


def calls_are_observed() -> bool:
    """Whether anything in this thread follows what Python does, so that functions must be called.

    Returns
    -------
    bool
        Whether a function has been set by `sys.settrace` or `sys.setprofile`, or a tool uses
        `sys.monitoring` (from Python 3.12 on).
    """
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return False
    return any(monitoring.get_tool(tool) is not None for tool in range(MOST_TOOLS))
