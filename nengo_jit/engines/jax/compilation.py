"""How JAX compiles for us: in the precision given, and once on a machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from nengo_jit.engines.cpu.toolchain.cache.locations import writable_folder

_process = os.getpid()


def is_lost() -> bool:
    """Whether this process was forked from the one that has loaded JAX, so that JAX would hang."""
    return os.getpid() != _process


@contextmanager
def as_given() -> Iterator[None]:
    """Context for calls of JAX: numbers keep the precision in which they are given."""
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        yield


def wide_vectors() -> dict[str, int]:
    """Return options of `jax.jit` for long elementwise work, such as that of a batch.

    They let XLA use the widest vectors of a processor, which it does not by default.
    """
    return {"xla_cpu_prefer_vector_width": 512} if jax.default_backend() == "cpu" else {}


def keep_compiled() -> None:
    """Let JAX keep what it compiles in our cache folder, unless the user has chosen another."""
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    folder = writable_folder()
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder.path / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
