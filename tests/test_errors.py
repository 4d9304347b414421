"""Every call that must be refused: which exception, what it says, and that nothing was written.

The rows are those of PyTorch's own checks, in PyTorch's order; of two mistakes in one call the
earlier row's is the one reported.  Each bad request goes through every public door that takes it
(`interpolate`, `interpolate` with `out`, `explain`, `plan`, `Upsample`) and, where torch is installed
and the library did not lift the restriction on purpose, through torch.
"""

from __future__ import annotations

import array
import dataclasses
import fractions
import itertools
import os
import re
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import building
import numpy as np
import pytest

import upsample

try:
    import ml_dtypes
except ImportError:  # an optional dependency of the tests
    ml_dtypes = None

SHAPES = {1: (2, 3, 5), 2: (2, 3, 5, 6), 3: (2, 3, 4, 5, 6)}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
RANKS = (1, 2, 3)
SENTINEL = 119  # a value of every dtype that the tests allocate `out` in


@dataclasses.dataclass(frozen=True)
class Request:
    """A bad request for `interpolate`: array shape and dtype, arguments, and what must come of them."""

    id: str
    shape: tuple[int, ...]
    kwargs: dict[str, Any]
    error: type[BaseException]
    match: str
    dtype: Any = "float32"
    torch: bool = True  # whether torch must raise the same class

    def input(self) -> np.ndarray:
        return np.zeros(self.shape, self.dtype)


REQUESTS: list[Request] = []


def bad(id: str, rank: int, error: type[BaseException], match: str, **kwargs: Any) -> None:
    """Add a request on the usual array of a rank (`shape`, `dtype` and `torch` may be given too)."""
    fields = {k: kwargs.pop(k) for k in ("shape", "dtype", "torch") if k in kwargs}
    REQUESTS.append(Request(f"{id}-{rank}d", fields.pop("shape", SHAPES[rank]), kwargs, error, match, **fields))


# ---- row 1: align_corners with a mode that has none --------------------------------------------------------
for rank, mode, value in itertools.product(RANKS, ("nearest", "nearest-exact", "area"), (True, False)):
    bad(
        f"row1-{mode}-{value}", rank, ValueError, f"align_corners option can only be set.*{value}.*'{mode}'",
        size=4, mode=mode, align_corners=value,
    )  # fmt: skip
bad("row1-zero-is-not-none", 1, ValueError, "align_corners option.*=0 ", size=4, align_corners=0)

# ---- row 2: both -------------------------------------------------------------------------------------------
for rank in RANKS:
    bad("row2-numbers", rank, ValueError, "only one of size or scale_factor.*size=7.*scale_factor=2.5", size=7,
        scale_factor=2.5)  # fmt: skip
    bad("row2-tuples", rank, ValueError, "only one of size or scale_factor", size=(7,) * rank,
        scale_factor=(2.5,) * rank, mode=LINEAR[rank])  # fmt: skip
    bad("row2-zeros-count", rank, ValueError, "only one of size or scale_factor.*size=0", size=0, scale_factor=0)

# ---- rows 3 and 5: how many numbers ------------------------------------------------------------------------
for rank, count in itertools.product(RANKS, (0, 1, 2, 3, 4)):
    if count == rank:
        continue
    spatial = re.escape(str(list(SHAPES[rank][2:])))
    kind: type = tuple if count % 2 else list
    bad(f"row3-{count}", rank, ValueError,
        f"same number of spatial dimensions.*{spatial}.*output size of {re.escape(str((7,) * count))}",
        size=kind([7] * count))  # fmt: skip
    bad(f"row5-{count}", rank, ValueError,
        f"same number of spatial dimensions.*{spatial}.*scale_factor of.*{re.escape(str((1.5,) * count))}",
        scale_factor=kind([1.5] * count), mode=LINEAR[rank])  # fmt: skip

# ---- row 4: no integers within a size ----------------------------------------------------------------------
NO_INTEGERS = {"float": 3.0, "None": None, "str": "3", "float64": np.float64(3), "complex": 3j, "list": [3]}
for rank, (name, value) in itertools.product(RANKS, NO_INTEGERS.items()):
    kind = list if rank == 2 else tuple
    bad(f"row4-{name}", rank, TypeError, rf"expected size to be one of int.*\[.*'{type(value).__name__}'.*\]",
        size=kind([3] * (rank - 1) + [value]))  # fmt: skip

# ---- row 6: neither ----------------------------------------------------------------------------------------
for rank in RANKS:
    bad("row6-nearest", rank, ValueError, "either size or scale_factor should be defined")
    bad("row6-linear", rank, ValueError, "either size or scale_factor should be defined", mode=LINEAR[rank],
        align_corners=True)  # fmt: skip
    bad("row6-recompute", rank, ValueError, "either size or scale_factor should be defined", mode="area",
        recompute_scale_factor=True)  # fmt: skip

# ---- row 7: recompute with a size --------------------------------------------------------------------------
for rank, mode in itertools.product(RANKS, ("nearest", "area", "own")):
    bad(f"row7-{mode}", rank, ValueError, "recompute_scale_factor is not meaningful with an explicit size", size=7,
        mode=LINEAR[rank] if mode == "own" else mode, recompute_scale_factor=True)  # fmt: skip
bad("row7-truthy", 2, ValueError, "recompute_scale_factor is not meaningful", size=(7, 8), recompute_scale_factor=1)

# ---- row 8: factors that Python cannot make an int of ------------------------------------------------------
for rank, mode in itertools.product(RANKS, ("nearest", "area", "own")):
    for name, value, error, match in (
        ("nan", float("nan"), ValueError, "NaN"),
        ("inf", float("inf"), OverflowError, "infinity"),
        ("-inf", -float("inf"), OverflowError, "infinity"),
    ):
        bad(f"row8-{name}-{mode}", rank, error, match, scale_factor=value, mode=LINEAR[rank] if mode == "own" else mode,
            recompute_scale_factor=None if mode == "area" else True)  # fmt: skip
bad("row8-one-of-two", 2, ValueError, "NaN", scale_factor=(2.0, float("nan")), recompute_scale_factor=True)
bad("row8-numpy-inf", 1, OverflowError, "infinity", scale_factor=np.float64("inf"), recompute_scale_factor=True)

# ---- row 9: antialias (lifted for cubic and lanczos at every rank, for linear and trilinear) ---------------
for rank, mode in itertools.product(RANKS, ("nearest", "nearest-exact", "area", "foo")):
    bad(f"row9-{mode}", rank, ValueError, f"Anti-alias option is restricted to.*'{mode}'", size=4, mode=mode,
        antialias=True)  # fmt: skip
for rank, mode in itertools.product((1, 3), ("bilinear", "bicubic")):
    bad(f"row9-{mode}", rank, ValueError, f"Anti-alias option is restricted to.*'{mode}' with {rank} spatial axes",
        size=4, mode=mode, antialias=True)  # fmt: skip
bad("row9-truthy", 2, ValueError, "Anti-alias option is restricted to", size=4, antialias="no")
bad("row9-no-mode", 2, ValueError, "Anti-alias option is restricted to.*None", size=4, mode=None, antialias=True)
# With row 9 lifted for them, these meet the rank rule instead.
for rank, mode in ((2, "linear"), (3, "linear"), (1, "trilinear"), (2, "trilinear")):
    bad(f"row9-lifted-{mode}", rank, NotImplementedError, f"Got {rank + 2}D input, but {mode} mode needs", size=4,
        mode=mode, antialias=True, torch=False)  # fmt: skip

# ---- row 10: lanczos ---------------------------------------------------------------------------------------
for rank in RANKS:
    same = rank == 2  # torch has lanczos for two spatial axes only
    bad("row10-corners", rank, ValueError, "Lanczos mode does not support align_corners=True", size=4, mode="lanczos",
        align_corners=True, antialias=True, torch=same)  # fmt: skip
    bad("row10-corners-first", rank, ValueError, "Lanczos mode does not support align_corners=True", size=4,
        mode="lanczos", align_corners=True, torch=same)  # fmt: skip
    bad("row10-no-antialias", rank, ValueError, "Lanczos mode requires antialias=True", size=4, mode="lanczos",
        torch=same)  # fmt: skip
    bad("row10-corners-false", rank, ValueError, "Lanczos mode requires antialias=True", size=4, mode="lanczos",
        align_corners=False, torch=same)  # fmt: skip

# ---- row 11: a mode of another rank ------------------------------------------------------------------------
for rank, (own, mode) in itertools.product(RANKS, LINEAR.items()):
    if rank != own:
        for corners in (None, True):
            bad(f"row11-{mode}-{corners}", rank, NotImplementedError,
                f"Got {rank + 2}D input, but {mode} mode needs {own + 2}D input", scale_factor=1.5, mode=mode,
                align_corners=corners)  # fmt: skip

# ---- row 12: other ranks and unknown modes -----------------------------------------------------------------
UNKNOWN_MODES = ("foo", "Bilinear", "NEAREST", "nearest_exact", "nearest ", "", "bi-cubic", None, 2, b"nearest", 0.5)
for rank, mode in itertools.product(RANKS, UNKNOWN_MODES):
    bad(f"row12-{mode!r}", rank, NotImplementedError,
        f"Input Error: Only 3D, 4D and 5D.*got {rank + 2}D.*nearest.*got {re.escape(repr(mode))}", size=4,
        mode=mode)  # fmt: skip
for rank in (1, 3):
    bad("row12-bicubic", rank, NotImplementedError, "Input Error.*'bicubic'.*mode='cubic'", size=4, mode="bicubic")
for mode in ("nearest", "bilinear", "area", "bicubic"):
    for shape in ((), (5,), (5, 6), (1, 1, 2, 2, 2, 2), (1,) * 9):
        bad(f"row12-{len(shape)}-axes-{mode}", 2, NotImplementedError,
            rf"Only 3D, 4D and 5D input arrays supported \(got {len(shape)}D\).*layout", shape=shape, size=4,
            mode=mode)  # fmt: skip

# ---- row 13: arguments of the wrong type -------------------------------------------------------------------
NO_SIZES = {
    "float": 3.0, "str": "3", "True": True, "ndarray": np.array([3, 4]), "float64": np.float64(3), "complex": 3j,
    "bytes": b"3", "dict": {3: 4}, "float-0d": np.array(3.0), "range": range(3, 5), "fraction": fractions.Fraction(3),
    "bool_": np.True_,
}  # fmt: skip
for rank, (name, value) in itertools.product(RANKS, NO_SIZES.items()):
    # what torch makes of these depends on its argument parser: the range and the 1-d array are left to it
    bad(f"row13-size-{name}", rank, TypeError, f"size must be an int or.*got {type(value).__name__}", size=value,
        torch=name not in ("range", "ndarray", "bool_"))  # fmt: skip
bad("row13-bool-in-size", 2, TypeError, "size must be an int or.*got bool True", size=(True, 2))
NO_FACTORS = {
    "str": "2", "ndarray": np.array([2.0]), "complex": 2j, "bytes": b"2", "dict": {}, "set": {2},
    "0d": np.array(2.0), "object": object,
}  # fmt: skip
for rank, (name, value) in itertools.product(RANKS, NO_FACTORS.items()):
    bad(f"row13-scale-{name}", rank, TypeError, f"scale_factor must be a number.*got {type(value).__name__}",
        scale_factor=value, torch=name not in ("0d", "ndarray"))  # fmt: skip
for rank, (name, value) in itertools.product((2, 3), {"None": None, "str": "2", "complex": 2j, "list": [2]}.items()):
    bad(f"row13-scale-holds-{name}", rank, TypeError, f"scale_factor must be a number.*got {type(value).__name__}",
        scale_factor=[2.0] * (rank - 1) + [value], mode=LINEAR[rank])  # fmt: skip
for rank, value in itertools.product(RANKS, (1, 0, "True", 1.0)):
    bad(f"row13-corners-{value!r}", rank, TypeError,
        f"align_corners must be True, False or None, got {type(value).__name__}", size=4, mode=LINEAR[rank],
        align_corners=value)  # fmt: skip
bad("row13-corners-bicubic", 2, TypeError, "align_corners must be True, False or None, got int 1", size=4,
    mode="bicubic", align_corners=1)  # fmt: skip

# ---- row 14: numbers that no 64-bit integer holds ----------------------------------------------------------
for rank, value in itertools.product(RANKS, (1e300, float("nan"), float("inf"), -float("inf"), -1e300, 2.0**62)):
    bad(f"row14-{value}", rank, RuntimeError, "without overflow", scale_factor=value, mode=LINEAR[rank])
bad("row14-one-of-two", 2, RuntimeError, "without overflow", scale_factor=(2.0, 1e300))
bad("row14-size", 1, RuntimeError, "overflow|64-bit", size=2**70, torch=False)  # torch: the argument parser's error
# sizes that fit an integer, of arrays whose bytes do not
bad("row14-bytes", 1, RuntimeError, str(2**62), size=2**62)
bad("row14-bytes-area", 2, RuntimeError, str(2**62), size=(2, 2**62), mode="area")
bad("row14-product", 2, RuntimeError, str(2**40), size=2**40)
bad("row14-product-linear", 3, RuntimeError, str(2**30), size=2**30, mode="trilinear")
bad("row14-factor-product", 3, RuntimeError, "[0-9]{6}", scale_factor=1e9)

# ---- row 15: sizes below one -------------------------------------------------------------------------------
NAMES = {1: "W", 2: "H", 3: "D"}
for rank, mode in itertools.product(RANKS, ("nearest", "nearest-exact", "own")):
    mode = LINEAR[rank] if mode == "own" else mode
    message = rf"sizes should be greater than 0.*input \({NAMES[rank]}: \d.*output \({NAMES[rank]}: "
    for size in (0, -1, (0,) + (4,) * (rank - 1), (4,) * (rank - 1) + (-3,)):
        bad(f"row15-size-{size}-{mode}", rank, RuntimeError, message, size=size, mode=mode)
    for factor in (0, 0.0, 0.1, -0.1, -1.0, 1e-300, False):
        bad(f"row15-scale-{factor!r}-{mode}", rank, RuntimeError, message, scale_factor=factor, mode=mode)
    for empty in range(2, rank + 2):
        shape = (*SHAPES[rank][:empty], 0, *SHAPES[rank][empty + 1 :])
        bad(f"row15-empty-{empty}-{mode}", rank, RuntimeError, message, shape=shape, size=4, mode=mode)
for rank in RANKS:
    bad("row15-area-negative", rank, RuntimeError, "greater than or equal to 0.*-2", size=-2, mode="area")
    bad("row15-area-negative-factor", rank, RuntimeError, "greater than or equal to 0", scale_factor=-1.0, mode="area")
    bad("row15-area-empty", rank, RuntimeError, "non-zero size", shape=(*SHAPES[rank][:-1], 0), size=4, mode="area")
bad("row15-49th", 1, RuntimeError, r"input \(W: 49\) and output \(W: 0\)", shape=(1, 1, 49), scale_factor=1 / 49)

# ---- row 16: no channels -----------------------------------------------------------------------------------
for rank, mode in itertools.product(RANKS, ("nearest", "nearest-exact", "own")):
    shape = (2, 0, *SHAPES[rank][2:])
    bad(f"row16-{mode}", rank, RuntimeError, f"[Nn]on-empty.*{re.escape(', '.join(map(str, shape)))}", shape=shape,
        size=4, mode=LINEAR[rank] if mode == "own" else mode)  # fmt: skip
bad("row16-area", 3, RuntimeError, "[Nn]on-(zero|empty)", shape=(2, 0, 4, 5, 6), size=4, mode="area")

# ---- row 17: dtypes ----------------------------------------------------------------------------------------
NO_WEIGHTED = (
    "int32", "int64", "uint32", "uint64", "bool", "complex64", "complex128", "longdouble", "object", "U3", "S3",
    "M8[s]", "m8[s]", "V3", "i4,f4",
)  # fmt: skip
IN_TORCH = ("int32", "int64", "bool", "complex64", "complex128")
WEIGHTED = ((1, "linear"), (2, "bilinear"), (2, "bicubic"), (3, "trilinear"), (1, "area"), (2, "area"), (3, "area"))
for dtype, (rank, mode) in itertools.product(NO_WEIGHTED, WEIGHTED):
    bad(f"row17-{dtype}-{mode}", rank, NotImplementedError, "not implemented for.*it takes float16.*float32", size=4,
        mode=mode, dtype=dtype, torch=dtype in IN_TORCH)  # fmt: skip
for dtype, mode in itertools.product(("int64", "bool", "object"), ("bilinear", "bicubic", "cubic", "lanczos")):
    bad(f"row17-antialias-{dtype}-{mode}", 2, NotImplementedError, "not implemented for", size=4, mode=mode,
        dtype=dtype, antialias=True, torch=dtype in IN_TORCH and mode != "cubic")  # fmt: skip
for rank, mode in itertools.product(RANKS, ("nearest", "nearest-exact")):
    for name, dtype in {"object": object, "holds-objects": [("a", "f4"), ("b", "O")], "empty": "V0"}.items():
        bad(f"row17-{name}-{mode}", rank, NotImplementedError, "fixed size.*not implemented for", size=4, mode=mode,
            dtype=dtype, torch=False)  # fmt: skip
if hasattr(np.dtypes, "StringDType"):
    for mode in ("nearest", "nearest-exact", "linear", "area"):
        bad(f"row17-StringDType-{mode}", 1, NotImplementedError, "not implemented for.*[Ss]tring", size=4, mode=mode,
            dtype=np.dtypes.StringDType(), torch=False)  # fmt: skip
if ml_dtypes is not None:
    for name in ("float8_e4m3fn", "int4"):
        bad(f"row17-{name}", 2, NotImplementedError, f"not implemented for {name}", size=4, mode="bilinear",
            dtype=getattr(ml_dtypes, name), torch=False)  # fmt: skip
bad("row17-no-samples", 2, NotImplementedError, "not implemented for int32", shape=(0, 3, 5, 6), size=4,
    mode="bilinear", dtype="int32")  # fmt: skip

# ---- two mistakes: the earlier row is reported -------------------------------------------------------------
ANY = object()  # an argument that is given, whatever it is


def mistakes(rank: int) -> list[tuple[int, type[BaseException], str, dict[str, Any]]]:
    """One or more ways to break each row, as (row, exception, message, arguments)."""
    own, other = LINEAR[rank], LINEAR[1 if rank > 1 else 2]
    many, few = (7,) * (rank + 1), (1.5,) * (rank + 1)
    return [
        (1, ValueError, "align_corners option", {"mode": "nearest", "align_corners": False}),
        (1, ValueError, "align_corners option", {"mode": "area", "align_corners": True}),
        (2, ValueError, "only one of size", {"size": ANY, "scale_factor": ANY}),
        (3, ValueError, "output size of", {"size": many}),
        (4, TypeError, "expected size to be", {"size": (7,) * (rank - 1) + (2.5,)}),
        (5, ValueError, "scale_factor of", {"scale_factor": few}),
        (6, ValueError, "either size or", {"size": None, "scale_factor": None}),
        (7, ValueError, "not meaningful", {"size": ANY, "recompute_scale_factor": True}),
        (8, ValueError, "NaN", {"scale_factor": float("nan"), "recompute_scale_factor": True}),
        (8, OverflowError, "infinity", {"scale_factor": float("inf"), "recompute_scale_factor": True}),
        (9, ValueError, "Anti-alias", {"mode": "nearest", "antialias": True}),
        (9, ValueError, "Anti-alias", {"mode": "foo", "antialias": True}),
        (10, ValueError, "Lanczos.*align_corners", {"mode": "lanczos", "align_corners": True, "antialias": True}),
        (10, ValueError, "Lanczos.*antialias", {"mode": "lanczos"}),
        (11, NotImplementedError, "Got .D input", {"mode": other}),
        (12, NotImplementedError, "Input Error", {"mode": "foo"}),
        (13, TypeError, "size must be", {"mode": own, "size": "3"}),
        (13, TypeError, "scale_factor must be", {"mode": own, "scale_factor": "2"}),
        (13, TypeError, "align_corners must be", {"mode": own, "align_corners": 1}),
        (14, RuntimeError, "overflow", {"scale_factor": 1e300}),
        (15, RuntimeError, "greater than 0", {"size": 0}),
        (15, RuntimeError, "greater than 0", {"scale_factor": 0.0}),
        (15, RuntimeError, "greater than 0", {"shape": (2, 3) + (0,) * rank}),
        (16, RuntimeError, "[Nn]on-empty", {"shape": (2, 0, *SHAPES[rank][2:])}),
        (17, NotImplementedError, "not implemented for int32", {"mode": own, "dtype": "int32"}),
    ]  # fmt: skip


def merged(a: dict[str, Any], b: dict[str, Any], rows: set[int]) -> dict[str, Any] | None:
    """The arguments that make both mistakes, or None where they exclude each other."""
    both: dict[str, Any] = dict(a)
    for key, value in b.items():
        if key in both and both[key] is not ANY and value is not ANY and both[key] != value:
            return None
        if key not in both or both[key] is ANY:
            both[key] = value
    size, scale = both.get("size"), both.get("scale_factor")
    if size is not None and scale is not None and 2 not in rows:
        return None  # that would be row 2 as well
    if {2, 6} <= rows or (6 in rows and (size is ANY or scale is ANY)):
        return None
    if "shape" in both and 0 in both["shape"][2:] and rows & {8, 14}:
        return None  # nothing times a huge factor is no mistake
    if size is None and scale is None and 6 not in rows:
        both["size"] = 4
    both["size"] = 4 if both.get("size") is ANY else both.get("size")
    both["scale_factor"] = 1.5 if scale is ANY else scale
    if both["scale_factor"] is not None and both.get("mode") == "area" and 1 not in rows:
        return None  # area recomputes, which moves the factor's rows
    if both.get("recompute_scale_factor") and both["size"] is not None and not rows & {2, 7}:
        return None  # that would be row 7 as well
    if {9, 10} <= rows or {10, 12} <= rows:
        return None  # one mode at a time
    return both


for rank in RANKS:
    for first, second in itertools.combinations(mistakes(rank), 2):
        if first[0] == second[0]:
            continue
        both = merged(first[3], second[3], {first[0], second[0]})
        if both is None:
            continue
        mode = both.setdefault("mode", LINEAR[rank])
        bad(
            f"rows-{first[0]}-{second[0]}-{mode}-{len(REQUESTS)}", rank, first[1], first[2],
            torch=mode != "lanczos" or rank == 2 or first[0] < 9, **both,
        )  # fmt: skip

# An array without N and C axes is row 12: whatever is wrong with the other arguments comes before it.
for ndim in (2, 6):
    shape = (4,) * ndim
    bad(f"rows-1-12-{ndim}-axes", 2, ValueError, "align_corners option", shape=shape, size=4, align_corners=True)
    bad(f"rows-2-12-{ndim}-axes", 2, ValueError, "only one of size", shape=shape, size=4, scale_factor=2)
    bad(f"rows-3-12-{ndim}-axes", 2, ValueError, "output size of", shape=shape, size=(4, 4))
    bad(f"rows-5-12-{ndim}-axes", 2, ValueError, "scale_factor of", shape=shape, scale_factor=(2, 2))
    bad(f"rows-6-12-{ndim}-axes", 2, ValueError, "either size or", shape=shape)
    bad(f"rows-7-12-{ndim}-axes", 2, ValueError, "not meaningful", shape=shape, size=4, recompute_scale_factor=True)

# ---- the library's own arguments ---------------------------------------------------------------------------
for value in ("Torch", "numpy", "", None, 1, ("torch",), ["torch"], b"exact"):
    bad(f"numerics-{value!r}", 2, ValueError, f"numerics must be 'torch' or 'exact', got {re.escape(repr(value))}",
        size=4, numerics=value, torch=False)  # fmt: skip
LAYOUTS = {
    "": "different letter", "nchw": "different letter", "NCHH": "different letter",
    "NCWH": "in that order", "HDCW": "in that order", "NCAB": "at least one of D, H, W", "NC W": "different letter",
    "NCH1": "different letter", "NC-W": "different letter", "NCÉW": "different letter", "HWC": "names 3 axes.*has 4",
    "NCDHW": "names 5 axes.*has 4", "W": "names 1 axes.*has 4",
}  # fmt: skip
for value, match in LAYOUTS.items():
    bad(f"layout-{value}", 2, ValueError, f"layout {value!r}.*{match}", size=4, layout=value, torch=False)
for value in (3, b"NCHW", ["N", "C", "H", "W"], ("N", "C", "H", "W"), {"H": 2}, True):
    bad(f"layout-{type(value).__name__}", 2, TypeError, f"layout must be a string.*got {type(value).__name__}", size=4,
        layout=value, torch=False)  # fmt: skip
for shape, layout, mode in (((5, 6, 3), "HWC", "linear"), ((5, 6), "HW", "trilinear"), ((5, 3), "WC", "bilinear")):
    bad(f"layout-{layout}-{mode}", 2, NotImplementedError, f"{mode} mode needs", shape=shape, size=4, layout=layout,
        mode=mode, torch=False)  # fmt: skip
bad("layout-no-channels", 2, RuntimeError, r"[Nn]on-empty.*\(5, 6, 0\)", shape=(5, 6, 0), size=4, layout="HWC",
    torch=False)  # fmt: skip
bad("layout-wrong-count", 2, ValueError, r"output size of \(4, 4, 4\)", shape=(5, 6, 3), size=(4, 4, 4), layout="HWC",
    torch=False)  # fmt: skip
bad("layout-both", 2, ValueError, "only one of size", shape=(5, 6, 3), size=4, scale_factor=2, layout="HWC",
    torch=False)  # fmt: skip
for mode in ("cubic", "lanczos"):  # lifted at every rank, yet they are not nearest modes
    bad(f"lifted-{mode}-dtype", 3, NotImplementedError, "not implemented for int32", size=4, mode=mode, antialias=True,
        dtype="int32", torch=False)  # fmt: skip


def ids(request: Request) -> str:
    return request.id


def raised(error: type[BaseException], match: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """The call raises exactly that class, with a message that says what was given."""
    with pytest.raises(error) as info:
        call(*args, **kwargs)
    assert type(info.value) is error, f"{type(info.value).__name__} instead of {error.__name__}: {info.value}"
    assert re.search(match, str(info.value), re.DOTALL), f"{match!r} does not match {str(info.value)!r}"


def test_the_table_is_large_and_its_names_differ():
    assert len(REQUESTS) >= 300
    assert len({r.id for r in REQUESTS}) == len(REQUESTS)


def test_every_pair_of_rows_that_can_meet_is_in_the_table():
    pairs = {tuple(map(int, m.groups())) for r in REQUESTS if (m := re.match(r"rows-(\d+)-(\d+)-", r.id))}
    assert len(pairs) >= 80
    assert {row for pair in pairs for row in pair} == set(range(1, 18))


@pytest.mark.parametrize("request_", REQUESTS, ids=ids)
def test_interpolate_refuses(request_):
    x = request_.input()
    before = x.tobytes()
    for _ in range(2):  # a refusal is not cached as a success
        raised(request_.error, request_.match, upsample.interpolate, x, **request_.kwargs)
    assert x.tobytes() == before


SOLID = [r for r in REQUESTS if not np.dtype(r.dtype).hasobject and np.dtype(r.dtype).itemsize and 0 not in r.shape]


@pytest.mark.parametrize("request_", [r for r in SOLID if np.dtype(r.dtype).kind in "biufc"], ids=ids)
def test_a_refused_request_leaves_out_alone(request_):
    out = np.full((*request_.shape[:2], 4, 4, 4)[: max(len(request_.shape), 1)], SENTINEL, request_.dtype)
    before = out.tobytes()
    raised(request_.error, request_.match, upsample.interpolate, request_.input(), **request_.kwargs, out=out)
    assert out.tobytes() == before


@pytest.mark.parametrize("request_", REQUESTS, ids=ids)
def test_explain_refuses_what_interpolate_refuses(request_):
    raised(request_.error, request_.match, upsample.explain, request_.input(), **request_.kwargs)


@pytest.mark.parametrize("request_", REQUESTS, ids=ids)
def test_plan_refuses_what_interpolate_refuses(request_):
    dtype = request_.input().dtype
    raised(request_.error, request_.match, upsample.plan, request_.shape, dtype, **request_.kwargs)


MODULE = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "numerics", "layout")


def fits_the_module(request: Request) -> bool:
    """The constructor has no antialias, and leaves no factors but floats and tuples of them as they are."""
    factor = request.kwargs.get("scale_factor")
    factors = factor if type(factor) is tuple else (factor or None,)
    unchanged = factor is None or all(type(f) is float for f in factors)
    return unchanged and set(request.kwargs) <= set(MODULE)


@pytest.mark.parametrize("request_", [r for r in REQUESTS if fits_the_module(r)], ids=ids)
def test_upsample_refuses_when_called(request_):
    module = upsample.Upsample(**request_.kwargs)
    raised(request_.error, request_.match, module, request_.input())


@pytest.mark.tools
@pytest.mark.parametrize("request_", building.cases_with("torch", [r for r in REQUESTS if r.torch]), ids=ids)
def test_torch_raises_the_same_class(request_):
    torch = building.package("torch")
    x = torch.from_numpy(request_.input())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(request_.error) as info:
            torch.nn.functional.interpolate(x, **request_.kwargs)
    assert type(info.value) is request_.error, info.value


# ---- memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["nearest", "linear", "area"])
@pytest.mark.parametrize("backend", ["cpu", None])
def test_memory_that_is_not_there_is_a_memory_error(mode, backend):
    """2**50 samples outgrow the address space of a process, so that no machine is asked for them in earnest."""
    with pytest.raises(MemoryError, match=r"\S"):
        upsample.interpolate(np.zeros((1, 1, 4), np.float32), size=2**50, mode=mode, backend=backend)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_memory_that_is_not_there_is_found_out_soon(dtype):
    """Before any work that grows with the output, such as looking for the largest weight of an integer table."""
    code = f"""
import numpy, upsample
try:
    upsample.interpolate(numpy.ones((1, 1, 4, 4), {dtype!r}), size=(4, 2**50), mode="bilinear")
except MemoryError:
    print("refused")
"""
    assert run_with(code, timeout=10).stdout == "refused\n"


# ---- containers --------------------------------------------------------------------------------------------


class WithDlpack:
    """What a torch tensor looks like to us."""

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("nothing is converted behind the caller's back")

    def __dlpack_device__(self) -> Any:
        raise AssertionError("nothing is converted behind the caller's back")


class WithCuda(WithDlpack):
    __cuda_array_interface__ = None


class WithArray:
    """What a data frame looks like to us."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is converted behind the caller's back")


class WithCudaOnly:
    """What an array of Numba on a GPU looks like to us."""

    __cuda_array_interface__ = None


class WithCudaDlpack(WithDlpack):
    """What an array of JAX on a GPU looks like to us."""

    def __dlpack_device__(self) -> Any:
        return (2, 0)


class Recorded(WithDlpack):
    """What a torch tensor on a GPU that requires gradients looks like to us."""

    requires_grad = True

    @property
    def __cuda_array_interface__(self) -> Any:
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad.")


class ListShape(WithArray):
    """Attributes of an array, of other types."""

    shape, dtype, strides = [1, 1, 4], np.dtype(np.float64), None


CONTAINERS: dict[str, tuple[Any, str]] = {
    "list": ([[[1.0, 2.0]]], r"got builtins\.list.*numpy\.asarray\(x\)"),
    "tuple": (((1.0,),), r"got builtins\.tuple.*numpy\.asarray\(x\)"),
    "None": (None, r"got builtins\.NoneType"),
    "int": (3, r"got builtins\.int.*numpy\.asarray"),
    "float": (3.0, r"got builtins\.float.*numpy\.asarray"),
    "complex": (3j, r"got builtins\.complex.*numpy\.asarray"),
    "bool": (True, r"got builtins\.bool.*numpy\.asarray"),
    "str": ("image.png", r"got builtins\.str"),
    "bytes": (b"123", r"got builtins\.bytes"),
    "memoryview": (memoryview(b"123"), r"got builtins\.memoryview.*numpy\.asarray"),
    "array.array": (array.array("f", [1.0]), r"got array\.array.*numpy\.asarray"),
    "numpy-scalar": (np.float32(3), r"got numpy\.float32.*numpy\.asarray"),
    "masked": (np.ma.masked_array(np.zeros((1, 1, 4)), mask=True), r"masked array.*x\.filled"),
    "masked-without-mask": (np.ma.masked_array(np.zeros((1, 1, 4))), r"masked array.*x\.filled"),
    "dlpack": (WithDlpack(), r"WithDlpack.*numpy\.from_dlpack\(x\)"),
    "cuda": (WithCuda(), r"WithCuda.*cupy\.from_dlpack\(x\)"),
    "cuda-without-dlpack": (WithCudaOnly(), r"WithCudaOnly.*cupy\.asarray\(x\)"),
    "dlpack-on-a-gpu": (WithCudaDlpack(), r"WithCudaDlpack.*cupy\.from_dlpack\(x\)"),
    "cuda-with-gradients": (Recorded(), r"Recorded.*cupy\.from_dlpack\(x\.detach\(\)\)"),
    "shape-is-a-list": (ListShape(), r"ListShape.*numpy\.asarray\(x\)"),
    "array-protocol": (WithArray(), r"WithArray.*numpy\.asarray\(x\)"),
    "generator": ((i for i in range(3)), r"got builtins\.generator"),
    "class": (np.ndarray, r"got builtins\.type \(the class numpy\.ndarray itself\): pass an array"),
    "dict": ({}, r"got builtins\.dict"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_other_containers_are_refused_by_every_door(name):
    value, match = CONTAINERS[name]
    match = f"(input|x) (must be|is a).*{match}" if "masked" not in name else match
    plan = upsample.plan((1, 1, 4), np.float64, size=8)
    for call in (
        lambda x: upsample.interpolate(x, size=4),
        lambda x: upsample.interpolate(x, 4, None, "linear"),
        lambda x: upsample.interpolate(x, size=4, backend="reference"),
        lambda x: upsample.interpolate(x, size=4, layout="NCW"),
        lambda x: upsample.explain(x, size=4),
        upsample.Upsample(size=4),
        plan,
    ):
        raised(TypeError, match, call, value)


def test_a_warm_cache_does_not_let_a_masked_array_through():
    x = np.zeros((1, 1, 4))
    plan = upsample.plan(x.shape, x.dtype, size=8)
    upsample.interpolate(x, size=8)
    plan(x)
    raised(TypeError, "masked array", upsample.interpolate, np.ma.masked_array(x), size=8)
    raised(TypeError, "masked array", plan, np.ma.masked_array(x))


@pytest.mark.tools
def test_a_torch_tensor_is_refused_with_the_conversion():
    torch = building.package("torch")
    x = torch.zeros(1, 1, 4)
    raised(TypeError, r"torch\.Tensor.*numpy\.from_dlpack\(x\)", upsample.interpolate, x, size=4)
    x.requires_grad_()
    raised(TypeError, r"torch\.Tensor.*numpy\.from_dlpack\(x\.detach\(\)\)", upsample.interpolate, x, size=4)


def test_every_door_says_which_arrays_there_are():
    raised(TypeError, r"must be a numpy\.ndarray or cupy\.ndarray, got", upsample.interpolate, [[[1.0]]], size=4)


def test_while_cupy_is_being_imported_it_has_no_arrays(monkeypatch):
    half = types.ModuleType("cupy")  # what another thread finds in sys.modules
    monkeypatch.setitem(sys.modules, "cupy", half)
    assert upsample.interpolate(np.zeros((1, 1, 4)).view(Sub), size=8).shape == (1, 1, 8)
    raised(TypeError, "WithDlpack", upsample.interpolate, WithDlpack(), size=4)
    for made in (half, types.SimpleNamespace(ndarray=WithCuda)):
        monkeypatch.setitem(sys.modules, "cupy", made)
        match = "CuPy is still being imported"
        raised(upsample.BackendError, match, upsample.interpolate, np.zeros((1, 1, 4)), size=8, backend="cuda")
        assert match in upsample.explain(np.zeros((1, 1, 4)), size=8)


class Sub(np.ndarray):
    pass


# ---- out ---------------------------------------------------------------------------------------------------


def filled(shape: tuple[int, ...], dtype: Any = "float32") -> np.ndarray:
    return np.full(shape, SENTINEL, dtype)


def read_only() -> np.ndarray:
    out = filled((2, 3, 8))
    out.flags.writeable = False
    return out


def broadcast() -> np.ndarray:
    out = np.lib.stride_tricks.as_strided(filled((8,)), (2, 3, 8), (0, 0, 4))
    assert out.flags.writeable
    return out


def sliding() -> np.ndarray:
    return np.lib.stride_tricks.as_strided(filled((64,)), (2, 3, 8), (48, 16, 4))


BAD_OUT: dict[str, tuple[Callable[[], Any], type[BaseException], str]] = {
    "one-too-long": (lambda: filled((2, 3, 9)), ValueError, r"out has shape \(2, 3, 9\).*\(2, 3, 8\)"),
    "one-too-short": (lambda: filled((2, 3, 7)), ValueError, r"out has shape \(2, 3, 7\).*\(2, 3, 8\)"),
    "input-shape": (lambda: filled((2, 3, 4)), ValueError, r"out has shape \(2, 3, 4\).*\(2, 3, 8\)"),
    "fewer-axes": (lambda: filled((3, 8)), ValueError, r"out has shape \(3, 8\)"),
    "more-axes": (lambda: filled((1, 2, 3, 8)), ValueError, r"out has shape \(1, 2, 3, 8\)"),
    "broadcastable": (lambda: filled((2, 1, 8)), ValueError, r"out has shape \(2, 1, 8\)"),
    "swapped-axes": (lambda: filled((3, 2, 8)), ValueError, r"out has shape \(3, 2, 8\)"),
    "flat": (lambda: filled((48,)), ValueError, r"out has shape \(48,\)"),
    "empty": (lambda: filled((0,)), ValueError, r"out has shape \(0,\)"),
    "0d": (lambda: filled(()), ValueError, r"out has shape \(\)"),
    "float64": (lambda: filled((2, 3, 8), "float64"), ValueError, "out has dtype float64.*float32"),
    "float16": (lambda: filled((2, 3, 8), "float16"), ValueError, "out has dtype float16.*float32"),
    "int32": (lambda: filled((2, 3, 8), "int32"), ValueError, "out has dtype int32.*float32"),
    "uint8": (lambda: filled((2, 3, 8), "uint8"), ValueError, "out has dtype uint8.*float32"),
    "complex64": (lambda: filled((2, 3, 8), "complex64"), ValueError, "out has dtype complex64.*float32"),
    "object": (lambda: filled((2, 3, 8), "object"), ValueError, "out has dtype object.*float32"),
    "bool": (lambda: filled((2, 3, 8), "bool"), ValueError, "out has dtype bool.*float32"),
    "read-only": (read_only, ValueError, "out is read-only"),
    "read-only-bytes": (
        lambda: np.frombuffer(bytes(192), np.float32).reshape(2, 3, 8), ValueError, "out is read-only"
    ),
    "broadcast": (broadcast, ValueError, r"out overlaps itself.*strides \(0, 0, 4\)"),
    "sliding": (sliding, ValueError, "out overlaps itself"),
    "list": (lambda: [[[0.0] * 8] * 3] * 2, TypeError, r"out must be a numpy\.ndarray.*list"),
    "tuple": (lambda: (), TypeError, r"out must be a numpy\.ndarray.*tuple"),
    "zero": (lambda: 0, TypeError, r"out must be a numpy\.ndarray.*int"),
    "True": (lambda: True, TypeError, r"out must be a numpy\.ndarray.*bool"),
    "str": (lambda: "out", TypeError, r"out must be a numpy\.ndarray.*str"),
    "memoryview": (lambda: memoryview(bytearray(192)), TypeError, r"out must be a numpy\.ndarray.*memoryview"),
    "dtype": (lambda: np.float32, TypeError, r"out must be a numpy\.ndarray.*type"),
    "scalar": (lambda: np.float32(0), TypeError, r"out must be a numpy\.ndarray.*numpy\.float32"),
    "dlpack": (
        WithDlpack, TypeError,
        r"out must be a numpy\.ndarray.*WithDlpack: pass numpy\.from_dlpack\(out\), which shares its memory",
    ),
    "cuda": (WithCuda, TypeError, r"out must be a numpy\.ndarray like the input, got [\w.]*WithCuda$"),
    "gradients": (Recorded, TypeError, r"out must be a numpy\.ndarray like the input, got [\w.]*Recorded$"),
    "masked": (lambda: np.ma.masked_array(filled((2, 3, 8)), mask=True), TypeError, "out is a masked array"),
}  # fmt: skip
DOORS: dict[str, Callable[[np.ndarray, Any], Any]] = {
    "nearest": lambda x, out: upsample.interpolate(x, size=8, out=out),
    "linear": lambda x, out: upsample.interpolate(x, scale_factor=2, mode="linear", out=out),
    "reference": lambda x, out: upsample.interpolate(x, size=8, mode="linear", backend="reference", out=out),
    "exact": lambda x, out: upsample.interpolate(x, size=8, mode="area", numerics="exact", out=out),
    "plan": lambda x, out: upsample.plan(x.shape, x.dtype, size=8, mode="cubic")(x, out),
    "transposed": lambda x, out: upsample.interpolate(x.transpose(2, 0, 1).copy().transpose(1, 2, 0), size=8, out=out),
    "strided": lambda x, out: upsample.interpolate(np.repeat(x, 2, -1)[..., ::2], size=8, out=out),
    "swapped": lambda x, out: upsample.interpolate(x.astype(x.dtype.newbyteorder()), size=8, out=out),
}


def content(out: Any) -> bytes | None:
    return np.asarray(out).tobytes() if isinstance(out, (np.ndarray, memoryview)) else None


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", BAD_OUT)
def test_a_bad_out_is_refused_before_a_byte_is_written(name, door):
    make, error, match = BAD_OUT[name]
    x, out = np.ones((2, 3, 4), np.float32), make()
    before = content(out)
    raised(error, match, DOORS[door], x, out)
    assert content(out) == before
    assert (x == 1).all()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", BAD_OUT)
def test_a_copy_refuses_a_bad_out_too(name, backend):
    """No axis changes: another path than resampling, and the same rules."""
    make, error, match = BAD_OUT[name]
    out = make()
    before = content(out)
    raised(error, match, upsample.interpolate, np.ones((2, 3, 8), np.float32), size=8, backend=backend, out=out)
    assert content(out) == before


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("size", [4, 2, 8])
def test_out_that_shares_memory_with_the_input_is_refused(size, backend):
    memory = np.arange(2 * 3 * 16, dtype=np.float32)
    x = memory[:24].reshape(2, 3, 4)
    count = 2 * 3 * size
    sharing = {
        "start": memory[:count],
        "end": memory[23 : 23 + count],
        "reversed": memory[:count][::-1],
        # disjoint elements of the same range of memory: `may_share_memory` is the rule, so that it is cheap
        "interleaved": memory[1 : 1 + 2 * count : 2] if 2 * count < memory.size else memory[1 : 1 + count],
    }
    for name, out in sharing.items():
        before = memory.copy()
        match = "out may share memory with the array that it is made from"
        raised(ValueError, match, upsample.interpolate, x, size=size, out=out.reshape(2, 3, size), backend=backend)
        np.testing.assert_array_equal(memory, before, err_msg=name)


def test_the_input_itself_is_no_out():
    x = filled((2, 3, 4))
    for view in (x, x[:], x.view(), x[:, :, ::-1], x[:, ::-1]):
        raised(
            ValueError,
            "out may share memory with the array that it is made from",
            upsample.interpolate,
            x,
            size=4,
            out=view,
        )


def test_channels_last_layouts_refuse_a_bad_out_too():
    x = np.ones((5, 6, 3), np.uint8)
    for shape in ((3, 10, 12), (10, 12), (10, 12, 1), (12, 10, 3)):
        out = filled(shape, "uint8")
        for mode in ("nearest", "bilinear", "bicubic", "area"):
            match = rf"out has shape {re.escape(str(shape))}.*\(10, 12, 3\)"
            raised(ValueError, match, upsample.interpolate, x, scale_factor=2, mode=mode, layout="HWC", out=out)
        assert (out == SENTINEL).all()


def test_mistakes_in_the_request_come_before_those_in_out():
    x = np.ones((2, 3, 4), np.float32)
    raised(ValueError, "either size or", upsample.interpolate, x, out=[])
    raised(NotImplementedError, "Input Error", upsample.interpolate, x, size=8, mode="foo", out=read_only())
    raised(RuntimeError, "greater than 0", upsample.interpolate, x, size=0, out=filled((2, 3, 0)))
    raised(upsample.BackendError, "no backend", upsample.interpolate, x, size=8, backend="nope", out=filled((1,)))


# ---- backend= and its kin ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nope", "CPU", "cpu ", "cuda2", "", "Reference", "numpy", "cpu,reference"])
def test_an_unknown_backend_is_a_backend_error_that_lists_the_known_ones(name):
    x = np.ones((2, 3, 4), np.float32)
    out = filled((2, 3, 8))
    match = f"no backend {name!r}.*cpu.*reference"
    assert issubclass(upsample.BackendError, RuntimeError)
    raised(upsample.BackendError, match, upsample.interpolate, x, size=8, backend=name)
    raised(upsample.BackendError, match, upsample.interpolate, x, size=8, mode="linear", backend=name, out=out)
    raised(upsample.BackendError, match, upsample.plan, x.shape, x.dtype, size=8, backend=name)
    raised(upsample.BackendError, match, upsample.use_backend(name).__enter__)
    raised(upsample.BackendError, match, upsample.Upsample(size=8, backend=name), x)
    assert (out == SENTINEL).all()


@pytest.mark.parametrize("name", [3, 0, 1.5, b"cpu", ("cpu",), ["cpu"], {"cpu"}, True, False, upsample])
def test_a_backend_is_named_by_a_string(name):
    x = np.ones((2, 3, 4), np.float32)
    out = filled((2, 3, 8))
    match = f"named by a string, got {type(name).__name__}"
    raised(TypeError, match, upsample.interpolate, x, size=8, backend=name, out=out)
    raised(TypeError, match, upsample.plan, x.shape, x.dtype, size=8, backend=name)
    raised(TypeError, match, upsample.use_backend(name).__enter__)
    assert (out == SENTINEL).all()


def test_use_backend_needs_a_name():
    raised(TypeError, "named by a string, got NoneType", upsample.use_backend(None).__enter__)


def test_the_request_is_checked_before_the_backend_is_looked_up():
    x = np.ones((2, 3, 4), np.float32)
    raised(ValueError, "either size or", upsample.interpolate, x, backend="nope")


class NoPrepare:
    name = "no_prepare"


class NoName:
    def prepare(self, plan: Any, like: Any) -> Any:
        return "it is never asked"


def named(name: Any) -> NoName:
    made = NoName()
    made.name = name  # type: ignore[attr-defined]
    return made


class PrepareIsData(NoPrepare):
    prepare = 3


BAD_BACKENDS: dict[str, tuple[Any, type[BaseException], str]] = {
    "None": (None, TypeError, "needs a string `name`.*NoneType"),
    "str": ("cpu", TypeError, "needs a string `name`.*'str'"),
    "function": (len, TypeError, "needs a string `name`.*builtin_function"),
    "no-prepare": (NoPrepare(), TypeError, "`prepare.*'NoPrepare'.*'no_prepare'"),
    "no-name": (NoName(), TypeError, "needs a string `name`.*'NoName'"),
    "prepare-is-data": (PrepareIsData(), TypeError, "`prepare.*'PrepareIsData'"),
    "name-is-None": (named(None), TypeError, "needs a string `name`.*name None"),
    "name-is-int": (named(3), TypeError, "needs a string `name`.*name 3"),
    "name-is-bytes": (named(b"mine"), TypeError, "needs a string `name`.*b'mine'"),
    "empty": (named(""), ValueError, "name '' is not an identifier"),
    "dash": (named("my-backend"), ValueError, "name 'my-backend' is not an identifier"),
    "dot": (named("my.backend"), ValueError, "name 'my.backend' is not an identifier"),
    "blank": (named("my backend"), ValueError, "name 'my backend' is not an identifier"),
    "newline": (named("mine\n"), ValueError, "is not an identifier"),
    "digit": (named("2fast"), ValueError, "name '2fast' is not an identifier"),
    "cpu": (named("cpu"), ValueError, "'cpu' is registered already.*Cpu"),
    "reference": (named("reference"), ValueError, "'reference' is registered already.*Reference"),
}


@pytest.mark.parametrize("case", BAD_BACKENDS)
def test_register_backend_refuses(case):
    before = upsample.backends()
    backend, error, match = BAD_BACKENDS[case]
    raised(error, match, upsample.register_backend, backend)
    assert upsample.backends() == before


# ---- plan and window ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "error", "match"),
    [
        (5, TypeError, "input_shape must be a sequence of ints, got 5"),
        (None, TypeError, "input_shape must be a sequence of ints, got None"),
        ("NCW", TypeError, "input_shape must be a sequence of ints, got 'NCW'"),
        ((1, 1, 4.0), TypeError, r"input_shape must be a sequence of ints, got \(1, 1, 4\.0\)"),
        ((1, 1, "4"), TypeError, "input_shape must be a sequence of ints"),
        ((1, None, 4), TypeError, "input_shape must be a sequence of ints"),
        ([[1, 1, 4]], TypeError, "input_shape must be a sequence of ints"),
        (np.zeros((1, 1, 4)), TypeError, "input_shape must be a sequence of ints"),
        ((1, 1, -4), ValueError, r"negative size: \(1, 1, -4\)"),
        ((-1, 1, 4), ValueError, "negative size"),
        ((), NotImplementedError, "got 0D"),
        ((4, 4), NotImplementedError, "got 2D"),
    ],
)
def test_plan_refuses_a_bad_shape(shape, error, match):
    raised(error, match, upsample.plan, shape, np.float32, size=8)


@pytest.mark.parametrize("dtype", ["nonsense", 3, "float33", ("f4", "f4", "f4")])
def test_plan_refuses_what_is_no_dtype(dtype):
    with pytest.raises(TypeError, match=r"\S"):
        upsample.plan((1, 1, 4), dtype, size=8)


@pytest.mark.parametrize("backend", [None, "cpu", "reference"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_plan_refuses_arrays_that_it_was_not_made_for(warm, mode, backend):
    plan = upsample.plan((2, 3, 4), np.float32, size=8, mode=mode, backend=backend)
    out = filled((2, 3, 8))
    if warm:
        plan(np.ones((2, 3, 4), np.float32))
    wrong = [
        np.ones((2, 3, 5), np.float32), np.ones((1, 3, 4), np.float32), np.ones((2, 3, 4, 1), np.float32),
        np.ones((3, 4), np.float32), np.ones((), np.float32), np.ones((0, 3, 4), np.float32),
        np.ones((2, 3, 4), np.float64), np.ones((2, 3, 4), np.int32), np.ones((2, 3, 4), np.float16),
        np.ones((2, 3, 4), bool), np.ones((2, 3, 4), object),
        # another shape and dtype with the strides that a warm plan has seen
        np.lib.stride_tricks.as_strided(np.ones(96, np.float32), (1, 3, 4), (48, 16, 4)),
        np.ones((2, 3, 4), np.uint32), np.ones((2, 3, 4), "V4"),
    ]  # fmt: skip
    for x in wrong:
        match = rf"(?=.*float32 of shape \(2, 3, 4\)).*{re.escape(str(x.dtype))} of shape {re.escape(str(x.shape))}"
        raised(ValueError, match, plan, x)
        raised(ValueError, match, plan, x, out)
    assert (out == SENTINEL).all()


@pytest.mark.parametrize(
    ("start", "stop", "error", "match"),
    [
        ((0,), (5,), ValueError, "need 2 numbers"),
        ((0, 0, 0), (5, 5, 5), ValueError, "need 2 numbers"),
        ((0, 0), (5,), ValueError, "need 2 numbers"),
        ((), (), ValueError, "need 2 numbers"),
        ((0, 0), (0, 5), ValueError, "window 0:0 .*0:10 on axis 2"),
        ((3, 0), (2, 5), ValueError, "window 3:2 "),
        ((0, 0), (11, 5), ValueError, "window 0:11 .*0:10"),
        ((0, 0), (10, 7), ValueError, "window 0:7 .*0:6 on axis 3"),
        ((-1, 0), (5, 5), ValueError, "window -1:5 "),
        ((0, -6), (5, 5), ValueError, "window -6:5 "),
        ((10, 0), (10, 5), ValueError, "window 10:10 "),
        ((2**70, 0), (2**71, 5), ValueError, "window"),
        (("0", 0), ("5", 5), TypeError, "start|window"),
        ((None, 0), (5, 5), TypeError, "start|window"),
        ((0.5, 0), (5, 5), TypeError, "start|window"),
        ((0, 0), (2.5, 5), TypeError, "start|window"),
        ((0, 0.5), (5, 5), TypeError, "start|window"),  # on the axis that is copied, too
        ((0, 0), (5, 5.0), TypeError, "start|window"),
        (0, 5, TypeError, "start|window"),
        (None, None, TypeError, "start|window"),
    ],
)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_window_is_non_empty_and_within_the_output(start, stop, error, match, mode):
    plan = upsample.plan((1, 1, 5, 6), np.float32, size=(10, 6), mode=mode)
    raised(error, match, plan.window, start, stop)


@pytest.mark.parametrize("attribute", ["shape", "out_shape", "dtype", "passes", "features", "backend", "T", "new"])
def test_a_plan_cannot_be_changed(attribute):
    plan = upsample.plan((1, 1, 4), np.float32, size=8)
    with pytest.raises(dataclasses.FrozenInstanceError, match=attribute):
        setattr(plan, attribute, None)
    with pytest.raises(dataclasses.FrozenInstanceError, match=attribute):
        delattr(plan, attribute)
    with pytest.raises(dataclasses.FrozenInstanceError, match=attribute):
        setattr(plan.passes[0], attribute, None)


# ---- threads -----------------------------------------------------------------------------------------------

BAD_THREADS: dict[str, tuple[Any, type[BaseException], str]] = {
    "zero": (0, ValueError, "between 1 and 1024, got 0"),
    "negative": (-1, ValueError, "between 1 and 1024, got -1"),
    "too-many": (1025, ValueError, "between 1 and 1024, got 1025"),
    "huge": (2**70, ValueError, "between 1 and 1024"),
    "numpy-zero": (np.int8(0), ValueError, "between 1 and 1024, got 0"),
    "float": (2.0, TypeError, r"must be an int, got float 2\.0"),
    "nan": (float("nan"), TypeError, "must be an int, got float nan"),
    "float64": (np.float64(2), TypeError, "must be an int, got float64"),
    "str": ("2", TypeError, "must be an int, got str '2'"),
    "None": (None, TypeError, "must be an int, got NoneType None"),
    "True": (True, TypeError, "must be an int, got bool True"),
    "bool_": (np.True_, TypeError, "must be an int, got bool"),
    "list": ([2], TypeError, r"must be an int, got list \[2\]"),
    "array": (np.array([2, 3]), TypeError, "must be an int, got ndarray"),
}


@pytest.mark.parametrize("case", BAD_THREADS)
def test_a_number_of_threads_is_an_int_from_1_to_1024(case):
    value, error, match = BAD_THREADS[case]
    before = upsample.get_num_threads()
    raised(error, match, upsample.set_num_threads, value)
    raised(error, match, upsample.num_threads(value).__enter__)
    assert upsample.get_num_threads() == before


# ---- the environment ---------------------------------------------------------------------------------------


def run_with(code: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("UPSAMPLE_") and k != "OMP_NUM_THREADS"}
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, timeout=timeout)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("UPSAMPLE_NUM_THREADS", "0", "ValueError"),
        ("UPSAMPLE_NUM_THREADS", "many", "ValueError"),
        ("UPSAMPLE_NUM_THREADS", "2.5", "ValueError"),
        ("UPSAMPLE_SIMD", "avx1024", "ValueError"),
        ("UPSAMPLE_BACKEND", "nope", "BackendError"),
    ],
)
def test_a_senseless_environment_variable_is_named_in_the_error(name, value, error):
    done = run_with("import numpy, upsample; upsample.interpolate(numpy.ones((1, 1, 2)), size=4)", **{name: value})
    assert done.returncode == 1
    assert error in done.stderr
    assert value in done.stderr
    assert name in done.stderr, done.stderr.strip().splitlines()[-1]


def test_a_senseless_omp_num_threads_is_ignored():
    done = run_with("import upsample; print(upsample.get_num_threads() >= 1)", OMP_NUM_THREADS="some,2")
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


# ---- calls that Python itself refuses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: upsample.interpolate(),
        lambda: upsample.interpolate(np.zeros((1, 1, 4)), 8, None, "nearest", None, None, False, "torch"),
        lambda: upsample.interpolate(np.zeros((1, 1, 4)), sizes=8),
        lambda: upsample.plan((1, 1, 4)),
        lambda: upsample.plan((1, 1, 4), np.float32, size=8, out=None),
        lambda: upsample.Upsample(size=8, antialias=True),
        lambda: upsample.UpsamplingNearest2d(size=8, mode="nearest"),
        lambda: upsample.UpsamplingBilinear2d(size=8, align_corners=True),
    ],
)
def test_the_signatures_are_torchs_and_the_additions_are_keywords(call):
    with pytest.raises(TypeError, match="argument"):
        call()
