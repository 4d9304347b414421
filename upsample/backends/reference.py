"""The plain NumPy backend: the oracle that other backends are judged by, and the worked example of one.

Sums are float64 for float weights and int64 for integer tables; no cleverness.  It runs only
when it is named: ``backend="reference"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import output_for, write
from . import register_backend

if TYPE_CHECKING:
    from .._axismap import AxisMap
    from .._plan import Plan


class Reference:
    """Registered as ``reference``."""

    name = "reference"

    def prepare(self, plan: Plan, like: Any) -> Any:
        if not isinstance(like, np.ndarray):
            return f"it runs on NumPy arrays, got {type(like).__module__}.{type(like).__name__}: use cupy.asnumpy(x)"
        if plan.features:
            return f"it does not know {', '.join(sorted(plan.features))}"
        if plan.dtype.hasobject:
            return "object arrays are not supported"

        def kernel(x: Any, out: Any = None) -> Any:
            out = output_for(plan, x, out)
            write(out, run(plan, x))
            return out

        return kernel


def run(plan: Plan, x: Any) -> Any:
    """The passes, one after another, and the final rounding."""
    return rounded(unrounded(plan, x), plan.dtype)


def unrounded(plan: Plan, x: Any) -> Any:
    """The passes, one after another."""
    if 0 in plan.out_shape:
        return np.empty(plan.out_shape, plan.dtype)
    values = x.astype(plan.dtype)
    for step in plan.passes:
        values = apply(step.map, values, step.axis)
        if step.store == "dtype":
            values = rounded(values, plan.dtype)
    return values


def apply(axis_map: AxisMap, x: Any, axis: int) -> Any:
    """One pass: ``out[o] = sum_k weight[o, k] * x[clip(first[o] + k)]`` along an axis."""
    first, count, weights = axis_map.taps()
    x = np.moveaxis(x, axis, -1)
    if axis_map.is_copy:
        return np.moveaxis(np.take(x, np.clip(first, 0, axis_map.n - 1), axis=-1), -1, axis)
    total = np.int64 if axis_map.acc == "int32" else np.float64
    x = x.astype(total)
    out = np.zeros((*x.shape[:-1], axis_map.m), total)
    with np.errstate(invalid="ignore", over="ignore"):
        for k in range(axis_map.taps_max):
            used = np.flatnonzero(k < count)
            term = x[..., np.clip(first[used] + k, 0, axis_map.n - 1)]
            out[..., used] += term if weights is None else weights[used, k].astype(total) * term
        if weights is None:
            out /= count
    if axis_map.acc == "int32":
        out = (out + (1 << axis_map.shift >> 1)) >> axis_map.shift
    return np.moveaxis(out, -1, axis)


def rounded(values: Any, dtype: np.dtype[Any]) -> Any:
    """To the dtype, half to even; integers are clamped to their range."""
    if values.dtype == dtype:
        return values
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return np.clip(np.rint(values), info.min, info.max).astype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype)


register_backend(Reference())
