"""Compilers for tests: what is there, and strict builds in a folder of the test's own.

With UPSAMPLE_TESTS_NEED_TOOLS=1 a missing tool is an error; else its tests are skipped.
"""

from __future__ import annotations

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


def need(found: Any, what: str) -> Any:
    """What was found; a skipped test where it is nothing."""
    if found:
        return found
    if os.environ.get("UPSAMPLE_TESTS_NEED_TOOLS") == "1":
        pytest.fail(f"{what} is missing")
    return pytest.skip(f"{what} is missing")


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
