"""The real CuPy, as far as it goes without a GPU: its compiler takes our programs, its objects have what is used."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import building
import nvrtc
import pytest

pytestmark = pytest.mark.skipif(find_spec("cupy") is None, reason=building.missing("cupy"))

CODE = """
import cupy
from cupy.cuda import compiler
from upsample.backends import _cuda as cuda

# What CuPy makes of a module, up to where it would load it onto a device
given = []
def record(source, options, arch, *rest, **keywords):
    given.append((source, options, arch))
    raise EOFError
compiler._get_arch = lambda: "90"
compiler._get_arch_for_options_for_nvrtc = lambda arch=None: ("-arch=sm_90", "cubin")
compiler._preprocess = lambda *arguments, **keywords: ""
names = [n for n in ("_compile_using_nvrtc_no_warning", "compile_using_nvrtc") if hasattr(compiler, n)]
for name in names:
    setattr(compiler, name, record)
program = cuda.Program("resample<f32,float,4,0,2,2,SINGLE,false>", 8)
try:
    compiler._compile_with_cache_cuda(cuda.source(program), cuda.options(), "90", cache_in_memory=True)
except EOFError:
    pass
((source, options, arch),) = given
added = options[len(cuda.options()):]
print("CuPy adds", added)
assert options[:len(cuda.options())] == cuda.options()
assert added == CUPYS, added

made, _ = compiler._NVRTCProgram(source, "kernel.cu", (), (), method="cubin").compile((*options, "-arch=sm_90"))
assert b"upsample_kernel" in made
module = cupy.RawModule(code=cuda.source(program), options=cuda.options(), backend="nvrtc")
for owner, names in (
    (cupy, "ndarray empty asarray asnumpy RawModule"),
    (cupy.cuda, "Device ExternalStream Memory MemoryPointer Stream alloc get_current_stream nvrtc"),
    (cupy.cuda.MemoryPointer, "copy_from_host_async ptr"),
    (cupy.cuda.runtime, "getDeviceCount getDevice streamIsCapturing"),
    (cupy.cuda.Stream, "synchronize begin_capture end_capture __enter__"),
    (cupy.cuda.Device, "attributes __enter__"),
):
    for name in names.split():
        assert hasattr(owner, name), name
import numpy, upsample

# CuPy takes launches' arguments, without describing the parameters anew at each: it stops at what is no function.
import timeit
from cupy.cuda.function import Function
def memory(size):
    return cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(1 << 20, size, None, 0), 0)
class stream:
    ptr = 0
def launch(*arguments):
    try:
        Function.__new__(Function)((1, 1, 1), (1, 1, 1), arguments, 0, stream)
    except (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError):
        return
    raise AssertionError("no function was launched")
structured = numpy.zeros(1, cuda.PARAMS)
fast = cuda.argument_of(cupy, structured)
assert type(fast).__name__ == "CPointer"
ways = [fast, structured.view(f"V{structured.nbytes}"), structured]
there = memory(8), memory(8)
times = [min(timeit.repeat(lambda: launch(*there, p), number=200, repeat=5)) / 200 * 1e6 for p in ways]
print("a launch by pointer, plain array, structured array: %.1f %.1f %.1f us" % tuple(times))
assert max(times[:2]) < 0.6 * times[2]

# Its arrays, made as ours, are those that its own functions make.
cupy.cuda.set_allocator(memory)
empty, made = cupy.empty((2, 5, 6, 3), "f4").transpose(0, 3, 1, 2), cupy.ndarray((2, 3, 5, 6), numpy.dtype("f4"))
assert (made.strides, made.flags.c_contiguous) == ((360, 120, 24, 4), True)
made = cupy.ndarray((2, 3, 5, 6), numpy.dtype("f4"), cupy.cuda.alloc(720), (360, 4, 72, 12))
assert (made.strides, made.flags.c_contiguous) == (empty.strides, empty.flags.c_contiguous)
assert str(cupy.cuda.get_current_stream.__doc__).startswith("get_current_stream(int device_id")
print(upsample.explain(numpy.zeros((1, 1, 4), numpy.float32), scale_factor=2))
"""


def test_it_compiles_a_program_and_has_what_the_backend_uses() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", f"CUPYS = {nvrtc.CUPYS}\n{CODE}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "- cuda: cannot run it: " in done.stdout
