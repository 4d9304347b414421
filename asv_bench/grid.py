"""The cells that are measured: one definition for asv, for `compare.py` and for its peers.

In: nothing.  Out: `GRID` (everything), `QUICK` (small ones of every kind, for CI) and the `Cell` they are
made of, which knows its sizes and its data, and no library.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

_SHORT = {"float": "f", "bfloat": "bf", "uint": "u", "int": "i"}
# Layouts that need no name: torch's own.
_DEFAULT_LAYOUTS = ("NCW", "NCHW", "NCDHW")


@dataclass(frozen=True, slots=True)
class Cell:
    """One piece of work: an array, and what to make of it; or (`backward`) a gradient of that, back to the array's."""

    shape: tuple[int, ...]
    dtype: str
    layout: str
    mode: str
    scale: float | None = None
    size: tuple[int, ...] | None = None
    align_corners: bool | None = None
    antialias: bool = False
    backward: bool = False

    @property
    def name(self) -> str:
        """The cell in words that sort and grep well: ``f32-NCHW-8x64x64x64-x2-bilinear-corners``."""
        kind = self.dtype.rstrip("0123456789")
        to = f"x{self.scale:g}" if self.scale is not None else "to" + "x".join(map(str, self.size or ()))
        words = [_SHORT[kind] + self.dtype[len(kind) :], self.layout, "x".join(map(str, self.shape)), to, self.mode]
        if self.align_corners:
            words.append("corners")
        if self.antialias:
            words.append("aa")
        if self.backward:
            words.append("backward")
        return "-".join(words)

    @property
    def spatial(self) -> tuple[int, ...]:
        """The resampled axes, in D, H, W order."""
        return tuple(i for i, letter in enumerate(self.layout) if letter in "DHW")

    @property
    def channels_last(self) -> bool:
        return self.layout.endswith("C")

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(self.shape[a] for a in self.spatial)

    @property
    def out_sizes(self) -> tuple[int, ...]:
        if self.size is not None:
            return self.size
        return tuple(int(n * (self.scale or 1)) for n in self.sizes)

    @property
    def out_shape(self) -> tuple[int, ...]:
        shape = list(self.shape)
        for axis, m in zip(self.spatial, self.out_sizes, strict=True):
            shape[axis] = m
        return tuple(shape)

    @property
    def reduces(self) -> bool:
        return any(m < n for n, m in zip(self.sizes, self.out_sizes, strict=True))

    @property
    def method(self) -> str:
        """The mode without the rank in its name: nearest, nearest-exact, linear, cubic, area, lanczos."""
        return {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}.get(self.mode, self.mode)

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """Raises ModuleNotFoundError for bfloat16 where ``ml_dtypes`` is missing."""
        if self.dtype == "bfloat16":
            import ml_dtypes

            return np.dtype(ml_dtypes.bfloat16)
        return np.dtype(self.dtype)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Of what is made: the output, or the gradient by the input."""
        return self.shape if self.backward else self.out_shape

    @property
    def bytes_moved(self) -> int:
        """Every input and output byte once."""
        return (math.prod(self.shape) + math.prod(self.out_shape)) * self.numpy_dtype.itemsize

    def keywords(self) -> dict[str, Any]:
        """The arguments of ``upsample.interpolate`` after the array, defaults left out as a user would."""
        words: dict[str, Any] = {"mode": self.mode}
        if self.size is not None:
            words["size"] = self.size
        else:
            words["scale_factor"] = self.scale
        if self.align_corners is not None:
            words["align_corners"] = self.align_corners
        if self.antialias:
            words["antialias"] = True
        if self.layout not in _DEFAULT_LAYOUTS:
            words["layout"] = self.layout
        return words

    def gradient(self) -> Cell | None:
        """The cell that goes the other way, or None where the dtype has no gradient."""
        return None if self.numpy_dtype.kind in "iu" else replace(self, backward=True)

    def data(self) -> np.ndarray[Any, Any]:
        """Random samples of the input (backward: of the output's gradient), the same at every call.

        None is zero: stores of zeros are faster on some machines.
        """
        rng = np.random.default_rng(7)
        dtype, shape = self.numpy_dtype, self.out_shape if self.backward else self.shape
        if dtype.kind in "iu":
            return rng.integers(1, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
        return (0.25 + 0.75 * rng.random(shape, dtype=np.float32)).astype(dtype)


_2D = ("nearest", "bilinear", "bicubic")


def _images(dtype: str, layout: str, shape: tuple[int, ...], scale: float, modes: tuple[str, ...] = _2D) -> list[Cell]:
    return [Cell(shape, dtype, layout, mode, scale) for mode in modes]


def _corners(layout: str, shape: tuple[int, ...], scale: float) -> list[Cell]:
    return [Cell(shape, "float32", layout, mode, scale, align_corners=True) for mode in ("bilinear", "bicubic")]


def _antialias(
    dtype: str, layout: str, shape: tuple[int, ...], scale: float, modes: tuple[str, ...] = ("bilinear", "bicubic")
) -> list[Cell]:
    return [Cell(shape, dtype, layout, mode, scale, antialias=True) for mode in modes]


def _tiny(shape: tuple[int, ...], layout: str, modes: tuple[str, ...]) -> list[Cell]:
    return [Cell(shape, "float32", layout, mode, 2, antialias=mode == "lanczos") for mode in modes]


_FLOAT32_IMAGES = (
    ("NCHW", (8, 64, 64, 64), 2),
    ("NCHW", (1, 3, 1080, 1920), 2),
    ("NCHW", (1, 3, 512, 512), 1.5),
    ("NCHW", (1, 3, 1080, 1920), 0.5),
    ("HWC", (512, 512, 3), 2),
    ("NHWC", (1, 128, 128, 64), 2),
)
_HD = (1, 3, 1080, 1920)
_HD_HWC = (1080, 1920, 3)

GRID: tuple[Cell, ...] = (
    *(cell for layout, shape, scale in _FLOAT32_IMAGES for cell in _images("float32", layout, shape, scale)),
    *(cell for layout, shape, scale in _FLOAT32_IMAGES for cell in _corners(layout, shape, scale)),
    *_images("float64", "NCHW", (1, 1, 2048, 2048), 2),
    *_images("float16", "NCHW", (8, 64, 64, 64), 2),
    *_images("bfloat16", "NCHW", (8, 64, 64, 64), 2),
    *(cell for scale in (2, 1.5, 0.5) for cell in _images("uint8", "HWC", _HD_HWC, scale)),
    *(cell for scale in (2, 1.5, 0.5) for cell in _antialias("uint8", "HWC", _HD_HWC, scale)),
    *_images("uint16", "NCHW", (1, 1, 2048, 2048), 2),
    *(
        Cell(shape, "float32", "NCDHW", mode, 2)
        for shape, mode in product(((1, 1, 128, 128, 128), (2, 16, 32, 32, 32)), ("nearest", "trilinear"))
    ),
    *(Cell((16, 64, 4096), "float32", "NCW", mode, 2) for mode in ("nearest", "linear")),
    Cell((1, 1, 1_000_000), "float32", "NCW", "linear", 2),  # one row: the only axis there is has to be shared out
    Cell((1, 1, 1_000_000), "float32", "NCW", "nearest", 0.5),
    *(cell for scale in (0.5, 0.3) for cell in _images("float32", "NCHW", _HD, scale, ("area",))),
    Cell((8, 512, 7, 7), "float32", "NCHW", "area", size=(1, 1)),  # global pooling
    *(cell for scale in (0.5, 0.3) for cell in _images("uint8", "HWC", _HD_HWC, scale, ("area",))),
    *_antialias("float32", "NCHW", _HD, 0.5, ("bilinear", "bicubic", "lanczos")),
    *_antialias("uint8", "HWC", _HD_HWC, 0.5, ("lanczos",)),
    Cell((1, 3, 480, 640), "float32", "NCHW", "bilinear", size=(224, 224), antialias=True),
    *_tiny((1, 3, 16), "NCW", ("linear",)),
    *_tiny((1, 3, 16, 16), "NCHW", ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos")),
    *_antialias("float32", "NCHW", (1, 3, 16, 16), 2),
    *_tiny((1, 3, 16, 16, 16), "NCDHW", ("trilinear",)),
)

QUICK: tuple[Cell, ...] = (
    *_images("float32", "NCHW", (2, 3, 96, 128), 2),
    *_images("float32", "NCHW", (1, 3, 96, 128), 1.5),
    *_images("float32", "NCHW", (1, 3, 96, 128), 0.5),
    *_corners("NCHW", (1, 3, 96, 128), 2),
    *_images("float32", "HWC", (96, 128, 3), 2),
    *_images("float32", "NHWC", (1, 24, 32, 16), 2),
    *_images("float64", "NCHW", (1, 1, 96, 128), 2, ("bilinear",)),
    *_images("float16", "NCHW", (1, 3, 96, 128), 2, ("bilinear",)),
    *_images("bfloat16", "NCHW", (1, 3, 96, 128), 2, ("bilinear",)),
    *_images("uint8", "HWC", (96, 128, 3), 1.5),
    *_images("uint16", "NCHW", (1, 1, 96, 128), 2, ("bilinear",)),
    *(Cell((1, 2, 16, 24, 32), "float32", "NCDHW", mode, 2) for mode in ("nearest", "trilinear")),
    *(Cell((2, 8, 512), "float32", "NCW", mode, 2) for mode in ("nearest", "linear")),
    *_images("float32", "NCHW", (1, 3, 96, 128), 0.3, ("area",)),
    *_antialias("float32", "NCHW", (1, 3, 96, 128), 0.5, ("bilinear", "bicubic", "lanczos")),
    *_antialias("uint8", "HWC", (96, 128, 3), 0.5),
    *_tiny((1, 3, 16, 16), "NCHW", ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos")),
)

BY_NAME: dict[str, Cell] = {cell.name: cell for cell in (*GRID, *QUICK)}


def gradients(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that go the other way, of those that can; bfloat16 cells are left out where ml_dtypes is missing."""
    found = []
    for cell in cells:
        with contextlib.suppress(ModuleNotFoundError):
            found.append(cell.gradient())
    return [cell for cell in found if cell is not None]


BACKWARD: tuple[Cell, ...] = tuple(gradients(GRID))
BY_NAME.update({cell.name: cell for cell in BACKWARD})


def names(*methods: str, antialias: bool | None = None, backward: bool = False) -> list[str]:
    """Names of the grid's cells whose method is one of `methods` (of all, without any)."""
    return [
        cell.name
        for cell in (BACKWARD if backward else GRID)
        if (not methods or cell.method in methods) and (antialias is None or cell.antialias == antialias)
    ]
