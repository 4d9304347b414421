"""`import upsample` costs at most 60 ms beyond NumPy's own import and imports no framework."""

import subprocess
import sys

CODE = """
import time, sys
import numpy
t = time.perf_counter()
import upsample
print(time.perf_counter() - t)
assert not {"torch", "cupy"} & set(sys.modules), "a framework was imported"
"""

best = min(
    float(subprocess.run([sys.executable, "-P", "-c", CODE], check=True, capture_output=True, text=True).stdout)
    for _ in range(7)
)
print(f"import upsample: {best * 1e3:.1f} ms beyond numpy")
sys.exit(best > 0.060)
