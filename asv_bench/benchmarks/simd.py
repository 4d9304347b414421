"""What does each SIMD level bring? ``UPSAMPLE_SIMD`` is read at import, so each runs in a process of its own."""

import json
import os
import subprocess
import sys

import grid

CHILD = """
import contextlib, io, json, sys, time
import grid, upsample

cell = grid.BY_NAME[sys.argv[1]]
text = io.StringIO()
with contextlib.redirect_stdout(text):
    upsample.show_config()
level = next(line.split()[-1] for line in text.getvalue().splitlines() if line.startswith("simd level "))
upsample.set_num_threads(1)
x, keywords = cell.data(), cell.keywords()
out = upsample.interpolate(x, **keywords)
times = []
for _ in range(20):
    start = time.perf_counter()
    upsample.interpolate(x, **keywords, out=out)
    times.append(time.perf_counter() - start)
print(json.dumps({"level": level, "seconds": min(times)}))
"""


class SimdLevels:
    """The best of twenty calls; n/a where the CPU or the build lacks the level (the variable is only a cap)."""

    params = (
        [
            "f32-NCHW-1x3x512x512-x1.5-bilinear",
            "f32-NCHW-8x64x64x64-x2-bicubic",
            "f32-HWC-512x512x3-x2-bilinear",
            "f16-NCHW-8x64x64x64-x2-bilinear",
            "u8-HWC-1080x1920x3-x1.5-bilinear",
            "u8-HWC-1080x1920x3-x0.5-bicubic-aa",
            "f32-NCHW-1x3x1080x1920-x0.5-bilinear-aa",
        ],
        ["baseline", "avx2", "avx512"],
    )
    param_names = ("cell", "level")
    unit = "seconds"

    def track_out(self, name, level):
        paths = os.pathsep.join([os.path.dirname(grid.__file__), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        made = subprocess.run(
            [sys.executable, "-c", CHILD, name],
            env={**os.environ, "UPSAMPLE_SIMD": level, "PYTHONPATH": paths},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        found = json.loads(made.stdout)
        return found["seconds"] if found["level"] == level else float("nan")
