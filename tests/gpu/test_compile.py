"""Every program compiled by NVRTC for real devices, none at hand: registers, spills, and what the machine code does.

That takes minutes. Once it passed, its inputs are recorded (``UPSAMPLE_RECORD=1``), and as long as they stay as they
are, the hot programs for one architecture stand for all.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import building
import nvrtc
import programs
import pytest
import sass
from nvrtc import Built

from upsample.backends import _cuda
from upsample.backends._cuda import Program

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(not nvrtc.version(), reason=building.missing("nvrtc")),
]
needs_disassembler = pytest.mark.skipif(sass.disassembler() is None, reason=building.missing("nvdisasm"))

# UPSAMPLE_ARCHS=all is for .ci/full: everything for every architecture, and all that evaluate taps for sm_90.
EVERYTHING = os.environ.get("UPSAMPLE_ARCHS") == "all"
RECORD = Path(__file__).with_name("compiled.json")
ARCHS = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
PER_PROGRAM = 20

# What most calls run, by name: registers allowed, and instructions per output. The instructions are those of a budget
# at which memory, not the issue of instructions, binds. Kernels of factor 2 may have a tenth more, copies and bytes a
# fifth: with half as many rows per thread as the budget was made for they have that, and were measured to be faster
# on an H100.
HOT: dict[str, tuple[int, float | None]] = {
    "doubled<f32,float,2,1,0,2,2,4": (64, 10.5), "doubled<f32,float,2,1,0,4,4,4": (80, 18.2),
    "doubled<f32,float,2,1,2,2,2,4": (80, 25.6), "doubled<f16,float,4,1,2,2,2,4": (128, 23.7),
    "doubled<f16,float,4,1,0,2,2,4": (80, 8.4), "doubled<bf16,float,4,1,0,2,2,4": (80, 8.4),
    "doubled<f16,float,4,1,0,4,4,4": (128, 15.1), "doubled_bytes<2,4": (80, 5.9),
    "doubled_copy<raw1,0,1,4": (64, 1.1), "doubled_copy<raw2,0,1,4": (64, 2.1), "doubled_copy<raw4,0,1,4": (64, 4.4),
    "doubled<f32,float,1,4,0,2,2,4": (80, 16.7), "doubled<f32,float,1,4,0,4,4,3": (128, 23.1),
    "doubled<f16,float,1,8,0,2,2,4": (128, 13.5), "doubled<f16,float,1,4,0,4,4,3": (128, 22.7),
    "doubled<f32,float,1,3,0,4,4,3": (128, 33.6), "doubled<f16,float,2,3,0,4,4,3": (128, 22.7),
    "doubled_pixels<f16,float,0,2,2,4": (128, 17.0),
    "resample<f32,float,4,0,2,2,SINGLE,": (64, 19.3), "resample<f32,float,4,0,4,4,SINGLE,": (80, 25.7),
    "resample<f32,float,4,2,2,2,SINGLE,": (80, 25.6), "resample<f16,float,4,0,2,2,SINGLE,": (64, 19.3),
    "resample<f32,float,4,0,2,2,VECTOR,": (64, 16.7), "resample<f32,float,4,0,4,4,VECTOR,": (80, 23.1),
    "resample<f16,float,8,0,2,2,VECTOR,": (80, 13.5), "resample<f16,float,8,0,4,4,VECTOR,": (128, 22.7),
    "resample<f32,float,4,0,2,2,CHANNELS,": (64, 22.0), "resample<f32,float,4,0,4,4,CHANNELS,": (80, 33.6),
    "resample<raw4,uint32_t,4,0,1,1,SINGLE,": (64, 12.9), "resample<raw2,uint16_t,8,0,1,1,SINGLE,": (80, 8.5),
    "resample<raw4,uint32_t,4,0,1,1,VECTOR,": (64, 12.9),
    "gather<f32,float,4,false,4,WEIGHTED,SINGLE": (128, None),
    "gather<f16,float,8,false,4,WEIGHTED,VECTOR": (128, None),
    "window_bytes<2,2": (90, 10.2), "window_bytes<4,4": (128, 13.8),
}  # fmt: skip


def is_hot(program: Program) -> bool:
    return program.name.startswith(tuple(HOT)) and not program.name.endswith("true>")


def limits(b: Built) -> tuple[int, float | None]:
    (found,) = (limit for prefix, limit in HOT.items() if b.program.name.startswith(prefix))
    return found


def build_all(wanted: list[tuple[str, Program]]) -> list[Built]:
    """Programs for architectures, in parallel."""
    jobs = []
    for arch in dict.fromkeys(a for a, _ in wanted):
        own = sorted(p for a, p in wanted if a == arch)
        step = -(-len(own) // PER_PROGRAM)
        jobs += [(own[i::step], arch) for i in range(step)]
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        return [b for some in pool.map(build_job, jobs) for b in some]


def build_job(job: tuple[list[Program], str]) -> list[Built]:
    return nvrtc.build(*job)


@cache
def inputs() -> dict[str, str]:
    """What decides about the machine code, and about what is asked of it."""
    digest = hashlib.sha256()
    folders = zip(_cuda.FOLDERS, _cuda.HEADERS, strict=True)
    sources = [path for folder, pattern in folders for path in sorted(folder.glob(pattern))]
    tests = [Path(__file__).with_name(f"{name}.py") for name in ("programs", "nvrtc", "sass", "test_compile")]
    for path in (*sources, Path(_cuda.__file__), *tests):
        digest.update(path.name.encode() + path.read_bytes())
    return {"nvrtc": nvrtc.version(), "sha256": digest.hexdigest()}


def is_recorded() -> bool:
    return not EVERYTHING and RECORD.exists() and json.loads(RECORD.read_text()) == inputs()


@pytest.fixture(scope="module")
def everything() -> list[Built]:
    every = programs.programs()
    assert len(every) > 600
    if is_recorded():
        return build_all([("sm_90", p) for p in every if is_hot(p)])
    wanted = [(arch, p) for arch in ARCHS for p in every if EVERYTHING or arch == "sm_90" or is_hot(p)]
    some = sorted(programs.evaluated())
    wanted += [("sm_90", p) for p in (some if EVERYTHING else some[::60])]
    return build_all(wanted)


@pytest.fixture(scope="module")
def hot(everything: list[Built]) -> list[Built]:
    found = [b for b in everything if is_hot(b.program)]
    for prefix in HOT:
        assert any(b.program.name.startswith(prefix) for b in found), prefix
    return found


def test_every_program_compiles_without_spills(everything: list[Built]) -> None:
    tables = [b for b in everything if not b.program.name.endswith("true>")]
    spilling = [(b.program, b.arch, b.spills) for b in tables if b.arch == "sm_90" and (b.spills or b.stack)]
    worst = max(tables, key=lambda b: b.registers)
    print(
        f"\n{len(everything)} builds of {len({b.program for b in everything})} programs; most registers: "
        f"{worst.registers} ({worst.program.name}, {worst.arch}); spilling on sm_90: {len(spilling)}"
    )
    assert not spilling
    assert worst.registers <= 128


def test_hot_programs_keep_within_their_registers_on_every_architecture(hot: list[Built]) -> None:
    assert {b.arch for b in hot} == ({"sm_90"} if is_recorded() else set(ARCHS))
    for b in hot:
        cap, _ = limits(b)
        assert b.spills == b.stack == 0, (b.program, b.arch, b.spills)
        assert b.registers <= cap, (b.program, b.arch, b.registers)


def code_of(b: Built) -> sass.Code:
    return sass.disassemble(b.cubin)[b.entry]


def stored_at_once(program: Program) -> str:
    """The store of the samples of a thread that adjoin: 16 bytes, or 8 of narrow samples and of three channels."""
    kind, _, text = program.name.rstrip(">").partition("<")
    arguments = text.split(",")
    channels = int(arguments[3]) if kind == "doubled" else 0
    width = {"f32": 4, "f16": 2, "bf16": 2}.get(arguments[0], 1)
    narrow = (kind == "resample" and int(arguments[2]) * width == 8) or channels == 3 or channels * width == 8
    return "STG.E.64" if narrow else "STG.E.128"


@needs_disassembler
def test_hot_programs_store_whole_vectors_and_touch_no_local_memory(hot: list[Built]) -> None:
    for b in hot:
        code = code_of(b)
        assert code.count(stored_at_once(b.program)), (b.program, b.arch)
        assert not code.count("LDL", "STL"), (b.program, b.arch)
        assert not code.calls, (b.program, b.arch)


@needs_disassembler
def test_hot_programs_divide_in_no_loop(hot: list[Built]) -> None:
    for b in hot:
        assert not code_of(b).in_loops("MUFU", "I2F"), (b.program, b.arch)


@needs_disassembler
def test_no_arithmetic_on_samples_flushes_subnormals(everything: list[Built]) -> None:
    """Under CuPy's flags. What is left is divisions of indices, comparisons with limits, and how a division ends."""
    some = [b for b in everything if b.arch == "sm_90" and not b.program.name.endswith("true>")]
    if not EVERYTHING:
        some = [b for b in some if is_hot(b.program) or "BOX" in b.program.name or ",double," in b.program.name]
    for b in some:
        code = code_of(b)
        found = {o for i in code.instructions if "FTZ" in (o := sass.opcode(i)) and not o.startswith(("F2I", "FSETP"))}
        assert not found or (found == {"FADD.FTZ"} and "BOX" in b.program.name), (b.program, found)
        assert not code.in_loops("FADD.FTZ", "FMUL.FTZ", "FFMA.FTZ"), b.program


@needs_disassembler
def test_vectors_are_loaded_at_once(hot: list[Built]) -> None:
    for b in hot:
        code = code_of(b)
        if "VECTOR" in b.program.name:
            assert code.in_loops("LDG.E.128"), b.program
            assert not code.in_loops("LDG.E.U16", "LDG.E.U8"), b.program
        if b.program.name.startswith(("doubled_copy", "doubled_bytes")) or ",1,0,2,2," in b.program.name:
            assert code.count("LDG.E.64"), b.program


def per_output(b: Built) -> float:
    """Instructions per output at factor 2, with the halo and what is done once per thread."""
    code = code_of(b)
    arguments = b.program.name.partition("<")[2].rstrip(">").split(",")
    whole = sum(sass.opcode(i) != "NOP" for i in code.instructions)
    if b.program.name.startswith("doubled"):
        rows = 2 * int(arguments[-1])
        kind = b.program.name.partition("<")[0]
        vector = 16
        if kind != "doubled_bytes":
            vector = {
                "doubled": lambda: 2 * int(arguments[2]) * int(arguments[3]),
                "doubled_pixels": lambda: 8,
                "doubled_copy": lambda: 16 // int(arguments[0].removeprefix("raw")),
            }[kind]()
        return whole / (vector * rows)
    if b.program.name.startswith("window"):
        vector, rows, kh = 16, 16, int(arguments[0])
    else:
        vector, kd, kh, kw = (int(a) for a in arguments[2:6])
        rows = 8 if kd < 2 and kw < 4 and 16 // vector >= 4 else 16
    if kh > 1:
        inner, outer = code.loops[:2]
        made = rows // 2 + kh - 1
        once = whole - (code.loops[1][1] - code.loops[1][0] + 1)
        return (made * code.shortest(*inner) + rows * code.shortest(*outer) + once) / (rows * vector)
    loop = code.loops[0]
    return (rows * (loop[1] - loop[0] + 1) + whole - (loop[1] - loop[0] + 1)) / (rows * vector)


@needs_disassembler
def test_instructions_per_output(hot: list[Built]) -> None:
    print()
    for b in sorted((b for b in hot if b.arch == "sm_90"), key=lambda b: b.program):
        limit = limits(b)[1]
        if limit is None:
            continue
        found = per_output(b)
        print(f"{b.program.name:42} {b.registers:4} registers {found:6.1f} instructions per output, at most {limit}")
        assert found <= limit, b.program


def test_what_passed_is_recorded(everything: list[Built], request: pytest.FixtureRequest) -> None:
    if is_recorded():
        return
    if os.environ.get("UPSAMPLE_RECORD") != "1":
        pytest.skip(
            "all was compiled: UPSAMPLE_RECORD=1 python -m pytest tests/gpu/test_compile.py spares it next time"
        )
    assert not request.session.testsfailed
    RECORD.write_text(json.dumps(inputs(), indent=1) + "\n")
