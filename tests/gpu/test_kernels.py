"""The kernels' arithmetic, on the host: the project's .cu files behind the real backend and a stand-in for CuPy.

Judged twice: by the reference, through the kit that every backend goes through, and by the bits of the CPU's levels
with fused multiply-add.
"""

from __future__ import annotations

import mmap
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hosted
import numpy as np
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


def same_bits(a: Any, b: Any) -> bool:
    """Equal to the bit, but for the sign and payload of NaNs."""
    if a.dtype.kind not in "fc" and a.dtype.name != "bfloat16":
        return bool(a.tobytes() == b.tobytes())
    nan = np.isnan(a.astype(np.complex128 if a.dtype.kind == "c" else np.float64))
    other = np.isnan(b.astype(np.complex128 if a.dtype.kind == "c" else np.float64))
    return bool((nan == other).all() and np.where(nan, 0, a).tobytes() == np.where(nan, 0, b).tobytes())


def compare_with_cpu(cases: Iterable[testing.Case], worst: dict[str, float] | None = None) -> Counter[str]:
    """Run cases on both and count those that were compared, by dtype.

    `worst` is told how far results were from the reference's, in parts of the largest sample (integers: in steps).
    """
    compared: Counter[str] = Counter()
    for case in cases:
        host = case.array()
        x = testing.to_cupy(host)
        if x is None:
            continue
        plan = upsample.plan(host.shape, host.dtype, **case.arguments)
        got = why_not(plan, x, "cuda")(x).get()
        want = why_not(plan, host, "cpu")(host)
        assert same_bits(got, want), case
        compared[case.dtype] += 1
        if worst is not None and got.size and (got.dtype.kind in "fiu" or case.dtype == "bfloat16"):
            ideal = why_not(plan, host, "reference")(host).astype(np.float64)
            close = np.isfinite(ideal)
            off = float(np.abs(got.astype(np.float64)[close] - ideal[close]).max(initial=0))
            if got.dtype.kind == "f" or case.dtype == "bfloat16":
                off /= float(np.abs(ideal[close]).max(initial=1))
            worst[case.dtype] = max(worst.get(case.dtype, 0.0), off)
    return compared


def test_the_kit(world: standin.World) -> None:
    cases = (*testing.systematic_cases(), *testing.random_cases(400))
    compile_for(cases)
    report = testing.check_backend("cuda", cases=cases, arrays="cupy")
    assert set(report.refused) == {"CuPy has no arrays of this dtype"}
    assert report.passed > 550
    print(f"\n{report}\n{len({r.program for r in world.launches})} programs, {len(world.launches)} launches")


@needs_fma_level
def test_the_bits_of_the_cpu() -> None:
    cases = (*testing.systematic_cases(1), *testing.random_cases(1000, seed=1))
    compile_for(cases)
    worst: dict[str, float] = {}
    print("\ncases with the CPU's bits:", dict(compare_with_cpu(cases, worst)))
    print("farthest from the reference:", {k: float(f"{v:.3g}") for k, v in worst.items()})


@needs_fma_level
def test_taps_evaluated_on_the_device_have_the_bits_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "TABLE_OUTPUTS", 0)
    cases = [c for c in testing.random_cases(700, seed=2) if c.dtype in ("float32", "float64", "uint8", "float16")][
        :120
    ]
    compile_for(cases)
    compared = compare_with_cpu(cases)
    assert sum(compared.values()) > 70


@needs_fma_level
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic", "area", "lanczos"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_long_signal(mode: str, dtype: str, world: standin.World) -> None:
    x = (np.random.default_rng(0).normal(size=(1, 2, 100_003)) * 40).astype(dtype)
    keywords: dict[str, Any] = {"scale_factor": 0.7, "mode": mode, "antialias": mode == "lanczos"}
    got = upsample.interpolate(standin.asarray(x), **keywords)
    assert same_bits(got.get(), upsample.interpolate(x, **keywords))
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
    assert programs[0].partition("<")[0] == kernel
    assert same_bits(got.get(), upsample.interpolate(x, scale_factor=2, mode=mode))
    # the generic kernel, which rows that are not whole vectors take
    out = standin.empty((*got.shape[:-1], got.shape[-1] + 1), kind)[..., 1:]
    again = upsample.interpolate(standin.asarray(x), scale_factor=2, mode=mode, out=out)
    assert world.launches[-1].program.startswith("resample")
    assert again.get().tobytes() == got.get().tobytes()


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
        assert same_bits(got.get(), upsample.interpolate(x, scale_factor=1.7, mode=mode, layout="NHWC"))
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
            assert same_bits(part(device).get(), plan(x)[tuple(piece)]), case


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


def test_an_output_beyond_2_31_samples_is_addressed_in_64_bits(world: standin.World) -> None:
    """Only the launch is made: what it would write does not fit here."""
    world.run = False
    plan = upsample.plan((70_000, 1, 128, 128), np.uint8, scale_factor=2, mode="bilinear")
    kernel = cuda.prepare(plan, (0, 1, 2, 3))
    (launch,) = kernel.launches((kernel.dense_in, kernel.dense_out, 0, 0), 132)
    assert plan.out_shape[0] * 256 * 256 > 2**32
    assert int(launch.params["out_outer"][0]) * 69_999 > 2**32
    assert launch.grid[2] * launch.block[2] < 70_000 or launch.grid[2] <= 65_535


@pytest.mark.parametrize("rank", [2, 3])
def test_planes_far_apart_are_reached(rank: int) -> None:
    """Strides of 3 GB, over memory of which only what is touched exists."""
    far = 3 << 30

    def apart(*shape: int) -> standin.ndarray:
        memory = mmap.mmap(
            -1, far + (1 << 20), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        )
        block = standin.Block.__new__(standin.Block)
        block.bytes = np.frombuffer(memory, np.uint8)
        block.ptr, block.size, block.device_id = block.bytes.ctypes.data, len(memory), 0
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
        assert same_bits(part.get(), upsample.interpolate(host, size=size, mode="bilinear"))
    if rank == 3:
        upsample.interpolate(x, size=(2, 10, 32), mode="trilinear", out=out)
        assert same_bits(out.get(), upsample.interpolate(host, size=(2, 10, 32), mode="trilinear"))


def test_many_planes_are_strided_over() -> None:
    x = np.random.default_rng(0).normal(size=(70_000, 1, 2, 40)).astype(np.float32)
    got = upsample.interpolate(standin.asarray(x), scale_factor=1.5, mode="bilinear")
    assert same_bits(got.get(), upsample.interpolate(x, scale_factor=1.5, mode="bilinear"))


# ---- a test of the tests -------------------------------------------------------------------------------------

MUTATIONS = {
    "another order of the sum": (
        "samples.cuh", "A a = plus(w[0], x[0], w[1] * x[1]);", "A a = plus(w[1], x[1], w[0] * x[0]);"
    ),
    "no clamp": ("resample.cuh", "(clamp(first[v % VX] + k, last)", "(clamp(first[v % VX] + k, last + 1)"),
    "an input row late": ("resample.cuh", "newest = f + RING - 1;", "newest = f + RING - 2;"),
    "a row too few": ("resample.cuh", "y0 + p.rows : p.out_height", "y0 + p.rows : p.out_height - 1"),
}  # fmt: skip


@needs_fma_level
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_kernel_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, right, wrong = MUTATIONS[name]
    copy = shutil.copytree(cuda.FOLDERS[0], tmp_path / "cuda")
    text = (copy / file).read_text()
    assert text.count(right) == 1
    (copy / file).write_text(text.replace(right, wrong))
    monkeypatch.setattr(hosted, "FOLDERS", (copy, *cuda.FOLDERS[1:]))
    monkeypatch.setattr(hosted, "_functions", {})
    hosted.folder.cache_clear()
    try:
        x = np.random.default_rng(0).normal(size=(2, 2, 9, 13)).astype(np.float32)
        got = upsample.interpolate(standin.asarray(x), scale_factor=1.7, mode="bicubic")
        assert not same_bits(got.get(), upsample.interpolate(x, scale_factor=1.7, mode="bicubic"))
    finally:
        hosted.folder.cache_clear()
