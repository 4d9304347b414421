"""What the backend asks of CuPy, seen by a stand-in: launches, parameters, uploads, devices, graphs, errors."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hosted
import numpy as np
import pytest
import standin

import upsample
from upsample.backends import _cuda, cuda, why_not

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


@pytest.fixture(autouse=True)
def world() -> Iterator[standin.World]:
    with standin.installed(run=False) as made:
        yield made


def array(*shape: int, dtype: str = "float32") -> standin.ndarray:
    return standin.asarray(np.zeros(shape, dtype))


# ---- parameters ----------------------------------------------------------------------------------------------


def test_every_parameter_is_where_the_kernel_looks_for_it() -> None:
    there = hosted.layout()
    assert _cuda.PARAMS.itemsize == there[""][1]
    here: dict[str, tuple[int, int]] = {}

    def walk(dtype: np.dtype[Any], prefix: str, base: int) -> None:
        for name in dtype.names or ():
            field, offset = dtype.fields[name][:2]  # type: ignore[index]
            here[prefix + name] = (base + offset, field.itemsize)
            if prefix == "" and name in ("d", "h", "w"):
                walk(field, name + ".", base + offset)

    walk(_cuda.PARAMS, "", 0)
    assert here == {k: v for k, v in there.items() if k}


def test_fields_of_64_bits_come_first() -> None:
    sizes = [_cuda.PARAMS.fields[n][0].base.itemsize for n in _cuda.PARAMS.names or () if n not in "dhw"]  # type: ignore[index]
    assert sizes == sorted(sizes, reverse=True)


# ---- launches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (1, 1, 3, 2), (70_000, 1, 2, 2), (2, 3, 5, 4096), (1, 1, 100_000, 3), (3, 1, 7, 200_000)]
)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "area"])
def test_every_output_has_a_thread_and_the_grid_is_within_limits(
    shape: tuple[int, ...], mode: str, world: standin.World
) -> None:
    upsample.interpolate(array(*shape), size=(shape[2] * 2 + 1, shape[3] + 5), mode=mode)
    for record in world.launches:
        check_grid(record.program, record.grid, record.block, record.params)


@pytest.mark.parametrize("shape", [(1, 1, 8, 64), (3, 2, 37, 64), (1, 1, 2**21, 64), (70_000, 1, 3, 64)])
@pytest.mark.parametrize(("mode", "dtype"), [("nearest", "float32"), ("bilinear", "float32"), ("bilinear", "uint8")])
@pytest.mark.parametrize("channels", [1, 3, 4, 16])
def test_whole_factor_2_has_a_thread_for_every_output_too(
    shape: tuple[int, ...], mode: str, dtype: str, channels: int
) -> None:
    if channels > 1:  # cubic in the nearest mode's stead
        mode = "cubic" if mode == "nearest" else mode
        shape, dtype = (*shape[:1], *shape[2:], channels), "uint8" if dtype == "uint8" else "float16"
    layout = "NCHW" if channels == 1 else "NHWC"
    kernel = _cuda.prepare(upsample.plan(shape, dtype, scale_factor=2, mode=mode, layout=layout), (0, 1, 2, 3))
    (launch,) = kernel.launches((kernel.dense_in, kernel.dense_out, 0, 0), 132)
    few = mode == "cubic" and shape[1] == 3  # rows of which none has the same taps as the others
    assert launch.program.name.startswith("doubled") is (max(shape) < 2**21 and not few)
    check_grid(launch.program.name, launch.grid, launch.block, launch.params[0])


def check_grid(program: str, grid: tuple[int, ...], block: tuple[int, ...], p: Any) -> None:
    assert max(grid[1:]) <= 65535
    assert np.prod(block) <= 128
    threads = [g * b for g, b in zip(grid, block, strict=True)]
    kind, _, text = program.rstrip(">").partition("<")
    arguments = text.split(",")
    vector = {
        "resample": lambda: int(arguments[2]),
        "gather": lambda: int(arguments[2]),
        "wide": lambda: int(arguments[3]),
        "doubled": lambda: 2 * int(arguments[2]) * int(arguments[3]),
        "doubled_pixels": lambda: 8,
        "doubled_bytes": lambda: 16,
        "doubled_copy": lambda: 16 // int(arguments[0].removeprefix("raw")),
    }[kind]()
    assert threads[0] * vector >= p["row"]
    rows = 2 * int(arguments[-1]) if kind.startswith("doubled") and p["out_height"] > 1 else p["rows"]
    assert threads[1] * rows >= p["out_height"]
    assert p["z_outer"] * p["out_depth"] + p["z_d"] == threads[2]
    assert p["z_outer"] + p["z_d"] > 0


def test_threads_that_are_not_needed_are_few(world: standin.World) -> None:
    upsample.interpolate(array(8, 64, 256, 256), scale_factor=2, mode="bilinear")
    (record,) = world.launches
    blocks, block = np.prod(record.grid), np.prod(record.block)
    assert block == 128
    columns, channels, half = (int(record.program.rstrip(">").split(",")[i]) for i in (2, 3, -1))
    assert blocks * block * 2 * columns * channels * 2 * half == 8 * 64 * 512 * 512


def test_a_warm_call_is_one_launch_and_nothing_else(world: standin.World) -> None:
    x, out = array(2, 3, 20, 20), standin.empty((2, 3, 40, 41), np.float32)
    upsample.interpolate(x, size=(40, 41), mode="bicubic", out=out)
    waits, uploads, compiled = len(world.waits), len(world.uploads), len(world.compiled)
    assert waits == 1  # for the tables, at the first use
    blocks = len(world.memory)
    for _ in range(5):
        upsample.interpolate(x, size=(40, 41), mode="bicubic", out=out)
    assert len(world.launches) == 6
    assert (len(world.waits), len(world.uploads), len(world.compiled)) == (waits, uploads, compiled)
    assert len(world.memory) == blocks


def test_a_call_like_an_earlier_one_is_checked_as_any_other(world: standin.World) -> None:
    x, out = array(2, 3, 16, 16), standin.empty((2, 3, 32, 32), np.float32)
    kernel = why_not(upsample.plan(x.shape, x.dtype, scale_factor=2, mode="bilinear"), x, "cuda")
    warm = kernel.kernel.warm
    assert kernel.called_again(kernel.geometry, x, out) is None
    assert kernel(x, out) is out
    for _ in range(2):
        assert kernel.called_again(kernel.geometry, x, out) is out
    assert len(warm) == 1
    both = standin.empty((4 * x.size + 4 * out.size,), np.uint8)
    inside = standin.ndarray(out.shape, np.float32, both.data)
    assert kernel(x, inside) is inside
    overlapping = standin.ndarray(x.shape, np.float32, standin.MemoryPointer(both.data.mem, 4 * out.size - 16))
    launched = len(world.launches)
    with pytest.raises(ValueError, match="may share memory"):
        kernel(overlapping, inside)
    beside = standin.ndarray(x.shape, np.float32, standin.MemoryPointer(both.data.mem, 4 * out.size))
    assert kernel(beside, inside) is inside
    with pytest.raises(ValueError, match="out has dtype"):
        kernel(x, standin.empty(out.shape, np.int32))
    with pytest.raises(ValueError, match="out has shape"):
        kernel(x, standin.empty((2, 3, 32, 31), np.float32))
    with pytest.raises(TypeError, match="out must live where"):
        kernel(x, np.empty(out.shape, np.float32))
    assert len(world.launches) == launched + 1
    assert len(warm) == 1
    for i in range(70):  # as many layouts as are remembered, and more
        kernel(x, standin.empty((2, 3, 32, 33 + i), np.float32)[..., 1:33])
    assert 1 <= len(warm) <= 64


def test_a_warm_calls_parameters_are_there_when_nothing_else_holds_them() -> None:
    with standin.installed():
        host = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
        x, out = standin.asarray(host), standin.empty((2, 3, 32, 32), np.float32)
        kernel = why_not(upsample.plan(x.shape, x.dtype, scale_factor=2, mode="bilinear"), x, "cuda")
        want = kernel(x, out).get()
        assert (want == upsample.interpolate(host, scale_factor=2, mode="bilinear")).all()
        warm = kernel.kernel.warm.copy()
        for i in range(70):  # other strides: launches that were bound before are dropped, and so are warm calls
            kernel(standin.empty((2, 3, 16, 17 + i), np.float32)[..., 1:17])
        gc.collect()
        kernel.kernel.warm = warm
        out[...] = 0
        assert kernel.called_again(kernel.geometry, x, out) is out
        assert (out.get() == want).all()


def test_calls_whose_array_was_compared_look_at_it_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    x, out = array(2, 3, 16, 16), standin.empty((2, 3, 32, 32), np.float32)
    plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode="bilinear")
    for call in (plan, lambda x, out=None: upsample.interpolate(x, scale_factor=2, mode="bilinear", out=out)):
        call(x)
        call(x, out=out)
        with monkeypatch.context() as patch:
            patch.delattr(cuda.OnDevice, "__call__")
            assert call(x).shape == out.shape
            assert call(x, out=out) is out


@pytest.mark.parametrize("kind", ["one kernel", "several passes", "channels last"])
def test_a_warm_call_without_out_is_one_array_and_launches(kind: str) -> None:
    with standin.installed() as world:
        shape, arguments = KINDS.get(kind, ((2, 5, 6, 3), {"size": (7, 8), "mode": "bilinear", "layout": "NHWC"}))
        host = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        want = upsample.interpolate(host, **arguments)
        x = standin.asarray(host)
        if kind == "channels last":  # in memory alone
            x, want, arguments = x.transpose(0, 3, 1, 2), want.transpose(0, 3, 1, 2), arguments | {"layout": "NCHW"}
        kernel = why_not(upsample.plan(x.shape, x.dtype, **arguments), x, "cuda")
        assert kernel.called_again(kernel.geometry, x, None) is None
        first = kernel(x)
        per_call, uploads, blocks = len(world.launches), len(world.uploads), len(world.memory)
        again = kernel.called_again(kernel.geometry, x, None)
        assert again.strides == first.strides == want.strides
        assert (again.get() == want).all()
        assert again.data.ptr != first.data.ptr
        assert (len(world.launches), len(world.uploads)) == (2 * per_call, uploads)
        assert len(world.memory) == blocks + 1
        with standin.Device(1):
            assert kernel.called_again(kernel.geometry, x, None) is None
            assert kernel(x).device.id == 0
        stream = standin.Stream(non_blocking=True)
        with stream:
            assert kernel.called_again(kernel.geometry, x, None) is not None
            assert world.launches[-1].stream == stream.ptr
            stream.begin_capture()
            assert kernel.called_again(kernel.geometry, x, None) is None
            stream.end_capture()


def test_new_arrays_of_an_allocator_that_aligns_nothing_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with standin.installed():
        host = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
        want = upsample.interpolate(host, scale_factor=2, mode="bilinear")
        x = standin.asarray(host)
        kernel = why_not(upsample.plan(x.shape, x.dtype, scale_factor=2, mode="bilinear"), x, "cuda")
        for start, warm in ((4, 0), (0, 1), (4, 1)):
            raw = standin.empty(4 * want.size + start, np.uint8)
            made = standin.ndarray(want.shape, np.float32, raw.data + start)
            monkeypatch.setattr(kernel.kernel, "new_array", lambda shape, made=made: made)
            assert kernel(x) is made
            assert (made.get() == want).all()
            assert len(kernel.kernel.warm) == warm
            assert (kernel.called_again(kernel.geometry, x, None) is made) is (start == 0)


def test_without_cupys_pointer_parameters_are_plain_bytes() -> None:
    with standin.installed():
        cupy: Any = sys.modules["cupy"]
        del cupy.cuda.function
        host = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
        got = upsample.interpolate(standin.asarray(host), scale_factor=2, mode="bilinear").get()
        assert (got == upsample.interpolate(host, scale_factor=2, mode="bilinear")).all()


def test_tables_are_uploaded_once_per_kernel_and_device_in_one_block(world: standin.World) -> None:
    x = array(2, 3, 20, 20)
    before = len(world.uploads)
    for _ in range(3):
        upsample.interpolate(x, size=(31, 33), mode="bilinear")
        upsample.interpolate(x[:, :, ::-1], size=(31, 33), mode="bilinear")
    # two kernels (the strides differ), the second's input is no copy: rows may run backwards
    assert len(world.uploads) - before == 2
    assert {d for d, _ in world.uploads} == {0}


def test_programs_are_shared_between_kernels(world: standin.World) -> None:
    for size in range(21, 29):
        upsample.interpolate(array(1, 1, 20, 20), size=(size, size + 1), mode="bilinear")
    assert len(world.compiled) == 1


def test_the_programs_options(world: standin.World) -> None:
    upsample.interpolate(array(1, 1, 20, 20), size=(31, 33), mode="bilinear")
    (options,) = world.options.values()
    assert "--fmad=false" in options
    assert "--std=c++17" in options
    assert not any("fast" in o for o in options)


def test_the_program_names_its_headers_contents(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Or CuPy's cache on disk would keep an old version's programs."""
    program = _cuda.Program("wide", 1)
    before = _cuda.source(program)
    copy = shutil.copytree(_cuda.FOLDERS[0], tmp_path / "cuda")
    (copy / "wide.cuh").write_text((copy / "wide.cuh").read_text() + "\n")
    monkeypatch.setattr(_cuda, "FOLDERS", (copy, *_cuda.FOLDERS[1:]))
    _cuda.headers.cache_clear()
    try:
        assert _cuda.source(program) != before
    finally:
        _cuda.headers.cache_clear()


# ---- streams and devices ----------------------------------------------------------------------------------------


def test_the_current_stream_is_used(world: standin.World) -> None:
    x = array(1, 1, 8, 8)
    streams = [standin.Stream(), standin.Stream()]
    for stream in streams:
        with stream:
            upsample.interpolate(x, scale_factor=2)
            upsample.interpolate(x, scale_factor=0.6, mode="cubic", antialias=True)
    assert [r.stream for r in world.launches] == [s.ptr for s in streams for _ in range(3)]
    upsample.interpolate(x, scale_factor=2)
    assert world.launches[-1].stream == 0


# Shape and arguments of a call that runs each kind of kernel.
KINDS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "one kernel": ((1, 1, 8, 8), {"size": (13, 11), "mode": "bilinear"}),
    "several passes": ((1, 1, 32, 8), {"size": (3, 5), "mode": "area"}),
    "a copy": ((1, 1, 8, 8), {"size": (8, 8), "mode": "bilinear"}),
    "a transposed copy": ((2, 6, 3, 5, 4), {"size": (7, 8, 9), "mode": "trilinear", "layout": "NDCHW"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_arrays_device_is_used_and_the_current_one_kept(kind: str, world: standin.World) -> None:
    shape, arguments = KINDS[kind]
    with standin.Device(2):
        x = array(*shape)
    for _ in range(2):
        got = upsample.interpolate(x, **arguments)
        assert got.device.id == 2
        assert upsample.interpolate(x, **arguments, out=got) is got
    assert world.device == 0
    assert {r.device for r in world.launches} <= {2}
    assert upsample.interpolate(array(*shape), **arguments).device.id == 0
    if world.launches:
        assert {d for _, d in world.compiled} == {0, 2}


def test_zeros_are_made_on_the_gradients_device(world: standin.World) -> None:
    plan = upsample.plan((1, 2, 5), np.float32, size=0, mode="area").T  # sums of no samples
    with standin.Device(2):
        grad, out = array(1, 2, 0), array(1, 2, 5)
        out[...] = 1
    assert plan(grad).device.id == 2
    assert plan(grad, out) is out
    assert not out.get().any()
    assert world.device == 0


def test_out_on_another_device_is_refused(world: standin.World) -> None:
    x = array(1, 1, 8, 8)
    with standin.Device(1):
        out = standin.empty((1, 1, 16, 16), np.float32)
    for call in (upsample.interpolate, upsample.explain):
        with pytest.raises(ValueError, match="out is on device 1, the input on device 0"):
            call(x, scale_factor=2, out=out)
    assert not world.launches


def test_a_graph_refuses_cold_calls(world: standin.World) -> None:
    x, out = array(1, 1, 8, 8), standin.empty((1, 1, 5, 5), np.float32)
    stream = standin.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(RuntimeError, match="captured in a graph: call it once before"):
            upsample.interpolate(x, size=5, mode="area", out=out)
        stream.end_capture()
    assert not world.waits


@pytest.mark.parametrize("kind", [*KINDS, "an input without order", "an output without order", "neither in order"])
def test_a_graph_captures_warm_calls_and_its_memory_stays(kind: str) -> None:
    with standin.installed() as world:
        shape, arguments = KINDS.get(kind, KINDS["one kernel"])
        host = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        want = upsample.interpolate(host, **arguments)
        x, out = standin.asarray(host), standin.empty(want.shape, np.float32)
        if kind in ("an input without order", "neither in order"):
            x = standin.empty((*shape, 2), np.float32)[..., 0]
        if kind in ("an output without order", "neither in order"):
            out = standin.empty((*want.shape, 2), np.float32)[..., 0]
        x[...] = standin.asarray(host)
        plan = upsample.plan(x.shape, x.dtype, **arguments)
        stream = standin.Stream(non_blocking=True)
        with stream:
            plan(x, out)
            warm = len(world.memory)
            stream.begin_capture()
            plan(x, out)
            graph = stream.end_capture()
            held = len(world.memory) - warm
            for i in range(2, 40):  # more layouts than a plan keeps kernels of
                plan(standin.ndarray(shape, np.float32, standin.empty(4000 * i, np.float32).data, (
                    *(4 * i * n for n in np.cumprod((1, *shape[:0:-1]))[::-1].tolist()),
                )))  # fmt: skip
            assert len(plan._kernels) <= 18
            for _ in range(2):
                out[...] = 0
                graph.launch(stream)
                assert (out.get() == want).all()
        expected = {"several passes": 1, "a transposed copy": 2, "neither in order": 2}
        assert held == expected.get(kind, "order" in kind)
        del plan, graph
        gc.collect()
        assert len(world.memory) <= warm - (kind != "a copy")  # tables have gone, too


def test_tables_are_no_pools_memory_and_only_their_copy_is_waited_for(world: standin.World) -> None:
    """A pool would give it to another array while a stream may still read it."""
    with standin.Stream() as stream:
        upsample.interpolate(array(1, 1, 8, 8), size=(13, 11), mode="bilinear")
    (record,) = world.launches
    found = {int(record.params[a]["records"]) for a in "hw"}
    assert all(any(start <= at < start + world.memory[start][0] for start in world.unpooled) for at in found)
    assert len(world.waits) == 1
    assert stream.ptr not in world.waits


def test_doubled_kernels_upload_no_table_that_they_do_not_read(world: standin.World) -> None:
    x = array(1, 1, 8, 16)
    before = len(world.uploads)
    upsample.interpolate(x, scale_factor=2, mode="bilinear")
    assert len(world.uploads) == before
    out = standin.empty((1, 1, 16, 33), np.float32)[..., 1:]
    upsample.interpolate(x, scale_factor=2, mode="bilinear", out=out)  # rows are no whole vectors
    assert len(world.uploads) == before + 1


def test_temporaries_go_back(world: standin.World) -> None:
    x, out = array(1, 1, 8, 32), standin.empty((1, 1, 5, 5), np.float32)
    upsample.interpolate(x, size=5, mode="area", out=out)
    assert len(world.launches) == 2
    held = len(world.memory)
    for _ in range(3):
        upsample.interpolate(x, size=5, mode="area", out=out)
    assert len(world.memory) == held


def test_no_cache_keeps_an_arrays_memory(world: standin.World) -> None:
    x = array(4, 4, 8, 8)
    start = x.data.ptr
    upsample.interpolate(x, scale_factor=2)
    del x
    assert start not in world.memory


# ---- arrays --------------------------------------------------------------------------------------------------


def test_array_types_are_kept_apart(world: standin.World) -> None:
    x = np.zeros((1, 1, 8, 8), np.float32)
    assert isinstance(upsample.interpolate(x, scale_factor=2), np.ndarray)
    assert not world.launches
    with pytest.raises(upsample.BackendError, match=r"got numpy\.ndarray: pass cupy\.asarray\(x\)"):
        upsample.interpolate(x, scale_factor=2, backend="cuda")
    with pytest.raises(upsample.BackendError, match=r"got cupy\.ndarray: use cupy\.asnumpy\(x\)"):
        upsample.interpolate(standin.asarray(x), scale_factor=2, backend="cpu")
    with pytest.raises(TypeError, match="out must"):
        upsample.interpolate(standin.asarray(x), scale_factor=2, out=np.zeros((1, 1, 16, 16), np.float32))
    with pytest.raises(TypeError, match="out must"):
        upsample.interpolate(x, scale_factor=2, out=standin.empty((1, 1, 16, 16), np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_subclasses_are_arrays_and_results_are_none_of_theirs(kind: str) -> None:
    class Mine(standin.ndarray): ...

    shape, arguments = KINDS[kind]
    host = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    want = upsample.interpolate(host, **arguments)
    with standin.installed() as world:
        plain, mine = standin.asarray(host), Mine(shape, np.float32)
        mine[...] = plain
        plan = upsample.plan(shape, np.float32, **arguments)
        for x in (plain, mine):
            for call in (plan, lambda x, out=None: upsample.interpolate(x, **arguments, out=out)):
                made = call(x)
                assert type(made) is standin.ndarray
                assert (made.get() == want).all()
                for out in (standin.empty(want.shape, np.float32), Mine(want.shape, np.float32)):
                    assert call(x, out=out) is out
                    assert (out.get() == want).all()
        tables = len(world.uploads)
        upsample.interpolate(mine, **arguments)
        assert len(world.uploads) == tables  # its kernel was kept
        with pytest.raises(TypeError, match=r"out must be a cupy\.ndarray like the input, got builtins\.list"):
            upsample.interpolate(mine, **arguments, out=[])


def test_out_that_overlaps_is_refused(world: standin.World) -> None:
    block = standin.empty((1, 1, 64, 64), np.float32)
    with pytest.raises(ValueError, match="may share memory with the array"):
        upsample.interpolate(block[:, :, :8, :8], scale_factor=2, out=block[:, :, 4:20, :16])
    flat = standin.ndarray((1, 1, 16, 16), np.float32, block.data, (0, 0, 4, 4))
    with pytest.raises(ValueError, match="overlaps itself"):
        upsample.interpolate(array(1, 1, 8, 8), scale_factor=2, out=flat)
    with pytest.raises(ValueError, match="has dtype"):
        upsample.interpolate(array(1, 1, 8, 8), scale_factor=2, out=standin.empty((1, 1, 16, 16), np.float64))


def test_other_containers_are_told_how_to_get_here() -> None:
    class OnGpu:
        __cuda_array_interface__ = None

    with pytest.raises(TypeError, match=r"cupy\.asarray"):
        upsample.interpolate(OnGpu(), scale_factor=2)


def test_samples_that_are_not_aligned_to_themselves_are_refused_where_they_are_summed(world: standin.World) -> None:
    raw = standin.empty(401, np.uint8)
    x = standin.ndarray((1, 1, 10, 10), np.float32, raw.data + 1)
    with pytest.raises(ValueError, match="no multiple of their 4 bytes"):
        upsample.interpolate(x, size=17, mode="bilinear")
    upsample.interpolate(x, size=17)
    assert world.launches[-1].program.startswith("resample<raw1,")


@pytest.mark.parametrize("after", [0, 1])
def test_address_sanitizer_sees_the_byte_after_an_array(after: int) -> None:
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    if not Path(found.stdout.strip()).is_absolute():
        pytest.skip("AddressSanitizer is not installed")
    code = f"import ctypes, standin; b = standin.Block(1001); ctypes.memmove(b.ptr, b.ptr + {1000 + after}, 1)"
    # (an empty part would be the current folder, whose upsample may not be built)
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {
        "LD_PRELOAD": found.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": path
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode != 0) is bool(after), done.stderr
    assert ("heap-buffer-overflow" in done.stderr) is bool(after)


def test_show_config_names_the_devices(capsys: pytest.CaptureFixture[str]) -> None:
    upsample.show_config()
    assert "stand-in 0, stand-in 1, stand-in 2" in capsys.readouterr().out


# ---- reasons -------------------------------------------------------------------------------------------------


def line(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"- {name}:"))


def test_too_many_elements_has_a_sentence(world: standin.World) -> None:
    base = standin.empty((1,), np.uint8)
    x = standin.ndarray.__new__(standin.ndarray)
    x.shape, x.strides, x.dtype, x.data = (1, 1, 2**31), (2**31, 2**31, 1), np.dtype(np.uint8), base.data
    with pytest.raises(upsample.BackendError, match=r"too many elements: a row of 4294967296 samples.*plan\.window"):
        upsample.interpolate(x, scale_factor=2, layout="NCW")
    assert "too many elements" in line(upsample.explain(x, scale_factor=2, layout="NCW"), "cuda")


def test_rows_that_are_cut_into_too_many_samples_have_a_sentence() -> None:
    """Samples of 16 bytes that start anywhere are copied byte by byte."""
    kernel = _cuda.prepare(upsample.plan((1, 1, 2**28), np.complex128, scale_factor=1.5), (0, 1, 2))
    kernel.launches((kernel.dense_in, kernel.dense_out, 0, 0), 132)
    with pytest.raises(upsample.BackendError, match=r"too many elements: a row of 6442450944 samples.*plan\.window"):
        kernel.launches((kernel.dense_in, kernel.dense_out, 1, 0), 132)


def test_no_gpu_and_no_compiler_have_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    x = array(1, 1, 8, 8)
    cupy = sys.modules["cupy"]
    for change, sentence in (
        (("runtime", "getDeviceCount"), "CuPy finds no GPU: OSError: gone"),
        (("nvrtc", "getVersion"), "CuPy has no NVRTC to compile kernels with"),
    ):
        with monkeypatch.context() as patch:

            def fail() -> None:
                raise OSError("gone")

            patch.setattr(getattr(cupy.cuda, change[0]), change[1], fail)
            patch.setattr(cuda, "_usable", False)
            with pytest.raises(upsample.BackendError, match=sentence):
                upsample.interpolate(x, size=(13, 9))
            assert sentence in line(upsample.explain(x, size=(13, 9)), "cuda")
    monkeypatch.setattr(cuda, "_usable", False)
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    assert "the driver lists no device" in line(upsample.explain(x, size=(13, 9)), "cuda")


def test_no_cupy_has_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.zeros((1, 1, 8, 8), np.float32)
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.setattr(cuda, "find_spec", lambda name: None)
    assert 'CuPy is not installed: pip install "cupy-cuda12x[ctk]>=14"' in line(
        upsample.explain(x, scale_factor=2), "cuda"
    )
    monkeypatch.setattr(cuda, "find_spec", lambda name: object())
    assert "CuPy has not been imported" in line(upsample.explain(x, scale_factor=2), "cuda")
    with pytest.raises(upsample.BackendError, match="CuPy has not been imported"):
        upsample.interpolate(x, scale_factor=2, backend="cuda")
    monkeypatch.setitem(sys.modules, "cupy", standin.modules())


def test_nothing_imports_cupy() -> None:
    code = (
        "import sys, numpy, upsample; upsample.interpolate(numpy.zeros((1, 1, 4)), scale_factor=2);"
        "upsample.explain(numpy.zeros((1, 1, 4)), scale_factor=2); assert 'cupy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_explain_tells_the_steps(world: standin.World) -> None:
    text = line(upsample.explain(array(1, 1, 8, 8), scale_factor=2, mode="bicubic"), "cuda")
    assert "one fused kernel, 4 taps per axis, doubled where rows are whole vectors" in text
    text = line(upsample.explain(array(1, 1, 8, 8), size=5, mode="area"), "cuda")
    assert "one fused kernel, up to 3 taps per axis" in text
    text = line(upsample.explain(array(1, 1, 8, 32), size=5, mode="area"), "cuda")
    assert "up to 8 taps along W; up to 3 taps along H; 160 bytes of temporaries" in text
    assert not world.launches


def test_explain_tells_what_is_copied(world: standin.World) -> None:
    def told(x: Any, out: Any = None) -> str:
        return line(upsample.explain(x, size=(13, 11), mode="bilinear", out=out), "cuda")

    x, wide = array(2, 3, 8, 8), array(2, 3, 8, 16)
    for dense in (x, wide[..., 3:11], x[:, :, ::-1], wide[:, :, ::2]):
        assert "copied" not in told(dense), dense.strides
    assert told(wide[..., ::2]).endswith("; the input is copied first (its axis 3 is not dense)")
    assert told(x.transpose(0, 1, 3, 2)).endswith("; the input is copied first (its axis 3 is not dense)")
    assert told(x.transpose(1, 0, 2, 3)).endswith(
        "; the input is copied first (its axes 0 and 1 are not one after the other)"
    )
    far = standin.ndarray.__new__(standin.ndarray)
    far.shape, far.strides, far.dtype, far.data = (1, 1, 2, 8), (2**32, 2**32, 2**31, 4), x.dtype, x.data
    assert told(far).endswith("; the input is copied first (its rows are too far apart)")
    out = standin.empty((2, 3, 13, 22), np.float32)
    assert told(x, out[..., ::2]).endswith(
        "the result is made in new memory and copied into out (its axis 3 is not dense)"
    )
    assert "copied" not in told(x, out[..., :11])
    text = line(upsample.explain(array(2, 6, 3, 5, 4), size=7, mode="trilinear", layout="NDCHW"), "cuda")
    assert "on a transposed copy" in text
    assert not world.launches
