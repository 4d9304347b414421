"""Output sizes, ratios and method of a request, the `Upsample` object, empty arrays, and the warning for images.

`_geometry.resolve` knows no arrays: it is called with sizes and gives plain numbers, which the first tests
compare with the rules.  Errors of a bad request are in ``test_errors.py``.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import inspect
import math
import os
import pickle
import warnings
from fractions import Fraction
from typing import Any

import building
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import upsample
from upsample import _geometry

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
SHAPES = {1: (2, 3, 5), 2: (2, 3, 5, 6), 3: (2, 3, 4, 5, 6)}
RANK_MODES = [
    (1, "nearest"), (2, "nearest"), (3, "nearest"), (1, "nearest-exact"), (2, "nearest-exact"), (3, "nearest-exact"),
    (1, "linear"), (2, "bilinear"), (3, "trilinear"), (2, "bicubic"), (1, "cubic"), (2, "cubic"), (3, "cubic"),
    (1, "area"), (2, "area"), (3, "area"),
]  # fmt: skip


def resolve(
    sizes: tuple[int, ...],
    size: Any = None,
    scale_factor: Any = None,
    mode: Any = "nearest",
    align_corners: Any = None,
    recompute_scale_factor: Any = None,
    antialias: Any = False,
) -> _geometry.Geometry:
    return _geometry.resolve(sizes, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)


# ---- output sizes ----------------------------------------------------------------------------------------

# n, factor, size of the output: one float64 product, truncated
TRUNCATED = [
    (10, 1.1, 11),
    (10, 0.7, 7),
    (30, 0.1, 3),
    (100, 0.29, 28),
    (100, 0.57, 56),
    (100, 1.15, 114),
    (100, 4.35, 434),
    (88, 120 / 88, 119),
    (5, 0.5, 2),
    (7, 1.5, 10),
    (3, 1.1, 3),
    (10, 2, 20),
    (10, True, 10),
    (7, 1.0, 7),
    (3, 2.9999999, 8),
]


@pytest.mark.parametrize("recompute", [None, False, True])
@pytest.mark.parametrize(("n", "factor", "m"), TRUNCATED)
def test_a_factor_gives_the_truncated_float64_product(n, factor, m, recompute):
    for rank, mode in RANK_MODES:
        got = resolve((n,) * rank, scale_factor=factor, mode=mode, recompute_scale_factor=recompute)
        assert got.out_sizes == (m,) * rank
    assert resolve((n,), scale_factor=(factor,), mode="linear").out_sizes == (m,)
    assert upsample.interpolate(np.zeros((1, 1, n)), scale_factor=factor).shape == (1, 1, m)
    assert upsample.plan((1, 1, n), np.uint8, scale_factor=factor).out_shape == (1, 1, m)


def test_a_factor_below_one_sample_is_an_error_but_for_area():
    assert 49 * (1 / 49) < 1
    with pytest.raises(RuntimeError, match="greater than 0"):
        resolve((49,), scale_factor=1 / 49)
    assert resolve((49,), scale_factor=1 / 49, mode="area").out_sizes == (0,)


def test_a_float32_factor_is_multiplied_in_float32_only_when_recomputed():
    factor = np.float32(0.7)
    assert float(factor) * 10 < 7
    assert resolve((10,), scale_factor=factor).out_sizes == (6,)
    assert resolve((10,), scale_factor=factor, recompute_scale_factor=True).out_sizes == (7,)
    assert resolve((10,), scale_factor=factor, mode="area").out_sizes == (7,)
    assert resolve((10,), scale_factor=(factor,), recompute_scale_factor=True).out_sizes == (7,)
    # the object converts to float first
    for recompute in (None, True):
        module = upsample.Upsample(scale_factor=factor, recompute_scale_factor=recompute)
        assert module(np.zeros((1, 1, 10))).shape == (1, 1, 6)


def test_a_call_seen_before_does_not_decide_for_an_equal_argument_of_another_type():
    """2, 2.0, True and numpy.float32(2) hash alike; 0.7 as float32 and float64 give different sizes."""
    x = np.zeros((1, 1, 10), np.float32)
    half = np.float32(0.7)
    for _ in range(2):
        assert upsample.interpolate(x, scale_factor=float(half), recompute_scale_factor=True).shape == (1, 1, 6)
        assert upsample.interpolate(x, scale_factor=half, recompute_scale_factor=True).shape == (1, 1, 7)
        assert upsample.interpolate(x, scale_factor=(float(half),), recompute_scale_factor=True).shape == (1, 1, 6)
        assert upsample.interpolate(x, scale_factor=(half,), recompute_scale_factor=True).shape == (1, 1, 7)
        assert upsample.interpolate(x, scale_factor=True).shape == (1, 1, 10)
        assert upsample.interpolate(x, size=1).shape == (1, 1, 1)
        for wrong in (1.0, True):
            with pytest.raises(TypeError, match="size must be an int"):
                upsample.interpolate(x, size=wrong)
        assert upsample.interpolate(x, size=(1,)).shape == (1, 1, 1)
        with pytest.raises(TypeError, match="expected size to be"):
            upsample.interpolate(x, size=(1.0,))


@given(st.integers(1, 5000), st.floats(1e-3, 50, allow_nan=False), st.booleans())
def test_any_factor_truncates_the_same_way_recomputed_or_not(n, factor, recompute):
    m = math.trunc(n * factor)
    if m == 0:
        with pytest.raises(RuntimeError):
            resolve((n,), scale_factor=factor, recompute_scale_factor=recompute)
    else:
        assert resolve((n,), scale_factor=factor, recompute_scale_factor=recompute).out_sizes == (m,)
    assert resolve((n,), scale_factor=factor, mode="area").out_sizes == (m,)


@pytest.mark.parametrize("mode_rank", [(m, r) for r, m in RANK_MODES])
def test_a_size_is_taken_as_it_is(mode_rank):
    mode, rank = mode_rank
    sizes, wanted = (4, 5, 6)[:rank], (9, 1, 6)[:rank]
    assert resolve(sizes, size=7, mode=mode).out_sizes == (7,) * rank
    assert resolve(sizes, size=wanted, mode=mode).out_sizes == wanted
    assert resolve(sizes, size=list(wanted), mode=mode).out_sizes == wanted


@pytest.mark.parametrize(
    "size",
    [7, np.int64(7), np.uint8(7), np.array(7), np.array(7, np.int16), (7, 7), [7, 7], (np.int32(7), np.array(7))],
)
def test_integers_of_any_kind_are_sizes(size):
    got = resolve((4, 5), size=size).out_sizes
    assert got == (7, 7)
    assert [type(v) for v in got] == [int, int]
    assert upsample.interpolate(np.zeros((1, 1, 4, 5)), size=size).shape == (1, 1, 7, 7)


@pytest.mark.parametrize(
    ("factor", "m"),
    [(2, 10), (2.5, 12), (True, 5), (np.float32(2.5), 12), (np.float64(2.5), 12), (np.float16(2.5), 12),
     (np.int8(2), 10), (np.True_, 5), ((2.5,), 12), ([2.5], 12), ((np.float32(2.5),), 12)],
)  # fmt: skip
def test_numbers_of_any_kind_are_factors(factor, m):
    for recompute in (None, True):
        assert resolve((5,), scale_factor=factor, recompute_scale_factor=recompute).out_sizes == (m,)
    assert upsample.interpolate(np.zeros((1, 1, 5)), scale_factor=factor).shape == (1, 1, m)


def test_sizes_follow_d_h_w_order_wherever_the_layout_puts_the_axes():
    for shape, layout, out_shape in (
        ((3, 4, 5), "HWC", (6, 8, 5)),
        ((5, 3, 4), "CHW", (5, 6, 8)),
        ((3, 4), "HW", (6, 8)),
        ((2, 3, 4, 5), "NHWC", (2, 6, 8, 5)),
        ((3, 5, 4), "HCW", (3 * 2, 5, 8)),
        ((4, 3, 5), "THW", (4, 6, 8)),
    ):
        expected = out_shape if layout != "THW" else (4, 6, 8)
        assert upsample.plan(shape, np.uint8, size=(6, 8), layout=layout).out_shape == expected
    assert upsample.plan((2, 3, 4), np.uint8, size=(6, 8, 9), layout="DHW").out_shape == (6, 8, 9)
    assert upsample.plan((7,), np.uint8, size=9, layout="W").out_shape == (9,)
    assert upsample.plan((7, 2), np.uint8, scale_factor=(2,), layout="HC").out_shape == (14, 2)
    assert upsample.plan((7, 2), np.uint8, scale_factor=(2,), layout="DC").out_shape == (14, 2)
    with pytest.raises(ValueError, match="spatial dimensions"):
        upsample.plan((3, 4, 5), np.uint8, size=(6, 8, 9), layout="HWC")


# ---- which number decides the ratio --------------------------------------------------------------------------


@pytest.mark.parametrize(("rank", "mode"), RANK_MODES)
def test_a_factor_decides_the_ratio_unless_recomputed(rank, mode):
    sizes = (10,) * rank
    given_ = resolve(sizes, scale_factor=1.25, mode=mode)
    recomputed = resolve(sizes, scale_factor=1.25, mode=mode, recompute_scale_factor=True)
    assert given_.scales == ((0.0 if mode == "area" else 1.25),) * rank
    assert resolve(sizes, scale_factor=1.25, mode=mode, recompute_scale_factor=False) == given_
    assert recomputed.scales == (0.0,) * rank
    assert recomputed == resolve(sizes, size=12, mode=mode)
    assert recomputed == resolve(sizes, size=12, mode=mode, recompute_scale_factor=False)


def test_factors_are_kept_per_axis_as_floats():
    got = resolve((4, 5, 6), scale_factor=(2, np.float32(1.1), True), mode="trilinear")
    assert got.scales == (2.0, float(np.float32(1.1)), 1.0)
    assert [type(v) for v in got.scales] == [float] * 3
    assert got.out_sizes == (8, 5, 6)


@pytest.mark.parametrize(
    ("mode", "rank", "method"),
    [("nearest", 1, "nearest"), ("nearest-exact", 3, "nearest-exact"), ("linear", 1, "linear"),
     ("bilinear", 2, "linear"), ("trilinear", 3, "linear"), ("bicubic", 2, "cubic"), ("cubic", 1, "cubic"),
     ("cubic", 2, "cubic"), ("cubic", 3, "cubic"), ("area", 2, "area")],
)  # fmt: skip
def test_the_methods_name_has_no_rank(mode, rank, method):
    got = resolve((4,) * rank, size=8, mode=mode)
    assert (got.method, got.align_corners, got.antialias) == (method, False, False)


@pytest.mark.parametrize(("rank", "mode"), [(1, "linear"), (2, "bilinear"), (3, "trilinear"), (2, "bicubic"),
                                            (1, "cubic"), (3, "cubic")])  # fmt: skip
def test_flags_are_plain_bools(rank, mode):
    for value in (True, np.True_):
        got = resolve((4,) * rank, size=8, mode=mode, align_corners=value)
        assert got.align_corners is True
    for value in (None, False, np.False_):
        assert resolve((4,) * rank, size=8, mode=mode, align_corners=value).align_corners is False


@pytest.mark.parametrize("mode", ["cubic", "lanczos"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_antialias_of_cubic_and_lanczos_takes_every_rank(rank, mode):
    got = resolve((9,) * rank, size=4, mode=mode, antialias=True)
    assert (got.antialias, got.method, got.out_sizes) == (True, mode, (4,) * rank)
    assert upsample.interpolate(np.ones(SHAPES[rank]), size=3, mode=mode, antialias=True).shape[2:] == (3,) * rank


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_antialias_takes_the_linear_mode_of_every_rank(rank):
    assert resolve((9,) * rank, size=4, mode=LINEAR[rank], antialias=True).antialias is True


def test_a_geometry_is_an_immutable_value():
    a, b = (resolve((4, 5), scale_factor=1.5, mode="bilinear") for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert a != resolve((4, 5), scale_factor=1.5, mode="bicubic")
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.sizes = (1, 2)


def test_a_large_size_keeps_every_digit():
    n = 2**53 + 1  # the product goes through float64, the size does not
    assert resolve((3,), size=n).out_sizes == (n,)
    assert resolve((n,), scale_factor=1.0).out_sizes == (2**53,)
    assert resolve((n,), scale_factor=1, recompute_scale_factor=True).out_sizes == (n,)
    assert resolve((2**62,), scale_factor=1.0).out_sizes == (2**62,)


# ---- the object ------------------------------------------------------------------------------------------------


def test_signatures_are_torchs_in_order_names_and_defaults():
    def positional(call: Any) -> dict[str, Any]:
        parameters = inspect.signature(call).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}

    assert positional(upsample.interpolate) == {
        "input": inspect.Parameter.empty, "size": None, "scale_factor": None, "mode": "nearest", "align_corners": None,
        "recompute_scale_factor": None, "antialias": False,
    }  # fmt: skip
    assert positional(upsample.Upsample) == {
        "size": None, "scale_factor": None, "mode": "nearest", "align_corners": None, "recompute_scale_factor": None,
    }  # fmt: skip
    for cls in (upsample.UpsamplingNearest2d, upsample.UpsamplingBilinear2d):
        assert positional(cls) == {"size": None, "scale_factor": None}


def test_attributes_of_the_object():
    module = upsample.Upsample((3, 4), None, "bilinear", True, False)
    assert module.name == "Upsample"
    assert module.size == (3, 4)
    assert module.scale_factor is None
    assert module.mode == "bilinear"
    assert module.align_corners is True
    assert module.recompute_scale_factor is False
    assert module.training is True
    size = [3, 4]
    assert upsample.Upsample(size).size is size  # stored as it is


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        (2, 2.0), (2.5, 2.5), (True, 1.0), ("2", 2.0), (0, None), (0.0, None), (False, None), ("", None), ([], None),
        ({}, None), (None, None), ((), ()), ((2, 3), (2.0, 3.0)), ((0, True), (0.0, 1.0)), (("2", 1), (2.0, 1.0)),
        (np.float32(1.1), 1.100000023841858), (np.int8(3), 3.0), (np.array(2.5), 2.5), (Fraction(3, 2), 1.5),
        ((np.float32(1.1),), (1.100000023841858,)),
    ],
)  # fmt: skip
def test_a_factor_becomes_a_float_or_a_tuple_of_floats(given_, stored):
    got = upsample.Upsample(scale_factor=given_).scale_factor
    assert got == stored
    assert type(got) is type(stored)
    if isinstance(got, tuple):
        assert all(type(v) is float for v in got)


@pytest.mark.parametrize(
    ("factor", "error"),
    [([2, 3], TypeError), ([2], TypeError), (2j, TypeError), ({2}, TypeError), ("two", ValueError),
     (("two",), ValueError), ((None,), TypeError), (((2,),), TypeError), (np.array([1.0, 2.0]), ValueError)],
)  # fmt: skip
def test_the_constructor_refuses_what_float_refuses(factor, error):
    with pytest.raises(error, match=r"\S"):
        upsample.Upsample(scale_factor=factor)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"mode": "foo", "size": 4}, NotImplementedError, "foo"),
        ({}, ValueError, "either size or"),
        ({"scale_factor": 0}, ValueError, "either size or"),
        ({"size": 4, "scale_factor": 2}, ValueError, "only one of size"),
        ({"size": 4, "align_corners": False}, ValueError, "align_corners option"),
        ({"size": 4, "recompute_scale_factor": True}, ValueError, "not meaningful"),
        ({"size": 4, "mode": "linear"}, NotImplementedError, "Got 4D input"),
        ({"size": 4, "mode": "lanczos"}, ValueError, "requires antialias"),
        ({"scale_factor": ()}, ValueError, "spatial dimensions"),
        ({"size": "4"}, TypeError, "size must be"),
        ({"size": 4, "numerics": "foo"}, ValueError, "numerics"),
        ({"size": 4, "backend": "nope"}, upsample.BackendError, "nope"),
        ({"size": 4, "layout": "HWC"}, ValueError, "layout"),
    ],
)
def test_everything_else_is_reported_when_called(kwargs, error, match):
    module = upsample.Upsample(**kwargs)
    for _ in range(2):
        with pytest.raises(error, match=match):
            module(np.zeros((1, 1, 5, 5), np.float32))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (upsample.Upsample(scale_factor=2), "Upsample(scale_factor=2.0, mode='nearest')"),
        (upsample.Upsample(scale_factor=(2, 3), mode="bilinear"), "Upsample(scale_factor=(2.0, 3.0), mode='bilinear')"),
        (upsample.Upsample(size=(2, 3), mode="bilinear"), "Upsample(size=(2, 3), mode='bilinear')"),
        (upsample.Upsample(), "Upsample(size=None, mode='nearest')"),
        (upsample.Upsample(4, 2), "Upsample(scale_factor=2.0, mode='nearest')"),
        (upsample.Upsample(4, 0), "Upsample(size=4, mode='nearest')"),
        (upsample.Upsample(scale_factor=()), "Upsample(scale_factor=(), mode='nearest')"),
        (upsample.Upsample([2, 3], None, "bilinear", True, False), "Upsample(size=[2, 3], mode='bilinear')"),
        (upsample.Upsample(mode=None), "Upsample(size=None, mode=None)"),
        (upsample.UpsamplingNearest2d(scale_factor=2), "UpsamplingNearest2d(scale_factor=2.0, mode='nearest')"),
        (upsample.UpsamplingBilinear2d((4, 4)), "UpsamplingBilinear2d(size=(4, 4), mode='bilinear')"),
    ],
)
def test_the_text_is_torchs(module, text):
    assert repr(module) == str(module) == text


@pytest.mark.tools
def test_text_and_attributes_equal_torchs():
    torch = building.package("torch")
    arguments: list[tuple[Any, ...]] = [
        (), (4,), ((2, 3),), (None, 2), (None, (2, 3), "bilinear", True), (None, "1.5"), (4, 2, "foo", 3, 5),
        (None, np.float32(1.1)), (None, 0), (None, ()), ([1, 2], None, "area"),
    ]  # fmt: skip
    for args in arguments:
        ours, theirs = upsample.Upsample(*args), torch.nn.Upsample(*args)
        assert repr(ours) == repr(theirs)
        for name in ("name", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "training"):
            a, b = getattr(ours, name), getattr(theirs, name)
            assert (type(a), a) == (type(b), b)
        assert ours.extra_repr() == theirs.extra_repr()


class Doubled(upsample.Upsample):
    """A subclass as users write it."""

    def __init__(self) -> None:
        super().__init__(scale_factor=2, mode="linear")


def test_a_subclass_shows_its_own_name():
    assert repr(Doubled()) == "Doubled(scale_factor=2.0, mode='linear')"
    assert Doubled().name == "Doubled"
    assert upsample.UpsamplingNearest2d(2).name == "UpsamplingNearest2d"
    assert isinstance(upsample.UpsamplingNearest2d(2), upsample.Upsample)


def test_equality_is_identity():
    a, b = upsample.Upsample(2), upsample.Upsample(2)
    assert a != b
    assert a == a
    assert len({a, b}) == 2


def same(a: upsample.Upsample, b: upsample.Upsample) -> bool:
    return type(a) is type(b) and vars(a) == vars(b)


MODULES = [
    upsample.Upsample(scale_factor=(2, 1.5), mode="bilinear", align_corners=True),
    upsample.Upsample(size=(3, 4), mode="bicubic", numerics="exact", backend="reference"),
    upsample.Upsample(scale_factor=1.5, recompute_scale_factor=True),
    upsample.Upsample(size=4, layout="NCHW"),
    upsample.UpsamplingNearest2d(scale_factor=2),
    upsample.UpsamplingBilinear2d(size=4).eval(),
]


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_pickles_and_copies_are_the_same_object_again(module):
    x = np.arange(30, dtype=np.float32).reshape(1, 1, 5, 6)
    for made in (
        *(pickle.loads(pickle.dumps(module, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
        copy.copy(module),
        copy.deepcopy(module),
    ):
        assert made is not module
        assert same(made, module)
        np.testing.assert_array_equal(made(x), module(x))


def test_state_without_recompute_scale_factor_gets_true():
    """Pickles of that age were made when every factor was recomputed."""
    module = upsample.Upsample(scale_factor=1.5)
    state = dict(vars(module))
    del state["recompute_scale_factor"]
    old = upsample.Upsample.__new__(upsample.Upsample)
    old.__setstate__(state)
    assert old.recompute_scale_factor is True
    x = np.arange(5, dtype=np.float32)[None, None]
    expected = upsample.interpolate(x, scale_factor=1.5, recompute_scale_factor=True)
    np.testing.assert_array_equal(old(x), expected)
    for value in (None, False, True):
        new = upsample.Upsample.__new__(upsample.Upsample)
        new.__setstate__({**vars(module), "recompute_scale_factor": value})
        assert new.recompute_scale_factor is value


def test_train_and_eval_are_torchs_and_change_no_result():
    module = upsample.Upsample(scale_factor=2)
    x = np.arange(4.0)[None, None]
    before = module(x)
    assert module.eval() is module
    assert module.training is False
    np.testing.assert_array_equal(module(x), before)
    assert module.train() is module
    assert module.training is True
    assert module.train(False).training is False
    with pytest.raises(ValueError, match="boolean"):
        module.train("yes")


def test_attributes_may_be_changed_between_calls():
    module = upsample.Upsample(scale_factor=2)
    x = np.arange(4.0)[None, None]
    assert module(x).shape == (1, 1, 8)
    module.scale_factor, module.size, module.mode = None, 3, "linear"
    np.testing.assert_array_equal(module(x), upsample.interpolate(x, 3, mode="linear"))
    np.testing.assert_array_equal(module.forward(x), module(x))


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area", "bilinear", "bicubic", "cubic"])
def test_the_object_is_interpolate_without_antialias(mode):
    x = np.random.default_rng(0).random((2, 3, 5, 6), dtype=np.float32)
    for kwargs in (
        {"size": (7, 4)},
        {"scale_factor": 1.7},
        {"scale_factor": (0.6, 2.0), "recompute_scale_factor": True},
    ):
        got = upsample.Upsample(**kwargs, mode=mode)(x)
        np.testing.assert_array_equal(got, upsample.interpolate(x, **kwargs, mode=mode))


def test_the_result_is_never_the_input():
    for rank, mode in RANK_MODES:
        x = np.ones(SHAPES[rank], np.float32)
        for kwargs in ({"size": SHAPES[rank][2:]}, {"scale_factor": 1}):
            got = upsample.interpolate(x, **kwargs, mode=mode)
            assert not np.may_share_memory(got, x)
            np.testing.assert_array_equal(got, x)


# ---- empty arrays --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(("rank", "mode"), RANK_MODES)
def test_no_samples_give_no_samples(rank, mode, backend):
    shape = (0, *SHAPES[rank][1:])
    for dtype in ("float32", "float64", "float16", "uint8"):
        for kwargs in ({"size": 7}, {"scale_factor": 1.5}):
            got = upsample.interpolate(np.zeros(shape, dtype), **kwargs, mode=mode, backend=backend)
            out_sizes = tuple(7 if "size" in kwargs else int(n * 1.5) for n in shape[2:])
            assert (got.shape, got.dtype) == ((0, 3, *out_sizes), np.dtype(dtype))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_no_samples_give_no_samples_with_antialias(mode):
    x = np.zeros((0, 3, 5, 6), np.float32)
    assert upsample.interpolate(x, size=(2, 9), mode=mode, antialias=True).shape == (0, 3, 2, 9)


def test_no_samples_and_out():
    out = np.zeros((0, 3, 7))
    assert upsample.interpolate(np.zeros((0, 3, 5)), size=7, out=out) is out
    with pytest.raises(ValueError, match="out has shape"):
        upsample.interpolate(np.zeros((0, 3, 5)), size=7, out=np.zeros((0, 3, 8)))


@pytest.mark.parametrize(("rank", "mode"), RANK_MODES)
def test_no_channels_are_an_error_but_for_area_of_one_or_two_axes(rank, mode):
    x = np.zeros((2, 0, *SHAPES[rank][2:]), np.float32)
    if mode == "area" and rank < 3:
        assert upsample.interpolate(x, size=7, mode=mode).shape == (2, 0, *(7,) * rank)
    else:
        with pytest.raises(RuntimeError, match=r"[Nn]on-(empty|zero)"):
            upsample.interpolate(x, size=7, mode=mode)


@pytest.mark.parametrize(("rank", "mode"), RANK_MODES)
@pytest.mark.parametrize("samples", [0, 2])
def test_an_empty_spatial_axis_is_an_error(rank, mode, samples):
    for axis in range(rank):
        sizes = [5] * rank
        sizes[axis] = 0
        with pytest.raises(RuntimeError, match=r"greater than 0|non-zero size"):
            upsample.interpolate(np.zeros((samples, 3, *sizes), np.float32), size=7, mode=mode)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(("rank", "mode"), RANK_MODES)
def test_an_output_size_of_zero_is_an_error_but_for_area(rank, mode, backend):
    x = np.ones((2, 3, *(5,) * rank), np.float32)
    for kwargs in ({"size": 0}, {"size": (4,) * (rank - 1) + (0,)}, {"scale_factor": 0}, {"scale_factor": 0.1}):
        if mode != "area":
            with pytest.raises(RuntimeError, match="greater than 0"):
                upsample.interpolate(x, **kwargs, mode=mode, backend=backend)
            continue
        got = upsample.interpolate(x, **kwargs, mode=mode, backend=backend)
        size = kwargs.get("size", 0)
        assert got.shape == (2, 3, *(size if isinstance(size, tuple) else (size,) * rank))
        assert got.size == 0


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_negative_output_size_of_area_is_an_error(rank):
    for kwargs in ({"size": -1}, {"scale_factor": -1.0}, {"size": (4,) * (rank - 1) + (-2,)}):
        with pytest.raises(RuntimeError, match="greater than or equal to 0"):
            upsample.interpolate(np.ones(SHAPES[rank], np.float32), **kwargs, mode="area")


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_an_unsupported_dtype_is_refused_without_samples_too(mode):
    with pytest.raises(NotImplementedError, match="int32"):
        upsample.interpolate(np.zeros((0, 3, 5), np.int32), size=7, mode=mode)


@pytest.mark.tools
def test_empty_arrays_agree_with_torch():
    torch = building.package("torch")
    shapes = [(0, 3, 5), (2, 0, 5), (2, 3, 0), (0, 0, 5), (0, 3, 5, 6), (2, 0, 5, 6), (2, 3, 0, 6), (2, 3, 5, 0),
              (0, 3, 4, 5, 6), (2, 0, 4, 5, 6), (2, 3, 0, 5, 6), (0, 0, 4, 5, 6)]  # fmt: skip
    for shape in shapes:
        for mode in ("nearest", "nearest-exact", LINEAR[len(shape) - 2], "area"):
            for kwargs in ({"size": 7}, {"scale_factor": 0}, {"size": 0}, {"scale_factor": 1.5}):
                got = []
                for call, made in ((upsample.interpolate, np.zeros), (torch.nn.functional.interpolate, torch.zeros)):
                    try:
                        got.append(tuple(call(made(shape), mode=mode, **kwargs).shape))
                    except (RuntimeError, ValueError) as error:
                        got.append(type(error).__name__)
                assert got[0] == got[1], (shape, mode, kwargs)


# ---- the warning for arrays that look like images -----------------------------------------------------------

IMAGES = [(16, 16, 3), (16, 16, 1), (16, 16, 4), (480, 640, 3), (17, 1000, 1)]
NO_IMAGES = [
    (15, 16, 3), (16, 15, 3), (1, 3, 5), (16, 16, 2), (16, 16, 5), (16, 16, 64), (3, 16, 16), (1, 1, 3), (4, 4, 4),
    (16, 3, 16),
]  # fmt: skip
CALLS = {
    "interpolate": lambda x, **kwargs: upsample.interpolate(x, size=2, **kwargs),
    "factor": lambda x, **kwargs: upsample.interpolate(x, scale_factor=2, mode="linear", **kwargs),
    "module": lambda x, **kwargs: upsample.Upsample(scale_factor=2, **kwargs)(x),
    "numpy-size": lambda x, **kwargs: upsample.interpolate(x, size=np.int64(2), **kwargs),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("shape", IMAGES)
def test_an_image_without_a_layout_is_warned_of(shape, call):
    x = np.zeros(shape, np.uint8)
    for _ in range(2):  # a warm call warns as a cold one
        with pytest.warns(UserWarning, match=r"taken as \(N, C, W\).*layout='HWC'") as caught:
            CALLS[call](x)
        assert len(caught) == 1
        assert str(shape) in str(caught[0].message)
        assert issubclass(caught[0].category, UserWarning)


def test_the_warning_points_at_the_caller():
    x = np.zeros((16, 16, 3), np.uint8)
    for call in (lambda: upsample.interpolate(x, size=2), lambda: upsample.Upsample(size=2)(x)):
        with pytest.warns(UserWarning, match="layout='HWC'") as caught:
            call()
        assert os.path.samefile(caught[0].filename, __file__)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("shape", NO_IMAGES)
def test_other_arrays_are_not_warned_of(shape, call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CALLS[call](np.zeros(shape, np.uint8))


@pytest.mark.parametrize("call", CALLS)
def test_a_layout_silences_the_warning(call):
    x = np.zeros((16, 16, 3), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CALLS[call](x, layout="NCW")
        if call != "factor":  # linear is for one spatial axis
            CALLS[call](x, layout="HWC")


def test_four_and_five_axes_are_never_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        upsample.interpolate(np.zeros((1, 16, 16, 3), np.uint8), size=2)
        upsample.interpolate(np.zeros((1, 1, 16, 16, 3), np.uint8), size=2)


def test_a_plan_for_such_an_array_warns_once_and_its_calls_do_not():
    with pytest.warns(UserWarning, match="layout='HWC'"):
        plan = upsample.plan((16, 16, 3), np.uint8, size=2)
    plan(np.zeros((16, 16, 3), np.uint8))


def test_the_warning_changes_nothing_else():
    x = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    with pytest.warns(UserWarning, match="layout"):
        got = upsample.interpolate(x, size=6)
    np.testing.assert_array_equal(got, np.repeat(x, 2, axis=2))


@pytest.mark.parametrize(("height", "direct"), [(123, True), (124, False)])
def test_the_direct_rule_holds_up_to_height_plus_width_of_128(height, direct):
    """At 5 -> 5 by 1.1 the direct rule copies and the table rule shifts: torch changes between 128 and 129."""
    x = np.tile(np.arange(5, dtype=np.float32), (1, 1, height, 1))
    got = upsample.interpolate(x, scale_factor=(1, 1.1), mode="nearest")[0, 0, 0]
    assert got.tolist() == ([0, 1, 2, 3, 4] if direct else [0, 0, 1, 2, 3])


class ModeName(str, enum.Enum):  # noqa: UP042  (as older code has them)
    LINEAR = "linear"
    AREA = "area"


@pytest.mark.parametrize("mode", [np.str_("linear"), ModeName.LINEAR, ModeName.AREA])
def test_string_subclasses_are_modes(mode):
    x = np.arange(5, dtype=np.float32).reshape(1, 1, 5)
    plain = str.__str__(mode)
    assert np.array_equal(upsample.interpolate(x, size=9, mode=mode), upsample.interpolate(x, size=9, mode=plain))


def test_small_integer_factors_do_not_wrap():
    x = np.zeros((1, 1, 100), np.float32)
    assert upsample.interpolate(x, scale_factor=np.uint8(4), mode="area").shape == (1, 1, 400)
    assert upsample.interpolate(x, scale_factor=np.int8(3), recompute_scale_factor=True).shape == (1, 1, 300)


def test_a_factor_beyond_floats_is_the_same_error_as_a_huge_one():
    with pytest.raises(RuntimeError, match="overflow"):
        upsample.interpolate(np.zeros((1, 1, 4), np.float32), scale_factor=10**400)


def test_an_empty_output_of_absurd_size_is_refused_like_a_full_one():
    with pytest.raises(RuntimeError, match="overflow"):
        upsample.interpolate(np.zeros((0, 2**40, 4), np.uint8), size=2**40)
