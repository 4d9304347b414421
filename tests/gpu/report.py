"""Everything about a GPU in one command: ``python tests/gpu/report.py [--out FOLDER] [--quick] [--random N --seed S]``.

It needs a clone of the project, the installed package, and CuPy with NVRTC.  Comparisons with PyTorch need PyTorch with
CUDA, and the checks of memory need compute-sanitizer; without them it says that those were not made.

Builds the kernels, runs the conformance kit and random calls against the CPU's bits, runs a part of them under
compute-sanitizer, then times calls against PyTorch's and against ceilings measured in the same run: a copy and a fill
by 16 bytes per thread, and reading one sample for four written, which is what whole factor 2 comes to.  Random cases of
what networks hold follow, the same for the same seed; those in which PyTorch was faster stand first.  Writes
``report.json`` and ``report.md``, also where a part of it fails.  Without a GPU it says so and ends with status 2:
nothing is estimated.  Status 1 is for whatever failed, differed, is missing or was an error to compute-sanitizer.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import json
import math
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import upsample
from upsample import testing
from upsample.backends import cuda, why_not

sys.path.insert(0, str(Path(__file__).resolve().parent))  # under python -P, too
import compare

CEILINGS = r"""
typedef unsigned long long u64;
extern "C" __global__ void spin(long long cycles)
{ const long long start = clock64(); while (clock64() - start < cycles); }
extern "C" __global__ void copy16(const uint4 *x, uint4 *y, u64 n)
{ const u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; if (i < n) y[i] = x[i]; }
extern "C" __global__ void fill16(const uint4 *x, uint4 *y, u64 n)
{ const u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; if (i < n) y[i] = make_uint4(i, i, i, i); }
extern "C" __global__ void replicate(const uint2 *x, uint4 *y, u64 n)
{ const u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x;
  if (i < n) { const uint2 q = x[i]; const uint4 r = make_uint4(q.x, q.x, q.y, q.y); y[i] = r; y[i + n] = r; } }
"""
MODES = {2: ("nearest", "bilinear", "bicubic", "area"), 3: ("nearest", "trilinear")}
SHAPES = {2: ((8, 64, 256, 256), (1, 3, 2160, 3840)), 3: ((1, 16, 128, 128, 128),)}
QUICK = {2: ((1, 2, 16, 32),), 3: ((1, 1, 4, 8, 16),)}
FACTORS = (2.0, 1.5, 0.5)
FAMILIES = ("small planes", "small volumes", "means", "odd ratios", "gradients")
RANDOM = {False: 200, True: len(FAMILIES)}  # cases that are drawn, and with --quick
HOST_AIM = 12  # us of the host that a call is to take
UNDER_SANITIZER = (sys.executable, __file__, "--under-sanitizer")
SECONDS = 450  # after which no cell is begun


def environment(cupy: Any) -> dict[str, Any]:
    """Card, driver and versions."""
    program, driver = shutil.which("nvidia-smi"), "unknown, for nvidia-smi is not installed"
    if program:
        command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0]
    runtime = cupy.cuda.runtime
    facts = runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
    try:
        torch = importlib.import_module("torch").__version__
    except Exception as error:
        torch = f"none ({type(error).__name__})"
    return {
        "card": facts["name"].decode(),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch,
        "driver": driver,
        "the driver's CUDA": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
        "nvrtc": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
        "cupy": cupy.__version__,
        "upsample": upsample.__version__,
    }


def conformance(count: int, seconds: float, planes: int) -> dict[str, Any]:
    """The kit, then calls beside the CPU's bits: long axes, many planes, random ones for so many seconds."""
    compared, different = 0, []
    try:
        kit = str(testing.check_backend("cuda", arrays="cupy", count=count))
    except Exception as error:
        kit = f"**the kit failed**: {type(error).__name__}: {error}"
        different.append("the kit")
    start = time.monotonic()
    for check in (compare.evaluated_maps, lambda: compare.many_planes(planes, 1024)):
        try:
            check()
            compared += 1
        except Exception as error:  # of the device, too
            different.append(f"{type(error).__name__}: {error}")
    for i, case in enumerate(testing.random_cases(100_000, seed=int(time.time()))):
        if time.monotonic() - start > seconds:
            break
        try:
            with compare.subnormal_samples() if i % 3 == 0 else contextlib.nullcontext():
                compared += sum(compare.with_cpu([case]).values())
        except Exception as error:
            what = "" if isinstance(error, AssertionError) else f": {type(error).__name__}: {error}"
            different.append(f"{case}{', subnormal samples' if i % 3 == 0 else ''}{what}")
    return {"kit": kit, "compared with the CPU": compared, "other bits": different[:20]}


def some_cases() -> str:
    """The part of the kit that compute-sanitizer watches: every kind of kernel, by the names of test_report.py."""
    return str(testing.check_backend("cuda", arrays="cupy", cases=[*testing.random_cases(15, seed=7), *chosen_cases()]))


def chosen_cases() -> Iterator[testing.Case]:
    """Factor 2 of pixels, and sums of a few taps, in small."""
    for channels in (1, 3, 4, 8):
        for dtype in ("float32", "float16", "uint8"):
            for mode in ("nearest", "bilinear", "cubic"):
                yield case_of((2, 6, 8, channels), dtype, mode, "NHWC", 2)
    for dtype in ("float32", "uint8"):
        yield case_of((1, 4, 5, 8, 4), dtype, "trilinear", "NDHWC", 2)
        yield case_of((1, 4, 8, 8, 4), dtype, "area", "NDHWC", 0.5)
        yield case_of((2, 9, 16, 3), dtype, "area", "NHWC", 0.4)
        yield case_of((2, 3, 9, 16), dtype, "bilinear", "NCHW", 0.6, antialias=True)
        yield case_of((2, 3, 9, 16), dtype, "bilinear", "NCHW", 1.7)


def case_of(
    shape: tuple[int, ...], dtype: str, mode: str, layout: str, factor: float, antialias: bool = False
) -> testing.Case:
    given = {"scale_factor": factor, "mode": mode, "layout": layout, "antialias": antialias}
    return testing.Case(shape, dtype, given)


def sanitized(tool: str) -> tuple[str, bool]:
    """What compute-sanitizer says of a part of the kit, and whether that is no error."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        return "compute-sanitizer is not installed", True
    command = [program, "--tool", tool, "--error-exitcode", "9", *UNDER_SANITIZER]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=75, check=False)
    except subprocess.TimeoutExpired:
        return "no answer within 75 s", False
    said = (done.stdout + done.stderr).strip()
    if done.returncode in (0, 9):
        return said.rpartition("\n")[2], done.returncode == 0
    return f"status {done.returncode}: {said[-300:]}", False


def seconds_of(cupy: Any, call: Any, repeats: int) -> float:
    """The least time of a call on the device, by events; as many calls between two of them as take 2 ms, at least 4.

    The device is kept busy while the host launches them, so that what the host takes is not what is timed.
    """
    spin = ceiling_kernels(cupy).get_function("spin")

    def of(inner: int) -> float:
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        spin((1,), (1,), (np.int64(inner * 60_000),))  # about 30 us per call
        start.record()
        for _ in range(inner):
            call()
        stop.record()
        stop.synchronize()
        return float(cupy.cuda.get_elapsed_time(start, stop)) / 1000 / inner

    call()
    inner = max(4, min(100, math.ceil(2e-3 / of(4))))
    return min(of(inner) for _ in range(repeats))


@functools.cache
def ceiling_kernels(cupy: Any) -> Any:
    return cupy.RawModule(code=CEILINGS)


def ceilings(cupy: Any, size: int, repeats: int) -> dict[str, float]:
    """Bytes per second, read and written, of three kernels that do nothing else."""
    module = ceiling_kernels(cupy)
    x, y = (cupy.asarray(np.random.default_rng(i).integers(0, 256, size, np.uint8)) for i in range(2))
    made = {}
    for name, threads, moved in (
        ("copy16", size // 16, 2 * size),
        ("fill16", size // 16, size),
        ("replicate", size // 32, size // 4 + size),
    ):
        kernel = module.get_function(name)
        args = (x, y, np.uint64(threads))
        call = functools.partial(kernel, (-(-threads // 256),), (256,), args)
        made[name] = moved / min(seconds_of(cupy, call, repeats) for _ in range(2))
    return made


def torch_on_gpu() -> Any:
    """PyTorch, or None where it is not there or has no CUDA."""
    try:
        torch = importlib.import_module("torch")
        return torch if torch.cuda.is_available() else None
    except (ImportError, RuntimeError):
        return None


def tensor_of(torch: Any, x: Any, channels_last: bool) -> Any:
    """An array as PyTorch's tensor on the same memory, its axes in PyTorch's order."""
    if x.dtype.name == "bfloat16":  # which not every version hands over
        tensor = torch.from_dlpack(x.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.from_dlpack(x)
    return tensor.permute(0, -1, *range(1, tensor.ndim - 1)) if channels_last else tensor


def torch_gradient(g: Any, shape: tuple[int, ...], given: dict[str, Any], channels_last: bool = False) -> Any:
    """PyTorch's gradient of the same call, from the gradient by the output, or None where it cannot be made."""
    torch = torch_on_gpu()
    if torch is None:
        return None
    if channels_last:
        shape = (shape[0], shape[-1], *shape[1:-1])
    try:
        tensor = tensor_of(torch, g, channels_last)
        call = torch_adjoint(torch, tensor, shape, given)
        call()
    except (RuntimeError, AttributeError):
        return None
    return call


def torch_adjoint(torch: Any, g: Any, shape: tuple[int, ...], given: dict[str, Any]) -> Any:
    """What autograd calls on the device, without its own work on the host."""
    mode, rank = given["mode"], len(shape) - 2
    if mode == "area":
        if set(g.shape[2:]) == {1}:  # there PyTorch takes the plain mean
            return lambda: g.expand(shape) / math.prod(shape[2:])
        x = torch.empty(shape, dtype=g.dtype, device=g.device)
        return functools.partial(getattr(torch.ops.aten, f"_adaptive_avg_pool{rank}d_backward"), g, x)
    name = {"nearest": f"upsample_nearest{rank}d", "nearest-exact": f"_upsample_nearest_exact{rank}d"}.get(
        mode, f"upsample_{mode}{rank}d"
    )
    if given.get("antialias"):
        name = f"_{name}_aa"
    corners = () if mode.startswith("nearest") else (False,)
    factors = [given.get("scale_factor")] * rank
    operator = getattr(torch.ops.aten, f"{name}_backward")
    return functools.partial(operator, g, list(g.shape[2:]), list(shape), *corners, *factors)


def torch_call(x: Any, given: dict[str, Any], channels_last: bool) -> Any:
    """The same call of PyTorch on its own tensor, or None where it cannot be made."""
    torch = torch_on_gpu()
    if torch is None:
        return None
    try:
        tensor = tensor_of(torch, x, channels_last)
        torch.nn.functional.interpolate(tensor, **given)
    except (RuntimeError, NotImplementedError):
        return None
    return functools.partial(torch.nn.functional.interpolate, tensor, **given)


def draw(family: str, rng: np.random.Generator) -> tuple[testing.Case, bool]:
    """A case of a family, and whether it is the gradient of that call that is meant."""

    def among(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    def sides(least: int, most: int, rank: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(least, most, rank, endpoint=True))

    def size_to(most: float) -> dict[str, Any]:
        return {"scale_factor": among(2.0, 1.5, 0.5, round(float(rng.uniform(0.4, most)), 2))}

    gradient = family == "gradients"
    if gradient:
        family = among(*FAMILIES[:-1])
    batch, channels = 2 ** int(rng.integers(6)), 2 ** int(rng.integers(4, 10))
    if family == "small planes":
        sizes = (*sides(3, 60, 1), *sides(3, 40, 1))
        given = size_to(3.2) | {"mode": among("nearest", "nearest-exact", "bilinear", "bicubic", "area")}
    elif family == "small volumes":
        sizes = sides(3, 16, 3)
        given = size_to(2.6) | {"mode": among("nearest", "nearest-exact", "trilinear", "area")}
    elif family == "means":
        rank = among(2, 3)
        sizes = sides(4, 64 if rank == 2 else 16, rank)
        given = {"size": (among(1, 2, 3),) * rank, "mode": "area"}
    else:
        batch, channels, sizes = among(1, 2, 4), among(1, 3, 4, 32), sides(240, 1100, 2)
        given = {"scale_factor": round(float(rng.uniform(0.3, 2.4)), 3)}
        given["mode"] = among("nearest", "bilinear", "bicubic", "area")
        if given["scale_factor"] < 1 and given["mode"] in ("bilinear", "bicubic") and among(True, False):
            given["antialias"] = True
    growth = max(1, given.get("scale_factor", 1)) ** len(sizes)
    while batch * channels * math.prod(sizes) * growth > 2**23:  # samples: the CPU makes them, too
        batch, channels = max(1, batch // 2), channels // 2 if batch == 1 else channels
    dtype = among("float32", "float32", "float16", "bfloat16")
    if given["mode"].startswith("nearest") and not gradient and among(True, False, False):
        dtype = "uint8"
    axes = "DHW"[3 - len(sizes) :]
    last = among(True, False, False)
    given["layout"] = f"N{axes}C" if last else f"NC{axes}"
    shape = (batch, *sizes, channels) if last else (batch, channels, *sizes)
    return testing.Case(shape, dtype, given, seed=int(rng.integers(2**31))), gradient


def grid(quick: bool) -> list[tuple[tuple[int, ...], str, bool, str, float]]:
    """Shape, dtype, whether channels come last, mode and factor of every cell."""
    return [
        (shape, dtype, last, mode, factor)
        for rank, shapes in (QUICK if quick else SHAPES).items()
        for shape in shapes
        for dtype in ("float32", "float16", "uint8")
        for last in (False, True)
        for mode in MODES[rank]
        for factor in FACTORS[: 1 if rank == 3 else None]
    ]


def gradient_grid(quick: bool) -> list[tuple[tuple[int, ...], str, str, float]]:
    """Those cells of the grid whose gradients are timed, too: images, channels first."""
    return [
        (shape, dtype, mode, factor)
        for shape, dtype, last, mode, factor in grid(quick)
        if not last and len(shape) == 4 and mode != "area" and dtype != "uint8"
    ]


def timed(cupy: Any, call: Any, other: Any, moved: int, roof: float) -> dict[str, Any]:
    """The least times of a call and of another library's, in turns."""
    took = theirs = math.inf
    for _ in range(3):
        took = min(took, seconds_of(cupy, call, 3))
        if other is not None:
            theirs = min(theirs, seconds_of(cupy, other, 3))
    return {
        "ms": took * 1e3, "share of replicate": moved / took / roof,
        "torch ms": None if other is None else theirs * 1e3,
        "times torch": None if other is None else theirs / took,
    }  # fmt: skip


def cells(cupy: Any, quick: bool, roof: float, deadline: float, failed: list[str]) -> list[dict[str, Any]]:
    """Time of every cell of the grid that fits before the deadline; what went wrong is added to `failed`."""
    made = []
    rng = np.random.default_rng(0)
    known: tuple[Any, ...] = ()
    for shape, dtype, last, mode, factor in grid(quick):
        if time.monotonic() > deadline:
            break
        axes = "DHW"[5 - len(shape) :]
        layout = f"N{axes}C" if last else f"NC{axes}"
        about = {"shape": shape, "dtype": dtype, "layout": layout, "mode": mode, "factor": factor}
        try:
            if known != (shape, dtype, last):
                ordered = (shape[0], *shape[2:], shape[1]) if last else shape
                x = cupy.asarray((rng.random(ordered, np.float32) * 100).astype(dtype))
                known = shape, dtype, last
            given = {"scale_factor": factor, "mode": mode}
            arguments: dict[str, Any] = given | {"layout": layout}
            out = upsample.interpolate(x, **arguments)
            ends = slice(None, None, max(1, x.shape[0] - 1))  # of the batch
            if not compare.same_bits(out[ends].get(), upsample.interpolate(x[ends].get(), **arguments)):
                failed.append(f"{about}: other bits than the CPU's")
            call = functools.partial(upsample.interpolate, x, **arguments, out=out)
            made.append(about | timed(cupy, call, torch_call(x, given, last), x.nbytes + out.nbytes, roof))
        except Exception as error:  # too little memory, say
            failed.append(f"{about}: {type(error).__name__}: {error}")
    return made


def gradients(cupy: Any, quick: bool, roof: float, deadline: float, failed: list[str]) -> list[dict[str, Any]]:
    """The same of gradients, of channels first."""
    made = []
    rng = np.random.default_rng(0)
    for shape, dtype, mode, factor in gradient_grid(quick):
        if time.monotonic() > deadline:
            break
        about = {"shape": shape, "dtype": dtype, "mode": mode, "factor": factor}
        try:
            given = {"scale_factor": factor, "mode": mode}
            plan = upsample.plan(shape, dtype, **given).T
            g = cupy.asarray((rng.random(plan.shape, np.float32) - 0.5).astype(dtype))
            out = plan(g)
            call = functools.partial(plan, g, out)
            made.append(about | timed(cupy, call, torch_gradient(g, shape, given), g.nbytes + out.nbytes, roof))
        except Exception as error:
            failed.append(f"gradient, {about}: {type(error).__name__}: {error}")
    return made


def random_cells(
    cupy: Any, count: int, seed: int, roof: float, deadline: float, failed: list[str]
) -> tuple[list[dict[str, Any]], int]:
    """The same of so many drawn cases, by families in turn; and how many had a dtype that CuPy has no arrays of."""
    made, without = [], 0
    for i in range(count):
        if time.monotonic() > deadline:
            break
        family = FAMILIES[i % len(FAMILIES)]
        case, gradient = draw(family, np.random.default_rng([seed, i]))
        if case.dtype == "bfloat16" and not has_bfloat16(cupy):
            without += 1
            continue
        given = {k: v for k, v in case.arguments.items() if k != "layout"}
        last = case.arguments["layout"].endswith("C")
        about = {"family": family, "shape": case.shape, "dtype": case.dtype, **case.arguments, "gradient": gradient}
        try:
            plan = upsample.plan(case.shape, np.dtype(case.dtype), **case.arguments)
            host = case.gradient(plan.out_shape) if gradient else case.array()
            plan = plan.T if gradient else plan
            x = cupy.asarray(host)
            out = plan(x)
            if not compare.same_bits(out.get(), plan(host)):
                failed.append(f"random, {about}: other bits than the CPU's")
            other = torch_gradient(x, case.shape, given, last) if gradient else torch_call(x, given, last)
            about["reason"] = why_not(plan, x, "cuda").explain()
            made.append(about | timed(cupy, functools.partial(plan, x, out), other, x.nbytes + out.nbytes, roof))
        except Exception as error:
            failed.append(f"random, {about}: {type(error).__name__}: {error}")
    return made, without


@functools.cache
def has_bfloat16(cupy: Any) -> bool:
    """Whether there are arrays of bfloat16: from CuPy 14 on, and with ml_dtypes."""
    try:
        importlib.import_module("ml_dtypes")
        cupy.empty(1, np.dtype("bfloat16"))
    except (ImportError, TypeError, ValueError):
        return False
    return True


def host_cost(cupy: Any, count: int) -> dict[str, float]:
    """Microseconds that a warm call takes of the host: the least of five rounds of so many."""
    x = cupy.asarray(np.zeros((1, 3, 16, 16), np.float32))
    out = upsample.interpolate(x, scale_factor=2, mode="bilinear")

    def of(target: Any) -> float:
        start = time.perf_counter()
        for _ in range(count):
            upsample.interpolate(x, scale_factor=2, mode="bilinear", out=target)
        took = time.perf_counter() - start
        cupy.cuda.get_current_stream().synchronize()
        return took / count * 1e6

    return {name: min(of(target) for _ in range(5)) for name, target in (("with out=", out), ("without", None))}


def markdown(report: dict[str, Any]) -> str:
    lines = [f"# {report['environment'].get('card', 'An unknown card')}", ""]
    lines += [f"- {k}: {v}" for k, v in report["environment"].items()]
    lines += [f"- {k}: {v / 1e9:.0f} GB/s" for k, v in report["ceilings"].items()]
    if report["host cost, us"] is not None:
        told = ", ".join(f"{name} {took:.1f} µs" for name, took in report["host cost, us"].items())
        lines += [f"- host cost of a warm call: {told} (the aim is {HOST_AIM})"]
    if report["conformance"]:
        other = report["conformance"]["other bits"]
        lines += [f"- {report['conformance']['kit']}"]
        lines += [
            f"- compared with the CPU: {report['conformance']['compared with the CPU']}, other bits: {len(other)}"
        ]
    lines += [f"- {tool}: {said}" for tool, said in report["sanitizer"].items()]
    lines += [f"- **failed**: {what}" for what in report["failed"]]
    for name, some in (("PyTorch", report["cells"]), ("PyTorch's gradients", report["gradients"])):
        ratios = [c["times torch"] for c in some if c["times torch"]]
        if ratios:
            mean, middle = math.exp(sum(map(math.log, ratios)) / len(ratios)), float(np.median(ratios))
            lines += [
                f"- geometric mean over {name}: {mean:.2f} in {len(ratios)} cells, median {middle:.2f}, least "
                f"{min(ratios):.2f}"
            ]
        else:
            lines += [f"- {name}: no comparison, for PyTorch has none of these or is not installed with CUDA"]
    for what in ("cells", "gradients", "random cases"):
        if report[f"{what} missing"]:
            lines += [f"- **{report[f'{what} missing']} {what} are missing: they failed, or the time was over**"]
    lines += [f"- made in {report['seconds']:.0f} s"]
    lines += table(report["cells"], ("shape", "dtype", "layout", "mode", "factor"))
    lines += ["", "Gradients, from the one by the output, of channels first:"]
    lines += table(report["gradients"], ("shape", "dtype", "mode", "factor"))
    return "\n".join(lines + random_section(report)) + "\n"


def random_section(report: dict[str, Any]) -> list[str]:
    """Markdown of the random cases: losses, the worst first, then every family's mean and worst."""
    some = report["random cases"]
    lines = ["", f"## {len(some)} random cases (--random {report['random']} --seed {report['seed']})", ""]
    if report["random cases without arrays"]:
        lines += [
            f"- {report['random cases without arrays']} of bfloat16 were left out: CuPy or ml_dtypes lacks it",
            "",
        ]
    compared = sorted((c for c in some if c["times torch"]), key=lambda c: c["times torch"])
    if not compared:
        return [*lines, "No comparison, for PyTorch has none of these or is not installed with CUDA."]
    losses = [c for c in compared if c["times torch"] < 1]
    lines += [f"PyTorch was faster in {len(losses)} of {len(compared)}{':' if losses else '.'}"]
    if losses:
        lines += ["", "| case | ms | torch ms | times | reason |", "|---|---|---|---|---|"]
        lines += [
            f"| {case_text(c)} | {c['ms']:.4f} | {c['torch ms']:.4f} | {c['times torch']:.2f} | {c['reason']} |"
            for c in losses
        ]
    lines += ["", "| family | cases | geometric mean | worst | which |", "|---|---|---|---|---|"]
    for family in FAMILIES:
        own = [c for c in compared if c["family"] == family]
        if own:
            mean = math.exp(sum(math.log(c["times torch"]) for c in own) / len(own))
            lines += [f"| {family} | {len(own)} | {mean:.2f} | {own[0]['times torch']:.2f} | {case_text(own[0])} |"]
    return lines


def case_text(c: dict[str, Any]) -> str:
    to = f"x{c['scale_factor']:g}" if "scale_factor" in c else f"to {'x'.join(map(str, c['size']))}"
    words = [c["dtype"], c["layout"], "x".join(map(str, c["shape"])), to, c["mode"]]
    return " ".join(words + ["antialias"] * c.get("antialias", False) + ["gradient"] * c["gradient"])


def table(some: list[dict[str, Any]], about: tuple[str, ...]) -> list[str]:
    """Markdown of cells."""
    head = (*about, "ms", "of replicate", "torch ms", "times")
    lines = ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for c in some:
        theirs = "–" if c["torch ms"] is None else f"{c['torch ms']:.3f}"
        times = "–" if c["times torch"] is None else f"{c['times torch']:.2f}"
        what = " | ".join(str(c[a]) for a in about)
        lines += [f"| {what} | {c['ms']:.3f} | {c['share of replicate']:.0%} | {theirs} | {times} |"]
    return lines


def measured(cupy: Any, quick: bool, count: int, seed: int) -> dict[str, Any]:
    """Every part of the report; one that fails is listed under "failed", and the others are there."""
    begun = time.monotonic()
    failed: list[str] = []

    def part(name: str, call: Any, otherwise: Any) -> Any:
        try:
            return call()
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
            return otherwise

    report: dict[str, Any] = {"environment": part("environment", lambda: environment(cupy), {})}
    systematic, seconds, planes = (20, 1, 2) if quick else (300, 30, 520)
    report["conformance"] = part("conformance", lambda: conformance(systematic, seconds, planes), {})
    failed += [f"conformance: {what}" for what in report["conformance"].get("other bits", ())]
    report["sanitizer"] = {}
    if shutil.which("compute-sanitizer"):
        part("the sanitizer's cases", some_cases, "")  # compiles what they run
    for tool in ("memcheck", "racecheck"):
        report["sanitizer"][tool], passed = sanitized(tool)
        failed += [] if passed else [tool]
    report["ceilings"] = part("ceilings", lambda: ceilings(cupy, 1 << 16 if quick else 1 << 28, 5), {})
    report["host cost, us"] = part("host cost", lambda: host_cost(cupy, 50 if quick else 3000), None)
    roof = report["ceilings"].get("replicate", math.nan)
    report["cells"] = cells(cupy, quick, roof, begun + SECONDS, failed)
    report["cells missing"] = len(grid(quick)) - len(report["cells"])
    report["gradients"] = gradients(cupy, quick, roof, begun + SECONDS, failed)
    report["gradients missing"] = len(gradient_grid(quick)) - len(report["gradients"])
    some, without = random_cells(cupy, count, seed, roof, begun + SECONDS, failed)
    report |= {"random": count, "seed": seed, "random cases": some, "random cases without arrays": without}
    report["random cases missing"] = count - without - len(some)
    report["failed"] = failed
    report["seconds"] = time.monotonic() - begun
    return report


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="FOLDER", help="for report.json and report.md; by default, this one"
    )
    parser.add_argument("--quick", action="store_true", help="tiny arrays: only to see that everything runs")
    parser.add_argument(
        "--random", type=int, metavar="N", help=f"how many random cases are timed; by default {RANDOM[False]}"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the random cases; by default 0")
    parser.add_argument("--under-sanitizer", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.out.exists() and not chosen.out.is_dir():
        parser.error(f"--out: {chosen.out} is no folder")
    count = RANDOM[chosen.quick] if chosen.random is None else chosen.random
    if min(count, chosen.seed) < 0:
        parser.error("--random and --seed: 0 or more")
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        missing = f"CuPy is not installed: {cuda.install()}" if error.name == "cupy" else f"CuPy lacks {error.name}"
        print(f"nothing was run: {missing}")
        return 2
    except Exception as error:
        print(f"nothing was run: CuPy cannot be imported: {type(error).__name__}: {error}")
        return 2
    reason = cuda.unusable(cupy)  # no GPU, or no compiler
    if reason:
        print(f"nothing was run: {reason}")
        return 2
    if chosen.under_sanitizer:
        print(some_cases())
        return 0
    files = chosen.out / "report.json", chosen.out / "report.md"
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.open("a").close()  # rather than after minutes of measuring
    except OSError as error:
        parser.error(f"--out: {error}")
    report = measured(cupy, chosen.quick, count, chosen.seed)
    print(markdown(report))
    for file, text in zip(files, (json.dumps(report, indent=1, default=str) + "\n", markdown(report)), strict=True):
        file.write_text(text, encoding="utf-8")
    missing = any(report[f"{what} missing"] for what in ("cells", "gradients", "random cases"))
    return 1 if report["failed"] or missing else 0


if __name__ == "__main__":
    sys.exit(main())
