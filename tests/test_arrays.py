"""Arrays as they come: strides, alignment, byte order, layout, subclasses and dtypes change no bit of a result.

The judge is the same call on a native, aligned, C-contiguous copy.
"""

from __future__ import annotations

import itertools
import math
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import building
import numpy as np
import pytest

import upsample
from upsample.testing import Case, random_cases, systematic_cases

try:
    import ml_dtypes
except ImportError:  # an optional dependency of the tests
    ml_dtypes = None
try:
    import torch
except ImportError:  # only one group of tests compares with it
    torch = None

as_strided = np.lib.stride_tricks.as_strided


def native_copy(x: Any) -> Any:
    """The same samples in the plainest array there is."""
    return np.array(x, x.dtype.newbyteorder("="), order="C", subok=False)


def check_input(x: Any, arguments: dict[str, Any], note: Any = "") -> Any:
    """The call gives the bits of the call on a plain copy, in a new array, and leaves the input alone."""
    before = native_copy(x)
    expected = upsample.interpolate(before, **arguments)
    assert before.tobytes() == native_copy(x).tobytes()
    got = upsample.interpolate(x, **arguments)
    assert type(got) is np.ndarray
    assert got.dtype == expected.dtype == x.dtype.newbyteorder("=")
    assert got.dtype.isnative
    assert got.shape == expected.shape
    assert got.tobytes() == expected.tobytes(), f"{note} strides {x.strides}, {arguments}"
    assert not np.shares_memory(got, x)
    assert got.flags.writeable
    assert got.flags.aligned
    assert native_copy(x).tobytes() == before.tobytes(), "the input was changed"
    return got


# ---- ways to lay an array out ------------------------------------------------------------------------------


def in_order(x: Any, order: tuple[int, ...]) -> Any:
    """A copy whose axes lie in memory in that order, outermost first."""
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def unaligned(x: Any, by: int = 1) -> Any:
    raw = np.zeros(x.nbytes + by, np.uint8)
    made = raw[by:].view(x.dtype).reshape(x.shape)
    made[...] = x
    return made


def stepped(x: Any, axis: int, step: int) -> Any:
    """A view of every |step|-th sample along an axis, backwards where step is negative."""
    far = list(x.shape)
    far[axis] = far[axis] * abs(step) + 1
    base = np.zeros(far, x.dtype)
    index = [slice(None)] * x.ndim
    index[axis] = slice(0, x.shape[axis] * abs(step), abs(step))
    made = base[tuple(index)]
    made = made[tuple(slice(None, None, -1) if a == axis and step < 0 else slice(None) for a in range(x.ndim))]
    made[...] = x
    return made


def padded(x: Any, order: tuple[int, ...] | None = None) -> Any:
    """The middle of a larger array."""
    order = order or tuple(range(x.ndim))
    base = np.zeros([x.shape[a] + 3 for a in order], x.dtype).transpose(np.argsort(order))
    made = base[tuple(slice(1, n + 1) for n in x.shape)]
    made[...] = x
    return made


def swapped(x: Any) -> Any:
    return x.astype(x.dtype.newbyteorder("S"))


def read_only(x: Any) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


def fields(x: Any) -> Any:
    """A field of a packed record: strides that are no multiple of the sample's size."""
    made = np.zeros(x.shape, [("tag", "i1"), ("sample", x.dtype), ("rest", "3i1")])["sample"]
    made[...] = x
    return made


def channels_last(x: Any) -> Any:
    return in_order(x, (0, *range(2, x.ndim), 1)) if x.ndim > 1 else x.copy()


WAYS: dict[str, Callable[[Any], Any]] = {
    "contiguous": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "channels-last": channels_last,
    "first-axis-last": lambda x: in_order(x, (*range(1, x.ndim), 0)),
    "rows-swapped": lambda x: in_order(x, (*range(x.ndim - 2), *range(max(x.ndim - 2, 0), x.ndim)[::-1])),
    "unaligned": unaligned,
    "unaligned-3": lambda x: unaligned(x, 3),
    "swapped": swapped,
    "swapped-unaligned": lambda x: unaligned(swapped(x)),
    "swapped-fortran": lambda x: np.asfortranarray(swapped(x)),
    "read-only": read_only,
    "padded": padded,
    "padded-channels-last": lambda x: padded(x, (0, *range(2, x.ndim), 1)) if x.ndim > 1 else padded(x),
    "padded-fortran": lambda x: padded(x, tuple(range(x.ndim))[::-1]),
    "fields": fields,
    "reversed": lambda x: np.ascontiguousarray(x[(slice(None, None, -1),) * x.ndim])[(slice(None, None, -1),) * x.ndim],
    **{f"every-{s}-on-{a}": lambda x, a=a, s=s: stepped(x, a % x.ndim, s) for a in (0, 1, -2, -1) for s in (2, -1, -3)},
}  # fmt: skip


def small(cases: Iterator[Case], most: int = 20_000) -> Iterator[Case]:
    return (case for case in cases if max(math.prod(case.shape), case.output_size()) <= most)


# ---- strides of the input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_strides_of_the_input_do_not_change_bits(way):
    count = 0
    for case in small(itertools.chain(systematic_cases(3), random_cases(60, 4))):
        x = replace(case, strides="contiguous").array()
        laid_out = WAYS[way](x)
        assert native_copy(laid_out).tobytes() == native_copy(x).tobytes()
        check_input(laid_out, case.arguments, case)
        count += 1
    assert count > 200


@pytest.mark.parametrize("mode", ["nearest", "area", "linear", "cubic", "lanczos"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_order_of_axes_in_memory_gives_the_same_bits(rank, mode):
    mode = {1: mode, 2: mode.replace("linear", "bilinear"), 3: mode.replace("linear", "trilinear")}[rank]
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4, 6)[: rank + 2]).astype(np.uint8)
    for dtype in ("uint8", "float32"):
        for order in itertools.permutations(range(rank + 2)):
            check_input(
                in_order(x.astype(dtype), order), {"size": 7, "mode": mode, "antialias": mode == "lanczos"}, order
            )


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "area", "trilinear"])
def test_broadcast_axes_of_the_input_do_not_change_bits(mode):
    """Zero strides on any set of axes; an axis of one sample may have any stride."""
    shape = (2, 3, 4, 5, 6) if mode == "trilinear" else (2, 3, 4, 5)
    rng = np.random.default_rng(1)
    for dtype in ("float32", "uint8"):
        for repeated in itertools.product((False, True), repeat=len(shape)):
            base = rng.integers(0, 256, [1 if r else n for n, r in zip(shape, repeated, strict=True)]).astype(dtype)
            for size in (7, 3):
                check_input(np.broadcast_to(base, shape), {"size": size, "mode": mode}, repeated)
        for repeated in itertools.combinations(range(len(shape)), 2):  # within another order of axes
            base = np.asfortranarray(rng.integers(0, 256, shape)).astype(dtype, order="K")
            index = tuple(slice(0, 1) if a in repeated else slice(None) for a in range(len(shape)))
            check_input(np.broadcast_to(base[index], shape), {"size": 7, "mode": mode}, repeated)


def test_strides_of_axes_with_one_sample_mean_nothing():
    rng = np.random.default_rng(2)
    for shape in ((1, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 5), (2, 3, 4, 1), (1, 1, 4, 5), (1, 3, 1, 1), (1, 1, 1, 1)):
        x = rng.uniform(-1, 1, shape).astype(np.float32)
        for odd in (0, 4, -4, 12, 3, 2**40, -(2**40)):
            strides = [odd if n == 1 else st for n, st in zip(shape, x.strides, strict=True)]
            for mode in ("nearest", "bilinear", "bicubic", "area"):
                check_input(as_strided(x, shape, strides), {"size": (6, 7), "mode": mode}, odd)


def test_windows_that_overlap_are_read_like_any_array():
    signal = np.random.default_rng(3).uniform(-1, 1, 40).astype(np.float32)
    x = np.lib.stride_tricks.sliding_window_view(signal, 11)[None]
    for mode in ("nearest", "linear", "cubic", "area"):
        check_input(x, {"scale_factor": 1.7, "mode": mode})
        check_input(x[:, ::-1, ::-1], {"scale_factor": 1.7, "mode": mode})


def test_random_views_give_the_bits_of_their_copies():
    """Slices with steps, flips, exchanged axes and broadcasting, one upon the other."""
    rng = random.Random(4)
    for case in small(random_cases(400, 12), 8000):
        x = replace(case, strides="contiguous").array()
        for _ in range(3):
            axis = rng.randrange(x.ndim)
            kind = rng.choice(("step", "pad", "order", "unaligned", "swapped", "broadcast", "fields"))
            if kind == "step":
                x = stepped(x, axis, rng.choice((-3, -2, -1, 2)))
            elif kind == "pad":
                x = padded(x, tuple(rng.sample(range(x.ndim), x.ndim)))
            elif kind == "order":
                x = in_order(x, tuple(rng.sample(range(x.ndim), x.ndim)))
            elif kind == "unaligned":
                x = unaligned(x)
            elif kind == "swapped":
                x = swapped(x)
            elif kind == "fields":
                x = fields(x)
            else:
                index = tuple(slice(0, 1) if a == axis else slice(None) for a in range(x.ndim))
                x = np.broadcast_to(x[index], x.shape)
        check_input(x, case.arguments, case)


def test_a_plan_takes_arrays_of_any_strides_one_after_the_other():
    x = np.random.default_rng(5).uniform(-1, 1, (2, 3, 8, 9)).astype(np.float32)
    plan = upsample.plan(x.shape, x.dtype, size=(11, 12), mode="bicubic")
    expected = plan(x).tobytes()
    for _ in range(2):
        for name, way in WAYS.items():
            assert plan(way(x)).tobytes() == expected, name


# ---- layouts -----------------------------------------------------------------------------------------------


def layouts(names: str) -> list[str]:
    """All orders of the letters in which the spatial ones stand as D, H, W."""
    made = ("".join(order) for order in itertools.permutations(names))
    return [text for text in made if [c for c in text if c in "DHW"] == sorted(c for c in text if c in "DHW")]


LAYOUTS = [
    *("W", "CW", "WC", "NW", "WN"), *layouts("NCW"), *("HW",), *layouts("CHW"), *layouts("NCHW"), *("DHW",),
    *layouts("CDHW"), *layouts("NCDHW"), "dhWc", "TNCHW", "NTHWC", "HTWC", "DxHyW", "zDHWC", "abcW", "WabC", "NCTZHW",
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_bits_of_torchs(layout):
    """Axes moved to (others…, spatial…), the others made one, and resampled with the default layout."""
    spatial = [i for i, c in enumerate(layout) if c in "DHW"]
    others = [i for i, c in enumerate(layout) if c not in "DHW"]
    rank = len(spatial)
    rng = np.random.default_rng(len(layout))
    shape = tuple(rng.integers(2, 7, len(layout)))
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank]
    for dtype, mode, factor in itertools.product(
        ("uint8", "float32"), ("nearest", "nearest-exact", linear, "cubic", "area", "lanczos"), (2, 1.6, 0.7)
    ):
        arguments = {"mode": mode, "scale_factor": factor, "antialias": mode == "lanczos"}
        x = rng.integers(0, 256, shape).astype(dtype)
        plain = np.ascontiguousarray(x.transpose(*others, *spatial)).reshape(1, -1, *(shape[a] for a in spatial))
        expected = upsample.interpolate(plain, **arguments)
        expected = expected.reshape(*(shape[a] for a in others), *expected.shape[2:])
        got = check_input(x, {**arguments, "layout": layout})
        assert got.transpose(*others, *spatial).tobytes() == expected.tobytes(), arguments
        check_input(np.asfortranarray(x), {**arguments, "layout": layout})


def test_the_size_follows_the_order_of_the_layouts_letters():
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    assert upsample.interpolate(x, size=(6, 7, 8), layout="DHWC").shape == (6, 7, 8, 5)
    assert upsample.interpolate(x, size=(6, 7, 8), layout="DHCW").shape == (6, 7, 4, 8)
    assert upsample.interpolate(x, size=(6, 7, 8), layout="CDHW").shape == (2, 6, 7, 8)
    assert upsample.interpolate(x, size=(6, 7), layout="HCNW").shape == (6, 3, 4, 7)


# ---- out= --------------------------------------------------------------------------------------------------


def check_out(x: Any, arguments: dict[str, Any], way: Callable[[Any], Any], note: Any = "") -> None:
    """The result goes into the very object, with the bits of a new array, and nothing else is written."""
    expected = upsample.interpolate(x, **arguments)
    out = way(np.zeros_like(expected, order="C"))
    if not out.flags.writeable:
        return
    root = out
    while isinstance(root.base, np.ndarray):
        root = root.base
    whole = root.reshape(-1, order="A").view(np.uint8) if root.flags.forc else None
    if whole is not None:
        whole[...] = 0xA5
    got = upsample.interpolate(x, out=out, **arguments)
    assert got is out
    assert native_copy(out).tobytes() == expected.tobytes(), f"{note} out strides {out.strides}, {arguments}"
    if whole is not None:
        out[..., None].view(np.uint8)[...] = 0xA5
        assert (whole == 0xA5).all(), f"{note} bytes outside out were written, strides {out.strides}, {arguments}"


@pytest.mark.parametrize("way", [way for way in WAYS if way != "read-only"])
def test_strides_of_out_do_not_change_bits(way):
    count = 0
    for case in small(itertools.chain(systematic_cases(5), random_cases(40, 6)), 8000):
        check_out(case.array(), case.arguments, WAYS[way], case)
        count += 1
    assert count > 100


def test_every_order_of_axes_of_out_gives_the_same_bits():
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4)).astype(np.uint8)
    for dtype, mode in itertools.product(("uint8", "float32"), ("nearest", "bilinear", "area")):
        for order in itertools.permutations(range(4)):
            for source in (x.astype(dtype), channels_last(x.astype(dtype))):
                for way in (lambda out, o=order: in_order(out, o), lambda out, o=order: padded(out, o)):
                    check_out(source, {"size": (7, 3), "mode": mode}, way, order)


def test_out_is_honoured_where_nothing_is_resampled():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 5, 4)).astype(np.float32)
    for way in WAYS.values():
        for source in (x, channels_last(x), swapped(x)):
            check_out(source, {"scale_factor": 1}, way)
            check_out(source, {"size": (5, 4), "mode": "bicubic", "align_corners": True}, way)
    empty = np.zeros((0, 3, 5, 4), np.float32)
    out = np.zeros((0, 3, 7, 7), np.float32)
    assert upsample.interpolate(empty, size=7, out=out) is out


def test_a_plan_writes_into_any_out():
    x = np.random.default_rng(5).uniform(-1, 1, (2, 3, 8, 9)).astype(np.float32)
    plan = upsample.plan(x.shape, x.dtype, size=(11, 12), mode="bicubic")
    expected = plan(x)
    for name, way in WAYS.items():
        out = way(np.zeros_like(expected))
        if out.flags.writeable:
            assert plan(x, out) is out
            assert plan(x, out=out) is out
            assert native_copy(out).tobytes() == expected.tobytes(), name


def test_parts_of_one_array_may_be_input_and_out():
    """Their spans of memory lie apart."""
    memory = np.zeros((3, 2, 40, 40), np.float32)
    memory[0, :, :20, :20] = np.random.default_rng(1).uniform(-1, 1, (2, 20, 20))
    x = memory[:1, :, :20, :20]
    expected = upsample.interpolate(x.copy(), scale_factor=2, mode="bilinear")
    out = memory[2:]
    assert upsample.interpolate(x, scale_factor=2, mode="bilinear", out=out) is out
    assert out.tobytes() == expected.tobytes()
    assert not memory[1].any()


# ---- the order of the output -------------------------------------------------------------------------------


def memory_order(x: Any) -> tuple[int, ...]:
    """Axes with more than one sample, outermost in memory first."""
    return tuple(sorted((a for a in range(x.ndim) if x.shape[a] > 1), key=lambda a: -x.strides[a]))


def is_c_order(x: Any) -> bool:
    return bool(x.flags.c_contiguous)


def is_channels_last_order(x: Any) -> bool:
    return bool(x.transpose(0, *range(2, x.ndim), 1).flags.c_contiguous)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("ndim", [4, 5])
def test_channels_last_in_gives_channels_last_out(ndim, backend):
    linear = {4: "bilinear", 5: "trilinear"}[ndim]
    for dtype in ("float32", "uint8", "float16"):
        x = channels_last(np.ones((2, 3, 4, 5, 6)[:ndim], dtype))
        for mode in ("nearest", "nearest-exact", linear, "cubic", "area", "lanczos"):
            for size in (7, 2, x.shape[2:]):
                got = upsample.interpolate(x, size=size, mode=mode, antialias=mode == "lanczos", backend=backend)
                assert is_channels_last_order(got), (dtype, mode, size)
                assert not is_c_order(got)


@pytest.mark.parametrize("ndim", [4, 5])
def test_slices_of_channels_last_arrays_are_channels_last(ndim):
    x = channels_last(np.ones((4, 6, 8, 9, 7)[:ndim], np.float32))
    every = (slice(None),) * ndim
    slices: list[tuple[int, slice]] = [(0, slice(1, 3)), (0, slice(0, 4, 2)), (1, slice(1, 4)), (2, slice(2, 7))]
    slices += [(2, slice(1, 7, 3)), (3, slice(1, 5)), (3, slice(0, 8, 2)), (1, slice(0, 6, 2)), (1, slice(1, 5, 3))]
    for axis, part in slices:
        view = x[(*every[:axis], part, *every[axis + 1 :])]
        assert is_channels_last_order(upsample.interpolate(view, size=11)), (axis, part)


def test_other_orders_give_c_order():
    x = np.ones((2, 3, 4, 5), np.float32)
    for order in itertools.permutations(range(4)):
        got = upsample.interpolate(in_order(x, order), size=7)
        assert is_c_order(got) == (order != (0, 2, 3, 1)), order
    for view in (
        x[:, ::-1], x[:, :, ::-1], channels_last(x)[:, ::-1], channels_last(x)[:, :, ::-1], channels_last(x)[::-1],
        np.broadcast_to(x[:, :1], x.shape), np.broadcast_to(x[:1], x.shape), np.broadcast_to(x[..., :1], x.shape),
        np.asfortranarray(x), stepped(x, 3, 2),
    ):  # fmt: skip
        assert is_c_order(upsample.interpolate(view, size=7)), view.strides


def test_arrays_of_other_ranks_give_c_order():
    for layout, shape in (
        ("W", (5,)),
        ("WC", (5, 3)),
        ("NCW", (2, 3, 5)),
        ("HWC", (4, 5, 3)),
        ("NCTHW", (2, 3, 2, 4, 5)),
    ):
        for order in itertools.permutations(range(len(shape))):
            if len(shape) == 5 and order == (0, 2, 3, 4, 1):
                continue
            assert is_c_order(upsample.interpolate(in_order(np.ones(shape), order), size=7, layout=layout)), order


@pytest.mark.parametrize(
    "shape", [(2, 1, 4, 5), (2, 3, 1, 1), (1, 1, 4, 5), (1, 3, 1, 1), (2, 1, 3, 4, 5), (2, 3, 1, 1, 1), (1, 1, 1, 1)]
)
def test_ambiguous_shapes_give_c_order(shape):
    """One channel, or one sample per channel: the strides could mean either order."""
    for x in (np.ones(shape, np.float32), channels_last(np.ones(shape, np.float32))):
        got = upsample.interpolate(x, size=7)
        assert is_c_order(got)
        strides, step = [0] * len(shape), 4  # those that a channels-last array of the shape has by the book
        for axis in (1, *range(len(shape) - 1, 1, -1), 0):
            strides[axis], step = step, step * shape[axis]
        assert is_c_order(upsample.interpolate(as_strided(x, shape, strides), size=7)), strides


def test_the_order_of_the_output_depends_on_shape_and_strides_alone():
    """Whatever the samples, dtype of the same size, mode, size, backend and numerics."""
    rng = random.Random(6)
    for x in random_views(rng, 60, 4):
        orders = set()
        for dtype, mode, numerics, backend in itertools.product(
            ("float32", "int32"), ("nearest", "bilinear", "area"), ("torch", "exact"), ("cpu", "reference")
        ):
            if dtype == "int32" and mode != "nearest":
                continue
            for size in ((9, 8), (3, 2)):
                got = upsample.interpolate(x.view(dtype), size=size, mode=mode, numerics=numerics, backend=backend)
                orders.add("C" if is_c_order(got) else "last" if is_channels_last_order(got) else memory_order(got))
        assert len(orders) == 1, (x.shape, x.strides, orders)


def random_views(rng: random.Random, count: int, ndim: int, steps: bool = True) -> Iterator[Any]:
    """Views of float32 arrays in C, channels-last and other orders, without negative strides."""
    for _ in range(count):
        shape = [rng.choice((1, 1, 2, 3, 4, 5)) for _ in range(ndim)]
        order = rng.choice(
            [tuple(range(ndim)), (0, *range(2, ndim), 1), (0, *range(2, ndim), 1), tuple(rng.sample(range(ndim), ndim))]
        )
        grow = [rng.choice((0, 0, 0, 1, 2)) for _ in range(ndim)]
        by = [rng.choice((1, 1, 1, 2, 3)) if steps else 1 for _ in range(ndim)]
        base = np.zeros([shape[a] * by[a] + grow[a] for a in order], np.float32)
        view = base.transpose(np.argsort(order))
        index = []
        for n, extra, step in zip(shape, grow, by, strict=True):
            start = rng.randint(0, extra)
            index.append(slice(start, start + n * step, step))
        view = view[tuple(index)]
        if rng.random() < 0.15:
            axis = rng.randrange(ndim)
            if view.shape[axis] == 1:
                wide = list(view.shape)
                wide[axis] = rng.choice((2, 3))
                view = as_strided(view, wide, [0 if a == axis else st for a, st in enumerate(view.strides)])
        yield view


@pytest.mark.tools
@pytest.mark.skipif(torch is None, reason=building.missing("torch"))
@pytest.mark.parametrize("ndim", [4, 5])
def test_the_order_of_the_output_is_torchs_memory_format(ndim):
    rng = random.Random(ndim)
    modes = ("nearest", "bilinear", "bicubic") if ndim == 4 else ("nearest", "trilinear")
    seen = {True: 0, False: 0}
    wrong = []
    for x in random_views(rng, 1500, ndim):
        _, c, *spatial = x.shape
        if c == 1 or max(spatial) == 1:
            continue  # ambiguous: see above
        mode = rng.choice(modes)
        size = [rng.randint(2, 6) for _ in spatial]
        theirs = torch.nn.functional.interpolate(torch.from_numpy(x), size=size, mode=mode)
        ours = upsample.interpolate(x, size=tuple(size), mode=mode)
        expected = [st for st, m in zip(theirs.stride(), ours.shape, strict=True) if m > 1]
        found = [st // 4 for st, m in zip(ours.strides, ours.shape, strict=True) if m > 1]
        seen[theirs.stride()[1] == 1] += 1
        if expected != found:
            wrong.append(f"shape {x.shape} strides {[st // 4 for st in x.strides]} {mode}: {found}, torch {expected}")
    assert min(seen.values()) > 100
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:12])


# ---- aliasing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_result_never_shares_memory_with_the_input(backend):
    """Also where nothing changes, so that a view would do."""
    for shape, layout in (
        ((1, 1, 5), None),
        ((2, 3, 4, 5), None),
        ((1, 1, 2, 3, 4), None),
        ((5, 4), "HW"),
        ((1,), "W"),
    ):
        for dtype in ("float32", "uint8", "complex64"):
            x = np.ones(shape, dtype)
            for source in (x, np.asfortranarray(x), x[..., ::-1], read_only(x), swapped(x), channels_last(x)):
                for arguments in ({"scale_factor": 1}, {"scale_factor": 1.0, "numerics": "exact"}, {"size": 1}):
                    arguments = {**arguments, "layout": layout, "backend": backend}
                    got = upsample.interpolate(source, **arguments)
                    assert not np.shares_memory(got, source)
                    again = upsample.interpolate(source, **arguments)
                    assert not np.shares_memory(got, again)
                    assert got.flags.writeable
                    assert got.base is None or not np.shares_memory(got.base, source)


def test_an_earlier_result_is_not_changed_by_later_calls():
    rng = np.random.default_rng(7)
    plan = upsample.plan((1, 2, 50, 50), np.float32, scale_factor=3, mode="bilinear")
    inputs = [rng.uniform(-1, 1, plan.shape).astype(np.float32) for _ in range(5)]
    results = [plan(x) for x in inputs]
    copies = [got.copy() for got in results]
    for x in inputs[::-1]:
        plan(x)
        upsample.interpolate(x, scale_factor=3, mode="bilinear")
    for got, copy in zip(results, copies, strict=True):
        np.testing.assert_array_equal(got, copy)


# ---- subclasses --------------------------------------------------------------------------------------------


class Noisy(np.ndarray):
    """A subclass whose every own behaviour would show."""

    def __array_finalize__(self, other: Any) -> None:
        self.unit = getattr(other, "unit", "m")

    def __array_wrap__(self, *_: Any) -> Any:
        raise AssertionError("the subclass was asked")

    def __array_function__(self, *_: Any) -> Any:
        raise AssertionError("the subclass was asked")

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("the subclass was asked")


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "area"])
@pytest.mark.parametrize("size", [(7, 8), (4, 5)])
def test_subclasses_are_taken_as_base_class(mode, size, tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 5)).astype(np.float32)
    expected = upsample.interpolate(x, size=size, mode=mode)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=x.shape)
    mapped[...] = x
    plan = upsample.plan(x.shape, x.dtype, size=size, mode=mode)
    for same in (x.view(Noisy), mapped, x.view(np.recarray), channels_last(x).view(Noisy)):
        for backend in ("cpu", "reference"):
            got = upsample.interpolate(same, size=size, mode=mode, backend=backend)
            assert type(got) is np.ndarray
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
        for got in (upsample.interpolate(same, size=size, mode=mode), plan(same), plan(same)):
            assert type(got) is np.ndarray
            assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "area"])
@pytest.mark.parametrize("size", [(7, 8), (4, 5)])
def test_subclasses_may_be_out(mode, size, tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 5)).astype(np.float32)
    expected = upsample.interpolate(x, size=size, mode=mode)
    plan = upsample.plan(x.shape, x.dtype, size=size, mode=mode)
    mapped = np.memmap(tmp_path / "out", np.float32, "w+", shape=expected.shape)
    zeros = np.zeros_like(expected)
    for out in (mapped, zeros.view(np.recarray), zeros.view(Noisy), np.asfortranarray(zeros).view(Noisy)):
        for source in (x, x.view(Noisy), channels_last(x)):
            for call in (lambda x, out: upsample.interpolate(x, size=size, mode=mode, out=out), plan):
                out.view(np.ndarray)[...] = 0
                assert call(source, out) is out
                assert out.view(np.ndarray).tobytes() == expected.tobytes()


def test_a_memory_map_of_a_file_is_an_input_like_any_other(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (31, 37, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    got = upsample.interpolate(mapped, scale_factor=2, mode="bicubic", layout="HWC")
    assert type(got) is np.ndarray
    assert got.tobytes() == upsample.interpolate(x, scale_factor=2, mode="bicubic", layout="HWC").tobytes()


# ---- dtypes ------------------------------------------------------------------------------------------------

STRUCTURED: dict[str, Any] = {
    "pair": [("a", "i4"), ("b", "f8")],
    "swapped-pair": [("a", ">i4"), ("b", "<f8"), ("c", ">u2")],
    "all-swapped": [("a", ">i4"), ("b", ">f8")],
    "padded": np.dtype([("a", "i1"), ("b", "f8"), ("c", "i2")], align=True),
    "with-arrays": [("rgb", "u1", 3), ("matrix", "f4", (2, 2))],
    "swapped-arrays": [("rgb", ">u2", 3), ("matrix", ">f4", (2, 2))],
    "nested": [("inner", [("x", "f4"), ("y", ">f4")]), ("name", "U3")],
    "gaps": np.dtype({"names": ["a", "b"], "formats": ["u1", "i4"], "offsets": [3, 9], "itemsize": 17}),
    "union": np.dtype({"names": ["whole", "first"], "formats": ["S4", "S2"], "offsets": [0, 0], "itemsize": 4}),
    "one-byte": [("a", "u1")],
    "with-titles": [(("Title", "a"), "i4"), ("b", "S5")],
    "swapped-text": [("name", ">U2"), ("when", ">M8[ms]")],
}
# NumPy 1 does not swap the bytes of times without a unit when it assigns them.
NUMPY_2 = int(np.__version__.partition(".")[0]) >= 2
FIXED = [
    *(c for c in np.typecodes["All"] if c not in "OSUVcmM"), "c",
    *("S1", "S2", "S3", "S7", "S16", "S33", "U1", "U2", "U5"),
    *(f"V{n}" for n in (*range(1, 18), 20, 24, 31, 32, 33, 64, 100)),
    *(f"{kind}8[{unit}]" for kind in "mM" for unit in ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "25s")),
    *(("m8", "M8") if NUMPY_2 else ()),
    *(">u2", ">i4", ">i8", ">f2", ">f4", ">f8", ">g", ">c8", ">c16", ">G", ">U3", ">M8[s]", ">m8[us]"),
]  # fmt: skip


def any_samples(dtype: np.dtype[Any], shape: tuple[int, ...], seed: int = 0) -> Any:
    """Samples of arbitrary bytes that are valid for the dtype."""
    raw = np.random.default_rng(seed).integers(0, 256, (*shape, dtype.itemsize), dtype=np.uint8)
    if dtype.names:
        made = np.zeros(shape, dtype)
        for i, name in enumerate(dtype.names):
            base, inner = dtype[name].subdtype or (dtype[name], ())
            made[name] = any_samples(base, (*shape, *inner), seed + i + 1)
        return made
    if dtype.kind == "b":
        raw &= 1
    if dtype.kind == "U":
        points = raw[..., : dtype.itemsize // 4].astype(np.int64) + 33
        text = ["".join(map(chr, row)) for row in points.reshape(-1, dtype.itemsize // 4).tolist()]
        return np.array(text, dtype).reshape(shape)
    if dtype.kind in "fc" and dtype.name in ("longdouble", "clongdouble", "float128", "complex256", "float96"):
        return np.random.default_rng(seed).uniform(-9, 9, shape).astype(dtype)
    return raw.view(dtype)[..., 0]


def same_samples(a: Any, b: Any) -> bool:
    """Bit equality of samples, whatever lies in a structure's gaps and in the padding of a long double."""
    if a.shape != b.shape:
        return False
    if a.dtype.names:
        return all(same_samples(a[name], b[name]) for name in a.dtype.names)
    a, b = native_copy(a), native_copy(b)
    if a.dtype.kind in "fc" and a.dtype.itemsize > 16 - 4 * (a.dtype.kind == "f"):
        return bool(np.array_equal(a, b))
    return a.tobytes() == b.tobytes()


def expected_repeats(x: Any, axes: tuple[int, ...], factor: int) -> Any:
    for axis in axes:
        x = np.repeat(x, factor, axis=axis)
    return x


def check_copies(dtype: Any) -> None:
    dtype = np.dtype(dtype)
    native = dtype.newbyteorder("=")
    for mode, factor in itertools.product(("nearest", "nearest-exact"), (1, 2, 3)):
        for shape, layout, axes in (
            ((1, 2, 7), None, (2,)), ((2, 3, 4, 5), None, (2, 3)), ((1, 2, 2, 3, 4), None, (2, 3, 4)),
            ((5, 6, 3), "HWC", (0, 1)), ((9, 2), "WC", (0,)), ((17,), "W", (0,)), ((4, 3, 2), "HCW", (0, 2)),
        ):  # fmt: skip
            x = any_samples(dtype, shape)
            expected = expected_repeats(x, axes, factor)
            for source in (x, x[..., ::-1][..., ::-1], np.asfortranarray(x), unaligned(x)):
                got = upsample.interpolate(source, scale_factor=factor, mode=mode, layout=layout)
                assert got.dtype == native
                assert same_samples(got, expected), (mode, factor, shape, layout, source.strides)
            for out in (np.zeros(expected.shape, native), np.zeros(expected.shape, dtype.newbyteorder("S"))):
                assert upsample.interpolate(x, scale_factor=factor, mode=mode, layout=layout, out=out) is out
                assert same_samples(out, expected), (mode, factor, shape, layout, out.dtype)


@pytest.mark.parametrize("dtype", FIXED)
def test_nearest_copies_every_dtype_of_a_fixed_size(dtype):
    check_copies(dtype)


@pytest.mark.parametrize("name", STRUCTURED)
def test_nearest_copies_every_structure(name):
    check_copies(STRUCTURED[name])


@pytest.mark.skipif(ml_dtypes is None, reason=building.missing("ml_dtypes"))
@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"])
def test_nearest_copies_dtypes_of_ml_dtypes(name):
    dtype = np.dtype(getattr(ml_dtypes, name))
    x = np.random.default_rng(0).integers(0, 8, (2, 3, 4, 5)).astype(dtype)
    got = upsample.interpolate(x, scale_factor=2)
    assert got.dtype == dtype
    assert got.tobytes() == expected_repeats(x, (2, 3), 2).tobytes()
    assert upsample.interpolate(channels_last(x), scale_factor=2).tobytes() == got.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_nearest_keeps_every_bit_of_a_nan(dtype):
    x = np.full((1, 1, 8 * np.dtype(dtype).itemsize), 0xFF, np.uint8)
    x[..., ::3] = 0x7F
    x = x.view(dtype)
    for factor in (2, 3):
        got = upsample.interpolate(x, scale_factor=factor)
        assert got.tobytes() == np.repeat(x, factor, axis=2).tobytes()


@pytest.mark.parametrize("dtype", [object, [("a", "i4"), ("b", object)], "V0", "StringDType"])
def test_dtypes_without_a_fixed_size_are_refused(dtype):
    if dtype == "StringDType":
        if not hasattr(np.dtypes, "StringDType"):
            pytest.skip("this NumPy has none")
        dtype = np.dtypes.StringDType()
    for mode in ("nearest", "nearest-exact", "bilinear"):
        with pytest.raises(NotImplementedError, match="not implemented for"):
            upsample.interpolate(np.zeros((1, 1, 4, 4), dtype), size=8, mode=mode)


def test_metadata_and_units_of_a_dtype_survive():
    x = np.arange(4).astype("M8[25s]").reshape(1, 1, 4)
    assert upsample.interpolate(x, size=8).dtype == np.dtype("M8[25s]")
    record = np.zeros((1, 1, 4), [("a", "i4"), ("b", "S3")])
    assert upsample.interpolate(record, size=8).dtype.names == ("a", "b")
    for other in ("M8[s]", "M8[ns]", "m8[25s]", "i8"):
        with pytest.raises(ValueError, match="out has dtype"):
            upsample.interpolate(x, size=8, out=np.zeros((1, 1, 8), other))


# ---- copies ------------------------------------------------------------------------------------------------


def _swapped(x: np.ndarray) -> np.ndarray:
    return x.astype(x.dtype.newbyteorder())


def _unaligned(x: np.ndarray) -> np.ndarray:
    raw = np.zeros(x.nbytes + 1, np.uint8)
    return raw[1:].view(x.dtype).reshape(x.shape)


ARRAYS: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {
    "dense": lambda s: np.zeros(s, np.float32),
    "rows apart": lambda s: np.zeros((*s[:2], 2 * s[2], s[3] + 5), np.float32)[:, :, ::2, : s[3]],
    "planes backward": lambda s: np.zeros(s, np.float32)[:, ::-1],
    "every second sample": lambda s: np.zeros((*s[:3], 2 * s[3]), np.float32)[..., ::2],
    "channels last": lambda s: np.zeros((s[0], s[2], s[3], s[1]), np.float32).transpose(0, 3, 1, 2),
    "every second channel": lambda s: np.zeros((s[0], s[2], s[3], s[1], 2), np.float32)[..., 0].transpose(0, 3, 1, 2),
    "batch and channels apart": lambda s: np.zeros((s[0], s[1] + 1, *s[2:]), np.float32)[:, :-1],
    "fortran": lambda s: np.zeros(s, np.float32, order="F"),
    "swapped": lambda s: _swapped(np.zeros(s, np.float32)),
    "unaligned": lambda s: _unaligned(np.zeros(s, np.float32)),
}  # fmt: skip


@pytest.mark.parametrize("layout", ["NCHW", "HABW"])  # the second has axes between the resampled ones
@pytest.mark.parametrize("given", ARRAYS)
@pytest.mark.parametrize("written", ARRAYS)
def test_explain_tells_the_copies_that_are_made(given, written, layout):
    shape = (2, 3, 60, 80)
    x = ARRAYS[given](shape)
    plan = upsample.plan(shape, np.float32, scale_factor=2, layout=layout)
    out = ARRAYS[written](plan.out_shape)
    text = upsample.explain(x, scale_factor=2, layout=layout, out=out)
    said = next(line for line in text.splitlines() if line.startswith("- cpu: runs it"))
    plan(x, out)
    tracemalloc.start()
    plan(x, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = x.nbytes * ("input is copied first" in said or "transposed copy" in said)
    expected += out.nbytes * ("copied into out" in said)
    assert expected <= peak < expected + 20_000
