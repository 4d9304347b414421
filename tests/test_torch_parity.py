"""Random configurations beside PyTorch itself, with the tolerances that its own rounding allows."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import building
import numpy as np
import pytest
from torch_calls import allowed, random_call, samples, torch_is_wrong

import upsample

torch = pytest.importorskip("torch", reason=building.missing("torch"))

pytestmark = pytest.mark.tools
BATCHES, PER_BATCH = 40, 100


def as_torch(x: Any, dtype: str) -> Any:
    return torch.from_numpy(x).to(getattr(torch, dtype))


def as_numpy(t: Any, dtype: str) -> Any:
    if dtype != "bfloat16":
        return t.numpy()
    ml_dtypes = pytest.importorskip("ml_dtypes")
    return t.view(torch.int16).numpy().view(ml_dtypes.bfloat16)


def runs(rng: random.Random, worst: dict[str, float], counts: dict[str, int]) -> None:
    shape, dtype, arguments = random_call(rng)
    x = as_torch(samples(rng, shape, dtype), dtype)
    try:
        expected = torch.nn.functional.interpolate(x, **arguments)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        with pytest.raises(type(error)):
            upsample.interpolate(as_numpy(x, dtype), **arguments)
        counts["refused by both"] += 1
        return
    got = upsample.interpolate(as_numpy(x, dtype), **arguments)
    want = as_numpy(expected, dtype)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if torch_is_wrong(shape, got.shape, dtype, arguments):
        return
    limit = allowed(dtype, arguments, shape, got.shape)
    if dtype in ("float16", "bfloat16") and arguments["mode"] == "area" and len(shape) == 5:
        want = torch.nn.functional.interpolate(x.float(), **arguments).numpy()  # torch sums in half precision here
    if limit == 0:
        assert np.array_equal(got, want), (shape, dtype, arguments)
        difference = 0.0
    else:
        difference = float(np.abs(got.astype(np.float64) - want.astype(np.float64)).max(initial=0.0))
        assert difference <= limit, (shape, dtype, arguments, difference, limit)
    counts[dtype] += 1
    worst[dtype] = max(worst[dtype], difference)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_calls_give_torch_numbers(batch: int, record_property: Any) -> None:
    rng = random.Random(batch)
    worst: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for _ in range(PER_BATCH):
        runs(rng, worst, counts)
    for dtype, count in counts.items():
        record_property(dtype, f"{count} calls, worst difference {worst[dtype]:.3g}")
    assert sum(counts.values()) > PER_BATCH * 0.9
