"""Small planes side by side: the bits of single planes, in every mode, dtype, rank, level and layout of memory."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import upsample
from upsample._kernels.cpu import skeleton

ml_dtypes = pytest.importorskip("ml_dtypes")
DTYPES = ("float32", "float64", "float16", ml_dtypes.bfloat16, "uint8", "int8", "uint16", "int16")
MODES = {
    1: ("nearest", "nearest-exact", "linear", "cubic", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos"),
    3: ("nearest", "nearest-exact", "trilinear", "cubic", "area"),
}
FEW = 5  # planes are made one by one where there are no more


def draw(rng: random.Random) -> tuple[tuple[int, ...], Any, dict[str, Any]]:
    """Shape, dtype and arguments of a call of small planes."""
    rank = rng.choice((1, 2, 2, 3))
    mode = rng.choice(MODES[rank])
    most = 9 if rank == 3 else 24
    shape = (rng.choice((16, 17, 31, 32, 50)), *(rng.randint(1, most) for _ in range(rank)))
    arguments: dict[str, Any] = {"mode": mode, "size": tuple(rng.randint(1, most) for _ in range(rank))}
    if mode == "lanczos" or (mode[0] in "lbtc" and rng.random() < 0.3):
        arguments["antialias"] = True
    if rng.random() < 0.2:
        arguments["numerics"] = "exact"
    return (1, *shape), np.dtype(rng.choice(DTYPES)), arguments


def samples(rng: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    values = rng.normal(size=shape)
    return np.clip(values * 50 + 60, 0, 127).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)


def one_by_one(plan: Any, x: Any) -> Any:
    """A few planes at a time, the last time with some that nobody asked for."""
    parts = []
    for first in range(0, x.shape[1], FEW):
        some = np.zeros((1, FEW, *x.shape[2:]), x.dtype)
        given = x[:, first : first + FEW]
        some[:, : given.shape[1]] = given
        parts.append(plan(some)[:, : given.shape[1]])
    return np.concatenate(parts, 1)


def padded(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of which no axis follows on the next without a gap."""
    whole = np.zeros([n + 1 for n in shape], dtype)
    return whole[tuple(slice(n) for n in shape)]


@pytest.mark.parametrize("name", skeleton.levels())
@pytest.mark.parametrize("seed", range(3))
def test_planes_side_by_side_have_the_bits_of_single_ones(name: str, seed: int, level: Any, made: Any) -> None:
    level(name)
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    for _ in range(120):
        shape, dtype, arguments = draw(rng)
        plan = upsample.plan(shape, dtype, **arguments)
        few = upsample.plan((1, FEW, *shape[2:]), dtype, **arguments)
        x = samples(numbers, shape, dtype)
        expected = one_by_one(few, x)
        assert plan(x).tobytes() == expected.tobytes(), (shape, dtype, arguments)
        view, out = padded(shape, dtype), padded(plan.out_shape, dtype)
        view[...] = x
        assert plan(view, out=out).tobytes() == expected.tobytes(), (shape, dtype, arguments)
        assert not out.base[:, shape[1] :].any(), "written behind the last plane"
        if dtype.kind in "iu":
            continue
        g = samples(numbers, plan.out_shape, dtype)
        assert plan.T(g).tobytes() == one_by_one(few.T, g).tobytes(), (shape, dtype, arguments)
    assert made()["planes side by side"] > 120


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_size_of_samples_takes_this_path(dtype: Any, made: Any) -> None:
    x = np.ones((2, 32, 5, 5), dtype)
    assert "16 planes side by side" in upsample.explain(x, scale_factor=2, mode="bilinear")
    assert (upsample.interpolate(x, scale_factor=2, mode="bilinear") == 1).all()
    assert made()["planes side by side"] == 4


@pytest.mark.parametrize(
    ("shape", "size"), [((1, 15, 7, 7), (14, 14)), ((1, 16, 7, 400), (14, 800)), ((1, 64, 900, 24), (1800, 24))]
)
def test_few_or_large_planes_do_not(shape: tuple[int, ...], size: tuple[int, ...], made: Any) -> None:
    upsample.interpolate(np.zeros(shape, np.float32), size=size, mode="bilinear")
    assert "planes side by side" not in made()


@pytest.mark.parametrize("name", [name for name in skeleton.levels() if name != "baseline" and name != "neon"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_copied_planes_have_the_pixels_of_their_maps(name: str, channels: int, level: Any, made: Any) -> None:
    level(name)
    rng, numbers = random.Random(channels), np.random.default_rng(channels)
    for _ in range(80):
        rank = rng.choice((2, 2, 3))
        sizes, outs = ([rng.randint(1, 40 if rank == 2 else 12) for _ in range(rank)] for _ in range(2))
        if rng.random() < 0.4:
            outs = [2 * n for n in sizes]
        dtype = np.dtype(rng.choice((np.uint8, np.uint16, np.float32)))
        x = samples(numbers, (3, *sizes, channels), dtype)
        arguments = {"layout": "NDHWC"[:1] + "DHW"[3 - rank :] + "C", "mode": rng.choice(("nearest", "nearest-exact"))}
        plan = upsample.plan(x.shape, dtype, size=outs, **arguments)
        expected = x
        for step in plan.passes:
            first = step.map.taps()[0]
            expected = np.take(expected, np.clip(first, 0, step.map.n - 1), axis=step.axis)
        assert plan(x).tobytes() == expected.tobytes(), (sizes, outs, dtype, arguments)
        view, out = padded(x.shape, dtype), padded(plan.out_shape, dtype)
        view[...] = x
        assert plan(view, out=out).tobytes() == expected.tobytes(), (sizes, outs, dtype, arguments)
    assert made()["copied planes"] > 100


@pytest.mark.parametrize("name", [name for name in skeleton.levels() if name != "baseline" and name != "neon"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_gradients_of_reductions_place_samples(mode: str, name: str, level: Any, made: Any) -> None:
    level(name)
    rng, numbers = random.Random(5), np.random.default_rng(5)
    for _ in range(60):
        rank = rng.choice((2, 2, 3))
        sizes = [rng.randint(1, 40 if rank == 2 else 14) for _ in range(rank)]
        outs = [rng.randint(1, n) for n in sizes]
        dtype = np.dtype(rng.choice((np.float32, np.float64, np.float16)))
        plan = upsample.plan((2, 3, *sizes), dtype, size=outs, mode=mode).T
        g = samples(numbers, (2, 3, *outs), dtype)
        with upsample.use_backend("reference"):
            expected = upsample.interpolate_backward(g, (2, 3, *sizes), size=outs, mode=mode)
        assert np.array_equal(plan(g), expected), (sizes, outs, dtype)
        view, out = padded(g.shape, dtype), padded(plan.out_shape, dtype)
        view[...] = g
        assert np.array_equal(plan(view, out=out), expected), (sizes, outs, dtype)
        assert not out.base[:, 3:].any(), "written behind the last plane"
    assert made()["copied planes"] > 100


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_take_groups_of_planes(threads: int) -> None:
    x = np.random.default_rng(0).random((3, 171, 11, 9), np.float32)
    plan = upsample.plan(x.shape, x.dtype, size=(13, 20), mode="bicubic")
    expected = plan(x).tobytes()
    skeleton.set_thread_cost(1)
    try:
        with upsample.num_threads(threads):
            assert plan(x).tobytes() == expected
    finally:
        skeleton.set_thread_cost()
    with upsample.use_backend("reference"):
        assert np.allclose(plan(x), upsample.interpolate(x, size=(13, 20), mode="bicubic"), rtol=0, atol=1e-5)


def test_a_sample_that_is_not_a_number_stays_in_its_plane() -> None:
    x = np.ones((1, 32, 7, 7), np.float32)
    x[0, 5] = np.nan
    x[0, 6, 3, 3] = np.inf
    made = upsample.interpolate(x, size=(11, 12), mode="bilinear")
    assert np.isnan(made[0, 5]).all()
    assert (made[0, np.r_[0:5, 7:32]] == 1).all()
