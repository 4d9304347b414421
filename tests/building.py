"""Compilers and packages that tests can do without: what is there, and strict builds in a folder of the test's own.

With UPSAMPLE_TESTS_NEED_TOOLS=1 a missing one is an error; else its tests are skipped, for a reason that says what
would run them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import upsample

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
INCLUDE = upsample.get_include()
# The installed package and NumPy, for processes that are not this virtual environment's Python.
PATHS = os.pathsep.join(dict.fromkeys(str(Path(m.__file__).resolve().parent.parent) for m in (upsample, np)))


REQUIRED = os.environ.get("UPSAMPLE_TESTS_NEED_TOOLS") == "1"
# What installs a package, where that is not its name.
PACKAGES = {
    "torch": "torch==2.13.0",
    "cupy": "cupy-cuda12x",
    "nvrtc": "nvidia-cuda-nvrtc-cu12",
    "nvdisasm": "nvidia-cuda-nvdisasm",
}


def missing(name: str) -> str:
    """Why tests that need a package are skipped."""
    return f"{name} is missing: pip install {PACKAGES.get(name, name)}"


def need(found: Any, what: str) -> Any:
    """What was found; a skipped test where it is nothing."""
    if found:
        return found
    if REQUIRED:
        pytest.fail(f"{what} is missing")
    return pytest.skip(f"{what} is missing")


def package(name: str) -> Any:
    """An installed package, imported; a skipped test where it is missing."""
    return importlib.import_module(name) if REQUIRED else pytest.importorskip(name, reason=missing(name))


def cases_with(name: str, cases: Sequence[Any]) -> Sequence[Any]:
    """Cases of a test that needs a package; where it is missing, a single one that says so."""
    if REQUIRED or importlib.util.find_spec(name):
        return cases
    return [pytest.param(None, marks=pytest.mark.skip(reason=missing(name)), id="none")]


def compiler(variable: str = "CC") -> str:
    name = os.environ.get(variable) or {"CC": "gcc", "CXX": "g++"}[variable]
    return str(need(sys.platform != "win32" and shutil.which(name), f"the compiler {name}"))


def run(command: Sequence[Any], cwd: Path | None = None, **environment: str) -> str:
    """Standard output of a command that has to succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": PATHS, **environment},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python(code: str, cwd: Path) -> str:
    """Standard output of Python code in a process of its own that finds modules in `cwd`."""
    return run([sys.executable, "-c", code], cwd, PYTHONPATH=os.pathsep.join((str(cwd), PATHS)))


def python_includes() -> list[str]:
    """Python's own headers do not pass -Wconversion: they are taken as a system's."""
    return [f"-isystem{sysconfig.get_path(name)}" for name in ("include", "platinclude")]


def compile_strictly(
    sources: Sequence[Path], target: Path, *flags: str, variable: str = "CC", include: str = INCLUDE
) -> Path:
    """A program or, with ``-shared``, a module; any warning is an error."""
    run([compiler(variable), *STRICT, *flags, f"-I{include}", *python_includes(), *sources, "-o", target])
    return target
