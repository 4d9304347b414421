"""Sizes, scales and the errors of a resampling request, by PyTorch's rules.

In: the spatial sizes of an array and the arguments as the user gave them.
Out: a `Geometry`: output sizes, the scale that decides each axis's ratio, and
the method.  It knows no arrays, dtypes or layouts, and computes no taps.

Checks run in PyTorch's order, so that of several mistakes the same one is
reported, with the same exception class.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "cubic", "area", "lanczos")
INTERPOLATING = ("linear", "bilinear", "bicubic", "trilinear", "cubic")
ANTIALIASABLE = ("linear", "bilinear", "trilinear", "bicubic", "cubic", "lanczos")
# The modes whose name fixes the number of spatial axes.
MODE_RANK = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a request resolves to, one entry per spatial axis (D, H, W order)."""

    sizes: tuple[int, ...]
    out_sizes: tuple[int, ...]
    scales: tuple[float, ...]  # the factor whose inverse is the ratio; 0 where sizes decide
    method: str  # nearest, nearest-exact, linear, cubic, area, lanczos
    align_corners: bool
    antialias: bool


def resolve(
    sizes: tuple[int, ...],
    size: Any,
    scale_factor: Any,
    mode: Any,
    align_corners: Any,
    recompute_scale_factor: Any,
    antialias: Any,
    ndim: int | None = None,
) -> Geometry:
    """Resolve a request; see `upsample.interpolate` for the arguments and errors.

    `ndim` is the array's number of axes where that is not (N, C) more than `sizes`; it is only named.
    """
    rank = len(sizes)
    if isinstance(mode, str):
        mode = str.__str__(mode)  # of a subclass, such as numpy.str_ or an enumeration's member
    hint = _layout_hint(ndim)
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            f"{' | '.join(INTERPOLATING)}; got align_corners={align_corners!r} with mode={mode!r}, leave it None"
        )
    if size is not None and scale_factor is not None:
        raise ValueError(
            f"only one of size or scale_factor should be defined, got size={size!r} and scale_factor={scale_factor!r}"
        )
    out_sizes: list[Any] | None = None
    factors: list[Any] | None = None
    if size is not None:
        out_sizes = _per_axis(size, sizes, "output", "output size", hint)
        if isinstance(size, (list, tuple)) and not all(_is_integer(v) or isinstance(v, bool) for v in size):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], "
                f"but got size with types {[type(v).__name__ for v in size]}: convert them with int()"
            )
    elif scale_factor is not None:
        factors = _per_axis(scale_factor, sizes, "scale_factor", "scale_factor", hint)
    else:
        raise ValueError("either size or scale_factor should be defined")
    if recompute_scale_factor and size is not None:
        raise ValueError(
            "recompute_scale_factor is not meaningful with an explicit size: leave it None, or give scale_factor"
        )
    recompute = bool(recompute_scale_factor) or (mode == "area" and factors is not None)
    if factors is not None and recompute:
        _check_factors(factors)
        # NumPy's float32 factors multiply in float32, as in torch; its small integers would wrap
        numbers = [f.item() if isinstance(f, np.integer) else f for f in factors]
        out_sizes = [int(n * f) for n, f in zip(sizes, numbers, strict=True)]
        factors = None
    _check_mode(mode, rank, ndim, align_corners, antialias)
    align_corners = _flag(align_corners, "align_corners")
    if out_sizes is not None:
        resolved = [_checked_size(v) for v in out_sizes]
        scales = [0.0] * rank
    else:
        assert factors is not None
        _check_factors(factors)
        try:
            scales = [float(f) for f in factors]
        except OverflowError:
            raise RuntimeError(
                f"scale_factor {scale_factor!r}: value cannot be converted to type int64_t without overflow"
            ) from None
        resolved = [_scaled(n, f) for n, f in zip(sizes, scales, strict=True)]
    _check_positive(sizes, resolved, mode)
    method = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    return Geometry(tuple(sizes), tuple(resolved), tuple(scales), method, bool(align_corners), bool(antialias))


def _is_integer(value: Any) -> bool:
    """Whether a value is an integer (NumPy's and 0-d integer arrays too); a bool is none."""
    if isinstance(value, np.ndarray):
        return value.shape == () and value.dtype.kind in "iu"
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _layout_hint(ndim: int | None) -> str:
    """What to say where the number of axes may be the mistake; nothing where a layout names them."""
    if ndim is None:
        return ""
    example = {1: "W", 2: "HW", 3: "HWC", 4: "NHWC", 5: "NDHWC"}.get(ndim, "NDHWC")
    return (
        f"; without layout= the {ndim} axes are taken as (N, C, spatial...): name them if they are others, "
        f"e.g. layout={example!r}"
    )


def _per_axis(value: Any, sizes: tuple[int, ...], what: str, name: str, hint: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        return [value] * len(sizes)
    if len(value) != len(sizes):
        raise ValueError(
            f"Input and {what} must have the same number of spatial dimensions, but got input with spatial "
            f"dimensions of {list(sizes)} and {name} of {tuple(value)}. Give one number for all axes, or "
            f"{len(sizes)} in D, H, W order{hint}"
        )
    return list(value)


def _check_factors(factors: Sequence[Any]) -> None:
    for f in factors:
        if not (isinstance(f, (int, float)) or (isinstance(f, np.generic) and f.dtype.kind in "biuf")):
            hint = ": convert it with tuple() or float()" if isinstance(f, np.ndarray) else ""
            raise TypeError(
                f"scale_factor must be a number or a list or tuple of numbers, got {type(f).__name__} {f!r}{hint}"
            )


def _check_mode(mode: Any, rank: int, ndim: int | None, align_corners: Any, antialias: Any) -> None:
    if antialias and not (mode in ANTIALIASABLE and (mode not in ("bilinear", "bicubic") or rank == 2)):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes on two spatial axes and to linear, "
            f"trilinear, cubic and lanczos modes, got mode={mode!r} with {rank} spatial axes"
        )
    if mode == "lanczos":
        if align_corners:
            raise ValueError("Lanczos mode does not support align_corners=True: leave it None")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
    if not isinstance(mode, str) or mode not in MODES or not 1 <= rank <= 3:
        _unknown_mode(mode, rank, ndim)
    needed = MODE_RANK.get(mode, rank)
    if needed != rank:
        if mode == "bicubic":
            _unknown_mode(mode, rank, ndim)
        family = {1: "linear", 2: "bilinear", 3: "trilinear"}
        start = "" if ndim is None else f"Got {ndim}D input, but {mode} mode needs {needed + 2}D input: "
        raise NotImplementedError(
            f"{start}{mode} mode needs {needed} spatial {'axis' if needed == 1 else 'axes'}, here there "
            f"{'is 1' if rank == 1 else f'are {rank}'}: use mode={family[rank]!r}{_layout_hint(ndim)}"
        )


def _unknown_mode(mode: Any, rank: int, ndim: int | None) -> NoReturn:
    text = (
        f"Input Error: Only 3D, 4D and 5D input arrays supported (got {rank + 2 if ndim is None else ndim}D) for the "
        f"modes: {' | '.join(MODES)} (got {mode!r})"
    )
    if not isinstance(mode, str) or mode not in MODES:
        close = difflib.get_close_matches(mode.lower(), MODES, 1) if isinstance(mode, str) else []
        guess = f": did you mean {close[0]!r}?" if close else "."
        raise NotImplementedError(f"There is no mode {mode!r}{guess} {text}")
    if mode == "bicubic" and 1 <= rank <= 3:
        raise NotImplementedError(
            f"{text}: bicubic mode needs 2 spatial axes, here there {'is 1' if rank == 1 else f'are {rank}'}; "
            f"mode='cubic' takes one, two or three{_layout_hint(ndim)}"
        )
    raise NotImplementedError(text + _layout_hint(ndim))


def _flag(value: Any, name: str) -> bool:
    if value is None or isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name} must be True, False or None, got {type(value).__name__} {value!r}")


def _checked_size(value: Any) -> int:
    if not _is_integer(value):
        hint = ": convert it with tuple()" if isinstance(value, np.ndarray) else ""
        raise TypeError(f"size must be an int or a list or tuple of ints, got {type(value).__name__} {value!r}{hint}")
    number = int(value)
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise RuntimeError(f"size {number} does not fit a 64-bit integer (overflow)")
    return number


def _scaled(n: int, factor: float) -> int:
    product = float(n) * factor
    if not -(2.0**63) <= product < 2.0**63:
        raise RuntimeError(
            f"scale_factor {factor!r} on a size of {n}: value cannot be converted to type int64_t without overflow; "
            "give a finite positive factor"
        )
    return int(product)


def _check_positive(sizes: Sequence[int], out_sizes: Sequence[int], mode: str) -> None:
    if mode == "area":
        if any(m < 0 for m in out_sizes):
            raise RuntimeError(
                f"area mode: elements of output_size must be greater than or equal to 0, got {list(out_sizes)}"
            )
        if any(n <= 0 for n in sizes):
            raise RuntimeError(
                f"area mode: expected input to have non-zero size for its spatial axes, got sizes {list(sizes)}"
            )
        return
    if any(v <= 0 for v in (*sizes, *out_sizes)):
        names = "DHW"[3 - len(sizes) :]

        def show(v: Sequence[int]) -> str:
            return "(" + ", ".join(f"{a}: {s}" for a, s in zip(names, v, strict=True)) + ")"

        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {show(sizes)} and output "
            f"{show(out_sizes)}: give larger sizes or factors"
        )
