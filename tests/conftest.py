"""Settings that every test runs under: nengo's defaults, quietly and without files."""

from collections.abc import Iterator

import nengo
import pytest


@pytest.fixture(autouse=True)
def nengo_settings() -> Iterator[None]:
    nengo.rc.reload_rc([])
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("progress", "progress_bar", "False")
    yield
    nengo.rc.reload_rc([])
