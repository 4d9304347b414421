"""What the backend `cuda` does with a plan: onto the kernels in ``_kernels/cuda``, launched by CuPy.

In: a plan and a CuPy array like those to come.  Out: a `CudaKernel`, a list of steps (one fused kernel, or
a pass after another through temporaries), each a program, its tables and its parameters.  A program is compiled when
it is first used on a device, tables are uploaded once per kernel and device, and what follows is one look-up and one
launch per step, on the current stream, with nothing to wait for.  CuPy is never imported here: an array of it says
that the caller has done so.
"""

from __future__ import annotations

import hashlib
import math
import sys
import threading
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._arrays import byte_bounds, check_out, native
from .._axismap import RECIPE_BYTES
from . import BackendError
from ._axes import Groups, Transposed, groups_of, irregular, size_of

if TYPE_CHECKING:
    from .._axismap import AxisMap
    from .._plan import Plan

KERNELS = Path(__file__).resolve().parent.parent / "_kernels"
FOLDERS = (KERNELS / "cuda", KERNELS / "cpu", KERNELS / "cuda" / "nvrtc")  # of headers
HEADERS = ("*.cuh", "taps.h", "*.h")  # which of them, in each
ENTRY = "upsample_kernel"

TABLE_OUTPUTS = 65536  # the taps of longer maps are evaluated on the device
TWICE_OUTPUTS = 1 << 22  # longer maps are not looked through for whole factor 2
TABLE_WEIGHTS = 1 << 22  # and so are those of more weights than this
ROW_LIMIT = 2**31 - 2**12  # samples of a row: 32-bit indices, and room for the last thread block
THREADS = 128
GRID_LIMIT = 65535  # blocks along y and z
BANDS = GRID_LIMIT * (THREADS // 32)  # threads along y: a block has at most 32 along x
DEEPEST = 64  # threads of a block along z
REGISTERS = {"VECTOR": 48, "other": 36, "copies": 24}  # of samples, weights and indices that a thread holds
RING_REGISTERS = 48  # the same where weights are parameters
GATHER_REGISTERS = 72  # the same where nothing is kept from row to row
GATHER_DEEP = 12  # of these, what a loop over planes takes
GATHER_TAPS = 4  # along each axis: with more, passes through memory do less
PIXEL_BYTES = 24  # of three channels that a thread stores: more leave gaps that the L2 cache is slow to fill
WAVE = 1024  # threads that a multiprocessor is given before rows per thread are raised

# The parameters' NumPy twins of params.cuh.
AXIS = np.dtype([("records", "<u8"), ("weights", "<u8"), ("recipe", f"V{RECIPE_BYTES}")])
TWICE = np.dtype([("even", "<u8", 4), ("odd", "<u8", 4), ("begin", "<u8", 2)])
PARAMS = np.dtype(
    [(name, AXIS) for name in ("d", "h", "w")]
    + [(name, TWICE) for name in ("twice_h", "twice_w")]
    + [(name, "<i8") for name in ("in_outer", "in_d", "in_h", "out_outer", "out_d", "out_h", "outer", "z_outer")]
    + [
        (name, "<i4")
        for name in ("z_d", "in_depth", "in_height", "in_width", "out_depth", "out_height", "row", "inner", "rows",
                     "align", "taps_d", "taps_h", "taps_w", "shift_d", "shift_h", "shift_w", "own_h", "own_w")
    ]
)  # fmt: skip

# No contraction: a fused multiply-add stands only where the sources write one.
OPTIONS = (
    "--std=c++17", "--fmad=false", "--device-as-default-execution-space", "--device-int128",
    f"-DPARAMS_BYTES={PARAMS.itemsize}",
)  # fmt: skip

DTYPES = {
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "uint8": "u8", "int8": "i8",
    "uint16": "u16", "int16": "i16",
}  # fmt: skip
# The type of sums: its name in C++, its size, and the kind of samples between passes.
SUMS = {"float32": ("float", 4, "f32"), "float64": ("double", 8, "f64"), "int32": ("int32_t", 4, "")}
RAW = {1: "uint8_t", 2: "uint16_t", 4: "uint32_t", 8: "uint64_t", 16: "uint4"}


def prepare(plan: Plan, order: tuple[int, ...]) -> Any:
    """The kernel for arrays whose axes lie in memory in this order."""
    groups = groups_of(order, {p.axis for p in plan.passes})
    if groups is None:
        transposed = Transposed(plan, prepare, keep_if_captured)
        return transposed.kernel if isinstance(transposed.kernel, str) else transposed
    sizes = [size_of(plan, g) for g in groups]
    steps = steps_of(plan, groups, sizes)
    if isinstance(steps, str):
        return steps
    return CudaKernel(plan, groups, steps)


# ---- tables ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """The map of one axis as kernels read it; `key` says where its tables are among a kernel's."""

    map: AxisMap
    taps: int  # of a fused kernel's record, or 0 for the table of a wide pass
    key: str

    @property
    def evaluated(self) -> bool:
        """Whether the taps are evaluated on the device, from the recipe."""
        large = self.map.m > TABLE_OUTPUTS or self.map.m * self.map.taps_max > TABLE_WEIGHTS
        return large and self.recipe is not None

    @property
    def recipe(self) -> bytes | None:
        make = getattr(self.map, "recipe_bytes", None)  # a table of unknown origin has none
        return None if make is None else make()

    def tables(self) -> dict[str, Any]:
        """Arrays to upload, by the name that they have among the kernel's."""
        if self.evaluated:
            return {}
        first, count, weights = self.map.taps()
        if self.taps:
            return {self.key: records(self.map, self.taps, first, weights)}
        made = {self.key: np.stack([first, count], axis=1).astype(np.int32)}
        if weights is not None:
            made[self.key + "_weights"] = weights
        return made

    def fill(self, params: Any, tables: dict[str, int]) -> None:
        """Set the fields of this axis, given the addresses of its tables."""
        params["records"] = tables.get(self.key, 0)
        params["weights"] = tables.get(self.key + "_weights", 0)
        if self.recipe is not None:
            params["recipe"] = np.void(self.recipe)


def records(axis_map: AxisMap, taps: int, first: Any, weights: Any) -> Any:
    """The table that axis.cuh reads: per output the weights in the sum's type, then `first`, padded to 16 bytes."""
    if weights is None:
        return first.astype(np.int32)
    kind = axis_map.acc
    size = taps * np.dtype(kind).itemsize
    padded = -(-(size + 4) // 16) * 16
    record = np.dtype(
        {"names": ["w", "first"], "formats": [(kind, taps), "<i4"], "offsets": [0, size], "itemsize": padded}
    )
    made = np.zeros(len(first), record)
    made["w"] = weights
    made["first"] = first
    return made


@dataclass(frozen=True)
class Twice:
    """An axis of whole factor 2: outputs 2j and 2j + 1 have the same weights for every j, but for output 0's own."""

    even: Any
    odd: Any
    begin: Any
    own: bool

    def quarters(self, shift: int) -> bool:
        """Whether the weights are 1/4 and 3/4, in the integer scheme."""
        one = 1 << shift
        return [*self.even, *self.odd] == [one // 4, 3 * one // 4, 3 * one // 4, one // 4]

    def fill(self, params: Any) -> None:
        for name in ("even", "odd", "begin"):
            values = getattr(self, name)
            bits = values.view(np.dtype(f"u{values.itemsize}")).astype(np.uint64)
            params[name][: len(bits)] = bits[:4]


def twice_of(axis_map: AxisMap | None) -> Twice | None:
    """Whether a map doubles its axis, by its taps, all of which are looked at."""
    if axis_map is None or axis_map.m != 2 * axis_map.n or not 4 <= axis_map.m <= TWICE_OUTPUTS:
        return None
    taps, n, m = axis_map.taps_max, axis_map.n, axis_map.m
    first, _, weights = axis_map.taps()
    o = np.arange(m)
    if weights is None:
        none = np.zeros(0, np.uint32)
        return Twice(none, none, none, False) if (first == o >> 1).all() else None
    reach = taps // 2
    regular = (o >> 1) - reach + (o & 1)
    middle = slice(2 * reach, m - 2 * reach)
    if m < 4 * reach + 2:
        return None
    even, odd = weights[2 * reach], weights[2 * reach + 1]
    expected = np.where((o & 1)[:, None] == 0, even, odd)
    if (first[middle] != regular[middle]).any() or (weights[middle] != expected[middle]).any():
        return None
    if axis_map.acc == "int32":  # taps beyond the ends are folded: the same sums, where the folded weights are sums
        edges = [i for i in range(m) if not middle.start <= i < middle.stop]
        for i in edges:
            if folded(first[i], weights[i], n) != folded(regular[i], expected[i], n):
                return None
        even, odd = even.astype(np.int32), odd.astype(np.int32)
        return Twice(even, odd, even[:2], False)
    same = (first == regular) & (weights == expected).all(axis=1)
    own = not same[0]
    if not same[1:].all() or (own and (taps != 2 or first[0] != 0)):
        return None
    return Twice(even, odd, weights[0][:2], own)


def fits_window(axis_map: AxisMap | None) -> bool:
    """Whether window.cuh finds all taps of every few adjacent outputs within two words, by its own arithmetic."""
    if axis_map is None or axis_map.acc != "int32" or axis_map.n % 4 or axis_map.n < 8 or axis_map.m > TABLE_OUTPUTS:
        return False
    taps = axis_map.taps_max
    if taps not in (2, 4):
        return False
    first, _, weights = axis_map.taps()
    together = 8 // taps
    start = np.repeat(np.clip(first[::together] >> 2, 0, axis_map.n // 4 - 2) * 4, together)[: len(first)]
    at = (first - start)[:, None] + np.arange(taps)
    return bool((((at >= 0) & (at < 8)) | (weights == 0)).all())


def folded(first: int, weights: Any, n: int) -> dict[int, int]:
    """The sum of the weights of each sample."""
    made: dict[int, int] = {}
    for k, w in enumerate(weights):
        at = min(max(int(first) + k, 0), n - 1)
        made[at] = made.get(at, 0) + int(w)
    return {at: w for at, w in made.items() if w}


# ---- steps ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """Where an array is, as far as a launch cares: byte strides of outer, D and H, and what all rows are aligned to."""

    strides: tuple[int, int, int]
    align: int


class Program(NamedTuple):
    """A kernel template with its arguments, and how many blocks of it a multiprocessor has to hold."""

    name: str
    blocks: int


@dataclass(frozen=True)
class Launch:
    """A program, where it runs, and its parameters, which still lack the addresses of tables."""

    program: Program
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    params: Any
    axes: tuple[Axis | None, ...]  # whose taps the program reads


@dataclass(frozen=True)
class Step:
    """One kernel: sizes (outer, D, H, W, inner) on either side, and the axes that change."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    width_in: int  # bytes of a sample
    width_out: int
    sums: str  # the type of sums, or "" for copies
    axes: tuple[Axis | None, Axis | None, Axis | None]  # D, H, W

    @property
    def evaluated(self) -> bool:
        return any(a is not None and a.evaluated for a in self.axes)

    def describe(self) -> str:
        raise NotImplementedError

    def launch(self, source: Memory, target: Memory, multiprocessors: int) -> Launch:
        raise NotImplementedError

    def params(self, source: Memory, target: Memory, inner: int, row: int) -> Any:
        """The fields that do not depend on the grid or the tables."""
        p = np.zeros(1, PARAMS)
        outer, depth, height, width, _ = self.before
        p["outer"], p["in_depth"], p["in_height"], p["in_width"] = outer, depth, height, width
        p["out_depth"], p["out_height"] = self.after[1:3]
        p["in_outer"], p["in_d"], p["in_h"] = source.strides
        p["out_outer"], p["out_d"], p["out_h"] = target.strides
        p["row"], p["inner"], p["align"] = row, inner, target.align
        for name, axis in zip("dhw", self.axes, strict=True):
            if axis is not None:
                p["shift_" + name], p["taps_" + name] = axis.map.shift, axis.map.taps_max
        return p


@dataclass(frozen=True)
class Fused(Step):
    """All passes in one kernel: resample.cuh, or where memory allows doubled.cuh (W, or H and W) or window.cuh."""

    dtype: str = ""  # the kind of samples; copies have none
    taps: tuple[int, int, int] = (0, 0, 1)
    twice: tuple[Twice | None, Twice | None] = (None, None)  # H, W
    window: bool = False  # whether W fits window.cuh

    def describe(self) -> str:
        what = "copies" if not self.sums else f"{max(self.taps)} taps per axis"
        if self.doubles and not (self.windows and self.taps[2] == 4):
            what += ", doubled where rows are whole vectors"
        elif self.windows:
            what += ", by whole words where rows are some"
        return f"one fused kernel, {what}" + (", taps evaluated on the device" if self.evaluated else "")

    @property
    def doubles(self) -> bool:
        """Whether maps and layout are those of doubled.cuh."""
        h, w = self.twice
        deep = self.axes[0]
        return (
            w is not None
            and (self.taps[1] == 0 or h is not None)
            and (self.taps[1] > 0 or self.before[2] == 1)
            and (deep is None or not deep.evaluated)
            and self.taps[0] < 4
            and (self.sums != "float64" or self.dtype == "f64")
            and (self.sums != "" or self.before[4] * self.width_in in RAW)
        )

    def launch(self, source: Memory, target: Memory, multiprocessors: int) -> Launch:
        inner, width, dtype, sums = self.before[4], self.width_in, self.dtype, SUMS.get(self.sums, ("", 0, ""))
        whole_words = self.windows and source.align % 4 == 0
        if self.doubles and not (whole_words and self.taps[2] == 4):  # four taps take fewer instructions there
            made = self.launch_doubled(source, target)
            if made is not None:
                return made
        if whole_words:
            name, row = f"window_bytes<{self.taps[1]},{self.taps[2]}>", self.after[3]
            params = self.params(source, target, 1, row)
            return grid_of(self, Program(name, 4), -(-row // 16), 16, self.after[2], multiprocessors, params)
        if not self.sums:
            unit = math.gcd(width, source.align, target.align)
            inner, width = inner * (width // unit), unit
            dtype, sums = f"raw{unit}", (RAW[unit], max(4, unit), "")
            if max(self.before[3], self.after[3]) * inner > ROW_LIMIT:  # rows of more samples than they were
                raise BackendError(too_many(max(self.before[3], self.after[3]) * inner, 0))
        row = self.after[3] * inner
        mode, vector, registers = self.shape_of_thread(inner, width, sums[1] // 4, source.align)
        kd, kh, kw = self.taps
        name = f"resample<{dtype},{sums[0]},{vector},{kd},{kh},{kw},{mode},{flag(self.evaluated)}>"
        registers += {"SINGLE": 0, "CHANNELS": vector, "VECTOR": 8}[mode] + (10 if kd > 1 else 0)
        if width == 1:
            registers += registers // 3  # bytes are taken apart and put together
        blocks = 1 if self.evaluated else 4 if kd == 4 else blocks_for(registers, sums[1] // 4)
        rows = 4 if not self.sums else 8 if kd < 2 and kw < 4 and width >= 4 else 16
        params = self.params(source, target, inner, row)
        return grid_of(self, Program(name, blocks), -(-row // vector), rows, self.after[2], multiprocessors, params)

    @property
    def windows(self) -> bool:
        """Whether dtype, axes and layout are those of window.cuh."""
        return (
            self.window
            and self.dtype == "u8"
            and self.before[4] == 1
            and self.axes[0] is None
            and self.taps[1] in (0, self.taps[2])
            and not self.evaluated
        )

    def launch_doubled(self, source: Memory, target: Memory) -> Launch | None:
        inner, sums = self.before[4], SUMS.get(self.sums, ("", 0, ""))
        kd, kh, kw = self.taps
        ring = sums[1] // 4 * max(kd, 1) * (kw + 1 if kh else 1)
        if not self.sums:
            wide = self.width_in * inner
            columns, channels, unit_in, unit_out, pieces = 8 // wide, 1, 8, 16, False
            inner = 1
        else:
            wide = self.width_in
            columns, channels = columns_of(inner, wide, ring)
            if sums[1] > 4 and kd and inner > 1:  # would spill
                return None
            pieces = (
                channels == 3 and wide == 2 and kw == 2 and kd == 0 and self.before[3] % 4 == 0 and target.align == 16
            )
            unit_in = wide if pieces else math.gcd(16, columns * channels * wide)
            unit_out = math.gcd(16, (2 * columns if columns > 1 or channels % 2 else 1) * channels * wide)
        if columns == 0 or self.before[3] % columns or source.align % unit_in or target.align % unit_out:
            return None
        vector = 2 * columns * channels
        across = self.before[3] * 3 // 4 if pieces else self.before[3] // columns * (inner // channels)
        params = self.params(source, target, inner, self.after[3] * inner)
        for name, twice in zip("hw", self.twice, strict=True):
            if twice is not None:
                twice.fill(params[f"twice_{name}"][0])
                params[f"own_{name}"] = twice.own
        height = self.before[2]
        half = (3 if kw == 4 and channels > 1 else 4) if kh else 1  # 4 would spill on some devices
        if -(-height // half) > BANDS:
            return None
        in_bytes = (
            self.dtype == "u8"
            and self.sums == "int32"
            and kd == 0
            and inner == 1
            and all(
                t is None or (a is not None and t.quarters(a.map.shift))
                for t, a in zip(self.twice, self.axes[1:], strict=True)
            )
        )
        if in_bytes:
            assert vector == 16, "a thread of doubled_bytes makes 16 samples"
            name, blocks = f"doubled_bytes<{kh},{half}>", 6
        elif self.sums:
            made = f"{kd},{kh},{kw},{half}>"
            name = f"doubled<{self.dtype},{sums[0]},{columns},{channels},{made}"
            if pieces:
                name = f"doubled_pixels<{self.dtype},{sums[0]},{made}"
            blocks = 4 if vector * ring > 24 or sums[1] > 4 else 6 if kd or kw > 2 or vector > 4 else 8
        else:
            name, blocks = f"doubled_copy<raw{wide},{kd},{kh},{half}>", 8
        launch = fixed_grid(self, Program(name, blocks), across, half, -(-height // half), params)
        return replace(launch, axes=(self.axes[0], None, None))

    def shape_of_thread(self, inner: int, width: int, words: int, align: int) -> tuple[str, int, int]:
        """How a thread finds its samples, how many it makes, and about how many registers hold them."""
        kd, kh, kw = self.taps
        ring = words * max(kd, 1) * max(kh, 1)
        own = 1 + (kw * words if kw > 1 else 0)
        limit = 32 if kd == 4 else REGISTERS["VECTOR"]
        most = max(1, 16 // width)
        choices = [most >> i for i in range(most.bit_length())]
        for vector in choices:
            whole = inner > 1 and inner % vector == 0 and align % (vector * width) == 0 and not self.evaluated
            if whole and vector > 1 and vector * ring + own <= limit:
                return "VECTOR", vector, vector * ring + own
        limit = min(limit, REGISTERS["other" if self.sums else "copies"])
        vector = next((v for v in choices if v * (ring + own) <= limit), 1)
        return ("SINGLE" if inner == 1 else "CHANNELS"), vector, vector * (ring + own)


def columns_of(inner: int, width: int, ring: int) -> tuple[int, int]:
    """Columns and channels that a thread of `doubled` reads; no columns where it is not for so many channels.

    `ring` is the registers that its ring takes for each sample of an output row.
    """
    limit = RING_REGISTERS // (2 * ring)
    if inner == 3:
        if width >= 4 and ring <= 3:
            return 0, 0  # of two taps, resample.cuh stores whole vectors, and is faster
        columns = next((n for n in (8, 4, 2, 1) if 3 * n <= limit * 3 // 2 and 6 * n * width <= PIXEL_BYTES), 0)
        return columns, 3
    samples = next(n for n in (8, 4, 2, 1) if n <= min(limit, max(1, 8 // width)))
    if samples % inner == 0:  # whole pixels, 16 bytes of them made
        return samples // inner, inner
    channels = next((n for n in (16, 8, 4, 2) if n <= min(limit, 16 // width) and inner % n == 0), 0)
    return (1, channels) if channels * width >= 4 else (0, 0)


def blocks_for(registers: int, words: int) -> int:
    """Blocks of a multiprocessor, from the registers that samples and weights take: 64, 80 or 128 a thread in all.

    What was found not to spill; tests look at every program. `words` are those of a sum.
    """
    if words > 1:
        return 6 if registers <= 20 else 4
    return 8 if registers <= 24 else 6 if registers <= 40 else 4


@dataclass(frozen=True)
class Gather(Step):
    """All passes of a few taps, by tables of any number of them: gather.cuh."""

    kind: str = ""

    def describe(self) -> str:
        taps = max(most_taps(a.map) for a in self.axes if a is not None)
        return f"one fused kernel, up to {taps} taps per axis"

    def launch(self, source: Memory, target: Memory, multiprocessors: int) -> Launch:
        d, h, w = self.axes
        assert h is not None
        assert w is not None
        inner = self.before[4]
        box = w.map.weights is None
        # two taps in volumes, and of integers weighted, are rare
        two = w.map.taps_max <= 2 and d is None and (box or self.kind in ("f32", "f64", "f16", "bf16"))
        taps = 2 if two else GATHER_TAPS
        mode, vector = self.shape_of_thread(box, taps, source.align)
        form = "BOX" if box else "WEIGHTED"
        name = f"gather<{self.kind},{SUMS[self.sums][0]},{vector},{flag(d is not None)},{taps},{form},{mode}>"
        row = self.after[3] * inner
        params = self.params(source, target, inner, row)
        return grid_of(self, Program(name, 4), -(-row // vector), 4, self.after[2], multiprocessors, params)

    def shape_of_thread(self, box: bool, taps: int, align: int) -> tuple[str, int]:
        """How a thread finds its samples, and how many it makes, from the registers that they take."""
        inner, width, words = self.before[4], self.width_in, SUMS[self.sums][1] // 4
        limit = GATHER_REGISTERS - (GATHER_DEEP if self.axes[0] is not None else 0)
        own = 2 if box else 1 + taps * words  # a place along W, and its weights
        for n in (16, 8, 4, 2):
            whole = 8 <= n * width <= 16 and inner % n == 0 and align % (n * width) == 0
            if whole and own + 4 * n * words + 2 * taps * n * width // 4 <= limit:  # sums, and taps of two rows
                return "VECTOR", n
        most = (n for n in (8, 4, 2) if n * width <= 16 and n * (own + (4 + 2 * taps) * words) <= limit)
        return ("SINGLE" if inner == 1 else "CHANNELS"), next(most, 1)


@dataclass(frozen=True)
class Wide(Step):
    """One pass of any number of taps: wide.cuh."""

    kind_in: str = ""
    kind_out: str = ""
    along: int = 2  # 0, 1, 2: D, H, W

    def describe(self) -> str:
        axis = self.axes[self.along]
        assert axis is not None
        where = ", taps evaluated on the device" if axis.evaluated else ""
        return f"up to {axis.map.taps_max} taps along {'DHW'[self.along]}{where}"

    def launch(self, source: Memory, target: Memory, multiprocessors: int) -> Launch:
        axis = self.axes[self.along]
        assert axis is not None
        step = self
        if self.along == 0:  # the kernel sums along H; here D and H are exchanged

            def exchanged(t: tuple[int, ...]) -> tuple[int, ...]:
                return (t[0], t[2], t[1], *t[3:])

            step = Wide(
                exchanged(self.before), exchanged(self.after), self.width_in, self.width_out, self.sums,
                (None, axis, None), self.kind_in, self.kind_out, 1,
            )  # fmt: skip
            source, target = (Memory((m.strides[0], m.strides[2], m.strides[1]), m.align) for m in (source, target))
        inner = step.before[4]
        row = step.after[3] * inner
        dense = row if step.along == 1 else inner
        vector = max(1, 16 // max(self.width_in, self.width_out))
        if axis.evaluated or dense % vector or source.align % (vector * self.width_in):
            vector = 1
        form = "BOX" if axis.map.weights is None else "WEIGHTED"
        name = (
            f"wide<{self.kind_in},{self.kind_out},{SUMS[self.sums][0]},{vector},{form},{flag(step.along == 1)},"
            f"{flag(self.evaluated)}>"
        )
        params = step.params(source, target, inner, row)
        program = Program(name, 1 if axis.evaluated else 4)
        return grid_of(step, program, -(-row // vector), 4, step.after[2], multiprocessors, params)


def grid_of(
    step: Step, program: Program, columns: int, rows: int, height: int, multiprocessors: int, params: Any
) -> Launch:
    """Where at most so many rows per thread are made: enough threads for every multiprocessor first, then rows."""
    planes = step.after[0] * step.after[1]
    while rows > 4 and columns * -(-height // rows) * planes < multiprocessors * WAVE:
        rows //= 2
    rows = max(min(rows, height), -(-height // BANDS))
    return fixed_grid(step, program, columns, rows, -(-height // rows), params)


def fixed_grid(step: Step, program: Program, columns: int, rows: int, bands: int, params: Any) -> Launch:
    """Where `columns` times `bands` threads of `rows` rows each run: full blocks first."""
    planes = step.after[0] * step.after[1]
    across = power_of_two(columns, 32)
    down = power_of_two(bands, THREADS // across)
    across = power_of_two(columns, THREADS // down)
    deep = power_of_two(planes, min(THREADS // (across * down), DEEPEST))
    grid = (-(-columns // across), -(-bands // down), min(-(-planes // deep), GRID_LIMIT))
    params["rows"] = rows
    params["z_outer"], params["z_d"] = divmod(grid[2] * deep, step.after[1])
    return Launch(program, grid, (across, down, deep), params, step.axes)


def power_of_two(at_least: int, most: int) -> int:
    """The smallest power of two that is not below the first number, but at most the second."""
    return min(1 << (at_least - 1).bit_length(), most)


def steps_of(plan: Plan, groups: Groups, sizes: list[int]) -> list[Step] | str:
    """What to launch for a plan, or why it cannot be."""
    maps = {p.axis: p.map for p in plan.passes}
    found = [maps.get(g[0]) if g else None for g in groups[1:4]]
    used = [m for m in found if m is not None]
    before = tuple(sizes)
    after = (sizes[0], *(n if m is None else m.m for n, m in zip(sizes[1:4], found, strict=True)), sizes[4])
    longest = max(before[3], after[3]) * sizes[4], *before[1:3], *after[1:3]
    rows = max(before[2], after[2])
    if max(longest) > ROW_LIMIT or (rows > 1 and longest[0] * plan.dtype.itemsize > ROW_LIMIT):
        return too_many(longest[0], max(longest[1:]))
    copies = all(m.is_copy for m in used)
    if not copies:
        sums = {m.acc for m in used}
        if len(sums) != 1 or plan.dtype.name not in DTYPES:
            kinds = ", ".join(sorted(sums))
            return f"its passes sum in different types ({kinds}) or the dtype {plan.dtype} is none it sums"
    width = plan.dtype.itemsize
    acc = "" if copies else used[0].acc
    few = {m.taps_max for m in used}
    # float64 sums of narrower samples are not worth programs of their own for volumes, and where taps differ in number
    narrow_double = acc == "float64" and plan.dtype != np.float64
    rare = found[0] is not None and narrow_double
    if copies or (len(few) == 1 and few <= {2, 4} and not rare and all(fixed(m) for m in used)):
        taps = tuple(0 if m is None else m.taps_max for m in found)
        axes = tuple(None if m is None else Axis(m, m.taps_max, n) for m, n in zip(found, "dhw", strict=True))
        twice = twice_of(found[1]), twice_of(found[2])
        kind, window = DTYPES.get(plan.dtype.name, ""), fits_window(found[2])
        return [Fused(before, after, width, width, acc, axes, kind, taps, twice, window)]  # type: ignore[arg-type]
    if gathers(found) and not narrow_double:
        axes = tuple(None if m is None else Axis(m, 0, n) for m, n in zip(found, "dhw", strict=True))
        return [Gather(before, after, width, width, acc, axes, DTYPES[plan.dtype.name])]  # type: ignore[arg-type]
    steps: list[Step] = []
    kind, between = DTYPES[plan.dtype.name], SUMS[acc][2] or DTYPES[plan.dtype.name]
    size = {"float64": 8, "float32": 4, "int32": 1}[acc]
    order = [i for i in (2, 1, 0) if found[i] is not None]
    for i in order:
        first, last = i == order[0], i == order[-1]
        now = (*before[: i + 1], after[i + 1], *before[i + 2 :])
        own = tuple(Axis(found[i], 0, "dhw"[i]) if j == i else None for j in range(3))  # type: ignore[arg-type]
        steps.append(
            Wide(
                before, now, width if first else size, width if last else size, acc, own,  # type: ignore[arg-type]
                kind if first else between, kind if last else between, i,
            )
        )  # fmt: skip
        before = now
    return steps


def gathers(found: list[AxisMap | None]) -> bool:
    """Whether maps of D, H and W are those of gather.cuh."""
    used = [m for m in found if m is not None]
    return (
        found[1] is not None
        and found[2] is not None
        and all(not Axis(m, 0, "").evaluated and most_taps(m) <= GATHER_TAPS for m in used)
        and len({m.weights is None for m in used}) == 1
    )


def most_taps(axis_map: AxisMap) -> int:
    """Taps that an output has at most; antialias' tables have room for one more where the factor is above 1/2."""
    most = axis_map.taps_max
    return int(axis_map.taps()[1].max(initial=0)) if most == GATHER_TAPS + 1 else most


def too_many(row: int, axis: int) -> str:
    other = f", or an axis of {axis}," if axis else ""
    return (
        f"too many elements: a row of {row} samples{other} exceeds what a kernel counts in 32 bits ({ROW_LIMIT} "
        "samples, and bytes where there are several rows): cut the output into parts with plan.window"
    )


def flag(value: bool) -> str:
    """A bool in C++."""
    return "true" if value else "false"


def fixed(axis_map: AxisMap) -> bool:
    """Whether every output may be made of `taps_max` taps: all have as many, or integer weights past them are zero."""
    return axis_map.weights is not None and (axis_map.acc == "int32" or bool(getattr(axis_map, "is_uniform", False)))


# ---- programs -------------------------------------------------------------------------------------------


@cache
def headers() -> str:
    """What names the contents of all headers."""
    digest = hashlib.sha256()
    for folder, pattern in zip(FOLDERS, HEADERS, strict=True):
        for path in sorted(folder.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def source(program: Program) -> str:
    """A program's text. CuPy's cache of compiled programs goes by it, so it names its headers' contents.

    What differs between programs stands here and not among the options, for each set of which CuPy asks the compiler
    for its version.
    """
    kernel = (KERNELS / "cuda" / "kernel.cu").read_text(encoding="utf-8")
    return f"// {headers()}\n#define KERNEL {program.name}\n#define BLOCKS {program.blocks}\n{kernel}"


def options() -> tuple[str, ...]:
    """What every program is compiled with; CuPy adds -ftz=true and the architecture."""
    return (*OPTIONS, *(f"-I{folder}" for folder in FOLDERS))


_lock = threading.Lock()  # of what follows, and held for no longer than a look-up
_locks: dict[Program, threading.Lock] = {}  # held while a program is compiled
_modules: dict[Program, Any] = {}
_functions: dict[tuple[Program, int], Any] = {}


def function(cupy: Any, program: Program, device: int) -> Any:
    """A program as a function of the current device; the first time there, it is compiled."""
    with _lock:
        compiling = _locks.setdefault(program, threading.Lock())
    with compiling:
        if (program, device) not in _functions:
            if program not in _modules:
                _modules[program] = cupy.RawModule(code=source(program), options=options(), backend="nvrtc")
            _functions[program, device] = _modules[program].get_function(ENTRY).kernel
        return _functions[program, device]


# ---- the kernel -----------------------------------------------------------------------------------------


def capturing(stream: Any) -> bool:
    """Whether a stream records a graph instead of running; the default one cannot."""
    return stream.ptr != 0 and bool(sys.modules["cupy"].cuda.runtime.streamIsCapturing(stream.ptr))


def keep_if_captured(kernel: CudaKernel, *arrays: Any) -> None:
    """Keep temporaries of a call as long as the kernel where a graph will use them whenever it runs."""
    if capturing(sys.modules["cupy"].cuda.get_current_stream()):
        kernel.kept += arrays


class Bound(NamedTuple):
    """A launch with the function of a device; `argument` is `params` as CuPy takes them, not a copy."""

    function: Any
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    argument: Any
    between: int  # bytes of the temporary that it writes to; 0 for the last one
    params: Any


def argument_of(cupy: Any, memory: Any) -> Any:
    """What a launch copies a parameter from: CuPy's own pointer to it, where it has that, which it need not look at.

    Else plain bytes: of a structured array, CuPy describes every field at every launch, which takes 35 us.
    """
    plain = memory.view(f"V{memory.nbytes}")
    pointer = getattr(getattr(cupy.cuda, "function", None), "CPointer", None)
    return plain if pointer is None else pointer(plain.ctypes.data)


def warm_key(x: Any, out: Any) -> tuple[Any, ...]:
    """All of two arrays that a call depends on, but their addresses past the alignment; `out` is None for a new one."""
    source = x.data
    geometry = x.shape, x.strides, x.dtype
    if out is None:
        return geometry, source.ptr & 15, source.device_id, type(x)
    target = out.data
    return (
        geometry, out.shape, out.strides, out.dtype, source.ptr & 15, target.ptr & 15, source.device_id,
        target.device_id, type(x), type(out),
    )  # fmt: skip


class Warm(NamedTuple):
    """A call that was made: what it launched, and from where to where its arrays reach beside their addresses."""

    launch: Bound
    several: tuple[Bound, ...] | None  # launches, where one is not all
    source: tuple[int, int]
    target: tuple[int, int]


@dataclass
class Loaded:
    """What a kernel has on one device."""

    multiprocessors: int
    tables: dict[str, int] = field(default_factory=dict)  # addresses
    memory: list[Any] = field(default_factory=list)
    bound: dict[Any, tuple[Bound, ...]] = field(default_factory=dict)


class CudaKernel:
    """A plan's steps for CuPy arrays of one shape and dtype on the current device: ``kernel(x, out=None)``.

    `groups` tells which array axes make up outer, D, H, W and inner, from outermost to innermost in memory.
    """

    def __init__(self, plan: Plan, groups: Groups, steps: list[Step]) -> None:
        self.plan, self.groups, self.steps = plan, groups, steps
        self.order = tuple(a for g in groups for a in g)
        self.inverse = tuple(self.order.index(a) for a in range(len(self.order)))
        self.dense_in = dense(steps[0].before, steps[0].width_in)
        self.dense_out = dense(steps[-1].after, steps[-1].width_out)
        self.devices: dict[int, Loaded] = {}
        self.kept: list[Any] = []  # device memory that graphs use
        self.lock = threading.Lock()
        self.layouts: dict[Any, tuple[int, int, int] | None] = {}
        self.dense = {shape: self.dense_strides(shape) for shape in (plan.shape, plan.out_shape)}
        self.warm: dict[Any, Warm] = {}
        self.alloc: Any = None  # CuPy's functions, once there is something to run
        self.current_stream: Any = None
        self.current_device: Any = None

    def __call__(self, x: Any, out: Any = None) -> Any:
        cupy = sys.modules["cupy"]
        plan = self.plan
        if x.shape != plan.shape or native(x.dtype) != plan.dtype:
            raise ValueError(f"expected {plan.dtype} of shape {plan.shape}, got {x.dtype} of shape {x.shape}")
        held = []
        if out is None:
            made = self.new_array(plan.out_shape)
        else:
            check_out(out, plan.out_shape, plan.dtype, x)
            made = out
        into = self.strides_of(made, plan.out_shape)
        if into is None:
            made = self.new_array(plan.out_shape)
            into = self.strides_of(made, plan.out_shape)
            held.append(made)
        along = self.strides_of(x, plan.shape)
        if along is None:
            ordered = self.new_array(plan.shape)
            ordered[...] = x
            x, along = ordered, self.strides_of(ordered, plan.shape)
            held.append(ordered)
        launches = self.launch(x.data, made.data, cupy.cuda.get_current_stream(), along, into)
        if held:
            keep_if_captured(self, *held)
        else:
            self.keep_warm(x, out, made, launches)
        if out is not None and made is not out:
            out[...] = made
            return out
        return made

    def called_again(self, geometry: Any, x: Any, out: Any) -> Any:
        """The result, if these arrays differ from those of an earlier call by their addresses alone, which are checked.

        Else None, and nothing was launched.  `geometry` is the shape, strides and dtype of `x`.
        """
        try:
            source = x.data
            a, device = source.ptr, source.device_id
            # these keys are warm_key's, written out: a call costs as much as the look-up
            if out is None:
                launch, several, _, _ = self.warm[geometry, a & 15, device, type(x)]
            else:
                target = out.data
                b = target.ptr
                launch, several, (first, end), (out_first, out_end) = self.warm[
                    geometry, out.shape, out.strides, out.dtype, a & 15, b & 15, device, target.device_id, type(x),
                    type(out),
                ]  # fmt: skip
                if a + first < b + out_end and b + out_first < a + end:
                    return None
        except (AttributeError, KeyError):
            return None
        if device != self.current_device():
            return None
        stream = self.current_stream(device)
        if stream.ptr and capturing(stream):
            return None
        if out is None:
            out = self.new_array(self.plan.out_shape)
            target = out.data
            if target.ptr & 15:  # of an allocator of the caller's
                return None
        if several is None:
            function, grid, block, argument, _, _ = launch
            function(grid, block, (source, target, argument), 0, stream)
        else:
            self.run(several, source, target, stream)
        return out

    def keep_warm(self, x: Any, out: Any, made: Any, launches: tuple[Bound, ...]) -> None:
        """Remember a call, with or without `out`, for others like it."""
        if out is None and made.data.ptr & 15:
            return
        key = warm_key(x, out)
        if len(self.warm) >= 64:
            self.warm.clear()
        source, target = (byte_bounds(array.shape, array.strides, array.dtype.itemsize) for array in (x, made))
        self.warm[key] = Warm(launches[0], launches if len(launches) > 1 else None, source, target)

    def new_array(self, shape: tuple[int, ...]) -> Any:
        """An uninitialised array whose axes lie in memory in the kernel's order."""
        cupy, dtype, strides = sys.modules["cupy"], self.plan.dtype, self.dense[shape]
        if strides is None:
            return cupy.ndarray(shape, dtype)  # as cupy.empty, in less time
        return cupy.ndarray(shape, dtype, cupy.cuda.alloc(math.prod(shape) * dtype.itemsize), strides)

    def dense_strides(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Of a new array; None where its axes lie in memory in their order."""
        if self.order == tuple(range(len(shape))):
            return None
        made, stride = [0] * len(shape), self.plan.dtype.itemsize
        for axis in reversed(self.order):
            made[axis] = stride
            stride *= shape[axis]
        return tuple(made)

    def strides_of(self, x: Any, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
        """Byte strides of outer, D and H, or None where the array is not laid out as the kernel needs."""
        key = shape, x.strides
        try:
            return self.layouts[key]
        except KeyError:
            if len(self.layouts) >= 64:
                self.layouts.clear()
            self.layouts[key] = found = grouped(self.groups, shape, x.strides, self.plan.dtype.itemsize)
            return found

    def launch(self, source: Any, target: Any, stream: Any, along: Any, into: Any) -> tuple[Bound, ...]:
        """Run on memory of the current device: pointers to it and byte strides of outer, D and H, of both sides."""
        device = sys.modules["cupy"].cuda.runtime.getDevice()
        loaded = self.devices.get(device)
        key = (along, into, source.ptr & 15, target.ptr & 15)
        launches = loaded.bound.get(key) if loaded is not None else None
        if loaded is None or launches is None:
            loaded, launches = self.load(device, key, stream)
        captured = capturing(stream)
        if captured:
            self.kept += [m for m in loaded.memory if not any(m is k for k in self.kept)]
        held = self.run(launches, source, target, stream)
        if captured:
            self.kept += held  # the graph writes to it whenever it runs
        return launches

    def run(self, launches: tuple[Bound, ...], source: Any, target: Any, stream: Any) -> list[Any]:
        """Launch on the current stream, to which the pool gives the temporaries that are returned.

        Addresses are CuPy's own pointers: of a number, CuPy makes an object of NumPy's first.
        """
        held = []
        for function, grid, block, argument, between, _ in launches:
            if between:
                held.append(self.alloc(between))
            to = held[-1] if between else target
            function(grid, block, (source, to, argument), 0, stream)
            source = to
        return held

    def load(self, device: int, key: Any, stream: Any) -> tuple[Loaded, Any]:
        """Compile, upload and bind what arrays laid out like these need on a device."""
        cupy = sys.modules["cupy"]
        if capturing(stream):
            raise RuntimeError(
                "the first use of a kernel with arrays like these compiles it or uploads its tables, which cannot "
                "be captured in a graph: call it once before the capture, with the same shapes, strides and out="
            )
        with self.lock:
            if self.alloc is None:
                self.alloc, self.current_stream = cupy.cuda.alloc, cupy.cuda.get_current_stream
                self.current_device = cupy.cuda.runtime.getDevice
            if device not in self.devices:
                self.devices[device] = Loaded(int(cupy.cuda.Device(device).attributes["MultiProcessorCount"]))
            loaded = self.devices[device]
            if key not in loaded.bound:
                bound = []
                launches = self.launches(key, loaded.multiprocessors)
                self.upload(cupy, loaded, [a for launch in launches for a in launch.axes if a is not None])
                for i, launch in enumerate(launches):
                    for name, axis in zip("dhw", launch.axes, strict=True):
                        if axis is not None:
                            axis.fill(launch.params[name][0], loaded.tables)
                    compiled, argument = function(cupy, launch.program, device), argument_of(cupy, launch.params)
                    between = math.prod(self.steps[i].after) * self.steps[i].width_out if i + 1 < len(launches) else 0
                    bound.append(Bound(compiled, launch.grid, launch.block, argument, between, launch.params))
                if len(loaded.bound) >= 64:
                    loaded.bound.clear()
                loaded.bound[key] = tuple(bound)
            return loaded, loaded.bound[key]

    def launches(self, key: Any, multiprocessors: int) -> list[Launch]:
        """What is launched for arrays of these strides and starts."""
        along, into, in_start, out_start = key
        made = []
        source = Memory(along, math.gcd(16, in_start, *along))
        width = self.plan.dtype.itemsize
        if self.steps[0].sums and (source.align % width or math.gcd(16, out_start, *into) % width):
            raise ValueError(
                f"the samples of an array start at no multiple of their {width} bytes: no GPU can read them so, copy "
                "the bytes to an array of their own"
            )
        for i, step in enumerate(self.steps):
            if i + 1 < len(self.steps):
                between = dense(step.after, step.width_out)
                target = Memory(between, math.gcd(16, *between))
            else:
                target = Memory(into, math.gcd(16, out_start, *into))
            made.append(step.launch(source, target, multiprocessors))
            source = target
        return made

    def upload(self, cupy: Any, loaded: Loaded, axes: list[Axis]) -> None:
        """The tables of these axes that are not there yet, in one block of device memory, all there on return.

        The memory is no pool's, which would give it to others while a stream may still read it: freeing it waits for
        the device. The copy has a stream of its own, so that nothing else is waited for.
        """
        tables, parts, size = {}, [], 0
        for axis in axes:
            if axis.key in loaded.tables or axis.key in tables:
                continue
            for name, table in axis.tables().items():
                tables[name] = size
                raw = np.ascontiguousarray(table).reshape(-1).view(np.uint8)
                parts.append(np.pad(raw, (0, -len(raw) % 16)))
                size += len(parts[-1])
        if not parts:
            return
        host, stream = np.concatenate(parts), cupy.cuda.Stream(non_blocking=True)
        memory = cupy.cuda.MemoryPointer(cupy.cuda.Memory(size), 0)
        memory.copy_from_host_async(host.ctypes.data, size, stream)
        stream.synchronize()
        loaded.memory.append(memory)
        loaded.tables.update({name: memory.ptr + at for name, at in tables.items()})

    def explain(self) -> str:
        """The steps in words."""
        text = "; ".join(step.describe() for step in self.steps)
        held = sum(math.prod(s.after) * s.width_out for s in self.steps[:-1])
        sizes = "outer={} D={} H={} W={} inner={}".format(*self.steps[0].before)
        return f"{sizes}: {text}" + (f"; {held} bytes of temporaries" if held else "")


def obstacle(x: Any, groups: Groups) -> str:
    """Why a kernel cannot run on an array as it is; empty where it can."""
    if grouped(groups, x.shape, x.strides, x.dtype.itemsize) is not None:
        return ""
    return irregular(x, groups) or "its rows are too far apart"


def grouped(
    groups: Groups, shape: tuple[int, ...], strides: tuple[int, ...], width: int
) -> tuple[int, int, int] | None:
    """Byte strides of outer, D and H, each of one or more axes, if those are regular and W and inner are dense."""
    expected = width
    for axis in reversed((*groups[3], *groups[4])):
        if shape[axis] != 1 and strides[axis] != expected:
            return None
        expected *= shape[axis]
    found = []
    for group in groups[:3]:
        stride, expected = 0, -1
        for axis in reversed(group):
            if shape[axis] == 1:
                continue
            if expected == -1:
                stride = strides[axis]
            elif strides[axis] != expected:
                return None
            expected = strides[axis] * shape[axis]
        found.append(stride)
    if abs(found[2]) >= 2**31:
        return None  # the fused kernels multiply it in 32 bits
    return found[0], found[1], found[2]


def dense(sizes: tuple[int, ...], width: int) -> tuple[int, int, int]:
    """Byte strides of outer, D and H of an array without gaps."""
    _, depth, height, across, inner = sizes
    h = across * inner * width
    return depth * height * h, height * h, h
