"""Only what setuptools needs code for: three extensions, and the row primitives once per SIMD level.

Metadata lives in pyproject.toml.  Everything that depends on the processor or on OpenMP is asked of the compiler that
setuptools will run, never of the machine that runs it, so that cross builds are right.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

KERNELS = "upsample/_kernels/cpu"
INCLUDE = "upsample/include"
OBJECTS = "build/objects"  # kept between builds of any kind
WINDOWS = sys.platform == "win32"

# No contraction: a fused multiply-add stands only where the sources write one.
FLAGS = [
    "-O3", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden",
]  # fmt: skip
# The longest to compile first: the others fill the time that is left.
LEVELS = {
    "avx512": [
        "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vbmi", "-mavx2", "-mfma", "-mf16c", "-mbmi2",
        "-mprefer-vector-width=512",
    ],
    "avx2": ["-mavx2", "-mfma", "-mf16c", "-mbmi2"],
    "baseline": [],
}  # fmt: skip
CFLAGS = os.environ.get("CFLAGS", "").split()
if not any(flag.startswith("-g") and flag != "-g0" for flag in CFLAGS):
    FLAGS.append("-g0")  # debug information would be two thirds of the wheel
FLAGS += [flag for flag in CFLAGS if flag in ("-O0", "-O1")]  # sanitizers take minutes a file at -O3
# They change sums, and gcc links code that flushes subnormals to zero in the whole process.
UNSAFE_MATH = {
    "-Ofast", "-ffast-math", "-funsafe-math-optimizations", "-ffinite-math-only", "-fassociative-math",
    "-freciprocal-math", "-fno-signed-zeros",
}  # fmt: skip
# One file for every CPython from this version on; a free-threaded one has no such interface yet.
LIMITED_API = None if sysconfig.get_config_var("Py_GIL_DISABLED") or sys.implementation.name != "cpython" else (3, 11)

OPENMP_PROGRAM = """
#include <omp.h>
int main(void)
{
    int count = 0;
    #pragma omp parallel num_threads(2) reduction(+ : count)
    count += 1;
    return count == 2 ? 0 : 1;
}
"""
OPENMP_SPELLINGS = (["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])  # the second is Apple's


def say(text):
    print(f"upsample: {text}", flush=True)


def end(text):
    raise SystemExit(f"upsample: {text}")


class Toolchain:
    """What the compiler that setuptools is about to run makes, and the flags that it takes."""

    def __init__(self, compiler):
        if WINDOWS:
            self.compile, self.link = ["clang"], ["clang"]
        else:
            refused = UNSAFE_MATH.intersection(compiler.compiler_so)
            if refused:
                say(f"{' '.join(refused)} is left out: results would change, here and elsewhere in the process")
            for name in ("compiler", "compiler_so", "linker_so", "linker_exe"):
                setattr(compiler, name, [word for word in getattr(compiler, name) if word not in refused])
            self.compile, self.link = compiler.compiler_so, compiler.linker_exe
        self.architectures = re.findall(r"-arch (\S+)", " ".join(self.compile)) or [None]
        self.macros = {name: self.ask(name) for name in self.architectures}
        for macros in self.macros.values():
            if "__SIZEOF_INT128__" not in macros:
                end(f"`{self.compile[0]}` makes code for a processor without 128-bit integers; a 64-bit one is needed")
            if "__FAST_MATH__" in macros or macros.get("__FINITE_MATH_ONLY__") == "1":
                end(f"`{' '.join(self.compile)}` changes floating-point sums: build without -ffast-math and its kin")

    def ask(self, architecture):
        """The macros that the compiler defines."""
        # (of several targets it can tell one at a time)
        words = iter(self.compile)
        command = [word for word in words if word != "-arch" or not next(words)]
        command += ["-arch", architecture] if architecture else []
        try:
            text = subprocess.run(
                [*command, "-dM", "-E", "-x", "c", os.devnull], check=True, capture_output=True, text=True
            )
        except OSError:
            end(
                f"building needs a C compiler, and there is no `{command[0]}`: install gcc or clang (on Debian: "
                "apt install gcc), or name yours in the variable CC, then try again"
            )
        except subprocess.CalledProcessError as error:
            end(f"`{' '.join(command)}` does not compile: {error.stderr.strip()}")
        return dict(re.findall(r"#define (\w+) (.*)", text.stdout))

    def flags(self, level):
        """Flags of a SIMD level, or an empty list where no target has it."""
        x86 = [name for name, macros in self.macros.items() if "__x86_64__" in macros]
        flags = LEVELS[level]
        if not flags or not x86:
            return []
        if x86 != self.architectures:
            flags = [word for flag in flags for word in (f"-Xarch_{x86[0]}", flag)]
        if not self.builds("int main(void) { return 0; }", flags):
            say(f"the compiler lacks {' '.join(flags)}; SIMD level {level} is left out")
            return []
        return flags

    def builds(self, program, flags, libraries=(), run=False):
        """Whether a program can be built and, with `run`, returns 0; one for another machine need only be built."""
        with tempfile.TemporaryDirectory() as folder:
            source, made, result = (os.path.join(folder, name) for name in ("probe.c", "probe.o", "probe"))
            Path(source).write_text(program)
            try:
                subprocess.run([*self.compile, *flags, "-c", source, "-o", made], check=True, capture_output=True)
                if not run:
                    return True
                subprocess.run([*self.link, made, "-o", result, *libraries], check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                return False
            try:
                code = subprocess.run([result], capture_output=True, timeout=60).returncode
            except subprocess.TimeoutExpired:
                return False
            except OSError:  # it cannot be started here
                return True
            # (an emulator that lacks the target's libraries has codes of its own)
            return code == 0 or ("_PYTHON_HOST_PLATFORM" in os.environ and code != 1)

    def openmp(self):
        """Flags to compile and to link with; empty where calls run on one thread."""
        wanted = os.environ.get("UPSAMPLE_BUILD_OPENMP", "")
        if wanted not in ("", "0", "1"):
            end(f"UPSAMPLE_BUILD_OPENMP must be 0 (without) or 1 (required), got {wanted!r}")
        if wanted == "0" or (WINDOWS and not wanted):
            say("built without OpenMP; calls will run on one thread")
            return [], []
        for flags, libraries in OPENMP_SPELLINGS:
            if self.builds(OPENMP_PROGRAM, flags, libraries, run=True):
                say(f"OpenMP works with {' '.join(flags)}; calls will use several threads")
                return flags, libraries
        text = (
            f"`{' '.join(self.compile)} -fopenmp` does not build a working program; install your compiler's OpenMP "
            "library (libgomp for gcc, libomp for clang)"
        )
        if wanted:
            end(f"{text}, or leave UPSAMPLE_BUILD_OPENMP unset")
        say(f"{text} and build again for threads; calls will run on one")
        return [], []


def levels_wanted():
    """All SIMD levels, or those that a quick build names."""
    wanted = os.environ.get("UPSAMPLE_BUILD_LEVELS", "").replace(",", " ").split() or list(LEVELS)
    unknown = [name for name in wanted if name not in LEVELS]
    if unknown:
        end(f"UPSAMPLE_BUILD_LEVELS may name {', '.join(LEVELS)}, got {', '.join(unknown)}")
    return wanted


def includes(path):
    """A source and every file of ours that it includes."""
    found, todo = {path}, [path]
    while todo:
        for name in re.findall(
            r'^\s*#\s*include "([^"]+)"', Path(todo.pop()).read_text(errors="replace"), re.MULTILINE
        ):
            for folder in (KERNELS, INCLUDE):
                header = f"{folder}/{name}"
                if header not in found and os.path.exists(header):
                    found.add(header)
                    todo.append(header)
    return sorted(found)


class BuildExtensions(build_ext):
    """Compiles every source to an object of its own, several at a time, where a file that it includes has changed."""

    def build_extensions(self):
        import Cython
        import numpy
        from Cython.Build import cythonize

        runtime = self.use_clang_cl() if WINDOWS else []
        tools = Toolchain(self.compiler)
        self.version = [macros.get("__VERSION__") for macros in tools.macros.values()]
        openmp, libraries = tools.openmp()
        wanted = levels_wanted()
        common = [KERNELS, INCLUDE, numpy.get_include()]
        macros = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
        if LIMITED_API:
            macros += [("CYTHON_LIMITED_API", "1"), ("Py_LIMITED_API", "0x{:02x}{:02x}0000".format(*LIMITED_API))]
        with ThreadPoolExecutor(self.parallel or os.cpu_count()) as pool:
            rows = [
                pool.submit(self.object, f"{KERNELS}/rows_{name}.c", FLAGS + tools.flags(name),
                            [] if name in wanted else [("ROWS_LEFT_OUT", None)], [KERNELS])
                for name in LEVELS
            ]  # fmt: skip
            made = []
            # (translated here while the first are compiled)
            other = [name for name in map(self.translated, self.extensions) if name.exists()]
            force = any(Cython.__version__ not in name.read_text(errors="replace")[:100] for name in other)
            for extension in cythonize(self.extensions, language_level=3, quiet=True, force=force):
                # nothing of what is slow at -O1 is called for each sample
                fast = [] if "-O0" in FLAGS else ["-O1"]
                flags = FLAGS + (openmp if extension.name.endswith("skeleton") else fast)
                version = f"numpy {numpy.__version__}"
                made.append(pool.submit(self.object, extension.sources[0], flags, macros, common, version))
        for extension, built in zip(self.extensions, made, strict=True):
            kernels = extension.name.endswith("skeleton")
            extension.sources = []
            extension.extra_objects = [built.result(), *([row.result() for row in rows] if kernels else []), *runtime]
            extension.extra_link_args = libraries if kernels else []
            extension.libraries = [] if WINDOWS else ["m"]
            self.remove_other(extension.name)
        self.force = True  # to link: objects may be older than what was linked of others
        super().build_extensions()

    @staticmethod
    def translated(extension):
        return Path(extension.sources[0]).with_suffix(".c")

    def remove_other(self, name):
        """Remove a module of another suffix, which Python would load first."""
        path = name.replace(".", "/")
        for folder in (self.build_lib, "."):
            other = Path(folder, path + sysconfig.get_config_var("EXT_SUFFIX"))
            if LIMITED_API and other.exists():
                other.unlink()

    def object(self, source, flags, macros, include_dirs, version=""):
        """The object file of a source, in a folder that tells how it was compiled."""
        if WINDOWS:
            flags = [f"/clang:{flag}" for flag in flags]
        command = [
            getattr(self.compiler, "compiler_so", "clang-cl"),
            self.version,
            [os.environ.get(name) for name in ("MACOSX_DEPLOYMENT_TARGET", "SDKROOT")],
            flags,
            macros,
            sysconfig.get_path("include"),
            version,
        ]
        folder = os.path.join(OBJECTS, hashlib.sha256(repr(command).encode()).hexdigest()[:12])
        (name,) = self.compiler.object_filenames([source], output_dir=folder)
        if self.force or newer_group(includes(source), name):
            # (what a compiler leaves that was stopped is never taken for an object)
            own = f"{folder}.{os.getpid()}.{os.path.basename(name)}"
            (made,) = self.compiler.compile(
                [source],
                output_dir=own,
                macros=macros,
                include_dirs=include_dirs,
                debug=self.debug,
                extra_postargs=flags,
            )
            os.makedirs(os.path.dirname(name), exist_ok=True)
            os.replace(made, name)
            shutil.rmtree(own)
        return name

    def use_clang_cl(self):
        """The sources need clang (128-bit integers, GNU attributes), so clang-cl replaces cl."""
        clang = shutil.which("clang-cl")
        if clang is None:
            end("building on Windows needs clang-cl: install LLVM and put it on PATH")
        self.compiler.initialize()
        self.compiler.cc = clang
        found = subprocess.run(
            ["clang", "--print-libgcc-file-name", "--rtlib=compiler-rt"], capture_output=True, text=True
        )
        return [found.stdout.strip()]


limited = {"py_limited_api": LIMITED_API is not None}
setup(
    ext_modules=[
        Extension("upsample._kernels.cpu.skeleton", [f"{KERNELS}/skeleton.pyx"], **limited),
        Extension("upsample._axismap", ["upsample/_axismap.pyx"], **limited),
        Extension("upsample._capi", ["upsample/_capi.pyx"], **limited),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp{}{}".format(*LIMITED_API)}} if LIMITED_API else {},
    cmdclass={"build_ext": BuildExtensions},
)
