"""Random calls that PyTorch understands, and how far its numbers may lie from ours."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

MODES = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}


def random_call(rng: random.Random) -> tuple[tuple[int, ...], str, dict[str, Any]]:
    rank = rng.choice((1, 2, 2, 2, 3))
    mode = rng.choice(MODES[rank])
    top = {1: 400, 2: 70, 3: 16}[rank]
    sizes = [rng.randint(1, top) for _ in range(rank)]
    # C == 3 would make torch's own last bits depend on its number of threads.
    shape = (rng.choice((1, 2)), rng.choice((1, 2, 4, 5)), *sizes)
    arguments: dict[str, Any] = {"mode": mode}
    if rng.random() < 0.5:
        arguments["size"] = tuple(rng.choice((n, rng.randint(1, 2 * top))) for n in sizes)
    else:
        factors = [rng.choice((1.0, 0.5, 1.1, 2.0, 2.1, 3.0, round(rng.uniform(0.3, 4), 4))) for _ in sizes]
        arguments["scale_factor"] = tuple(max(f, 1.01 / n) for f, n in zip(factors, sizes, strict=True))
        if rng.random() < 0.4:
            arguments["recompute_scale_factor"] = True
    if mode in ("linear", "bilinear", "trilinear", "bicubic") and rng.random() < 0.5:
        arguments["align_corners"] = rng.random() < 0.6
    if mode == "lanczos" or (mode in ("bilinear", "bicubic") and rng.random() < 0.4):
        arguments["antialias"] = True
    if arguments.get("antialias"):
        dtypes = ("float32", "float64", "uint8")
    elif mode in ("linear", "trilinear", "area"):
        dtypes = ("float16", "bfloat16", "float32", "float64")
    else:
        dtypes = ("float16", "bfloat16", "float32", "float64", "uint8")
    return shape, rng.choice(dtypes), arguments


def samples(rng: random.Random, shape: tuple[int, ...], dtype: str) -> Any:
    """Random samples; bfloat16 ones come as the float32 array that they were rounded to."""
    numbers = np.random.default_rng(rng.randrange(2**32))
    if dtype == "uint8":
        return numbers.integers(0, 256, shape, dtype=np.uint8)
    x = numbers.uniform(-4, 4, shape).astype("float32" if dtype == "bfloat16" else dtype)
    if dtype == "bfloat16":
        x = (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    return x


def torch_is_wrong(shape: tuple[int, ...], out_shape: tuple[int, ...], dtype: str, arguments: dict[str, Any]) -> bool:
    """The one defect that random calls meet: a single output column repeats row 0 of the vertical pass."""
    return (
        len(shape) == 4
        and out_shape[-1] == 1
        and (arguments.get("antialias") or (dtype == "uint8" and arguments["mode"] in ("bilinear", "bicubic")))
    )


def allowed(dtype: str, arguments: dict[str, Any], shape: tuple[int, ...], out_shape: tuple[int, ...]) -> float:
    """Largest difference on samples in [-4, 4], from what each side rounds."""
    mode = arguments["mode"]
    if mode.startswith("nearest") or dtype == "uint8":
        return 0.0
    if dtype == "bfloat16":
        return 4e-2 if mode == "bicubic" else 3.2e-2
    if dtype == "float16":
        return 5e-3
    eps = 2.0**-23 if dtype == "float32" else 2.0**-52
    if mode == "area":
        taps = np.prod([n / m + 2 for n, m in zip(shape[2:], out_shape[2:], strict=True)])
        return float(4 * eps * np.sqrt(taps) * 4)
    # With antialias torch's own SIMD levels differ from each other by up to 8e-6.
    bits = (24.0 if arguments.get("antialias") else 8.0) * eps * 4
    if dtype == "float64":
        # torch floors coordinates in float32
        bits = max(bits, 2.0**-24 * max(shape[2:]) * 8 * 2.0**-3) if not arguments.get("antialias") else 64 * eps
    return bits


def allowed_gradient(dtype: str, want: Any, shape: tuple[int, ...]) -> float:
    """Largest difference of gradients: of sums that are larger than their samples, in another order."""
    largest = float(np.abs(want).max(initial=0)) + 4
    # torch floors float64 coordinates in float32
    return largest * (2.0**-18 if dtype == "float32" else 2.0**-24 * max(shape[2:]) / 4)
