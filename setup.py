"""Only what setuptools needs code for: the extensions, a library per SIMD level, OpenMP.

Metadata lives in pyproject.toml.
"""

import glob
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor

from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext

KERNELS = "upsample/_kernels/cpu"
INCLUDE = "upsample/include"
HEADERS = sorted(glob.glob(f"{KERNELS}/*.h") + glob.glob(f"{INCLUDE}/*.h"))
WINDOWS = sys.platform == "win32"

# No contraction: a fused multiply-add stands only where the sources write one.
FLAGS = ["-O3", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
CFLAGS = os.environ.get("CFLAGS", "").split()
if "-g" not in CFLAGS:
    FLAGS.append("-g0")  # debug information would be two thirds of the wheel
FLAGS += [flag for flag in CFLAGS if flag in ("-O0", "-O1")]  # sanitizers take minutes a file at -O3
LEVELS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma", "-mf16c", "-mbmi2"],
    "avx512": [
        "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vbmi", "-mavx2", "-mfma", "-mf16c", "-mbmi2",
        "-mprefer-vector-width=512",
    ],
}  # fmt: skip

PROBE = """
#include <stdio.h>
#ifdef _OPENMP
#include <omp.h>
#endif
int main(void)
{
    int count = 0;
#ifdef _OPENMP
    #pragma omp parallel num_threads(2) reduction(+ : count)
    count += 1;
#endif
    printf("%d", count);
    return 0;
}
"""


def compiler():
    """The C compiler command that the extensions are built with."""
    if WINDOWS:
        return ["clang"]
    return (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()


def flags_for(flags):
    """GNU-style flags as the build's compiler spells them."""
    return [f"/clang:{flag}" for flag in flags] if WINDOWS else flags


def use_clang_cl(command):
    """On Windows the sources need clang (128-bit integers, GNU attributes), so clang-cl replaces cl."""
    if not WINDOWS:
        return []
    clang = shutil.which("clang-cl")
    if clang is None:
        raise SystemExit("upsample: building on Windows needs clang-cl: install LLVM and put it on PATH")
    command.compiler.initialize()
    command.compiler.cc = clang
    found = subprocess.run(["clang", "--print-libgcc-file-name", "--rtlib=compiler-rt"], capture_output=True, text=True)
    return [found.stdout.strip()]


def works(flags, run=False):
    """Whether a small program compiles with the flags (and, with `run`, starts two OpenMP threads)."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "probe.c"), os.path.join(folder, "probe")
        with open(source, "w") as f:
            f.write(PROBE)
        try:
            command = [*compiler(), source, "-o", program, *flags]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            if run:
                said = subprocess.run([program], check=True, capture_output=True, timeout=60).stdout
                return int(said) >= 2
        except (OSError, ValueError, subprocess.SubprocessError):
            return False
    return True


def openmp_flags():
    if os.environ.get("UPSAMPLE_BUILD_OPENMP") == "0":
        print("upsample: OpenMP switched off by UPSAMPLE_BUILD_OPENMP=0; calls will run on one thread")
        return []
    if WINDOWS:
        print("upsample: OpenMP is not used on Windows; calls will run on one thread")
        return []
    if works(["-fopenmp"], run=True):
        print("upsample: OpenMP works with -fopenmp; calls will use several threads")
        return ["-fopenmp"]
    print(
        f"upsample: `{' '.join(compiler())} -fopenmp` does not build a working program; calls will run on one thread. "
        "Install your compiler's OpenMP library (libgomp for gcc, libomp for clang) and build again for threads."
    )
    return []


def level_flags(name):
    x86 = platform.machine().lower() in ("x86_64", "amd64") and "arm64" not in os.environ.get("ARCHFLAGS", "")
    flags = LEVELS[name]
    if not flags or not x86:
        return []
    if not works(flags):
        print(f"upsample: the compiler lacks {' '.join(flags)}; SIMD level {name} is left out")
        return []
    return flags


class BuildLibraries(build_clib):
    """Static libraries that end up in shared objects, rebuilt when a header changes."""

    def build_libraries(self, libraries):
        use_clang_cl(self)
        for _, info in libraries:
            info["obj_deps"] = {"": HEADERS}
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # one compiler each
            list(pool.map(lambda library: super(BuildLibraries, self).build_libraries([library]), libraries))


class BuildExtensions(build_ext):
    """Extensions, with the compiler that the libraries were built with."""

    def build_extensions(self):
        objects = use_clang_cl(self)
        for extension in self.extensions:
            extension.extra_objects += objects
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()


def extensions():
    import numpy
    from Cython.Build import cythonize

    openmp = openmp_flags()
    common = {
        "include_dirs": [KERNELS, INCLUDE, numpy.get_include()],
        "define_macros": [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        "depends": HEADERS,
    }
    return cythonize(
        [
            Extension("upsample._axismap", ["upsample/_axismap.pyx"], extra_compile_args=flags_for(FLAGS), **common),
            Extension(
                "upsample._kernels.cpu.skeleton",
                [f"{KERNELS}/skeleton.pyx"],
                extra_compile_args=flags_for(FLAGS) + openmp,
                extra_link_args=openmp,
                **common,
            ),
            Extension("upsample._capi", ["upsample/_capi.pyx"], extra_compile_args=flags_for(FLAGS), **common),
        ],
        language_level=3,
    )


setup(
    ext_modules=extensions(),
    libraries=[
        (
            f"upsample_rows_{name}",
            {
                "sources": [f"{KERNELS}/rows_{name}.c"],
                "include_dirs": [KERNELS],
                "cflags": flags_for(FLAGS + level_flags(name)),
            },
        )
        for name in LEVELS
    ],
    cmdclass={"build_clib": BuildLibraries, "build_ext": BuildExtensions},
)
