"""The C interface beside Python calls: ``python asv_bench/embedding.py [--quick]``, with a C compiler at hand.

The same work on the same buffers at one thread, in turns, the least of many: a call of a plan into `out`, and
`upsample_execute` in a loop of C. Data are random; nothing is measured on zeros.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import upsample
from upsample.config import includes

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
import ctable  # noqa: E402  (the description's ctypes, which the tests compare with the header)

CELLS: tuple[tuple[tuple[int, ...], str, dict[str, Any]], ...] = (
    ((1, 3, 16, 16), "float32", {"scale_factor": 2, "mode": "bilinear"}),
    ((1, 3, 16, 16), "float32", {"scale_factor": 2, "mode": "nearest"}),
    ((1, 3, 1080, 1920), "float32", {"scale_factor": 2, "mode": "bilinear"}),
    ((1, 3, 1080, 1920), "float32", {"scale_factor": 2, "mode": "bicubic"}),
    ((1, 3, 1080, 1920), "float32", {"scale_factor": 2, "mode": "nearest"}),
    ((1080, 1920, 3), "uint8", {"scale_factor": 2, "mode": "bilinear", "layout": "HWC"}),
    ((1, 1, 128, 128, 128), "float32", {"scale_factor": 2, "mode": "trilinear"}),
    ((16, 64, 4096), "float32", {"scale_factor": 1.5, "mode": "linear"}),
)


def loop(folder: str) -> Any:
    """The module of embedding.c, compiled."""
    file = Path(folder) / f"embedding_loop{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = [f"-I{name}" for name in includes()]
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O2", "-fPIC", "-shared", *flags, HERE / "embedding.c", "-o", file], check=True)
    spec = importlib.util.spec_from_file_location("embedding_loop", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python_seconds(plan: Any, x: Any, out: Any, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        plan(x, out)
    return (time.perf_counter() - start) / repeats


def main() -> None:
    quick = sys.argv[1:] == ["--quick"]  # shows that it works
    with tempfile.TemporaryDirectory() as folder:
        module = loop(folder)
    print(f"level {upsample._config.skeleton.level()}, one thread, microseconds per call")
    print(f"{'work':<64} {'plan(x, out)':>12} {'execute':>10} {'ratio':>6}")
    with upsample.num_threads(1):
        for shape, dtype, arguments in CELLS[:2] if quick else CELLS:
            rng = np.random.default_rng(0)
            x = (rng.random(shape) * 255).astype(dtype)
            plan = upsample.plan(shape, np.dtype(dtype), **arguments)
            out = plan(x)
            work = ctable.work(shape, dtype, **arguments)
            repeats = 20000 if x.size < 10000 else 1
            python = c = 1e9
            for _ in range(1 if quick else 7 if repeats > 1 else 40):
                python = min(python, python_seconds(plan, x, out, repeats))
                c = min(c, module.best(ctypes.addressof(work), x.ctypes.data, out.ctypes.data, repeats, 1))
            what = f"{dtype} {shape} {arguments['mode']} x{arguments['scale_factor']}"
            print(f"{what:<64} {python * 1e6:12.3f} {c * 1e6:10.3f} {c / python:6.3f}")


if __name__ == "__main__":
    main()
