"""Time `upsample` beside its peers: same data, one process, in turns, with a copy of the output as the floor.

    python asv_bench/compare.py                              # the whole grid, all peers that are installed
    python asv_bench/compare.py --cells 'u8.*x0.5' --threads 1 --peers torch opencv
    python asv_bench/compare.py --json f.json --chart f.svg  # all times as data, the ratios as a picture
    python asv_bench/compare.py --backward --peers torch     # gradients: the backward pass alone
    python asv_bench/compare.py --json f.json --add f.json   # another pass: the fastest of both counts
    python asv_bench/compare.py --family planes means        # instead of the grid: small planes, pooling, …
    python asv_bench/compare.py --random 60 --seed 3         # cells that nobody chose, of every family in turn
    python asv_bench/compare.py --quick                      # small cells, a few seconds: shows that it works

Each cell is done by everyone in rounds, in a new order each time, and the fastest of all rounds counts. A turn
starts with an untimed call, so that everyone finds its own data and threads warm. *fresh* is a call as users make
it, whose output is new memory; *out=* writes into memory that is there already (`out=` here, `dst=` in
OpenCV, a bound output in ONNX Runtime …). The best peer's fresh time stands against our fresh time, and the best
of all its times against our ``out=``. A peer whose numbers mean something else (another filter, another
position) is timed and shown with a star, and left out of the ratios, save those of the line "with *".

Threads need no environment variables: every library is told the number in the way that it offers.

A machine that is shared has slow minutes, in which no number of rounds finds anybody's fastest. ``--add`` takes up the
times of an earlier run, for everyone alike, and keeps the lower ones. That run must be of the same machine, build, SIMD
level, pool and versions, or it is refused. Table and summary show what this run was asked for; ``--json`` keeps the
rest of the earlier run as well, and is written after every cell, so that an interrupted run is not lost.

A path that was made for known cells says little about their neighbours. ``--random`` draws cells from the families'
ranges, the same ones for the same seed; without ``--seed`` it takes a new one and tells it. ``--cells`` narrows down
what was drawn. Those that are not clearly won are listed first.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import math
import os
import platform
import random
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import peers
from grid import BY_NAME, FAMILIES, GRID, QUICK, Cell, draws, gradients
from peers import Contender, Peer

import upsample
from upsample._kernels.cpu import skeleton
from upsample._threads import MAX_THREADS

OURS, COPY, READ = "upsample", "copy", "read"
# Time that one timing lasts at least: the clock's own cost and resolution vanish in it.
TICK = 200e-6
# A call from here on need not be made twice for a warm start, nor repeated beyond the budget.
LONG = 0.1
# Rounds that everyone else gets whatever the budget: one or two would measure luck.
FEWEST = 5
# OpenMP's idle threads spin for several milliseconds after a call and would take a core from whoever is next.
SETTLE = 0.015
# By how much answers may differ that mean the same, for data within [0.25, 1], 1 … 255 or 1 … 65535.
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 1e-3, "float64": 1e-3, "uint8": 2, "uint16": 16}
# Share of samples beyond that in an answer that still means the same: ties of nearest, clamps between passes, the
# border's treatment (a small image is a quarter border).
EXCEPTIONS = 0.05


# Outputs from here on are far larger than any cache: they are held against the ceiling of streaming stores.
LARGE = 64 * 2**20
# More threads can bring little where one moves bytes at this share of the ceiling, and should bring SPEEDUP below it.
STORE_SHARE = 0.5
SPEEDUP = 1.7
# A drawn cell below this many times as fast as the best peer is no clear win, on a machine whose times vary.
CLEAR = 1.3


@dataclass(slots=True)
class Stopwatch:
    """The fastest call of one kind (fresh or out=) by one contender."""

    call: Callable[[], Any]
    best: float = math.inf
    rounds: int = 0
    spent: float = 0.0

    def turn(self) -> None:
        """One untimed call, then a timed run of as many as fill a tick."""
        call, now = self.call, time.perf_counter_ns
        start = now()
        call()
        first = (now() - start) * 1e-9
        if first >= LONG:
            found = first
        else:
            repeat = range(max(1, math.ceil(TICK / max(first, 1e-7))))
            begin = now()
            for _ in repeat:
                call()
            found = (now() - begin) * 1e-9 / len(repeat)
        self.best = min(self.best, found)
        self.rounds += 1
        self.spent += (now() - start) * 1e-9


@dataclass(slots=True)
class Row:
    """What was found out about one cell at one number of threads; times in seconds, by contender."""

    cell: Cell
    threads: int
    family: str = ""
    fresh: dict[str, float] = field(default_factory=dict)
    out: dict[str, float] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)
    cannot: dict[str, str] = field(default_factory=dict)
    differs: dict[str, str] = field(default_factory=dict)

    def add(self, other: Row) -> None:
        """Take up the times of another run, where they are lower."""
        for mine, others in ((self.fresh, other.fresh), (self.out, other.out)):
            for name, found in others.items():
                mine[name] = min(mine.get(name, math.inf), found)
        for name, count in other.rounds.items():
            self.rounds[name] = self.rounds.get(name, 0) + count
        self.differs = {**other.differs, **self.differs}
        self.cannot = {name: why for name, why in {**other.cannot, **self.cannot}.items() if name not in self.fresh}

    def only(self, names: Iterable[str]) -> Row:
        """The same without other peers than these."""
        shown = {OURS, COPY, READ, *names}
        parts = {
            key: {name: value for name, value in getattr(self, key).items() if name in shown}
            for key in ("fresh", "out", "rounds", "cannot", "differs")
        }
        return replace(self, **parts)

    def either(self, name: str) -> float:
        """A contender's best time, however it gets its memory."""
        return min(self.fresh[name], self.out.get(name, math.inf))

    @property
    def out_bytes(self) -> int:
        return math.prod(self.cell.result_shape) * self.cell.numpy_dtype.itemsize

    def share(self, ceilings: Ceilings) -> float:
        """Our bytes written per second with ``out=``, as a share of what one thread could store."""
        return self.out_bytes / self.out[OURS] / ceilings.best

    def peers(self, starred: bool = False) -> set[str]:
        """Who did the cell, without those (or, `starred`, with those) who did something else."""
        return {n for n in self.fresh if n not in (OURS, COPY, READ) and (starred or n not in self.differs)}

    def ratios(self, names: Iterable[str]) -> tuple[float, float] | None:
        """The best of the named peers over ours: (fresh, out=)."""
        chosen = list(names)
        if not chosen:
            return None
        return (
            min(self.fresh[n] for n in chosen) / self.fresh[OURS],
            min(self.either(n) for n in chosen) / self.out[OURS],
        )


def ours(cell: Cell, x: np.ndarray[Any, Any]) -> Contender:
    if cell.backward:
        fresh = partial(upsample.interpolate_backward, x, cell.shape, **cell.keywords())
    else:
        fresh = partial(upsample.interpolate, x, **cell.keywords())
    memory = fresh()
    return Contender(fresh, partial(fresh, out=memory), memory)


def read_of(x: np.ndarray[Any, Any]) -> Contender:
    """The floor of a gradient, which is read once and makes less than it reads: its largest byte, by one thread."""
    return Contender(partial(np.max, x.reshape(-1).view(np.uint8)))


def copy_of(result: np.ndarray[Any, Any]) -> Contender:
    """The floor: nothing that makes these bytes is faster than a copy of them, save by streaming stores."""
    source = result.reshape(-1).view(np.uint8)
    memory = np.empty_like(source)
    return Contender(source.copy, partial(np.copyto, memory, source))


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What this machine stores at the most, in bytes per second, by one thread, of data that is not zero."""

    in_cache: float
    stored: float
    streamed: float

    @classmethod
    def measure(cls) -> Ceilings:
        """Ordinary stores of 4 MiB and of 128 MiB, streaming stores of 128 MiB, all to memory that is there."""
        block = np.random.default_rng(7).integers(1, 256, 1 << 15, dtype=np.uint8)
        found = []
        for size, kernel in ((4, np.copyto), (128, np.copyto), (128, skeleton.stream_fill)):
            out = np.ones((size * 2**20 // block.size, block.size), np.uint8)
            best = math.inf
            for _ in range(15):
                start = time.perf_counter()
                if kernel(out, block) is False:
                    break
                best = min(best, time.perf_counter() - start)
            found.append(out.nbytes / best)
        return cls(*found)

    @property
    def best(self) -> float:
        """For outputs that no cache holds."""
        return max(self.stored, self.streamed)

    def __str__(self) -> str:
        texts = [f"{v * 1e-9:.1f}" for v in (self.in_cache, self.stored, self.streamed)]
        return f"stores, GB/s, 1 thread: {texts[0]} into 4 MiB, {texts[1]} into 128 MiB, {texts[2]} past the cache"


def difference(cell: Cell, mine: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> str | None:
    """How an answer differs from ours in meaning, or None."""
    if theirs.shape != mine.shape:
        return f"shape {theirs.shape}"
    kind = np.float64 if cell.dtype == "float64" else np.float32
    away = np.abs(theirs.astype(kind) - mine.astype(kind))
    # Written this way round, NaN counts as different.
    scale = max(1.0, float(np.abs(mine).max(initial=0))) if cell.backward else 1.0  # a gradient is a sum of many
    share = 1 - np.count_nonzero(away <= TOLERANCE[cell.dtype] * scale) / max(away.size, 1)
    allowed = EXCEPTIONS if min(cell.sizes) >= 64 else 0.25
    return f"{share:.0%} of samples, up to {away.max():.2g}" if share > allowed else None


def enter(peer: Peer, cell: Cell, x: np.ndarray[Any, Any], threads: int) -> tuple[Contender, list[Any]] | str:
    """A peer's contender and its answers, or why it has none; the library's own error is as good a reason."""
    if cell.backward and not peer.gradients:
        return "no gradients"
    try:
        peer.set_threads(threads)
        contender = peer.prepare(cell, x, threads)
        if isinstance(contender, str):
            return contender
        answers = [contender.array(contender.fresh())]
        if contender.reuse is not None:
            contender.reuse()
            answers.append(contender.array(contender.memory))
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        return f"{type(error).__name__}: {lines[0][:160]}"
    return contender, answers


def measure(cell: Cell, threads: int, entrants: Sequence[Peer], repeat: int, budget: float) -> Row:
    """Everyone does the cell, in turns, for `repeat` rounds or until their share of the budget is spent."""
    row = Row(cell, threads)
    x = cell.data()
    upsample.set_num_threads(threads)
    mine = ours(cell, x)
    contenders = {OURS: mine, COPY: copy_of(mine.memory)}
    if cell.backward:
        contenders[READ] = read_of(x)
    for peer in entrants:
        entered = enter(peer, cell, x, threads)
        if isinstance(entered, str):
            row.cannot[peer.name] = entered
            continue
        contenders[peer.name], answers = entered
        found = [text for text in (difference(cell, mine.memory, answer) for answer in answers) if text]
        if found:
            row.differs[peer.name] = found[0]
        del entered, answers
    watches = {
        name: [Stopwatch(call) for call in (contender.fresh, contender.reuse) if call is not None]
        for name, contender in contenders.items()
    }
    share = budget / len(watches)
    waiting = list(watches)
    shuffle = random.Random(7).shuffle
    with quiet():
        for number in range(repeat):
            shuffle(waiting)
            for name in waiting:
                if threads > 1:
                    time.sleep(SETTLE)
                # whoever is second finds more of the input in the cache
                for watch in watches[name][:: 1 if number % 2 else -1]:
                    watch.turn()
            waiting = [name for name in waiting if not done(watches[name], share)]
    for name, (first, *second) in watches.items():
        row.fresh[name], row.rounds[name] = first.best, first.rounds
        if second:
            row.out[name] = second[0].best
    return row


def done(watches: Sequence[Stopwatch], share: float) -> bool:
    """Whether a contender sits out the rounds to come."""
    short = watches[0].rounds < FEWEST and all(watch.best < LONG for watch in watches)
    return not short and sum(watch.spent for watch in watches) >= share


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No garbage collection within a timing."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def ms(seconds: float) -> str:
    """Milliseconds with three digits."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else f"{value:.5f}"


class Table:
    """The rows as text, one at a time."""

    def __init__(self, cells: Sequence[Cell], names: Sequence[str]) -> None:
        self.names = names
        self.width = max(len(cell.name) for cell in cells)

    def line(self, name: str, columns: Sequence[str], peer_columns: Sequence[str]) -> str:
        widths = (8, 8, 8, 8, 7, 18, 7, 7)
        head = " ".join(f"{c:>{w}}" for c, w in zip(columns, widths, strict=True))
        return f"{name:<{self.width}} {head}  " + " ".join(f"{c:>12}" for c in peer_columns)

    def header(self, threads: int) -> str:
        columns = ("fresh", "out=", "copy", "copy to", "GB/s", "best peer", "x fresh", "x out=")
        title = self.line(f"{threads} thread{'s' * (threads > 1)}, ms", columns, self.names)
        return f"{title}\n{'-' * len(title)}"

    def row(self, row: Row) -> str:
        fair = row.peers()
        ratios = row.ratios(fair)
        best = min(fair, key=row.either, default=None)
        columns = (
            ms(row.fresh[OURS]),
            ms(row.out[OURS]),
            ms(row.fresh[COPY]),
            ms(row.out[COPY]),
            f"{row.cell.bytes_moved / row.out[OURS] * 1e-9:.1f}",
            f"{best} {ms(row.either(best))}" if best else "-",
            *(f"{r:.2f}" for r in ratios or ()),
            *(() if ratios else ("-", "-")),
        )
        return self.line(row.cell.name, columns, [self.peer(row, name) for name in self.names])

    def peer(self, row: Row, name: str) -> str:
        if name not in row.fresh:
            return "-"
        text = ms(row.fresh[name]) + (f"|{ms(row.out[name])}" if name in row.out else "")
        return text + "*" * (name in row.differs)


LEGEND = """\
fresh, out=: a call into new memory, and into given memory.  copy, copy to: the output's bytes copied the same ways.
GB/s: input and output bytes once, over our out= time.  Peers: fresh|given.  -: it cannot.  *: it means something else.
best peer: whose lowest time, of either kind, is the lowest, and that time.  x out=: that time over ours with out=.
x fresh: the lowest fresh time of a peer over ours, which may be another's than best peer's.  Above 1 we win."""


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def summary(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Geometric means per number of threads, against the best peer and each, and the cells that stand worst."""
    lines: list[str] = []
    for threads in sorted({row.threads for row in rows}):
        mine = [row for row in rows if row.threads == threads]
        found = means("best peer", [(row, row.peers()) for row in mine], worst=5)
        if not found:
            continue
        lines += [f"{threads} thread{'s' * (threads > 1)}, geometric means of peer / ours:", *found]
        lines += means("with *", [(row, row.peers(starred=True)) for row in mine])
        for name in names:
            lines += means(name, [(row, row.peers() & {name}) for row in mine])
    return "\n".join(lines)


def means(label: str, opponents: Sequence[tuple[Row, set[str]]], worst: int = 0) -> list[str]:
    """One line about the cells that have an opponent, and one each for those that stand worst."""
    found = [(row.cell.name, ratios) for row, names in opponents if (ratios := row.ratios(names))]
    if not found:
        return []
    texts, lines = [], []
    for i, kind in enumerate(("fresh", "out=")):
        values = [ratios[i] for _, ratios in found]
        texts.append(f"{kind} {geometric_mean(values):6.2f}, slower in {sum(v < 1 for v in values):>2}")
        lowest = sorted(found, key=lambda pair: pair[1][i])[:worst]
        if lowest:
            lines.append(f"    lowest {kind}: " + ", ".join(f"{name} {ratios[i]:.2f}" for name, ratios in lowest))
    return [f"  {label:<10} {'; '.join(texts)} of {len(found)} cells", *lines]


def losses(rows: Sequence[Row]) -> str:
    """Every case that is no clear win, be it fresh or with ``out=``, worst first."""
    found = [(ratios, row) for row in rows if (ratios := row.ratios(row.peers()))]
    below = sorted((pair for pair in found if min(pair[0]) < CLEAR), key=lambda pair: min(pair[0]))
    lines = [f"below {CLEAR}: {len(below)} of {len(found)} drawn cells that a peer does"]
    for (fresh, out), row in below:
        best = min(row.peers(), key=row.either)
        where = f"{row.threads} thread{'s' * (row.threads > 1)}, {row.family}"
        lines.append(f"  {min(fresh, out):5.2f} (fresh {fresh:.2f}, out= {out:.2f})  {row.cell.name}  {where}, {best}")
    return "\n".join(lines)


def by_family(rows: Sequence[Row]) -> str:
    """A table of the families that the rows are of, with a line for each method of those that have several."""
    lines: list[str] = []
    for threads in sorted({row.threads for row in rows}):
        parts: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            if row.family and row.threads == threads:
                parts[row.family][row.cell.method.removesuffix("-exact")].append(row)
        if parts:
            title = f"{threads} thread{'s' * (threads > 1)}, best peer / ours"
            lines.append(f"{title:<27} {'cells':>9} {'fresh':>7} {'worst':>6} {'out=':>7} {'worst':>6}  worst of all")
        for family, methods in parts.items():
            lines.append(standing(f"  {family}", [row for part in methods.values() for row in part]))
            if len(methods) > 1:
                lines += [standing(f"    {method}", part) for method, part in sorted(methods.items())]
    return "\n".join(lines)


def standing(label: str, rows: Sequence[Row]) -> str:
    """A line of that table: how many of the cells a peer does, geometric means, and what stands worst."""
    found = [(ratios, row.cell.name) for row in rows if (ratios := row.ratios(row.peers()))]
    line = f"{label:<27} {f'{len(found)} of {len(rows)}':>9}"
    for i in range(2):
        values = [ratios[i] for ratios, _ in found]
        line += f" {geometric_mean(values):7.2f} {min(values):6.2f}" if values else f" {'-':>7} {'-':>6}"
    return line + (f"  {min(found, key=lambda pair: min(pair[0]))[1]}" if found else "")


def against_ceilings(rows: Sequence[Row], ceilings: Ceilings) -> str:
    """Large outputs as shares of the store ceiling, fresh ones beside a copy, and what a second thread brings."""
    one = {row.cell.name: row for row in rows if row.threads == 1}
    large = [row for row in one.values() if row.out_bytes > LARGE]
    lines = [f"{'outputs over 64 MB, 1 thread':<44} {'of the ceiling':>15} {'fresh / fresh copy':>19}"] if large else []
    lines += [
        f"  {row.cell.name:<42} {row.share(ceilings):>15.0%} {row.fresh[OURS] / row.fresh[COPY]:>19.2f}"
        for row in large
    ]
    for threads in sorted({row.threads for row in rows} - {1}):
        pairs = [(one[row.cell.name], row) for row in rows if row.threads == threads and row.cell.name in one]
        # (a reduction moves more than it writes, and reads at the speed of memory)
        pairs = [
            (a, b)
            for a, b in pairs
            if a.cell.bytes_moved / a.out[OURS] < STORE_SHARE * ceilings.best and a.fresh[OURS] > TICK
        ]
        gains = sorted((a.fresh[OURS] / b.fresh[OURS], a.cell.name) for a, b in pairs)
        if gains:
            below = [f"{name} {gain:.2f}" for gain, name in gains if gain < SPEEDUP]
            lines += [
                f"{threads} threads against 1, {len(gains)} cells under half the ceiling and over {TICK * 1e6:.0f} us: "
                f"geometric mean {geometric_mean([gain for gain, _ in gains]):.2f}",
                *([f"  below {SPEEDUP}: " + ", ".join(below)] if below else []),
            ]
    return "\n".join(lines)


def against_reading(rows: Sequence[Row]) -> str:
    """Gradients beside the time that one thread takes to read what they are made of, those that are no small calls."""
    found = [row for row in rows if READ in row.fresh and row.fresh[READ] > TICK]
    if not found:
        return ""
    lines = [f"{'gradients: our out= time / reading once':<60} threads"]
    for row in found:
        lines.append(f"  {row.cell.name:<58} {row.threads:>7} {row.out[OURS] / row.fresh[READ]:>8.2f}")
    return "\n".join(lines)


def chart(rows: Sequence[Row], title: str) -> str:
    """An SVG: for each cell, how many times faster than the fastest peer, one bar per number of threads."""
    cells = list(dict.fromkeys(row.cell.name for row in rows if row.ratios(row.peers())))
    threads = sorted({row.threads for row in rows})
    found = {(row.cell.name, row.threads): row for row in rows}
    colours = ("#2a6f97", "#89c2d9", "#a9d6e5", "#014f86")
    left, bar, top, unit, most = 510, 6, 46, 90.0, 5
    height = bar * len(threads) + 5
    parts: list[str] = []

    def text(x: float, y: float, words: str, anchor: str = "start", size: int = 11) -> None:
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{words}</text>')

    text(8, 18, title, size=13)
    for i, n in enumerate(threads):
        parts.append(f'<rect x="{left + 90 * i}" y="26" width="10" height="10" fill="{colours[i % len(colours)]}"/>')
        text(left + 90 * i + 14, 35, f"{n} thread{'s' * (n > 1)}")
    text(left + 90 * len(threads), 35, "times as fast as the fastest other library (log scale; the line is 1)")
    for k, name in enumerate(cells):
        y = top + k * height
        text(left - 2 * unit - 6, y + height / 2 + 2, name, "end", 9)
        for i, n in enumerate(threads):
            row = found.get((name, n))
            ratios = row.ratios(row.peers()) if row else None
            if not row or not ratios:
                continue
            best = min(row.peers(), key=lambda peer: row.fresh[peer])
            length = unit * math.log2(min(max(ratios[0], 0.25), 2.0**most))
            x, width = (left, length) if length >= 0 else (left + length, -length)
            colour = colours[i % len(colours)]
            parts.append(
                f'<rect x="{x:.1f}" y="{y + i * bar}" width="{width:.1f}" height="{bar - 1}" fill="{colour}"/>'
            )
            text(max(x + width, left) + 4, y + (i + 1) * bar - 1, f"{ratios[0]:.1f} {best}", size=7)
    bottom = top + len(cells) * height
    parts.append(f'<line x1="{left}" y1="{top - 4}" x2="{left}" y2="{bottom}" stroke="#333"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" width="{left + unit * most + 90:.0f}" '
        f'height="{bottom + 10}">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def remarks(rows: Sequence[Row]) -> str:
    """What the peers did not do, and where they did something else."""
    cannot: dict[str, Counter[str]] = defaultdict(Counter)
    differs: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        for name, why in row.cannot.items():
            cannot[name][why] += 1
        for name, how in row.differs.items():
            differs[name][row.cell.name] = how
    lines = [f"- {name}: " + "; ".join(f"{why} ({n})" for why, n in c.most_common()) for name, c in cannot.items()]
    lines += [f"* {name}: " + "; ".join(f"{cell} ({how})" for cell, how in d.items()) for name, d in differs.items()]
    return "\n".join(lines)


def commit() -> str:
    """Of the sources that this file is among, and whether they have changed since."""
    git = ["git", "-C", str(Path(__file__).resolve().parent)]
    try:
        name = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + "+changes" * bool(changed.stdout.strip())


def build() -> str:
    """A digest of the installed package's code, compiled and not: what was measured, whatever commit it is of."""
    digest = hashlib.sha256()
    folder = Path(upsample.__file__).resolve().parent
    for file in sorted(f for f in folder.rglob("*") if f.suffix in (".py", ".so", ".pyd")):
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def conditions() -> dict[str, Any]:
    """What times depend on besides the machine's mood: runs that differ in one of these are not one."""
    return {
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "build": build(),
        "simd level": skeleton.level(),
        "pool limit": skeleton.pool_info()["limit"],
        "openmp": skeleton.has_openmp(),
    }


def report(rows: Iterable[Row], facts: dict[str, Any], versions: dict[str, str], ceilings: Ceilings) -> dict[str, Any]:
    """Everything as plain data, for ``--json``; times in seconds."""
    return {
        **facts,
        "versions": versions,
        "ceilings": asdict(ceilings),
        "rows": [
            {
                "cell": row.cell.name,
                "parts": asdict(row.cell),
                "family": row.family,
                "threads": row.threads,
                "fresh": row.fresh,
                "out": row.out,
                "rounds": row.rounds,
                "cannot": row.cannot,
                "differs": row.differs,
            }
            for row in rows
        ],
    }


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run that was written with ``--json``."""

    conditions: dict[str, Any]
    versions: dict[str, str]
    ceilings: Ceilings
    rows: dict[tuple[str, int], Row]

    @classmethod
    def read(cls, file: Path) -> Earlier:
        """Raises OSError, ValueError, TypeError or KeyError for what is no such file."""
        found = json.loads(file.read_text())
        rows = {}
        for data in found["rows"]:
            name, parts = data.pop("cell"), data.pop("parts", None)
            # (what was drawn is in no list; a file from before there were parts knows names alone)
            cell = Cell.of(parts) if parts else BY_NAME.get(name)
            if cell is not None:
                rows[cell.name, data["threads"]] = Row(cell, **data)
        return cls(found, dict(found["versions"]), Ceilings(**found["ceilings"]), rows)

    def differences(self, facts: dict[str, Any], versions: dict[str, str]) -> list[str]:
        """Why its times and those of a run with these conditions and versions cannot be one."""
        pairs = {name: (self.conditions.get(name), now) for name, now in facts.items()}
        pairs |= {name: (self.versions[name], now) for name, now in versions.items() if name in self.versions}
        return [f"{name} {was} there, {now} here" for name, (was, now) in pairs.items() if was != now]


def written(file: Path, text: str) -> None:
    """Put a whole file in the place of what was there."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(file)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description="Time upsample beside its peers.")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, cpus}), help="numbers of threads (default: 1 and all)"
    )
    parser.add_argument("--cells", metavar="REGEX", default="", help="only cells whose name has a match")
    parser.add_argument(
        "--family", nargs="+", choices=list(FAMILIES), default=[], help="cells that networks hold, instead of the grid"
    )
    parser.add_argument("--random", type=int, metavar="N", help="N cells drawn anew, of all families or of --family's")
    parser.add_argument("--seed", type=int, help="which ones: the same for the same seed (default: a new seed)")
    parser.add_argument("--peers", nargs="*", choices=list(peers.PEERS), default=list(peers.PEERS), help="only these")
    parser.add_argument("--repeat", type=int, default=30, help="rounds at the most (default: 30)")
    parser.add_argument("--budget", type=float, default=3.0, help="seconds per cell, about (default: 3)")
    parser.add_argument("--backward", action="store_true", help="gradients instead, of the cells that have one")
    parser.add_argument("--quick", action="store_true", help="small cells, three rounds: shows that everything works")
    parser.add_argument("--list", action="store_true", help="print the names of the cells, and stop")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all times there, too")
    parser.add_argument("--add", metavar="FILE", type=Path, help="take up the times of this earlier run, where lower")
    parser.add_argument("--chart", metavar="FILE.svg", type=Path, help="draw the ratios there")
    options = parser.parse_args(argv)
    if options.quick and (options.family or options.random is not None):
        parser.error("--quick has cells of its own; beside --family and --random, lower --repeat and --budget")
    if options.random is not None and options.random < 1:
        parser.error("--random is a number of cells, from 1")
    if options.seed is not None and options.random is None:
        parser.error("--seed belongs to --random")
    if options.quick:
        options.repeat, options.budget = min(options.repeat, 3), min(options.budget, 0.2)
    if not all(1 <= n <= MAX_THREADS for n in options.threads):
        parser.error(f"--threads are from 1 to {MAX_THREADS}")
    options.threads = list(dict.fromkeys(options.threads))
    if options.repeat < 1 or not options.budget > 0:
        parser.error("--repeat starts at 1, and --budget is above 0")
    try:
        re.compile(options.cells)
    except re.error as error:
        parser.error(f"--cells is no regular expression: {error}")
    for name in ("json", "chart"):
        file = getattr(options, name)
        if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK)):
            parser.error(f"--{name}: {file} cannot be written")
    options.earlier = None
    if options.add is not None:
        try:
            options.earlier = Earlier.read(options.add)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            parser.error(f"--add: {options.add} is no file that --json wrote ({type(error).__name__}: {error})")
    return options


def chosen(options: argparse.Namespace) -> dict[Cell, str]:
    """The cells that were asked for, with their families; those of the grid have none."""
    if options.random is not None:
        drawn = draws(options.family or list(FAMILIES), options.random, options.seed, options.backward)
        found = {cell: family for family, cell in drawn}
    else:
        parts = {family: FAMILIES[family].fixed for family in options.family} or {"": QUICK if options.quick else GRID}
        found = {
            cell: family
            for family, fixed in parts.items()
            for cell in (gradients(fixed) if options.backward else fixed)
        }
    return {cell: family for cell, family in found.items() if re.search(options.cells, cell.name)}


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    if options.random is not None:
        if options.seed is None:
            options.seed = random.SystemRandom().randrange(10**6)
        print(f"--random {options.random} --seed {options.seed}", file=sys.stderr if options.list else sys.stdout)
    families = chosen(options)
    cells = list(families)
    if options.list or not cells:
        print("\n".join(cell.name for cell in cells) or f"no cell matches {options.cells!r}; see --list")
        return 0 if cells else 2
    entrants, missing = peers.load(options.peers)
    names = [peer.name for peer in entrants]
    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        OURS: upsample.__version__,
        **{peer.name: peers.version(peer) for peer in entrants},
    }
    facts = conditions()
    before, recorded = dict[tuple[str, int], Row](), versions
    if options.earlier:
        found = options.earlier.differences(facts, versions)
        if found:
            print(f"{options.add} and this run cannot be one: {'; '.join(found)}", file=sys.stderr)
            return 2
        before, recorded = options.earlier.rows, {**options.earlier.versions, **versions}
    facts["commit"] = commit()
    print(f"{cpu_name()}, {os.cpu_count()} CPUs;", ", ".join(f"{n} {v}" for n, v in versions.items()))
    upsample.set_num_threads(max(options.threads))
    upsample.show_config()
    print(busy())
    for name, why in missing.items():
        print(f"not installed: {name} ({why})")
    ceilings = Ceilings.measure()
    if options.earlier:
        ceilings = Ceilings(*map(max, astuple(ceilings), astuple(options.earlier.ceilings)))
    print(ceilings)
    table, rows = Table(cells, names), list[Row]()
    for threads in options.threads:
        print(f"\n{table.header(threads)}")
        for cell in cells:
            try:
                row = measure(cell, threads, entrants, options.repeat, options.budget)
            except ModuleNotFoundError as error:  # bfloat16 needs ml_dtypes
                print(f"{cell.name:<{table.width}} left out: {error}")
                continue
            row.family = families[cell]
            if other := before.get((cell.name, threads)):
                row.add(other)
            before[cell.name, threads] = row
            rows.append(row.only(names))
            print(table.row(rows[-1]), flush=True)
            if options.json:
                data = report(before.values(), facts, recorded, ceilings)
                written(options.json, json.dumps(data, indent=1) + "\n")
    print(f"\n{LEGEND}")
    if rows and options.random is not None:
        print(f"\n{losses(rows)}")
    if table_of_families := by_family(rows):
        print(f"\n{table_of_families}")
    if rows:
        print(f"\n{summary(rows, names)}\n\n{remarks(rows)}".rstrip() or "\nNo peer did any of these cells.")
        print(f"\n{against_reading(rows) or against_ceilings(rows, ceilings)}".rstrip())
    if options.chart:
        written(options.chart, chart(rows, f"upsample {upsample.__version__} on {cpu_name()}"))
    return 0


def busy() -> str:
    """A line about others' work, if there is more than the machine has processors for."""
    load, cpus = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    text = f"load {load:.1f} in the last minute on {cpus} CPUs"
    return text + (": OTHERS ARE AT WORK, and times will be too long" if load > cpus else "")


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
