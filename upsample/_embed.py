"""Plans on memory that is not ours: from plain numbers to a job of the CPU kernel and its strides.

In: what the C interface's description says, as Python values.  Out: an `Embedded`: a prepared job, where
its rows lie, and the facts that a C caller asks for.  Sizes, scales, modes and their errors are resolved
by the front end that Python calls go through; memory is never touched here.
"""

from __future__ import annotations

import math
import signal
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._arrays import output_order, overlaps_itself
from ._interpolate import _resolve
from ._plan import Plan
from .backends.cpu import job_for

# No process maps more.  The kernels' sizes fit 64 bits below it: the ring of a reduction of D and H has up to four
# rows, each of up to 1024 samples of 8 bytes, for every sample along D and H (2**2 * 2**10 * 2**3 * 2**47 = 2**62).
MOST_BYTES = 2**47
# A unit of zeros has this many bytes or a few more.
ZEROS = 2**16


class LayoutError(ValueError):
    """Strides that cannot be run in place."""


class BFloat16:
    """The facts of a dtype that NumPy lacks, so that no package that has it needs to be imported."""

    name = "bfloat16"
    itemsize = alignment = 2
    hasobject = False
    isnative = True
    kind = "V"
    subdtype = fields = names = None


DTYPES: tuple[Any, ...] = (
    np.dtype("float32"), np.dtype("float64"), np.dtype("float16"), BFloat16(), np.dtype("uint8"), np.dtype("int8"),
    np.dtype("uint16"), np.dtype("int16"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Embedded:
    """A job and its place in memory; all strides are bytes.

    `steps` are the job's strides of outer, D and H, of input and output; `blocks` the axes that outer could
    not take in, outermost first, as (size, input stride, output stride): the job runs once for each of them.
    `job` is None where input or output have no samples. Sums of no samples are zeros: `zeros` are the adjacent bytes
    of them to write for each of the blocks.
    """

    job: Any
    steps: tuple[tuple[int, int, int], tuple[int, int, int]]
    blocks: tuple[tuple[int, int, int], ...]
    alignment: int
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    strides: tuple[tuple[int, ...], tuple[int, ...]]
    in_start: tuple[int, ...]
    extents: tuple[tuple[int, int], tuple[int, int]]  # lowest and one past the highest byte, input and output
    dense: bool  # both are without gaps, so that an overlap of their extents is an overlap of samples
    zeros: int = 0


def embed(
    shape: tuple[int, ...],
    dtype: Any,
    strides: tuple[int, ...] | None,
    out_strides: tuple[int, ...] | None,
    layout: str | None,
    arguments: dict[str, Any],
    window: tuple[tuple[int, ...], tuple[int, ...]] | None,
    transposed: bool,
) -> Embedded:
    """Resolve a description.

    Raises
    ------
    ValueError, NotImplementedError, RuntimeError
        As `upsample.interpolate` and `Plan.window`.
    LayoutError
        For strides that need a copy.
    """
    _check_bytes("input", shape, dtype.itemsize)
    plan = _resolve(shape=shape, dtype=dtype, layout=layout, backend=None, **arguments)
    if transposed:
        plan = plan.T
    in_start = (0,) * len(plan.spatial)
    if window is not None:
        start, stop = (v[: len(plan.spatial)] for v in window)
        in_start, _, plan = plan.window(start, stop)
    if plan.features:
        raise NotImplementedError(f"the cpu backend does not know {', '.join(sorted(plan.features))}")
    _check_bytes("input", plan.shape, plan.dtype.itemsize)
    _check_bytes("output", plan.out_shape, plan.dtype.itemsize)
    item = plan.dtype.itemsize
    if strides is None:
        strides = _dense(plan.shape, range(len(plan.shape)), item)
    if out_strides is None:
        order = output_order(plan.shape, strides) if layout is None else range(len(plan.shape))
        out_strides = _dense(plan.out_shape, order, item)
    return _placed(plan, strides, out_strides, in_start)


def interrupts(error: BaseException) -> bool:
    """Whether an exception is none of ours: Ctrl-C, or what a handler of a signal raised meanwhile."""
    if not isinstance(error, Exception):
        return True
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def in_main_thread() -> bool:
    """Whether this is the thread that handles signals."""
    return threading.current_thread() is threading.main_thread()


def _check_bytes(name: str, shape: tuple[int, ...], item: int) -> None:
    if math.prod(n for n in shape if n) * item > MOST_BYTES:
        raise RuntimeError(f"an {name} of shape {shape} and {item} bytes per sample is too large")


def _dense(shape: tuple[int, ...], order: Any, item: int) -> tuple[int, ...]:
    """Strides without gaps, for axes in their order from outermost to innermost."""
    strides = [0] * len(shape)
    for axis in reversed(order):
        strides[axis] = item
        item *= shape[axis]
    return tuple(strides)


def _placed(plan: Plan, strides: tuple[int, ...], out_strides: tuple[int, ...], in_start: tuple[int, ...]) -> Embedded:
    item = plan.dtype.itemsize
    alignment = 1 if plan.dtype.kind == "V" and plan.dtype.name != "bfloat16" else item
    empty = 0 in plan.out_shape or 0 in plan.shape
    extents = (_extent(plan.shape, strides, item), _extent(plan.out_shape, out_strides, item))
    for name, sizes, steps, (lo, hi) in (
        ("input", plan.shape, strides, extents[0]),
        ("output", plan.out_shape, out_strides, extents[1]),
    ):
        if not empty and any(st % alignment for st, n in zip(steps, sizes, strict=True) if n > 1):
            raise LayoutError(f"strides of the {name} must be multiples of {alignment} bytes, got {steps}")
        if hi - lo > MOST_BYTES:
            raise RuntimeError(f"an {name} of shape {sizes} and strides {steps} is too large")
    if overlaps_itself(plan.out_shape, out_strides, item):
        raise ValueError(f"the output overlaps itself (strides {out_strides} for shape {plan.out_shape})")
    # (the output does not overlap itself; an input may read samples twice and leave gaps)
    dense = not overlaps_itself(plan.shape, strides, item) and all(
        hi - lo == math.prod(sizes) * item
        for sizes, (lo, hi) in zip((plan.shape, plan.out_shape), extents, strict=True)
    )
    facts = (alignment, (plan.shape, plan.out_shape), (strides, out_strides), in_start, extents, dense)
    if empty:
        row, blocks = (0, []) if 0 in plan.out_shape else _zeros(plan.out_shape, out_strides, item)
        return Embedded(None, ((0, 0, 0), (0, 0, 0)), tuple(blocks), *facts, row)
    along = sorted(p.axis for p in plan.passes)
    try:
        w = along[-1] if along else plan.spatial[-1]
        inner = _inner_axes(plan, w, strides, out_strides)
    except LayoutError:
        # rows of an axis that is not resampled may lie apart from each other
        w = plan.spatial[-1]
        if w in along:
            raise
        inner = _inner_axes(plan, w, strides, out_strides)
    along = [a for a in along if a != w]
    others = [a for a in range(len(plan.shape)) if a not in (*along, w, *inner) and plan.shape[a] > 1]
    others.sort(key=lambda a: abs(out_strides[a]), reverse=True)
    merged = _merged(others, plan.shape, strides, out_strides)
    blocks = [(math.prod(plan.shape[a] for a in axes), strides[axes[-1]], out_strides[axes[-1]]) for axes in merged]
    outer = merged.pop() if merged else ()
    _, outer_step, outer_out_step = blocks.pop() if blocks else (1, 0, 0)
    d, h = ((), (), *((a,) for a in along))[-2:]
    job = job_for(plan, (tuple(outer), d, h, (w,), inner))
    if isinstance(job, str):
        raise NotImplementedError(job)
    at = [g[0] if g else None for g in (d, h)]
    d_step, h_step = (0 if a is None else strides[a] for a in at)
    d_out_step, h_out_step = (0 if a is None else out_strides[a] for a in at)
    return Embedded(
        job, ((outer_step, d_step, h_step), (outer_out_step, d_out_step, h_out_step)), tuple(blocks), *facts
    )


def _zeros(shape: tuple[int, ...], strides: tuple[int, ...], item: int) -> tuple[int, list[tuple[int, int, int]]]:
    """Adjacent bytes from a sample on, and the blocks, outermost first, that repeat them over the whole output."""
    axes = sorted((a for a in range(len(shape)) if shape[a] > 1), key=lambda a: abs(strides[a]))
    while axes and strides[axes[0]] == item and item < ZEROS:
        item *= shape[axes.pop(0)]
    return item, [(shape[a], 0, strides[a]) for a in reversed(axes)]


def _extent(shape: tuple[int, ...], strides: tuple[int, ...], item: int) -> tuple[int, int]:
    """The lowest byte, and one past the highest, seen from the sample at index 0."""
    if 0 in shape:
        return 0, 0
    reach = [(n - 1) * st for n, st in zip(shape, strides, strict=True)]
    return sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach) + item


def _inner_axes(plan: Plan, w: int, strides: tuple[int, ...], out_strides: tuple[int, ...]) -> tuple[int, ...]:
    """The axes, outermost first, that lie dense between single samples and those of axis `w`."""
    sides = {"input": (plan.shape, strides), "output": (plan.out_shape, out_strides)}
    inner = _inside(plan, w, *sides.values())
    if inner is not None:
        return inner
    wrong = [name for name, side in sides.items() if _inside(plan, w, side) is None]
    where = " and ".join(f"{name} (shape {sides[name][0]}, strides {sides[name][1]})" for name in wrong or sides)
    if wrong:
        raise LayoutError(
            f"axis {w} is not dense in {where}: copy into an array in C order or, with channels inside, channels-last"
        )
    raise LayoutError(
        f"axis {w} is not dense with the same axes inside of it in {where}: each would do by itself, so give the "
        "output the input's order (out_strides), or copy into an array in the other's"
    )


def _inside(plan: Plan, w: int, *sides: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[int, ...] | None:
    inner: list[int] = []
    expected = plan.dtype.itemsize
    along = {p.axis for p in plan.passes}

    def fits(axis: int) -> bool:
        # the stride of a single sample does not matter
        return all(shape[axis] == 1 or strides[axis] == expected for shape, strides in sides)

    while not fits(w):
        others = [a for a in range(len(plan.shape)) if a != w and a not in along and a not in inner]
        found = [a for a in others if plan.shape[a] > 1 and fits(a)]
        if not found:
            return None
        inner.insert(0, found[0])
        expected *= plan.shape[found[0]]
    return tuple(inner)


def _merged(
    axes: list[int], shape: tuple[int, ...], strides: tuple[int, ...], out_strides: tuple[int, ...]
) -> list[list[int]]:
    """Axes, outermost first, in runs that one stride goes through, in input and output."""
    runs: list[list[int]] = []
    for axis in axes:
        if runs and all(st[runs[-1][-1]] == st[axis] * shape[axis] for st in (strides, out_strides)):
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return runs
