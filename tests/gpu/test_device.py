"""On a real GPU: the kit, the CPU's bits, streams, graphs and devices. Skipped where there is none."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import upsample
from upsample import testing
from upsample.backends import why_not


def device() -> Any:
    try:
        found = importlib.import_module("cupy")
        return found if found.cuda.runtime.getDeviceCount() else None
    except Exception:
        return None


cupy = device()
pytestmark = pytest.mark.skipif(cupy is None, reason="there is no GPU, or no CuPy")


def test_the_kit() -> None:
    report = testing.check_backend("cuda", arrays="cupy", count=300)
    assert report.passed > 400


def test_the_bits_of_the_cpu() -> None:
    compared = 0
    for case in testing.random_cases(400, seed=11):
        host = case.array()
        x = testing.to_cupy(host)
        if x is None or host.dtype.kind not in "iu":  # NaNs apart, floats are compared by the report
            continue
        plan = upsample.plan(host.shape, host.dtype, **case.arguments)
        assert why_not(plan, x, "cuda")(x).get().tobytes() == why_not(plan, host, "cpu")(host).tobytes(), case
        compared += 1
    assert compared > 100


def test_a_graph_replays_a_call() -> None:
    x = cupy.asarray(np.random.default_rng(0).random((1, 3, 32, 32), np.float32))
    out = upsample.interpolate(x, scale_factor=2, mode="bicubic")
    want = out.copy()
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        upsample.interpolate(x, scale_factor=2, mode="bicubic", out=out)
        stream.begin_capture()
        upsample.interpolate(x, scale_factor=2, mode="bicubic", out=out)
        graph = stream.end_capture()
        out[...] = 0
        graph.launch(stream)
        stream.synchronize()
    assert (out == want).all()


def test_streams_run_at_once() -> None:
    x = cupy.asarray(np.random.default_rng(0).random((4, 3, 64, 64), np.float32))
    want = upsample.interpolate(x, scale_factor=0.4, mode="area")
    cupy.cuda.get_current_stream().synchronize()
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(4)]
    made = []
    for stream in streams:
        with stream:
            made.append(upsample.interpolate(x, scale_factor=0.4, mode="area"))
    for stream, got in zip(streams, made, strict=True):
        stream.synchronize()
        assert (got == want).all()
