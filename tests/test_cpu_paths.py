"""The CPU backend's levels and paths: each is forced, shown to have run, and gives the same bits."""

from __future__ import annotations

import gc
import itertools
import math
import os
import random
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

import upsample
from upsample import testing
from upsample._kernels.cpu import skeleton
from upsample.backends import kernel_for

LEVELS = skeleton.levels()
FMA_LEVELS = tuple(name for name in LEVELS if name != "baseline")


def fresh(case: testing.Case, x: Any) -> Any:
    return upsample.plan(x.shape, x.dtype, **case.arguments)(x)


def fma32(a: Any, b: Any, c: Any) -> Any:
    """float32 a*b + c rounded once: the product is exact in float64; the sum is rounded to odd, then to float32."""
    p, c = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    s = p + c
    t = s - p
    error = (p - (s - t)) + (c - t)
    odd = (s.view(np.int64) & 1) == 1
    away = (error > 0) == (s > 0)
    fixed = np.where((error != 0) & ~odd, np.where(away, s.view(np.int64) + 1, s.view(np.int64) - 1), s.view(np.int64))
    return fixed.view(np.float64).astype(np.float32)


def taps_of(axis_map: Any) -> Any:
    """For each output the inputs that it is made of, and their weights (1 where the map has none)."""
    first, count, weights = axis_map.taps()
    for o in range(axis_map.m):
        at = np.clip(first[o] + np.arange(count[o]), 0, axis_map.n - 1)
        yield at, np.ones(count[o], np.float32) if weights is None else weights[o, : count[o]]


def one_sum(axis_map: Any, x: Any, axis: int) -> Any:
    """A pass in float32 by the definition: w1*x1, then fma(w0, x0), then fma(wk, xk) for k = 2, 3, ..."""
    x = np.moveaxis(x, axis, -1)
    out = np.empty((*x.shape[:-1], axis_map.m), np.float32)
    for o, (at, weights) in enumerate(taps_of(axis_map)):
        taps = [x[..., i] for i in at]
        if not taps:
            out[..., o] = 0
            continue
        if axis_map.weights is None:
            a = taps[0].copy()
            for t in taps[1:]:
                a = a + t
            out[..., o] = a / np.float32(len(taps))
            continue
        w = [np.full_like(taps[0], v) for v in weights]
        if len(taps) == 1:
            a = w[0] * taps[0]
        else:
            a = fma32(w[0], taps[0], w[1] * taps[1])
            for k in range(2, len(taps)):
                a = fma32(w[k], taps[k], a)
        out[..., o] = a
    return np.moveaxis(out, -1, axis)


@pytest.mark.parametrize("name", LEVELS)
def test_each_level_agrees_with_the_reference(name: str, level: Any) -> None:
    level(name)
    assert skeleton.level() == name
    report = testing.check_backend("cpu", count=400, seed=11)
    assert not report.refused


@pytest.mark.parametrize("name", FMA_LEVELS)
def test_fma_levels_equal_the_one_sum_to_the_bit(name: str, level: Any) -> None:
    level(name)
    compared = 0
    for case in testing.random_cases(250, seed=5, dtypes=("float32",)):
        if case.arguments.get("numerics") == "exact":
            continue
        plan = upsample.plan(case.shape, case.dtype, **case.arguments)
        for made, samples in ((plan, case.array()), (plan.T, case.gradient(plan.out_shape))):
            x = np.nan_to_num(samples, posinf=3.0)  # the emulated fma is for finite samples
            want = x.astype(np.float32)
            if made.passes and made.passes[0].map.is_copy:
                continue
            for step in made.passes:
                want = one_sum(step.map, want, step.axis)
            assert np.array_equal(made(x), want), case
            compared += 1
    assert compared > 100


def test_fma_levels_give_equal_bits_in_every_dtype(level: Any) -> None:
    for case in testing.random_cases(400, seed=9):
        x = case.array()
        results = []
        for name in FMA_LEVELS:
            level(name)
            results.append(fresh(case, x).tobytes())
        assert len(set(results)) <= 1, case


def test_integer_results_do_not_depend_on_the_level(level: Any) -> None:
    for case in testing.random_cases(300, seed=4, dtypes=("uint8", "int8")):
        if case.arguments["mode"] == "area" or case.arguments.get("numerics") == "exact":
            continue
        x = case.array()
        results = set()
        for name in LEVELS:
            level(name)
            results.add(fresh(case, x).tobytes())
        assert len(results) == 1, case


PATHS = [
    ("doubled", (1, 2, 9, 40), "float32", {"mode": "bilinear", "scale_factor": 2}),
    ("doubled", (1, 2, 9, 40), "float64", {"mode": "bicubic", "scale_factor": 2}),
    ("doubled copies", (1, 2, 9, 140), "int32", {"mode": "nearest", "scale_factor": 2}),
    ("copied pixels", (9, 40, 5), "int32", {"mode": "nearest", "scale_factor": 1.7, "layout": "HWC"}),
    ("fixed taps", (1, 2, 90, 400), "float64", {"mode": "bilinear", "scale_factor": 0.1}),
    ("wide taps", (1, 2, 60, 80), "float64", {"mode": "bicubic", "scale_factor": 0.2, "antialias": True}),
    ("wide taps", (1, 2, 30, 400), "uint8", {"mode": "bilinear", "scale_factor": 0.04, "antialias": True}),
    ("box sums", (1, 2, 90, 400), "float64", {"mode": "area", "scale_factor": 0.06}),
    ("pixels, two rows at once", (2, 9, 7, 17), "float32", {"mode": "bilinear", "scale_factor": 1.7, "layout": "NHWC"}),
    ("pixels, two rows at once", (9, 7, 64), "float64", {"mode": "bilinear", "scale_factor": 2, "layout": "HWC"}),
    ("a transposed copy", (5, 6, 7, 2, 8), "float32", {"mode": "trilinear", "scale_factor": 2, "layout": "DHNCW"}),
    ("a copy", (1, 2, 9, 40), "float32", {"mode": "bilinear", "scale_factor": 1}),
]


@pytest.mark.parametrize(("path", "shape", "dtype", "arguments"), PATHS)
def test_paths_are_taken_and_agree_with_the_reference(
    path: str, shape: tuple[int, ...], dtype: str, arguments: dict[str, Any]
) -> None:
    case = testing.Case(shape, dtype, arguments)
    said = upsample.explain(case.array(), **arguments)
    assert f"{path}" in said.split("- cpu: runs it")[1].splitlines()[0], said
    assert testing.check_backend("cpu", cases=[case]).passed == 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int8"])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_the_doubled_path_has_the_bits_of_the_generic_one(channels: int, dtype: str, mode: str) -> None:
    rng = np.random.default_rng(channels)
    for n in (4, 5, 17, 300, 1000):
        x = rng.integers(0, 128, (n, channels)).astype(dtype) if dtype != "float64" else rng.normal(size=(n, channels))
        plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode=mode, layout="WC")
        whole = plan(x)
        for start in (1, 3, 5):  # a window with an odd start is not recognised as doubled
            if start + 4 >= 2 * n:
                continue
            (lo,), (hi,), part = plan.window((start,), (2 * n - 1,))
            assert np.array_equal(part(x[lo:hi]), whole[start : 2 * n - 1])


def test_long_rows_are_tiled_and_tables_built_as_they_go() -> None:
    rng = np.random.default_rng(0)
    for n, target, mode in ((700_000, 900_001, "linear"), (200_000, 2, "cubic"), (1_000_001, 300, "area")):
        x = rng.normal(size=(1, 2, n)).astype(np.float32)
        arguments = {"mode": mode, "layout": "NCW"}
        arguments |= {"size": target} if target > 2 else {"scale_factor": target}
        said = upsample.explain(x, **arguments)
        if mode != "area":
            assert "1 tile(s)" not in said
        assert testing.check_backend("cpu", cases=[testing.Case(x.shape, "float32", arguments)]).passed == 1


def test_tall_axes_use_tables_by_blocks() -> None:
    cases = [
        testing.Case((1, 1, 90_000, 3), "float32", {"mode": "bilinear", "scale_factor": (1.3, 2.0)}),
        testing.Case((1, 1, 70_000, 2, 3), "uint8", {"mode": "cubic", "scale_factor": (1.1, 2.0, 2.0)}),
    ]
    assert testing.check_backend("cpu", cases=cases).passed == 2


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "float16"])
@pytest.mark.parametrize("antialias", [False, True])
def test_sums_longer_than_a_group_of_rows(dtype: str, antialias: bool) -> None:
    """Reductions with more taps than are summed in one call, along every axis."""
    mode = "cubic" if antialias else "area"
    cases = [
        testing.Case((300, 7), dtype, {"mode": mode, "size": (3, 7), "layout": "HW", "antialias": antialias}),
        testing.Case((300, 90), dtype, {"mode": mode, "size": (3, 4), "layout": "HW", "antialias": antialias}),
        testing.Case((90, 80, 70), dtype, {"mode": mode, "size": (2, 3, 4), "layout": "DHW", "antialias": antialias}),
        testing.Case((90, 3, 70), dtype, {"mode": mode, "size": (2, 3, 4), "layout": "DHW", "antialias": antialias}),
    ]
    assert testing.check_backend("cpu", cases=cases).passed == 4


@pytest.mark.slow
def test_a_strong_reduction_of_wide_rows_keeps_scratch_bounded() -> None:
    x = np.random.default_rng(1).normal(size=(2000, 30_000)).astype(np.float32)
    arguments = {"mode": "bilinear", "size": (3, 20_000), "layout": "HW", "antialias": True}
    scratch = int(upsample.explain(x, **arguments).split(" bytes of scratch")[0].rpartition(" ")[2])
    assert scratch < 16 * 2**20
    got = upsample.interpolate(x, **arguments)
    want = upsample.interpolate(x, backend="reference", **arguments)
    assert np.abs(got - want).max() < 1e-5


def all_halves() -> Any:
    return np.arange(65536, dtype=np.uint16)


@pytest.mark.parametrize("name", LEVELS)
def test_every_half_survives_the_round_trip(name: str, level: Any) -> None:
    """Two equal float16 taps average to themselves through float32 and float64."""
    level(name)
    bits = all_halves()
    x = np.repeat(bits.view(np.float16).reshape(-1, 1), 2, axis=1)
    for numerics in ("torch", "exact"):
        got = upsample.plan(x.shape, x.dtype, size=1, mode="linear", layout="CW", numerics=numerics)(x)
        finite = np.isfinite(x[:, :1])
        assert (got[finite] == x[:, :1][finite]).all()
        assert (np.isnan(got) == np.isnan(x[:, :1])).all()


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_are_rounded_once(name: str, dtype: str, level: Any) -> None:
    """float32 and float64 sums to half and bfloat16: ties, subnormals, overflow, as ml_dtypes and NumPy round."""
    narrow = np.dtype(np.float16) if dtype == "float16" else np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    level(name)
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 65536, (20_000, 2)).astype(np.uint16)
    x = bits.view(narrow)
    with np.errstate(all="ignore"):
        for numerics, wide in (("torch", np.float32), ("exact", np.float64)):
            plan = upsample.plan(x.shape, x.dtype, size=1, mode="linear", layout="CW", numerics=numerics)
            total = x.astype(wide)
            exact = total[:, :1] * wide(0.5) + total[:, 1:] * wide(0.5)  # halving is exact, so this rounds once
            want = exact.astype(narrow)
            got = plan(x)
            same = (got == want) | (np.isnan(got.astype(wide)) & np.isnan(want.astype(wide)))
            assert same.all(), (x[~same.all(axis=1)][:3], got[~same][:3], want[~same][:3])


def test_the_environment_caps_the_level() -> None:
    code = "import upsample._kernels.cpu.skeleton as s; import upsample; print(s.level())"
    for name in LEVELS:
        run = subprocess.run(
            [sys.executable, "-P", "-c", code],
            env={**os.environ, "UPSAMPLE_SIMD": name},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == name


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("mode", ["area", "linear", "cubic"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int8"])
def test_outputs_of_very_many_taps_are_made_in_parts(name: str, mode: str, dtype: str, level: Any) -> None:
    level(name)
    rng = np.random.default_rng(6)
    for n, channels, m in ((300_001, 1, 1), (400_000, 3, 2)):
        x = rng.uniform(0, 100, (n, channels)).astype(dtype)
        arguments = {"size": m, "mode": mode, "layout": "WC", "antialias": mode != "area"}
        plan = upsample.plan(x.shape, x.dtype, **arguments)
        if name == skeleton.levels()[0]:
            assert "taps in parts" in upsample.explain(x, **arguments)
        axis_map = plan.passes[0].map
        first, count, weights = axis_map.taps()
        for o in range(m):
            used = x[first[o] : first[o] + count[o]].astype(np.float64)
            if weights is None:
                want = used.mean(axis=0)
            else:
                want = (weights[o, : count[o], None].astype(np.float64) * used).sum(axis=0) / 2.0**axis_map.shift
            tolerance = {"float64": 1e-10, "float32": 0.02}.get(dtype, 0.51)
            assert np.abs(plan(x)[o].astype(np.float64) - want).max() < tolerance + (1.0 if mode == "area" else 0)


def test_more_taps_than_32_bits_count_are_refused() -> None:
    with pytest.raises(RuntimeError, match="reduce in steps"):
        upsample.plan((2**31 + 9,), np.uint8, size=1, mode="area", layout="W")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8"])
@pytest.mark.parametrize("rank", [2, 3])
def test_many_taps_along_every_axis_at_once(dtype: str, rank: int) -> None:
    """Parts along W while long sums along H and D are under way: neither may use the other's memory."""
    shape = (20, 18, 140_000)[3 - rank :]
    x = np.random.default_rng(2).uniform(50, 150, shape).astype(dtype)
    for mode in ("area", "linear"):
        name = mode if mode == "area" else ("bilinear", "trilinear")[rank - 2]
        arguments = {"size": (1,) * rank, "mode": name, "layout": "DHW"[3 - rank :], "antialias": mode != "area"}
        assert "taps in parts" in upsample.explain(x, **arguments)
        got = float(upsample.interpolate(x, **arguments).reshape(-1)[0])
        assert abs(got - 100) < 3, (mode, got)


def test_a_float_mean_of_very_many_samples_keeps_the_last_ones() -> None:
    assert upsample.interpolate(np.full(30_000_000, 100, np.uint8), size=1, mode="area", layout="W")[0] == 100
    mean = upsample.interpolate(np.full(10_000_000, 0.1, np.float32), size=1, mode="area", layout="W")[0]
    assert abs(mean - np.float32(0.1)) < 1e-8


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
def test_the_tables_of_a_long_axis_serve_all_rows(mode: str) -> None:
    """Beyond the tables that are kept, a tile's table is made once, not once per row."""
    x = np.random.default_rng(0).normal(size=(24, 150_000)).astype(np.float32)
    plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode=mode, layout="CW")
    whole = plan(x)
    for row in (0, 11, 23):
        single = upsample.plan((1, 150_000), x.dtype, scale_factor=2, mode=mode, layout="CW")
        assert np.array_equal(single(x[row : row + 1])[0], whole[row])


VECTOR_LEVELS = [name for name in LEVELS if name in ("avx2", "avx512")]
CHANNELS = {1: (), 2: (2,), 3: (3,), 4: (4,)}


def path(plan: Any, x: Any) -> str:
    """What the kernel of these arrays says about itself."""
    return str(kernel_for(plan, x, "cpu").explain())


def image(rng: Any, shape: tuple[int, ...], dtype: str) -> Any:
    if dtype == "uint8":
        return rng.integers(0, 256, shape).astype(np.uint8)
    if dtype in ("uint16", "int8", "int16"):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)
    if dtype == "bfloat16":
        return rng.normal(size=shape).astype(pytest.importorskip("ml_dtypes").bfloat16)
    return rng.normal(size=shape).astype(dtype)


def images(widths: tuple[int, ...], channels: int, dtype: str) -> Any:
    """Seven rows of each width: the width, the layout and the image."""
    rng = np.random.default_rng(channels)
    for width in widths:
        yield width, "HW" if channels == 1 else "HWC", image(rng, (7, width, *CHANNELS[channels]), dtype)


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "uint16", "uint8"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_two_rows_at_once_have_the_bits_of_single_ones(
    name: str, channels: int, dtype: str, mode: str, level: Any
) -> None:
    """Every width from the least that the path takes on; a window with an odd start is not recognised as doubled."""
    level(name)
    taken = 0
    widths = (7, 12, 16, 17, 24, 31, 32, 33, 34, 40, 47, 63, 64, 65, 66, 67, 70, 85, 86, 128, 131, 200)
    for width, layout, x in images(widths, channels, dtype):
        plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode=mode, layout=layout)
        taken += "doubled, two rows at once" in path(plan, x)
        whole = plan(x)
        pieces = np.empty_like(whole)
        for (y0, y1), (x0, x1) in itertools.product(((0, 1), (1, 14)), ((0, 1), (1, 2 * width))):
            lo, hi, part = plan.window((y0, x0), (y1, x1))
            assert "doubled, two rows at once" not in path(part, x[lo[0] : hi[0], lo[1] : hi[1]])
            pieces[y0:y1, x0:x1] = part(x[lo[0] : hi[0], lo[1] : hi[1]])
        assert whole.tobytes() == pieces.tobytes(), width
    assert taken >= 5 or (dtype == "float64" and name == "avx2")


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("special", [0, 1, 254, 255, "max", "nan"])
def test_two_rows_at_once_at_the_ends_of_the_range(name: str, dtype: str, special: Any, level: Any) -> None:
    """Cubic overshoot is clamped in bytes as in 32 bits; what is not finite stays where its taps are."""
    level(name)
    rng = np.random.default_rng(3)
    x = rng.choice([0, 1, 254, 255], (9, 150)).astype(dtype)
    if isinstance(special, int):
        x[rng.random(x.shape) < 0.5] = special
    elif dtype == "float32":
        x[4, 70] = np.inf if special == "max" else np.nan
    for mode in ("bilinear", "bicubic"):
        plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode=mode, layout="HW")
        assert "doubled, two rows at once" in path(plan, x)
        lo, hi, part = plan.window((1, 1), (18, 300))
        assert plan(x)[1:, 1:].tobytes() == part(x[lo[0] : hi[0], lo[1] : hi[1]]).tobytes()


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 8, 12, 15, 16])
@pytest.mark.parametrize("scale", [0.4, 0.5, 0.7, 1.5, 3, 7.3])
def test_copied_windows_of_every_size(name: str, size: int, scale: float, level: Any) -> None:
    level(name)
    rng = np.random.default_rng(size)
    taken = 0
    for width in (3, 16, 33, 64, 65, 130, 200, 515):
        x = rng.integers(0, 256, (1, width, size)).astype(np.uint8)  # one row: two would be copied planes
        plan = upsample.plan(x.shape, x.dtype, scale_factor=(1, scale), mode="nearest", layout="HWC")
        taken += "copied windows" in path(plan, x)
        first, _, _ = plan.passes[0].map.taps()
        assert np.array_equal(plan(x), x[:, np.clip(first, 0, width - 1)])
    assert taken >= 3 or size > 4 or scale < 0.7  # wide pixels and strong reductions span too much


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 8, 12, 16, 17, 24, 32, 33, 48, 64, 100, 128, 200])
def test_doubled_pixels_of_every_size(name: str, size: int, level: Any) -> None:
    level(name)
    rng = np.random.default_rng(size)
    for height, width in ((3, 2), (2, 5), (3, 15), (2, 16), (3, 21), (2, 22), (3, 33), (2, 64), (3, 65), (2, 130)):
        x = rng.integers(0, 256, (height, width, size)).astype(np.uint8)
        plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode="nearest", layout="HWC")
        assert "doubled copies" in path(plan, x)
        assert np.array_equal(plan(x), x.repeat(2, axis=0).repeat(2, axis=1))
        single = upsample.plan(x.shape, x.dtype, scale_factor=(1, 2), mode="nearest", layout="HWC")
        assert np.array_equal(single(x), x.repeat(2, axis=1))


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("mode", ["area", "bilinear"])
def test_means_of_two_by_two(name: str, channels: int, mode: str, level: Any) -> None:
    level(name)
    rng = np.random.default_rng(channels)
    layout = "HW" if channels == 1 else "HWC"
    taken = 0
    for width in (1, 5, 8, 10, 16, 21, 22, 43, 64, 65, 127, 128, 200):
        for dtype in ("uint8", "uint16", "float32"):
            x = image(rng, (6, 2 * width, *CHANNELS[channels]), dtype)
            plan = upsample.plan(x.shape, x.dtype, scale_factor=0.5, mode=mode, layout=layout)
            taken += "means of two by two" in path(plan, x)
            left, right = x[:, 0::2], x[:, 1::2]
            if dtype == "float32":
                half = np.float32(0.5)
                rows = (left + right) * half  # halving is exact, so this is the fused sum too
                want = (rows[0::2] + rows[1::2]) * half
            elif mode == "area" or dtype == "uint16":
                total = (left[0::2].astype(int) + left[1::2] + right[0::2] + right[1::2]) / 4
                want = np.rint(total).astype(dtype)
            else:
                rows = (left.astype(int) + right + 1) >> 1
                want = ((rows[0::2] + rows[1::2] + 1) >> 1).astype(np.uint8)
            assert np.array_equal(plan(x), want), (width, dtype)
    assert taken == 39  # rows of less than a vector too


@pytest.mark.parametrize("name", [name for name in LEVELS if name not in ("baseline", "neon")])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("mode", ["area", "trilinear"])
def test_means_of_two_by_two_by_two(mode: str, dtype: str, name: str, level: Any, made: Any) -> None:
    level(name)
    rng = np.random.default_rng(3)
    for width in (1, 2, 7, 15, 33, 64, 150):
        for channels in (1, 2, 3, 4):
            x = (rng.random((3, 6, 8, 2 * width, channels)) * 250).astype(dtype)
            arguments: dict[str, Any] = {"mode": mode, "size": (3, 4, width), "layout": "NDHWC"}
            plan = upsample.plan(x.shape, x.dtype, **arguments)
            with upsample.use_backend("reference"):
                want = upsample.interpolate(x, **arguments)
            got = plan(x)
            assert np.allclose(got, want, rtol=0, atol=1e-4) if dtype == "float32" else np.array_equal(got, want), width
    assert made() == {"means of two by two": 7 * 4 * 3 * 3 * 4}


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(
    ("mode", "antialias"), [("linear", False), ("cubic", False), ("linear", True), ("cubic", True), ("lanczos", True)]
)
def test_halves_are_the_one_sum(name: str, channels: int, mode: str, antialias: bool, level: Any) -> None:
    level(name)
    rng = np.random.default_rng(channels)
    taken = 0
    for width in (20, 34, 64, 66, 100, 130, 257):
        x = rng.normal(size=(width, channels)).astype(np.float32)
        plan = upsample.plan(x.shape, x.dtype, scale_factor=0.5, mode=mode, antialias=antialias, layout="WC")
        taken += "halves" in path(plan, x)
        assert np.array_equal(plan(x), one_sum(plan.passes[0].map, x, 0)), width
    assert taken >= 3


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_pixels_and_of_volumes_in_pairs(name: str, dtype: str, level: Any) -> None:
    """Output rows of the same taps are made together: whole equals windows that part them."""
    level(name)
    rng = np.random.default_rng(4)
    for shape, layout, mode in (
        ((5, 6, 16), "HWC", "bilinear"),
        ((5, 6, 37), "HWC", "bilinear"),
        ((3, 5, 21), "DHW", "trilinear"),
        ((3, 5, 40), "DHW", "trilinear"),
    ):
        x = rng.normal(size=shape).astype(dtype)
        plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode=mode, layout=layout)
        assert ("pixels, two rows at once" if layout == "HWC" else "four rows at once") in path(plan, x)
        whole = plan(x)
        rank = layout.count("D") + 2
        stop = whole.shape[:rank]
        for y in range(stop[-2]):
            start = (*(0,) * (rank - 2), y, 0)
            lo, hi, part = plan.window(start, (*stop[:-2], y + 1, stop[-1]))
            cut = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
            assert np.array_equal(part(x[cut]), whole[..., y : y + 1, :] if rank == 3 else whole[y : y + 1])


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "uint16"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_windows_of_two_rows_have_the_bits_of_single_ones(
    name: str, channels: int, dtype: str, mode: str, level: Any
) -> None:
    level(name)
    taken = 0
    widths = (3, 9, 16, 20, 33, 64, 100, 131)
    for width, layout, x in images(widths, channels, dtype):
        sizes = (17, int(2.3 * width))
        plan = upsample.plan(x.shape, x.dtype, size=sizes, mode=mode, layout=layout, align_corners=True)
        taken += "windows, two rows at once" in path(plan, x)
        whole = plan(x)
        for y in range(17):
            lo, hi, part = plan.window((y, 0), (y + 1, sizes[1]))
            assert part(x[lo[0] : hi[0], lo[1] : hi[1]]).tobytes() == whole[y : y + 1].tobytes(), (width, y)
    assert taken >= 3


REDUCTIONS = [
    ("bilinear", True, 0.13),
    ("bicubic", True, 0.21),
    ("lanczos", True, 0.3),
    ("area", False, 0.07),
    ("bicubic", True, 1.9),
]


@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7, 15])
@pytest.mark.parametrize(("mode", "antialias", "scale"), REDUCTIONS)
def test_groups_of_rows_are_the_one_sum(
    name: str, channels: int, mode: str, antialias: bool, scale: float, level: Any
) -> None:
    level(name)
    rng = np.random.default_rng(channels)
    taken = 0
    for height, width in ((5, 60), (16, 130), (33, 61), (70, 47)):
        x = rng.standard_normal((height, width, channels)).astype(np.float32)
        plan = upsample.plan(
            x.shape, x.dtype, size=(max(1, height // 2), max(1, int(width * scale))), mode=mode, layout="HWC",
            antialias=antialias,
        )  # fmt: skip
        taken += "rows at once" in path(plan, x)
        want = x
        for step in plan.passes:
            want = one_sum(step.map, want, step.axis)
        assert np.array_equal(plan(x), want)
    assert taken >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", VECTOR_LEVELS)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float16", "bfloat16", "uint16", "int16"])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("scale", [0.02, 0.09, 0.17])
def test_groups_of_rows_of_other_dtypes(name: str, dtype: str, channels: int, scale: float, level: Any) -> None:
    rng = np.random.default_rng(channels)
    taken = 0
    for height, width in ((3, 300), (50, 170), (120, 333)):
        x = image(rng, (height, width, channels), dtype)
        for mode in ("bilinear", "bicubic", "area"):
            results = set()
            for at in ("baseline", name):
                level(at)
                plan = upsample.plan(
                    x.shape, x.dtype, size=(max(1, int(height * scale)), max(1, int(width * scale))), mode=mode,
                    layout="HWC", antialias=mode != "area",
                )  # fmt: skip
                results.add(plan(x).tobytes())
                taken += "rows at once" in path(plan, x)
            if dtype in ("uint8", "int8") and mode != "area":
                assert len(results) == 1, (height, width, mode)  # integers: of any order, on any level
            else:
                want = x.astype(np.float32)
                for step in plan.passes:
                    want = one_sum(step.map, want, step.axis)
                if np.dtype(x.dtype).kind in "iu":
                    limits = np.iinfo(x.dtype)
                    want = np.clip(np.rint(want), limits.min, limits.max)
                assert np.array_equal(plan(x), want.astype(x.dtype)), (height, width, mode)
    assert taken >= 8


def test_groups_of_rows_split_anywhere() -> None:
    rng = np.random.default_rng(3)
    for dtype in ("float32", "uint8"):
        x = image(rng, (2, 3, 130, 400), dtype)
        plan = upsample.plan(x.shape, x.dtype, size=(57, 21), mode="bilinear", antialias=True)
        assert "rows at once" in path(plan, x)
        whole = plan(x)
        for lo, hi in ((0, 1), (3, 20), (41, 57)):
            (y0, x0), (y1, x1), part = plan.window((lo, 2), (hi, 19))
            assert np.array_equal(part(x[:, :, y0:y1, x0:x1]), whole[:, :, lo:hi, 2:19])
        volume = image(rng, (1, 9, 40, 300), dtype)
        plan = upsample.plan(volume.shape, volume.dtype, size=(3, 11, 17), mode="area", layout="NDHW")
        assert "rows at once" in path(plan, volume)
        with upsample.use_backend("reference"):
            want = plan(volume)
        assert np.allclose(plan(volume), want, rtol=1e-5, atol=0 if dtype == "uint8" else 1e-6)


def test_a_sample_that_is_not_finite_stays_within_its_outputs() -> None:
    x = np.ones((1, 1, 40, 300), np.float32)
    x[0, 0, 7, 111] = np.nan
    plan = upsample.plan(x.shape, x.dtype, size=(20, 20), mode="bilinear", antialias=True)
    assert "rows at once" in path(plan, x)
    touched = np.zeros((20, 20), bool)
    rows, columns = (step.map.taps() for step in reversed(plan.passes))
    for (first, count, _), at, axis in ((rows, 7, 0), (columns, 111, 1)):
        hit = (first <= at) & (at < first + count)
        touched = touched | hit[:, None] if axis == 0 else touched & hit[None, :]
    assert np.array_equal(np.isnan(plan(x)[0, 0]), touched)


def test_groups_of_rows_keep_scratch_bounded_and_do_not_depend_on_threads() -> None:
    rng = np.random.default_rng(4)
    for shape, size in (((4, 100_000, 15), (2, 20)), ((90, 70_000, 3), (40, 5)), ((200, 900, 3), (100, 90))):
        x = rng.random(shape, np.float32)
        plan = upsample.plan(x.shape, x.dtype, size=size, mode="bilinear", antialias=True, layout="HWC")
        kernel = kernel_for(plan, x, "cpu")
        assert ("rows at once" in kernel.explain()) == (x.shape[1] < 1000)
        results = set()
        for threads in (1, 2, 3):
            with upsample.num_threads(threads):
                results.add(kernel(x).tobytes())
        assert len(results) == 1


@pytest.mark.parametrize("level_name", VECTOR_LEVELS)
@pytest.mark.parametrize("size", [3, 6, 12])
def test_doubled_rows_of_every_length(level_name: str, size: int, level: Any) -> None:
    level(level_name)
    rng = np.random.default_rng(size)
    for width in range(1, 100):
        x = rng.integers(0, 256, (2, width, size)).astype(np.uint8)
        guarded = np.full((4, 2 * width * size + 64), 7, np.uint8)
        out = guarded[:, : 2 * width * size].reshape(4, 2 * width, size)
        plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode="nearest", layout="HWC")
        plan(x, out)
        assert np.array_equal(out, x.repeat(2, axis=0).repeat(2, axis=1))
        assert (guarded[:, 2 * width * size :] == 7).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int16"])
@pytest.mark.parametrize("name", LEVELS)
def test_repeated_tables_have_the_bits_of_single_ones(name: str, dtype: str, level: Any) -> None:
    level(name)
    rng = np.random.default_rng(17)
    modes = [("nearest", {}), ("nearest-exact", {}), ("linear", {}), ("linear", {"antialias": True}), ("area", {}),
             ("lanczos", {"antialias": True})]  # fmt: skip
    # (beyond 2^22 samples coordinates are exact, and any ratio of small numbers repeats itself)
    for (mode, more), (size, factor) in itertools.product(
        modes, [(70001, 2), (300000, 0.5), (70000, 4), (4200000, 0.75)]
    ):
        if size > 10**6 and (dtype not in ("float32", "uint8") or mode not in ("linear", "nearest", "area")):
            continue
        x = (rng.standard_normal((1, 1, size)) * 40).astype(dtype) if dtype != "uint8" else None
        x = rng.integers(0, 256, (1, 1, size), np.uint8) if x is None else x
        plan = upsample.plan(x.shape, x.dtype, scale_factor=factor, mode=mode, **more)
        for way, given in ((plan, x), (plan.T if "float" in dtype else None, None)):
            if way is None:
                continue
            given = rng.standard_normal(way.shape).astype(dtype) if given is None else given
            length, whole = way.out_shape[2], way(given)
            if way is plan or size < 10**6:
                assert "with one table" in kernel_for(way, given, "cpu").explain(), (mode, factor)
            for start in (0, length // 3, length - 3000, *rng.integers(0, length - 3000, 3).tolist()):
                (lo,), (hi,), window = way.window((start,), (start + 3000,))
                part = np.ascontiguousarray(given[..., lo:hi])
                assert "with one table" not in kernel_for(window, part, "cpu").explain()
                np.testing.assert_array_equal(
                    window(part), whole[..., start : start + 3000], err_msg=f"{mode} {factor}"
                )


def test_what_does_not_repeat_itself_has_its_own_tables() -> None:
    x = np.zeros((1, 1, 262144), np.float32)
    for more in ({"scale_factor": 1.5}, {"size": 300001}, {"size": 524288, "align_corners": True}):
        plan = upsample.plan(x.shape, x.dtype, mode="linear", **more)
        text = kernel_for(plan, x, "cpu").explain()
        assert "with one table" not in text
        assert "at each call" not in text


def test_large_tables_are_kept_within_a_limit() -> None:
    rng = np.random.default_rng(18)
    before, plans, texts = skeleton.kept_tables(), [], []
    for size in range(500001, 500016):
        x = rng.random((1, 1, size), dtype=np.float32)
        plan = upsample.plan(x.shape, x.dtype, size=size + 222222, mode="linear")
        texts.append(kernel_for(plan, x, "cpu").explain())
        plans.append((plan, x, plan(x)))
        assert skeleton.kept_tables() <= 256 << 20
    assert skeleton.kept_tables() > before
    assert "at each call" in texts[-1]
    assert "at each call" not in texts[0]
    plan, x, last = plans[-1]
    again = upsample.plan(x.shape, x.dtype, size=plan.out_shape[2], mode="linear")
    np.testing.assert_array_equal(last, again(x))
    del plan, plans, again
    gc.collect()
    assert skeleton.kept_tables() <= before  # others' kernels may be gone as well


def test_sums_of_wide_adjoints_are_made_once() -> None:
    rng = np.random.default_rng(19)
    times = []
    for size in (140000, 560000):
        plan = upsample.plan((size, 6), "float64", size=(2, 4), mode="lanczos", antialias=True, layout="HW")
        g = rng.standard_normal((2, 4))
        best = math.inf
        for _ in range(3):
            start = time.perf_counter()
            found = plan.T(g)
            best = min(best, time.perf_counter() - start)
        times.append(best)
        options = {"mode": "lanczos", "antialias": True, "layout": "HW"}
        want = upsample.interpolate_backward(g, (size, 6), (2, 4), backend="reference", **options)
        np.testing.assert_allclose(found, want, atol=1e-15)
    assert times[1] < 9 * times[0]  # 4 where every sum is made once, 16 where it is made for every part of the axis


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", [None, "NHWC", "NWC", "NDHWC", "HWNC", "HCW", "DHCW"])
@pytest.mark.parametrize("name", LEVELS)
def test_gradients_of_global_means(name: str, layout: str | None, dtype: str, level: Any) -> None:
    level(name)
    shape = (3, 5, 7, 6) if layout is None else (3, 5, 7, 6, 4)[: len(layout)]
    plan = upsample.plan(shape, dtype, size=1, mode="area", layout=layout).T
    g = np.random.default_rng(20).standard_normal(plan.shape).astype(dtype)
    said = kernel_for(plan, g, "cpu").explain()
    after = (layout or "W").split("W")[1]
    pixel = np.dtype(dtype).itemsize * math.prod(n for n, a in zip(shape, layout or "NCHW", strict=True) if a in after)
    filled = dtype != "float16" and layout is None
    taken = name != "baseline" or (layout not in (None, "HCW", "DHCW") and pixel > 16)  # smaller ones by vectors alone
    assert ("filled planes" in said) == filled
    assert ("sums of few inputs" in said) == (taken and not filled), said
    acc = np.float64 if dtype == "float64" else np.float32
    want = g.astype(acc)
    for step in plan.passes:
        want = want * acc(step.map.taps()[2].flat[0])
    want = np.broadcast_to(want.astype(dtype), plan.out_shape)
    np.testing.assert_array_equal(plan(g), want)
    room = np.full([s + 2 for s in shape], 9, dtype)
    inside = tuple(slice(1, -1) for _ in shape)
    plan(g, out=room[inside])
    np.testing.assert_array_equal(room[inside], want)
    room[inside] = 9
    assert (room == 9).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LEVELS)
def test_means_of_planes_have_the_bits_of_single_sums(name: str, dtype: str, level: Any) -> None:
    """Also of volumes, and of more rows and more planes than are made at once."""
    level(name)
    rng = np.random.default_rng(21)
    long = 5000 if dtype == "float64" else 4000  # (beyond 4,096 float32 is summed in float64)
    shapes: list[tuple[int, ...]] = [(3, 5, 7, 7), (3, 5, 1, 9), (3, 5, 2, 1), (3, 5, 5, 64), (3, 5, 16, 3)]
    shapes += [
        (3, 5, 9, 14),
        (2, 3, 4, 5, 6),
        (1, 7, 1, 3, 9),
        (1, 2, long, 2, 2),
        (1, 2, 70, 80, 5),
        (40, 50, 3, 3, 3),
    ]
    shapes += [
        (3, 2, 9, 1, 4),
        (1, 1, 33, 64),
        (2, 3, 30, 101),
        (1, 1, long, 5),
        (90, 60, 3, 2),
        (2, 5000, 6),
        (70, 70, 7, 7),
    ]
    for shape in shapes:
        ndim = len(shape) - 2
        cut = tuple(slice(1, 1 + s) for s in shape)
        large = rng.standard_normal([s + 2 for s in shape]).astype(dtype)
        for x in (large[cut].copy(), large[cut]):
            plan = upsample.plan(shape, dtype, size=1, mode="area")
            volumes = ndim == 3 and shape[2] > 1
            if shape[-1] > 1:
                said = kernel_for(plan, x, "cpu").explain()
                assert ("means of volumes" if volumes else "means of planes") in said, (shape, said)
            want = x
            for _ in range(ndim):
                total = want[..., 0].copy()
                for k in range(1, want.shape[-1]):
                    total = total + want[..., k]
                want = total / x.dtype.type(want.shape[-1])
            want = want.reshape(*want.shape, *[1] * ndim)
            np.testing.assert_array_equal(plan(x), want, err_msg=str(shape))
            room = np.full([s + 2 for s in want.shape], 9, dtype)
            inside = tuple(slice(1, -1) for _ in want.shape)
            plan(x, out=room[inside])
            np.testing.assert_array_equal(room[inside], want, err_msg=str(shape))
            room[inside] = 9
            assert (room == 9).all()


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int16"])
def test_means_with_few_outputs(dtype: str, name: str, level: Any, made: Any) -> None:
    level(name)
    rng, numbers = np.random.default_rng(4), random.Random(4)
    count = 0
    for _ in range(60):
        rank = numbers.choice((2, 3))
        outs = [numbers.randint(1, 3) for _ in range(rank)]
        shape = (2, numbers.choice((1, 5, 40)), *(numbers.randint(3 * m, 3 * m + 14) for m in outs))
        x = (rng.random(shape) * 100).astype(dtype)
        plan = upsample.plan(shape, dtype, size=outs, mode="area")
        got = plan(x)
        if dtype == "float32":
            want = x
            for step in plan.passes:
                want = one_sum(step.map, want, step.axis)
            assert np.array_equal(got, want), (shape, outs)
        else:
            with upsample.use_backend("reference"):
                want = upsample.interpolate(x, size=outs, mode="area")
            apart = {"float64": 1e-11, "float16": 0.04}.get(dtype, 1)
            assert np.abs(got.astype(float) - want).max() <= apart, (shape, outs)
        view = np.zeros([n + 1 for n in shape], dtype)[tuple(slice(n) for n in shape)]
        out = np.zeros([n + 1 for n in plan.out_shape], dtype)[tuple(slice(n) for n in plan.out_shape)]
        view[...] = x
        assert plan(view, out=out).tobytes() == got.tobytes(), (shape, outs)
        with upsample.num_threads(3):
            assert plan(x).tobytes() == got.tobytes(), (shape, outs)
        count += 3 * shape[0] * shape[1]
    assert made()["means"] == count


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int8"])
@pytest.mark.parametrize("name", [n for n in LEVELS if n in ("avx2", "avx512")])
def test_columns_as_rows_have_the_bits_of_channels(name: str, dtype: str, level: Any, made: Any) -> None:
    """Tall narrow planes beside the same ones as channels, into dense rows and into rows apart."""
    level(name)
    rng, taken = np.random.default_rng(31), 0
    for k in range(60):
        shape = (3, int(rng.integers(64, 200)), int(rng.integers(1, 30)))
        mode = str(rng.choice(["bilinear", "bicubic", "area"] if dtype[0] == "f" else ["bilinear", "bicubic"]))
        size = (int(rng.integers(64, 300)), int(rng.integers(1, 40)))
        x = rng.integers(-9, 9, shape).astype(dtype) if dtype != "float64" else rng.standard_normal(shape)
        plan = upsample.plan(shape, dtype, size=size, mode=mode, layout="CHW")
        last = upsample.plan((*shape[1:], 3), dtype, size=size, mode=mode, layout="HWC")
        if dtype[0] == "f" and k % 2:
            plan, last = plan.T, last.T
            x = rng.standard_normal(plan.shape).astype(dtype)
        taken += "columns as rows" in path(plan, x)
        found = plan(x)
        want = last(np.ascontiguousarray(x.transpose(1, 2, 0))).transpose(2, 0, 1)
        np.testing.assert_array_equal(found, want)
        room = np.zeros([n + 1 for n in plan.out_shape], dtype)
        rows = room[tuple(slice(n) for n in plan.out_shape)]
        views = np.zeros([n + 2 for n in plan.shape], dtype)[tuple(slice(n) for n in plan.shape)]
        views[...] = x
        plan(views, out=rows)
        np.testing.assert_array_equal(rows, found)
        rows[...] = 0
        assert not room.any()
    assert made().get("columns as rows", 0) >= 6 * taken
    assert taken > 10 or (dtype, name) == ("float64", "avx2")  # which has no windows of float64


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", LEVELS)
def test_sums_of_few_inputs_are_those_of_rows(name: str, dtype: str, level: Any, made: Any) -> None:
    """Gradients of means with few outputs, into dense planes, and row by row into others."""
    level(name)
    rng, counted = np.random.default_rng(29), 0
    for _ in range(120):
        rank, last = int(rng.integers(1, 4)), bool(rng.integers(2))
        few = tuple(int(n) for n in rng.integers(1, 4, rank))
        many = tuple(int(rng.integers(n, 30)) for n in few)
        layout = ("N" + "DHW"[3 - rank :] + "C") if last else ("NC" + "DHW"[3 - rank :])
        planes = (int(rng.integers(1, 4)), int(rng.integers(1, 20)))
        shape = (planes[0], *many, planes[1]) if last else (*planes, *many)
        plan = upsample.plan(shape, dtype, size=few, mode="area", layout=layout).T
        g = rng.standard_normal(plan.shape).astype(dtype)
        found = plan(g)
        counted += "sums of few inputs" in kernel_for(plan, g, "cpu").explain()
        room = np.zeros([n + 1 for n in shape], dtype)
        rows = room[tuple(slice(n) for n in shape)]
        plan(g, out=rows)
        assert rows.tobytes() == found.tobytes(), (shape, few)
        options = {"mode": "area", "layout": layout, "backend": "reference"}
        want = upsample.interpolate_backward(g, shape, few, **options)
        np.testing.assert_allclose(found, want, rtol=2e-3 if dtype == "float16" else 1e-6, atol=1e-6)
        with upsample.num_threads(3):
            assert plan(g).tobytes() == found.tobytes(), (shape, few)
    assert counted > (20 if name == "baseline" else 60)
    assert made()["sums of few inputs"] > counted


# A call of every path in the table; those with True are gradients.
COUNTED: dict[str, tuple[tuple[int, ...], str, dict[str, Any], bool]] = {
    "means": ((2, 20, 9, 9), "float32", {"mode": "area", "size": 1}, False),
    "filled planes": ((2, 20, 9, 9), "float32", {"mode": "area", "size": 1}, True),
    "sums of few inputs": ((2, 20, 9, 9), "float16", {"mode": "area", "size": (1, 2)}, True),
    "copied planes": ((1, 3, 9, 9), "int64", {"mode": "nearest", "size": (13, 20)}, False),
    "planes side by side": ((1, 40, 9, 9), "float32", {"mode": "bilinear", "scale_factor": 2}, False),
    "columns as rows": ((1, 3, 100, 9), "float16", {"mode": "bicubic", "scale_factor": 1.7}, False),
    "doubled copies": ((1, 3, 9, 300), "float32", {"mode": "nearest", "scale_factor": 2}, False),
    "copied": ((1, 3, 9, 300), "float32", {"mode": "nearest", "scale_factor": 1.7}, False),
    "means of two by two": ((1, 3, 90, 300), "uint16", {"mode": "area", "scale_factor": 0.5}, False),
    "two rows at once": ((1, 3, 90, 300), "uint8", {"mode": "bicubic", "scale_factor": 2}, False),
    "stored at once": ((1, 3, 300), "float32", {"mode": "linear", "scale_factor": 2}, False),
    "pixels, two rows at once": (
        (1, 9, 9, 32),
        "float32",
        {"mode": "bilinear", "scale_factor": 2, "layout": "NHWC"},
        False,
    ),
    "four rows at once": ((1, 3, 9, 9, 90), "float32", {"mode": "trilinear", "scale_factor": 2}, False),
    "rows": ((1, 3, 90, 300), "float64", {"mode": "bilinear", "scale_factor": 1.7}, False),
    "any": ((1, 3, 90, 300), "float64", {"mode": "area", "scale_factor": 0.3}, False),
}


@pytest.mark.skipif(len(LEVELS) < 2, reason="this build or processor has one level")
@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("threads", [1, 3])
def test_every_path_is_counted_where_it_ran(name: str, threads: int, made: Any) -> None:
    shape, dtype, arguments, gradient = COUNTED[name]
    plan = upsample.plan(shape, dtype, **arguments)
    plan = plan.T if gradient else plan
    x = np.ones(plan.shape, dtype)
    skeleton.set_thread_cost(1)
    try:
        with upsample.num_threads(threads):
            plan(x)
    finally:
        skeleton.set_thread_cost()
    found = made()
    assert name in found, found


def test_every_path_of_the_table_is_known_here() -> None:
    assert set(skeleton.made_by_paths()) == set(COUNTED)


def test_what_a_review_of_paths_found() -> None:
    """Planes that nothing comes to; rows in several tiles; outputs without taps; sums whose taps lie beyond the end."""
    gone = upsample.plan((2, 1, 2, 2, 2), "float32", size=(1, 1, 1), mode="nearest").T.window((1, 0, 0), (2, 1, 2))[2]
    assert not gone(np.ones(gone.shape, np.float32), out=np.full(gone.out_shape, 77, np.float32)).any()
    wide = upsample.plan((1, 4, 2048, 64), "float32", size=(2, 2), mode="area", layout="NHWC").T
    g = np.random.default_rng(33).standard_normal(wide.shape).astype(np.float32)
    apart = wide(g, out=np.full((1, 4, 2100, 64), 7, np.float32)[:, :, :2048])
    np.testing.assert_array_equal(apart, wide(g))
    rest = upsample.plan((1, 1, 8, 8), "float32", size=(1, 1), mode="nearest").T.window((4, 4), (8, 8))[2]
    for value in (np.inf, -1.0):
        found = rest(np.full(rest.shape, value, np.float32))
        assert not found.any()
        assert not np.signbit(found).any()
    for shape, size, mode in (((1, 1, 1, 1), (14, 14), "bilinear"), ((1, 1, 1, 1, 1), (8, 8, 8), "trilinear")):
        x = np.full(shape, 3.0, np.float32)
        assert (upsample.interpolate(x, size=size, mode=mode) == 3).all()


def test_filled_planes_of_signals_are_counted(made: Any) -> None:
    plan = upsample.plan((64, 64, 49), "float32", size=(1,), mode="area").T
    plan(np.ones(plan.shape, np.float32))
    assert made()["filled planes"] == 64 * 64


def test_filled_planes_where_tables_use_up_their_limit() -> None:
    kept = []
    while skeleton.kept_tables() < 250 << 20 and len(kept) < 200:
        plan = upsample.plan((1, 1, 60000 + len(kept)), "float32", size=80000, mode="linear")
        plan(np.ones(plan.shape, np.float32))
        kept.append(plan)
    plan = upsample.plan((2, 1, 3, 60001), "float64", size=(1, 1), mode="area").T
    assert (plan(np.full(plan.shape, 180003.0)) == 1).all()
