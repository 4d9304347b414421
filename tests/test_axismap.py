"""The table builder against exact fractions and against torch's rules written out."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import rational
from hypothesis import given
from hypothesis import strategies as st

from upsample._axismap import AxisMap

FILTERS = ("nearest", "nearest-exact", "linear", "cubic", "area", "triangle-aa", "cubic-aa")
sizes = st.integers(1, 90)
scales = st.one_of(st.just(0.0), st.sampled_from([0.5, 1.5, 2.0, 2.1, 3.0, 1.1, 0.3]), st.floats(0.2, 5.0))


def make(n: int, m: int, name: str, **keywords: Any) -> AxisMap:
    weights = keywords.pop("weights", "float64")
    if name.startswith("nearest") or name == "area":
        weights = None
    keywords.setdefault("coords", "rational")
    return AxisMap(n, m, name, weights=weights, acc=keywords.pop("acc", "float64"), **keywords)


def size_for(n: int, m: int, scale: float) -> int:
    """The size that goes with a factor, since the rules assume that the two belong together."""
    return max(1, int(n * scale)) if scale else m


@given(sizes, sizes, st.sampled_from(FILTERS), scales, st.booleans())
def test_exact_maps_are_the_fractions_rounded_once(n: int, m: int, name: str, scale: float, corners: bool) -> None:
    m = size_for(n, m, scale)
    corners = corners and name in ("linear", "cubic")
    axis_map = make(n, m, name, scale=scale, align_corners=corners)
    first, count, weights = axis_map.taps()
    assert (np.diff(first) >= 0).all()
    assert count.max() <= axis_map.taps_max
    method = {"triangle-aa": "linear", "cubic-aa": "cubic"}.get(name, name)
    for i in range(m):
        want = rational.taps(method, i, n, m, 0.0 if name == "area" else scale, corners, name.endswith("-aa"))
        got: dict[int, float] = {}
        for k in range(count[i]):
            j = min(max(int(first[i]) + k, 0), n - 1)
            got[j] = got.get(j, 0.0) + (1.0 / count[i] if weights is None else float(weights[i, k]))
        for j in {*want, *got}:
            assert got.get(j, 0.0) == pytest.approx(float(want.get(j, 0)), abs=2e-15), (i, j)


@given(st.integers(1, 2**40), st.integers(1, 2**40), st.data())
def test_exact_coordinates_hold_at_any_size(n: int, m: int, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, m - 1))
    (first,), _, ((_, w1),) = make(n, m, "linear").taps(i, i + 1)
    c = max(Fraction((2 * i + 1) * n, 2 * m) - Fraction(1, 2), Fraction(0))
    b = min(int(c), n - 1)
    assert first == b
    assert w1 == float(min(c - b, Fraction(1)))
    (near,), _, _ = make(n, m, "nearest").taps(i, i + 1)
    assert near == i * n // m
    (exact,), _, _ = make(n, m, "nearest-exact").taps(i, i + 1)
    assert exact == (2 * i + 1) * n // (2 * m)


@given(st.integers(1, 2**40), st.floats(1e-6, 1e6), st.data())
def test_exact_coordinates_use_the_factor_as_given(n: int, scale: float, data: st.DataObject) -> None:
    m = min(max(1, int(n * scale)), 2**62)
    i = data.draw(st.integers(0, m - 1))
    (first,), _, ((_, w1),) = make(n, m, "linear", scale=scale).taps(i, i + 1)
    c = max((i + Fraction(1, 2)) / Fraction(scale) - Fraction(1, 2), Fraction(0))
    b = min(int(c), n - 1)
    assert first == b
    assert w1 == float(min(c - b, Fraction(1)))


@given(sizes, sizes, scales, st.booleans())
def test_float32_linear_weights_are_torchs_formula(n: int, m: int, scale: float, corners: bool) -> None:
    m = size_for(n, m, scale)
    first, _, weights = make(
        n, m, "linear", coords="torch32", weights="float32", scale=scale, align_corners=corners
    ).taps()
    f = np.float32
    if corners:
        r = f(n - 1) / f(m - 1) if m > 1 else f(0)
    else:
        r = f(1.0 / scale) if scale else f(n) / f(m)
    for i in range(m):
        # float32 products are exact in float64, so this sum rounds once, as fma does (checked below 2^53)
        exact = f(i) * r if corners else f(np.float64(r) * np.float64(f(i) + f(0.5)) - 0.5)
        c = max(exact, f(0))
        b = min(int(np.floor(c)), n - 1)
        w1 = np.clip(f(c) - f(b), f(0), f(1))
        assert first[i] == b
        assert weights[i, 1] == w1
        assert weights[i, 0] == f(1) - w1


@given(sizes, sizes, st.sampled_from(FILTERS), st.sampled_from(["torch32", "torch64", "rational"]), st.data())
def test_a_window_has_the_taps_of_the_whole(n: int, m: int, name: str, coords: str, data: st.DataObject) -> None:
    weights = "float32" if coords == "torch32" else "float64"
    whole = make(n, m, name, coords=coords, weights=weights)
    start = data.draw(st.integers(0, m - 1))
    stop = data.draw(st.integers(start + 1, m))
    (lo, hi), part = whole.window(start, stop)
    assert (part.n, part.m) == (hi - lo, stop - start)
    for (f, c, w), (pf, pc, pw) in [(whole.taps(start, stop), part.taps())]:
        assert (c == pc).all()
        assert w is None or (w == pw).all()
        for k in range(whole.taps_max):
            used = k < c
            assert (np.clip(f + k, 0, n - 1) == lo + np.clip(pf + k, 0, hi - lo - 1))[used].all()
    inner_start = data.draw(st.integers(0, part.m - 1))
    (lo2, _), again = part.window(inner_start, part.m)
    assert again == whole.window(start + inner_start, stop)[1]
    assert lo + lo2 == whole.window(start + inner_start, stop)[0][0]


@given(sizes, sizes, st.sampled_from(["linear", "cubic", "triangle-aa", "cubic-aa", "lanczos-aa"]), scales)
def test_integer_weights_sum_to_one_within_their_rounding(n: int, m: int, name: str, scale: float) -> None:
    m = size_for(n, m, scale)
    axis_map = make(n, m, name, coords="torch64", weights="int16", acc="int32", scale=scale)
    first, count, weights = axis_map.taps()
    assert 0 <= axis_map.shift <= 22
    assert (first >= 0).all()
    assert (first + count <= n).all()
    total = weights.astype(np.int64).sum(axis=1)
    assert (np.abs(total - (1 << axis_map.shift)) <= axis_map.taps_max).all()
    assert (np.where(np.arange(axis_map.taps_max) < count[:, None], 0, weights) == 0).all()


def test_float_weights_sum_to_one() -> None:
    for name in ("linear", "cubic", "triangle-aa", "cubic-aa", "lanczos-aa"):
        for n, m in ((7, 19), (100, 33), (5, 5), (1, 4), (300, 7)):
            _, _, weights = make(n, m, name, coords="torch32", weights="float32").taps()
            assert np.abs(weights.astype(np.float64).sum(axis=1) - 1).max() < 1e-6


def test_maps_are_values() -> None:
    a, b = make(5, 9, "linear"), make(5, 9, "linear")
    assert a == b
    assert hash(a) == hash(b)
    assert a != make(5, 9, "linear", scale=1.9)
    assert a != make(5, 9, "cubic")
    assert a != "linear"
    again = pickle.loads(pickle.dumps(a.window(2, 7)[1]))
    assert again == a.window(2, 7)[1]
    assert "window" in repr(again)
    assert "5 -> 9" in repr(a)
    assert (a.filter, a.coords, a.weights, a.acc, a.shift, a.is_copy) == (
        "linear", "rational", "float64", "float64", 0, False,
    )  # fmt: skip


def test_an_empty_range_of_outputs_has_no_taps() -> None:
    first, count, weights = make(5, 9, "linear").taps(3, 3)
    assert first.shape == count.shape == (0,)
    assert weights.shape == (0, 2)
    assert make(5, 9, "nearest").taps(0, 0)[2] is None


@pytest.mark.parametrize("bounds", [(-1, 3), (4, 3), (0, 10)])
def test_outputs_outside_the_axis_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(IndexError, match="not within 0:9"):
        make(5, 9, "linear").taps(*bounds)


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (-1, 2)])
def test_maps_need_at_least_one_sample(n: int, m: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make(n, m, "linear")


def test_bad_windows_are_refused() -> None:
    for start, stop in ((3, 3), (-1, 2), (0, 10)):
        with pytest.raises(ValueError, match="non-empty and within"):
            make(5, 9, "linear").window(start, stop)


def test_long_maps_equal_short_ones() -> None:
    """Blocks of the builder carry their state from output to output: any start gives the same taps."""
    for scale in (0.0, 1.1, 1.0 / 3.0, 1e-3):
        n = 2_000_003
        m = int(n * scale) if scale else 3_000_001
        axis_map = make(n, m, "linear", scale=scale)
        first, _, weights = axis_map.taps()
        for at in (0, 255, 256, 257, m // 2 + 1, m - 1):
            if at < m:
                (f,), _, w = axis_map.taps(at, at + 1)
                assert f == first[at]
                assert (w[0] == weights[at]).all()


def test_the_shift_of_a_very_long_axis_is_found_in_bounded_time():
    """No plan takes as long as its work: the first outputs decide, and give a short axis's shift."""
    long = AxisMap(2**40, 2**39, "triangle-aa", coords="rational", weights="int16", acc="int32")
    short = AxisMap(2**10, 2**9, "triangle-aa", coords="rational", weights="int16", acc="int32")
    for lo in (0, 100):
        for a, b in zip(long.taps(lo, lo + 9), short.taps(lo, lo + 9), strict=True):
            assert np.array_equal(a, b)
    wide = AxisMap(2**40, 2**20, "triangle-aa", coords="rational", weights="int16", acc="int32")
    assert wide.taps_max > 2**20


def test_bins_of_sizes_near_the_limit_do_not_overflow():
    map = AxisMap(2**63 - 9, 2**62, "area", coords="rational", weights=None, acc="float32")
    assert map.taps_max == 3
