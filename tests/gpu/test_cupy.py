"""The real CuPy, as far as it goes without a GPU: its compiler takes our programs, its objects have what is used."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")

CODE = """
import cupy
from cupy.cuda import compiler
from upsample.backends import _cuda as cuda
program = cuda.Program("resample<f32,float,4,0,2,2,SINGLE,false>", 8)
includes = tuple(f"-I{folder}" for folder in cuda.FOLDERS)
options = (*cuda.OPTIONS, *includes, f"-DKERNEL={program.name}", f"-DBLOCKS={program.blocks}")
made, _ = compiler._NVRTCProgram(cuda.source(), "kernel.cu", (), (), method="cubin").compile((*options, "-arch=sm_90"))
assert b"upsample_kernel" in made
module = cupy.RawModule(code=cuda.source(), options=options, backend="nvrtc")
for owner, names in (
    (cupy, "ndarray empty asarray asnumpy RawModule"),
    (cupy.cuda, "Device ExternalStream Stream alloc get_current_stream nvrtc"),
    (cupy.cuda.runtime, "getDeviceCount getDevice streamIsCapturing"),
    (cupy.cuda.Stream, "synchronize begin_capture end_capture __enter__"),
    (cupy.cuda.Device, "attributes __enter__"),
):
    for name in names.split():
        assert hasattr(owner, name), name
import numpy, upsample
print(upsample.explain(numpy.zeros((1, 1, 4), numpy.float32), scale_factor=2))
"""


def test_it_compiles_a_program_and_has_what_the_backend_uses() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "- cuda: cannot run it: " in done.stdout
