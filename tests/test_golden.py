"""PyTorch's stored answers: the same comparison as test_torch_parity, without PyTorch."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from torch_calls import allowed, allowed_gradient, random_call, samples

import upsample

STORED = np.load(Path(__file__).parent / "golden.npz")
CALLS = json.loads(STORED["calls"].tobytes())["calls"]
GRADIENTS = np.load(Path(__file__).parent / "golden_gradients.npz")


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8"])
def test_results_are_torchs(dtype: str, backend: str) -> None:
    seen = 0
    for call in CALLS:
        if call["dtype"] != dtype:
            continue
        rng = random.Random(call["seed"])
        shape, _, arguments = random_call(rng)
        assert list(shape) == call["shape"], "the generator changed: run make_golden.py again"
        x = samples(rng, shape, dtype)
        want = STORED[str(call["seed"])]
        got = upsample.interpolate(x, backend=backend, **arguments)
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        limit = allowed(dtype, arguments, shape, want.shape)
        if limit == 0:
            assert np.array_equal(got, want), call
        else:
            assert np.abs(got.astype("f8") - want.astype("f8")).max(initial=0) <= limit, call
        seen += 1
    assert seen > 60


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_torchs(dtype: str, backend: str) -> None:
    seen = 0
    for call in json.loads(GRADIENTS["calls"].tobytes())["calls"]:
        if call["dtype"] != dtype:
            continue
        rng = random.Random(call["seed"])
        shape, _, arguments = random_call(rng)
        assert list(shape) == call["shape"], "the generator changed: run make_golden.py again"
        samples(rng, shape, dtype)
        g = samples(rng, tuple(call["out"]), dtype)
        want = GRADIENTS[str(call["seed"])]
        got = upsample.interpolate_backward(g, shape, backend=backend, **arguments)
        assert np.abs(got.astype("f8") - want.astype("f8")).max() <= allowed_gradient(dtype, want, shape), call
        seen += 1
    assert seen > 60
