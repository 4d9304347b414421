"""Processes that share CPUs: seconds of the slowest of several that make the same calls at the same time.

    python asv_bench/workers.py                  # the whole table: 2, 4 and 8 processes, alone and busy
    python asv_bench/workers.py --processes 4 --busy 0 --how spawn
    python asv_bench/workers.py --check          # fails where the default is slow (.ci/full busy)

Each process makes 200 calls of 240 x 320 x 3 uint8, twice as large, bilinear, channels last: a data loader's worker.
*spawn* and *fork* are started by `multiprocessing`; *program* is a program of its own, which knows of no others. With
`--busy` a loop that does nothing else runs on each CPU beside them. Contenders: `default`, `passive`
(OMP_WAIT_POLICY=passive), `one` (UPSAMPLE_NUM_THREADS=1), and the libraries that are installed, each with its own
default. The figure is the median of `--repeat` runs; a library that cannot make the calls is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

CALLS = 200
SHAPE = (240, 320, 3)
SETTINGS = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "one": {"UPSAMPLE_NUM_THREADS": "1"},
    "opencv": {},
    "torch": {},
}
HOW = ("spawn", "fork", "program")


def caller(contender: str) -> Callable[[], Any]:
    """A call of one contender, on data of this process."""
    image = np.random.default_rng(os.getpid()).integers(0, 256, SHAPE, np.uint8)
    if contender == "opencv":
        import cv2

        return lambda: cv2.resize(image, (2 * SHAPE[1], 2 * SHAPE[0]), interpolation=cv2.INTER_LINEAR)
    if contender == "torch":
        import torch

        tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
        return lambda: torch.nn.functional.interpolate(tensor, scale_factor=2, mode="bilinear")
    import upsample

    return lambda: upsample.interpolate(image, scale_factor=2, mode="bilinear", layout="HWC")


def work(contender: str, ready: Any, begin: Any) -> float:
    """Seconds of all calls, from when everyone is ready."""
    call = caller(contender)
    call()
    ready()
    begin()
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return time.perf_counter() - start


def process(contender: str, barrier: Any, results: Any) -> None:
    results.put(work(contender, lambda: None, barrier.wait))
    barrier.wait()  # ending takes time of the CPUs as well


def by_multiprocessing(how: str, contender: str, processes: int) -> float:
    context = multiprocessing.get_context(how)
    barrier, results = context.Barrier(processes), context.SimpleQueue()
    started = [context.Process(target=process, args=(contender, barrier, results)) for _ in range(processes)]
    for one in started:
        one.start()
    slowest = max(results.get() for _ in started)
    for one in started:
        one.join()
    return float(slowest)


def by_programs(contender: str, processes: int) -> float:
    command = [sys.executable, __file__, "--child", contender]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for one in started:
        assert one.stdout is not None
        one.stdout.readline()
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    slowest = max(float(one.stdout.readline()) for one in started if one.stdout is not None)
    for one in started:
        one.communicate()
    return slowest


def child(contender: str) -> None:
    print(work(contender, lambda: print("ready", flush=True), sys.stdin.readline), flush=True)
    sys.stdin.readline()  # ending takes time of the CPUs as well


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that use a CPU each."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        if loops:
            time.sleep(0.5)
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


def seconds(contender: str, how: str, processes: int, loops: int) -> float:
    """Of the slowest of several processes."""
    before = dict(os.environ)
    os.environ.update(SETTINGS[contender])
    try:
        with busy(loops):
            return (
                by_programs(contender, processes) if how == "program" else by_multiprocessing(how, contender, processes)
            )
    finally:
        os.environ.clear()
        os.environ.update(before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, cpus], help="numbers of loops beside")
    parser.add_argument("--how", nargs="+", choices=HOW, default=HOW)
    parser.add_argument("--contenders", nargs="+", choices=SETTINGS, default=tuple(SETTINGS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="default at most 1.5 times one thread, and OpenCV beaten")
    parser.add_argument("--child", choices=SETTINGS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child)
        return 0
    names = [n for n in asked.contenders if find_spec({"opencv": "cv2", "torch": "torch"}.get(n, "upsample"))]
    print(f"{cpus} CPUs; seconds of the slowest process, median of {asked.repeat}")
    print(f"{'started by':<10} {'processes':>9} {'busy':>4}", *(f"{name:>9}" for name in names))
    slow = 0
    for how in asked.how:
        for processes in asked.processes:
            for loops in asked.busy:
                runs: dict[str, list[float]] = {name: [] for name in names}
                for _ in range(asked.repeat):  # in turns, and in another order each time
                    for name in random.sample(names, len(names)):
                        runs[name].append(seconds(name, how, processes, loops))
                found = {name: statistics.median(times) for name, times in runs.items()}
                bad = found["default"] > 1.5 * found.get("one", np.inf) or found["default"] > found.get(
                    "opencv", np.inf
                )
                slow += bad
                figures = (f"{found[name]:9.3f}" for name in names)
                print(f"{how:<10} {processes:>9} {loops:>4}", *figures, "  slow" if bad else "", flush=True)
    return int(asked.check and slow > 0)


if __name__ == "__main__":
    sys.exit(main())
