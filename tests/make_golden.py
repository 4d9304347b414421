"""Write golden.npz and golden_gradients.npz: PyTorch's answers to random calls, for machines without PyTorch.

Run ``python tests/make_golden.py`` with torch 2.13.0 installed.  Every input is made from its seed
again by the test, so that only the answers are stored.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_calls import random_call, samples, torch_is_wrong

COUNT = 480
GRADIENTS = 240
LARGEST = 400  # samples of an answer, so that the file stays small


def main() -> None:
    calls: list[dict[str, Any]] = []
    answers: dict[str, Any] = {}
    seed = 10_000
    while len(calls) < COUNT:
        seed += 1
        rng = random.Random(seed)
        shape, dtype, arguments = random_call(rng)
        x = samples(rng, shape, dtype)
        if dtype == "bfloat16" or x.size > 4 * LARGEST:
            continue
        try:
            y = torch.nn.functional.interpolate(torch.from_numpy(x), **arguments).numpy()
        except (RuntimeError, ValueError, NotImplementedError):
            continue
        half_volume = dtype == "float16" and arguments["mode"] == "area" and len(shape) == 5
        if y.size > LARGEST or half_volume or torch_is_wrong(shape, y.shape, dtype, arguments):
            continue
        answers[str(seed)] = y
        calls.append({"seed": seed, "shape": shape, "dtype": dtype, "arguments": arguments})
    answers["calls"] = np.frombuffer(json.dumps({"torch": torch.__version__, "calls": calls}).encode(), np.uint8)
    np.savez_compressed(Path(__file__).parent / "golden.npz", **answers)


def gradients() -> None:
    """Gradients, where PyTorch's is the adjoint of its forward."""
    answers: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    seed = 20_000
    while len(calls) < GRADIENTS:
        seed += 1
        rng = random.Random(seed)
        shape, dtype, arguments = random_call(rng)
        if dtype not in ("float32", "float64") or np.prod(shape) > LARGEST:
            continue
        x = torch.from_numpy(samples(rng, shape, dtype)).requires_grad_()
        try:
            y = torch.nn.functional.interpolate(x, **arguments)
        except (RuntimeError, ValueError, NotImplementedError):
            continue
        if y.numel() > 4 * LARGEST or torch_is_wrong(shape, tuple(y.shape), dtype, arguments):
            continue
        g = torch.from_numpy(samples(rng, tuple(y.shape), dtype))
        (back,) = torch.autograd.grad(y, x, g)
        left, right = (y.double() * g.double()).sum().item(), (x.double() * back.double()).sum().item()
        size = (y.norm() * g.norm() + x.norm() * back.norm()).item()
        if abs(left - right) > (1e-5 if dtype == "float32" else 1e-10) * size:
            continue
        answers[str(seed)] = back.numpy()
        calls.append({"seed": seed, "shape": shape, "out": tuple(y.shape), "dtype": dtype, "arguments": arguments})
    answers["calls"] = np.frombuffer(json.dumps({"torch": torch.__version__, "calls": calls}).encode(), np.uint8)
    np.savez_compressed(Path(__file__).parent / "golden_gradients.npz", **answers)


if __name__ == "__main__":
    main()
    gradients()
