"""Every backend of ours through the kit that third parties use, and properties that any resampling has."""

from __future__ import annotations

import importlib
import sys
import types
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import rational
from hypothesis import given, settings
from hypothesis import strategies as st

import upsample
from upsample import testing
from upsample.backends.reference import run, unrounded

RANK_MODES = {
    1: ("nearest", "nearest-exact", "linear", "cubic", "area", "lanczos"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area", "lanczos"),
    3: ("nearest", "nearest-exact", "trilinear", "cubic", "area", "lanczos"),
}


def handed_over(made: Any, out: Any) -> Any:
    """A kernel's result as it is, or in `out`."""
    if out is None:
        return made
    out[...] = made
    return out


def test_cpu_agrees_with_the_reference_on_every_mode_rank_dtype_layout_and_stride() -> None:
    report = testing.check_backend("cpu", count=1500)
    assert not report.refused
    assert report.passed > 1700
    assert report.gradients > 600
    assert "0 failed" in str(report)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_cpu_agrees_with_the_reference_on_larger_arrays(threads: int) -> None:
    cases = []
    for case in testing.random_cases(400, seed=threads):
        shape = tuple(n * (3 if len(case.shape) > 3 else 5) for n in case.shape)
        arguments = {k: v for k, v in case.arguments.items() if k != "size"}
        if "scale_factor" not in arguments:
            arguments["scale_factor"] = 2.0
        larger = testing.Case(shape, case.dtype, arguments, case.strides, case.seed)
        if len(cases) < 40 and 70_000 <= larger.output_size() <= 300_000:
            cases.append(larger)
    assert len(cases) == 40
    with upsample.num_threads(threads):
        assert testing.check_backend("cpu", cases=cases).passed == len(cases)


def test_the_reference_conforms_to_itself() -> None:
    assert testing.check_backend("reference", count=50).passed > 50


def test_the_kit_sees_a_wrong_backend() -> None:
    class Wrong:
        name = "wrong_for_test"

        def prepare(self, plan: Any, like: Any) -> Any:
            def kernel(x: Any, out: Any = None) -> Any:
                made = run(plan, x)
                if made.size > 2 and made.dtype.kind == "f":
                    made.flat[1] += made.dtype.type(0.1)  # one sample of many
                return handed_over(made, out)

            return kernel

    upsample.register_backend(Wrong())
    with pytest.raises(AssertionError, match="samples differ"):
        testing.check_backend("wrong_for_test", count=20)


def test_the_kit_sees_a_wrong_gradient() -> None:
    class Forward:
        name = "wrong_backward_for_test"

        def prepare(self, plan: Any, like: Any) -> Any:
            def kernel(x: Any, out: Any = None) -> Any:
                made = run(plan, x)
                if any(p.map.transposed for p in plan.passes):
                    made[...] = made[..., ::-1]
                return handed_over(made, out)

            return kernel

    upsample.register_backend(Forward())
    with pytest.raises(AssertionError, match=r"its gradient: .* samples differ"):
        testing.check_backend("wrong_backward_for_test", count=20)


def call(x: Any, mode: str, **keywords: Any) -> Any:
    keywords["antialias"] = mode == "lanczos" or keywords.get("antialias", False)
    return upsample.interpolate(x, mode=mode, **keywords)


@given(
    st.sampled_from(["nearest", "nearest-exact", "linear", "cubic", "area"]),
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=12),
    st.one_of(st.integers(1, 30), st.sampled_from([0.5, 1.5, 2.0, 3.0, 1.1])),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["cpu", "reference"]),
)
def test_exact_results_are_the_rational_ones_rounded(
    mode: str, values: list[float], target: float, corners: bool, antialias: bool, backend: str
) -> None:
    n = len(values)
    x = np.array(values).reshape(1, 1, n)
    keywords: dict[str, Any] = {"mode": mode, "numerics": "exact", "backend": backend}
    scale = 0.0
    if isinstance(target, int):
        m = target
        keywords["size"] = m
    else:
        m = int(n * target)
        if m < 1:
            return
        keywords["scale_factor"] = target
        scale = 0.0 if mode == "area" else target
    weighted = mode in ("linear", "cubic")
    antialias = antialias and weighted
    if weighted:
        keywords["align_corners"] = corners and not antialias
        keywords["antialias"] = antialias
    got = upsample.interpolate(x, **keywords)[0, 0]
    if n == m and (mode == "area" or antialias or mode == "linear" or (corners and weighted)):
        want = [Fraction(v) for v in values]
    else:
        tables = [
            rational.taps(mode, i, n, m, scale, corners and weighted and not antialias, antialias) for i in range(m)
        ]
        want = rational.resample_axis([Fraction(v) for v in values], tables)
    error = max(abs(Fraction(float(g)) - w) for g, w in zip(got, want, strict=True))
    assert error <= 8 * 2.0**-52 * max(map(abs, values)) * (4 if antialias else 2)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 20), st.integers(1, 20), st.data())
@settings(max_examples=40)
def test_exact_images_are_the_rational_ones(h: int, w: int, height: int, width: int, data: st.DataObject) -> None:
    x = np.array(data.draw(st.lists(st.integers(0, 255), min_size=h * w, max_size=h * w)), np.float64).reshape(h, w)
    mode = data.draw(st.sampled_from(["bilinear", "bicubic"]))
    got = upsample.interpolate(x, size=(height, width), mode=mode, layout="HW", numerics="exact")
    method = mode[2:]
    rows = [[Fraction(int(v)) for v in row] for row in x]
    along_w = [
        rational.resample_axis(row, [rational.taps(method, i, w, width, 0.0, False, False) for i in range(width)])
        for row in rows
    ]
    want = rational.resample_axis(
        along_w, [rational.taps(method, i, h, height, 0.0, False, False) for i in range(height)]
    )
    assert np.abs(got - np.array([[float(v) for v in row] for row in want])).max() <= 1e-12


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int8", "uint16", "int16"])
def test_constants_are_preserved(rank: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for mode in RANK_MODES[rank]:
        for size in (tuple(rng.integers(1, 40, rank)), (7,) * rank, (31,) * rank):
            for antialias in (False, True):
                if antialias and mode in ("nearest", "nearest-exact", "area"):
                    continue
                value = 93 if dtype != "float16" else 1.25
                x = np.full((1, 2, *rng.integers(1, 24, rank)), value, dtype)
                got = call(x, mode, size=tuple(int(s) for s in size), antialias=antialias)
                if x.dtype.kind in "iu" or mode.startswith("nearest"):
                    assert (got == value).all(), (mode, size, x.shape)
                else:
                    # torch's cubic polynomials, kept to the bit, sum to 1 only within 8 ulp per axis.
                    ulps = 8 if "cubic" in mode and not antialias and dtype != "float16" else 4
                    assert np.abs(got.astype("f8") - value).max() <= ulps * np.spacing(x.flat[0]) * rank, (mode, size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_linear_family_reproduces_linear_data_inside(rank: int, dtype: str) -> None:
    rng = np.random.default_rng(rank)
    mode = ("linear", "bilinear", "trilinear")[rank - 1]
    for _ in range(20):
        n = rng.integers(3, 12, rank)
        m = [int(v) for v in rng.integers(3, 30, rank)]
        slope = rng.uniform(-1, 1, rank)
        grid = np.meshgrid(*[np.arange(k) for k in n], indexing="ij")
        x = sum(s * g for s, g in zip(slope, grid, strict=True)).astype(dtype)[None, None]
        for corners in (False, True):
            got = upsample.interpolate(x, size=m, mode=mode, align_corners=corners)[0, 0]
            c = [
                np.arange(o) * (k - 1) / (o - 1) if corners else np.clip((np.arange(o) + 0.5) * k / o - 0.5, 0, k - 1)
                for k, o in zip(n, m, strict=True)
            ]
            want = sum(s * g for s, g in zip(slope, np.meshgrid(*c, indexing="ij"), strict=True))
            assert np.abs(got - want).max() < (1e-5 if dtype == "float32" else 1e-13)


@given(st.integers(0, 2**31), st.sampled_from(["nearest", "bilinear", "bicubic", "area", "lanczos"]))
@settings(max_examples=40)
def test_permuting_batch_or_channels_commutes(seed: int, mode: str) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 4, *rng.integers(1, 20, 2))).astype(rng.choice(["float32", "float16", "float64"]))
    size = tuple(int(v) for v in rng.integers(1, 40, 2))
    batch, channels = rng.permutation(3), rng.permutation(4)
    whole = call(x, mode, size=size)
    assert (call(x[batch][:, channels], mode, size=size) == whole[batch][:, channels]).all()


@given(st.integers(0, 2**31))
@settings(max_examples=150)
def test_a_chunk_has_the_bits_of_the_whole(seed: int) -> None:
    (case,) = testing.random_cases(1, seed)
    x = case.array()
    plan = upsample.plan(x.shape, x.dtype, **case.arguments)
    whole = plan(x)
    rng = np.random.default_rng(seed)
    start, stop = [], []
    for axis in plan.spatial:
        lo = int(rng.integers(0, plan.out_shape[axis]))
        start.append(lo)
        stop.append(int(rng.integers(lo + 1, plan.out_shape[axis] + 1)))
    in_start, in_stop, part = plan.window(tuple(start), tuple(stop))
    cut, piece = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    for axis, a, b, c, d in zip(plan.spatial, in_start, in_stop, start, stop, strict=True):
        cut[axis], piece[axis] = slice(a, b), slice(c, d)
    got = part(x[tuple(cut)])
    want = whole[tuple(piece)]
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_non_finite_sample_affects_only_outputs_whose_taps_include_it(bad: float, backend: str) -> None:
    rng = np.random.default_rng(3)
    for rank, modes in RANK_MODES.items():
        for mode in modes:
            for target in (0.4, 0.5, 1.0, 1.7, 2.0):
                shape = (1, 2, *[int(v) for v in rng.integers(3, 11, rank)])
                x = rng.normal(size=shape).astype(np.float32)
                at = (0, 1, *[int(rng.integers(0, n)) for n in shape[2:]])
                plan = upsample.plan(
                    shape, np.float32, scale_factor=target, mode=mode, antialias=mode == "lanczos", backend=backend
                )
                clean = plan(x)
                x[at] = bad
                got = plan(x)
                touched = np.ones(plan.out_shape[2:], bool)
                maps = {p.axis: p.map for p in plan.passes}
                for axis in range(2, 2 + rank):
                    if axis in maps:
                        first, count, _ = maps[axis].taps()
                        k = np.arange(maps[axis].taps_max)
                        used = (np.clip(first[:, None] + k, 0, shape[axis] - 1) == at[axis]) & (k < count[:, None])
                        hit = used.any(axis=1)
                    else:
                        hit = np.arange(shape[axis]) == at[axis]
                    touched &= hit.reshape([-1 if a == axis else 1 for a in range(2, 2 + rank)])
                expected = np.isfinite(got) | np.broadcast_to(touched, got.shape) & (np.arange(2) == 1).reshape(
                    1, 2, *[1] * rank
                )
                assert expected.all(), (mode, target, shape)
                same = ~np.broadcast_to(touched, got.shape[2:])
                assert (got[0, 1][same] == clean[0, 1][same]).all()
                assert (got[0, 0] == clean[0, 0]).all()


def test_exact_is_never_less_accurate_than_torchs_numerics() -> None:
    rng = np.random.default_rng(5)
    for mode in ("linear", "cubic"):
        for n, m in ((5003, 5009), (1000, 1777), (333, 100)):
            x = rng.normal(size=(1, 1, n))
            tables = [rational.taps(mode, i, n, m, 0.0, False, False) for i in range(m)]
            want = np.array([float(v) for v in rational.resample_axis([Fraction(float(v)) for v in x[0, 0]], tables)])
            errors = {
                numerics: np.abs(upsample.interpolate(x, size=m, mode=mode, numerics=numerics)[0, 0] - want).max()
                for numerics in ("torch", "exact")
            }
            assert errors["exact"] <= errors["torch"]
            assert errors["exact"] < 1e-14


def test_the_kit_sees_wrong_rounding() -> None:
    class Floors:
        name = "floors_for_test"

        def prepare(self, plan: Any, like: Any) -> Any:
            def kernel(x: Any, out: Any = None) -> Any:
                values = unrounded(plan, x)
                made = np.floor(values).astype(plan.dtype) if plan.dtype.kind in "iu" else run(plan, x)
                return handed_over(made, out)

            return kernel

    upsample.register_backend(Floors())
    cases = [testing.Case((1, 1, 9, 9), "int16", {"mode": "bilinear", "size": (7, 8)})]
    with pytest.raises(AssertionError, match="from the sum that it rounds"):
        testing.check_backend("floors_for_test", cases=cases)


# ---- what the kit refuses ----------------------------------------------------------------------------------


def test_the_kit_knows_two_kinds_of_arrays() -> None:
    with pytest.raises(ValueError, match="arrays must be 'numpy' or 'cupy', got 'torch'"):
        testing.check_backend("cpu", arrays="torch")


def test_the_kit_says_why_there_are_no_arrays_of_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(upsample.BackendError, match="cannot be tested on CuPy arrays: CuPy has not been imported"):
        testing.check_backend("cuda", arrays="cupy")

    def fail() -> None:
        raise OSError("no\ndriver")

    runtime = types.SimpleNamespace(getDeviceCount=fail)
    fake = types.SimpleNamespace(ndarray=list, cuda=types.SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setattr(importlib.import_module("upsample.backends.cuda"), "_usable", False)
    with pytest.raises(upsample.BackendError, match=r"CuPy finds no GPU: OSError: no driver .*does nvidia-smi work\?"):
        testing.check_backend("cuda", arrays="cupy")


def test_the_message_about_the_compiler_is_one_line_and_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("libnvrtc.so.13\nnot found")

    cuda: Any = importlib.import_module("upsample.backends.cuda")
    monkeypatch.setattr(cuda, "_usable", False)
    for version, package in ((13000, "cupy-cuda13x"), (12090, "cupy-cuda12x")):
        runtime = types.SimpleNamespace(getDeviceCount=lambda: 1, runtimeGetVersion=lambda v=version: v)
        nvrtc = types.SimpleNamespace(getVersion=fail)
        fake = types.SimpleNamespace(ndarray=list, cuda=types.SimpleNamespace(runtime=runtime, nvrtc=nvrtc))
        reason = cuda.unusable(fake)
        assert reason.endswith(f'libnvrtc.so.13 not found): pip install "{package}[ctk]>=14"')
        assert "\n" not in reason
    del runtime.runtimeGetVersion
    assert cuda.unusable(fake).endswith('pip install "cupy-cuda12x[ctk]>=14", or cupy-cuda13x for CUDA 13')


def test_a_backend_that_refuses_everything_does_not_pass() -> None:
    class Never:
        name = "never_for_test"

        def prepare(self, plan: Any, like: Any) -> Any:
            return "not today"

    upsample.register_backend(Never())
    with pytest.raises(upsample.BackendError, match=r"ran none of the cases(?s:.*)refused \d+: not today"):
        testing.check_backend("never_for_test", count=3)
    assert testing.check_backend("never_for_test", cases=()).passed == 0
