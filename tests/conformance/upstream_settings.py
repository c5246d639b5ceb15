"""pytest plugin: the settings under which nengo's developers run nengo's tests.

They stand in a ``conftest.py`` that is not part of nengo's wheel.
"""

from collections.abc import Iterator

import nengo
import pytest


@pytest.fixture(autouse=True)
def upstream_settings() -> Iterator[None]:
    nengo.rc.reload_rc([])
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("exceptions", "simplified", "False")
    nengo.rc.set("nengo.Simulator", "fail_fast", "True")
    nengo.rc.set("progress", "progress_bar", "False")
    yield
    nengo.rc.reload_rc([])
