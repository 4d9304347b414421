"""The CPU backend: plans onto the compiled skeleton's five numbers (outer, D, H, W, inner).

In: a plan and an array like those to come.  Out: a `CpuKernel`.  Axes are taken in their order in
memory, axes without a pass are merged into their neighbours, and what does not fit five numbers
is run on a transposed copy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import output_order
from .._kernels.cpu import skeleton
from . import register_backend
from ._axes import Copy, Transposed, groups_of, nothing_to_do, size_of

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
        if nothing_to_do(plan):
            return Copy(plan)
        return _prepare(plan, output_order(like.shape, like.strides))


def _prepare(plan: Plan, order: tuple[int, ...]) -> Any:
    """The kernel for arrays whose axes lie in memory in this order."""
    groups = groups_of(order, {p.axis for p in plan.passes})
    if groups is None:
        transposed = Transposed(plan, _prepare)
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
        size_of(plan, outer),
        size_of(plan, inner),
        [size_of(plan, d), size_of(plan, h), size_of(plan, w)],
        [maps.get(g[0]) if g else None for g in (d, h, w)],
    )


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
