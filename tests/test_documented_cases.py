"""Outputs written down as numbers: PyTorch's documented examples, and a table of cases with their digits.

The digits come from PyTorch 2.13 on a CPU, except where this library is right on purpose and PyTorch
is not (24, 48, 50, 53, 54); nothing is computed here, so these tests need no other library.
Copies and 8-bit integers must be equal; float32 results agree to a few units in the last place of the
largest sample.  Every case runs on both backends.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import upsample
from upsample._config import config

BACKENDS = ("cpu", "reference")
INF = float("inf")


def A(*sizes: int, dtype: Any = np.float32) -> np.ndarray:
    """0, 1, 2, … as one sample of one channel."""
    return np.arange(np.prod(sizes)).astype(dtype).reshape(1, 1, *sizes)


def plane(values: Any, dtype: Any = np.float32) -> np.ndarray:
    """The given samples as one sample of one channel."""
    return np.asarray(values, dtype)[None, None]


def shown(values: np.ndarray) -> np.ndarray:
    """Samples of the only channel, as float64 so that unsigned differences do not wrap."""
    assert values.shape[:2] == (1, 1)
    return values[0, 0].astype(np.float64)


def ulp(x: np.ndarray) -> float:
    """A unit in the last place of the largest finite sample, in the type that sums are made in."""
    finite = np.abs(x[np.isfinite(x)].astype(np.float64))
    eps = np.finfo(np.float64 if x.dtype == np.float64 else np.float32).eps
    return float(eps * finite.max(initial=0))


# ---- torch.nn.Upsample's documented examples -------------------------------------------------------------

SQUARE = plane([[1, 2], [3, 4]])
PADDED = plane([[1, 2, 0], [3, 4, 0], [0, 0, 0]])
DOCUMENTED: dict[str, tuple[np.ndarray, dict[str, Any], list[list[float]]]] = {
    "nearest": (
        SQUARE,
        {"mode": "nearest"},
        [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]],
    ),
    "bilinear": (
        SQUARE,
        {"mode": "bilinear"},
        [
            [1.0000, 1.2500, 1.7500, 2.0000],
            [1.5000, 1.7500, 2.2500, 2.5000],
            [2.5000, 2.7500, 3.2500, 3.5000],
            [3.0000, 3.2500, 3.7500, 4.0000],
        ],
    ),
    "bilinear-corners": (
        SQUARE,
        {"mode": "bilinear", "align_corners": True},
        [
            [1.0000, 1.3333, 1.6667, 2.0000],
            [1.6667, 2.0000, 2.3333, 2.6667],
            [2.3333, 2.6667, 3.0000, 3.3333],
            [3.0000, 3.3333, 3.6667, 4.0000],
        ],
    ),
    "padded-bilinear": (
        PADDED,
        {"mode": "bilinear"},
        [
            [1.0000, 1.2500, 1.7500, 1.5000, 0.5000, 0.0000],
            [1.5000, 1.7500, 2.2500, 1.8750, 0.6250, 0.0000],
            [2.5000, 2.7500, 3.2500, 2.6250, 0.8750, 0.0000],
            [2.2500, 2.4375, 2.8125, 2.2500, 0.7500, 0.0000],
            [0.7500, 0.8125, 0.9375, 0.7500, 0.2500, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],
        ],
    ),
    "padded-bilinear-corners": (
        PADDED,
        {"mode": "bilinear", "align_corners": True},
        [
            [1.0000, 1.4000, 1.8000, 1.6000, 0.8000, 0.0000],
            [1.8000, 2.2000, 2.6000, 2.2400, 1.1200, 0.0000],
            [2.6000, 3.0000, 3.4000, 2.8800, 1.4400, 0.0000],
            [2.4000, 2.7200, 3.0400, 2.5600, 1.2800, 0.0000],
            [1.2000, 1.3600, 1.5200, 1.2800, 0.6400, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],
        ],
    ),
}
# The documentation prints four decimals.
PRINTED = 0.5e-4 + 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", DOCUMENTED)
def test_upsample_gives_the_documented_digits(name, backend):
    x, kwargs, expected = DOCUMENTED[name]
    got = upsample.Upsample(scale_factor=2, **kwargs, backend=backend)(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(shown(got), expected, rtol=0, atol=0 if name == "nearest" else PRINTED)


@pytest.mark.parametrize("name", ["nearest", "bilinear-corners"])
def test_the_2d_classes_give_the_documented_digits(name):
    cls = upsample.UpsamplingNearest2d if name == "nearest" else upsample.UpsamplingBilinear2d
    x, _, expected = DOCUMENTED[name]
    for module in (cls(scale_factor=2), cls(size=4), cls((4, 4)), cls(None, (2.0, 2.0))):
        np.testing.assert_allclose(shown(module(x)), expected, rtol=0, atol=0 if name == "nearest" else PRINTED)


def test_padding_leaves_the_inside_and_changes_the_border():
    """The point of the documented 3x3 examples: aligned corners make the outputs depend on the input's size."""
    inside = [shown(upsample.Upsample(scale_factor=2, mode="bilinear")(x))[:3, :3] for x in (SQUARE, PADDED)]
    np.testing.assert_array_equal(*inside)
    corners = upsample.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    assert (shown(corners(SQUARE))[1:3, 1:3] != shown(corners(PADDED))[1:3, 1:3]).all()


# ---- the table of cases -------------------------------------------------------------------------------------

X = plane([[10, 200, 30, 77], [0, 255, 128, 3], [99, 1, 254, 60], [5, 6, 7, 250]], np.uint8)
REC = {"recompute_scale_factor": True}
AC = {"align_corners": True}
AA = {"antialias": True}


@dataclasses.dataclass(frozen=True)
class Case:
    """One call and what comes out: the whole plane, or its row `row`."""

    number: int
    mode: str
    x: np.ndarray
    kwargs: dict[str, Any]
    expected: Any
    row: int | None = None
    equal: bool = False  # to the bit, whatever the dtype
    atol: float | None = None


def s(factor: Any, **kwargs: Any) -> dict[str, Any]:
    return {"scale_factor": factor, **kwargs}


def to(size: Any, **kwargs: Any) -> dict[str, Any]:
    return {"size": size, **kwargs}


CASES = [
    Case(1, "nearest", A(5), s(1.5), [0, 0, 1, 2, 2, 3, 4]),
    Case(1, "nearest", A(5), s(1.5, **REC), [0, 0, 1, 2, 2, 3, 4]),
    Case(2, "nearest", A(5), s(0.7), [0, 1, 2]),
    Case(2, "nearest", A(5), s(0.7, **REC), [0, 1, 3]),
    Case(3, "nearest", A(10), s(0.7), [0, 1, 2, 4, 5, 7, 8]),
    Case(4, "nearest", A(4), s(1.6), [0, 0, 1, 1, 2, 3]),
    Case(4, "nearest", A(4), to(6), [0, 0, 1, 2, 2, 3]),
    Case(5, "nearest", A(3), s(2.5), [0, 0, 0, 1, 1, 2, 2]),
    Case(6, "nearest", A(5), s(2.1), [0, 0, 0, 1, 1, 2, 2, 3, 3, 4]),
    Case(6, "nearest", A(1, 5), s((1, 2.1)), [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]),
    Case(7, "nearest", A(5), s(1.1), [0, 0, 1, 2, 3]),
    Case(7, "nearest", A(1, 5), s((1, 1.1)), [[0, 1, 2, 3, 4]]),
    Case(8, "nearest", plane([1, 2]), s(1.00001), [1, 1]),
    Case(8, "nearest", plane([[1, 2]], np.uint8), s(1.00001), [[1, 2]]),
    Case(9, "nearest", A(2), s(41), [0] * 42 + [1] * 40),
    Case(9, "nearest", A(2, dtype=np.float64), to(82), [0] * 41 + [1] * 41),
    Case(9, "nearest", A(1, 2, dtype=np.float64), to((1, 82)), [[0] * 42 + [1] * 40]),
    Case(10, "nearest", plane([0, 1], np.uint8), to(257), [0] * 129 + [1] * 128),
    Case(10, "nearest-exact", plane([0, 1], np.uint8), to(257), [0] * 128 + [1] * 129),
    Case(11, "nearest-exact", A(2), to(41), [0] * 20 + [1] * 21),
    Case(11, "nearest-exact", A(1, 2), to((1, 41)), [[0] * 21 + [1] * 20]),
    Case(11, "nearest-exact", A(2, dtype=np.float64), to(41), [0] * 20 + [1] * 21),
    Case(12, "nearest-exact", A(5), s(1.5), [0, 1, 1, 2, 3, 3, 4]),
    Case(13, "nearest", A(5), to(3), [0, 1, 3]),
    Case(13, "nearest-exact", A(5), to(3), [0, 2, 4]),
    Case(14, "nearest", A(4), to(2), [0, 2]),
    Case(14, "nearest-exact", A(4), to(2), [1, 3]),
    Case(15, "nearest-exact", A(4), to(6), [0, 1, 1, 2, 3, 3]),
    Case(15, "nearest-exact", A(32), to(10), [1, 4, 8, 11, 14, 17, 20, 24, 27, 30]),
    Case(16, "linear", A(5), s(1.5), [0, 0.5, 1.1666667, 1.8333334, 2.5, 3.1666667, 3.8333335]),
    Case(17, "linear", A(5), s(1.5, **REC), [0, 0.5714286, 1.2857144, 2, 2.7142859, 3.4285715, 4]),
    Case(18, "linear", A(5), s(0.7), [0.21428573, 1.6428572, 3.0714288]),
    Case(18, "linear", A(5), s(0.7, **REC), [0.3333333, 2, 3.6666665]),
    Case(19, "linear", plane([1, 2, 3]), s(1.3), [1, 2, 3], equal=True),
    Case(19, "linear", plane([1, 2, 3, 4]), s(1.3), [1, 1.6538461, 2.423077, 3.1923077, 3.9615386]),
    Case(20, "linear", plane([1, 2, 3, 4, 5]), to(1), [3]),
    Case(20, "linear", plane([1, 2, 3, 4, 5]), to(1, **AC), [1]),
    Case(20, "linear", plane([1, 2, 3, 4]), to(1), [2.5]),
    Case(21, "linear", A(5), to(4, **AC), [0, 1.3333334, 2.6666667, 4]),
    Case(22, "linear", A(5), s(1.5, **AC), [0, 0.6666667, 1.3333334, 2, 2.6666667, 3.3333335, 4]),
    Case(22, "linear", A(5), s(1.5, **AC, **REC), [0, 0.6666667, 1.3333334, 2, 2.6666667, 3.3333335, 4]),
    Case(23, "linear", plane([7]), to(3), [7, 7, 7], equal=True),
    # An unchanged axis is copied: torch multiplies the infinity by a weight of zero.
    Case(24, "linear", plane([1, INF, 2]), to(3), [1, INF, 2], equal=True),
    Case(
        25, "bilinear", A(2, 2) + 1, s(2, **AC),
        [
            [1, 1.3333333, 1.6666667, 2],
            [1.6666666, 2, 2.3333335, 2.6666665],
            [2.3333335, 2.6666665, 3, 3.3333335],
            [3, 3.3333333, 3.6666667, 4],
        ],
    ),
    Case(26, "bilinear", A(2, 2), s(2.3), [0, 0.15217389, 0.5869565, 1], row=0),
    Case(26, "bilinear", A(2, 2), s(2.3), [2, 2.1521738, 2.5869565, 3.0000002], row=3),
    Case(27, "bilinear", A(2, 2), s(2.3, **REC), [0, 0.25, 0.75, 1], row=0),
    Case(27, "bilinear", A(2, 2), s(2.3, **REC), [2, 2.25, 2.75, 3], row=3),
    Case(28, "bilinear", A(2, 2) + 1, to((1, 1)), [[2.5]]),
    Case(28, "bilinear", A(2, 2) + 1, to((1, 1), **AC), [[1]]),
    Case(29, "bilinear", A(3, 3), to((2, 2)), [[1, 2.5], [5.5, 7]]),
    Case(
        30, "bicubic", A(1, 4), to((1, 8)),
        [[-0.10546875, 0.19140625, 0.66796875, 1.296875, 1.703125, 2.3320312, 2.8085938, 3.1054688]],
    ),
    Case(
        31, "bicubic", A(1, 4), to((1, 8), **AC),
        [[0, 0.34110737, 0.800291, 1.3294456, 1.6705546, 2.19971, 2.6588922, 3]],
    ),
    Case(32, "bicubic", A(1, 4), to((1, 2)), [[0.40625, 2.59375]]),
    Case(
        33, "bicubic", A(1, 5), s((1, 1.1)), [[-0.031062126, 0.8087672, 1.7248309, 2.6423745, 3.6760664]]
    ),
    Case(33, "bicubic", 10 * A(1, 5, dtype=np.uint8), s((1, 1.1)), [[0, 10, 20, 30, 40]]),
    Case(
        34, "bicubic", plane([[0, 0, 255, 255]]), to((1, 8)),
        [[0, -8.964844, -26.894531, 57.773438, 197.22656, 281.89453, 263.96484, 255]],
    ),
    Case(34, "bicubic", plane([[0, 0, 255, 255]], np.uint8), to((1, 8)), [[0, 0, 0, 58, 197, 255, 255, 255]]),
    Case(35, "bilinear", plane([[0, 1]], np.uint8), s((1, 2)), [[0, 0, 1, 1]]),
    Case(35, "bilinear", plane([[0, 1]], np.uint8), to((1, 3)), [[0, 1, 1]]),
    Case(36, "bilinear", plane([[0, 1], [0, 0]], np.uint8), to((1, 1)), [[1]]),
    Case(36, "bilinear", plane([[0, 1], [0, 0]], np.uint8), to((3, 3)), [[0, 1, 1], [0, 1, 1], [0, 0, 0]]),
    Case(37, "bilinear", X, to((3, 3)), [[42, 128, 62], [63, 160, 58], [18, 27, 190]]),
    Case(38, "bilinear", X, to((3, 3), **AC), [[10, 115, 77], [50, 160, 32], [5, 7, 250]]),
    Case(
        39, "bilinear", X, to((7, 5)),
        [
            [10, 143, 115, 44, 77], [6, 156, 142, 61, 51], [1, 176, 187, 88, 8], [50, 105, 160, 144, 32],
            [92, 28, 119, 188, 74], [39, 15, 50, 121, 182], [5, 6, 7, 80, 250],
        ],
    ),
    Case(
        40, "bicubic", X, to((7, 5)),
        [
            [0, 163, 118, 19, 88], [0, 189, 167, 34, 50], [0, 205, 225, 69, 2], [62, 101, 204, 173, 0],
            [104, 0, 125, 226, 62], [46, 0, 41, 136, 187], [0, 7, 0, 60, 255],
        ],
    ),
    # The table gives these two rows of the float result to two decimals and to one.
    Case(
        40, "bicubic", X.astype(np.float32), to((7, 5)), [-4.98, 6.12, -31.34, 59.74, 286.25], row=6, atol=0.0051
    ),
    Case(40, "bicubic", X.astype(np.float32), to((7, 5)), [46.4, -8.3, 30.3, 136.1, 194.2], row=5, atol=0.051),
    Case(41, "bilinear", X, to((2, 3), **AA), [[71, 150, 61], [43, 85, 132]]),
    Case(41, "bicubic", X, to((2, 3), **AA), [[70, 165, 46], [36, 80, 144]]),
    Case(41, "lanczos", X, to((2, 3), **AA), [[74, 176, 35], [31, 84, 150]]),
    Case(42, "bilinear", A(2, 8), to((2, 3), **AA), [1.1052632, 3.5, 5.8947372], row=0),
    Case(43, "bicubic", A(2, 8), to((2, 3), **AA), [0.89646506, 3.4999998, 6.1035337], row=0),
    Case(43, "lanczos", A(2, 8), to((2, 3), **AA), [0.8111426, 3.5, 6.1888576], row=0),
    Case(44, "bilinear", A(2, 3), to((2, 6), **AA), [0, 0.25, 0.75, 1.25, 1.75, 2], row=0),
    Case(44, "bilinear", A(2, 3), to((2, 6)), [0, 0.25, 0.75, 1.25, 1.75, 2], row=0),
    Case(
        45, "bicubic", A(2, 3), to((2, 6), **AA),
        [-0.0882353, 0.16788322, 0.7099237, 1.2900764, 1.8321168, 2.0882351], row=0,
    ),
    Case(
        45, "bicubic", A(2, 3), to((2, 6)),
        [-0.10546875, 0.19140625, 0.66796875, 1.3320312, 1.8085938, 2.1054688], row=0,
    ),
    Case(46, "bilinear", A(2, 8), to((2, 3), **AC, **AA), [1.5813954, 4.6875, 6.5333333], row=0),
    Case(46, "bilinear", A(2, 8), to((2, 1), **AC, **AA), [[0], [8]]),
    Case(47, "bilinear", A(2, 5), s((1, 0.7), **AA), [0.34615386, 1.6296295, 3.064516], row=0),
    Case(47, "bilinear", A(2, 5), s((1, 0.7), **REC, **AA), [0.4285714, 2, 3.5714283], row=0),
    # Width 1: torch repeats the first row of the vertical pass.
    Case(48, "bilinear", A(8, 1), to((4, 1), **AA), [[0.71428573], [2.5], [4.5], [6.2857146]]),
    Case(49, "area", A(5), to(3), [0.5, 2, 3.5]),
    Case(49, "area", A(5), to(7), [0, 0.5, 1.5, 2, 2.5, 3.5, 4]),
    Case(49, "area", A(3, 3), to((2, 2)), [[2, 3], [5, 6]]),
    Case(49, "area", A(5), to(0), []),
    # Bins of 16384 halves: torch sums them in half precision, which gives 0.25.
    Case(50, "area", np.full((1, 1, 32, 32, 32), 1.5, np.float16), to((2, 1, 1)), [[[1.5]], [[1.5]]], equal=True),
    Case(51, "trilinear", A(2, 2, 2), to((1, 2, 3)), [[[2, 2.5, 3], [4, 4.5, 5]]]),
    Case(
        52, "trilinear", A(2, 1, 2), s((1.5, 1, 2)),
        [[[0, 0.25, 0.75, 1]], [[1, 1.25, 1.75, 2]], [[2, 2.25, 2.75, 3]]],
    ),
]  # fmt: skip


def case_id(case: Case) -> str:
    how = "-".join(f"{k}={v}" for k, v in case.kwargs.items() if v is not True)
    flags = "".join(f"-{k}" for k, v in case.kwargs.items() if v is True)
    row = "" if case.row is None else f"-row{case.row}"
    return f"{case.number:02}-{case.mode}-{case.x.dtype}-{case.x.ndim - 2}d-{how}{flags}{row}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_case(case, backend):
    got = upsample.interpolate(case.x, mode=case.mode, **case.kwargs, backend=backend)
    assert got.dtype == case.x.dtype
    values = shown(got) if case.row is None else shown(got)[case.row]
    expected = np.asarray(case.expected, np.float64)
    assert values.shape == expected.shape
    if case.equal or case.mode.startswith("nearest") or case.x.dtype == np.uint8:
        np.testing.assert_array_equal(values, expected)
    else:
        np.testing.assert_allclose(values, expected, rtol=0, atol=case.atol or 4 * ulp(case.x))


def by_torchs_tables(case: Case) -> bool:
    """Whether torch takes its table path, whose order of operations is this library's."""
    return case.x.dtype == np.float32 and case.atol is None and not case.kwargs.get("antialias") and (
        case.mode in ("linear", "bicubic", "trilinear")
    )  # fmt: skip


@pytest.mark.parametrize("case", [c for c in CASES if by_torchs_tables(c)], ids=case_id)
def test_the_table_path_gives_torchs_float32_digits_to_the_bit(case):
    if config()["simd level"] == "baseline":
        pytest.skip("a level without fused multiply-add rounds twice")
    got = upsample.interpolate(case.x, mode=case.mode, **case.kwargs, backend="cpu")[0, 0]
    np.testing.assert_array_equal(got if case.row is None else got[case.row], np.asarray(case.expected, np.float32))


def test_every_case_up_to_52_is_in_the_table():
    assert {case.number for case in CASES} == set(range(1, 53))


@pytest.mark.parametrize("backend", BACKENDS)
def test_case_53_bfloat16_weights_are_not_rounded(backend):
    """torch's 1-D kernel rounds the weight 2/7 to bfloat16 and gets 2.5625; the nearest bfloat16 is 2.578125."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    expected = [1, 1, 1.4296875, 2, 2.578125, 3, 3]
    for x, size, mode in ((plane([1, 3], bfloat16), 7, "linear"), (plane([[1, 3]], bfloat16), (1, 7), "bilinear")):
        got = upsample.interpolate(x, size=size, mode=mode, backend=backend)
        assert got.dtype == bfloat16
        np.testing.assert_array_equal(shown(got).ravel(), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("value", [1.0, 0.75, -3.0])
def test_case_54_a_constant_bfloat16_image_stays_constant(mode, value, backend):
    """torch's rounded weights give 0.9961 … 1.0078 from ones."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.full((1, 1, 200, 200), value, bfloat16)
    got = upsample.interpolate(x, size=(333, 317), mode=mode, backend=backend)
    assert np.unique(got.astype(np.float32)).tolist() == [value]


@pytest.mark.parametrize("backend", BACKENDS)
def test_case_55_no_samples_give_no_samples(backend):
    got = upsample.interpolate(np.zeros((0, 2, 5), np.float32), scale_factor=2, mode="linear", backend=backend)
    assert (got.shape, got.dtype) == ((0, 2, 10), np.float32)


@pytest.mark.parametrize("backend", BACKENDS)
def test_case_56_an_output_without_samples_is_an_error_but_for_area(backend):
    x = A(49)
    for mode, shape in (("nearest", (49,)), ("nearest-exact", (49,)), ("linear", (49,)), ("bilinear", (1, 49)),
                        ("bicubic", (1, 49)), ("trilinear", (1, 1, 49)), ("cubic", (49,))):  # fmt: skip
        with pytest.raises(RuntimeError, match="greater than 0"):
            upsample.interpolate(x.reshape(1, 1, *shape), scale_factor=1 / 49, mode=mode, backend=backend)
    got = upsample.interpolate(x, scale_factor=1 / 49, mode="area", backend=backend)
    assert (got.shape, got.dtype) == ((1, 1, 0), np.float32)


# ---- where float32 and float64 coordinates part ---------------------------------------------------------------

# n, m, first output that differs, sample taken by float32 coordinates, by float64 ones, how many differ (None:
# not stated).  Sizes decide, not factors; 1-D, where torch has the table rule only.
BY_SIZE = [
    (2, 82, 41, 0, 1, None), (3, 123, 41, 0, 1, None), (4, 82, 41, 1, 2, None), (26, 22, 11, 12, 13, None),
    (39, 33, 11, 12, 13, None), (52, 22, 11, 25, 26, None), (54, 38, 19, 26, 27, None), (62, 14, 7, 30, 31, None),
    (70, 30, 27, 62, 63, None), (224, 384, 108, 62, 63, None), (224, 768, 216, 62, 63, None),
    (224, 854, 61, 15, 16, 13), (224, 1080, 135, 27, 28, None), (448, 384, 54, 62, 63, 7),
    (480, 224, 119, 254, 255, None), (512, 854, 427, 255, 256, None), (608, 224, 21, 56, 57, 10),
    (720, 224, 154, 494, 495, None), (1344, 320, 15, 62, 63, 31), (1920, 448, 119, 509, 510, 3),
]  # fmt: skip
BY_FACTOR = [(31, 2.3, 71, 69, 29, 30), (31, 2.7, 83, 81, 29, 30), (16, 4.6, 73, 69, 14, 15), (16, 5.4, 86, 81, 14, 15)]


def picked(n: int, dtype: Any, mode: str = "nearest", backend: str | None = None, **kwargs: Any) -> np.ndarray:
    """Which samples of an axis of `n` a 1-D call copies, whatever values the dtype can tell apart."""
    digits = []  # two passes over base-128 digits: no dtype here has fewer exact integers
    for digit in (np.arange(n) % 128, np.arange(n) // 128):
        got = upsample.interpolate(digit.astype(dtype)[None, None], mode=mode, backend=backend, **kwargs)
        digits.append(got[0, 0].astype(np.int64))
    return digits[0] + 128 * digits[1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "m", "i", "single", "double", "places"), BY_SIZE)
def test_float32_coordinates_part_from_float64_ones_by_size(n, m, i, single, double, places, backend):
    f64 = picked(n, np.float64, size=m, backend=backend)
    np.testing.assert_array_equal(f64, np.arange(m) * n // m)  # float64 is right at these sizes
    for dtype in (np.float32, np.float16, np.uint8):
        f32 = picked(n, dtype, size=m, backend=backend)
        differ = np.flatnonzero(f32 != f64)
        assert (differ[0], f32[i], f64[i]) == (i, single, double)
        if places is not None:
            assert differ.size == places


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "factor", "m", "i", "single", "double"), BY_FACTOR)
def test_float32_coordinates_part_from_float64_ones_by_factor(n, factor, m, i, single, double, backend):
    f32, f64 = (picked(n, dtype, scale_factor=factor, backend=backend) for dtype in (np.float32, np.float64))
    assert f32.size == f64.size == m
    assert (np.flatnonzero(f32 != f64)[0], f32[i], f64[i]) == (i, single, double)


@pytest.mark.parametrize(("n", "m", "i"), [row[:3] for row in BY_SIZE])
def test_exact_numerics_do_not_part(n, m, i):
    for dtype in (np.float32, np.float64, np.uint8):
        np.testing.assert_array_equal(picked(n, dtype, size=m, numerics="exact"), np.arange(m) * n // m)


def test_bfloat16_takes_the_samples_that_float32_takes():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    for n, m, *_ in BY_SIZE:
        np.testing.assert_array_equal(picked(n, bfloat16, size=m), picked(n, np.float32, size=m))


# Integer factors up to 256 that repeat some samples once too often in float32. Two samples show each of them; the
# other sizes show that no further factor joins.
UNEVEN_SIZES = (2, 3, 7, 25, 64)
# ---- gradients ---------------------------------------------------------------------------------------------

# number, mode, shape of the input, arguments, the gradient by it of sum(g * output) for g = 1, 2, 3, ...
GRADIENTS: list[tuple[int, str, tuple[int, ...], dict[str, Any], list[float]]] = [
    (57, "nearest", (5,), {"scale_factor": 2.1}, [6, 9, 13, 17, 10]),  # torch: 3 7 11 15 19, not its forward's
    (58, "linear", (3,), {"size": 5}, [2.1999998, 5.3999996, 7.4000006]),
    (58, "linear", (3,), {"size": 4, "align_corners": True}, [1.6666666, 3.3333333, 5]),
    (59, "bilinear", (2, 2), {"size": (3, 3)}, [5.25, 8.25, 14.25, 17.25]),
    (59, "area", (5,), {"size": 3}, [0.5, 1.1666667, 0.6666667, 2.1666667, 1.5]),
    (60, "bicubic", (1, 3), {"size": (1, 6)}, [2.734375, 7.2460938, 11.019531]),
]
# Case 60, antialias bilinear A(2, 8) to (2, 3): the gradient of row 0.
WIDE = [0.28947368, 0.4423559, 0.57017547, 0.697995, 0.8558896, 1.0438596, 1.2318295, 0.8684213]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("number", "mode", "sizes", "arguments", "want"), GRADIENTS)
def test_gradients(number, mode, sizes, arguments, want, backend):
    shape = (1, 1, *sizes)
    out_shape = upsample.plan(shape, np.float32, mode=mode, **arguments).out_shape
    g = A(*out_shape[2:]) + 1
    got = upsample.interpolate_backward(g, shape, mode=mode, backend=backend, **arguments)
    assert got.shape == shape
    assert np.abs(got.ravel() - want).max() <= 4 * ulp(np.asarray(want, np.float32)), number


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_of_a_reduction_with_antialias(backend):
    got = upsample.interpolate_backward(
        A(2, 3) + 1, (1, 1, 2, 8), size=(2, 3), mode="bilinear", antialias=True, backend=backend
    )
    assert np.abs(got[0, 0, 0] - WIDE).max() <= 4 * ulp(np.asarray(WIDE, np.float32))


UNEVEN = {
    41, 47, 55, 61, 82, 83, 94, 97, 107, 109, 110, 115, 121, 122, 123, 141, 159, 164, 165, 166, 188, 189, 194, 209,
    214, 218, 219, 220, 227, 230, 235, 237, *range(242, 247), 249,
}  # fmt: skip


def uneven(factor: int, n: int, mode: str, dtype: Any = np.float32, **kwargs: Any) -> bool:
    x = np.arange(n, dtype=dtype)
    got = upsample.interpolate(x[None, None], mode=mode, **kwargs)[0, 0]
    return not np.array_equal(got, np.repeat(x, factor))


def test_integer_factors_that_copy_unevenly_in_float32_nearest():
    found = {k for k in range(2, 257) for n in UNEVEN_SIZES if uneven(k, n, "nearest", size=n * k)}
    assert found == UNEVEN


def test_no_integer_factor_copies_unevenly_otherwise():
    for k in sorted(UNEVEN):
        for n in UNEVEN_SIZES:
            assert not uneven(k, n, "nearest-exact", size=n * k), (k, n)
            assert not uneven(k, n, "nearest", np.float64, size=n * k), (k, n)
            assert not uneven(k, n, "nearest", size=n * k, numerics="exact"), (k, n)


# n, m, i, sample of exact arithmetic, float64 table, float32 table, float32 direct rule (2-D, small)
TIES = [
    (2, 41, 20, 1, 1, 1, 0),
    *[(2, m, (m - 1) // 2, 1, 1, 1, 0) for m in (47, 55, 83, 97, 107, 109, 121, 123)],
    (2, 61, 30, 1, 1, 0, 0),
    (4, 41, 20, 2, 2, 1, 1),
    (4, 82, 20, 1, 1, 1, 0),
    (4, 94, 23, 1, 1, 1, 0),
    (4, 110, 27, 1, 1, 1, 0),
    (6, 123, 20, 1, 1, 1, 0),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "m", "i", "exact", "double", "single", "direct"), TIES)
def test_ties_of_nearest_exact(n, m, i, exact, double, single, direct, backend):
    def at(x: np.ndarray, **kwargs: Any) -> float:
        got = upsample.interpolate(x, mode="nearest-exact", backend=backend, **kwargs)[..., i].ravel()
        assert (got == got[0]).all()
        return got[0].item()

    assert (2 * i + 1) * n // (2 * m) == exact
    assert at(A(n, dtype=np.float64), size=m) == double
    assert at(A(n), size=m) == single
    # the direct rule is float32 for float64 samples too
    assert at(A(1, n), size=(1, m)) == direct
    assert at(A(1, n, dtype=np.float64), size=(1, m)) == direct
    # a taller output goes by the table: height + width beyond 128
    assert at(A(1, n), size=(129, m)) == single
    for dtype in (np.float32, np.float64):
        assert at(A(n, dtype=dtype), size=m, numerics="exact") == exact
        assert at(A(1, n, dtype=dtype), size=(1, m), numerics="exact") == exact
