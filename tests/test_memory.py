"""Memory: nothing beyond an array is touched, little is needed besides the arrays, and running out is an exception.

Whatever may crash or needs much memory runs in a child process, which is this file run as a script: a crash is then
a failure that shows the last case.
"""

from __future__ import annotations

import ctypes
import faulthandler
import functools
import hashlib
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import upsample
from upsample._kernels.cpu import skeleton
from upsample.testing import Case, random_cases, systematic_cases

LINUX = sys.platform.startswith("linux")
linux_only = pytest.mark.skipif(not LINUX, reason="guard pages and memory figures are read the Linux way")
LEVELS = ("baseline", "avx2", "avx512", "neon")
GIB = 2**30


def run_child(name: str, *arguments: Any, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("UPSAMPLE_") and k != "OMP_NUM_THREADS"}
    command = [sys.executable, "-P", __file__, name, *map(str, arguments)]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, timeout=timeout)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    last = (done.stdout.splitlines() or ["(nothing)"])[-1]
    return f"exit status {done.returncode}, last case: {last}\n{done.stderr[-3000:]}"


# ---- guard pages -------------------------------------------------------------------------------------------

SENTINEL = 0xA5
PLACES = ("before a guard page", "after a guard page")


class Arena:
    """Memory between two pages that fault when they are touched."""

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        self.map = mmap.mmap(-1, size // page * page + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        mprotect = ctypes.CDLL(None, use_errno=True).mprotect
        mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for guard in (start, start + len(self.map) - page):
            if mprotect(guard, page, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.memory = np.frombuffer(self.map, np.uint8)[page:-page]

    def place(self, like: Any, where: str) -> Any:
        """An array with the samples and strides of `like` whose first or last byte touches a guard page."""
        span = [(n - 1) * stride for n, stride in zip(like.shape, like.strides, strict=True)]
        low = sum(s for s in span if s < 0)
        extent = sum(s for s in span if s > 0) + like.itemsize - low
        start = self.memory.size - extent if where == PLACES[0] else 0
        self.memory[:] = SENTINEL
        made = np.ndarray(like.shape, like.dtype, self.memory, start - low, like.strides)
        made[...] = like
        made.flags.writeable = like.flags.writeable
        return made

    def untouched_around(self, x: Any) -> bool:
        """Whether every byte that is not the array's is as it was; wipes the array."""
        start = x.__array_interface__["data"][0] - self.memory.__array_interface__["data"][0]
        raw = np.ndarray((*x.shape, x.itemsize), np.uint8, self.memory, start, (*x.strides, 1))
        raw[...] = SENTINEL
        return bool((self.memory == SENTINEL).all())


def small_cases() -> Iterator[Case]:
    """Sizes around every vector's length, in the forms that have their own loops."""
    rng = random.Random(5)
    for n in (*range(1, 20), 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 513):
        for mode in ("nearest", "nearest-exact", "linear", "cubic", "area", "lanczos"):
            for scale in (2, 1.5, 3, 0.5, 0):
                dtype = rng.choice(("float32", "float64", "float16", "uint8", "int8", "uint16", "int16"))
                layout, channels = rng.choice(
                    (("W", 0), ("CW", 2), ("WC", 2), ("WC", 3), ("WC", 4), ("WC", 5), ("WC", 8), ("WC", 16), ("WC", 17))
                )
                shape = {"W": (n,), "CW": (channels, n), "WC": (n, channels)}[layout]
                arguments = {"mode": mode, "layout": layout, "scale_factor": max(scale, 1.001 / n)}
                if mode == "lanczos" or (mode in ("linear", "cubic") and rng.random() < 0.3):
                    arguments["antialias"] = True
                if mode in ("linear", "cubic") and rng.random() < 0.3:
                    arguments["align_corners"] = True
                yield Case(shape, dtype, arguments, seed=rng.randrange(2**31))
    for n in (1, 2, 3, 5, 7, 17, 33):
        for dtype in ("float32", "float16", "uint8", "int16"):
            for mode in ("bilinear", "bicubic", "nearest", "area"):
                for layout, shape in (("HW", (n, n + 2)), ("HWC", (n + 1, n, 3)), ("HWC", (n, n, 4)), ("HW", (n, 1))):
                    for scale in (2, 1.7):
                        yield Case(shape, dtype, {"mode": mode, "layout": layout, "scale_factor": scale})


def doubled_and_halved_cases() -> Iterator[Case]:
    """Rows long enough for what takes two rows at once, with every remainder of a vector."""
    for n in (33, 47, 64, 66, 86, 131):
        for dtype in ("float32", "float64", "float16", "uint16", "uint8"):
            for mode in ("bilinear", "bicubic", "nearest", "area"):
                for layout, shape in (("HW", ()), ("HWC", (2,)), ("HWC", (3,)), ("HWC", (4,)), ("HWC", (17,))):
                    arguments = {"mode": mode, "layout": layout}
                    yield Case((6, n, *shape), dtype, arguments | {"scale_factor": 2})
                    yield Case((6, 2 * n, *shape), dtype, arguments | {"scale_factor": 0.5})
                    if mode.startswith("bi"):
                        yield Case((6, n, *shape), dtype, arguments | {"scale_factor": 2, "align_corners": True})


def guarded_cases() -> Iterator[Case]:
    for seed in (0, 1, 2):
        for case in systematic_cases(seed):
            yield case
            if case.strides != "contiguous":
                yield replace(case, strides="contiguous")
            yield replace(case, strides="channels-last")
    yield from random_cases(400, 3)
    yield from small_cases()
    yield from doubled_and_halved_cases()
    for i, mode in enumerate(("nearest", "linear", "cubic", "area", "lanczos")):  # tiles of W, tables made tile by tile
        sizes = [("uint8", 300_001, 1.1), ("uint8", 400_003, 0.31), ("float16", 70_001, 1.5), ("float32", 66_001, 1.3)]
        for j, (dtype, n, scale) in enumerate(sizes if mode != "lanczos" else sizes[2:]):
            shape, layout = ((n,), "W") if (i + j) % 2 else ((n // 3, 3), "WC")
            arguments = {"mode": mode, "layout": layout, "scale_factor": scale, "antialias": mode == "lanczos"}
            yield Case(shape, dtype, arguments)
    for mode in ("nearest", "bilinear", "area"):  # and of H
        for dtype, size in (("uint8", (90_001, 3)), ("float16", (70_003, 2)), ("float32", (301, 2))):
            yield Case((80_001, 1), dtype, {"mode": mode, "layout": "HW", "size": size})
    for mode in ("nearest", "bilinear", "bicubic", "area", "lanczos"):  # large enough for threads
        for dtype in ("uint8", "float32"):
            for shape, layout in (((150, 151, 3), "HWC"), ((1, 3, 151, 149), "NCHW")):
                arguments = {"mode": mode, "layout": layout, "scale_factor": 1.9, "antialias": mode == "lanczos"}
                yield Case(shape, dtype, arguments)


def with_longer_rows(x: Any, arguments: dict[str, Any]) -> Any:
    """An array like `x` in every respect but that its rows lie apart."""
    layout = arguments.get("layout") or "NC" + "DHW"[5 - x.ndim :]
    longer = [n + 3 * (name == "W") for n, name in zip(x.shape, layout, strict=True)]
    return np.empty_like(x, shape=longer)[tuple(slice(n) for n in x.shape)]


def guard_child(level: str, where: str) -> None:
    faulthandler.enable()
    if skeleton.level() != level:
        sys.exit(f"the level is {skeleton.level()}, not {level}")
    upsample.set_num_threads(2)
    source, target = Arena(2**20), Arena(2**20)
    digest = hashlib.sha256()
    ran = failures = 0
    for number, case in enumerate(guarded_cases()):
        x = case.array()
        if max(x.size, case.output_size()) * x.itemsize > 2**19:
            continue
        os.write(1, f"{number} {case}\n".encode())
        expected = upsample.interpolate(x, **case.arguments)
        digest.update(expected.tobytes())
        ran += 1
        out_like = with_longer_rows(expected, case.arguments) if number % 2 else expected
        out = target.place(out_like, where)
        got = upsample.interpolate(source.place(x, where), out=out, **case.arguments)
        problem = "out= came back as another object" if got is not out else ""
        if got.tobytes() != expected.tobytes():
            problem = f"other samples than away from the guard page ({np.count_nonzero(got != expected)})"
        if not target.untouched_around(out):
            problem = "bytes outside out were written"
        if problem:
            failures += 1
            print(f"{case}: {problem}", file=sys.stderr)
    print(json.dumps({"ran": ran, "failures": failures, "digest": digest.hexdigest()}))


def touch_child(where: str) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    arena = Arena(2**16)
    x = arena.place(np.zeros(5, np.uint8), where)
    at = x.__array_interface__["data"][0] + (5 if where == PLACES[0] else -1)
    print(ctypes.string_at(at, 1))


@functools.cache
def guard_run(level: str, where: str) -> subprocess.CompletedProcess[str]:
    # What malloc gives is filled with another byte in each run.
    fill = str(1 + 2 * LEVELS.index(level) + 100 * PLACES.index(where))
    return run_child("guard", level, where, UPSAMPLE_SIMD=level, MALLOC_PERTURB_=fill)


def skip_without(level: str) -> None:
    if level not in skeleton.levels():
        pytest.skip(f"this machine or build has no {level}")


@linux_only
@pytest.mark.parametrize("where", PLACES)
def test_a_guard_page_faults(where):
    assert run_child("touch", where).returncode == -signal.SIGSEGV


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("level", LEVELS)
def test_no_byte_outside_the_arrays_is_touched(level, where):
    skip_without(level)
    done = guard_run(level, where)
    assert done.returncode == 0, complaint(done)
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["failures"] == 0, complaint(done)
    assert report["ran"] > 3000


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("level", LEVELS)
def test_what_malloc_left_in_memory_decides_no_bit(level):
    skip_without(level)
    lines = {guard_run(level, where).stdout.splitlines()[-1] for where in PLACES}
    digests = {json.loads(line)["digest"] for line in lines}
    assert len(digests) == 1


@pytest.mark.slow
@linux_only
def test_levels_with_fused_multiply_add_agree_in_every_bit():
    skip_without("avx512")
    lines = [guard_run(level, PLACES[0]).stdout.splitlines()[-1] for level in ("avx2", "avx512")]
    first, second = [json.loads(line)["digest"] for line in lines]
    assert first == second


# ---- how much memory a call needs --------------------------------------------------------------------------


def peak() -> int:
    """The most memory that this process had at a time; `resource` would give the parent's, where that is more."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def fill(x: Any) -> None:
    """Samples that differ from place to place, without a temporary of the array's size."""
    flat, pattern = x.reshape(-1), np.random.default_rng(0).integers(0, 101, 2**16 - 15)
    for at in range(0, flat.size, pattern.size):
        piece = flat[at : at + pattern.size]
        piece[...] = pattern[: piece.size]
        piece += at // pattern.size % 19


def equals_a_window(plan: Any, x: Any, out: Any, start: tuple[int, ...], stop: tuple[int, ...]) -> bool:
    """Whether that part of `out` is what the window's plan, and the reference, make of the part of `x` it needs."""
    lo, hi, part = plan.window(start, stop)
    parts = []
    for array, begin, end in ((x, lo, hi), (out, start, stop)):
        index = [slice(None)] * array.ndim
        for axis, a, b in zip(plan.spatial, begin, end, strict=True):
            index[axis] = slice(a, b)
        parts.append(np.ascontiguousarray(array[tuple(index)]))
    if part(parts[0]).tobytes() != parts[1].tobytes():
        return False
    with upsample.use_backend("reference"):
        expected = part(parts[0])
    tolerance = 0 if x.dtype.kind in "iu" else 1e-4 if x.dtype.itemsize > 2 else 0.1
    return bool(np.allclose(parts[1].astype(np.float64), expected.astype(np.float64), rtol=0, atol=tolerance))


def peak_child(text: str) -> None:
    asked = json.loads(text)
    x = np.empty(asked["shape"], asked["dtype"])
    fill(x)
    plan = upsample.plan(x.shape, x.dtype, **asked["arguments"])
    upsample.interpolate(np.ones((1, 1, 3), x.dtype), **asked["arguments"])  # what is loaded at the first call
    out = None
    if asked["out"]:
        out = np.empty(plan.out_shape, x.dtype)
        out.fill(1)
    before = peak()
    got = upsample.interpolate(x, out=out, **asked["arguments"])
    extra = peak() - before - (0 if asked["out"] else got.nbytes)
    m = plan.out_shape[-1]
    ranges = [(0, 999), (m // 2 - 500, m // 2 + 500), (m - 1000, m)] if m > 10**6 else []
    right = all(equals_a_window(plan, x, got, (lo,), (hi,)) for lo, hi in ranges)
    print(json.dumps({"extra": extra, "in": x.nbytes, "out": got.nbytes, "right": right}))


def growth_child(text: str) -> None:
    """Nanoseconds per output of 3e7 and of 1e9 samples, and the bytes that the larger call needed beside its arrays."""
    asked = json.loads(text)
    found: dict[str, float] = {}
    for name, height in (("small", 3_660), ("large", 122_000)):
        x = np.empty((1, 1, height, 2048), asked["dtype"])
        fill(x)
        plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode=asked["mode"])
        out = np.empty(plan.out_shape, x.dtype)
        out.fill(1)
        before, times = peak(), []
        for _ in range(9 if name == "small" else 3):
            start = time.perf_counter()
            plan(x, out)
            times.append(time.perf_counter() - start)
        found[name] = min(times) * 1e9 / out.size
        found["extra"] = peak() - before
    print(json.dumps(found))


def needs(available: float) -> None:
    """Skip where the machine has less memory than that to give (bytes)."""
    with open("/proc/meminfo") as lines:
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    if free < available:
        pytest.skip(f"needs {available / GIB:.0f} GiB of memory, {free / GIB:.1f} GiB are available")


LONG = [
    ("uint8", "nearest", 1.5, True, []),
    ("float32", "linear", 1.5, True, []),
    ("float32", "linear", 1.5, False, [pytest.mark.full]),
    ("float16", "linear", 1.5, True, [pytest.mark.full]),
    ("float16", "nearest-exact", 1.5, False, [pytest.mark.full]),
    ("uint8", "nearest", 2.0, False, [pytest.mark.full]),
    ("float32", "cubic", 1.5, True, [pytest.mark.full]),
    ("uint8", "linear", 1.5, True, [pytest.mark.full]),
    ("float32", "area", 1.5, True, [pytest.mark.full]),
]


@linux_only
@pytest.mark.parametrize(
    ("dtype", "mode", "factor", "out"),
    [pytest.param(*row[:4], marks=row[4], id=f"{row[0]}-{row[1]}-{row[2]}-out={row[3]}") for row in LONG],
)
def test_a_long_signal_needs_little_memory_beside_the_arrays(dtype, mode, factor, out):
    needs(4 * GIB)
    asked = {"dtype": dtype, "shape": [1, 1, 10**8], "arguments": {"mode": mode, "scale_factor": factor}, "out": out}
    done = run_child("peak", json.dumps(asked), timeout=200, UPSAMPLE_NUM_THREADS="2")
    assert done.returncode == 0, complaint(done)
    found = json.loads(done.stdout)
    assert found["right"], "samples differ from those of a window"
    assert found["extra"] < 0.1 * found["out"], f"{found['extra'] / 1e6:.1f} MB"


@linux_only
@pytest.mark.parametrize(
    ("dtype", "shape", "arguments"),
    [
        ("uint8", (1, 1, 3 * 10**7), {"mode": "area", "size": 1}),
        ("float16", (1, 1, 3 * 10**7), {"mode": "area", "size": 7}),
        ("float32", (1, 1, 10**7), {"mode": "linear", "size": 3, "antialias": True}),
        ("uint8", (1, 1, 10**7), {"mode": "cubic", "size": 1, "antialias": True}),
        ("float32", (1, 1, 3 * 10**6, 3), {"mode": "bilinear", "size": (2, 3), "antialias": True}),
    ],
    ids=lambda value: value["mode"] if isinstance(value, dict) else None,
)
def test_a_reduction_to_a_few_samples_needs_little_memory_beside_the_arrays(dtype, shape, arguments):
    asked = {"dtype": dtype, "shape": shape, "arguments": arguments}
    done = run_child("reduction", json.dumps(asked), UPSAMPLE_NUM_THREADS="1")
    assert done.returncode == 0, complaint(done)
    found = json.loads(done.stdout)
    allowed = max(8 * 2**20, 0.1 * (found["in"] + found["out"]))
    assert found["extra"] < allowed + 2**20, f"{found['extra'] / 1e6:.1f} MB beside an input of {found['in'] / 1e6:.1f}"


def reduction_child(text: str) -> None:
    asked = json.loads(text)
    x = np.empty(asked["shape"], asked["dtype"])
    x.fill(1)
    small = np.ones([min(n, 3) for n in x.shape], x.dtype)
    upsample.interpolate(small, **asked["arguments"])
    before = peak()
    got = upsample.interpolate(x, **asked["arguments"])
    print(json.dumps({"extra": peak() - before, "in": x.nbytes, "out": got.nbytes}))


# ---- beyond 32 bits ----------------------------------------------------------------------------------------

FAR: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "nearest-out": ("uint8", (1, 1, 16384, 16385), {"mode": "nearest", "size": (46349, 46341)}),
    "bilinear-out": ("uint8", (1, 1, 16384, 16385), {"mode": "bilinear", "size": (46349, 46341)}),
    "bilinear-x2": ("uint8", (1, 2, 16385, 16385), {"mode": "bilinear", "scale_factor": 2}),
    "channels-last": ("uint8", (13401, 13403, 3), {"mode": "nearest", "scale_factor": 2, "layout": "HWC"}),
    "bilinear-channels-last": ("uint8", (13401, 13403, 3), {"mode": "bilinear", "scale_factor": 2, "layout": "HWC"}),
    "beyond-32-unsigned-bits": ("uint8", (1, 1, 20001, 15003), {"mode": "nearest", "size": (66001, 65603)}),
    "bytes-only": ("float32", (1, 1, 15001, 20003), {"mode": "nearest", "size": (30001, 20003)}),
    "float32-bytes-only": ("float32", (1, 1, 15001, 20003), {"mode": "bilinear", "size": (30001, 20003)}),
    "one-long-axis": ("uint8", (1, 1, 2**30 + 5), {"mode": "nearest", "scale_factor": 2.0}),
    "rows": ("uint8", (2**30 + 5, 1), {"mode": "nearest", "size": (2**31 + 9, 1), "layout": "HW"}),
    "nearest-in": ("uint8", (1, 1, 46349, 46341), {"mode": "nearest", "size": (301, 299)}),
    "area-in": ("uint8", (1, 1, 46349, 46341), {"mode": "area", "size": (301, 299)}),
    "bilinear-in": ("uint8", (46349, 15447, 3), {"mode": "bilinear", "size": (301, 299), "layout": "HWC"}),
    "long-axis-in": ("uint8", (2**31 + 9,), {"mode": "linear", "size": 2001, "layout": "W"}),
    "area-of-all": ("uint16", (2**31 - 9,), {"mode": "area", "size": 1, "layout": "W", "numerics": "exact"}),
}


def far_child(name: str) -> None:
    dtype, shape, arguments = FAR[name]
    x = np.empty(shape, dtype)
    fill(x)
    if name == "area-of-all":
        x.fill(7)
    got = upsample.interpolate(x, **arguments)
    if name == "area-of-all":
        print(json.dumps({"bytes": x.nbytes, "wrong": [] if got[0] == 7 else [f"mean of sevens is {got[0]}"]}))
        return
    plan = upsample.plan(x.shape, x.dtype, **arguments)
    sizes = [got.shape[a] for a in plan.spatial]
    wrong = []
    for fraction in (0.0, 0.25, 0.499, 0.5, 0.51, 0.75, 0.999, 1.0):
        start = tuple(max(0, min(int(m * fraction), m - 40)) for m in sizes)
        stop = tuple(min(m, lo + 40) for m, lo in zip(sizes, start, strict=True))
        if not equals_a_window(plan, x, got, start, stop):
            wrong.append(f"{start}:{stop}")
    print(json.dumps({"bytes": max(x.nbytes, got.nbytes), "wrong": wrong}))


@linux_only
@pytest.mark.full
@pytest.mark.parametrize("name", FAR)
def test_offsets_beyond_32_bits_are_right(name):
    needs(8 * GIB)
    done = run_child("far", name, timeout=280)
    assert done.returncode == 0, complaint(done)
    found = json.loads(done.stdout)
    assert found["bytes"] > 2**31
    assert found["wrong"] == []


@linux_only
@pytest.mark.full
@pytest.mark.parametrize(("dtype", "mode"), [("float32", "bilinear"), ("uint8", "bicubic"), ("float32", "nearest")])
def test_time_per_output_and_scratch_stay_the_same_up_to_a_billion_samples(dtype, mode):
    """Warm `out`, rows of the same length: the cost per output grows by less than half from 3e7 to 1e9 outputs."""
    needs(12 * GIB)
    done = run_child("growth", json.dumps({"dtype": dtype, "mode": mode}), timeout=280, UPSAMPLE_NUM_THREADS="1")
    assert done.returncode == 0, complaint(done)
    found = json.loads(done.stdout)
    assert found["large"] < 1.5 * found["small"], found
    assert found["extra"] < 16e6, found


# ---- sizes and memory that are not there -------------------------------------------------------------------


@pytest.mark.parametrize("door", ["interpolate", "plan", "explain", "Upsample"])
@pytest.mark.parametrize(
    ("shape", "dtype", "arguments"),
    [
        ((1, 1, 4), "uint8", {"size": 2**63}),
        ((1, 1, 4), "float32", {"size": 2**61}),
        ((1, 1, 4), "float64", {"size": 2**60}),
        ((1, 1, 4), "uint8", {"scale_factor": 2.0**61}),
        ((1, 1, 4), "float64", {"scale_factor": 2.0**58}),
        ((3, 5, 4), "uint8", {"size": 2**62}),
        ((1, 1, 4, 4), "uint8", {"size": (2**32, 2**31)}),
        ((1, 1, 4, 4), "float32", {"size": 2**31, "mode": "bilinear"}),
        ((1, 1, 4, 4), "uint8", {"size": 2**32, "mode": "area"}),
        ((1, 1, 4, 4), "float32", {"size": (2**62, 2**62), "mode": "bicubic"}),
        ((2, 2, 4, 4, 4), "uint8", {"size": 2**21}),
        ((2, 2, 4, 4, 4), "float16", {"size": 2**21, "mode": "trilinear"}),
        ((4, 4, 3), "uint8", {"size": (2**31, 2**31), "layout": "HWC"}),
    ],
)
def test_a_size_whose_bytes_outgrow_64_bits_is_a_runtime_error(shape, dtype, arguments, door):
    def call() -> Any:
        x = np.zeros(shape, dtype)
        if door == "Upsample":
            return upsample.Upsample(**arguments)(x)
        if door == "plan":
            return upsample.plan(shape, dtype, **arguments)
        return getattr(upsample, door)(x, **arguments)

    with pytest.raises(RuntimeError, match=r"overflow|64-bit|too large") as info:
        call()
    assert type(info.value) is RuntimeError


def limit_child() -> None:
    import resource

    faulthandler.enable()
    upsample.set_num_threads(1)
    x = np.arange(12, dtype=np.float64).reshape(1, 1, 12)
    expected = upsample.interpolate(x, size=30, mode="linear").tobytes()
    bytes_in = np.ones((1, 1, 2**26), np.uint8)
    swapped = np.empty((1, 1, 2**25), ">f8")
    with open("/proc/self/statm") as f:
        used = int(f.read().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (used + 128 * 2**20,) * 2)
    one = np.ones((1, 1, 4, 4), np.float64)
    wide = np.broadcast_to(np.ones((1, 1, 1)), (1, 1, 2**27))
    # what asks for too much, and whether it might be done with less
    calls: list[tuple[str, bool, Any]] = [
        ("nearest 2**40", False, lambda: upsample.interpolate(x, size=(2**40,))),
        ("linear 2**40", False, lambda: upsample.interpolate(x, size=(2**40,), mode="linear")),
        ("copied axes", False, lambda: upsample.interpolate(wide, scale_factor=1)),
        ("a copy of the input", True, lambda: upsample.interpolate(wide, size=3, mode="linear")),
        ("a reduction of bytes", True, lambda: upsample.interpolate(bytes_in, size=1, mode="area")),
        ("a wide filter", True, lambda: upsample.interpolate(bytes_in, size=2, mode="lanczos", antialias=True)),
        ("transposed", False, lambda: upsample.interpolate(one, size=(2**13, 2**14), layout="HABW")),
        ("out in other bytes", True, lambda: upsample.interpolate(x, size=swapped.size, mode="linear", out=swapped)),
    ]
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos"):
        for dtype in ("float64", "float32", "uint8", "float16"):
            for size in (2**16, (2, 2**27), (2**27, 2)):
                arguments = {"mode": mode, "size": size, "antialias": mode == "lanczos"}
                call = functools.partial(upsample.interpolate, one.astype(dtype), **arguments)
                calls.append((f"{dtype} {arguments}", False, call))
    for name, may_work, call in calls:
        os.write(1, f"{name}\n".encode())
        try:
            call()
        except MemoryError as error:
            if not str(error):
                sys.exit(f"{name}: a MemoryError without a word")
        else:
            if not may_work:
                sys.exit(f"{name}: no error")
        if upsample.interpolate(x, size=30, mode="linear").tobytes() != expected:
            sys.exit(f"{name}: the next call is wrong")


@linux_only
@pytest.mark.parametrize("mode", ["linear", "cubic", "area", "lanczos"])
def test_what_does_not_fit_memory_is_refused_at_once_also_for_bytes(mode):
    """The precision of 8-bit weights is found from the whole axis: 2**40 outputs must not be walked through first."""
    code = f"""
import numpy, upsample
try:
    upsample.interpolate(numpy.ones((1, 1, 4), numpy.uint8), size=2**42, mode={mode!r}, antialias={mode == "lanczos"})
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=15)
    assert (done.returncode, done.stdout.strip()) == (0, "refused"), done.stderr


@pytest.mark.slow
@linux_only
def test_memory_that_is_not_there_is_a_memory_error_and_the_next_call_works():
    done = run_child("limit", timeout=120)
    assert done.returncode == 0, complaint(done)


if __name__ == "__main__":
    globals()[f"{sys.argv[1]}_child"](*sys.argv[2:])
