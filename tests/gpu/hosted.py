"""The project's .cu files compiled for the host: programs by the names that the backend gives them.

In: a program's name (``resample<f32, …>``).  Out: a function that runs a grid of it on host memory.  Programs are
compiled by g++ when they are first asked for, or many at once by `compile_all`; compiled ones are kept in a folder
that goes by the contents of the sources and the flags.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from upsample.backends._cuda import FOLDERS, PARAMS

HERE = Path(__file__).resolve().parent / "host"
# Contraction is off, as on the device; an explicit fma is one instruction.
FLAGS = [
    f"-DPARAMS_BYTES={PARAMS.itemsize}",
    *("-std=c++17", "-O1", "-fPIC", "-shared", "-ffp-contract=off", "-mfma"),
    *("-Wall", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-function", "-Wno-maybe-uninitialized"),
    *os.environ.get("UPSAMPLE_HOST_FLAGS", "").split(),
]
HEADERS = ("doubled", "gather", "resample", "wide", "window")
PER_FILE = 24  # programs that one compiler call makes

_functions: dict[str, Any] = {}


@cache
def folder() -> Path:
    """Where compiled programs are kept, until a source or a flag changes."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for source in (HERE, *FOLDERS[:2]):
        for path in sorted(source.glob("*.*")):
            digest.update(path.read_bytes())
    made = Path(tempfile.gettempdir()) / f"upsample-host-{os.getuid()}" / digest.hexdigest()[:16]
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made


def function(program: str) -> Any:
    """The host's ``run(grid, block, in, out, params)`` of a program."""
    if program not in _functions:
        compile_all([program])
    return _functions[program]


def compile_all(programs: Iterable[str], jobs: int = 2) -> int:
    """Compile what is not there yet, several programs to a file; how many there were to compile."""
    missing = []
    for program in dict.fromkeys(programs):
        if program in _functions:
            continue
        at = folder() / hashlib.sha256(program.encode()).hexdigest()[:24]
        if at.exists():  # names the library and the function in it
            library, _, name = at.read_text().partition(" ")
            _functions[program] = entry(folder() / library, name)
        else:
            missing.append(program)
    size = max(1, min(PER_FILE, -(-len(missing) // jobs)))
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(compile_some, [missing[i : i + size] for i in range(0, len(missing), size)]))
    return len(missing)


def compile_some(programs: list[str]) -> None:
    text = "#include <device.cuh>\n" + "".join(f'#include "{name}.cuh"\n' for name in HEADERS)
    for i, program in enumerate(programs):
        text += (
            f'extern "C" void run_{i}(const unsigned *grid, const unsigned *block, const char *in, char *out, '
            f"const kernel_params *p)\n{{ run_grid(grid, block, [&] {{ {program}(in, out, *p); }}); }}\n"
        )
    name = hashlib.sha256(text.encode()).hexdigest()[:24] + ".so"
    compile_file(text, folder() / name)
    for i, program in enumerate(programs):
        (folder() / hashlib.sha256(program.encode()).hexdigest()[:24]).write_text(f"{name} run_{i}")
        _functions[program] = entry(folder() / name, f"run_{i}")


def compile_file(text: str, target: Path) -> None:
    includes = [f"-I{f}" for f in (HERE, FOLDERS[0], FOLDERS[1])]
    partial = target.with_suffix(f".{os.getpid()}.{hashlib.sha256(text.encode()).hexdigest()[:8]}")
    command = ["g++", *FLAGS, *includes, "-x", "c++", "-", "-o", str(partial)]
    made = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[:4000]
    partial.replace(target)


def entry(library: Path, name: str) -> Any:
    made = getattr(ctypes.CDLL(str(library)), name)
    made.argtypes = [ctypes.c_void_p] * 5
    made.restype = None
    return made


def layout() -> dict[str, tuple[int, int]]:
    """Offset and size of every field of the kernels' parameters; "" is the whole."""

    class Field(ctypes.Structure):
        _fields_ = (("name", ctypes.c_char_p), ("offset", ctypes.c_int64), ("size", ctypes.c_int64))

    target = folder() / "layout.so"
    if not target.exists():
        compile_file((HERE / "layout.cpp").read_text(), target)
    table = (Field * 1000).in_dll(ctypes.CDLL(str(target)), "layout")
    made = {}
    for row in table:
        made[(row.name or b"").decode()] = (row.offset, row.size)
        if row.name is None:
            break
    return made
