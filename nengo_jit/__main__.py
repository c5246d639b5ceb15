"""The command ``nengo-jit``, also as ``python -m nengo_jit``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nengo.utils.progress import Progress, ProgressTracker

from nengo_jit import __version__
from nengo_jit.engines.cpu.kernels import all_kernels
from nengo_jit.engines.cpu.toolchain.kernel_cache import are_kept, load_kernels

NOT_KEPT = """nengo-jit: Not all kernels could be stored in the cache. Set NENGO_JIT_CACHE_DIR to a
folder that you, and no other user, can write to. Check NENGO_JIT_CACHE_SIZE, and the free space on
the disk.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line, without the program's name; that of this process by default.
    """
    parser = argparse.ArgumentParser(prog="nengo-jit", description="Run Nengo as machine code.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "compile",
        help="compile all kernels now, so that the first simulator starts as fast as later ones",
        description="Compile all kernels and store them in the cache. The environment variable "
        "NENGO_JIT_CACHE_DIR sets its folder; the default is the system's folder for caches.",
    )
    parser.parse_args(arguments)
    tracker = ProgressTracker(True, Progress("Compiling", "Compile", 1))
    kernels = all_kernels()
    with tracker, tracker.next_stage("Compiling kernels", "Kernels") as progress:
        load_kernels(kernels, progress)
    if not are_kept(kernels):
        parser.exit(1, NOT_KEPT)


if __name__ == "__main__":
    main()
