"""nengo's settings, read once for a whole network; see `nengo_jit.settings`."""

from nengo_jit.settings import Settings, settings, settings_held

__all__ = ["Settings", "settings", "settings_held"]
