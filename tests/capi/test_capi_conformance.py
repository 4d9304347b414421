"""The C table does what Python calls do, to the bit: every case of the kit, in shuffled units on several threads."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import ctable
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import upsample
from upsample import testing

COUNT = 1500


def dense_copy(x: Any) -> Any:
    """What the text of a refusal asks for: native, aligned, in C order."""
    return np.ascontiguousarray(x).astype(x.dtype.newbyteorder("="))


def through_the_table(case: testing.Case, seen: Counter[str], seed: int) -> tuple[Any, Any]:
    """The results of the table and of the Python call."""
    x = case.array()
    with upsample.num_threads(1):
        expected = upsample.plan(x.shape, x.dtype, **case.arguments)(x)
    if not x.dtype.isnative:
        seen["swapped"] += 1
        x = dense_copy(x)
    kernel = ctable.made(ctable.work(x.shape, x.dtype, strides=x.strides, **case.arguments))
    if isinstance(kernel, ctable.Refused):
        assert kernel.status == ctable.LAYOUT, kernel
        assert "copy into an array" in kernel.text or "multiples of" in kernel.text
        seen["refused: a copy"] += 1
        seen[f"refused: {case.strides}"] += 1
        x = dense_copy(x)
        kernel = ctable.Kernel(ctable.work(x.shape, x.dtype, strides=x.strides, **case.arguments))
    out = kernel.new_output(x.dtype)
    if x.ctypes.data % kernel.info.alignment:
        seen["unaligned"] += 1
        assert kernel.execute(x.ctypes.data, out.ctypes.data, 0, kernel.info.units) == ctable.ALIGNMENT
        moved = np.empty_like(x, subok=False)
        moved[...] = x
        assert moved.strides == x.strides
        x = moved
    before = x.tobytes()
    threads = 1 + seed % 3
    kernel.run(x, out, threads=threads, parts=1 + seed % 7, seed=seed)
    assert x.tobytes() == before
    seen[f"{threads} threads"] += 1
    w = (case.arguments.get("layout") or "NCDHW"[-x.ndim :]).index("W")
    seen["channels inside" if out.strides[w] > out.itemsize and out.shape[w] > 1 else "plain"] += 1
    return out, expected


def test_every_case_of_the_kit_has_the_bits_of_the_python_call() -> None:
    seen: Counter[str] = Counter()
    cases = (*testing.systematic_cases(7), *testing.random_cases(COUNT, 7))
    for number, case in enumerate(cases):
        out, expected = through_the_table(case, seen, number)
        assert out.shape == expected.shape
        assert out.tobytes() == expected.tobytes(), case
        seen["cases"] += 1
    assert seen["cases"] == len(cases) > COUNT + 250
    # samples or pixels that are not adjacent along W need a copy; so do signals whose result has another order
    refused = {key.removeprefix("refused: ") for key in seen if key.startswith("refused: ")}
    assert refused <= {"a copy", "fortran", "reversed", "every-second", "channels-last", "sliced", "broadcast"}
    assert seen["refused: sliced"] < 60  # those with gaps between pixels
    assert min(seen["refused: a copy"], seen["unaligned"], seen["channels inside"], seen["3 threads"]) > 40, seen


def test_larger_arrays_of_several_tiles_and_bands() -> None:
    seen: Counter[str] = Counter()
    for case in testing.random_cases(600, seed=3):
        shape = tuple(n * (3 if len(case.shape) > 3 else 40) for n in case.shape)
        arguments = {k: v for k, v in case.arguments.items() if k != "size"}
        if "scale_factor" not in arguments:
            arguments["scale_factor"] = 2.0
        larger = testing.Case(shape, case.dtype, arguments, case.strides, case.seed)
        if seen["cases"] < 40 and 70_000 <= larger.output_size() <= 400_000:
            out, expected = through_the_table(larger, seen, seen["cases"])
            assert out.tobytes() == expected.tobytes(), larger
            seen["cases"] += 1
    assert seen["cases"] == 40


@given(st.integers(0, 2**31))
@settings(max_examples=150)
def test_rows_planes_and_batches_may_have_any_strides(seed: int) -> None:
    """Axes outside of W at random distances, in random order and direction, in input and output."""
    (case,) = testing.random_cases(1, seed)
    rng = np.random.default_rng(seed)
    x = dense_copy(testing.Case(case.shape, case.dtype, case.arguments, "contiguous", case.seed).array())
    expected = upsample.plan(x.shape, x.dtype, **case.arguments)(x)
    layout = case.arguments.get("layout") or "NC" + "DHW"[5 - x.ndim :]
    w = layout.index("W")
    order = [int(a) for a in rng.permutation(w)]

    def spread(shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        """An array whose axes outside of W lie in `order`, with gaps, some reversed."""
        padded = [shape[a] + int(rng.integers(0, 3)) for a in order]
        base = np.zeros((*padded, *shape[w:]), x.dtype).view(np.uint8)
        base[...] = 0xC3
        a = base.view(x.dtype)[tuple(slice(0, shape[axis]) for axis in order)]
        a = a.transpose([*np.argsort(order), *range(w, len(shape))])
        a = a[tuple(slice(None, None, rng.choice([1, -1])) for _ in range(w))]
        return a, base

    source, _ = spread(x.shape)
    source[...] = x
    target, memory = spread(expected.shape)
    kernel = ctable.Kernel(
        ctable.work(x.shape, x.dtype, strides=source.strides, out_strides=target.strides, **case.arguments)
    )
    kernel.run(source, target, threads=2, parts=5, seed=seed)
    assert target.tobytes() == expected.tobytes()
    target.view(np.uint8)[...] = 0xC3
    assert (memory == 0xC3).all()  # nothing between the samples was written


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int16", "V3"])
@pytest.mark.parametrize("layout", ["HW", "HWC", "DHW"])
def test_rows_that_are_not_resampled_may_be_padded_too(layout: str, dtype: str) -> None:
    """W keeps its size: its rows are taken apart, where Python makes a copy."""
    rng = np.random.default_rng(4)
    shape = {"HW": (9, 14), "HWC": (9, 14, 3), "DHW": (5, 6, 14)}[layout]
    size = {"HW": (23, 14), "HWC": (23, 14), "DHW": (11, 13, 14)}[layout]
    modes = [("nearest", False)] if dtype == "V3" else [
        ("nearest", False), ("cubic", False), ("area", False), ("cubic", True)
    ]  # fmt: skip
    raw = rng.integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
    x = raw.view(dtype)[..., 0] if dtype[0] in "uiV" else rng.normal(size=shape).astype(dtype)
    padding = [(0, 0)] * (layout.index("W")) + [(0, 5)] + [(0, 0)] * (len(layout) - 1 - layout.index("W"))
    padded = np.zeros([n + b for n, (_, b) in zip(shape, padding, strict=True)], dtype)
    source = padded[tuple(slice(0, n) for n in shape)]
    source[...] = x
    for mode, antialias in modes:
        arguments = {"size": size, "mode": mode, "antialias": antialias, "layout": layout}
        expected = upsample.interpolate(x, **arguments)
        wide = np.zeros([n + b for n, (_, b) in zip(expected.shape, padding, strict=True)], dtype)
        for target in (np.zeros_like(expected), wide[tuple(slice(0, n) for n in expected.shape)]):
            kernel = ctable.Kernel(
                ctable.work(shape, dtype, strides=source.strides, out_strides=target.strides, **arguments)
            )
            kernel.run(source, target, threads=2, parts=4)
            assert target.tobytes() == expected.tobytes(), (mode, antialias)


@given(st.integers(0, 2**31))
@settings(max_examples=100)
def test_a_window_has_the_bits_of_the_whole(seed: int) -> None:
    (case,) = testing.random_cases(1, seed)
    rng = np.random.default_rng(seed)
    x = dense_copy(case.array())
    plan = upsample.plan(x.shape, x.dtype, **case.arguments)
    start, stop = [], []
    for axis in plan.spatial:
        start.append(int(rng.integers(0, plan.out_shape[axis])))
        stop.append(int(rng.integers(start[-1] + 1, plan.out_shape[axis] + 1)))
    in_start, in_stop, _ = plan.window(tuple(start), tuple(stop))
    kernel = ctable.Kernel(
        ctable.work(x.shape, x.dtype, strides=x.strides, window_start=start, window_stop=stop, **case.arguments)
    )
    assert tuple(kernel.info.in_start[: len(start)]) == in_start
    cut, piece = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    for axis, a, b, lo, hi in zip(plan.spatial, in_start, in_stop, start, stop, strict=True):
        cut[axis], piece[axis] = slice(a, b), slice(lo, hi)
    part = x[tuple(cut)]
    assert kernel.shape("in") == part.shape
    out = kernel.new_output(x.dtype)
    kernel.run(part, out, parts=3, seed=seed)
    assert out.tobytes() == plan(x)[tuple(piece)].tobytes()


@given(st.integers(0, 2**31))
@settings(max_examples=150)
def test_gradients_are_those_of_plans(seed: int) -> None:
    """The transposed kernel against `plan.T`."""
    (case,) = testing.random_cases(1, seed, dtypes=("float32", "float64", "float16"))
    plan = upsample.plan(case.shape, np.dtype(case.dtype), **case.arguments)
    answer = ctable.made(ctable.work(case.shape, case.dtype, transposed=1, **case.arguments))
    assert isinstance(answer, ctable.Kernel)
    assert (answer.shape("in"), answer.shape("out")) == (plan.out_shape, plan.shape)
    grad = np.random.default_rng(seed).normal(size=plan.out_shape).astype(case.dtype)
    out = answer.new_output(grad.dtype)
    answer.run(grad, out, threads=2, parts=4, seed=seed)
    assert out.tobytes() == plan.T(grad).tobytes()


@given(st.integers(0, 2**31))
@settings(max_examples=100)
def test_a_window_of_a_gradient_has_the_bits_of_the_whole(seed: int) -> None:
    (case,) = testing.random_cases(1, seed, dtypes=("float32", "float64", "float16"))
    rng = np.random.default_rng(seed)
    plan = upsample.plan(case.shape, np.dtype(case.dtype), **case.arguments)
    grad = rng.normal(size=plan.out_shape).astype(case.dtype)
    start, stop = [], []
    for axis in plan.spatial:
        start.append(int(rng.integers(0, plan.shape[axis])))
        stop.append(int(rng.integers(start[-1] + 1, plan.shape[axis] + 1)))
    kernel = ctable.Kernel(
        ctable.work(case.shape, case.dtype, transposed=1, window_start=start, window_stop=stop, **case.arguments)
    )
    cut, piece = [slice(None)] * grad.ndim, [slice(None)] * grad.ndim
    for i, axis in enumerate(plan.spatial):
        first = kernel.info.in_start[i]
        cut[axis], piece[axis] = slice(first, first + kernel.shape("in")[axis]), slice(start[i], stop[i])
    part = np.ascontiguousarray(grad[tuple(cut)])
    assert kernel.shape("in") == part.shape
    out = kernel.new_output(grad.dtype)
    kernel.run(part, out, threads=2, parts=3, seed=seed)
    assert out.tobytes() == plan.T(grad)[tuple(piece)].tobytes()


def test_a_long_signal_split_over_units() -> None:
    x = np.random.default_rng(0).integers(0, 256, 10**8, np.uint8).reshape(1, 1, -1)
    arguments = {"scale_factor": 1.25, "mode": "linear"}
    kernel = ctable.Kernel(ctable.work(x.shape, x.dtype, **arguments))
    assert kernel.info.units > 1000
    assert kernel.info.scratch_bytes < 8 << 20
    out = kernel.new_output(np.uint8)
    kernel.run(x, out, threads=3, parts=100)
    expected = upsample.interpolate(x, **arguments)
    assert out.shape == (1, 1, 125_000_000)
    assert np.array_equal(out, expected)


def test_outputs_that_are_written_past_the_cache() -> None:
    """32 MiB and more: streamed unless the pages are fresh; also raw samples at odd addresses."""
    rng = np.random.default_rng(1)
    x = rng.random((1, 3, 1000, 700), np.float32)
    for mode in ("nearest", "bilinear"):
        expected = upsample.interpolate(x, scale_factor=2, mode=mode)
        for fresh in (0, 1):
            kernel = ctable.Kernel(ctable.work(x.shape, "float32", scale_factor=2, mode=mode, fresh_output=fresh))
            assert kernel.info.out_bytes >= 32 << 20
            out = kernel.new_output(np.float32)
            kernel.run(x, out, threads=2, parts=9)
            assert np.array_equal(out, expected)
    for itemsize in (3, 4, 8):
        raw = (
            rng.integers(0, 256, 1 + 1500 * 1400 * itemsize, np.uint8)[1:]
            .view(f"V{itemsize}")
            .reshape(1, 1, 1500, 1400)
        )
        for scale in (2.0, 3.0):
            kernel = ctable.Kernel(ctable.work(raw.shape, raw.dtype, scale_factor=scale))
            assert kernel.info.alignment == 1
            memory = np.empty(kernel.info.out_bytes + 1, np.uint8)
            out = memory[1:].view(raw.dtype).reshape(kernel.shape("out"))
            kernel.run(raw, out, threads=2, parts=3)
            assert out.tobytes() == upsample.interpolate(raw, scale_factor=scale).tobytes()


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(12, 3, 128, 128), (2, 3, 500, 512)])
def test_padded_images_and_planes_of_a_large_output(shape: tuple[int, ...], mode: str) -> None:
    """More blocks than one, of less than 32 MiB and of more: streamed, and no byte behind the scratch is written."""
    n, c, h, w = shape
    padded = np.zeros((n, c + 1, h + 2, w), np.float32)
    x = padded[:, :c, :h]
    x[...] = np.random.default_rng(0).random(x.shape, dtype=np.float32)
    scale = 5.0 if h < 200 else 6.0
    whole = np.zeros((n, c + 1, int(h * scale) + 1, int(w * scale)), np.float32)
    out = whole[:, :c, : int(h * scale)]
    kernel = ctable.Kernel(
        ctable.work(x.shape, "float32", strides=x.strides, out_strides=out.strides, scale_factor=scale, mode=mode)
    )
    assert (out[0, 0].nbytes >= 32 << 20) is (h > 200)  # a block is a plane
    assert out.nbytes >= 32 << 20
    kernel.run(x, out, threads=2, parts=5)
    with upsample.num_threads(1):
        assert np.array_equal(out, upsample.interpolate(np.ascontiguousarray(x), scale_factor=scale, mode=mode))
    assert not whole[:, c:].any()
    assert not whole[:, :, int(h * scale) :].any()


def test_bfloat16_needs_no_package() -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.random.default_rng(2).normal(size=(1, 2, 9, 11)).astype(bfloat16)
    kernel = ctable.Kernel(ctable.work(x.shape, "bfloat16", scale_factor=1.5, mode="bicubic"))
    out = kernel.new_output(bfloat16)
    kernel.run(x, out)
    assert out.tobytes() == upsample.interpolate(x, scale_factor=1.5, mode="bicubic").tobytes()
    # and the interface itself imports none
    code = f"""
import sys
sys.path.insert(0, {str(Path(ctable.__file__).parent)!r})
import ctable
ctable.Kernel(ctable.work((1, 1, 4), "bfloat16", size=9))
print("ml_dtypes" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert said.stdout == "False\n", said.stderr


def test_no_axis_changes_and_nothing_to_write() -> None:
    x = np.arange(2 * 3 * 5 * 7, dtype=np.float32).reshape(2, 3, 5, 7)
    for source in (x, np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
        kernel = ctable.Kernel(ctable.work(x.shape, "float32", strides=source.strides, size=(5, 7), mode="bilinear"))
        assert kernel.strides("out") == source.strides
        out = kernel.new_output(np.float32)
        kernel.run(source, out, threads=2, parts=4)
        assert np.array_equal(out, x)
    for shape, arguments in (((0, 3, 5, 7), {"size": (9, 9)}), ((2, 3, 5, 7), {"size": (0, 4), "mode": "area"})):
        kernel = ctable.Kernel(ctable.work(shape, "float32", **arguments))
        assert kernel.shape("out") == upsample.plan(shape, np.float32, **arguments).out_shape
        assert (kernel.info.units, kernel.info.out_bytes) == (0, 0)
        assert ctable.TABLE.execute(kernel.handle, None, None, None, 0, 0) == ctable.OK


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_a_gradient_of_no_samples_is_zeros(dtype: str) -> None:
    """The forward work has an empty output: its adjoint reads nothing and writes every sample."""
    for shape, scale in (((1, 1, 1, 3), (2.0, 0.3)), ((2, 3, 1, 5), (0.5, 3.0)), ((2, 2, 200, 300), (1e-3, 1.0))):
        arguments = {"scale_factor": scale, "mode": "area", "transposed": 1}
        plan = upsample.plan(shape, np.dtype(dtype), scale_factor=scale, mode="area").T
        expected = plan(np.empty(plan.shape, dtype))
        assert expected.size
        assert not expected.any()
        padded = np.full([n + 1 for n in shape], 7, dtype)
        for out in (
            np.full(shape, 7, dtype),
            np.full(shape[::-1], 7, dtype).transpose(),
            padded[:-1, :-1, :-1, :-1],
            padded[1:, :0:-1, 1:, :0:-1],
        ):
            out[...] = 7
            outside = np.count_nonzero(padded)
            kernel = ctable.Kernel(ctable.work(shape, dtype, out_strides=out.strides, **arguments))
            assert (kernel.info.in_bytes, kernel.shape("in")) == (0, plan.shape)
            kernel.run(np.empty(plan.shape, dtype), out, threads=2, parts=3)
            assert out.tobytes() == expected.tobytes()
            if out.base is padded:
                assert np.count_nonzero(padded) == outside - out.size
            out[...] = 7  # an input without bytes may be anywhere, also nowhere
            for address in (0, out.ctypes.data):
                assert kernel.execute(address, out.ctypes.data, 0, kernel.info.units) == ctable.OK
            assert not out.any()
            assert kernel.execute(0, 0, 0, 1) == ctable.ARGUMENT
            assert kernel.execute(0, out.ctypes.data, 0, kernel.info.units + 1) == ctable.UNITS
    window = {"window_start": (0, 1), "window_stop": (1, 3)}
    kernel = ctable.Kernel(
        ctable.work((1, 1, 1, 3), dtype, scale_factor=(2.0, 0.3), mode="area", transposed=1, **window)
    )
    out = kernel.new_output(dtype)
    kernel.run(np.empty(kernel.shape("in"), dtype), out)
    assert out.shape == (1, 1, 1, 2)
    assert not out.any()
