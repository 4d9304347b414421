"""The header with strict compilers, the examples as their readers build them, and what build systems are told."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

import building
import numpy as np
import pytest
from building import EXAMPLES, INCLUDE, PATHS, SUFFIX, compile_strictly, need, run

import upsample
from upsample import config

HERE = Path(__file__).resolve().parent


def copied(name: str, folder: Path) -> Path:
    """An example in a folder of the test's own: nothing is built in the source tree."""
    return Path(shutil.copytree(EXAMPLES / name, folder / name))


# ---- the header -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("standard", ["c99", "c11", "c17"])
def test_the_header_in_c(standard: str, tmp_path: Path) -> None:
    """Two files of one module, of which one imports; codes without an import; the caller's exception survives."""
    flags = (f"-std={standard}", "-pedantic", "-O2", "-fPIC", "-shared")
    compile_strictly([HERE / "checks.c", HERE / "checks_other.c"], tmp_path / f"checks{SUFFIX}", *flags)
    said = building.python("import checks; print(checks.without_import(), checks.with_import())", tmp_path)
    text = "upsample_import() was not called in this program or module, or failed"
    assert said == f"{(1, 11, 11, 11, 1, text)} {(0, 1, 0)}\n"


@pytest.mark.parametrize("standard", ["c++11", "c++17", "c++20"])
def test_the_header_in_cpp(standard: str, tmp_path: Path) -> None:
    source = tmp_path / "twice.cpp"
    source.write_text(
        "#include <upsample.h>\n#include <upsample.h>\n"
        "int imported();\nint imported() {\n"
        "    upsample_work w = UPSAMPLE_WORK_INIT;\n    upsample_info i = UPSAMPLE_INFO_INIT;\n"
        "    return upsample_import() + int(w.struct_size + i.struct_size);\n}\n"
    )
    flags = (f"-std={standard}", "-pedantic", "-c")
    compile_strictly([source], tmp_path / "twice.o", *flags, variable="CXX")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("API_MINOR 0", "API_MINOR 7"),
        ("API_MAJOR 1", "API_MAJOR 2"),
        ("    int32_t fresh_output;\n", "    int32_t fresh_output;\n    int64_t from_the_future;\n"),
    ],
)
def test_another_version_is_an_import_error_that_names_both(old: str, new: str, tmp_path: Path) -> None:
    text = (Path(INCLUDE) / "upsample.h").read_text(encoding="utf-8")
    assert text.count(old) == 1
    text = text.replace(old, new)
    if "future" in new:
        text = text.replace(", 0, 0 }\n#define", ", 0, 0, 0 }\n#define")  # the initialiser has one more
    (tmp_path / "upsample.h").write_text(text, encoding="utf-8")
    flags = ("-std=c11", "-O1", "-fPIC", "-shared", "-pthread")
    compile_strictly([EXAMPLES / "c/frames.c"], tmp_path / f"frames{SUFFIX}", *flags, include=str(tmp_path))
    said = building.python("try: import frames\nexcept ImportError as error: print(error)", tmp_path)
    asked = {"API_MINOR 0": "1.7", "API_MAJOR 1": "2.0"}.get(old, "1.0")
    assert f"compiled with version {asked} of upsample's C interface" in said
    assert f"the installed upsample {upsample.__version__} has version 1.0" in said
    assert "install a matching upsample" in said


def test_the_lines_that_matter(tmp_path: Path) -> None:
    """The page's first block, as it stands there, in a function that doubles a frame."""
    page = (building.ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    lines = page.partition("```c\n")[2].partition("```")[0]
    assert len(lines.splitlines()) == 12
    source = tmp_path / "lines.c"
    source.write_text(
        "#include <Python.h>\n#include <upsample.h>\n"
        "static PyObject *f(PyObject *self, PyObject *args)\n{\n"
        "    unsigned long long x, y;\n    (void)self;\n"
        '    if (!PyArg_ParseTuple(args, "KK", &x, &y)) return NULL;\n'
        "    const float *in = (const float *)(uintptr_t)x;\n    float *out = (float *)(uintptr_t)y;\n"
        f"{lines}\n    Py_RETURN_NONE;\n}}\n"
        'static PyMethodDef methods[] = { { "f", f, METH_VARARGS, NULL }, { NULL, NULL, 0, NULL } };\n'
        'static struct PyModuleDef m = { PyModuleDef_HEAD_INIT, "lines", NULL, -1, methods, NULL, NULL, NULL, NULL };\n'
        "PyMODINIT_FUNC PyInit_lines(void)\n{\n"
        "    if (upsample_import() < 0) return NULL;\n    return PyModule_Create(&m);\n}\n"
    )
    compile_strictly([source], tmp_path / f"lines{SUFFIX}", "-std=c99", "-fPIC", "-shared")
    said = building.python(
        """
import numpy as np, lines, upsample
x = np.random.default_rng(0).random((1, 3, 1080, 1920), np.float32)
expected = upsample.interpolate(x, scale_factor=2, mode="bicubic")
out = np.zeros_like(expected)
lines.f(x.ctypes.data, out.ctypes.data)
print(np.array_equal(out, expected))
try:
    lines.f(x.ctypes.data, x.ctypes.data)
except RuntimeError as error:
    print(error)
""",
        tmp_path,
    )
    assert said == "True\ninput and output share memory\n"


def libpython() -> Path:
    """The library that programs with an embedded interpreter link with."""
    library = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("LDLIBRARY"))
    return Path(
        need(library.suffix == ".so" and library.is_file() and library, f"the library of this Python, {library},")
    )


@pytest.mark.tools
def test_kernels_outlive_the_interpreter(tmp_path: Path) -> None:
    library = libpython()
    flags = ("-std=c11", f"-Wl,-rpath,{library.parent}")
    program = compile_strictly([HERE / "after.c", library], tmp_path / "after", *flags)
    assert run([program]) == "11 1 Python has ended: kernels are made while it runs for the first time|0 1 2 4 6 8 9\n"


def test_subinterpreters_and_a_second_start(tmp_path: Path) -> None:
    library = libpython()
    flags = ("-std=c11", f"-Wl,-rpath,{library.parent}")
    program = compile_strictly([HERE / "interpreters.c", library], tmp_path / "interpreters", *flags)
    assert run([program, "sub"]) == "0 -1 1 0\n"
    assert run([program, "again"]) == "0 11 1 Python has ended: kernels are made while it runs for the first time\n"


def test_versions_are_compared_also_where_another_file_imported(tmp_path: Path) -> None:
    """Two files of one module: the first is of this version and imports, the second of a later one."""
    text = (Path(INCLUDE) / "upsample.h").read_text(encoding="utf-8")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "upsample.h").write_text(text.replace("API_MINOR 0", "API_MINOR 7"), encoding="utf-8")
    (tmp_path / "second.c").write_text(
        '#include "later/upsample.h"\nint second(void);\nint second(void) { return upsample_import(); }\n'
    )
    (tmp_path / "first.c").write_text(
        "#include <Python.h>\n#include <upsample.h>\nint second(void);\n"
        'static struct PyModuleDef m = { PyModuleDef_HEAD_INIT, "first", NULL, -1, NULL, NULL, NULL, NULL, NULL };\n'
        "PyMODINIT_FUNC PyInit_first(void)\n{\n"
        "    if (upsample_import() < 0 || second() < 0) return NULL;\n    return PyModule_Create(&m);\n}\n"
    )
    flags = ("-std=c11", "-O1", "-fPIC", "-shared")
    compile_strictly([tmp_path / "first.c", tmp_path / "second.c"], tmp_path / f"first{SUFFIX}", *flags)
    said = building.python("try: import first\nexcept ImportError as error: print(error)", tmp_path)
    assert "compiled with version 1.7 of upsample's C interface" in said
    assert "has version 1.0" in said


def test_what_goes_wrong_in_an_import_is_what_the_caller_sees(tmp_path: Path) -> None:
    """A missing table, and what keeps upsample from being imported, is an ImportError with its cause."""
    flags = ("-std=c11", "-O1", "-fPIC", "-shared")
    compile_strictly([HERE / "checks.c", HERE / "checks_other.c"], tmp_path / f"checks{SUFFIX}", *flags)
    said = building.python(
        """
import sys, types
import checks
import upsample
sys.modules["upsample._capi"] = upsample._capi = types.ModuleType("upsample._capi")
for _ in range(2):
    try:
        checks.with_import()
    except ImportError as error:
        print(error, "<-", type(error.__cause__).__name__, error.__cause__.__traceback__)
        print(str(error.__cause__) in str(error))
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "upsample._capi": raise now
sys.meta_path.insert(0, Finder())
del sys.modules["upsample._capi"]
for now in (KeyboardInterrupt("now"), ModuleNotFoundError("none")):
    try:
        checks.with_import()
    except BaseException as error:
        print(repr(error), error is now)
""",
        tmp_path,
    )
    lines = said.splitlines()
    assert lines[:2] == lines[2:4]
    assert lines[0].startswith("the installed upsample has no upsample._capi.table: ")
    assert lines[0].endswith(" <- AttributeError None")
    assert lines[1] == "True"
    assert lines[4:] == ["KeyboardInterrupt('now') True", "ModuleNotFoundError('none') True"]
    said = building.python(
        """
import os
import checks
os.environ["UPSAMPLE_SIMD"] = "garbage"
try:
    checks.with_import()
except ImportError as error:
    print(error)
    print(type(error.__cause__).__name__, error.__cause__.__traceback__ is not None)
""",
        tmp_path,
    )
    assert said.startswith("the installed upsample cannot be imported: the environment variable UPSAMPLE_SIMD must be")
    assert said.endswith("\nValueError True\n")


def test_shares_of_units(tmp_path: Path) -> None:
    """Every unit in one share, whatever the numbers; fewer parts than one are one."""
    source = tmp_path / "shares.c"
    source.write_text(
        "#define UPSAMPLE_NO_PYTHON\n#include <stdio.h>\n#include <upsample.h>\n"
        "int main(void)\n{\n"
        "    const int64_t units[] = { 0, 1, 7, 1000, INT64_MAX / 2 };\n"
        "    for (int i = 0; i < 5; i++)\n        for (int64_t parts = -1; parts < 20; parts++) {\n"
        "            const int64_t n = parts < 1 ? 1 : parts;\n"
        "            if (upsample_first_unit(units[i], 0, parts) != 0) return 1;\n"
        "            if (upsample_first_unit(units[i], n, parts) != units[i]) return 1;\n"
        "            for (int64_t t = 0; t < n; t++)\n"
        "                if (upsample_first_unit(units[i], t, parts) > upsample_first_unit(units[i], t + 1, parts))\n"
        "                    return 2;\n"
        '        }\n    puts("fine");\n    return 0;\n}\n'
    )
    program = compile_strictly(
        [source], tmp_path / "shares", "-std=c99", "-fsanitize=undefined", "-fno-sanitize-recover"
    )
    assert run([program]) == "fine\n"


def test_the_header_is_plain() -> None:
    """Compilers that take sources for another character set than UTF-8 read it as well."""
    assert (Path(INCLUDE) / "upsample.h").read_bytes().isascii()


# ---- Cython -----------------------------------------------------------------------------------------------


def cythonized(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    need(importlib.util.find_spec("Cython"), "Cython")
    (folder / "probe.pyx").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "cython", "-3", "-X", "boundscheck=False", "probe.pyx"],
        cwd=folder, env={**os.environ, "PYTHONPATH": PATHS}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.tools
def test_cython_refuses_an_import_without_the_gil(tmp_path: Path) -> None:
    done = cythonized(
        "from upsample.capi cimport *\ncdef int f() except -1 nogil:\n    return upsample_import()\n", tmp_path
    )
    assert done.returncode != 0
    assert "Calling gil-requiring function not allowed without gil" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["memset", "int64_t", "uint8_t", "stdint"])
def test_cython_users_get_no_other_names(name: str, tmp_path: Path) -> None:
    use = "cdef int64_t f(): return 0" if name.endswith("_t") else f"cdef object f(): return {name}"
    done = cythonized(f"from upsample.capi cimport *\n{use.replace('int64_t', name)}\n", tmp_path)
    assert name in done.stderr, done.stderr


def test_a_broadcast_view_in_cython_is_described_as_it_is(tmp_path: Path) -> None:
    """Its strides are all 0, and one sample is all that is read."""
    done = cythonized(
        """
from upsample.capi cimport *
upsample_import()
def described(const float[:, :] x):
    cdef upsample_work work
    cdef upsample_kernel *kernel
    cdef upsample_info info
    cdef char[400] message
    upsample_describe(&work, &x[0, 0], x.shape, x.strides, 2)
    work.layout[0], work.layout[1] = b"H", b"W"
    work.mode, work.given = UPSAMPLE_BILINEAR, UPSAMPLE_SCALE
    work.scale[0] = work.scale[1] = 2
    if upsample_create(&work, &kernel, message, sizeof(message)):
        return message.decode()
    info.struct_size = sizeof(info)
    upsample_query(kernel, &info)
    upsample_release(kernel)
    return info.in_bytes
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    run([building.compiler(), "-O0", "-fPIC", "-shared", "-w", f"-I{INCLUDE}", *building.python_includes(), "probe.c",
         "-o", f"probe{SUFFIX}"], tmp_path)  # fmt: skip
    said = building.python(
        """
import numpy as np, probe
one = np.ones((1, 1), np.float32)
print(probe.described(np.broadcast_to(one, (5, 1))), probe.described(np.ones((5, 4), np.float32)))
print(probe.described(np.broadcast_to(one, (5, 4))))
""",
        tmp_path,
    )
    assert said.startswith("4 80\naxis 1 is not dense")


def test_typed_memoryviews_of_every_c_name_of_a_type_are_described(tmp_path: Path) -> None:
    names = {
        "float": "f", "double": "d", "uint8_t": "B", "unsigned char": "B", "int8_t": "b", "signed char": "b",
        "char": "b", "uint16_t": "H", "unsigned short": "H", "int16_t": "h", "short": "h",
    }  # fmt: skip
    text = "from libc.stdint cimport int8_t, int16_t, uint8_t, uint16_t\nfrom upsample.capi cimport *\n"
    for i, name in enumerate(names):
        text += (
            f"def describe{i}(const {name}[:, :] x):\n    cdef upsample_work work\n"
            "    upsample_describe(&work, &x[0, 0], x.shape, x.strides, 2)\n    return work.dtype\n"
        )
    done = cythonized(text, tmp_path)
    assert done.returncode == 0, done.stderr
    run([building.compiler(), "-O0", "-fPIC", "-shared", "-w", f"-I{INCLUDE}", *building.python_includes(), "probe.c",
         "-o", f"probe{SUFFIX}"], tmp_path)  # fmt: skip
    said = building.python(
        f"import numpy as np, probe\nfor i, code in enumerate({[*names.values()]}):\n"
        "    print(getattr(probe, f'describe{i}')(np.zeros((2, 3), code)), end=' ')",
        tmp_path,
    )
    numbers = {"f": 0, "d": 1, "B": 4, "b": 5, "H": 6, "h": 7}  # upsample_dtype
    if sysconfig.get_platform().endswith(("aarch64", "armv7l")):
        names["char"] = "B"  # no sign there
    assert [int(word) for word in said.split()] == [numbers[code] for code in names.values()]


# ---- the examples -----------------------------------------------------------------------------------------


@pytest.mark.tools
@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_the_c_example(standard: str, tmp_path: Path) -> None:
    folder = copied("c", tmp_path)
    need(shutil.which("make"), "make")
    command = ["make", "-s", f"PYTHON={sys.executable}", f"STD={standard}", f"CC={building.compiler()}"]
    assert run(command, folder) == ""
    said = building.python(
        """
import frames, numpy as np, upsample
height, width, number = 50, 70, 3
y, x, c = np.ogrid[:height, :width, :3]
frame = ((x * (c + 1) + y * 7 + (number - 1) * 13) & 255).astype(np.uint8)
expected = upsample.interpolate(frame, scale_factor=2, mode="bilinear", layout="HWC").tobytes()
print(all(frames.run(height, width, number, threads) == expected for threads in (1, 2, 5, 64)))
for wrong in ((0, 5, 1, 1), (5, 5, 1, 0), (5, 5, 0, 1), (5, 5, -3, 1)):
    try:
        frames.run(*wrong)
    except ValueError as error:
        print(error)
""",
        folder,
    )
    lines = said.splitlines()
    assert lines[0] == "True"
    assert lines[1].startswith("Input and output sizes should be greater than 0")
    assert lines[2] == "threads must be from 1 to 64, got 0"
    assert lines[3:] == ["count must be at least 1, got 0", "count must be at least 1, got -3"]


@pytest.mark.tools
@pytest.mark.slow
def test_the_cpp_example(tmp_path: Path) -> None:
    folder = copied("cpp", tmp_path)
    cmake = need(shutil.which("cmake"), "cmake")
    compiler = building.compiler("CXX")
    libpython()
    where = run([sys.executable, "-P", "-m", "upsample.config", "--cmakedir"]).strip()
    run(
        [cmake, "-B", "build", f"-DPython_EXECUTABLE={sys.executable}", f"-Dupsample_DIR={where}",
         f"-DCMAKE_CXX_COMPILER={compiler}"],
        folder,
    )  # fmt: skip
    run([cmake, "--build", "build"], folder)
    program = folder / "build" / "enlarge"
    for threads in (0, 1, 3):
        assert run([program, "--slabs", threads]) == "slabs equal the whole\n"
    # more threads than there is room for: what cannot start is done by the caller
    limited = ["bash", "-c", 'ulimit -v 3000000; exec "$@"', "limited", program, "--slabs", 2000]
    assert run(limited) == "slabs equal the whole\n"
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    (folder / "in.ppm").write_bytes(b"P6\n53 37\n255\n" + picture.tobytes())
    run([program, "in.ppm", "out.ppm", 2.5, 3], folder)
    expected = upsample.interpolate(picture, scale_factor=2.5, mode="bicubic", layout="HWC")
    assert (folder / "out.ppm").read_bytes() == b"P6\n132 92\n255\n" + expected.tobytes()
    (folder / "huge.ppm").write_bytes(b"P6\n4611686018427387904 4611686018427387904\n255\n")
    for words, text in (
        (["huge.ppm", "out.ppm", "2", "1"], "enlarge: huge.ppm is too large"),
        (["in.ppm", "out.ppm", "0", "1"], "enlarge: Input and output sizes should be greater than 0"),
        (["none.ppm", "out.ppm", "2", "1"], "enlarge: none.ppm is no 8-bit binary PPM"),
        ([], "usage:"),
    ):
        done = subprocess.run(
            [program, *words], cwd=folder, env={**os.environ, "PYTHONPATH": PATHS}, capture_output=True, text=True
        )
        assert done.returncode in (1, 2)
        assert done.stderr.startswith(text)
    short = (EXAMPLES / "cpp" / "upsample.hpp").read_text().splitlines()
    assert len(short) <= 40


@pytest.mark.tools
@pytest.mark.slow
def test_the_cython_example(tmp_path: Path) -> None:
    need(importlib.util.find_spec("Cython"), "Cython")
    building.compiler()
    folder = copied("cython", tmp_path)
    flags = ["--no-build-isolation", "--no-deps"]  # the page has the same
    page = (building.ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    assert f"pip install {' '.join(flags)} docs/examples/cython" in page
    pip = [sys.executable, "-m", "pip", "install", "-q", *flags]
    run([*pip, "--no-index", "--target", "site", "."], folder, CC=building.compiler(), CFLAGS="-Wall -Wextra -Werror")
    said = building.python(
        """
import numpy as np, upsample
from upsample_in_prange import enlarge_stack
x = np.random.default_rng(0).random((5, 20, 30), np.float32)
expected = upsample.interpolate(x, scale_factor=1.5, mode="bicubic", layout="CHW")
print(all(np.array_equal(enlarge_stack(x, 1.5, threads), expected) for threads in (1, 2, 4)))
for wrong in ((x, 0.01, 1), (x, 2, 0), (x[:0], 2, 1)):
    try:
        enlarge_stack(*wrong)
    except ValueError as error:
        print(error)
# an image of a stack that cannot be allocated: its kernel is given back
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
y = np.zeros((100, 1, 30000), np.float32)
before = None
for _ in range(200):
    try:
        enlarge_stack(y, 20, 1)
    except MemoryError:
        before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # making the first takes 50 MB
    else:
        print("allocated")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000)
""",
        folder / "site",
    )
    assert said.startswith("True\nInput and output sizes should be greater than 0")
    assert said.endswith("\nthreads must be at least 1, got 0\nan empty stack\nTrue\n")


@pytest.mark.tools
def test_the_pybind11_example(tmp_path: Path) -> None:
    need(importlib.util.find_spec("pybind11"), "pybind11")
    import pybind11

    flags = ("-std=c++17", "-O0", "-fPIC", "-shared", "-fvisibility=hidden", f"-isystem{pybind11.get_include()}")
    source = EXAMPLES / "pybind11" / "doubled.cpp"
    compile_strictly([source], tmp_path / f"doubled{SUFFIX}", *flags, variable="CXX")
    said = building.python(
        """
import numpy as np, doubled, upsample
x = np.random.default_rng(0).random((2, 3, 9, 11), np.float32)
print(np.array_equal(doubled.doubled(x), upsample.interpolate(x, scale_factor=2, mode="bilinear")))
for wrong in (x[0, 0], x[:, :0], x[None, None, None, None, None]):
    try:
        doubled.doubled(wrong)
    except ValueError as error:
        print(str(error).partition(":")[0])
""",
        tmp_path,
    )
    assert said.splitlines()[0] == "True"
    assert len(said.splitlines()) == 4
    assert len(source.read_text().splitlines()) <= 30


@pytest.mark.tools
@pytest.mark.parametrize("tool", ["make", "cmake", "c++"])
def test_the_commands_of_the_page_build_the_examples(tool: str, tmp_path: Path) -> None:
    """As they stand there, in a folder like the clone's root: with `upsample` beside them, not built."""
    need(shutil.which(tool), tool)
    if tool == "c++":
        need(importlib.util.find_spec("pybind11"), "pybind11")
    page = (building.ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    (block,) = (b for b in page.split("```sh\n") if b.startswith("make"))
    (command,) = (line for line in block.partition("```")[0].splitlines() if line.startswith(tool))
    shutil.copytree(EXAMPLES, tmp_path / "docs" / "examples")
    (tmp_path / "upsample").mkdir()
    (tmp_path / "upsample" / "__init__.py").write_text("raise ImportError('the clone, not the installed package')\n")
    (tmp_path / "bin").mkdir()
    for name in ("python", "python3"):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    run(["bash", "-ec", command], tmp_path, PATH=f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    made = {
        "make": f"docs/examples/c/frames{SUFFIX}",
        "cmake": "build/cpp/enlarge",
        "c++": f"doubled{SUFFIX}",
    }
    assert (tmp_path / made[tool]).is_file()


# ---- build systems ----------------------------------------------------------------------------------------


def test_the_configuration_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert config.main(["--includes", "--includedir", "--cmakedir", "--pkgconfigdir", "--version"]) == 0
    flags, include, cmake, pkgconfig, version = capsys.readouterr().out.splitlines()
    assert shlex.split(flags)[-1] == f"-I{include}"
    assert any((Path(flag.removeprefix("-I")) / "Python.h").is_file() for flag in shlex.split(flags))
    assert include == upsample.get_include() == INCLUDE
    assert (Path(include) / "upsample.h").is_file()
    assert (Path(cmake) / "upsampleConfig.cmake").is_file()
    assert (Path(cmake) / "upsampleConfigVersion.cmake").is_file()
    assert (Path(pkgconfig) / "upsample.pc").is_file()
    assert version == upsample.__version__
    for wrong in ([], ["--unknown"], ["--include"], ["--v"]):
        with pytest.raises(SystemExit) as info:
            config.main(wrong)
        assert info.value.code == 2
    assert run([sys.executable, "-P", "-W", "error", "-m", "upsample.config", "--version"]) == f"{version}\n"


def test_flags_with_spaces_are_one_word_for_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(config, "get_include", lambda: "/some where/it's")
    assert config.main(["--includes"]) == 0
    assert shlex.split(capsys.readouterr().out)[-1] == "-I/some where/it's"


@pytest.fixture(params=["where it is installed", "moved elsewhere"])
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The package's folder; or a copy of what build systems read, which shows that no path is built in."""
    own = Path(upsample.__file__).resolve().parent
    if request.param == "where it is installed":
        return own
    moved = tmp_path / "some where else" / "upsample"
    for name in ("include", "share"):
        shutil.copytree(own / name, moved / name)
    shutil.copy(own / "_version.py", moved)
    return moved


@pytest.mark.tools
def test_pkg_config_finds_it(prefix: Path) -> None:
    tool = need(shutil.which("pkg-config"), "pkg-config")
    environment = {"PKG_CONFIG_PATH": str(prefix / "share" / "pkgconfig")}
    assert run([tool, "--modversion", "upsample"], **environment).strip() == upsample.__version__
    flags = run([tool, "--cflags", "upsample"], **environment).strip().replace("\\ ", " ")
    assert Path(flags.removeprefix("-I")).resolve() == (prefix / "include").resolve()
    assert run([tool, "--libs", "upsample"], **environment).strip() == ""


@pytest.mark.tools
@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("", True), ("0.1", True), ("0.1.0 EXACT", True), ("0.2", False), ("1.0", False),
        ("0.0.5...0.3", True), ("0.1...<0.2", True), ("0.1...0.1.0", True), ("0.0.5...<0.1.0", False),
        ("0.2...0.3", False), ("0.0.1...0.0.9", False), ("0", True), ("0 EXACT", False), ("0.0", False),
        ("0.0...<0.2", True), ("0...1", True), ("0...<0.1", False),
    ],
)  # fmt: skip
def test_cmake_finds_it(prefix: Path, version: str, found: bool, tmp_path: Path) -> None:
    cmake = need(shutil.which("cmake"), "cmake")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.19)\nproject(asks LANGUAGES NONE)\n"
        f"find_package(upsample {version} CONFIG)\n"
        "if(upsample_FOUND)\n"
        "  get_target_property(where upsample::upsample INTERFACE_INCLUDE_DIRECTORIES)\n"
        '  file(WRITE found.txt "${upsample_VERSION} ${upsample_API_VERSION} ${where}")\n'
        "endif()\n"
    )
    # as scikit-build-core sets it from the entry point `cmake.root`
    run([cmake, "-B", "build", f"-Dupsample_ROOT={prefix}"], tmp_path)
    answer = tmp_path / "found.txt"
    assert answer.is_file() is found
    if found:
        number, interface, where = answer.read_text().split(" ", 2)
        assert (number, interface) == (upsample.__version__, "1.0")
        assert Path(where).resolve() == (prefix / "include").resolve()


def test_entry_points_lead_to_the_folders() -> None:
    """What scikit-build-core and pkgconf read; `files` has to give one plain folder."""
    points = importlib.metadata.distribution("upsample").entry_points
    folders = {p.group: Path(str(files(p.load()))) for p in points if p.group in ("cmake.root", "pkg_config")}
    assert (folders["cmake.root"] / "share" / "cmake" / "upsample" / "upsampleConfig.cmake").is_file()
    assert (folders["pkg_config"] / "upsample.pc").is_file()


def test_the_pkg_config_file_has_the_version() -> None:
    text = (config.SHARE / "pkgconfig" / "upsample.pc").read_text()
    assert f"\nVersion: {upsample.__version__}\n" in text
