"""The kernels' arithmetic, on the host: the project's .cu files behind the real backend and a stand-in for CuPy.

Judged twice: by the reference, through the kit that every backend goes through, and by the bits of the CPU's levels
with fused multiply-add.
"""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compare
import hosted
import numpy as np
import programs
import pytest
import standin

import upsample
from upsample import testing
from upsample._kernels.cpu import skeleton
from upsample._plan import Pass, Plan
from upsample.backends import _cuda as cuda
from upsample.backends import why_not

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed"),
    pytest.mark.skipif("fma" not in Path("/proc/cpuinfo").read_text().split(), reason="the processor has no FMA"),
]
needs_fma_level = pytest.mark.skipif(skeleton.level() == "baseline", reason="this level has no FMA")


@pytest.fixture(autouse=True)
def world() -> Iterator[standin.World]:
    with standin.installed() as made:
        yield made


def compile_for(cases: Iterable[testing.Case]) -> None:
    """Compile all programs of some cases at once, which is faster than one by one."""
    with standin.installed(run=False) as dry:
        for case in cases:
            x = testing.to_cupy(case.array())
            if x is not None:
                plan = upsample.plan(x.shape, x.dtype, **case.arguments)
                kernel = why_not(plan, x, "cuda")
                kernel(x)
                kernel(x, standin.empty(plan.out_shape, plan.dtype, "F"))
        hosted.compile_all({r.program for r in dry.launches})


def compile_calls(calls: Iterable[tuple[tuple[int, ...], Any, dict[str, Any]]]) -> None:
    """The same for calls of `interpolate`: shape, dtype and arguments."""
    with standin.installed(run=False) as dry:
        for shape, dtype, arguments in calls:
            out = upsample.interpolate(standin.empty(shape, dtype), **arguments)
            padded = standin.empty((*out.shape[:-1], out.shape[-1] + 1), dtype)[..., 1:]
            upsample.interpolate(standin.empty(shape, dtype), **arguments, out=padded)
        hosted.compile_all({r.program for r in dry.launches})


@pytest.mark.slow
def test_the_kit(world: standin.World) -> None:
    cases = (*testing.systematic_cases(), *testing.random_cases(400))
    compile_for(cases)
    report = testing.check_backend("cuda", cases=cases, arrays="cupy")
    assert set(report.refused) == {"CuPy has no arrays of this dtype"}
    assert report.passed > 550
    launched = {r.program for r in world.launches}
    assert launched <= {p.name for p in programs.programs()}  # that every program is compiled for GPUs
    print(f"\n{report}\n{len(launched)} programs, {len(world.launches)} launches")


@pytest.mark.slow
@needs_fma_level
def test_the_bits_of_the_cpu() -> None:
    cases = (*testing.systematic_cases(1), *testing.random_cases(1000, seed=1))
    compile_for(cases)
    worst: dict[str, float] = {}
    print("\ncases with the CPU's bits:", dict(compare.with_cpu(cases, worst)))
    print("farthest from the reference:", {k: float(f"{v:.3g}") for k, v in worst.items()})


@pytest.mark.slow
@needs_fma_level
def test_subnormal_samples_have_the_bits_of_the_cpu() -> None:
    """The host's build takes them for zero wherever the device would, by the flags that CuPy passes."""
    with compare.subnormal_samples():
        floats = ("float32", "bfloat16", "float64", "float16")
        cases = [c for c in testing.systematic_cases(3) if c.dtype in floats and "nearest" not in c.arguments["mode"]]
        cases += testing.random_cases(150, seed=3, dtypes=floats if testing._dtype("bfloat16") else floats[::2])
        compile_for(cases)
        print("\ncases with the CPU's bits:", dict(compare.with_cpu(cases)))


@needs_fma_level
def test_taps_evaluated_on_the_device_have_the_bits_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "TABLE_OUTPUTS", 0)
    cases = [c for c in testing.random_cases(700, seed=2) if c.dtype in ("float32", "float64", "uint8", "float16")][
        :120
    ]
    compile_for(cases)
    compared = compare.with_cpu(cases)
    assert sum(compared.values()) > 70


@needs_fma_level
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic", "area", "lanczos"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_long_signal(mode: str, dtype: str, world: standin.World) -> None:
    x = (np.random.default_rng(0).normal(size=(1, 2, 100_003)) * 40).astype(dtype)
    keywords: dict[str, Any] = {"scale_factor": 0.7, "mode": mode, "antialias": mode == "lanczos"}
    got = upsample.interpolate(standin.asarray(x), **keywords)
    assert compare.same_bits(got.get(), upsample.interpolate(x, **keywords))
    evaluated = world.launches[-1].program.endswith("true>")
    assert evaluated is (mode != "lanczos")  # its sin is the host's


DOUBLED = [
    (mode, dtype, shape)
    for mode, shapes in {
        "nearest": [(2, 1, 16), (2, 3, 5, 32), (2, 3, 3, 5, 16)],
        "linear": [(2, 1, 16)],
        "bilinear": [(2, 3, 5, 32), (1, 1, 3, 16), (1, 40, 9, 48)],
        "cubic": [(2, 1, 16), (1, 2, 33, 16)],
        "trilinear": [(2, 2, 3, 5, 16)],
    }.items()
    for shape in shapes
    for dtype in ("float32", "float16", "bfloat16", "float64", "uint8", "int8", "uint16", "int16")
]


PIXELS = [
    (mode, dtype, channels)
    for mode, dtypes in {
        "bilinear": ("float32", "float16", "bfloat16", "float64", "uint8", "int16"),
        "cubic": ("float32", "float16", "float64", "uint8", "uint16"),
        "linear": ("float16", "uint8"),
        "trilinear": ("float32", "float16", "float64"),
    }.items()
    for dtype in dtypes
    for channels in (1, 2, 3, 4, 6, 8, 12, 16)
]


@needs_fma_level
@pytest.mark.parametrize("mode", ["linear", "bilinear", "cubic", "trilinear"])
def test_whole_factor_2_of_pixels_has_the_same_bits(mode: str, world: standin.World) -> None:
    rank = {"linear": 1, "trilinear": 3}.get(mode, 2)
    keywords: dict[str, Any] = {"scale_factor": 2, "mode": mode, "layout": "N" + "DHW"[3 - rank :] + "C"}
    calls = [
        ((2, *(5, 6)[: rank - 1], width, channels), testing._dtype(dtype), keywords)
        for own, dtype, channels in PIXELS
        for width in (8, 6, 12)
        if own == mode and testing._dtype(dtype) is not None
    ]
    compile_calls(calls)
    doubled = 0
    for shape, kind, _ in calls:
        x = (np.random.default_rng(shape[-1]).normal(size=shape) * 50).astype(np.int64 if kind.kind in "iu" else float)
        x = x.astype(kind)
        want = upsample.interpolate(x, **keywords)
        got = upsample.interpolate(standin.asarray(x), **keywords)
        doubled += world.launches[-1].program.startswith("doubled")
        assert compare.same_bits(got.get(), want), (shape, kind, world.launches[-1].program)
        for before, after in ((0, -want.shape[-2] * want.strides[-2] % 16), (8, 0), (kind.itemsize, 8)):
            room, out = padded(want.shape, kind, before, after)
            upsample.interpolate(standin.asarray(x), **keywords, out=out)
            assert compare.same_bits(out.get(), want), (shape, kind, before, after, world.launches[-1].program)
            out[...] = 0
            assert not room.get().any()  # what lies between rows is as it was
    assert doubled > len(calls) / 2


def padded(shape: tuple[int, ...], kind: Any, before: int, after: int) -> tuple[standin.ndarray, standin.ndarray]:
    """Bytes, all 0, and an array of rows (W and channels) in them, so many bytes before and after each."""
    pixel = shape[-1] * kind.itemsize
    row = before + shape[-2] * pixel + after
    room = standin.empty((int(np.prod(shape[:-2])) * row,), np.uint8)
    room[...] = 0
    strides = (*(row * int(np.prod(shape[i + 1 : -2])) for i in range(len(shape) - 2)), pixel, kind.itemsize)
    return room, standin.ndarray(shape, kind, room.data + before, strides)


@needs_fma_level
def test_sums_of_a_few_taps_read_vectors_only_where_they_are(world: standin.World) -> None:
    room = standin.asarray(np.random.default_rng(0).normal(size=2 * 8 * 8 * 4 + 2).astype(np.float32))
    for skip in (0, 1, 2):
        x = standin.ndarray((2, 8, 8, 4), np.float32, room.data + 4 * skip)
        for keywords in ({"mode": "area"}, {"mode": "bilinear", "antialias": True}):
            got = upsample.interpolate(x, scale_factor=0.5, layout="NHWC", **keywords)
            want = upsample.interpolate(x.get(), scale_factor=0.5, layout="NHWC", **keywords)
            assert compare.same_bits(got.get(), want)
            program = world.launches[-1].program
            assert program.startswith("gather")
            assert program.endswith("VECTOR>") is (skip != 1)


@pytest.fixture(scope="module")
def doubled_programs() -> None:
    kinds = {dtype: testing._dtype(dtype) for _, dtype, _ in DOUBLED}
    compile_calls(
        (shape, kinds[dtype], {"mode": mode, "scale_factor": 2})
        for mode, dtype, shape in DOUBLED
        if kinds[dtype] is not None
    )


@needs_fma_level
@pytest.mark.usefixtures("doubled_programs")
@pytest.mark.parametrize(("mode", "dtype", "shape"), DOUBLED, ids=lambda v: str(v).replace(" ", ""))
def test_whole_factor_2_runs_its_own_kernel_with_the_same_bits(
    mode: str, dtype: str, shape: tuple[int, ...], world: standin.World
) -> None:
    kind = testing._dtype(dtype)
    if kind is None:
        pytest.skip("ml_dtypes is not installed")
    rng = np.random.default_rng(len(shape))
    x = (rng.normal(size=shape) * 50).astype(np.int64 if kind.kind in "iu" else np.float64).astype(kind)
    if kind.kind == "f" or dtype == "bfloat16":
        x[..., 0, 0] = np.inf
        x[..., -1, 3] = -np.inf
    got = upsample.interpolate(standin.asarray(x), scale_factor=2, mode=mode)
    programs = [r.program for r in world.launches]
    assert len(programs) == 1
    kernel = "doubled_copy" if mode == "nearest" else "doubled"
    if dtype == "uint8" and mode in ("linear", "bilinear"):
        kernel = "doubled_bytes"
    if dtype == "uint8" and mode == "cubic":
        kernel = "window_bytes"
    assert programs[0].partition("<")[0] == kernel
    assert compare.same_bits(got.get(), upsample.interpolate(x, scale_factor=2, mode=mode))
    # a kernel for any factor, which rows that are not whole vectors take
    out = standin.empty((*got.shape[:-1], got.shape[-1] + 1), kind)[..., 1:]
    again = upsample.interpolate(standin.asarray(x), scale_factor=2, mode=mode, out=out)
    assert world.launches[-1].program.startswith("window_bytes" if "bytes" in kernel else "resample")
    assert again.get().tobytes() == got.get().tobytes()


@needs_fma_level
@pytest.mark.parametrize("mode", ["linear", "bilinear", "cubic", "bicubic", "lines"])
def test_bytes_are_read_by_whole_words_with_the_same_bits(mode: str, world: standin.World) -> None:
    rng, words = np.random.default_rng(len(mode)), 0
    for _ in range(25):
        width = 4 * int(rng.integers(1, 17))
        shape = (
            (2, int(rng.integers(1, 12)), width)
            if mode in ("linear", "cubic")
            else (2, 2, int(rng.integers(1, 12)), width)
        )
        size = [int(n * rng.uniform(1, 3.3)) for n in shape[2:]]
        arguments: dict[str, Any] = {"mode": "bilinear" if mode == "lines" else mode, "size": tuple(size)}
        if mode == "lines":
            arguments["size"] = (shape[2], size[1])
        if rng.random() < 0.4:
            arguments["align_corners"] = bool(rng.random() < 0.5)
        x = rng.integers(0, 256, shape).astype(np.uint8)
        x = np.where(rng.random(shape) < 0.3, 255 * (x > 127), x).astype(np.uint8)  # overshoots
        before = len(world.launches)
        got = upsample.interpolate(standin.asarray(x), **arguments).get()
        assert got.tobytes() == upsample.interpolate(x, **arguments).tobytes(), (shape, arguments)
        words += sum(r.program.startswith("window_bytes") for r in world.launches[before:])
        # the generic kernel, for rows that begin anywhere
        odd = standin.empty((*shape[:-1], width + 1), np.uint8)[..., 1:]
        odd[...] = standin.asarray(x)
        assert upsample.interpolate(odd, **arguments).get().tobytes() == got.tobytes()
        if shape[2] > 1 or len(shape) == 3:
            assert not world.launches[-1].program.startswith("window_bytes")
    assert words > 8


def test_reductions_are_not_read_by_whole_words(world: standin.World) -> None:
    upsample.interpolate(standin.asarray(np.zeros((1, 1, 64, 64), np.uint8)), scale_factor=0.7, mode="bilinear")
    assert world.launches[-1].program.startswith("resample")


def test_factor_2_with_other_weights_is_not_doubled(world: standin.World) -> None:
    x = standin.asarray(np.zeros((1, 1, 16, 16), np.float32))
    upsample.interpolate(x, size=32, mode="bilinear", align_corners=True)
    assert world.launches[-1].program.startswith("resample")


@needs_fma_level
@pytest.mark.parametrize("channels", [2, 3, 4, 8, 16, 40])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_channels_last_reads_whole_vectors_where_it_can(channels: int, dtype: str, world: standin.World) -> None:
    x = (np.random.default_rng(channels).normal(size=(2, 7, 9, channels)) * 30).astype(dtype)
    for mode in ("nearest", "bilinear", "bicubic"):
        got = upsample.interpolate(standin.asarray(x), scale_factor=1.7, mode=mode, layout="NHWC")
        assert compare.same_bits(got.get(), upsample.interpolate(x, scale_factor=1.7, mode=mode, layout="NHWC"))
        found = "VECTOR" if channels % 2 == 0 else "CHANNELS"
        assert found in world.launches[-1].program, (channels, world.launches[-1].program)


@needs_fma_level
def test_windows_of_a_plan_have_the_bits_of_the_whole() -> None:
    rng = np.random.default_rng(5)
    for case in testing.random_cases(60, seed=5, dtypes=("float32", "uint8")):
        x = case.array()
        plan = upsample.plan(x.shape, x.dtype, **case.arguments)
        start = [int(rng.integers(0, plan.out_shape[a])) for a in plan.spatial]
        stop = [int(rng.integers(s + 1, plan.out_shape[a] + 1)) for s, a in zip(start, plan.spatial, strict=True)]
        lo, hi, part = plan.window(tuple(start), tuple(stop))
        cut, piece = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        for axis, a, b, c, d in zip(plan.spatial, lo, hi, start, stop, strict=True):
            cut[axis], piece[axis] = slice(a, b), slice(c, d)
        device = testing.to_cupy(np.ascontiguousarray(x[tuple(cut)]))
        if device is not None:
            assert compare.same_bits(part(device).get(), plan(x)[tuple(piece)]), case


@dataclass(frozen=True)
class Table:
    """A map of any taps, as a plan made elsewhere may have: a gradient's, with outputs that have none."""

    n: int
    m: int
    seed: int
    weights: str | None = "float32"
    acc: str = "float32"
    taps_max: int = 9
    shift: int = 0
    is_copy: bool = False
    filter: str = "table"

    def taps(self, lo: int = 0, hi: int | None = None) -> Any:
        rng = np.random.default_rng(self.seed)
        count = rng.integers(0, self.taps_max + 1, self.m).astype(np.int32)
        first = np.sort(rng.integers(-2, self.n - 1, self.m)).astype(np.int64)
        weights = rng.normal(size=(self.m, self.taps_max)).astype(self.weights)
        weights[np.arange(self.taps_max) >= count[:, None]] = 0
        return first[lo:hi], count[lo:hi], weights[lo:hi]


@pytest.mark.parametrize("acc", ["float32", "float64"])
def test_any_table_of_taps_runs_and_outputs_without_taps_are_zero(acc: str) -> None:
    from upsample.backends.reference import run

    maps = [Table(11, 23, 1, acc, acc), Table(17, 5, 2, acc, acc)]
    plan = Plan(
        (2, 11, 17, 3), (2, 23, 5, 3), np.dtype(acc), (Pass(2, maps[1], "acc"), Pass(1, maps[0], "acc")), (1, 2)
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=plan.shape).astype(acc)
    got = why_not(plan, standin.asarray(x), "cuda")(standin.asarray(x)).get()
    none = maps[0].taps()[1] == 0
    assert none.any()
    assert not got[:, none].any()
    np.testing.assert_allclose(got, run(plan, x), rtol=0, atol=1e-4 if acc == "float32" else 1e-12)


def test_an_output_beyond_2_32_bytes_is_addressed_in_64_bits(world: standin.World) -> None:
    """Of 70 000 planes only the first and the last are worked on, so that memory for no others is needed."""
    plan = upsample.plan((70_000, 1, 128, 128), np.uint8, scale_factor=2, mode="bilinear")
    host = np.random.default_rng(0).integers(0, 256, (2, 1, 128, 128), np.uint8)
    kernel = cuda.prepare(plan, (0, 1, 2, 3))
    (launch,) = kernel.launches((kernel.dense_in, kernel.dense_out, 0, 0), 132)
    x, out = (mapped(70_000 * n * n).reshape(70_000, n, n) for n in (128, 256))
    x[0], x[-1] = host[0, 0], host[1, 0]
    launch.params["z_outer"] = 69_999
    sizes = np.array([(*launch.grid[:2], 1), (*launch.block[:2], 1)], np.uint32)
    hosted.function(launch.program.name)(
        sizes.ctypes.data, sizes[1:].ctypes.data, x.ctypes.data, out.ctypes.data, launch.params.ctypes.data
    )  # fmt: skip
    want = upsample.interpolate(host, scale_factor=2, mode="bilinear")
    assert (out[0] == want[0, 0]).all()
    assert (out[-1] == want[1, 0]).all()
    assert not out[1].any()


def mapped(size: int) -> Any:
    """Zeros of which only those that are touched take memory."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    return np.frombuffer(mmap.mmap(-1, size, flags), np.uint8)


@pytest.mark.parametrize("rank", [2, 3])
def test_planes_far_apart_are_reached(rank: int) -> None:
    """Strides of 3 GB, over memory of which only what is touched exists."""
    far = 3 << 30

    def apart(*shape: int) -> standin.ndarray:
        block = standin.Block.__new__(standin.Block)
        block.bytes = mapped(far + (1 << 20))
        block.ptr, block.size, block.device_id = block.bytes.ctypes.data, len(block.bytes), 0
        standin.world.memory[block.ptr] = (block.size, 0)
        inner = tuple(4 * int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        axis = 0 if rank == 2 else 2
        strides = tuple(far if i == axis else s for i, s in enumerate(inner))
        return standin.ndarray(shape, np.float32, standin.MemoryPointer(block, 0), strides)

    shape = (2, 1, 5, 16) if rank == 2 else (1, 1, 2, 5, 16)
    host = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    x, out = apart(*shape), apart(*shape[:-2], 10, 32)
    x[...] = standin.asarray(host)
    for size in ((10, 32), (9, 31)) if rank == 2 else ():
        part = out[:, :, : size[0], : size[1]]
        upsample.interpolate(x, size=size, mode="bilinear", out=part)
        assert compare.same_bits(part.get(), upsample.interpolate(host, size=size, mode="bilinear"))
    if rank == 3:
        upsample.interpolate(x, size=(2, 10, 32), mode="trilinear", out=out)
        assert compare.same_bits(out.get(), upsample.interpolate(host, size=(2, 10, 32), mode="trilinear"))


def test_many_planes_are_strided_over() -> None:
    x = np.random.default_rng(0).normal(size=(70_000, 1, 2, 40)).astype(np.float32)
    got = upsample.interpolate(standin.asarray(x), scale_factor=1.5, mode="bilinear")
    assert compare.same_bits(got.get(), upsample.interpolate(x, scale_factor=1.5, mode="bilinear"))


# ---- a test of the tests -------------------------------------------------------------------------------------

BICUBIC: dict[str, Any] = {"scale_factor": 1.7, "mode": "bicubic"}
DOUBLE: dict[str, Any] = {"scale_factor": 2, "mode": "bilinear"}
PIXEL: dict[str, Any] = {"scale_factor": 2, "mode": "cubic", "layout": "NHWC"}
PIXEL_OF_HALVES: dict[str, Any] = {"scale_factor": 2, "mode": "bilinear", "layout": "NHWC"}
SMOOTH: dict[str, Any] = {"scale_factor": 0.7, "mode": "bilinear", "antialias": True}
WORDS: dict[str, Any] = {"size": (13, 31), "mode": "bilinear"}
AREA: dict[str, Any] = {"scale_factor": 0.4, "mode": "area"}
LINES: dict[str, Any] = {"size": (9, 3), "mode": "area"}  # one pass
MUTATIONS = {
    "another order of the sum": (
        "samples.cuh", "a = plus(w[0], x[0], times(w[1], x[1]));", "a = plus(w[1], x[1], times(w[0], x[0]));", BICUBIC
    ),
    "a product that is flushed to zero": ("samples.cuh", "times(w[1], x[1])", "w[1] * x[1]", BICUBIC),
    "no clamp": ("axis.cuh", "(clamp(first[v] + k, last)", "((first[v] + k + 0 * last)", BICUBIC),
    "an input row late": ("resample.cuh", "newest = f + RING - 1;", "newest = f + RING - 2;", BICUBIC),
    "a row too few": ("resample.cuh", "y0 + p.rows : p.out_height", "y0 + p.rows : p.out_height - 1", BICUBIC),
    "a sample too far right": (
        "doubled.cuh", "after[e] = clamp(i0 + COLS + e, p", "after[e] = clamp(i0 + COLS + e + 1, p", DOUBLE
    ),
    "a channel too far right": ("doubled.cuh", "x[i + k * CH]", "x[i + k * CH + (CH > 1 && K == 4)]", PIXEL),
    "pixels cut elsewhere": ("doubled.cuh", "4 * thread - 3 * i0", "(4 * thread - 3 * i0) / 2", PIXEL_OF_HALVES),
    "rows exchanged": ("doubled.cuh", "upper[v] = one_sum<D>(even", "upper[v] = one_sum<D>(odd", DOUBLE),
    "the wrong half of the weights": ("window.cuh", "u % 2 ? dot_high", "u % 2 ? dot_low", WORDS),
    "a word too far left": ("window.cuh", "(p.in_width >> 2) - 2) * 4", "(p.in_width >> 2) - 3) * 4", WORDS),
    "a tap too few": ("wide.cuh", "k < t.count; k++", "k + 1 < t.count; k++", LINES),
    "the last sample twice": ("wide.cuh", "clamp(t.first + k, n - 1)", "clamp(t.first + k, n - 2)", LINES),
    "a sum that is flushed to zero": ("wide.cuh", "added(a[v], x[v])", "a[v] + x[v]", LINES),
    "a pair of rows too few": ("gather.cuh", "k < h.count; k += 2", "k + 2 < h.count; k += 2", AREA),
    "a row once more": ("gather.cuh", "if (k + 1 < h.count) sum", "sum", AREA),
    "a tap once more": ("gather.cuh", "a = k < n ? added(a, tap[v][k]) : a", "a = added(a, tap[v][k])", AREA),
    "another order of a gradient's sum": (
        "gather.cuh", "plus(w0, held[v], times(w, x[v]))", "plus(w, x[v], times(w0, held[v]))", SMOOTH
    ),
}  # fmt: skip


@needs_fma_level
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_kernel_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, right, wrong, arguments = MUTATIONS[name]
    x = np.random.default_rng(0).normal(size=(2, 2, 9, 16)).astype(np.float32)
    if arguments is WORDS:
        x = np.random.default_rng(0).integers(0, 256, x.shape).astype(np.uint8)
    if arguments is PIXEL:
        x = x.reshape(2, 6, 6, 8)
    if arguments is PIXEL_OF_HALVES:
        x = x.reshape(2, 8, 12, 3).astype(np.float16)
    if "flushed" in name:
        x = np.ldexp(x, -127).astype(np.float32)
    want = upsample.interpolate(x, **arguments)
    assert compare.same_bits(upsample.interpolate(standin.asarray(x), **arguments).get(), want)
    copy = shutil.copytree(cuda.FOLDERS[0], tmp_path / "cuda")
    text = (copy / file).read_text()
    assert text.count(right) == 1
    (copy / file).write_text(text.replace(right, wrong))
    monkeypatch.setattr(hosted, "FOLDERS", (copy, *cuda.FOLDERS[1:]))
    monkeypatch.setattr(hosted, "_functions", {})
    hosted.folder.cache_clear()
    try:
        assert not compare.same_bits(upsample.interpolate(standin.asarray(x), **arguments).get(), want)
    finally:
        hosted.folder.cache_clear()
