#!/usr/bin/env python3
"""Start models on caches that are damaged, on empty ones, many at once, and kill what compiles.

    starts.py                      # all three, with 100 kills
    starts.py damage
    starts.py kills --count 30 --seed 5
    starts.py crowd --count 8      # processes at once

`damage` does everything to all entries of a model that may happen to them. `kills` begins again and
again on what the process that was killed before has left. `crowd` has processes begin at once on an
empty cache, of which a quarter is killed, and compares the processor time of all with that of one.
Each start must have the results of the first one and leave whole entries only. Needs Linux.
"""

import argparse
import contextlib
import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nengo_jit.engines.cpu.toolchain.cache import locks
from nengo_jit.engines.cpu.toolchain.cache.entry import HEAD, pack
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder

MODEL = """
import nengo, nengo_jit, numpy as np
nengo.rc["decoder_cache"]["enabled"] = "False"
with nengo.Network(seed=0) as net:
    stimulus = nengo.Node(lambda t: np.sin(20 * t))
    ensemble = nengo.Ensemble(50, 1)
    nengo.Connection(stimulus, ensemble)
    probe = nengo.Probe(ensemble, synapse=0.01)
with nengo_jit.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(50, progress_bar=False)
print(sim.data[probe].tobytes().hex())
"""
SUBREAPER = 36  # the option of prctl(2) by which orphans become this process's children
CROWD_COSTS = 1.3  # times what one process costs, at most
ANOTHER_USER = 12345


def begin(cache):
    """Begin to run the model in a process."""
    environment = {**os.environ, "NENGO_JIT_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", MODEL]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    """The results of a process, which must end well."""
    output, said = process.communicate()
    assert process.returncode == 0, said
    return output


def descendants(process):
    """Numbers of the processes that a process has started."""
    with contextlib.suppress(OSError):
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        return [int(each) for each in found.split()]
    return []


def kill(*numbers):
    """Kill processes, if they are still there."""
    for each in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def wait_for_orphans():
    """Wait until all processes have ended whose starter has been killed."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def seconds_of_processors():
    """What all processes have taken that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def entries(cache):
    """The contents of all entries by name; nothing else may be there, and nothing damaged."""
    names = [path.name for path in cache.iterdir() if path.name != locks.FOLDER]
    return {name: Folder(cache).read(name) for name in names}


def check_entries(cache, expected):
    """Check that all entries are those that a process makes that is left alone."""
    found = entries(cache)
    assert found == expected, sorted(found.keys() ^ expected.keys()) or "another content"


def flip(path, rng):
    """Flip a bit at a random place."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def link(path, rng):
    """Put a link to the same content in place of a file."""
    elsewhere = path.parents[1] / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    path.symlink_to(path.rename(elsewhere / path.name))


def another_name(path, rng):
    """Put the entry there that has the name which it would have elsewhere."""
    content = Folder(path.parent).read(path.name)
    stem, _, key = path.name.rpartition("-")
    path.write_bytes(pack(f"{stem}-{key[::-1]}", content, {}))


def swap(path, rng):
    """Put another kernel's entry there."""
    others = [each for each in path.parent.glob("*-*") if each != path and each.is_file()]
    path.write_bytes(rng.choice(sorted(others)).read_bytes())


DAMAGE = {
    "truncated": lambda path, rng: os.truncate(path, rng.randrange(path.stat().st_size)),
    "one bit": flip,
    "zeros": lambda path, rng: path.write_bytes(bytes(path.stat().st_size)),
    "zeros after the head": lambda path, rng: path.write_bytes(
        path.read_bytes()[: HEAD.size] + bytes(path.stat().st_size - HEAD.size)
    ),
    "another kernel's": swap,
    "another version's or processor's": another_name,
    "another user's": lambda path, rng: os.chown(path, ANOTHER_USER, -1),
    "writable by all": lambda path, rng: path.chmod(0o666),
    "a link": link,
    "a folder": lambda path, rng: (path.unlink(), path.mkdir(), (path / "file").write_text("")),
}


def damage(root, count, rng):
    """All entries of the model are damaged in each way; what is started then makes them anew."""
    cache = root / "damage"
    start = time.perf_counter()
    expected, contents = finish(begin(cache)), entries(cache)
    print(f"empty: {time.perf_counter() - start:.1f} s, {len(contents)} entries", flush=True)
    for kind, spoil in DAMAGE.items():
        if kind == "another user's" and os.geteuid() != 0:
            continue
        for name in contents:
            spoil(cache / name, rng)
        start = time.perf_counter()
        assert finish(begin(cache)) == expected, kind
        seconds = time.perf_counter() - start
        check_entries(cache, contents)
        print(f"{kind}: {seconds:.1f} s, same results, all entries replaced", flush=True)


def kills(root, count, rng):
    """Kill the process, one that compiles for it, or all, at a random moment, again and again."""
    cache = root / "kills"
    begun = time.perf_counter()
    expected, contents = finish(begin(cache)), entries(cache)
    longest = time.perf_counter() - begun
    n_killed = n_finished = n_partly = 0
    while n_killed < count:
        process = begin(cache)
        time.sleep(rng.uniform(0, longest))
        victims = rng.choice(["starter", "one that compiles", "all"])
        workers = descendants(process)
        kill(
            *(workers if victims == "all" else workers[:1] if victims != "starter" else []),
            *([] if victims == "one that compiles" else [process.pid]),
        )
        n_killed += 1
        output, said = process.communicate()
        wait_for_orphans()
        if victims == "one that compiles" or process.returncode == 0:
            assert (process.returncode, output) == (0, expected), said
            n_finished += 1
        found = entries(cache) if cache.exists() else {}
        assert found.items() <= contents.items(), "another content"
        n_partly += 0 < len(found) < len(contents)
        if len(found) == len(contents):
            assert finish(begin(cache)) == expected
            shutil.rmtree(cache)
    print(
        f"{n_killed} kills, {n_finished} times the model ended all the same, {n_partly} times some "
        "entries were there; all of them whole",
        flush=True,
    )
    assert finish(begin(cache)) == expected
    check_entries(cache, contents)


def crowd(root, count, rng):
    """Processes begin at once, on an empty cache and on a full one; a quarter is killed."""
    costs = {}
    for n in (1, count):
        cache = root / f"crowd-{n}"
        for state in ("empty", "full"):
            before, start = seconds_of_processors(), time.perf_counter()
            processes = [begin(cache) for _ in range(n)]
            for process in processes[: n // 4]:
                time.sleep(rng.uniform(0, 2.0))
                kill(process.pid)
            outputs = {finish(process) for process in processes[n // 4 :]}
            for process in processes[: n // 4]:
                process.communicate()
            wait_for_orphans()
            assert len(outputs) == 1
            took = seconds_of_processors() - before
            costs[n, state] = took
            wall = time.perf_counter() - start
            print(f"{n} at once, cache {state}: {wall:.1f} s, processors {took:.1f} s", flush=True)
        entries(cache)
    one, many = (costs[n, "empty"] - costs[n, "full"] for n in (1, count))
    print(f"compiling: {one:.1f} s of a processor for one, {many:.1f} s for {count}", flush=True)
    assert many <= CROWD_COSTS * one


PROOFS = {"damage": (damage, 1), "kills": (kills, 100), "crowd": (crowd, 8)}


def main():
    """Run proofs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("proofs", nargs="*", choices=[*PROOFS, []], help="which; all by default")
    parser.add_argument("--count", type=int, help="kills, or processes at once")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    for name in options.proofs or PROOFS:
        proof, count = PROOFS[name]
        with tempfile.TemporaryDirectory() as root:
            proof(Path(root), options.count or count, random.Random(options.seed))
        print(f"{name}: all as it should be", flush=True)


if __name__ == "__main__":
    main()
