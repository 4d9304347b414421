"""On a real GPU: the kit, the CPU's bits, streams, graphs and devices. Skipped where there is none."""

from __future__ import annotations

import importlib
from typing import Any

import compare
import numpy as np
import pytest

import upsample
from upsample import testing
from upsample._kernels.cpu import skeleton


def device() -> Any:
    try:
        found = importlib.import_module("cupy")
        return found if found.cuda.runtime.getDeviceCount() else None
    except Exception:
        return None


cupy = device()
pytestmark = pytest.mark.skipif(
    cupy is None, reason="it needs a GPU and CuPy: python tests/gpu/report.py runs it there"
)
needs_fma_level = pytest.mark.skipif(skeleton.level() == "baseline", reason="this level has no FMA")


def test_the_kit() -> None:
    report = testing.check_backend("cuda", arrays="cupy", count=300)
    assert report.passed > 400


@needs_fma_level
def test_the_bits_of_the_cpu() -> None:
    compared = compare.with_cpu(testing.random_cases(600, seed=11))
    assert sum(compared.values()) > 400
    assert {"float32", "float16", "float64", "uint8"} <= set(compared)


@needs_fma_level
def test_subnormal_samples_have_the_bits_of_the_cpu() -> None:
    with compare.subnormal_samples():
        compared = compare.with_cpu(testing.random_cases(300, seed=12, dtypes=("float32", "float16", "float64")))
        compared += compare.with_cpu(c for c in testing.systematic_cases(12) if c.dtype == "bfloat16")
    assert sum(compared.values()) > 200


@needs_fma_level
def test_taps_evaluated_on_the_device_have_the_bits_of_the_cpu() -> None:
    assert compare.evaluated_maps() == 12


@needs_fma_level
def test_an_output_beyond_2_31_samples() -> None:
    if cupy.cuda.runtime.memGetInfo()[0] < 6 << 30:
        pytest.skip("it takes 3 GB twice")
    assert compare.many_planes(520, 1024) > 2**31


def test_a_graph_replays_a_call() -> None:
    x = cupy.asarray(np.random.default_rng(0).random((1, 3, 32, 32), np.float32))
    for arguments in ({"scale_factor": 2, "mode": "bicubic"}, {"scale_factor": 0.4, "mode": "area"}):
        plan = upsample.plan(x.shape, x.dtype, **arguments)
        out = plan(x)
        want = out.copy()
        cupy.cuda.get_current_stream().synchronize()
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            plan(x, out)
            stream.begin_capture()
            plan(x, out)
            graph = stream.end_capture()
            out[...] = 0
            graph.launch(stream)
            stream.synchronize()
            assert (out == want).all()


def test_the_arrays_device_is_used() -> None:
    last = cupy.cuda.runtime.getDeviceCount() - 1
    host = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
    with cupy.cuda.Device(last):
        x = cupy.asarray(host)
    for arguments in ({"size": (41, 43), "mode": "bilinear"}, {"size": (32, 32), "mode": "bilinear"}):
        got = upsample.interpolate(x, **arguments)
        assert got.device.id == last
        with cupy.cuda.Device(last):
            assert compare.same_bits(got.get(), upsample.interpolate(host, **arguments))


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
