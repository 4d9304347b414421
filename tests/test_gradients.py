"""Gradients: the adjoint of our own forward, PyTorch's where that is one, and the same bits whatever runs them."""

from __future__ import annotations

import gc
import pickle
import random
import weakref
from collections import Counter
from typing import Any

import building
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cpu_paths import one_sum, taps_of
from torch_calls import random_call, samples

import upsample
from upsample import _interpolate, testing
from upsample._axismap import AxisMap
from upsample._kernels.cpu import skeleton

BATCHES, PER_BATCH = 40, 100
LEVELS = skeleton.levels()


def finite(x: Any) -> Any:
    return np.where(np.isfinite(x), x, x.dtype.type(3))


def pair(case: testing.Case) -> tuple[Any, Any, Any]:
    """A case's plan, its input, and a gradient of its output, without infinities."""
    x = finite(case.array())
    plan = upsample.plan(x.shape, x.dtype, **case.arguments)
    return plan, x, finite(case.gradient(plan.out_shape))


# ---- the definition ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_gradient_is_the_adjoint(batch: int, record_property: Any) -> None:
    """<A x, g> = <x, A' g>, against the sizes of both products."""
    worst = 0.0
    for case in testing.random_cases(PER_BATCH, seed=1000 + batch, dtypes=("float64",)):
        _, x, g = pair(case)
        y = upsample.interpolate(x, **case.arguments)
        back = upsample.interpolate_backward(g, x.shape, **case.arguments)
        assert back.shape == x.shape
        left, right = float((y * g).sum()), float((x * back).sum())
        size = np.linalg.norm(y) * np.linalg.norm(g) + np.linalg.norm(x) * np.linalg.norm(back)
        error = abs(left - right) / max(float(size), 1e-300)
        worst = max(worst, error)
        assert error <= 1e-12, case
    record_property("worst", worst)


def test_finite_differences() -> None:
    """A central difference of sum(g * output), exact up to rounding since the output is linear."""
    for case in testing.random_cases(150, seed=77, dtypes=("float64",)):
        plan, x, g = pair(case)
        x = np.ascontiguousarray(x)
        gradient = plan.T(g)
        rng = np.random.default_rng(case.seed)
        for at in {tuple(int(i) for i in rng.integers(0, x.shape)) for _ in range(5)}:
            step = np.zeros_like(x)
            step[at] = 0.5
            difference = float(((plan(x + step) - plan(x - step)) * g).sum())
            assert difference == pytest.approx(float(gradient[at]), rel=1e-9, abs=1e-9 * np.abs(g).sum()), case


def test_the_second_derivative_is_the_forward() -> None:
    for case in testing.random_cases(60, seed=5, dtypes=("float32",)):
        plan, x, _ = pair(case)
        assert plan.T.T is plan
        again = pickle.loads(pickle.dumps(plan.T))
        assert again == plan.T
        assert plan == again.T
        assert hash(again.T) == hash(plan)
        assert again.T(x).tobytes() == plan(x).tobytes()


def columns(axis_map: AxisMap) -> Any:
    """A map as a matrix of float64."""
    matrix = np.zeros((axis_map.m, axis_map.n))
    for row, (at, weights) in zip(matrix, taps_of(axis_map), strict=True):
        mean = axis_map.filter == "area" and axis_map.weights is None
        np.add.at(row, at, weights.astype("f8") / (len(at) if mean else 1))
    return matrix


FILTERS = ("nearest", "nearest-exact", "linear", "cubic", "area", "triangle-aa", "cubic-aa", "lanczos-aa")
sizes = st.integers(1, 70)
scales = st.one_of(st.just(0.0), st.sampled_from([0.5, 1.5, 2.0, 2.1, 3.0, 1.1, 0.3]), st.floats(0.1, 6.0))


def make(n: int, m: int, name: str, coords: str, scale: float = 0.0, corners: bool = False) -> AxisMap:
    kind = "float32" if coords == "torch32" else "float64"
    weights = None if name.startswith("nearest") or name == "area" else kind
    corners = corners and not (name.startswith("nearest") or name == "area")
    m = max(1, int(n * scale)) if scale else m
    return AxisMap(n, m, name, coords=coords, weights=weights, acc=kind, scale=scale, align_corners=corners)


@given(sizes, sizes, st.sampled_from(FILTERS), st.sampled_from(["torch32", "torch64", "rational"]), scales, st.data())
def test_a_transposed_map_is_the_transposed_matrix(
    n: int, m: int, name: str, coords: str, scale: float, data: st.DataObject
) -> None:
    whole = make(n, m, name, coords, scale, data.draw(st.booleans()))
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, whole.m - 1))
        whole = whole.window(start, data.draw(st.integers(start + 1, whole.m)))[1]
    back = whole.T
    assert whole == back.T
    assert back != whole
    assert (back.n, back.m, back.transposed, back.is_copy) == (whole.m, whole.n, True, False)
    assert "transposed" in repr(back)
    assert pickle.loads(pickle.dumps(back)) == back
    first, count, weights = back.taps()
    assert weights.dtype == whole.acc
    assert (np.diff(first) >= 0).all()
    assert (first >= 0).all()
    assert (first + count <= back.n).all()
    assert count.max(initial=1) == back.taps_max or count.max() == 0
    assert (np.where(np.arange(back.taps_max) < count[:, None], 0, weights) == 0).all()
    # folded taps are added in the type of the weights
    assert np.abs(columns(back) - columns(whole).T).max() <= (2e-7 if whole.acc == "float32" else 4e-16)
    # parts of it, as tiles and as chunks
    start = data.draw(st.integers(0, back.m - 1))
    stop = data.draw(st.integers(start + 1, back.m))
    (lo, hi), part = back.window(start, stop)
    assert (part.n, part.m) == (hi - lo, stop - start)
    used = count[start:stop] > 0
    for offset, (f, c, w) in ((0, back.taps(start, stop)), (lo, part.taps())):
        assert (c == count[start:stop]).all()
        assert (f + offset == first[start:stop])[used].all()
        least = min(w.shape[1], weights.shape[1])
        assert (w[:, :least] == weights[start:stop, :least]).all()
        assert (w[:, least:] == 0).all()
    if part == back:
        assert whole == part.T


def test_a_window_of_an_adjoint_has_no_adjoint() -> None:
    (_, _), part = make(9, 20, "linear", "rational").T.window(3, 5)
    with pytest.raises(NotImplementedError, match=r"plan\.window\(start, stop\)\[2\]\.T"):
        part.T  # noqa: B018


def test_integer_maps_have_no_adjoint() -> None:
    axis_map = AxisMap(5, 9, "linear", coords="torch64", weights="int16", acc="int32")
    with pytest.raises(NotImplementedError, match="no gradient"):
        axis_map.T  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(("n", "m"), [(3, 2**22 + 3), (2_500_000, 5_000_000), (5_000_000, 2_500_000), (2**22 + 3, 3)])
def test_long_axes_are_bounded_not_counted(n: int, m: int, name: str) -> None:
    """What a scan of every row would cost too much for: the bound holds, and is near."""
    forward = make(n, m, name, "rational")
    back = forward.T
    if m * forward.taps_max <= 2**25:  # else the forward's own table would take too much memory
        first, count, _ = forward.taps()
        first, last = np.clip(first, 0, n - 1), np.clip(first + count - 1, 0, n - 1)
        rows = np.random.default_rng(n).integers(0, n, 3000)
        rows = np.unique(np.r_[:1000, n - 1000 : n, first[:1000], rows].clip(0, n - 1))
        start, stop = np.searchsorted(last, rows, "left"), np.searchsorted(first, rows, "right")
        assert 1 <= (stop - start).max() <= back.taps_max
    for at in np.linspace(0, n - 1, 9).astype(int):
        _, _, weights = back.taps(int(at), int(at) + 1)
        if m > n:
            assert weights[0].sum() == pytest.approx(m / n, rel=0.5)
    assert back.taps_max <= 4 * (m / n + 1) * 4


def test_a_map_whose_sums_are_wider_than_its_weights_has_an_adjoint() -> None:
    """Of the float32 weights themselves, in float64."""
    for name in ("linear", "cubic", "triangle-aa", "cubic-aa", "lanczos-aa"):
        for coords in ("torch32", "torch64", "rational"):
            whole = AxisMap(9, 5, name, coords=coords, weights="float32", acc="float64")
            assert whole.T.weights == "float64"
            assert whole == whole.T.T
            assert np.abs(columns(whole.T) - columns(whole).T).max() <= 1e-15, (name, coords)


@pytest.mark.parametrize(("weights", "acc"), [("float64", "float32"), ("int16", "float32"), ("float32", "int32")])
def test_weights_that_sums_cannot_hold_are_refused(weights: str, acc: str) -> None:
    with pytest.raises(ValueError, match="cannot be summed in"):
        AxisMap(9, 5, "triangle-aa", coords="torch32", weights=weights, acc=acc)


@pytest.mark.parametrize(("n", "m"), [(1_000_000, 2_000_000), (2_000_000, 1_000_000), (300_000, 1_000_000)])
@pytest.mark.parametrize("name", ["nearest", "linear", "cubic", "area", "triangle-aa"])
def test_long_parts_of_an_adjoint_take_its_limits(n: int, m: int, name: str) -> None:
    """No part looks at every row again."""
    back = make(n, m, name, "torch32").T
    start, stop = n // 3, n // 3 + 100_000
    part = back.window(start, stop)[1]
    assert (part.taps_max, part.is_uniform) == (back.taps_max, back.is_uniform)
    again = pickle.loads(pickle.dumps(part))
    assert (again, again.taps_max) == (part, part.taps_max)
    for made, whole in zip(part.taps(50_000, 50_100)[1:], back.taps(start + 50_000, start + 50_100)[1:], strict=True):
        assert np.array_equal(made, whole)


# ---- PyTorch -----------------------------------------------------------------------------------------------


def torch_gradient(torch: Any, x: Any, g: Any, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """PyTorch's output and its gradient by the input."""
    leaf = torch.from_numpy(x).requires_grad_()
    y = torch.nn.functional.interpolate(leaf, **arguments)
    (back,) = torch.autograd.grad(y, leaf, torch.from_numpy(g))
    return y.detach().numpy(), back.numpy()


@pytest.mark.tools
@pytest.mark.parametrize("batch", building.cases_with("torch", range(BATCHES // 2)))
def test_gradients_are_torchs_where_its_own_are_adjoints(batch: int, record_property: Any) -> None:
    """Judged by PyTorch's own numbers: where its backward is no adjoint of its forward, or its forward another one."""
    torch = building.package("torch")
    rng = random.Random(5000 + batch)
    counts: Counter[str] = Counter()
    worst = 0.0
    while counts.total() < PER_BATCH:
        shape, _, arguments = random_call(rng)
        x = samples(rng, shape, "float64")
        try:
            g = samples(rng, upsample.plan(shape, "float64", **arguments).out_shape, "float64")
        except (ValueError, NotImplementedError, RuntimeError):
            continue
        y, theirs = torch_gradient(torch, x, g, arguments)
        size = np.linalg.norm(y) * np.linalg.norm(g) + np.linalg.norm(x) * np.linalg.norm(theirs)
        if abs(float((y * g).sum() - (x * theirs).sum())) > 1e-10 * size:
            assert no_adjoint(shape, y.shape, arguments), (shape, arguments)
            counts["torch: not the adjoint"] += 1
            continue
        if np.abs(y - upsample.interpolate(x, **arguments)).max() > 1e-9:
            counts["torch: another forward"] += 1  # float64 coordinates floored in float32
            continue
        ours = upsample.interpolate_backward(g, shape, **arguments)
        difference = float(np.abs(ours - theirs).max())
        worst = max(worst, difference)
        assert difference <= 1e-7, (shape, arguments)
        counts["equal"] += 1
    for kind, count in counts.items():
        record_property(kind, count)
    record_property("worst", worst)
    assert counts["equal"] >= 0.8 * PER_BATCH


def no_adjoint(shape: tuple[int, ...], out_shape: tuple[int, ...], arguments: dict[str, Any]) -> bool:
    """Whether PyTorch is known for a gradient that is not its forward's: docs/differences.md lists these."""
    unchanged = any(n == m for n, m in zip(shape[2:], out_shape[2:], strict=True))
    return (
        arguments["mode"].startswith("nearest")
        or (unchanged and "scale_factor" in arguments and (arguments["mode"] == "bicubic" or "antialias" in arguments))
        or (bool(arguments.get("antialias")) and out_shape[-1] == 1)
    )


@pytest.mark.tools
def test_half_precision_gradients_agree_with_torchs_within_their_rounding() -> None:
    torch = building.package("torch")
    rng = random.Random(3)
    for _ in range(150):
        shape, _, arguments = random_call(rng)
        if arguments["mode"] in ("area", "nearest", "nearest-exact") or arguments.get("antialias"):
            continue
        x = samples(rng, shape, "float16")
        g = samples(rng, upsample.plan(shape, "float16", **arguments).out_shape, "float16")
        _, theirs = torch_gradient(torch, x, g, arguments)
        if arguments["mode"] == "bicubic" and shape[2:] == g.shape[2:]:
            continue  # a copy there
        ours = upsample.interpolate_backward(g, shape, **arguments).astype("f4")
        exact = upsample.interpolate_backward(g.astype("f8"), shape, numerics="exact", **arguments)
        scale = np.abs(exact).max() + 4
        assert np.abs(ours - theirs.astype("f4")).max() <= 4e-3 * scale, (shape, arguments)


# ---- float16 and bfloat16, and sums that saturate ----------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("mode", ["area", "nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_large_enlargements_do_not_saturate(dtype: str, mode: str, backend: str) -> None:
    """Ones of 64 x 65 samples, all made of one: 4160 of them. PyTorch's area says 2048 in float16."""
    kind = pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    ones = np.ones((1, 1, 64, 65), kind)
    got = upsample.interpolate_backward(ones, (1, 1, 1, 1), size=(64, 65), mode=mode, backend=backend)
    assert got.dtype == kind
    assert float(got[0, 0, 0, 0]) == pytest.approx(4160, rel=1e-6 if mode == "bicubic" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic", "area", "lanczos"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_enlargements_beyond_float32_do_not_saturate(dtype: str, mode: str) -> None:
    """Ones of 2**25 samples, all made of one; and samples of which float32 sums would lose digits, also in parts."""
    aa = mode == "lanczos"
    m = 2**25
    got = upsample.interpolate_backward(np.ones((1, 1, m), dtype), (1, 1, 1), size=m, mode=mode, antialias=aa)
    assert float(got.item()) == (m if dtype == "float32" else np.inf)
    plan = upsample.plan((1, 1, 7), dtype, size=7 * 40_001, mode=mode, antialias=aa)
    assert plan.T.T is plan
    assert plan == pickle.loads(pickle.dumps(plan.T)).T
    g = np.random.default_rng(0).uniform(size=plan.out_shape).astype(dtype)
    got = plan.T(g)
    wide = upsample.plan((1, 1, 7), "float64", size=7 * 40_001, mode=mode, antialias=aa)
    np.testing.assert_allclose(got, wide.T(g.astype("f8")), rtol=1e-3 if dtype == "float16" else 3e-7)
    (lo,), (hi,), part = plan.T.window((2,), (5,))
    assert np.array_equal(part(g[..., lo:hi]), got[..., 2:5])
    # the adjoint is of the very weights of the forward
    if not aa and dtype == "float32":
        forward, back = plan.passes[0].map, plan.T.passes[0].map
        assert back.acc == back.weights == "float64"
        assert forward.acc == "float32"
        assert np.abs(columns(forward).T - columns(back)).max() <= 1e-15


def test_sums_of_very_many_along_one_axis_are_float64_along_all() -> None:
    plan = upsample.plan((1, 1, 3, 1), "float32", size=(6, 5000), mode="bilinear")
    assert {p.map.acc for p in plan.passes} == {"float32"}
    assert {p.map.acc for p in plan.T.passes} == {"float64"}
    assert float(plan.T(np.ones(plan.out_shape, "f4")).sum()) == 30_000
    assert {p.map.acc for p in plan.T.window((0, 0), (1, 1))[2].passes} == {"float64"}
    assert {p.map.acc for p in upsample.plan((1, 1, 3, 1), "float32", size=(6, 4096)).T.passes} == {"float32"}


def test_plans_and_adjoints_go_when_they_are_dropped() -> None:
    """Without the garbage collector: neither keeps the other's tables in a cycle."""
    gc.disable()
    try:
        plan = upsample.plan((1, 1, 4), "float32", size=8)
        adjoint = plan.T
        assert plan.T is adjoint
        seen = weakref.ref(plan), weakref.ref(adjoint)
        equal = upsample.plan((1, 1, 4), "float32", size=8)
        del plan
        assert seen[0]() is None
        forward = adjoint.T  # made anew
        assert forward == equal
        assert forward.T is adjoint
        assert adjoint.T is forward
        del adjoint
        assert seen[1]() is None
        assert forward.T.T is forward
        last = weakref.ref(forward)
        del forward
        assert last() is None
    finally:
        gc.enable()


def test_sums_are_rounded_once() -> None:
    for case in testing.random_cases(200, seed=41, dtypes=("float16",)):
        if case.arguments.get("numerics") == "exact":
            continue  # float32 would be a second rounding
        plan, _, g = pair(case)
        wide = upsample.plan(plan.T.out_shape, "float32", **case.arguments).T(g.astype("f4"))
        with np.errstate(over="ignore"):
            assert np.array_equal(plan.T(g), wide.astype("f2")), case


# ---- the same bits -----------------------------------------------------------------------------------------


def large_cases(seed: int, count: int) -> list[testing.Case]:
    cases = []
    for case in testing.random_cases(2000, seed=seed, dtypes=("float32", "float64", "float16")):
        shape = tuple(n * (3 if len(case.shape) > 3 else 5) for n in case.shape)
        arguments = {k: v for k, v in case.arguments.items() if k != "size"}
        arguments.setdefault("scale_factor", 2.0)
        larger = testing.Case(shape, case.dtype, arguments, case.strides, case.seed)
        if len(cases) < count and 70_000 <= larger.output_size() <= 300_000:
            cases.append(larger)
    assert len(cases) == count
    return cases


def test_bits_do_not_depend_on_runs_or_threads() -> None:
    for case in large_cases(3, 40):
        plan, _, g = pair(case)
        found = set()
        for threads in (1, 1, 2, 5):
            with upsample.num_threads(threads):
                found.add(plan.T(g).tobytes())
        assert len(found) == 1, case


def test_chunks_have_the_bits_of_the_whole() -> None:
    rng = random.Random(8)
    for case in testing.random_cases(300, seed=21, dtypes=("float32", "float64", "float16")):
        plan, _, g = pair(case)
        whole = plan.T(g)
        bounds = [sorted(rng.sample(range(whole.shape[a] + 1), 2)) for a in plan.spatial]
        start, stop = zip(*bounds, strict=True)
        lo, hi, part = plan.T.window(start, stop)
        source = [slice(None)] * g.ndim
        target = list(source)
        for axis, a, b, s, e in zip(plan.spatial, lo, hi, start, stop, strict=True):
            source[axis], target[axis] = slice(a, b), slice(s, e)
        assert np.array_equal(part(g[tuple(source)]), whole[tuple(target)]), case


def test_the_gradient_of_a_chunk_is_the_adjoint_of_its_plan() -> None:
    for case in testing.random_cases(100, seed=22, dtypes=("float64",)):
        plan, x, _ = pair(case)
        stop = tuple(max(1, plan.out_shape[a] // 2) for a in plan.spatial)
        lo, hi, part = plan.window(tuple(0 for _ in stop), stop)
        source = [slice(None)] * x.ndim
        for axis, a, b in zip(plan.spatial, lo, hi, strict=True):
            source[axis] = slice(a, b)
        piece = x[tuple(source)]
        g = np.random.default_rng(case.seed).uniform(-1, 1, part.out_shape)
        left, right = (part(piece) * g).sum(), (piece * part.T(g)).sum()
        assert left == pytest.approx(right, abs=1e-12 * (1 + np.abs(piece).sum() * np.abs(g).max())), case


def test_bits_do_not_depend_on_layout() -> None:
    for case in testing.random_cases(300, seed=23, dtypes=("float32", "float16")):
        if "layout" in case.arguments:
            continue
        plan, x, g = pair(case)
        want = np.ascontiguousarray(plan.T(np.ascontiguousarray(g)))
        for kind in testing.STRIDES:
            if kind in ("broadcast", "sliced"):
                continue
            laid = testing._restrided(np.ascontiguousarray(g), kind)
            got = upsample.interpolate_backward(laid, x.shape, **case.arguments)
            assert np.array_equal(got, want), (case, kind)
            out = np.empty_like(want)
            assert upsample.interpolate_backward(laid, x.shape, **case.arguments, out=out) is out
            assert np.array_equal(out, want)


def test_channels_last_gradients_give_channels_last_ones() -> None:
    g = np.moveaxis(np.ones((2, 8, 10, 5), np.float32), -1, 1)
    made = upsample.interpolate_backward(g, (2, 5, 4, 5), scale_factor=2, mode="bilinear")
    assert made.strides == np.moveaxis(np.empty((2, 4, 5, 5), np.float32), -1, 1).strides


def test_levels_with_fma_give_equal_bits(level: Any) -> None:
    for case in testing.random_cases(400, seed=24, dtypes=("float32", "float64", "float16")):
        _, x, g = pair(case)
        found = set()
        for name in LEVELS:
            if name != "baseline":
                level(name)
                found.add(upsample.plan(x.shape, x.dtype, **case.arguments).T(g).tobytes())
        assert len(found) <= 1, case


@pytest.mark.parametrize("name", LEVELS)
def test_each_level_agrees_with_the_reference(name: str, level: Any) -> None:
    level(name)
    cases = list(testing.random_cases(200, seed=25, dtypes=("float32", "float64", "float16")))
    assert testing.check_backend("cpu", cases=cases).gradients == 200


def path(plan: Any, g: Any) -> str:
    """The CPU kernel's path, in words."""
    from upsample.backends import kernel_for

    return str(kernel_for(plan, g, "cpu").explain()).partition("W pass: ")[2].partition(", ring")[0]


@pytest.mark.parametrize("name", [n for n in LEVELS if n not in ("baseline", "neon")])
@pytest.mark.parametrize(
    ("mode", "shape", "arguments", "expected"),
    [
        ("bilinear", (1, 2, 40, 60), {"scale_factor": 2}, "halves"),
        ("bicubic", (1, 2, 40, 60), {"scale_factor": 2}, "halves"),
        ("bilinear", (1, 2, 40, 60), {"scale_factor": 1.5}, "windows"),
        ("bilinear", (1, 2, 40, 60), {"scale_factor": 2, "align_corners": True}, "windows"),
        ("bicubic", (1, 2, 40, 60), {"scale_factor": 0.5}, "windows"),
        ("nearest", (1, 2, 40, 60), {"scale_factor": 0.5}, "copied planes"),
        ("nearest", (1, 2, 40, 600), {"scale_factor": 0.5}, "windows"),
        ("nearest", (1, 2, 40, 60), {"scale_factor": 2}, "halves"),
        ("area", (1, 2, 40, 60), {"scale_factor": 0.3}, "windows"),
        ("linear", (2, 3, 500), {"scale_factor": 2}, "halves"),
        ("trilinear", (1, 1, 9, 10, 40), {"scale_factor": 2}, "halves"),
        ("nearest", (40, 60, 32), {"scale_factor": 2, "layout": "HWC"}, "pixels, two rows at once"),
    ],
)
def test_fast_paths_run_and_agree(
    name: str, mode: str, shape: tuple[int, ...], arguments: dict[str, Any], expected: str, level: Any
) -> None:
    level(name)
    case = testing.Case(shape, "float32", {"mode": mode, **arguments}, seed=2)
    plan, _, g = pair(case)
    assert path(plan.T, g).startswith(expected)
    assert testing.check_backend("cpu", cases=[case]).gradients == 1


@pytest.mark.parametrize("name", [n for n in LEVELS if n not in ("baseline", "neon")])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_halves_of_every_width_are_the_one_sum(mode: str, channels: int, name: str, level: Any) -> None:
    """Both ends in one vector, lanes further on, the last block: at widths around every block size."""
    level(name)
    seen = set()
    for width in (*range(8, 50), 127, 128, 129):
        plan = upsample.plan((2, width, channels), "float32", scale_factor=2, mode=mode, layout="HWC").T
        g = np.random.default_rng(width).uniform(-1, 1, plan.shape).astype(np.float32)
        seen.add(path(plan, g).partition(",")[0])
        want = g
        for step in plan.passes:
            want = one_sum(step.map, want, step.axis)
        assert np.array_equal(plan(g), want), width
        for at in (0, g.size // 2, g.size - 1):  # an infinity reaches what it is a tap of, and nothing else
            g.flat[at] = np.inf
        with np.errstate(invalid="ignore"):
            reached = upsample.plan(
                plan.out_shape, "float32", scale_factor=2, mode=mode, layout="HWC", backend="reference"
            )
            assert np.array_equal(np.isfinite(plan(g)), np.isfinite(reached.T(g))), width
    assert "halves" in seen


def test_no_gradient_reaches_samples_through_weights_of_zero() -> None:
    """The first output of a doubled row is input 0 alone: its second tap weighs nothing."""
    g = np.array([[[np.nan, 1, 1, 1, 1, 1]]])
    for backend in ("cpu", "reference"):
        got = upsample.interpolate_backward(g, (1, 1, 3), scale_factor=2, mode="linear", backend=backend)
        assert np.isnan(got[0, 0]).tolist() == [True, False, False]


# ---- many taps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic", "area", "lanczos"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_inputs_of_very_many_outputs(mode: str, dtype: str, channels: int) -> None:
    """More taps than a table holds, made in parts."""
    m = 300_001
    plan = upsample.plan((2, channels), dtype, size=m, mode=mode, antialias=mode == "lanczos", layout="WC")
    g = np.random.default_rng(1).uniform(-1, 1, (m, channels)).astype(dtype)
    assert plan.T.passes[0].map.taps_max > 1 << 17
    got = plan.T(g)
    assert "taps in parts" in path(plan.T, g)
    first, count, weights = plan.T.passes[0].map.taps()
    for o in range(2):
        want = np.array(
            [
                sum_in_order(g[first[o] : first[o] + count[o], c], weights[o, : count[o]], plan.T.passes[0].map.acc)
                for c in range(channels)
            ]
        )
        assert np.abs(got[o] - want).max() <= (2e-3 if dtype == "float16" else 1e-4 if dtype == "float32" else 1e-9) * (
            1 + np.abs(want).max()
        )
    (lo,), (hi,), part = plan.T.window((1,), (2,))
    assert np.array_equal(part(g[lo:hi]), got[1:])


def sum_in_order(x: Any, w: Any, kind: str) -> Any:
    return (x.astype(kind).astype("f8") * w.astype("f8")).sum()


@pytest.mark.parametrize(("mode", "antialias"), [("area", False), ("linear", True), ("lanczos", True)])
def test_the_gradient_of_very_wide_sums(mode: str, antialias: bool) -> None:
    """One output of a million samples: only the part of a filter that a tile needs is made."""
    n = 1_000_003
    plan = upsample.plan((n,), "float64", size=2, mode=mode, antialias=antialias, layout="W")
    g = np.array([1.0, -2.0])
    made = plan.T(g)
    x = np.random.default_rng(4).uniform(-1, 1, n)
    assert float((plan(x) * g).sum()) == pytest.approx(float((x * made).sum()), abs=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_long_rows_and_tall_columns(dtype: str) -> None:
    for shape in ((1, 1, 90_001), (1, 1, 70_001, 2), (1, 1, 2, 70_001), (1, 40_000, 3)):
        layout = "NWC" if shape[-1] == 3 else None
        mode = "linear" if len(shape) == 3 else "bilinear"
        case = testing.Case(shape, dtype, {"mode": mode, "scale_factor": 2, "layout": layout}, seed=1)
        assert testing.check_backend("cpu", cases=[case]).gradients == 1


# ---- arguments and errors ----------------------------------------------------------------------------------


def test_arguments_are_interpolates_own() -> None:
    import inspect

    forward = inspect.signature(upsample.interpolate).parameters
    backward = inspect.signature(upsample.interpolate_backward).parameters
    assert list(backward)[2:] == list(forward)[1:]
    for name in list(forward)[1:]:
        assert backward[name].default == forward[name].default
        assert backward[name].kind == forward[name].kind


def test_objects_have_a_backward() -> None:
    up = upsample.Upsample(scale_factor=(2, 3), mode="bicubic", numerics="exact", layout="HWC")
    x = np.random.default_rng(0).uniform(size=(5, 6, 3))
    g = np.random.default_rng(1).uniform(size=up(x).shape)
    made = up.backward(g, x.shape)
    assert float((up(x) * g).sum()) == pytest.approx(float((x * made).sum()), rel=1e-12)
    out = np.empty_like(x)
    assert up.backward(g, x.shape, out=out) is out
    assert np.array_equal(out, made)
    forward = np.empty_like(g)
    assert up(x, out=forward) is forward
    assert np.array_equal(forward, up.forward(x))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int64", "bool", "complex64", "S2"])
def test_other_dtypes_have_no_gradient(dtype: str) -> None:
    with pytest.raises(NotImplementedError, match=r"has no gradient.*x\.astype"):
        upsample.interpolate_backward(np.zeros((1, 1, 4), dtype), (1, 1, 2), scale_factor=2)
    with pytest.raises(NotImplementedError, match="has no gradient"):
        upsample.plan((1, 1, 2), dtype, scale_factor=2).T  # noqa: B018


def test_refused_dtypes_are_told_the_reason() -> None:
    def reason(dtype: str) -> str:
        with pytest.raises(NotImplementedError) as caught:
            upsample.interpolate_backward(np.zeros((1, 1, 4), dtype), (1, 1, 2), scale_factor=2)
        return str(caught.value)

    makes = "this library makes gradients in float16, bfloat16, float32 and float64"
    for dtype in ("int64", "uint8"):
        assert reason(dtype).startswith(f"{dtype} has no gradient (integers change in steps")
        assert makes in reason(dtype)
    for dtype in ("complex64", np.dtype(np.longdouble).name, "S2", "object"):
        assert makes in reason(dtype)
        assert "integers" not in reason(dtype)


@pytest.mark.parametrize("shape", [(1, 2**20, 2**44), (1, 1, 2**61), (0, 1, 2**64), (1, 2**70, 4)])
def test_a_gradient_whose_bytes_64_bits_cannot_count_is_refused_as_such_an_output_is(shape: tuple[int, ...]) -> None:
    grad = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (shape[0], min(shape[1], 2**20), 4), (0, 0, 0))
    for call in (upsample.interpolate_backward, lambda g, s, size: upsample.explain(g, size, input_shape=s)):
        with pytest.raises(RuntimeError, match=r"an input of shape .* 64-bit byte counts \(overflow\)"):
            call(grad, shape, 4)  # type: ignore[operator]
    with pytest.raises(RuntimeError, match=r"an input of shape .* 64-bit byte counts \(overflow\)"):
        upsample.plan(shape, np.float32, size=4)


def test_the_gradient_must_have_the_outputs_shape() -> None:
    for shape in ((1, 1, 5), (1, 1, 4, 1), (2, 1, 4)):
        with pytest.raises(ValueError, match=r"grad_output has shape .* makes \(1, 1, 4\) of an input of shape"):
            upsample.interpolate_backward(np.zeros(shape), (1, 1, 2), scale_factor=2)
    with pytest.raises(ValueError, match="the plan is for float64 of shape"):
        upsample.plan((1, 1, 2), "float64", scale_factor=2).T(np.zeros((1, 1, 2)))
    with pytest.raises(ValueError, match="the plan is for float64"):
        upsample.plan((1, 1, 2), "float64", scale_factor=2).T(np.zeros((1, 1, 4), "f4"))


def test_bad_arguments_are_named() -> None:
    g = np.zeros((1, 1, 4))
    with pytest.raises(TypeError, match="input_shape must be a sequence of ints"):
        upsample.interpolate_backward(g, 3, scale_factor=2)
    with pytest.raises(TypeError, match="input_shape must be a sequence of ints"):
        upsample.interpolate_backward(g, (1, 1, 2.0), scale_factor=2)
    upsample.interpolate_backward(g, (1, 1, 2), scale_factor=2)
    with pytest.raises(TypeError, match="input_shape must be a sequence of ints"):
        upsample.interpolate_backward(g, (1, 1, 2.0), scale_factor=2)  # not answered from the cache
    with pytest.raises(TypeError, match=r"grad_output must be a numpy\.ndarray"):
        upsample.interpolate_backward([1.0], (1, 1, 2), scale_factor=2)
    with pytest.raises(ValueError, match="either size or scale_factor"):
        upsample.interpolate_backward(g, (1, 1, 2))
    with pytest.raises(upsample.BackendError, match="there is no backend"):
        upsample.interpolate_backward(g, (1, 1, 2), scale_factor=2, backend="none")
    assert upsample.interpolate_backward(g, [1, 1, np.int64(2)], [4]).shape == (1, 1, 2)


@pytest.mark.parametrize("kind", [list, iter, np.array, lambda v: map(np.int64, v), lambda v: (n for n in v)])
def test_input_shapes_of_every_kind(kind: Any) -> None:
    """Taken in once, and answered from the cache."""
    assert upsample.interpolate_backward(np.ones((1, 1, 4)), kind((1, 1, 2)), size=4).tolist() == [[[2, 2]]]
    before = _interpolate._cached_kernel.cache_info()
    upsample.interpolate_backward(np.ones((1, 1, 4)), kind((1, 1, 2)), size=4)
    after = _interpolate._cached_kernel.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)
    with pytest.warns(UserWarning, match=r"an array of shape \(20, 20, 3\) is taken"):
        upsample.interpolate_backward(np.zeros((20, 20, 6)), kind((20, 20, 3)), scale_factor=2)


def test_gradients_are_explained() -> None:
    g = np.zeros((1, 2, 80, 120), np.float32)
    text = upsample.explain(g, scale_factor=2, mode="bilinear", input_shape=[1, 2, 40, 60], backend="cpu")
    lines = text.splitlines()
    assert lines[0] == "gradient, float32 (1, 2, 80, 120) -> (1, 2, 40, 60)"
    assert "axis 3: AxisMap(120 -> 60, linear transposed" in lines[1]
    assert path(upsample.plan((1, 2, 40, 60), "float32", scale_factor=2, mode="bilinear").T, g) in text
    upsample.explain(g, scale_factor=2, input_shape=(1, 2, 40, 60), out=np.empty((1, 2, 40, 60), np.float32))
    with pytest.raises(ValueError, match="out has shape"):
        upsample.explain(g, scale_factor=2, input_shape=(1, 2, 40, 60), out=g)
    with pytest.raises(ValueError, match="grad_output has shape"):
        upsample.explain(g, scale_factor=2, input_shape=(1, 2, 40, 61))
    with pytest.raises(TypeError, match="grad_output must be"):
        upsample.explain([1.0], scale_factor=2, input_shape=(1, 1, 2))
    assert "no axis is resampled" in upsample.explain(np.zeros((1, 2, 0)), size=0, mode="area", input_shape=(1, 2, 5))


def test_out_is_checked_before_anything_is_written() -> None:
    g = np.ones((1, 1, 4))
    shared = np.ones(8)
    for out, message in (
        (np.empty((1, 1, 3)), "out has shape"),
        (np.empty((1, 1, 2), "f4"), "out has dtype"),
        (np.broadcast_to(np.zeros(()), (1, 1, 2)), "read-only"),
    ):
        with pytest.raises(ValueError, match=message):
            upsample.interpolate_backward(g, (1, 1, 2), scale_factor=2, out=out)
    with pytest.raises(ValueError, match="share memory with the array that it is made from"):
        upsample.interpolate_backward(shared[:4].reshape(1, 1, 4), (1, 1, 2), 4, out=shared[2:4].reshape(1, 1, 2))
    out = np.full((1, 1, 2), np.nan)
    assert upsample.interpolate_backward(g, (1, 1, 2), scale_factor=2, out=out) is out
    assert out.ravel().tolist() == [2, 2]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_empty_gradients(backend: str) -> None:
    assert upsample.interpolate_backward(np.zeros((0, 2, 10)), (0, 2, 5), 10, mode="linear", backend=backend).shape == (
        0, 2, 5,
    )  # fmt: skip
    # an area of no samples: nothing depends on the input
    got = upsample.interpolate_backward(np.zeros((1, 2, 0)), (1, 2, 5), size=0, mode="area", backend=backend)
    assert got.tolist() == np.zeros((1, 2, 5)).tolist()
    out = np.full((1, 2, 5), np.nan)
    plan = upsample.plan((1, 2, 5), "float64", size=0, mode="area", backend=backend)
    assert plan.T(np.zeros((1, 2, 0)), out) is out
    assert not out.any()
    from upsample.backends import kernel_for

    assert "nothing to sum" in kernel_for(plan.T, np.zeros((1, 2, 0)), backend).explain()


@pytest.mark.parametrize(
    ("shape", "size", "start", "stop"),
    [
        ((1, 2, 5), 0, (0,), (3,)),
        ((1, 2, 3, 5), (4, 0), (1, 2), (3, 4)),
        ((1, 2, 3, 5), (0, 5), (2, 1), (3, 4)),
        ((1, 2, 5, 3), (3, 0), (4, 0), (5, 1)),
    ],
)
def test_chunks_of_empty_gradients(
    shape: tuple[int, ...], size: Any, start: tuple[int, ...], stop: tuple[int, ...]
) -> None:
    plan = upsample.plan(shape, "float64", size=size, mode="area").T
    lo, hi, part = plan.window(start, stop)
    g = np.zeros(plan.shape)[(..., *(slice(a, b) for a, b in zip(lo, hi, strict=True)))]
    assert g.shape == part.shape
    made = part(g)
    assert made.shape == (1, 2, *(b - a for a, b in zip(start, stop, strict=True)))
    assert not made.any()


def test_a_sample_that_is_not_finite_reaches_what_has_it_as_a_tap() -> None:
    """Also with a weight of 0, save a last tap of weight 0: output 4 of 9 is input 2 of 5 exactly, of four taps."""
    g = np.zeros((1, 1, 1, 9))
    g[..., 4] = np.nan
    arguments = {"size": (1, 9), "mode": "bicubic", "align_corners": True}
    for backend in ("cpu", "reference"):
        got = upsample.interpolate_backward(g, (1, 1, 1, 5), **arguments, backend=backend)
        assert np.isnan(got).ravel().tolist() == [False, True, True, True, False]


def test_unchanged_axes_are_copied() -> None:
    g = np.random.default_rng(0).uniform(size=(1, 2, 5, 8))
    got = upsample.interpolate_backward(g, (1, 2, 5, 4), size=(5, 8), mode="bilinear")
    assert got.shape == (1, 2, 5, 4)
    assert np.array_equal(upsample.interpolate_backward(g, g.shape, size=(5, 8), mode="bilinear"), g)


def test_an_image_taken_for_a_signal_is_pointed_out() -> None:
    with pytest.warns(UserWarning, match="layout='HWC'"):
        upsample.interpolate_backward(np.zeros((20, 20, 6)), (20, 20, 3), scale_factor=2)


@pytest.mark.parametrize("shape", [(1, 1, 60, 1100), (2, 1, 63, 1041), (1, 4, 56, 1280)])
def test_gradients_of_long_doubled_rows_of_many_channels(shape: tuple[int, ...]) -> None:
    n, h, w, c = shape
    g = np.random.default_rng(1).integers(0, 100, (n, 2 * h, 2 * w, c)).astype(np.float32)
    plan = upsample.plan(shape, np.float32, scale_factor=2, mode="nearest", layout="NHWC")
    assert np.array_equal(plan.T(g), g.reshape(n, h, 2, w, 2, c).sum((2, 4)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 70000, 2), (1, 1, 70000, 2, 2)])
def test_gradients_of_means_over_an_axis_whose_table_is_not_kept(shape: tuple[int, ...], dtype: Any) -> None:
    ones = (1,) * (len(shape) - 2)
    plan = upsample.plan(shape, dtype, size=ones, mode="area")
    made = plan.T(np.ones((1, 1, *ones), dtype))
    expected = 1 / np.prod(shape)
    assert np.allclose(made.astype(float), expected, rtol=1e-6, atol=1e-7 if dtype == np.float16 else 0)
