"""Every program that the front end can ask for, and the hot ones among them.

In: nothing.  Out: sets of `Program`, found by preparing kernels for every mode, rank, dtype, layout and alignment; no
kernel is run and none is compiled.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from unittest import mock

import upsample
from upsample.backends import _cuda as cuda

try:
    import ml_dtypes
except ImportError:
    BFLOAT16: tuple[Any, ...] = ()
else:
    BFLOAT16 = (ml_dtypes.bfloat16,)

FLOATS = ("float32", "float64", "float16", *BFLOAT16)
WEIGHTED = (*FLOATS, "uint8", "int8", "uint16", "int16")
COPIED = ("uint8", "uint16", "float32", "float64", "complex128")
MODES = {
    1: ("nearest", "linear", "cubic", "area"),
    2: ("nearest", "bilinear", "cubic", "area"),
    3: ("nearest", "trilinear", "cubic", "area"),
}
CHANNELS = (1, 2, 3, 4, 6, 8, 12, 16)
STARTS = (0, 8, 4, 2, 1)  # of input and output, within 16 bytes


def plans() -> Iterator[Any]:
    """A plan for every mode, rank, dtype, numerics, and number of channels."""
    for rank, channels, exact in itertools.product(MODES, CHANNELS, (False, True)):
        for mode in MODES[rank]:
            for dtype in COPIED if mode == "nearest" else WEIGHTED:
                for factor in (2, 1.5) if mode != "area" else (0.5, 0.4, 0.16):
                    yield upsample.plan(
                        (1, *(32,) * rank, channels), dtype, scale_factor=factor, mode=mode,
                        numerics="exact" if exact else "torch", layout="N" + "DHW"[3 - rank :] + "C",
                    )  # fmt: skip
                for factor in (0.7, 0.3) if mode not in ("nearest", "area") else ():
                    yield upsample.plan(
                        (1, *(32,) * rank, channels), dtype, scale_factor=factor, mode=mode, antialias=True,
                        numerics="exact" if exact else "torch", layout="N" + "DHW"[3 - rank :] + "C",
                    )  # fmt: skip
            for dtype in FLOATS if mode == "nearest" else ():  # gradients of one or two taps
                yield upsample.plan(
                    (1, *(32,) * rank, channels), dtype, scale_factor=1.5, mode=mode,
                    numerics="exact" if exact else "torch", layout="N" + "DHW"[3 - rank :] + "C",
                ).T  # fmt: skip
        # D and W of three axes, with an H without a pass between them, or none to speak of
        if rank == 3:
            for mode, far, high in itertools.product(("nearest", "trilinear", "cubic", "area"), (48, 64), (32, 1)):
                for dtype in COPIED if mode == "nearest" else WEIGHTED:
                    yield upsample.plan(
                        (1, 32, high, 32, channels), dtype, size=(far, high, far), mode=mode,
                        numerics="exact" if exact else "torch", layout="NDHWC",
                    )  # fmt: skip


def programs(starts: tuple[int, ...] = STARTS) -> set[cuda.Program]:
    """The programs of all plans, for arrays that begin so within 16 bytes."""
    made = set()
    for plan in dict.fromkeys(plans()):
        if not plan.passes:
            continue
        kernel = cuda.prepare(plan, tuple(range(len(plan.shape))))
        for start in starts:
            if start % min(plan.dtype.itemsize, 8) and plan.dtype.itemsize > start:
                continue
            made |= {x.program for x in kernel.launches((kernel.dense_in, kernel.dense_out, start, start), 132)}
    return made


def evaluated() -> set[cuda.Program]:
    """Programs that evaluate taps on the device."""
    with mock.patch.object(cuda, "TABLE_OUTPUTS", 0):
        return {p for p in programs((0,)) if p.name.endswith("true>")}
