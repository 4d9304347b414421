"""The report for a machine with a GPU: what it does where there is none, and its parts, seen on the stand-in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import building
import compare
import nvrtc
import pytest
import report
import standin

from upsample import testing
from upsample._kernels.cpu import skeleton

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
needs_fma_level = pytest.mark.skipif(skeleton.level() == "baseline", reason="this level has no FMA")


def test_without_a_gpu_nothing_is_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with standin.installed(devices=0):
        assert report.main(["--out", str(tmp_path / "made")]) == 2
    assert "nothing was run: CuPy finds no GPU: the driver lists no device" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()


def test_without_cupy_or_its_compiler_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail() -> None:
        raise RuntimeError("libnvrtc.so.12 not found")

    with standin.installed():
        cupy: Any = sys.modules["cupy"]
        cupy.cuda.nvrtc.getVersion = fail
        assert report.main(["--out", str(tmp_path / "made")]) == 2
    assert 'libnvrtc.so.12 not found): pip install "cupy-cuda12x[ctk]>=14"' in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "cupy", None)  # its import is a ModuleNotFoundError
    assert report.main(["--out", str(tmp_path / "made")]) == 2
    assert 'nothing was run: CuPy is not installed: pip install "cupy-cuda12x[ctk]>=14"' in capsys.readouterr().out
    assert not (tmp_path / "made").exists()


def test_a_file_in_the_folders_place_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full" / "report.md").mkdir(parents=True)
    monkeypatch.setattr(report, "measured", None)
    for out in (tmp_path / "file", tmp_path / "file" / "made", tmp_path / "full"):
        with standin.installed(), pytest.raises(SystemExit) as stopped:
            report.main(["--out", str(out)])
        assert stopped.value.code == 2
        assert "error: --out: " in capsys.readouterr().err


@needs_compiler
def test_what_fails_is_written_and_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise AssertionError("3 failed")

    with standin.installed(run=False):
        prepare(monkeypatch)
        monkeypatch.setattr(testing, "check_backend", fail)
        monkeypatch.setattr(compare, "evaluated_maps", lambda: None)
        monkeypatch.setattr(compare, "same_bits", lambda a, b: True)
        monkeypatch.setattr(compare, "many_planes", lambda *a: None)
        monkeypatch.setattr(testing, "random_cases", lambda count, seed: iter(()))
        monkeypatch.setattr(report, "grid", lambda quick: [((1, 2, 16, 32), "float32", False, "nearest", 2.0)])
        assert report.main(["--quick", "--out", str(tmp_path)]) == 1
        for name in ("environment", "ceilings", "host_cost", "timed"):
            monkeypatch.setattr(report, name, fail)
        monkeypatch.setattr(report, "sanitized", lambda tool: ("ERROR SUMMARY: 2 errors", tool == "racecheck"))
        first = (tmp_path / "report.md").read_text()
        assert report.main(["--quick", "--out", str(tmp_path)]) == 1
    assert "**the kit failed**: AssertionError: 3 failed" in first
    assert "\n| (1, 2, 16, 32)" in first
    made = json.loads((tmp_path / "report.json").read_text())
    assert [what.partition(":")[0] for what in made["failed"]] == [
        "environment", "conformance", "memcheck", "ceilings", "host cost", "{'shape'", "gradient, {'shape'"
    ]  # fmt: skip
    assert "**1 cells are missing" in (tmp_path / "report.md").read_text()


@needs_compiler
def test_errors_that_the_sanitizer_finds_make_the_report_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with standin.installed(run=False):
        prepare(monkeypatch)
        monkeypatch.setattr(report, "conformance", lambda *a: NOTHING)
        monkeypatch.setattr(report, "grid", lambda quick: [])
        for passed in (True, False):
            monkeypatch.setattr(report, "sanitized", lambda tool, passed=passed: ("ERROR SUMMARY", passed))
            assert report.main(["--quick", "--out", str(tmp_path)]) == (not passed)


class Event:
    def record(self) -> None: ...

    def synchronize(self) -> None: ...


class Module(standin.RawModule):
    """Ours as ever; the ceilings, which are not in this project's files, only by name."""

    def __init__(self, *, code: str, **keywords: Any) -> None:
        if "KERNEL" in code:
            super().__init__(code=code, **keywords)
        self.ceiling = "KERNEL" not in code

    def get_function(self, name: str) -> Any:
        return (lambda grid, block, args: None) if self.ceiling else super().get_function(name)


def prepare(patch: pytest.MonkeyPatch) -> Any:
    """The stand-in with what only the report uses."""
    cupy: Any = sys.modules["cupy"]
    cupy.RawModule = Module
    cupy.cuda.Event = Event
    cupy.cuda.get_elapsed_time = lambda start, stop: 1.0
    cupy.cuda.runtime.driverGetVersion = cupy.cuda.runtime.runtimeGetVersion = lambda: 12090
    patch.setattr(shutil, "which", lambda name: None)
    return cupy


NOTHING = {"kit": "", "compared with the CPU": 0, "other bits": []}


@needs_compiler
def test_everything_but_conformance_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the stand-in, which only records: times mean nothing."""
    with standin.installed(run=False):
        prepare(monkeypatch)
        monkeypatch.setattr(compare, "same_bits", lambda a, b: True)
        monkeypatch.setattr(report, "conformance", lambda *a: NOTHING)
        assert report.main(["--quick", "--out", str(tmp_path)]) == 0
    assert "stand-in 0" in capsys.readouterr().out
    made = json.loads((tmp_path / "report.json").read_text())
    assert made["sanitizer"] == dict.fromkeys(["memcheck", "racecheck"], "compute-sanitizer is not installed")
    assert made["environment"]["driver"].startswith("unknown")
    assert len(made["cells"]) == 3 * 2 * (4 * 3 + 2)
    assert made["cells missing"] == 0
    assert len(made["gradients"]) == 2 * 3 * 3
    assert (tmp_path / "report.md").read_text().count("\n| (") == len(made["cells"]) + len(made["gradients"])


@needs_compiler
def test_a_report_whose_time_is_over_says_so_and_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with standin.installed(run=False):
        prepare(monkeypatch)
        monkeypatch.setattr(report, "conformance", lambda *a: NOTHING)
        monkeypatch.setattr(report, "SECONDS", -1)
        assert report.main(["--quick", "--out", str(tmp_path)]) == 1
    assert "84 cells are missing" in (tmp_path / "report.md").read_text()
    assert "18 gradients are missing" in (tmp_path / "report.md").read_text()


@needs_compiler
@needs_fma_level
def test_conformance_compares_and_tells_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [c for c in testing.random_cases(6, seed=4, dtypes=("float32",)) if c.strides != "swapped"]
    kit = testing.check_backend
    monkeypatch.setattr(testing, "check_backend", lambda name, **k: kit(name, arrays=k["arrays"], cases=some))
    monkeypatch.setattr(testing, "random_cases", lambda count, seed: iter(some))
    with standin.installed():
        made = report.conformance(4, 100, 2)
        assert f"{len(some)} cases" in made["kit"]
        assert made["compared with the CPU"] == len(some) + 2
        assert made["other bits"] == []
        monkeypatch.setattr(compare, "same_bits", lambda a, b: False)
        assert len(report.conformance(4, 100, 2)["other bits"]) == len(some) + 2


@needs_compiler
def test_the_sanitizer_sees_every_kind_of_kernel() -> None:
    with standin.installed() as world:
        report.some_cases()
    seen = {r.program.partition("<")[0] for r in world.launches}
    assert seen == {
        "doubled", "doubled_bytes", "doubled_copy", "doubled_pixels", "gather", "resample", "wide", "window_bytes"
    }  # fmt: skip


@pytest.mark.tools
@pytest.mark.skipif(not nvrtc.version(), reason=building.missing("nvrtc"))
def test_the_ceilings_kernels_compile() -> None:
    assert nvrtc.compile_source(report.CEILINGS, "sm_90")


def test_what_the_sanitizer_runs_is_found_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(report.UNDER_SANITIZER, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 2) is done.stdout.startswith("nothing was run: "), done.stderr
    assert done.returncode in (0, 2), done.stderr


def test_what_the_sanitizer_and_the_driver_say_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (
        ("compute-sanitizer", "echo refused: no such device; exit 1"), ("nvidia-smi", "echo 575.51; echo 575.51")
    ):  # fmt: skip
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert report.sanitized("memcheck") == ("status 1: refused: no such device", False)
    for status, passed in ((0, True), (9, False)):
        (tmp_path / "compute-sanitizer").write_text(f"#!/bin/sh\necho first; echo last; exit {status}\n")
        assert report.sanitized("memcheck") == ("last", passed)
    with standin.installed(run=False), monkeypatch.context() as patch:
        which = shutil.which
        cupy = prepare(patch)
        patch.setattr(shutil, "which", which)
        assert report.environment(cupy)["driver"] == "575.51"
