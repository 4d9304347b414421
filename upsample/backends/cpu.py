"""The CPU backend: plans onto the compiled skeleton's five numbers (outer, D, H, W, inner).

In: a plan and an array like those to come.  Out: a `CpuKernel`.  Axes are taken in their order in
memory, axes without a pass are merged into their neighbours, and what does not fit five numbers
is run on a transposed copy.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import output_for, output_order, write
from .._kernels.cpu import skeleton
from . import register_backend

if TYPE_CHECKING:
    from .._plan import Plan

LEVELS = ("baseline", "avx2", "avx512", "neon")


class Cpu:
    """Registered as ``cpu``: Cython and C, on NumPy arrays."""

    name = "cpu"

    def prepare(self, plan: Plan, like: Any) -> Any:
        if not isinstance(like, np.ndarray):
            return f"it runs on NumPy arrays, got {type(like).__module__}.{type(like).__name__}: use cupy.asnumpy(x)"
        if plan.features:
            return f"it does not know {', '.join(sorted(plan.features))}"
        if plan.dtype.hasobject:
            return "object arrays are not supported"
        if not plan.passes or 0 in plan.out_shape or 0 in plan.shape:
            return Copy(plan)
        order = output_order(like.shape, like.strides)
        groups = _groups(order, {p.axis for p in plan.passes})
        if groups is None:
            transposed = Transposed(self, plan)
            return transposed.kernel if isinstance(transposed.kernel, str) else transposed
        made = job_for(plan, groups)
        if isinstance(made, str):
            return made
        return skeleton.CpuKernel(made, plan.dtype, plan.shape, plan.out_shape, groups)


def job_for(plan: Plan, groups: tuple[tuple[int, ...], ...]) -> skeleton.Prepared | str:
    """The plan as a job on groups of axes: outer, D, H, W and inner, of which D, H and W have one at the most."""
    outer, d, h, w, inner = groups
    maps = {p.axis: p.map for p in plan.passes}
    return skeleton.prepare(
        plan.dtype.name,
        plan.dtype.itemsize,
        _size(plan, outer),
        _size(plan, inner),
        [_size(plan, d), _size(plan, h), _size(plan, w)],
        [maps.get(g[0]) if g else None for g in (d, h, w)],
    )


def _size(plan: Plan, axes: tuple[int, ...]) -> int:
    size = 1
    for a in axes:
        size *= plan.shape[a]
    return size


def _groups(order: tuple[int, ...], passes: set[int]) -> tuple[tuple[int, ...], ...] | None:
    """Axes of outer, D, H, W and inner, given all axes from outermost to innermost in memory."""
    at = [i for i, axis in enumerate(order) if axis in passes]
    if [order[i] for i in at] != sorted(passes):
        return None  # the innermost axis in memory runs first, which would change the order of the passes
    outer, inner = order[: at[0]], order[at[-1] + 1 :]
    between = [order[a + 1 : b] for a, b in itertools.pairwise(at)]
    along = [(order[i],) for i in at]
    if len(along) == 1:
        return outer, (), (), along[0], inner
    if len(along) == 2:
        if between[0]:
            return outer, along[0], between[0], along[1], inner
        return outer, (), along[0], along[1], inner
    if len(along) == 3 and not any(between):
        return outer, along[0], along[1], along[2], inner
    return None


class Copy:
    """No axis changes, or there is nothing to write."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, x: Any, out: Any = None) -> Any:
        out = output_for(self.plan, x, out)
        if out.size:
            write(out, x)
        return out

    def explain(self) -> str:
        return "a copy"


class Transposed:
    """Passes with other axes between them: run with those moved outward, on a copy of the input."""

    def __init__(self, backend: Cpu, plan: Plan) -> None:
        along = sorted(p.axis for p in plan.passes)
        order = (*(a for a in range(len(plan.shape)) if a not in along), *along)
        place = {axis: i for i, axis in enumerate(order)}
        self.plan, self.order, self.inverse = plan, order, tuple(place[a] for a in range(len(order)))
        moved = replace(
            plan,
            shape=tuple(plan.shape[a] for a in order),
            out_shape=tuple(plan.out_shape[a] for a in order),
            passes=tuple(replace(p, axis=place[p.axis]) for p in plan.passes),
            spatial=tuple(place[a] for a in plan.spatial),
        )
        strides = np.multiply(np.cumprod((1, *moved.shape[:0:-1]))[::-1], plan.dtype.itemsize)
        like = np.lib.stride_tricks.as_strided(np.empty(1, plan.dtype), moved.shape, tuple(map(int, strides)))
        self.kernel = backend.prepare(moved, like)

    def __call__(self, x: Any, out: Any = None) -> Any:
        out = output_for(self.plan, x, out)
        made = self.kernel(np.ascontiguousarray(x.transpose(self.order)))
        write(out, made.transpose(self.inverse))
        return out

    def explain(self) -> str:
        return "on a transposed copy: " + str(self.kernel.explain())


def _cap_level(name: str | None) -> None:
    if not name:
        return
    if name not in LEVELS:
        raise ValueError(f"the environment variable UPSAMPLE_SIMD must be one of {', '.join(LEVELS)}, got {name!r}")
    skeleton.set_level(name)


def _pool_limit(value: str | None) -> int | None:
    """Bytes that ``UPSAMPLE_POOL`` says, or None for the default."""
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and int(value) < 2**63):
        raise ValueError(f"the environment variable UPSAMPLE_POOL must be a number of bytes (0: off), got {value!r}")
    return int(value)


_cap_level(os.environ.get("UPSAMPLE_SIMD"))
skeleton.set_pool_limit(_pool_limit(os.environ.get("UPSAMPLE_POOL")))
register_backend(Cpu())
