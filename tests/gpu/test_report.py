"""The report for a machine with a GPU: it says so where there is none, and all of it runs, seen on the stand-in."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import report
import standin


def test_without_a_gpu_nothing_is_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with standin.installed(devices=0):
        assert report.main(["--out", str(tmp_path / "made")]) == 2
    assert "no GPU was found, so nothing was run" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_all_of_it_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the stand-in, which only records: that the whole file works; its times mean nothing."""

    class Event:
        def record(self) -> None: ...

        def synchronize(self) -> None: ...

    class Module(standin.RawModule):
        def __init__(self, *, code: str, **keywords: Any) -> None:
            if "KERNEL" in code:
                super().__init__(code=code, **keywords)
            self.ceiling = "KERNEL" not in code

        def get_function(self, name: str) -> Any:
            return (lambda grid, block, args: None) if self.ceiling else super().get_function(name)

    with standin.installed(run=False):
        cupy: Any = sys.modules["cupy"]
        cupy.RawModule = Module
        cupy.cuda.Event = Event
        cupy.cuda.get_elapsed_time = lambda start, stop: 1.0
        cupy.cuda.runtime.driverGetVersion = cupy.cuda.runtime.runtimeGetVersion = lambda: 12090
        monkeypatch.setattr(shutil, "which", lambda name: None)
        monkeypatch.setattr(report, "torch_call", lambda *arguments: None)
        monkeypatch.setattr(report, "conformance", lambda *a: {"kit": "", "compared with the CPU": 0, "other bits": []})
        assert report.main(["--quick", "--out", str(tmp_path)]) == 0
    assert "stand-in 0" in capsys.readouterr().out
    made = json.loads((tmp_path / "report.json").read_text())
    assert made["sanitizer"] == dict.fromkeys(["memcheck", "racecheck"], "compute-sanitizer is not installed")
    assert len(made["cells"]) == 3 * 2 * (4 * 3 + 2)
    assert (tmp_path / "report.md").read_text().count("\n| (") == len(made["cells"])
