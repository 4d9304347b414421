"""The conformance kit: what a backend must do, as cases that any backend can be run through.

`check_backend` is for authors of backends; `Case` and the generators also feed the library's own
tests.  Every case is judged by the ``reference`` backend.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._arrays import byte_bounds, dtype_name, may_share_memory, spatial_axes
from ._interpolate import plan as make_plan
from ._plan import GRADIENT_DTYPES

__all__ = ["Case", "Report", "check_backend", "random_cases", "systematic_cases"]

MODES = ("nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "cubic", "area", "lanczos")
WEIGHTED = ("float32", "float64", "float16", "uint8", "int8", "uint16", "int16")
COPIED = (*WEIGHTED, "bool", "int32", "int64", "complex64", "complex128", "S3", "datetime64[s]", "V12")
STRIDES = ("contiguous", "channels-last", "fortran", "reversed", "every-second", "broadcast", "unaligned", "swapped",
           "read-only", "sliced")  # fmt: skip
_RANK_MODES = {
    1: ("nearest", "nearest-exact", "linear", "cubic", "area", "lanczos"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "cubic", "area", "lanczos"),
    3: ("nearest", "nearest-exact", "trilinear", "cubic", "area", "lanczos"),
}
_LAYOUTS = {1: ("NCW", "CW", "WC", "W"), 2: ("NCHW", "HWC", "NHWC", "HW", "HCW"), 3: ("NCDHW", "DHW", "NDHWC", "DHWC")}


@dataclass(frozen=True)
class Case:
    """One call: the array's shape, dtype and strides, and the arguments."""

    shape: tuple[int, ...]
    dtype: str
    arguments: dict[str, Any] = field(default_factory=dict)
    strides: str = "contiguous"
    seed: int = 0

    def array(self) -> Any:
        """The input: random samples, laid out as `strides` says."""
        return self._array(self.shape, self.seed)

    def gradient(self, out_shape: tuple[int, ...]) -> Any:
        """The gradient of an output: likewise."""
        return self._array(out_shape, self.seed + 1)

    def _array(self, shape: tuple[int, ...], seed: int) -> Any:
        rng = np.random.default_rng(seed)
        if self.strides == "broadcast" and len(shape) > 1:
            base = _samples(rng, (1, *shape[1:]), self.dtype)
            return np.broadcast_to(base, shape)
        return _restrided(_samples(rng, shape, self.dtype), self.strides)

    def output_size(self) -> int:
        """Samples in the result."""
        made = make_plan(self.shape, _dtype(self.dtype), **_plan_arguments(self.arguments))
        return int(np.prod(made.out_shape, dtype=object))


@dataclass
class Report:
    """What `check_backend` saw."""

    backend: str
    passed: int = 0
    gradients: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"backend {self.backend!r}: {self.passed} cases and {self.gradients} gradients passed, "
            f"{len(self.failed)} failed"
        ]
        lines += [f"  refused {count}: {reason}" for reason, count in sorted(self.refused.items())]
        return "\n".join(lines + [f"  FAILED {text}" for text in self.failed[:20]])


def check_backend(
    name: str, *, cases: Iterable[Case] | None = None, seed: int = 0, count: int = 300, arrays: str = "numpy"
) -> Report:
    """Run a backend through the conformance cases, and their gradients, and compare all results with the reference.

    Parameters
    ----------
    name : str
        A backend of `upsample.backends`.
    cases : iterable of Case, optional
        Instead of `systematic_cases` and `count` of `random_cases`.
    seed : int
        Of the random cases.
    count : int
        How many of them.
    arrays : {"numpy", "cupy"}
        The arrays that the backend takes. CuPy's have the cases' strides; dtypes that it lacks are refused.

    Returns
    -------
    Report
        Counts of cases and gradients passed, and of those refused by reason: refusing is allowed, a wrong result
        is not.

    Raises
    ------
    AssertionError
        If a result differs in shape, dtype or value, if ``out=`` is not honoured, or the input is changed.
    upsample.BackendError
        If there is no such backend, it runs none of the cases, or CuPy or a GPU for its arrays is missing.
    ValueError
        For `arrays` of another kind.

    Examples
    --------
    >>> import upsample.testing
    >>> report = upsample.testing.check_backend("cpu", count=20)
    >>> len(report.failed)
    0
    """
    from .backends import BackendError, find, why_not
    from .backends.cuda import unusable

    find(name)
    if arrays not in ("numpy", "cupy"):
        raise ValueError(f"arrays must be 'numpy' or 'cupy', got {arrays!r}")
    if arrays == "cupy":
        cupy = sys_cupy()
        reason = "CuPy has not been imported: import cupy" if cupy is None else unusable(cupy)
        if reason:
            raise BackendError(f"backend {name!r} cannot be tested on CuPy arrays: {reason}")
    report = Report(name)
    if cases is None:
        cases = (*systematic_cases(seed), *random_cases(count, seed))
    for case in cases:
        host = case.array()
        plan = make_plan(host.shape, host.dtype, **_plan_arguments(case.arguments))
        runs = [(plan, host)]
        if dtype_name(host.dtype) in GRADIENT_DTYPES:
            runs.append((plan.T, case.gradient(plan.out_shape)))
        for made, array in runs:
            x = array if arrays == "numpy" else to_cupy(array)
            kernel = "CuPy has no arrays of this dtype" if x is None else why_not(made, x, name)
            if isinstance(kernel, str):
                report.refused[kernel] = report.refused.get(kernel, 0) + 1
                continue
            problem = _problem(made, kernel, x, array)
            if problem is not None:
                report.failed.append(f"{case}{'' if made is plan else ', its gradient'}: {problem}")
            elif made is plan:
                report.passed += 1
            else:
                report.gradients += 1
    if report.failed:
        raise AssertionError(str(report))
    if report.refused and not report.passed and not report.gradients:
        raise BackendError(f"backend {name!r} ran none of the cases, so nothing is known about it\n{report}")
    return report


def tolerance(plan: Any, x: Any) -> float:
    """How far a correct result may lie from the reference's, in the samples' unit: 0 for copies and 8-bit sums."""
    if all(p.map.is_copy or p.map.acc == "int32" for p in plan.passes) or x.size == 0:
        return 0.0
    finite = np.abs(np.where(np.isfinite(x64 := x.astype(np.float64)), x64, 0))
    largest = float(finite.max())
    single = any(p.map.acc == "float32" for p in plan.passes)
    eps = 2.0**-23 if single else 2.0**-52
    growth = 1.0
    for p in plan.passes:
        if p.map.transposed:
            growth *= float(np.abs(p.map.taps()[2].astype(np.float64)).sum(axis=1).max())
            continue
        # Cubic and Lanczos weights sum to at most 1.7 in absolute value.
        growth *= 1.0 if p.map.filter in ("linear", "area", "triangle-aa") else 1.7
    error = float(eps * growth * largest * sum(p.map.taps_max + 2 for p in plan.passes))
    if plan.dtype.kind in "iu":
        return error  # of the sum before it is rounded
    step = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23}.get(plan.dtype.name, 0.0)
    return error + (step * growth * largest if plan.dtype.itemsize < 4 or not single else 0.0)


def _problem(plan: Any, kernel: Any, x: Any, host: Any) -> str | None:
    """What is wrong with a kernel's results for an array whose samples are those of `host`, or None."""
    from .backends import kernel_for
    from .backends.reference import unrounded

    xp: Any = np if isinstance(x, np.ndarray) else sys_cupy()
    numpy = np.asarray if xp is np else xp.asnumpy
    before = host.copy()
    exact = unrounded(plan, before)
    expected = kernel_for(plan, before, "reference")(before)
    made = kernel(x)
    if made.shape != plan.out_shape or made.dtype != plan.dtype:
        return f"gave {made.dtype} of shape {made.shape}, expected {plan.dtype} of shape {plan.out_shape}"
    if made.size and may_share_memory(made, x):
        return "the result shares memory with the input"
    got = numpy(made)
    for order in ("C", "F"):
        out = xp.empty(plan.out_shape, plan.dtype, order)
        if kernel(x, out) is not out:
            return "out= was given, but another object came back"
        if numpy(out).tobytes() != got.tobytes() and not _equal(numpy(out), got):
            return f"out= in {order} order gave other bits than a new output"
    if numpy(x).tobytes() != before.tobytes():
        return "the input was changed"
    allowed = tolerance(plan, host)
    if plan.dtype.kind in "iu" and allowed:
        # equal, or the sum lies so close to a half that another order of adding may round it the other way
        info = np.iinfo(plan.dtype)
        off = np.abs(got.astype(np.float64) - np.clip(exact, info.min, info.max))
        return None if (off <= 0.5 + allowed).all() else f"a sample is {off.max():.6g} from the sum that it rounds"
    return difference(got, expected, allowed)


def to_cupy(x: Any) -> Any:
    """The array on CuPy's current device, with the same strides; None where CuPy has no arrays of its dtype."""
    cupy = sys_cupy()
    if x.dtype.kind not in "biufc" and x.dtype.name != "bfloat16":
        return None
    if not x.dtype.isnative:
        return None
    start = x.__array_interface__["data"][0]
    lo, hi = (start + b for b in (byte_bounds(x.shape, x.strides, x.dtype.itemsize) if x.size else (0, 0)))
    phase = lo % 16 // x.dtype.itemsize * x.dtype.itemsize  # an array begins where it did within 16 bytes
    raw = np.zeros(phase + hi - lo, np.uint8)
    raw[phase:] = np.frombuffer(ctypes.string_at(lo, hi - lo), np.uint8)
    memory = cupy.asarray(raw)
    return cupy.ndarray(x.shape, x.dtype, memory.data + (phase + start - lo), x.strides)


def sys_cupy() -> Any:
    """CuPy, where the caller has imported it."""
    import sys

    return sys.modules.get("cupy")


def _equal(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")) if a.dtype.kind in "fciub" else False


def difference(got: Any, expected: Any, allowed: float) -> str | None:
    """What is wrong with a result, or None."""
    if got.size == 0 or got.tobytes() == expected.tobytes():
        return None
    if allowed == 0 or (got.dtype.kind in "SUVMm" and got.dtype.name != "bfloat16"):
        if _equal(got, expected):
            return None
        return f"{np.count_nonzero(got != expected)} of {got.size} samples differ, equality is required"
    a, b = got.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~((np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b)))
    if not bad.any():
        return None
    at = tuple(int(i[0]) for i in np.nonzero(bad))
    return f"{bad.sum()} of {got.size} samples differ by more than {allowed:.3g}; at {at} got {a[at]}, expected {b[at]}"


def systematic_cases(seed: int = 0) -> Iterator[Case]:
    """Every mode with every rank, layout, dtype, numerics and kind of strides at least once."""
    rng = random.Random(seed)
    number = 0
    for rank, modes in _RANK_MODES.items():
        for mode in modes:
            for dtype in (*(COPIED if mode.startswith("nearest") else WEIGHTED), "bfloat16"):
                if dtype == "bfloat16" and _dtype(dtype) is None:
                    continue
                for antialias in (False, True):
                    if antialias is (mode in ("nearest", "nearest-exact", "area")) and antialias:
                        continue
                    if mode == "lanczos" and not antialias:
                        continue
                    number += 1
                    layout = rng.choice((None, *_LAYOUTS[rank]))
                    strides = STRIDES[number % len(STRIDES)]
                    yield _case(rng, rank, mode, dtype, antialias, layout, strides)


def random_cases(count: int, seed: int = 0, *, dtypes: tuple[str, ...] | None = None) -> Iterator[Case]:
    """Random calls over modes, ranks, layouts, dtypes, sizes, factors and strides."""
    rng = random.Random(seed + 1)
    for _ in range(count):
        rank = rng.choice((1, 2, 2, 3))
        mode = rng.choice(_RANK_MODES[rank])
        pool = dtypes or (COPIED if mode.startswith("nearest") else WEIGHTED)
        antialias = mode == "lanczos" or (not mode.startswith(("nearest", "area")) and rng.random() < 0.3)
        layout = rng.choice((None, None, *_LAYOUTS[rank]))
        yield _case(rng, rank, mode, rng.choice(pool), antialias, layout, rng.choice(STRIDES))


def _case(
    rng: random.Random, rank: int, mode: str, dtype: str, antialias: bool, layout: str | None, strides: str
) -> Case:
    top = {1: 300, 2: 40, 3: 14}[rank]
    names = layout or ("NC" + "DHW"[3 - rank :])
    shape = tuple(rng.randint(1, top) if c in "DHW" else rng.choice((1, 2, 3, 4, 5, 9)) for c in names)
    spatial, _ = spatial_axes(len(shape), layout)
    sizes = [shape[a] for a in spatial]
    arguments: dict[str, Any] = {"mode": mode}
    if layout:
        arguments["layout"] = layout
    kind = rng.choice(("size", "factor", "factor", "whole"))
    if kind == "size":
        arguments["size"] = tuple(rng.choice((n, rng.randint(1, 2 * top))) for n in sizes)
    elif kind == "whole":
        arguments["scale_factor"] = rng.choice((2, 2, 3, 4, 1))
    else:
        factors = [rng.choice((1.0, 1.1, 0.5, 1.5, 2.0, round(rng.uniform(0.2, 3.3), 3))) for _ in sizes]
        arguments["scale_factor"] = tuple(max(f, 1 / n) for f, n in zip(factors, sizes, strict=True))
        if any(int(n * f) < 1 for n, f in zip(sizes, arguments["scale_factor"], strict=True)):
            arguments["scale_factor"] = 1.5
        if rng.random() < 0.3:
            arguments["recompute_scale_factor"] = True
    if mode in ("linear", "bilinear", "trilinear", "bicubic", "cubic") and rng.random() < 0.4:
        arguments["align_corners"] = rng.random() < 0.6
    if antialias:
        arguments["antialias"] = True
    if rng.random() < 0.25:
        arguments["numerics"] = "exact"
    return Case(shape, dtype, arguments, strides, rng.randrange(2**31))


def _plan_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in arguments.items() if k != "backend"}


def _dtype(name: str) -> Any:
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        return None
    return np.dtype(ml_dtypes.bfloat16)


def _samples(rng: np.random.Generator, shape: tuple[int, ...], name: str) -> Any:
    dtype = _dtype(name)
    if name == "bfloat16" or dtype.kind == "f":
        x = rng.uniform(-4, 4, shape).astype(dtype)
        if x.size and rng.random() < 0.1:  # an infinity must not reach outputs that do not sample it
            x.flat[rng.integers(0, x.size)] = np.inf
        return x
    if dtype.kind == "c":
        return (rng.uniform(-4, 4, shape) + 1j * rng.uniform(-4, 4, shape)).astype(dtype)
    raw = rng.integers(0, 256, (*shape, dtype.itemsize), dtype=np.uint8)
    if dtype.kind == "b":
        raw &= 1
    elif dtype.kind == "S":
        raw |= 1
    return raw.view(dtype)[..., 0]


def _restrided(x: Any, kind: str) -> Any:
    if kind == "channels-last" and x.ndim > 2:
        return (
            np.ascontiguousarray(np.moveaxis(x, 1, -1)).swapaxes(-1, 1)
            if x.ndim == 3
            else np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        )
    if kind == "fortran":
        return np.asfortranarray(x)
    if kind == "reversed":
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    if kind == "every-second":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    if kind == "sliced":
        return np.pad(x, [(1, 2)] * x.ndim)[tuple(slice(1, -2) for _ in range(x.ndim))] if x.dtype.kind in "fiu" else x
    if kind == "unaligned":
        raw = np.empty(x.nbytes + 1, np.uint8)
        moved = raw[1:].view(x.dtype).reshape(x.shape)
        moved[...] = x
        return moved
    if kind == "swapped" and x.dtype.kind in "fiuc":
        return x.astype(x.dtype.newbyteorder())
    if kind == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x
