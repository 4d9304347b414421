"""The output pool: recycled memory behind ordinary arrays, whatever their owners do with them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import upsample
from upsample._kernels.cpu import skeleton

MIB = 2**20
pytestmark = pytest.mark.skipif(skeleton.pool_info()["limit"] == 0, reason="no pool on this machine")


@pytest.fixture(autouse=True)
def emptied() -> Any:
    limit = skeleton.pool_info()["limit"]
    skeleton.set_pool_limit(0)
    skeleton.set_pool_limit(limit)
    yield
    skeleton.set_pool_limit(limit)


def signal(n: int, value: float = 1.0) -> Any:
    return np.full((1, 1, n), value, np.float32)


def enlarged(mib: int, value: float = 1.0) -> Any:
    """An output of so many MiB."""
    return upsample.interpolate(signal(mib * MIB // 8, value), scale_factor=2)


def kept() -> int:
    return skeleton.pool_info()["kept"]


def test_memory_of_a_freed_output_is_used_again() -> None:
    first = enlarged(8)
    where = first.ctypes.data
    del first
    assert kept() >= 8 * MIB
    hits = skeleton.pool_info()["hits"]
    second = enlarged(8, 3.0)
    assert second.ctypes.data == where
    assert skeleton.pool_info()["hits"] == hits + 1
    assert (second == 3).all()


def test_small_outputs_are_numpys_own() -> None:
    misses = skeleton.pool_info()["misses"]
    upsample.interpolate(signal(MIB // 8), scale_factor=2)
    assert skeleton.pool_info()["misses"] == misses


def test_outputs_own_their_data_and_are_aligned() -> None:
    x = enlarged(8)
    assert x.flags.owndata
    assert x.base is None
    assert x.ctypes.data % 64 == 0
    assert np.empty(MIB, np.float64).base is None  # NumPy's own handler is back in place
    assert np.lib.array_utils.byte_bounds(x)[1] > x.ctypes.data if hasattr(np.lib, "array_utils") else True


def test_a_view_keeps_its_memory() -> None:
    view = enlarged(8, 5.0)[0, 0, ::3]
    gc.collect()
    assert kept() == 0
    other = enlarged(8, 6.0)
    assert (view == 5).all()
    assert (other == 6).all()
    del view, other
    gc.collect()
    assert kept() >= 16 * MIB


def test_arrays_may_be_freed_by_another_thread() -> None:
    arrays = [enlarged(4, float(i)) for i in range(6)]
    assert all((a == i).all() for i, a in enumerate(arrays))
    thread = threading.Thread(target=arrays.clear)
    thread.start()
    thread.join()
    assert kept() >= 24 * MIB


def test_many_threads_at_once() -> None:
    wrong = []

    def work(value: float) -> None:
        for _ in range(15):
            if not (enlarged(4, value) == value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(i),)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_resize_grows_and_shrinks() -> None:
    x = enlarged(8, 2.0)
    x.resize((1, 1, 5 * MIB), refcheck=False)
    assert (x[0, 0, : 2 * MIB] == 2).all()
    assert (x[0, 0, 2 * MIB :] == 0).all()
    x.resize((1, 1, 16), refcheck=False)
    assert (x == 2).all()
    y = x.copy()
    del x
    assert (y == 2).all()


def test_the_limit_is_kept() -> None:
    skeleton.set_pool_limit(20 * MIB)
    arrays = [enlarged(8, float(i)) for i in range(5)]
    del arrays
    assert 0 < kept() <= 20 * MIB
    skeleton.set_pool_limit(5 * MIB)
    assert kept() <= 5 * MIB
    del_me = enlarged(40)
    del del_me
    assert kept() <= 5 * MIB


def test_switched_off_it_keeps_nothing() -> None:
    skeleton.set_pool_limit(0)
    before = skeleton.pool_info()
    x = enlarged(8)
    del x
    assert skeleton.pool_info() == before
    assert kept() == 0


@pytest.mark.slow
def test_a_thousand_sizes_do_not_grow_it() -> None:
    limit = 64 * MIB
    skeleton.set_pool_limit(limit)
    rng = np.random.default_rng(0)
    for n in rng.integers(MIB // 2, 2 * MIB, 1000):
        x = upsample.interpolate(signal(int(n)), scale_factor=2)
        assert x.shape[-1] == 2 * n
        assert kept() <= limit
        del x


def test_tracemalloc_sees_the_outputs() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        x = enlarged(8)
        assert tracemalloc.get_traced_memory()[0] - before >= 8 * MIB
        del x
        assert tracemalloc.get_traced_memory()[0] - before < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_with_an_empty_pool() -> None:
    code = """
import os, sys, numpy as np, upsample
from upsample._kernels.cpu import skeleton
x = np.full((1, 1, 2**20), 3, np.float32)
held = upsample.interpolate(x, scale_factor=2)
upsample.interpolate(x, scale_factor=2)
assert skeleton.pool_info()["kept"] > 0
child = os.fork()
if child == 0:
    ok = skeleton.pool_info()["kept"] == 0 and (held == 3).all()
    y = upsample.interpolate(x, scale_factor=2)
    ok = ok and (y == 3).all()
    del held, y
    os._exit(0 if ok else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(("value", "limit"), [("0", 0), ("33554432", 33554432), ("", None)])
def test_the_environment_sets_the_limit(value: str, limit: int | None) -> None:
    code = "from upsample._kernels.cpu import skeleton; import upsample; print(skeleton.pool_info()['limit'])"
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], env={**os.environ, "UPSAMPLE_POOL": value}, capture_output=True, text=True
    )
    assert int(run.stdout) == limit if limit is not None else int(run.stdout) > 0


@pytest.mark.parametrize("value", ["-1", "lots", "1e9", "512M"])
def test_nonsense_in_the_environment_is_an_error(value: str) -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-c", "import upsample"],
        env={**os.environ, "UPSAMPLE_POOL": value},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "UPSAMPLE_POOL" in run.stderr


def test_an_output_is_written_whole_before_it_is_handed_out() -> None:
    """Recycled memory full of a marker: no byte of it survives in any mode, dtype and order."""
    cases = [
        ((1, 3, 500, 800), "float32", {"mode": "bilinear", "scale_factor": 2}),
        ((1, 3, 500, 801), "float32", {"mode": "bicubic", "scale_factor": 2.1}),
        ((900, 901, 3), "uint8", {"mode": "bicubic", "scale_factor": 2, "layout": "HWC"}),
        ((1, 1, 100, 101, 103), "float32", {"mode": "trilinear", "scale_factor": 2}),
        ((4, 8, 65, 513), "float16", {"mode": "bilinear", "scale_factor": 4}),
        ((1, 1, 3_000_001), "float32", {"mode": "nearest", "scale_factor": 3}),
        ((1, 3, 1100, 1000), "float64", {"mode": "area", "scale_factor": 0.5}),
    ]
    for shape, dtype, arguments in cases:
        x = np.random.default_rng(0).uniform(1, 100, shape).astype(dtype)
        plan = upsample.plan(shape, dtype, **arguments)
        want = np.empty(plan.out_shape, dtype)
        plan(x, want)
        marked = plan(x)
        marked.reshape(-1).view(np.uint8)[...] = 0xA5
        where = marked.ctypes.data
        del marked
        got = plan(x)
        assert got.ctypes.data == where
        assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_streamed_outputs_have_the_bits_of_plain_ones(mode: str, dtype: str) -> None:
    """Large and warm outputs are streamed past the cache; a slice of `out` of the same size is too, a window is not."""
    x = np.random.default_rng(1).uniform(0, 100, (1, 3, 1030, 1031)).astype(dtype)
    scale = {"float32": 1.7, "float16": 2.6, "uint8": 3.4, "float64": 1.3}[dtype]
    plan = upsample.plan(x.shape, x.dtype, scale_factor=scale, mode=mode)
    whole = plan(x, np.empty(plan.out_shape, dtype))
    assert whole.nbytes >= 32 * MIB
    raw = np.empty(whole.nbytes + 64, np.uint8)
    shift = (dtype == "uint8" and 3) or whole.itemsize
    odd = raw[shift : shift + whole.nbytes].view(dtype).reshape(whole.shape)
    assert plan(x, odd).tobytes() == whole.tobytes()
    height, width = plan.out_shape[2:]
    for top in (0, height // 2, height - 37):
        (a, b), (c, d), part = plan.window((top, 0), (top + 37, width))
        assert np.array_equal(part(x[:, :, a:c, b:d]), whole[:, :, top : top + 37])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint16", "uint8", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("width", [64, 1920, 1003])
def test_streamed_doubling_has_the_bits_of_plain_doubling(mode: str, dtype: str, width: int) -> None:
    """Rows that are whole lines, rows that are not, and outputs that begin anywhere in a line."""
    height = 35 * MIB // (4 * width * np.dtype(dtype).itemsize)
    x = np.random.default_rng(1).uniform(0, 200, (1, 1, height, width)).astype(dtype)
    plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode=mode)
    size, item = 4 * x.size, x.itemsize
    raw = np.empty(size * item + 128, np.uint8)
    base = -raw.ctypes.data % 64
    pieces = np.empty(plan.out_shape, dtype)
    step = 30 * MIB // (2 * width * item)  # too small to be streamed
    for top in range(0, 2 * height, step):
        stop = min(top + step, 2 * height)
        (a, b), (c, d), part = plan.window((top, 0), (stop, 2 * width))
        pieces[:, :, top:stop] = part(x[:, :, a:c, b:d])
    for shift in (0, item, 16, 32, 64 - item):
        out = raw[base + shift : base + shift + size * item].view(dtype).reshape(plan.out_shape)
        out[...] = 7
        assert plan(x, out) is out
        assert out.tobytes() == pieces.tobytes(), shift


@pytest.mark.parametrize("mode", ["area", "bilinear"])
def test_streamed_means_have_the_bits_of_plain_ones(mode: str) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (1, 1, 6000, 6002)).astype(np.float32)
    plan = upsample.plan(x.shape, x.dtype, scale_factor=0.5, mode=mode)
    out = np.empty(plan.out_shape, np.float32)
    out[...] = 7
    assert plan(x, out).nbytes >= 32 * MIB
    for top in (0, 1500, 2990):
        (a, b), (c, d), part = plan.window((top, 0), (top + 10, 3001))
        assert np.array_equal(part(x[:, :, a:c, b:d]), out[:, :, top : top + 10])


# ---- the limit ---------------------------------------------------------------------------------------------


def test_the_limit_can_be_set_and_what_is_above_it_is_freed() -> None:
    default = skeleton.pool_info()["limit"]
    made = [enlarged(8), enlarged(8)]
    del made
    assert skeleton.pool_info()["kept"] >= 16 * MIB
    upsample.set_pool_limit(10 * MIB)
    assert skeleton.pool_info()["kept"] <= 10 * MIB
    upsample.set_pool_limit(np.int64(0))
    assert skeleton.pool_info()["kept"] == skeleton.pool_info()["limit"] == 0
    upsample.set_pool_limit()
    assert skeleton.pool_info()["limit"] > 0
    skeleton.set_pool_limit(default)


@pytest.mark.parametrize(
    ("limit", "error"),
    [(-1, ValueError), (2**63, ValueError), (True, TypeError), (1.0, TypeError), ("1", TypeError)],
)
def test_other_limits_are_refused(limit: Any, error: type[Exception]) -> None:
    before = skeleton.pool_info()["limit"]
    with pytest.raises(error, match="the pool's limit must be"):
        upsample.set_pool_limit(limit)
    assert skeleton.pool_info()["limit"] == before


def test_what_nobody_takes_again_goes_back_with_the_next_call() -> None:
    del_me = enlarged(40)
    del del_me
    assert skeleton.pool_info()["kept"] >= 40 * MIB
    time.sleep(4.2)
    enlarged(1)
    assert skeleton.pool_info()["kept"] == 0


def test_outputs_that_became_small_are_no_mappings() -> None:
    small = []
    before = len(Path("/proc/self/maps").read_text().splitlines())
    for _ in range(300):
        y = upsample.interpolate(signal(MIB // 2 + 8), scale_factor=2)
        y.resize(16, refcheck=False)
        small.append(y)
    assert len(Path("/proc/self/maps").read_text().splitlines()) < before + 100
    assert all((y == 1).all() for y in small)


def test_where_memory_runs_out_the_pool_is_emptied_first() -> None:
    code = """if True:
        import resource, numpy as np, upsample
        from upsample._kernels.cpu import skeleton
        skeleton.set_pool_limit(1 << 30)
        kept = [upsample.interpolate(np.ones((1, 1, 8 << 20), np.float32), scale_factor=2) for _ in range(6)]
        del kept
        assert skeleton.pool_info()["kept"] >= 6 * (64 << 20)
        now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20),) * 2)
        x = np.ones((1, 1, 1 << 20), np.float32)
        y = upsample.interpolate(x, scale_factor=40)
        assert y.nbytes == 160 << 20 and y.min() == y.max() == 1, y
        assert skeleton.pool_info()["kept"] == 0
    """
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
