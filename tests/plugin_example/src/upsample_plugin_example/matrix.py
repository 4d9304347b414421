"""A backend in a hundred lines: each pass is a banded matrix, applied row by row in NumPy.

In: a plan, whose passes say which axis is resampled by which map.  Out: a kernel, a callable
``kernel(x, out=None)``.  It reads what the interface promises (``plan.shape``, ``out_shape``,
``dtype``, ``passes``, ``features`` and each pass's map) and nothing else of the library.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Matrix:
    """Registered as ``matrix``, by this package's entry point."""

    name = "matrix"

    def prepare(self, plan: Any, like: Any) -> Product | str:
        """A kernel for the plan, or why there is none."""
        if not isinstance(like, np.ndarray):
            return f"it multiplies NumPy arrays, got {type(like).__name__}"
        if plan.features:  # a plan of a newer library may mean something that this code has not heard of
            return f"it does not know {', '.join(sorted(plan.features))}"
        if plan.dtype == np.float16:
            return "it has no half precision: use float32"
        return Product(plan)


class Product:
    """The kernel: checks its arrays, then takes one axis after the other."""

    def __init__(self, plan: Any) -> None:
        empty = 0 in plan.shape or 0 in plan.out_shape
        self.plan = plan
        self.steps = [] if empty else [(step.axis, step.store, step.map, band(step.map)) for step in plan.passes]

    def __call__(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        plan = self.plan
        if x.shape != plan.shape or x.dtype.newbyteorder("=") != plan.dtype:
            raise ValueError(f"expected {plan.dtype} of shape {plan.shape}, got {x.dtype} of shape {x.shape}")
        if out is None:
            out = np.empty(plan.out_shape, plan.dtype)
        elif out.shape != plan.out_shape or out.dtype.newbyteorder("=") != plan.dtype:
            raise ValueError(f"out must be {plan.dtype} of shape {plan.out_shape}, got {out.dtype} of {out.shape}")
        elif not out.flags.writeable or np.may_share_memory(out, x):
            raise ValueError("out must be writeable and must not share memory with the input")
        values = x.astype(plan.dtype)  # native byte order
        for axis, store, axis_map, rows in self.steps:
            values = np.moveaxis(resampled(np.moveaxis(values, axis, -1), axis_map, rows), -1, axis)
            if store == "dtype":
                values = rounded(values, plan.dtype)
        if out.size:
            out[...] = rounded(values, plan.dtype)
        return out

    def explain(self) -> str:
        """What `upsample.explain` shows of the kernel."""
        return f"{len(self.steps)} matrix product(s)"


def band(axis_map: Any) -> list[tuple[int, np.ndarray]]:
    """The matrix of a map: of each row the first column and the weights from there on.

    Taps beyond the axis stand for its end samples, so that several may fall on one column.
    """
    first, count, weights = axis_map.taps()
    wide = np.int64 if axis_map.acc == "int32" else np.float64
    rows = []
    for o in range(axis_map.m):
        if count[o] == 0:  # nothing reaches this output: it is zero
            rows.append((0, np.zeros(0, wide)))
            continue
        columns = np.clip(first[o] + np.arange(count[o]), 0, axis_map.n - 1)
        row = np.zeros(columns[-1] - columns[0] + 1, wide)
        np.add.at(row, columns - columns[0], 1 if weights is None else weights[o, : count[o]].astype(wide))
        rows.append((int(columns[0]), row))
    return rows


def resampled(x: np.ndarray, axis_map: Any, rows: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """One pass along the last axis."""
    if axis_map.is_copy:  # one tap without a weight, of any dtype
        return x[..., [column for column, _ in rows]]
    x = x.astype(rows[0][1].dtype)
    with np.errstate(invalid="ignore", over="ignore"):  # infinities are data, not mistakes
        total = np.stack([x[..., at : at + row.size] @ row for at, row in rows], axis=-1)
    if axis_map.weights is None:  # box sums
        return total / [row.sum() for _, row in rows]
    if axis_map.acc == "int32":  # integer weights, with so many binary places
        return (total + (1 << axis_map.shift >> 1)) >> axis_map.shift
    return total


def rounded(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """To the dtype, half to even and within its range."""
    if values.dtype == dtype or dtype.kind not in "iu":
        return values.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(np.rint(values), info.min, info.max).astype(dtype)
