"""A guard against slower kernels that needs no quiet machine: instructions, counted instead of timed.

Calls run under callgrind at the levels that valgrind knows, and instructions inside our own shared objects are counted;
of level avx512, which it does not know, the compiled code of the hot functions is looked at instead. Counts belong to a
compiler: instructions.json keeps one set for each. Needs an installed upsample, valgrind and objdump.

Usage: python -P .ci/instructions.py [--write]
"""

import argparse
import ast
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / ".ci" / "instructions.json"
KERNELS = ROOT / "upsample" / "_kernels" / "cpu"
TOLERANCE = 0.03
SIMD = ("baseline", "avx2")
# one call of it is one call of a kernel, without Python, checks and plans; as a pattern valgrind makes no dumps of it
ENTRY = "__pyx_f_8upsample_8_kernels_3cpu_8skeleton_9CpuKernel_run"

# name, shape, dtype, arguments; sizes are enough for rows to have an inside, as few paths are taken without one
CALLS: list[tuple[str, tuple[int, ...], str, dict[str, Any]]] = [
    ("nearest x2", (1, 3, 64, 96), "float32", {"scale_factor": 2, "mode": "nearest"}),
    ("bilinear x2", (1, 3, 64, 96), "float32", {"scale_factor": 2, "mode": "bilinear"}),
    ("bicubic x2", (1, 3, 64, 96), "float32", {"scale_factor": 2, "mode": "bicubic"}),
    ("bilinear x1.5", (1, 3, 64, 96), "float32", {"scale_factor": 1.5, "mode": "bilinear"}),
    ("bilinear corners", (1, 3, 64, 96), "float32", {"size": (131, 197), "mode": "bilinear", "align_corners": True}),
    ("bilinear x0.5", (1, 3, 128, 192), "float32", {"scale_factor": 0.5, "mode": "bilinear"}),
    ("bicubic x0.5", (1, 3, 128, 192), "float32", {"scale_factor": 0.5, "mode": "bicubic"}),
    ("area x0.5", (1, 3, 128, 192), "float32", {"scale_factor": 0.5, "mode": "area"}),
    ("HWC bilinear x2", (64, 96, 3), "float32", {"scale_factor": 2, "mode": "bilinear", "layout": "HWC"}),
    ("NHWC32 bilinear x2", (1, 32, 48, 32), "float32", {"scale_factor": 2, "mode": "bilinear", "layout": "NHWC"}),
    ("float16 bilinear x2", (1, 3, 64, 96), "float16", {"scale_factor": 2, "mode": "bilinear"}),
    ("float64 bicubic x2", (1, 3, 64, 96), "float64", {"scale_factor": 2, "mode": "bicubic"}),
    ("trilinear x2", (1, 1, 16, 24, 32), "float32", {"scale_factor": 2, "mode": "trilinear"}),
    ("uint8 HWC nearest x2", (64, 96, 3), "uint8", {"scale_factor": 2, "mode": "nearest", "layout": "HWC"}),
    ("uint8 HWC bilinear x2", (64, 96, 3), "uint8", {"scale_factor": 2, "mode": "bilinear", "layout": "HWC"}),
    ("uint8 HWC bicubic x2", (64, 96, 3), "uint8", {"scale_factor": 2, "mode": "bicubic", "layout": "HWC"}),
    (
        "uint8 HWC antialias x0.5",
        (128, 192, 3),
        "uint8",
        {"scale_factor": 0.5, "mode": "bilinear", "layout": "HWC", "antialias": True},
    ),
    ("streamed bilinear x2", (1, 1, 1448, 1472), "float32", {"scale_factor": 2, "mode": "bilinear"}),
]

FUNCTIONS = (
    "window_f32_two_1", "window_f32_two_2", "window_f32_four_1", "window_f32_any_2", "window_u8_1", "copy_window",
    "v_window_u8", "v_stream_f32", "group_f32",
    "pair_f32_2", "pair_f32_4", "pair_f64_2", "pair_f64_4", "pair_f16_2", "pair_u8_2", "pair_u8_4", "double_row",
    "halve_f32", "halve_u8", "half_fixed_2", "half_fixed_4", "pixels_f32", "square_f32",
)  # fmt: skip

# a folder above may be named so as well
OUR_OBJECT = re.compile(r"/upsample/(?:_kernels/\w+/)?\w+\.[^/]*so$")
# a whole vector stored: the last operand is memory
ZMM_STORE = re.compile(r"vmov.*%zmm\d+,[^%,]*\([^)]*\)(\{%k\d\})?$")

Counts = dict[str, dict[str, Any]]


def compiler() -> list[str]:
    """The C compiler command that the extensions are built with."""
    return (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()


def compiler_key() -> str:
    """The compiler's name and version, and the architecture: what counts belong to."""
    said = subprocess.run([*compiler(), "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    version = re.findall(r"\d+(?:\.\d+)+", said)[-1]
    return f"{'clang' if 'clang' in said else 'gcc'} {version} {platform.machine()}"


def build_flags(level: str) -> list[str]:
    """The flags that setup.py compiles a level with; read, not imported, as importing it would build."""
    found: dict[str, Any] = {}
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("FLAGS", "LEVELS"):
                found[name] = ast.literal_eval(node.value)
    return [*found["FLAGS"], *found["LEVELS"][level]]


def make_calls() -> None:
    """Every call once; runs under callgrind."""
    import numpy as np

    import upsample
    from upsample._kernels.cpu import skeleton

    def aligned(shape: tuple[int, ...], dtype: Any) -> Any:
        """Zeros on a line of the cache: where a row starts on one decides how it is stored."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = np.zeros(size + 64, np.uint8)
        start = -memory.ctypes.data % 64
        return memory[start : start + size].view(dtype).reshape(shape)

    for _, shape, dtype, arguments in CALLS:
        plan = upsample.plan(shape, dtype, **arguments)
        plan(aligned(shape, dtype), out=aligned(plan.out_shape, dtype))
    print(skeleton.level())


def own_cost(dump: str) -> int:
    """Instructions of one dump that were run inside our shared objects."""
    total, ours, inclusive = 0, False, False
    for line in dump.splitlines():
        if line.startswith("ob="):
            ours = OUR_OBJECT.search(line) is not None
        elif line.startswith("calls="):
            inclusive = True
        elif line[:1].isdigit():
            total += 0 if inclusive or not ours else int(line.split()[1])
            inclusive = False
    return total


def callgrind(level: str) -> dict[str, int]:
    """Instructions of every call at a level."""
    settings = {
        "UPSAMPLE_SIMD": level,
        "UPSAMPLE_POOL": "0",
        "UPSAMPLE_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={ENTRY}",
            f"--dump-after={ENTRY}", "--compress-strings=no", "--compress-pos=no",
            f"--callgrind-out-file={folder}/out", sys.executable, "-P", __file__, "--calls",
        ]  # fmt: skip
        made = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
        if made.returncode:
            sys.exit(f"{' '.join(command)}\n{made.stdout}{made.stderr}")
        if made.stdout.strip() != level:
            sys.exit(f"asked for level {level}, got {made.stdout.strip()}: not this build, or not this machine")
        dumps = [Path(folder, f"out.{i + 1}") for i in range(len(CALLS))]
        if not dumps[-1].exists() or Path(folder, f"out.{len(CALLS) + 1}").exists():
            sys.exit(f"expected a dump of each of {len(CALLS)} calls: was {ENTRY} inlined, or called twice?")
        return {call[0]: own_cost(dump.read_text()) for call, dump in zip(CALLS, dumps, strict=True)}


def disassembly(level: str) -> Iterator[tuple[str, str]]:
    """(function, instruction) of a level's object, without padding; clones of a function count as it."""
    with tempfile.TemporaryDirectory() as folder:
        made = f"{folder}/rows.o"
        source = str(KERNELS / f"rows_{level}.c")
        subprocess.run([*compiler(), *build_flags(level), "-fPIC", "-c", source, "-o", made], check=True)
        command = ["objdump", "-d", "--no-show-raw-insn", made]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    function = ""
    for line in text.splitlines():
        if header := re.fullmatch(r"[0-9a-f]+ <(\w+)[\w.]*>:", line):
            function = header[1]
        elif (found := re.match(r"\s+[0-9a-f]+:\t(.+)", line)) and not re.search(r"\bnop|xchg +%ax,%ax", found[1]):
            yield function, found[1].strip()


def objdump(level: str) -> Counts:
    """What the hot functions of a level are made of."""
    counts: Counts = {name: {"instructions": 0, "permutes": 0, "zmm stores": 0} for name in FUNCTIONS}
    gathers = 0
    for function, instruction in disassembly(level):
        gathers += re.match(r"vp?gather", instruction) is not None
        if function in counts:
            counts[function]["instructions"] += 1
            counts[function]["permutes"] += instruction.startswith("vperm")
            counts[function]["zmm stores"] += ZMM_STORE.match(instruction) is not None
    gone = [name for name, count in counts.items() if not count["instructions"]]
    if gone:
        sys.exit(f"level {level} has no function {', '.join(gone)}: inlined or renamed; correct FUNCTIONS")
    if gathers:
        sys.exit(f"level {level} has {gathers} gather instructions, slower than loads on every machine measured")
    return counts


def flat(counts: Counts) -> dict[str, int]:
    """Counts by one name each."""
    made = {}
    for name, value in counts.items():
        made.update({f"{name}: {k}": v for k, v in flat(value).items()} if isinstance(value, dict) else {name: value})
    return made


def compare(was: Counts, now: Counts) -> int:
    """Print a table; returns how many counts differ."""
    old, new, different = flat(was), flat(now), 0
    width = max(map(len, old | new))
    for name in old | new:
        a, b = old.get(name), new.get(name)
        if a is None or b is None:
            bad, change = True, "new" if a is None else "gone"
        else:
            bad, change = abs(b - a) > TOLERANCE * a, f"{100 * (b - a) / max(a, 1):+.1f} %" if a != b else ""
        mark = "  !" if bad else ""
        print(f"{name:<{width}} {'-' if a is None else a:>9} {'-' if b is None else b:>9} {change:>9}{mark}")
        different += bad
    print(f"{len(old | new)} counts, {different} differ by more than {TOLERANCE:.0%}")
    return different


def main() -> int:
    """Count, then write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="make these counts the ones to compare with")
    parser.add_argument("--calls", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.calls:
        make_calls()
        return 0
    key = compiler_key()
    kept: dict[str, Counts] = json.loads(FILE.read_text()) if FILE.exists() else {}
    if not arguments.write and key not in kept:
        print(f"{FILE.name} has no counts of {key}, only of {', '.join(kept) or 'none'}: nothing compared")
        return 0
    counts: Counts = {"callgrind": {level: callgrind(level) for level in SIMD}, "objdump": objdump("avx512")}
    if arguments.write:
        kept[key] = counts
        FILE.write_text(json.dumps(kept, indent=1) + "\n")
        print(f"{FILE.name}: {len(flat(counts))} counts of {key}")
        return 0
    print(f"{key}: recorded, now")
    return int(compare(kept[key], counts) > 0)


sys.exit(main())
