"""NVRTC and nvdisasm without a GPU: cubins of kernels, what their build log says, what is in their code.

In: names of kernels, as the backend asks for them.  Out: a `Built` for each.  The compiler is called through its
C interface, from the wheel ``nvidia-cuda-nvrtc-cu12``; no CuPy, no driver.
"""

from __future__ import annotations

import ctypes
import functools
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hosted import HEADERS

from upsample.backends import _cuda as cuda
from upsample.backends._cuda import Program

CUPYS = ("-ftz=true",)  # the options that CuPy adds to everybody's: test_cupy.py sees that they are these
INCLUDES = "".join(f'#include "{name}.cuh"\n' for name in HEADERS)


@dataclass(frozen=True)
class Built:
    """One kernel of a cubin."""

    program: Program
    arch: str
    registers: int
    stack: int
    spills: int
    cubin: bytes
    entry: str


def wheel(*patterns: str) -> Path | None:
    """A file of NVIDIA's wheels."""
    spec = find_spec("nvidia")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for pattern in patterns:
            for found in sorted(Path(folder).glob(pattern)):
                return found
    return None


@functools.cache
def library() -> ctypes.CDLL | None:
    path = wheel("cuda_nvrtc/lib/libnvrtc.so.12", "cuda_nvrtc/lib/libnvrtc.so.*")
    return ctypes.CDLL(str(path)) if path else None


def version() -> str:
    """The compiler's version, or an empty string where there is none."""
    nvrtc = library()
    if nvrtc is None:
        return ""
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def compile_source(source: str, arch: str, options: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """Cubin and log of a program; ValueError with the log if it does not compile."""
    nvrtc = library()
    assert nvrtc is not None
    program = ctypes.c_void_p()
    flags = [*cuda.options(), *CUPYS, f"-arch={arch}", "--ptxas-options=-v", *options]
    array = (ctypes.c_char_p * len(flags))(*(f.encode() for f in flags))
    check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None))
    try:
        failed = nvrtc.nvrtcCompileProgram(program, len(flags), array)
        size = ctypes.c_size_t()
        check(nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
        log = ctypes.create_string_buffer(size.value)
        check(nvrtc.nvrtcGetProgramLog(program, log))
        text = log.value.decode()
        if failed:
            raise ValueError(text)
        check(nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)))
        cubin = ctypes.create_string_buffer(size.value)
        check(nvrtc.nvrtcGetCUBIN(program, cubin))
        return cubin.raw, text
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def check(code: int) -> None:
    if code:
        raise RuntimeError(f"NVRTC error {code}")


def build(programs: list[Program], arch: str) -> list[Built]:
    """Kernels by name, all in one program."""
    entry = 'extern "C" __global__ void __launch_bounds__(128, {})\nentry_{}(const char *__restrict__ in, '
    entry += "char *__restrict__ out, const PARAMETER kernel_params p) {{ {}(in, out, p); }}\n"
    source = INCLUDES + "".join(entry.format(p.blocks, i, p.name) for i, p in enumerate(programs))
    cubin, log = compile_source(source, arch)
    facts: dict[str, list[int]] = {}
    current = ""
    for line in log.splitlines():
        if found := re.search(r"Compiling entry function '(\w+)'", line):
            current = found[1]
        if found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            facts.setdefault(current, [int(found[1]), int(found[2]) + int(found[3])])
        if (found := re.search(r"Used (\d+) registers", line)) and current in facts:
            facts[current].append(int(found[1]))
    made = []
    for i, program in enumerate(programs):
        stack, spills, registers = facts[f"entry_{i}"]
        made.append(Built(program, arch, registers, stack, spills, cubin, f"entry_{i}"))
    return made
