"""The comparison with peers, as a program: its arguments, its cells, the file of times, and taking up an earlier run's.

The list of benchmarks, which asv writes, is held against what the benchmarks are, without asv.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import upsample

FOLDER = Path(__file__).resolve().parent.parent / "asv_bench"
SCRIPT = FOLDER / "compare.py"
ONE, TWO = "f32-NCHW-1x3x16x16-x2-nearest", "f32-NCHW-1x3x16x16-x2-bilinear"
FAMILIES = ("planes", "volumes", "means", "narrow", "pyramids")
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


@pytest.fixture
def grid(compare: Any) -> Any:
    """The module whose cells the script has."""
    return sys.modules["grid"]


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
        (["--family", "cubes"], "--family: invalid choice: 'cubes' (choose from"),
        (["--family"], "--family: expected at least one argument"),
        (["--family", "planes", "--quick"], "--quick has cells of its own"),
        (["--random", "3", "--quick"], "--quick has cells of its own"),
        (["--random", "0"], "--random is a number of cells, from 1"),
        (["--random", "many"], "--random: invalid int value: 'many'"),
        (["--random", "3", "--seed", "x"], "--seed: invalid int value: 'x'"),
        (["--seed", "1"], "--seed belongs to --random"),
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


def test_families_hold_their_cells(grid):
    assert tuple(grid.FAMILIES) == FAMILIES
    fixed = [cell for family in grid.FAMILIES.values() for cell in family.fixed]
    assert len({cell.name for cell in fixed}) == len(fixed)
    for name, family in grid.FAMILIES.items():
        assert [cell.name for cell in family.fixed if cell not in family] == []
        assert grid.family_names(name) == [cell.name for cell in family.fixed]
        for cell in (*family.fixed, *grid.gradients(family.fixed)):
            assert grid.BY_NAME[cell.name] == cell
    assert not any(cell in family for cell in grid.QUICK for family in grid.FAMILIES.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_drawn_cells_are_of_their_family(grid, family):
    kind, rng = grid.FAMILIES[family], random.Random(5)
    found = [grid.draw(family, rng) for _ in range(300)]
    assert {cell.dtype for cell in found} == set(kind.dtypes)
    assert {cell.method for cell in found} == set(kind.methods)
    assert {cell.layout for cell in found} == set(kind.axes)
    for cell in found:
        assert cell in kind
        assert min(cell.out_sizes) >= 1
        assert cell.out_shape == upsample.plan(cell.shape, "float32", **cell.keywords()).out_shape
        if family in ("planes", "volumes", "means"):
            assert cell.shape[0] * cell.shape[1] >= 16
        if family in ("planes", "narrow"):
            assert 3 <= cell.shape[3] <= 40
        if family == "means":
            assert set(cell.out_sizes) <= {1, 2, 3}
        if family == "pyramids":
            assert all(n == 2 * m for n, m in zip(cell.sizes, cell.out_sizes, strict=True))


def test_draws_are_the_same_for_the_same_seed(grid):
    drawn = grid.draws(FAMILIES, 40, 3)
    assert grid.draws(FAMILIES, 40, 3) == drawn
    assert grid.draws(FAMILIES, 40, 4) != drawn
    assert grid.draws(FAMILIES, 11, 3) == drawn[:11]
    assert len({cell.name for _, cell in drawn}) == 40
    assert grid.draws(["means"], 8, 3) == [pair for pair in drawn if pair[0] == "means"]
    backward = grid.draws(FAMILIES, 40, 3, backward=True)
    assert all(cell.backward and "float" in cell.dtype for _, cell in backward)
    for _, cell in (*drawn, *backward):
        assert grid.Cell.of(json.loads(json.dumps(asdict(cell)))) == cell


@pytest.mark.parametrize("backward", [[], ["--backward"]])
def test_cells_are_listed_as_they_will_be_drawn(compare, grid, capsys, backward):
    assert compare.main(["--random", "12", "--seed", "3", "--list", *backward]) == 0
    names = [cell.name for _, cell in grid.draws(FAMILIES, 12, 3, bool(backward))]
    said = capsys.readouterr()
    assert said.out.split() == names
    assert said.err == "--random 12 --seed 3\n"
    assert compare.main(["--random", "12", "--seed", "3", "--list", "--cells", "f16|area", *backward]) == 0
    assert capsys.readouterr().out.split() == [name for name in names if "f16" in name or "area" in name]
    assert compare.main(["--family", "means", "narrow", "--list", *backward]) == 0
    fixed = [name for family in ("means", "narrow") for name in grid.family_names(family, bool(backward))]
    assert capsys.readouterr().out.split() == fixed
    # (without a seed, the one that was taken is told, and no two are likely to be the same)
    assert compare.main(["--random", "12", "--list"]) == 0
    said = capsys.readouterr()
    assert compare.main([*said.err.split(), "--list"]) == 0
    assert capsys.readouterr().out == said.out


def test_drawn_cells_are_measured_and_taken_up_again(compare, capsys, tmp_path):
    file = tmp_path / "f.json"  # (of seeds without bfloat16, which needs ml_dtypes)
    few = ["--random", "3", "--seed", "8", "--budget", "0.01", "--repeat", "1", "--threads", "1"]
    assert compare.main([*few, "--json", str(file), "--peers"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("--random 3 --seed 8\n")
    assert said.index("\nbelow 1.3: 0 of 0 drawn cells") < said.index("\n1 thread, best peer / ours ")
    assert "\n  planes                       0 of 1       - " in said
    data = json.loads(file.read_text())
    assert [row["family"] for row in data["rows"]] == list(FAMILIES[:3])
    for row, ratio in zip(data["rows"], (0.5, 4, 1.25), strict=True):
        row["fresh"] = dict.fromkeys(row["fresh"], 1e-9) | {"torch": ratio * 1e-9}
        row["out"] = dict.fromkeys(row["out"], 1e-9) | {"torch": ratio * 1e-9}
    data["versions"]["torch"] = "1.0"
    file.write_text(json.dumps(data))
    names = [row["cell"] for row in data["rows"]]
    again = ["--json", str(file), "--add", str(file), "--peers"]
    assert compare.main([*few, *again]) == 0
    assert list(rows(file)) == names
    # (another seed's cells are put beside these)
    assert compare.main([*few[:3], "9", *few[4:], *again]) == 0
    made = rows(file)
    assert set(names) < set(made)
    assert len(made) == 6
    for name, family, ratio in zip(names, FAMILIES, (0.5, 4, 1.25), strict=False):
        assert made[name]["fresh"]["upsample"] == 1e-9
        assert made[name]["fresh"]["torch"] == ratio * 1e-9
        assert made[name]["family"] == family


def test_losses_come_first_then_families(compare, grid):
    made = []
    for (family, cell), ratio in zip(grid.draws(("planes", "means"), 6, 1), (0.5, 4, 1.25, 1.3, 8, 9), strict=True):
        times = {"upsample": 1.0, "copy": 1.0, "torch": ratio, "opencv": 0.1}
        made.append(compare.Row(cell, 1, family, times, dict(times), differs={"opencv": "all of it"}))
    first, second, third = compare.losses(made).splitlines()
    assert first == "below 1.3: 2 of 6 drawn cells that a peer does"
    assert second == f"   0.50 (fresh 0.50, out= 0.50)  {made[0].cell.name}  1 thread, planes, torch"
    assert third.split()[0] == "1.25"
    table = [line.split() for line in compare.by_family(made).splitlines()]
    assert table[0][:6] == ["1", "thread,", "best", "peer", "/", "ours"]
    found = {line[0]: line[1:] for line in table[1:]}
    mean = f"{(0.5 * 1.25 * 8) ** (1 / 3):.2f}"
    assert found["planes"] == ["3", "of", "3", mean, "0.50", mean, "0.50", made[0].cell.name]
    assert found["means"][:5] == ["3", "of", "3", f"{(4 * 1.3 * 9) ** (1 / 3):.2f}", "1.30"]
    assert set(found) == {"planes", "means", *(row.cell.method.removesuffix("-exact") for row in made[::2])}
    assert compare.by_family([compare.Row(made[0].cell, 1, fresh=times, out=times)]) == ""  # (of no family)


def test_the_list_of_benchmarks_is_in_step(grid):
    pytest.importorskip("ml_dtypes", reason="bfloat16 gradients are in the list")
    listed = json.loads((FOLDER / "results" / "benchmarks.json").read_text())
    for module in ("time_grid", "time_families"):
        classes = vars(importlib.import_module(f"benchmarks.{module}"))
        found = {
            f"{module}.{name}.{way}": [[repr(cell) for cell in part] for part in kind.params]
            for name, kind in classes.items()
            if isinstance(kind, type) and not name.startswith("_")
            for way in ("time_fresh", "time_out")
        }
        assert {name: about["params"] for name, about in listed.items() if name.startswith(f"{module}.")} == found


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
