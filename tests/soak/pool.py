"""Run many cases in processes of their own, so that a crash is a finding and not the end."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any

import nengo

TIMEOUT = 180.0  # seconds after which a case hangs
VERDICTS = {"pass": "passes", "fail": "fails"}


def run_quietly(draw: Callable[[int], Any], check: Callable[[Any], Any], seed: int) -> None:
    """Draw the case of a seed and check it, with nengo's own settings; print it if that fails."""
    nengo.rc.reload_rc([])
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("progress", "progress_bar", "False")
    logging.getLogger("nengo_jit").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    case = draw(seed)
    try:
        check(case)
    except BaseException:
        print(case)
        raise


def work(run: Callable[[int], None], seeds: range) -> None:
    """In a worker: run the cases of some seeds, and print what becomes of each."""
    faulthandler.enable()
    for seed in seeds:
        print(f"begin {seed}", flush=True)
        try:
            run(seed)
        except BaseException:
            traceback.print_exc()
            print(f"fail {seed}", flush=True)
        else:
            print(f"pass {seed}", flush=True)


def supervise(script: str, seeds: range, report: Callable[[int, str, str], bool]) -> None:
    """Run workers one after the other until every seed has had its turn, or nobody wants more."""
    first, go_on = seeds.start, True
    while go_on and first < seeds.stop:
        command = [sys.executable, script, "--worker", f"{first}:{seeds.stop}:{seeds.step}"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        lines: Queue[str | None] = Queue()
        reader = threading.Thread(target=_read, args=(process, lines))
        reader.start()
        current, said = first, []
        while go_on:
            try:
                line = lines.get(timeout=TIMEOUT)
            except Empty:
                process.kill()
                go_on = report(current, "hangs", "".join(said))
                break
            if line is None:
                if process.wait() != 0:
                    go_on = report(current, f"dies with {process.returncode}", "".join(said))
                break
            word, _, number = line.partition(" ")
            if word == "begin":
                current, said = int(number), []
            elif word in VERDICTS:
                go_on = report(current, VERDICTS[word], "".join(said))
            else:
                said.append(line)
        process.kill()
        process.wait()
        reader.join()
        first = current + seeds.step


def _read(process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def main(script: str, run: Callable[[int], None], what: str, count: int) -> int:
    """Command line of a script that runs a case for each seed; returns the exit status.

    Parameters
    ----------
    script : str
        Path of the script itself.
    run : callable
        Runs the case of a seed; raises if something is wrong.
    what : str
        What a case is, for the help.
    count : int
        How many by default.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--count", type=int, default=count, help="cases to run")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="when to stop")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at a time")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(run, range(*map(int, options.worker.split(":"))))
        return 0
    findings: list[int] = []
    n_done, start, lock = 0, time.monotonic(), threading.Lock()

    def report(seed: int, verdict: str, said: str) -> bool:
        nonlocal n_done
        with lock:
            n_done += 1
            if verdict != "passes":
                findings.append(seed)
                print(f"\nseed {seed} {verdict}\n{said}", flush=True)
            elif n_done % 100 == 0:
                print(f"{n_done} of {options.count}, {len(findings)} findings", flush=True)
        return time.monotonic() - start < options.seconds

    stop = options.seed + options.count
    parts = [range(options.seed + i, stop, options.processes) for i in range(options.processes)]
    threads = [threading.Thread(target=supervise, args=(script, part, report)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{n_done} cases in {time.monotonic() - start:.0f} s; findings: {sorted(findings)}")
    return 1 if findings else 0
