"""The comparison with peers, as a program: its arguments, the file of times, and taking up an earlier run's."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "asv_bench"
SCRIPT = FOLDER / "compare.py"
ONE, TWO = "f32-NCHW-1x3x16x16-x2-nearest", "f32-NCHW-1x3x16x16-x2-bilinear"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks are not in a source distribution")
QUICK = ("--quick", "--repeat", "1", "--budget", "0.001", "--threads", "1", "--peers")


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module, without the second that its ceilings take."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("upsample_compare", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.Ceilings, "measure", lambda: module.Ceilings(3e9, 2e9, 1e9))
    return module


def cells(*names: str) -> tuple[str, str]:
    return "--cells", f"^({'|'.join(names)})$"


def rows(file: Path) -> dict[str, Any]:
    return {row["cell"]: row for row in json.loads(file.read_text())["rows"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threads", "2000"], "--threads are from 1 to 1024"),
        (["--threads", "0"], "--threads are from 1 to 1024"),
        (["--cells", "["], "--cells is no regular expression"),
        (["--repeat", "0"], "--repeat starts at 1"),
        (["--budget", "nan"], "--budget is above 0"),
        (["--json", "nowhere/f.json"], "nowhere/f.json cannot be written"),
        (["--json", "."], "cannot be written"),
        (["--chart", "nowhere/f.svg"], "nowhere/f.svg cannot be written"),
        (["--add", "missing.json"], "no file that --json wrote (FileNotFoundError"),
        (["--add", "."], "no file that --json wrote (IsADirectoryError"),
        (["--add", "empty"], "no file that --json wrote (JSONDecodeError"),
        (["--add", "object"], "no file that --json wrote (KeyError"),
        (["--add", "list"], "no file that --json wrote (TypeError"),
    ],
)
def test_bad_arguments_are_refused_before_the_work(compare, capsys, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    for name, text in (("empty", ""), ("object", "{}"), ("list", "[]")):
        (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit) as info:
        compare.main(options)
    assert info.value.code == 2
    assert said in capsys.readouterr().err


def test_an_earlier_run_is_taken_up_where_it_was_asked_for(compare, capsys, tmp_path):
    file = tmp_path / "f.json"
    assert compare.main([*QUICK, *cells(ONE, TWO), "--json", str(file)]) == 0
    data = json.loads(file.read_text())
    assert data["build"] == compare.build()
    assert {"commit", "simd level", "pool limit", "openmp"} <= set(data)
    for row in data["rows"]:
        row["fresh"] |= {"upsample": 1e-9, "torch": 5e-9, "opencv": 7e-9}
        row["differs"] = {"opencv": "all of it"}
    data["versions"]["torch"] = "1.0"
    file.write_text(json.dumps(data))
    capsys.readouterr()
    assert compare.main([*QUICK, *cells(ONE), "--json", str(file), "--add", str(file)]) == 0
    said = capsys.readouterr().out
    assert "torch" not in said  # which was not asked for
    assert TWO not in said.partition("1 thread, ms")[2]
    made = rows(file)
    assert set(made) == {ONE, TWO}
    assert made[ONE]["fresh"]["upsample"] == 1e-9
    assert made[ONE]["fresh"]["torch"] == 5e-9
    assert made[ONE]["differs"] == {"opencv": "all of it"}
    assert json.loads(file.read_text())["versions"]["torch"] == "1.0"
    gradient = f"{ONE}-backward"
    assert compare.main([*QUICK, *cells(gradient), "--backward", "--json", str(file), "--add", str(file)]) == 0
    assert ONE not in capsys.readouterr().out.partition("1 thread, ms")[2].replace(gradient, "")
    assert set(rows(file)) == {ONE, TWO, gradient}


@pytest.mark.parametrize("name", ["cpu", "build", "simd level", "pool limit", "openmp", "numpy"])
def test_a_run_under_other_conditions_is_refused(compare, capsys, tmp_path, name):
    file = tmp_path / "f.json"
    assert compare.main([*QUICK, *cells(ONE), "--json", str(file)]) == 0
    data = json.loads(file.read_text())
    (data["versions"] if name == "numpy" else data)[name] = "another"
    file.write_text(json.dumps(data))
    capsys.readouterr()
    assert compare.main([*QUICK, *cells(ONE), "--add", str(file)]) == 2
    assert f"{name} another there, " in capsys.readouterr().err


def test_a_run_that_is_cut_off_is_kept(compare, tmp_path, monkeypatch):
    file, measure = tmp_path / "f.json", compare.measure

    def once(cell: Any, *rest: Any) -> Any:
        if file.exists():
            raise KeyboardInterrupt
        return measure(cell, *rest)

    monkeypatch.setattr(compare, "measure", once)
    with pytest.raises(KeyboardInterrupt):
        compare.main([*QUICK, *cells(ONE, TWO), "--json", str(file)])
    assert len(rows(file)) == 1
    assert os.listdir(tmp_path) == ["f.json"]


def test_the_configuration_has_the_number_of_threads_that_was_asked_for(compare, capsys):
    assert compare.main([*QUICK, *cells(ONE)]) == 0
    assert "threads      1\n" in capsys.readouterr().out


def test_a_load_beyond_the_processors_is_told(compare, monkeypatch):
    monkeypatch.setattr(compare.os, "getloadavg", lambda: (1e4, 0.0, 0.0), raising=False)
    assert "OTHERS ARE AT WORK" in compare.busy()
    monkeypatch.setattr(compare.os, "getloadavg", lambda: (0.0, 0.0, 0.0), raising=False)
    assert "OTHERS" not in compare.busy()


def test_a_reader_may_leave_early():
    command = [sys.executable, "-P", str(SCRIPT), "--list"]
    # (an empty part would be the current folder, whose upsample may not be built)
    paths = (str(FOLDER), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        error = process.stderr.read().decode()
    assert (process.returncode, error) == (0, "")
