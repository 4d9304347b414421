"""The cells that are measured: one definition for asv, for `compare.py` and for its peers.

In: nothing.  Out: `GRID` (images, and some of everything), `FAMILIES` (what networks hold, in kinds, from which `draws`
takes new cells), `QUICK` (small ones of every kind, for CI) and the `Cell` they are made of, which knows its sizes and
its data, and no library.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, product
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

    @classmethod
    def of(cls, parts: Mapping[str, Any]) -> Cell:
        """From what `dataclasses.asdict` made of one, and JSON of its tuples."""
        return cls(**{name: tuple(part) if isinstance(part, list) else part for name, part in parts.items()})

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


@dataclass(frozen=True, slots=True)
class Family:
    """Cells of one kind: the ranges that they lie in, and some of them that stay the same and are tracked."""

    axes: Mapping[str, tuple[tuple[int, int], ...]]
    """The layouts, each with the least and the greatest length of its axes, in its order."""
    planes: tuple[int, int]
    """The least and the greatest number of images, or volumes, in one array."""
    dtypes: tuple[str, ...]
    methods: tuple[str, ...]
    fixed: tuple[Cell, ...]
    scales: tuple[float, ...] = ()
    """Factors that are usual."""
    factors: tuple[float, float] | None = None
    """The least and the greatest of those that are not; one for all axes, or a size for each."""
    outputs: tuple[int, ...] = ()
    """Instead of factors: numbers of outputs, along each axis."""
    multiple: int = 1
    """Of which the lengths of resampled axes are multiples."""
    most_bytes: int = 2**24
    """Of the input, and of the output: what a cell may take of the time for measuring."""

    def __contains__(self, cell: Cell) -> bool:
        ranges = self.axes.get(cell.layout, ())
        if len(ranges) != len(cell.shape) or cell.dtype not in self.dtypes or cell.method not in self.methods:
            return False
        if cell.align_corners or cell.antialias or min(cell.out_sizes) < 1:
            return False
        if any(n % self.multiple for n in cell.sizes):
            return False
        planes = math.prod(n for axis, n in enumerate(cell.shape) if axis not in cell.spatial)
        most_samples = self.most_bytes // _BYTES[cell.dtype]
        return (
            all(low <= n <= high for n, (low, high) in zip(cell.shape, ranges, strict=True))
            and self.planes[0] <= planes <= self.planes[1]
            and max(math.prod(cell.shape), math.prod(cell.out_shape)) <= most_samples
            and self._makes(cell)
        )

    def _makes(self, cell: Cell) -> bool:
        if self.outputs:
            return cell.size is not None and set(cell.size) <= set(self.outputs)
        if cell.scale in self.scales:
            return True
        factors = [m / n for n, m in zip(cell.sizes, cell.out_sizes, strict=True)]
        low, high = self.factors or (1, 0)
        return all(low <= factor <= high for factor in ([cell.scale] if cell.scale is not None else factors))


_BYTES = {"uint8": 1, "uint16": 2, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
_FLOATS = ("float32", "float64", "float16", "bfloat16")
_METHODS = ("nearest", "nearest-exact", "linear", "cubic", "area")
# The others' names do not depend on the rank.
_MODES = {("linear", 2): "bilinear", ("linear", 3): "trilinear", ("cubic", 2): "bicubic"}


def _f32(shape: tuple[int, ...], *modes: str, x: float | None = None, to: tuple[int, ...] | None = None) -> list[Cell]:
    layout = "NCDHW" if len(shape) == 5 else "NCHW"
    return [Cell(shape, "float32", layout, mode, x, to) for mode in modes]


FAMILIES: dict[str, Family] = {
    # feature maps: many small planes, where a row costs more than its samples
    "planes": Family(
        axes={"NCHW": ((1, 256), (1, 2048), (3, 60), (3, 40))},
        planes=(16, 4096),
        dtypes=(*_FLOATS, "uint8"),
        methods=_METHODS,
        scales=(2, 1.5, 0.5),
        factors=(0.2, 3),
        fixed=(
            *_f32((1, 512, 7, 7), "nearest", "bilinear", x=2),
            *_f32((1, 512, 14, 14), "nearest", x=2),
            *_f32((1, 1280, 8, 8), "nearest", "bilinear", x=2),
            *_f32((1, 256, 10, 10), "nearest", "bilinear", x=2),
            *_f32((1, 2048, 7, 7), "nearest", "bilinear", x=2),
            *_f32((4, 128, 13, 13), "nearest-exact", x=2),
            *_f32((1, 256, 14, 14), "bicubic", x=2),
            *_f32((2, 96, 20, 20), "area", x=0.5),
            *_f32((8, 64, 57, 39), "bilinear", to=(23, 31)),
            Cell((256, 3, 32, 32), "uint8", "NCHW", "nearest", size=(64, 64)),
            Cell((1, 320, 16, 16), "float16", "NCHW", "bilinear", 2),
            Cell((2, 64, 28, 28), "bfloat16", "NCHW", "area", 1.5),
            Cell((1, 128, 24, 17), "float64", "NCHW", "bicubic", 0.5),
        ),
    ),
    "volumes": Family(
        axes={"NCDHW": ((1, 64), (1, 512), (3, 48), (3, 48), (3, 48))},
        planes=(16, 4096),
        dtypes=(*_FLOATS, "uint8"),
        methods=("nearest", "linear", "area"),
        scales=(2, 1.5, 0.5),
        factors=(0.2, 3),
        fixed=(
            *_f32((1, 64, 16, 24, 8), "nearest", x=2),
            *_f32((1, 64, 14, 16, 7), "nearest", x=0.3),
            *_f32((1, 128, 8, 8, 8), "trilinear", x=2),
            *_f32((1, 64, 24, 22, 13), "trilinear", x=0.5),
            *_f32((8, 64, 38, 12, 4), "trilinear", to=(20, 4, 1)),
            *_f32((1, 320, 20, 11, 7), "area", x=0.25),
            Cell((8, 4, 43, 12, 5), "float16", "NCDHW", "trilinear", size=(11, 3, 1)),
            Cell((2, 32, 10, 12, 14), "uint8", "NCDHW", "nearest", 1.5),
        ),
    ),
    # pooling, to one output or a few
    "means": Family(
        axes={
            "NCHW": ((1, 64), (1, 2048), (7, 60), (7, 60)),
            "NCDHW": ((1, 64), (1, 2048), (3, 24), (7, 60), (7, 60)),
        },
        planes=(16, 2**15),
        dtypes=_FLOATS,
        methods=("area",),
        outputs=(1, 2, 3),
        most_bytes=2**25,
        fixed=(
            *_f32((64, 512, 7, 7), "area", to=(2, 2)),
            *_f32((1, 2048, 60, 60), "area", to=(1, 1)),
            *_f32((1, 512, 32, 32), "area", to=(1, 1)),
            *_f32((16, 256, 14, 14), "area", to=(3, 3)),
            *_f32((8, 128, 8, 14, 14), "area", to=(1, 1, 1)),
            *_f32((2, 256, 12, 28, 28), "area", to=(2, 2, 2)),
            Cell((8, 512, 14, 14), "float16", "NCHW", "area", size=(1, 1)),
        ),
    ),
    # signals and spectra as images: short rows, and too few planes to go side by side
    "narrow": Family(
        axes={"NCHW": ((1, 4), (1, 64), (100, 900), (3, 40))},
        planes=(1, 128),
        dtypes=(*_FLOATS, "uint8"),
        methods=_METHODS,
        scales=(2, 1.5, 0.5),
        factors=(0.2, 3),
        fixed=(
            *_f32((2, 64, 382, 4), "bilinear", x=0.5),
            *_f32((1, 3, 700, 9), "bicubic", x=2),
            *_f32((1, 8, 240, 17), "area", to=(100, 5)),
            Cell((1, 2, 401, 28), "float16", "NCHW", "nearest", 2),
            Cell((1, 3, 500, 32), "uint8", "NCHW", "bilinear", 1.5),
        ),
    ),
    # no network's: microscopes' images and volumes, each level half of the one before
    "pyramids": Family(
        axes={
            "HW": ((2048, 8192), (2048, 8192)),
            "HWC": ((2048, 8192), (2048, 8192), (3, 3)),
            "DHW": ((128, 512), (128, 512), (128, 512)),
        },
        planes=(1, 3),
        dtypes=("uint8", "uint16", "float32"),
        methods=("linear", "area"),
        scales=(0.5,),
        multiple=2,  # others than PyTorch take the ratio of the sizes for the factor, and there it is the same
        most_bytes=2**28,
        fixed=(
            *(
                Cell((2048, 2048), dtype, "HW", mode, 0.5)
                for dtype, mode in product(("uint8", "uint16", "float32"), ("bilinear", "area"))
            ),
            Cell((2048, 2048, 3), "uint8", "HWC", "area", 0.5),
            *(
                Cell((128, 160, 192), dtype, "DHW", mode, 0.5)
                for dtype, mode in product(("uint8", "uint16", "float32"), ("trilinear", "area"))
            ),
        ),
    ),
}


def _between(rng: random.Random, low: float, high: float) -> float:
    """As many below as above the geometric mean: small ones are what there is most of."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def draw(family: str, rng: random.Random) -> Cell:
    """Any cell of a family."""
    kind = FAMILIES[family]
    while True:
        layout = rng.choice(list(kind.axes))
        shape = tuple(int(_between(rng, low, high + 1)) for low, high in kind.axes[layout])
        rank = sum(letter in "DHW" for letter in layout)
        method = rng.choice(kind.methods)
        cell = Cell(shape, rng.choice(kind.dtypes), layout, _MODES.get((method, rank), method))
        cell = replace(cell, **_target(kind, cell.sizes, rng))
        if cell in kind:
            return cell


def _target(kind: Family, sizes: tuple[int, ...], rng: random.Random) -> dict[str, Any]:
    """Half of them as most calls are: a usual factor, or the same number of outputs along each axis."""
    usual = rng.random() < 0.5
    if kind.outputs:
        size = tuple(rng.choice(kind.outputs) for _ in sizes)
        return {"size": size[:1] * len(size) if usual else size}
    if usual or kind.factors is None:
        return {"scale": rng.choice(kind.scales)}
    if rng.random() < 0.5:
        return {"scale": round(_between(rng, *kind.factors), 2)}
    return {"size": tuple(round(n * _between(rng, *kind.factors)) for n in sizes)}


def draws(families: Sequence[str], number: int, seed: int, backward: bool = False) -> list[tuple[str, Cell]]:
    """So many cells (or gradients), no two alike, of each family in turn: its name with each.

    A family's cells do not depend on which others are asked for, and a larger number begins with the smaller one's.
    """
    found: dict[str, tuple[str, Cell]] = {}
    sources = {family: _endless(family, random.Random(f"{family} {seed}"), backward) for family in families}
    for family in cycle(sources):
        if len(found) >= number:
            break
        cell = next(cell for cell in sources[family] if cell.name not in found)
        found[cell.name] = family, cell
    return list(found.values())


def _endless(family: str, rng: random.Random, backward: bool) -> Iterator[Cell]:
    while True:
        cell = draw(family, rng)
        if not backward:
            yield cell
        elif cell.dtype in _FLOATS:
            yield replace(cell, backward=True)


def gradients(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that go the other way, of those that can; bfloat16 cells are left out where ml_dtypes is missing."""
    found = []
    for cell in cells:
        with contextlib.suppress(ModuleNotFoundError):
            found.append(cell.gradient())
    return [cell for cell in found if cell is not None]


BACKWARD: tuple[Cell, ...] = tuple(gradients(GRID))

_FIXED = (*GRID, *QUICK, *(cell for family in FAMILIES.values() for cell in family.fixed))
BY_NAME: dict[str, Cell] = {cell.name: cell for cell in (*_FIXED, *gradients(_FIXED))}


def names(*methods: str, antialias: bool | None = None, backward: bool = False) -> list[str]:
    """Names of the grid's cells whose method is one of `methods` (of all, without any)."""
    return [
        cell.name
        for cell in (BACKWARD if backward else GRID)
        if (not methods or cell.method in methods) and (antialias is None or cell.antialias == antialias)
    ]


def family_names(family: str, backward: bool = False) -> list[str]:
    """Names of a family's fixed cells, or of those that go the other way."""
    cells = FAMILIES[family].fixed
    return [cell.name for cell in (gradients(cells) if backward else cells)]
