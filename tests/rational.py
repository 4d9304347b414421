"""Resampling in exact fractions: slow, short, and independent of the library's table builder."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

HALF = Fraction(1, 2)


def ratio(n: int, m: int, scale: float, align_corners: bool) -> Fraction:
    """Input samples per output sample."""
    if align_corners:
        return Fraction(n - 1, m - 1) if m > 1 else Fraction(0)
    return 1 / Fraction(scale) if scale else Fraction(n, m)


def keys(x: Fraction, a: Fraction) -> Fraction:
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else Fraction(0)


def triangle(x: Fraction) -> Fraction:
    return max(Fraction(0), 1 - abs(x))


def taps(method: str, i: int, n: int, m: int, scale: float, corners: bool, antialias: bool) -> dict[int, Fraction]:
    """Weights of output i, by input sample."""
    r = ratio(n, m, scale, corners)
    if method == "nearest":
        return {min(floor(i * r), n - 1): Fraction(1)}
    if method == "nearest-exact":
        return {min(floor((i + HALF) * r), n - 1): Fraction(1)}
    if method == "area":
        lo, hi = floor(Fraction(i * n, m)), ceil(Fraction((i + 1) * n, m))
        return {j: Fraction(1, hi - lo) for j in range(lo, hi)}
    if antialias:
        stretch = max(r, Fraction(1))
        reach = stretch * (1 if method == "linear" else 2)
        centre = (i + HALF) * r
        lo, hi = max(floor(centre - reach + HALF), 0), min(floor(centre + reach + HALF), n)
        a = Fraction(-1, 2)
        raw = {
            j: triangle((j - centre + HALF) / stretch) if method == "linear" else keys((j - centre + HALF) / stretch, a)
            for j in range(lo, hi)
        }
        total = sum(raw.values())
        return {j: w / total for j, w in raw.items()}
    c = i * r if corners else (i + HALF) * r - HALF
    if method == "linear":
        c = max(c, Fraction(0))
    b = min(floor(c), n - 1)
    t = min(max(c - b, Fraction(0)), Fraction(1))
    found: dict[int, Fraction] = {}
    if method == "linear":
        weights = {b: 1 - t, b + 1: t}
    else:
        a = Fraction(-3, 4)
        weights = {b - 1 + k: keys(Fraction(k - 1) - t, a) for k in range(4)}
    for j, w in weights.items():
        j = min(max(j, 0), n - 1)
        found[j] = found.get(j, Fraction(0)) + w
    return found


def resample_axis(values: list[Any], tables: list[dict[int, Fraction]]) -> list[Any]:
    """Values may be fractions or lists of them (then whole rows are combined)."""

    def combine(table: dict[int, Fraction]) -> Any:
        if isinstance(values[0], list):
            width = len(values[0])
            return [sum((w * values[j][c] for j, w in table.items()), Fraction(0)) for c in range(width)]
        return sum((w * values[j] for j, w in table.items()), Fraction(0))

    return [combine(t) for t in tables]
