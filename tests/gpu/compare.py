"""Results beside the CPU's, to the bit; for the host's build and for a real GPU.

In: cases of the kit.  Out: how many were compared, by dtype; an AssertionError names the first that differs.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

import numpy as np

import upsample
from upsample import testing
from upsample.backends import why_not


def same_bits(a: Any, b: Any) -> bool:
    """Equal to the bit, but for the sign and payload of NaNs."""
    if a.dtype.kind not in "fc" and a.dtype.name != "bfloat16":
        return bool(a.tobytes() == b.tobytes())
    nan = np.isnan(a.astype(np.complex128 if a.dtype.kind == "c" else np.float64))
    other = np.isnan(b.astype(np.complex128 if a.dtype.kind == "c" else np.float64))
    return bool((nan == other).all() and np.where(nan, 0, a).tobytes() == np.where(nan, 0, b).tobytes())


def with_cpu(cases: Iterable[testing.Case], worst: dict[str, float] | None = None) -> Counter[str]:
    """Run cases on both and count those that were compared, by dtype.

    `worst` is told how far results were from the reference's, in parts of the largest sample (integers: in steps).
    """
    compared: Counter[str] = Counter()
    for case in cases:
        host = case.array()
        x = testing.to_cupy(host)
        if x is None:
            continue
        plan = upsample.plan(host.shape, host.dtype, **case.arguments)
        got = why_not(plan, x, "cuda")(x).get()
        want = why_not(plan, host, "cpu")(host)
        assert same_bits(got, want), case
        compared[case.dtype] += 1
        if worst is not None and got.size and (got.dtype.kind in "fiu" or case.dtype == "bfloat16"):
            ideal = why_not(plan, host, "reference")(host).astype(np.float64)
            close = np.isfinite(ideal)
            off = float(np.abs(got.astype(np.float64)[close] - ideal[close]).max(initial=0))
            if got.dtype.kind == "f" or case.dtype == "bfloat16":
                off /= float(np.abs(ideal[close]).max(initial=1))
            worst[case.dtype] = max(worst.get(case.dtype, 0.0), off)
    return compared


@contextlib.contextmanager
def subnormal_samples() -> Iterator[None]:
    """Cases have floating-point samples about the smallest normal number: most are subnormal, or sums of such."""
    usual = testing._samples

    def small(rng: np.random.Generator, shape: tuple[int, ...], name: str) -> Any:
        made = usual(rng, shape, name)
        least = {"float16": -14, "float32": -126, "bfloat16": -126, "float64": -1022}.get(name)
        return made if least is None else np.ldexp(made.astype(np.float64), least - 2).astype(made.dtype)

    with mock.patch.object(testing, "_samples", small):
        yield


def evaluated_maps() -> int:
    """Signals of more outputs than tables are stored for; how many were compared."""
    compared = 0
    for dtype in ("float32", "float64", "uint8"):
        host = (np.random.default_rng(0).normal(size=(1, 2, 100_003)) * 40).astype(dtype)
        x = testing.sys_cupy().asarray(host)
        for mode in ("nearest", "linear", "cubic", "area"):
            got = upsample.interpolate(x, scale_factor=0.7, mode=mode).get()
            assert same_bits(got, upsample.interpolate(host, scale_factor=0.7, mode=mode)), (mode, dtype)
            compared += 1
    return compared


def many_planes(planes: int, side: int) -> int:
    """First and last of so many planes, beside the CPU's; how many samples the largest output had."""
    cupy = testing.sys_cupy()
    host = np.random.default_rng(0).integers(0, 256, (2, 1, side, side), np.uint8)
    x = cupy.empty((planes, 1, side, side), np.uint8)
    x[...] = 7
    x[:: planes - 1] = cupy.asarray(host)
    most = 0
    for size in ((2 * side, 2 * side), (2 * side - 1, 2 * side + 1)):
        out = upsample.interpolate(x, size=size, mode="bilinear")
        assert same_bits(out[:: planes - 1].get(), upsample.interpolate(host, size=size, mode="bilinear")), size
        most = max(most, out.size)
    return most
