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
import numpy as np
import nvrtc
import pytest
import report
import standin

import upsample
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
        assert report.main(["--quick", "--random", "1", "--out", str(tmp_path)]) == 1
        for name in ("environment", "ceilings", "host_cost", "timed"):
            monkeypatch.setattr(report, name, fail)
        monkeypatch.setattr(report, "sanitized", lambda tool: ("ERROR SUMMARY: 2 errors", tool == "racecheck"))
        first = (tmp_path / "report.md").read_text()
        assert report.main(["--quick", "--random", "1", "--out", str(tmp_path)]) == 1
    assert "**the kit failed**: AssertionError: 3 failed" in first
    assert "\n| (1, 2, 16, 32)" in first
    made = json.loads((tmp_path / "report.json").read_text())
    assert [what.partition(":")[0] for what in made["failed"]] == [
        "environment", "conformance", "memcheck", "ceilings", "host cost", "{'shape'", "gradient, {'shape'",
        "random, {'family'",
    ]  # fmt: skip
    for what in ("cells", "gradients", "random cases"):
        assert f"**1 {what} are missing" in (tmp_path / "report.md").read_text()


@needs_compiler
def test_errors_that_the_sanitizer_finds_make_the_report_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with standin.installed(run=False):
        prepare(monkeypatch)
        monkeypatch.setattr(report, "conformance", lambda *a: NOTHING)
        monkeypatch.setattr(report, "grid", lambda quick: [])
        for passed in (True, False):
            monkeypatch.setattr(report, "sanitized", lambda tool, passed=passed: ("ERROR SUMMARY", passed))
            assert report.main(["--quick", "--random", "0", "--out", str(tmp_path)]) == (not passed)


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
    skipped = made["random cases without arrays"]  # where ml_dtypes is missing
    assert [c["family"] for c in made["random cases"]] == [
        f for f, c, _ in drawn(0, 5) if c.dtype != "bfloat16" or not skipped
    ]
    assert all(c["reason"] for c in made["random cases"])
    text = (tmp_path / "report.md").read_text()
    assert text.count("\n| (") == len(made["cells"]) + len(made["gradients"])
    assert " µs, without " in text
    assert "(the aim is 12)" in text
    assert "random cases (--random 5 --seed 0)\n" in text
    assert "No comparison, for PyTorch has none of these" in text


def drawn(seed: int, count: int) -> list[tuple[str, testing.Case, bool]]:
    families = [report.FAMILIES[i % len(report.FAMILIES)] for i in range(count)]
    return [(f, *report.draw(f, np.random.default_rng([seed, i]))) for i, f in enumerate(families)]


def test_the_draw_follows_from_the_seed_and_keeps_to_its_families() -> None:
    some = drawn(0, 500)
    assert some[:50] == drawn(0, 50)
    assert some[:50] != drawn(1, 50)
    for family, case, gradient in some:
        layout = case.arguments["layout"]
        sizes = dict(zip(layout, case.shape, strict=True))
        assert gradient is (family == "gradients")
        if family in ("small planes", "small volumes", "means"):
            assert sizes["N"] * sizes["C"] >= 16
        if family == "small planes":
            assert 3 <= sizes["W"] <= 40
            assert 3 <= sizes["H"] <= 60
        if family == "means":
            assert set(case.arguments["size"]) < {1, 2, 3}
        assert case.dtype != "uint8" or (case.arguments["mode"].startswith("nearest") and not gradient)
        assert case.output_size() <= 2**23
    seen = {(f, c.dtype) for f, c, _ in some} | {(f, c.arguments["mode"]) for f, c, _ in some}
    for what in ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "float16", "bfloat16", "uint8"):
        assert ("small planes", what) in seen, what
    assert {len(c.shape) for f, c, _ in some if f == "means"} == {4, 5}
    assert any(c.arguments.get("antialias") for _, c, _ in some)


@pytest.mark.tools
def test_pytorch_is_asked_for_the_same() -> None:
    torch = building.package("torch")
    for _, case, gradient in drawn(3, 60):
        if case.output_size() > 2**20:
            continue
        host = testing.Case(case.shape, "float32", case.arguments).array()
        given = {k: v for k, v in case.arguments.items() if k != "layout"}
        plan = upsample.plan(case.shape, np.float32, **case.arguments)
        last = case.arguments["layout"].endswith("C")
        tensor = report.tensor_of(torch, np.nan_to_num(host, posinf=1), last)
        want = torch.nn.functional.interpolate(tensor, **given)
        made = plan(np.nan_to_num(host, posinf=1))
        if gradient:
            shape, made = tuple(tensor.shape), plan.T(made)
            want = report.torch_adjoint(torch, want, shape, given)()
        made = np.moveaxis(made, -1, 1) if last else made
        np.testing.assert_allclose(made, want.numpy(), rtol=1e-4, atol=1e-4 * np.abs(made).max(), err_msg=str(case))


def test_losses_come_first_and_every_family_has_a_mean_and_a_worst() -> None:
    some = []
    for i, (family, case, gradient) in enumerate(drawn(0, 10)):
        about = {"family": family, "shape": case.shape, "dtype": case.dtype, **case.arguments, "gradient": gradient}
        ratio = {3: 0.5, 7: 0.25}.get(i, 4.0)
        some.append(about | {"ms": 0.5, "torch ms": 0.5 * ratio, "times torch": ratio, "reason": f"path {i}"})
    some[9]["times torch"] = None
    told = {"random cases": some, "random": 12, "seed": 0, "random cases without arrays": 2}
    lines = report.random_section(told)
    assert "## 10 random cases (--random 12 --seed 0)" in lines
    assert "- 2 of bfloat16 were left out: CuPy or ml_dtypes lacks it" in lines
    assert "PyTorch was faster in 2 of 9:" in lines
    losses = [line for line in lines if "path" in line]
    assert [line.rpartition("path ")[2] for line in losses] == ["7 |", "3 |"]
    assert report.case_text(some[7]) in losses[0]
    for row in (
        "| small planes | 2 | 4.00 | 4.00 |",
        "| means | 2 | 1.00 | 0.25 |",
        "| odd ratios | 2 | 1.41 | 0.50 |",
    ):
        assert any(line.startswith(row) for line in lines), row
    assert not any("path" in line for line in report.random_section(told | {"random cases": some[:2]}))


@needs_compiler
@needs_fma_level
def test_drawn_cases_have_the_cpus_bits() -> None:
    with standin.installed():
        for _, case, gradient in drawn(5, 15):
            if case.dtype == "bfloat16" or case.output_size() > 2**18:
                continue
            plan = upsample.plan(case.shape, np.dtype(case.dtype), **case.arguments)
            host = case.gradient(plan.out_shape) if gradient else case.array()
            plan = plan.T if gradient else plan
            assert compare.same_bits(plan(standin.asarray(host)).get(), plan(host)), case


@needs_compiler
def test_a_report_whose_time_is_over_says_so_and_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with standin.installed(run=False):
        prepare(monkeypatch)
        monkeypatch.setattr(report, "conformance", lambda *a: NOTHING)
        monkeypatch.setattr(report, "SECONDS", -1)
        assert report.main(["--quick", "--out", str(tmp_path)]) == 1
    assert "5 random cases are missing" in (tmp_path / "report.md").read_text()
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
