"""The CPU backend: plans onto the compiled skeleton's five numbers (outer, D, H, W, inner).

In: a plan and an array like those to come.  Out: a `CpuKernel`.  Axes are taken in their order in
memory, axes without a pass are merged into their neighbours, and what does not fit five numbers
is run on a transposed copy.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import native, output_order
from .._axismap import AxisMap
from .._kernels.cpu import skeleton
from . import register_backend
from ._axes import (
    Copy,
    Groups,
    Reordered,
    Transposed,
    copies,
    groups_for,
    groups_of,
    irregular,
    nothing_to_do,
    own_order,
    size_of,
)

if TYPE_CHECKING:
    from .._plan import Plan

X86 = ("baseline", "avx2", "avx512")
MOST_POOL = 2**63 - 1


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
        groups, own = _arranged(plan, like)
        if own is not None:
            kernel = Reordered(plan, own, _prepare, skeleton.write)
            if not isinstance(kernel.kernel, str):
                return kernel
        return _prepare(plan, output_order(like.shape, like.strides), groups)

    def remarks(self, plan: Plan, like: Any, out: Any) -> str:
        """Copies that these arrays cost beside the kernel."""
        if nothing_to_do(plan):
            return ""
        groups, own = _arranged(plan, like)
        if own is not None:
            return "the result is made in the input's memory order, and copied"
        return copies(like, out, groups, obstacle)


def obstacle(x: Any, groups: Groups) -> str:
    """Why the compiled kernel cannot run on an array as it is; empty where it can."""
    if native(x.dtype) is not x.dtype and native(x.dtype) != x.dtype:
        return "its byte order is not this machine's"
    if not x.flags.aligned:
        return "its samples are not aligned"
    return irregular(x, groups)


def _arranged(plan: Plan, like: Any) -> tuple[Groups | None, tuple[int, ...] | None]:
    """The groups of an array's axes in the order of its output; and the order to run in instead, if any."""
    groups = groups_for(like, output_order(like.shape, like.strides), {p.axis for p in plan.passes}, obstacle)
    readable = groups is not None and not obstacle(like, groups)
    return groups, None if readable else own_order(plan, like, obstacle)


def _prepare(plan: Plan, order: tuple[int, ...], groups: Groups | None = None) -> Any:
    """The kernel for arrays whose axes lie in memory in this order and make up these groups, or those of the order."""
    groups = groups or groups_of(order, {p.axis for p in plan.passes})
    if groups is None:
        transposed = Transposed(plan, _prepare)
        return transposed.kernel if isinstance(transposed.kernel, str) else transposed
    made = job_for(plan, groups)
    if isinstance(made, str):
        return made
    return skeleton.CpuKernel(made, plan.dtype, plan.shape, plan.out_shape, groups, order)


def job_for(plan: Plan, groups: tuple[tuple[int, ...], ...]) -> skeleton.Prepared | str:
    """The plan as a job on groups of axes: outer, D, H, W and inner; those of D, H or W have one pass at the most."""
    outer, d, h, w, inner = groups[-5:]
    maps = {p.axis: p.map for p in plan.passes}
    if w[0] not in maps and all(m.is_copy for m in maps.values()):
        n = size_of(plan, w)  # copies need a map there: that of every sample to itself
        maps[w[0]] = AxisMap(n, n, "nearest", coords="rational", weights=None, acc="float32")
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
    names = _level_names()
    if name not in names:
        raise ValueError(
            f"the environment variable UPSAMPLE_SIMD must be one of {', '.join(names)} on this processor, got {name!r}"
        )
    skeleton.set_level(name)


def _level_names() -> tuple[str, ...]:
    """Levels that a processor of this kind may have."""
    lowest = skeleton.levels()[-1]
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
    return X86 if x86 and lowest == X86[0] else (lowest,)


def _pool_limit(value: str | None) -> int | None:
    """Bytes that ``UPSAMPLE_POOL`` says, or None for the default."""
    value = (value or "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 100 and int(value) <= MOST_POOL):
        raise ValueError(
            f"the environment variable UPSAMPLE_POOL must be a number of bytes from 0 (off) to {MOST_POOL}, "
            f"got {value!r}"
        )
    return int(value)


_cap_level(os.environ.get("UPSAMPLE_SIMD"))
skeleton.set_pool_limit(_pool_limit(os.environ.get("UPSAMPLE_POOL")))
register_backend(Cpu())
