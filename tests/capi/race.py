"""A race for ThreadSanitizer to find: two threads execute the same units into one output, with one scratch.

Run by `.ci/full races`, which wants it to be seen: without it, a clean run of the other tests says nothing.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import ctable

kernel = ctable.Kernel(ctable.work((1, 3, 64, 64), "float32", scale_factor=2.0, mode="bilinear"))
x = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
out = kernel.new_output(np.float32)
scratch = np.empty(kernel.info.scratch_bytes, np.uint8)
together = threading.Barrier(2)


def race() -> None:
    for _ in range(200):
        together.wait()
        kernel.execute(x.ctypes.data, out.ctypes.data, 0, kernel.info.units, scratch)


threads = [threading.Thread(target=race) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
