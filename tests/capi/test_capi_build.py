"""The header with strict compilers, the examples as their readers build them, and what build systems are told."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
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
    """The page's first block, as it stands there, in a function."""
    page = (building.ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    lines = page.partition("```c\n")[2].partition("```")[0]
    assert len(lines.splitlines()) == 12
    source = tmp_path / "lines.c"
    source.write_text(
        "#include <upsample.h>\nPyObject *f(const float *in, float *out, char *scratch);\n"
        f"PyObject *f(const float *in, float *out, char *scratch)\n{{\n{lines}\n"
        "upsample_release(kernel);\nPy_RETURN_NONE;\n}\n"
    )
    compile_strictly([source], tmp_path / "lines.o", "-std=c99", "-c")


def libpython() -> Path:
    """The library that programs with an embedded interpreter link with."""
    library = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("LDLIBRARY"))
    return Path(
        need(library.suffix == ".so" and library.is_file() and library, f"the library of this Python, {library},")
    )


def test_kernels_outlive_the_interpreter(tmp_path: Path) -> None:
    library = libpython()
    flags = ("-std=c11", f"-Wl,-rpath,{library.parent}")
    program = compile_strictly([HERE / "after.c", library], tmp_path / "after", *flags)
    assert run([program]) == "11 1 Python has ended: kernels are made while it runs|0 1 2 4 6 8 9\n"


# ---- the examples -----------------------------------------------------------------------------------------


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
for wrong in ((0, 5, 1, 1), (5, 5, 1, 0)):
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
    for threads in (1, 3):
        assert run([program, "--slabs", threads]) == "slabs equal the whole\n"
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    (folder / "in.ppm").write_bytes(b"P6\n53 37\n255\n" + picture.tobytes())
    run([program, "in.ppm", "out.ppm", 2.5, 3], folder)
    expected = upsample.interpolate(picture, scale_factor=2.5, mode="bicubic", layout="HWC")
    assert (folder / "out.ppm").read_bytes() == b"P6\n132 92\n255\n" + expected.tobytes()
    for words, text in (
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


def test_the_cython_example(tmp_path: Path) -> None:
    need(importlib.util.find_spec("Cython"), "Cython")
    building.compiler()
    folder = copied("cython", tmp_path)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    run([*pip, "--target", "site", "."], folder, CC=building.compiler(), CFLAGS="-Wall -Wextra -Werror")
    said = building.python(
        """
import numpy as np, upsample
from upsample_in_prange import enlarge_stack
x = np.random.default_rng(0).random((5, 20, 30), np.float32)
expected = upsample.interpolate(x, scale_factor=1.5, mode="bicubic", layout="CHW")
print(all(np.array_equal(enlarge_stack(x, 1.5, threads), expected) for threads in (1, 2, 4)))
try:
    enlarge_stack(x, 0.01, 1)
except ValueError as error:
    print(error)
""",
        folder / "site",
    )
    assert said.startswith("True\nInput and output sizes should be greater than 0")


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


# ---- build systems ----------------------------------------------------------------------------------------


def test_the_configuration_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert config.main(["--includes", "--includedir", "--cmakedir", "--pkgconfigdir", "--version"]) == 0
    flags, include, cmake, pkgconfig, version = capsys.readouterr().out.splitlines()
    assert flags.split()[-1] == f"-I{include}"
    assert any((Path(flag.removeprefix("-I")) / "Python.h").is_file() for flag in flags.split())
    assert include == upsample.get_include() == INCLUDE
    assert (Path(include) / "upsample.h").is_file()
    assert (Path(cmake) / "upsampleConfig.cmake").is_file()
    assert (Path(cmake) / "upsampleConfigVersion.cmake").is_file()
    assert (Path(pkgconfig) / "upsample.pc").is_file()
    assert version == upsample.__version__
    for wrong in ([], ["--unknown"]):
        with pytest.raises(SystemExit) as info:
            config.main(wrong)
        assert info.value.code == 2
    assert run([sys.executable, "-P", "-W", "error", "-m", "upsample.config", "--version"]) == f"{version}\n"


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


def test_pkg_config_finds_it(prefix: Path) -> None:
    tool = need(shutil.which("pkg-config"), "pkg-config")
    environment = {"PKG_CONFIG_PATH": str(prefix / "share" / "pkgconfig")}
    assert run([tool, "--modversion", "upsample"], **environment).strip() == upsample.__version__
    flags = run([tool, "--cflags", "upsample"], **environment).strip().replace("\\ ", " ")
    assert Path(flags.removeprefix("-I")).resolve() == (prefix / "include").resolve()
    assert run([tool, "--libs", "upsample"], **environment).strip() == ""


@pytest.mark.parametrize(
    ("version", "found"), [("", True), ("0.1", True), ("0.1.0 EXACT", True), ("0.2", False), ("1.0", False)]
)
def test_cmake_finds_it(prefix: Path, version: str, found: bool, tmp_path: Path) -> None:
    cmake = need(shutil.which("cmake"), "cmake")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(asks LANGUAGES NONE)\n"
        f"find_package(upsample {version} CONFIG)\n"
        "if(upsample_FOUND)\n"
        "  get_target_property(where upsample::upsample INTERFACE_INCLUDE_DIRECTORIES)\n"
        '  file(WRITE found.txt "${upsample_VERSION} ${where}")\n'
        "endif()\n"
    )
    # as scikit-build-core sets it from the entry point `cmake.root`
    run([cmake, "-B", "build", f"-Dupsample_ROOT={prefix}"], tmp_path)
    answer = tmp_path / "found.txt"
    assert answer.is_file() is found
    if found:
        number, _, where = answer.read_text().partition(" ")
        assert number == upsample.__version__
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
