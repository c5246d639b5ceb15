"""``nengo-jit compile``: compile all kernels ahead of time."""

from __future__ import annotations

import typer

NOT_KEPT = """nengo-jit: Not all kernels could be stored in the cache. Set NENGO_JIT_CACHE_DIR to a
folder that you, and no other user, can write to. Check NENGO_JIT_CACHE_SIZE, and the free space on
the disk."""


def compile_kernels() -> None:
    """Compile all kernels now, so that the first simulator starts as fast as later ones.

    They are stored in the cache. The environment variable NENGO_JIT_CACHE_DIR sets its folder; the
    default is the system's folder for caches.
    """
    from nengo.utils.progress import Progress, ProgressTracker

    from nengo_jit.cli.progress import Bar
    from nengo_jit.engines.cpu.kernels import all_kernels
    from nengo_jit.engines.cpu.toolchain.kernel_cache import are_kept, load_kernels

    tracker = ProgressTracker(Bar(), Progress("Compiling", "Compile", 1))
    kernels = all_kernels()
    with tracker, tracker.next_stage("Compiling kernels", "Kernels") as progress:
        load_kernels(kernels, progress)
    if not are_kept(kernels):
        typer.echo(NOT_KEPT, err=True)
        raise typer.Exit(1)
    typer.echo(f"{len(kernels)} kernels are in the cache")
