"""What `setup.py` asks of a compiler, and what it says where it cannot build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import building
import pytest

ROOT = building.ROOT
pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(sys.platform == "win32", reason="the compilers here are shell scripts"),
    pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="the source tree is not here"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree without anything built."""
    building.package("Cython")
    building.package("setuptools")
    made = tmp_path_factory.mktemp("tree") / "source"
    names = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "upsample", made / "upsample", ignore=names)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "LICENSE-libgomp.txt"):
        shutil.copy(ROOT / name, made)
    return made


def build(tree: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tree, env={**os.environ, **environment}, capture_output=True, text=True, timeout=400,
    )  # fmt: skip


def script(folder: Path, text: str) -> str:
    """A compiler of our own."""
    made = folder / "compiler"
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return str(made)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0
    return done.stderr.strip().splitlines()[-1]


def test_without_a_compiler_one_sentence_says_what_to_install(tree: Path) -> None:
    line = last_line(build(tree, CC="no-such-compiler"))
    assert line.startswith("upsample: building needs a C compiler, and there is no `no-such-compiler`: install gcc")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("UPSAMPLE_BUILD_OPENMP", "yes", "must be 0 (without) or 1 (required), got 'yes'"),
        ("UPSAMPLE_BUILD_LEVELS", "avx2 sse", "may name avx512, avx2, baseline, got sse"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tree: Path, name: str, value: str, said: str) -> None:
    assert f"{name} {said}" in last_line(build(tree, **{name: value}))


def test_openmp_that_is_required_and_missing_is_an_error(tree: Path, tmp_path: Path) -> None:
    compiler = script(tmp_path, 'for a; do [ "$a" = -fopenmp ] && exit 1; done; exec gcc "$@"')
    assert "does not build a working program" in last_line(build(tree, CC=compiler, UPSAMPLE_BUILD_OPENMP="1"))


def test_a_compiler_that_always_changes_sums_is_refused(tree: Path, tmp_path: Path) -> None:
    assert "changes floating-point sums" in last_line(build(tree, CC=script(tmp_path, 'exec gcc -ffast-math "$@"')))


def test_a_processor_of_32_bits_is_refused(tree: Path, tmp_path: Path) -> None:
    # a compiler for one, as far as it is asked
    compiler = script(tmp_path, 'case "$*" in *-dM*) echo "#define __arm__ 1";; *) exec gcc "$@";; esac')
    assert "without 128-bit integers" in last_line(build(tree, CC=compiler))


@pytest.mark.slow
def test_fast_math_is_left_out_and_what_is_built_again_is_what_changed(tree: Path) -> None:
    flags = {"CFLAGS": "-O0 -ffast-math -Ofast", "UPSAMPLE_BUILD_LEVELS": "baseline"}
    done = build(tree, **flags)
    assert done.returncode == 0, done.stderr
    assert "is left out" in done.stdout
    code = "import sys, upsample; print(upsample._config.config()['simd levels'], sys.float_info.min / 2 > 0)"
    said = building.run([sys.executable, "-c", code], tree, PYTHONPATH=os.pathsep.join((str(tree), building.PATHS)))
    assert said.split() == [said.split()[0], "True"]
    assert said.startswith(("baseline", "neon"))

    def objects() -> dict[str, float]:
        return {path.name: path.stat().st_mtime for path in (tree / "build" / "objects").rglob("*.o")}

    first = objects()
    assert {"rows_avx512.o", "rows_avx2.o", "rows_baseline.o", "skeleton.o", "_axismap.o", "_capi.o"} == set(first)
    assert build(tree, **flags).returncode == 0
    assert objects() == first
    (tree / "upsample/_kernels/cpu/pool.h").touch()
    assert build(tree, **flags).returncode == 0
    assert {name for name, when in objects().items() if when != first[name]} == {"skeleton.o"}


def import_error(folder: Path) -> str:
    """What importing the package from a folder, or an archive, says."""
    code = "import sys\ntry:\n    import upsample\nexcept ImportError as error:\n    print(error)"
    # (without an editable installation, which would find what is missing here)
    return building.run([sys.executable, "-P", "-S", "-c", code], PYTHONPATH=str(folder))


def test_an_import_error_tells_its_real_reason(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "upsample", tmp_path / "tree" / "upsample", ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    assert "is a source tree. Run `pip install -e .` in it" in import_error(tmp_path / "tree")
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "tree")
    assert "is inside an archive" in import_error(Path(archive))
    (tmp_path / "tree" / "upsample" / "_axismap.abi3.so").write_bytes(b"no library")
    said = import_error(tmp_path / "tree")
    assert "_axismap.abi3.so" in said
    assert "source tree" not in said
