"""Views: arrays that lie in another order, or apart, have the bits of their copies, and what is copied is said."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import upsample
from upsample._kernels.cpu import skeleton
from upsample.backends import kernel_for

LEVELS = skeleton.levels()


@pytest.fixture
def level() -> Any:
    before = skeleton.level()
    yield skeleton.set_level
    skeleton.set_level(before)


def view_of(rng: random.Random, shape: list[int], dtype: str) -> Any:
    """A view of random samples: any order of axes, steps, directions, and what lies between."""
    order = rng.sample(range(len(shape)), len(shape))
    steps = [rng.choice((1, 1, 1, 2, 3, -1, -1, -2)) for _ in shape]
    more = [rng.choice((0, 0, 1, 3)) for _ in shape]
    base_shape = [shape[a] * abs(steps[a]) + more[a] for a in order]
    nr = np.random.default_rng(rng.randrange(2**32))
    base = nr.integers(0, 200, base_shape).astype(dtype)
    view = base.transpose(np.argsort(order))
    index = []
    for n, step in zip(shape, steps, strict=True):
        index.append(slice(0, n * step, step) if step > 0 else slice((n - 1) * -step, None, step))
    view = view[tuple(index)]
    assert view.shape == tuple(shape)
    return view


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "complex128", "S3"])
def test_any_view_has_the_bits_of_its_copy(name: str, dtype: str, level: Any) -> None:
    level(name)
    rng = random.Random(f"{dtype}")
    for _ in range(60):
        layout = rng.choice(["HW", "HWC", "CHW", "NCHW", "NHWC", "DHW", "NCDHW"])
        most = {2: 60, 3: 40, 4: 18, 5: 8}[len(layout)]
        shape = [rng.choice((1, 2, 3, 4, 17)) if a in "NC" else rng.randint(1, most) for a in layout]
        x = view_of(rng, shape, dtype)
        spatial = [a for a in layout if a in "DHW"]
        copied = dtype in ("complex128", "S3")
        mode = "nearest" if copied else rng.choice(["nearest", "area", "linear", "lanczos"])
        mode = {("linear", 2): "bilinear", ("linear", 3): "trilinear"}.get((mode, len(spatial)), mode)
        sizes = [rng.randint(1, 60) for _ in spatial]
        kept = rng.randrange(len(spatial) + 1)  # an axis without a pass, or none
        size = tuple(
            shape[layout.index(a)] if k == kept else n for k, (a, n) in enumerate(zip(spatial, sizes, strict=True))
        )
        options: dict[str, Any] = {"size": size, "mode": mode, "layout": layout, "antialias": mode == "lanczos"}
        want = upsample.interpolate(np.array(x, order="C"), **options)
        assert upsample.interpolate(x, **options).tobytes() == want.tobytes(), (x.shape, x.strides, options)
        out = view_of(rng, list(want.shape), dtype)
        upsample.interpolate(x, out=out, **options)
        assert out.tobytes() == want.tobytes(), (x.shape, x.strides, out.strides, options)


def said(x: Any, **options: Any) -> str:
    plan = upsample.plan(x.shape, x.dtype, **options)
    return str(kernel_for(plan, x, "cpu").explain())


def test_a_reduction_runs_in_the_order_of_memory() -> None:
    image = np.arange(200 * 300 * 3, dtype=np.uint8).reshape(200, 300, 3)
    options: dict[str, Any] = {"size": (20, 30), "mode": "bilinear"}
    for x, layout in ((image.transpose(2, 0, 1)[None], "NCHW"), (image.transpose(2, 0, 1), "CHW")):
        text = said(x, layout=layout, **options)
        assert "memory order of the input" in text
        assert "inner=3" in text
        plain = upsample.interpolate(np.ascontiguousarray(x), layout=layout, **options)
        found = upsample.interpolate(x, layout=layout, **options)
        np.testing.assert_array_equal(found, plain)
        assert found.flags.c_contiguous
    # passes of sums keep their order, copies need not
    volume = np.asfortranarray(np.arange(20 * 30 * 40, dtype=np.float32).reshape(20, 30, 40))
    assert "memory order" in said(volume, size=(5, 6, 7), mode="nearest", layout="DHW")
    assert "memory order" not in said(volume, size=(5, 6, 7), mode="trilinear", layout="DHW")
    assert "memory order" not in said(volume, size=(50, 60, 70), mode="nearest", layout="DHW")


def test_axes_without_a_pass_may_lie_apart() -> None:
    """A crop of which one axis is resampled, and channels of which some are left out, are not copied."""
    big = np.arange(40 * 60 * 70, dtype=np.float32).reshape(40, 60, 70)
    for x, options in (
        (big[:, :30, :30], {"size": (4, 30, 30), "mode": "trilinear", "layout": "DHW"}),
        (big[:, :30, :30], {"size": (4, 30, 30), "mode": "nearest", "layout": "DHW"}),
        (big.reshape(4, 10, 60, 70)[:, :7], {"size": (31, 33), "mode": "bilinear"}),
        (big.reshape(2, 20, 60, 70)[:, ::-3], {"size": (31, 33), "mode": "nearest"}),
    ):
        assert "copied" not in upsample.explain(x, **options).split("- cpu: runs it")[1].splitlines()[0].replace(
            "copied planes", ""
        ).replace("copied windows", "").replace("copied pixels", "")
        want = upsample.interpolate(np.ascontiguousarray(x), **options)
        np.testing.assert_array_equal(upsample.interpolate(x, **options), want)


def test_the_dtype_of_a_result_is_that_of_its_own_call() -> None:
    shape = (1, 1, 4)
    first, second = np.dtype("int64"), np.dtype("longlong")
    tagged = np.dtype(np.float32, metadata={"unit": "m"})
    upsample.interpolate(np.ones(shape, first), size=6)
    assert upsample.interpolate(np.ones(shape, second), size=6).dtype.char == second.char
    assert upsample.interpolate(np.ones(shape, tagged), size=6).dtype.metadata == {"unit": "m"}
    assert upsample.interpolate(np.ones(shape, np.float32), size=6).dtype.metadata is None


def test_a_shape_of_bools_is_refused_whatever_was_cached() -> None:
    g = np.ones((1, 1, 10), np.float32)
    upsample.interpolate_backward(g, (1, 1, 5), scale_factor=2)
    with pytest.raises(TypeError):
        upsample.interpolate_backward(g, (True, 1, 5), scale_factor=2)


def test_kernels_of_many_shapes_keep_little_memory() -> None:
    """Clips of other lengths each; the tables of one take some 2.5 MB."""
    x = np.ones((1, 1, 30100), np.float32)
    for n in range(30000, 30100):
        upsample.interpolate(x[..., :n], scale_factor=2, mode="linear")
    before = skeleton.kept_tables()
    assert before < 100 << 20
    x = np.ones((1, 1, 70000), np.float32)
    for n in range(60000, 60100):
        upsample.interpolate(x[..., :n], size=n + n // 3, mode="linear")
    assert skeleton.kept_tables() < 256 << 20
