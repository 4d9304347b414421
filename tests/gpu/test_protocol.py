"""What the backend asks of CuPy, seen by a stand-in: launches, parameters, uploads, devices, graphs, errors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import hosted
import numpy as np
import pytest
import standin

import upsample
from upsample.backends import _cuda, cuda

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
    for record in world.launches:  # limits themselves are checked by the stand-in
        p = record.params
        threads = [g * b for g, b in zip(record.grid, record.block, strict=True)]
        vector = 1
        if record.program.startswith(("resample", "wide")):
            arguments = record.program.partition("<")[2].split(",")
            vector = int(arguments[2 if record.program.startswith("resample") else 3])
        assert threads[0] * vector >= p["row"]
        assert threads[1] * p["rows"] >= p["out_height"]
        assert p["z_outer"] * p["out_depth"] + p["z_d"] == threads[2]
        assert p["z_outer"] + p["z_d"] > 0


def test_threads_that_are_not_needed_are_few(world: standin.World) -> None:
    upsample.interpolate(array(8, 64, 256, 256), scale_factor=2, mode="bilinear")
    (record,) = world.launches
    blocks, block = np.prod(record.grid), np.prod(record.block)
    assert block == 128
    vector, half = (int(record.program.rstrip(">").split(",")[i]) for i in (2, -1))
    assert blocks * block * vector * 2 * half == 8 * 64 * 512 * 512


def test_a_warm_call_is_one_launch_and_nothing_else(world: standin.World) -> None:
    x, out = array(2, 3, 20, 20), standin.empty((2, 3, 40, 40), np.float32)
    upsample.interpolate(x, scale_factor=2, mode="bicubic", out=out)
    waits, uploads, compiled = len(world.waits), len(world.uploads), len(world.compiled)
    assert waits == 1  # for the tables, at the first use
    blocks = len(world.memory)
    for _ in range(5):
        upsample.interpolate(x, scale_factor=2, mode="bicubic", out=out)
    assert len(world.launches) == 6
    assert (len(world.waits), len(world.uploads), len(world.compiled)) == (waits, uploads, compiled)
    assert len(world.memory) == blocks


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
    before = _cuda.source()
    copy = shutil.copytree(_cuda.FOLDERS[0], tmp_path / "cuda")
    (copy / "wide.cuh").write_text((copy / "wide.cuh").read_text() + "\n")
    monkeypatch.setattr(_cuda, "FOLDERS", (copy, *_cuda.FOLDERS[1:]))
    _cuda.source.cache_clear()
    try:
        assert _cuda.source() != before
    finally:
        _cuda.source.cache_clear()


# ---- streams and devices ----------------------------------------------------------------------------------------


def test_the_current_stream_is_used(world: standin.World) -> None:
    x = array(1, 1, 8, 8)
    streams = [standin.Stream(), standin.Stream()]
    for stream in streams:
        with stream:
            upsample.interpolate(x, scale_factor=2)
            upsample.interpolate(x, scale_factor=0.6, mode="area")
    assert [r.stream for r in world.launches] == [s.ptr for s in streams for _ in range(3)]
    upsample.interpolate(x, scale_factor=2)
    assert world.launches[-1].stream == 0


def test_the_arrays_device_is_used_and_the_current_one_kept(world: standin.World) -> None:
    with standin.Device(2):
        x = array(1, 1, 8, 8)
    for _ in range(2):
        got = upsample.interpolate(x, size=(13, 11), mode="bilinear")
        assert got.device.id == 2
    assert world.device == 0
    upsample.interpolate(array(1, 1, 8, 8), size=(13, 11), mode="bilinear")
    assert [r.device for r in world.launches] == [2, 2, 0]
    assert sorted(d for _, d in world.compiled) == [0, 2]


def test_out_on_another_device_is_refused(world: standin.World) -> None:
    x = array(1, 1, 8, 8)
    with standin.Device(1):
        out = standin.empty((1, 1, 16, 16), np.float32)
    for call in (upsample.interpolate, upsample.explain):
        with pytest.raises(ValueError, match="out is on device 1, the input on device 0"):
            call(x, scale_factor=2, out=out)
    assert not world.launches


def test_launch_takes_addresses_and_a_stream(world: standin.World) -> None:
    x, out = array(1, 1, 8, 8), standin.empty((1, 1, 16, 16), np.float32)
    plan = upsample.plan(x.shape, x.dtype, scale_factor=2, mode="bilinear")
    plan(x, out)
    (kernel,) = plan._kernels.values()
    kernel.launch(x.data.ptr, out.data.ptr, 0x77)
    kernel.launch(x.data.ptr, out.data.ptr, standin.Stream(ptr=0x99))
    assert [r.stream for r in world.launches] == [0, 0x77, 0x99]
    assert len({(r.program, r.grid, r.block, r.params["row"].item()) for r in world.launches}) == 1


def test_a_graph_captures_warm_calls_and_refuses_cold_ones(world: standin.World) -> None:
    x, out = array(1, 1, 8, 8), standin.empty((1, 1, 5, 5), np.float32)
    stream = standin.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(RuntimeError, match="captured in a graph: call it once before"):
            upsample.interpolate(x, size=5, mode="area", out=out)
        stream.end_capture()
        upsample.interpolate(x, size=5, mode="area", out=out)
        warm = len(world.memory)
        stream.begin_capture()
        upsample.interpolate(x, size=5, mode="area", out=out)
        stream.end_capture()
    assert len(world.launches) == 4
    assert len(world.memory) == warm + 1  # the temporary that the graph writes to is kept
    assert len(world.waits) == 1


def test_temporaries_go_back(world: standin.World) -> None:
    x, out = array(1, 1, 8, 8), standin.empty((1, 1, 5, 5), np.float32)
    upsample.interpolate(x, size=5, mode="area", out=out)
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
    assert "up to 3 taps along W; up to 3 taps along H; 160 bytes of temporaries" in text
    assert not world.launches
