"""Where the files for C and C++ are: ``python -P -m upsample.config --includes``.

In: options.  Out: one line for each, in this order, on standard output, and exit code 0; 2 for options that
there are not.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sysconfig
from pathlib import Path

from ._config import get_include
from ._version import __version__

SHARE = Path(__file__).resolve().parent / "share"


def main(arguments: list[str] | None = None) -> int:
    """Print what the options ask for."""
    parser = argparse.ArgumentParser(
        prog="python -P -m upsample.config", description="Paths for build systems.", allow_abbrev=False
    )
    answers = {
        "includes": ("compiler flags for Python.h and upsample.h", _joined([f"-I{folder}" for folder in includes()])),
        "includedir": ("the folder of upsample.h", get_include()),
        "cmakedir": ("the folder of upsampleConfig.cmake, for upsample_DIR", str(SHARE / "cmake" / "upsample")),
        "pkgconfigdir": ("the folder of upsample.pc, for PKG_CONFIG_PATH", str(SHARE / "pkgconfig")),
        "version": ("the version of upsample", __version__),
    }
    for name, (what, _) in answers.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    asked = vars(parser.parse_args(arguments))
    if not any(asked.values()):
        parser.error("name at least one option")
    for name, (_, answer) in answers.items():
        if asked[name]:
            print(answer)
    return 0


def _joined(words: list[str]) -> str:
    """One line for the shell: a folder may have a space in its name."""
    return shlex.join(words) if os.name == "posix" else subprocess.list2cmdline(words)


def includes() -> list[str]:
    """Folders of headers: Python's, of which there may be two, and ours."""
    paths = sysconfig.get_paths()
    return list(dict.fromkeys((paths["include"], paths["platinclude"], get_include())))


if __name__ == "__main__":
    raise SystemExit(main())
