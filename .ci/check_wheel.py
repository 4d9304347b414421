"""The wheel holds what users need and stays small; the sdist holds the tests and docs as well."""

import sys
import tarfile
import zipfile
from pathlib import Path

wheel, sdist = sys.argv[1:]
names = zipfile.ZipFile(wheel).namelist()
size = Path(wheel).stat().st_size
print(f"{Path(wheel).name}: {size / 1e6:.2f} MB, {len(names)} files")
wanted = ["upsample/py.typed"]
wanted += [
    str(p)
    for kind in ("pyx", "pxd", "pyi", "h", "cu", "cuh", "cmake", "pc")
    for p in Path("upsample").rglob(f"*.{kind}")
]
assert {"upsample/include/upsample.h", "upsample/capi.pxd", "upsample/share/pkgconfig/upsample.pc"} <= set(wanted)
missing = [name for name in wanted if name not in names]
assert not missing, f"the wheel lacks {missing}"
assert not [n for n in names if n.endswith((".c", ".o"))], "the wheel holds C sources"
assert not [n for n in names if n.startswith(("tests/", "docs/", "asv_bench/"))], "the wheel holds tests"
assert size < 2e6, f"the wheel has {size} bytes"
with tarfile.open(sdist) as archive:
    packed = {n.partition("/")[2] for n in archive.getnames()}
wanted += ["docs/examples/cpp/CMakeLists.txt", "docs/examples/cython/pyproject.toml", "docs/examples/c/Makefile"]
for name in (
    *wanted,
    "tests/conftest.py",
    "tests/capi/fuzz.c",
    "tests/golden.npz",
    "docs/architecture.md",
    "upsample/_kernels/cpu/rows_avx2.c",
    "upsample/_kernels/cuda/kernel.cu",
    "tests/gpu/host/device.cuh",
    "tests/gpu/host/layout.cpp",
):
    assert name in packed, f"the sdist lacks {name}"
print(f"{Path(sdist).name}: {Path(sdist).stat().st_size / 1e6:.2f} MB")
