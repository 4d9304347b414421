"""Descriptions and arguments that make no sense: a code and a sentence, before any memory is touched."""

from __future__ import annotations

import ctypes as c
import dataclasses
import signal
import threading
from typing import Any

import ctable
import numpy as np
import pytest
from ctable import TABLE, Kernel, Refused, made, work

import upsample
import upsample._capi
from upsample import _embed
from upsample._geometry import MODES

BIG = 2**62
GOOD: dict[str, Any] = {"scale_factor": 2.0, "mode": "bilinear"}


def good(**changes: Any) -> ctable.Work:
    return work((1, 3, 16, 16), "float32", **{**GOOD, **changes})


def changed(w: ctable.Work, field: str, value: Any) -> ctable.Work:
    setattr(w, field, value)
    return w


def sized(shape: tuple[int, ...], dtype: str = "float32", **arguments: Any) -> ctable.Work:
    return work(shape, dtype, **(arguments or GOOD))


WRONG: list[tuple[ctable.Work, int, str]] = [
    (changed(good(), "struct_size", 0), ctable.ARGUMENT, "struct_size must be from 376 to 376"),
    (changed(good(), "struct_size", 375), ctable.ARGUMENT, "struct_size must be from 376"),
    (changed(good(), "struct_size", 2**40), ctable.ARGUMENT, "got 1099511627776"),
    (changed(good(), "struct_size", -1), ctable.ARGUMENT, "struct_size"),
    (changed(good(), "ndim", 0), ctable.ARGUMENT, "ndim must be from 1 to 8, got 0"),
    (changed(good(), "ndim", 9), ctable.ARGUMENT, "ndim"),
    (changed(good(), "ndim", -(2**31)), ctable.ARGUMENT, "ndim"),
    (changed(good(), "dtype", 9), ctable.ARGUMENT, "dtype must be from 0 to 8, got 9"),
    (changed(good(), "dtype", -1), ctable.ARGUMENT, "dtype"),
    (changed(good(), "itemsize", 8), ctable.ARGUMENT, "itemsize must be 0 or 4 for float32, got 8"),
    (changed(changed(good(mode="nearest"), "dtype", ctable.RAW), "itemsize", 0), ctable.ARGUMENT, "itemsize"),
    (changed(changed(good(mode="nearest"), "dtype", ctable.RAW), "itemsize", 2**31), ctable.ARGUMENT, "itemsize"),
    (changed(good(), "mode", 9), ctable.ARGUMENT, "mode must be from 0 to 8, got 9"),
    (changed(good(), "numerics", 2), ctable.ARGUMENT, "numerics must be from 0 to 1, got 2"),
    (changed(good(), "given", 4), ctable.ARGUMENT, "given"),
    (changed(good(), "align_corners", 2), ctable.ARGUMENT, "align_corners must be 0 or 1, got 2"),
    (changed(good(), "antialias", -1), ctable.ARGUMENT, "antialias"),
    (changed(good(), "recompute_scale_factor", 7), ctable.ARGUMENT, "recompute_scale_factor"),
    (changed(good(), "transposed", 7), ctable.ARGUMENT, "transposed"),
    (changed(good(), "fresh_output", 7), ctable.ARGUMENT, "fresh_output"),
    (changed(good(), "reserved", 1), ctable.ARGUMENT, "reserved must be 0, got 1"),
    (changed(good(), "has_strides", 2), ctable.ARGUMENT, "has_strides must be 0 or 1, got 2"),
    (changed(good(strides=(0, 0, 64, 4)), "has_strides", 0), ctable.ARGUMENT, "strides must be 0 where has_st"),
    (changed(good(out_strides=(0, 0, 0, 4)), "has_out_strides", 0), ctable.ARGUMENT, "out_strides must be 0 where"),
    (changed(good(window_stop=(4, 4)), "has_window", 0), ctable.ARGUMENT, "window_stop must be 0 where"),
    (changed(good(window_start=(4, 4)), "has_window", 0), ctable.ARGUMENT, "window_start must be 0 where"),
    (changed(good(), "has_window", 1), ctable.VALUE, "non-empty"),
    (changed(good(), "has_strides", 1), ctable.LAYOUT, "axis 3 is not dense"),
    (changed(good(), "layout", b"N" * 16), ctable.ARGUMENT, "no terminating zero"),
    (changed(good(), "layout", b"\xff\xfe"), ctable.ARGUMENT, "ASCII"),
    (changed(good(), "layout", b"NCWH"), ctable.VALUE, "layout 'NCWH'"),
    (changed(good(), "layout", b"HW"), ctable.VALUE, "names 2 axes, but the array has 4"),
    (sized((1, 3, -1, 16)), ctable.ARGUMENT, "negative size"),
    (good(scale_factor=None), ctable.VALUE, "either size or scale_factor"),
    (good(size=(4, 4)), ctable.VALUE, "only one of size or scale_factor"),
    (good(mode="nearest", align_corners=True), ctable.VALUE, "align_corners option"),
    (good(mode="nearest", antialias=True), ctable.VALUE, "Anti-alias"),
    (good(mode="lanczos"), ctable.VALUE, "antialias=True"),
    (good(scale_factor=None, size=(4, 4), recompute_scale_factor=True), ctable.VALUE, "recompute_scale_factor"),
    (good(mode="linear"), ctable.NOT_IMPLEMENTED, "linear mode needs"),
    (work((2, 2), "float32", **GOOD), ctable.NOT_IMPLEMENTED, "Only 3D, 4D and 5D"),
    (work((1, 1, 1, 1, 1, 4), "float32", **GOOD), ctable.NOT_IMPLEMENTED, "Only 3D, 4D and 5D"),
    (work((1, 3, 4, 4), "V3", **GOOD), ctable.NOT_IMPLEMENTED, "is not implemented for"),
    (good(scale_factor=float("nan")), ctable.RUNTIME, "overflow"),
    (good(scale_factor=1e300), ctable.RUNTIME, "overflow"),
    (good(scale_factor=-1.0), ctable.RUNTIME, "greater than 0"),
    (good(scale_factor=float("inf"), recompute_scale_factor=True), ctable.RUNTIME, "infinity"),
    (good(scale_factor=None, size=(0, 4)), ctable.RUNTIME, "greater than 0"),
    (good(scale_factor=None, size=(2**63 - 1, 2**63 - 1)), ctable.RUNTIME, "overflow"),
    (sized((1, 3, 0, 16)), ctable.RUNTIME, "greater than 0"),
    (sized((1, 0, 4, 4)), ctable.RUNTIME, "Non-empty channels"),
    (sized((BIG, BIG, 4, 4)), ctable.RUNTIME, "too large"),
    (sized((1, 1, BIG, BIG), size=(2, 2), mode="area"), ctable.RUNTIME, "too large"),
    (sized((1, 1, 2**40, 4), size=(2, 2), mode="area"), ctable.RUNTIME, "more than 2**31 - 1: reduce in steps"),
    (sized((1, 1, 2**30, 2**30), size=(2, 2), mode="area"), ctable.RUNTIME, "too large"),
    (sized((1, 1, 2, 2), size=(2**28, 2**28), mode="nearest"), ctable.RUNTIME, "too large"),
    (good(strides=(0, 0, BIG, 4)), ctable.RUNTIME, "too large"),
    *(
        (
            work((n, n, 1), "uint8", layout="DHW", strides=(0, 0, 1), size=(1, 1, 1), mode=mode, antialias=aa),
            ctable.RUNTIME,
            "too large",
        )
        for n in (2**24, 2**27 + 1)
        for mode, aa in (("area", 0), ("cubic", 1))
    ),
    (good(strides=(-(2**63), 2**62, -(2**63), 4)), ctable.RUNTIME, "too large"),
    (good(strides=(0, 0, 64, 8)), ctable.LAYOUT, "axis 3 is not dense"),
    (good(strides=(0, 0, 64, -4)), ctable.LAYOUT, "copy into an array"),
    (good(out_strides=(0, 8192, 256, 8)), ctable.LAYOUT, "axis 3 is not dense in output (shape (1, 3, 32, 32), str"),
    (good(strides=(0, 1024, 64, 8), out_strides=(0, 8192, 256, 8)), ctable.LAYOUT, "(0, 1024, 64, 8)) and output ("),
    (good(out_strides=(0, 4, 384, 12)), ctable.LAYOUT, "is not dense with the same axes inside"),
    (good(layout="NCHW", strides=(0, 4, 192, 12)), ctable.LAYOUT, "give the output the input's order (out_strides)"),
    (good(strides=(0, 1026, 64, 4)), ctable.LAYOUT, "multiples of 4 bytes"),
    (good(out_strides=(0, 4096, 130, 4)), ctable.LAYOUT, "multiples of 4 bytes"),
    (good(out_strides=(0, 4096, 0, 4)), ctable.VALUE, "overlaps itself"),
    (good(out_strides=(0, 4, 128, 4)), ctable.VALUE, "overlaps itself"),
    (good(window_start=(0, 0), window_stop=(33, 32)), ctable.VALUE, "within 0:32"),
    (good(window_start=(5, 5), window_stop=(5, 9)), ctable.VALUE, "non-empty"),
    (good(window_start=(-1, 0), window_stop=(5, 9)), ctable.VALUE, "within"),
    (good(window_stop=(5, 0)), ctable.VALUE, "non-empty"),
]  # fmt: skip


@pytest.mark.parametrize(("w", "status", "text"), WRONG, ids=[f"{i}-{text[:24]}" for i, (*_, text) in enumerate(WRONG)])
def test_a_wrong_description_has_a_code_and_a_sentence(w: ctable.Work, status: int, text: str) -> None:
    refused = made(w)
    assert isinstance(refused, Refused)
    assert refused.status == status
    assert text in refused.text


def test_the_good_description_is_good() -> None:
    assert isinstance(made(good()), Kernel)


def test_numbers_of_axes_that_there_are_not_do_not_matter() -> None:
    w = good(window_start=(1, 2), window_stop=(5, 9), strides=(0, 1024, 64, 4))
    for field, at in (("shape", 4), ("strides", 4), ("out_strides", 4), ("size", 2), ("scale", 2), ("window_stop", 2)):
        getattr(w, field)[at] = -7
    kernel = made(w)
    assert isinstance(kernel, Kernel)
    assert kernel.shape("out") == (1, 3, 4, 7)


def test_names_are_numbered_as_python_knows_them() -> None:
    assert upsample._capi.MODES == ctable.MODES == MODES


@pytest.mark.parametrize(("mode", "antialias"), [("area", 0), ("cubic", 1), ("lanczos", 1)])
@pytest.mark.parametrize("inner", [1, 1000])
def test_scratch_of_the_largest_reductions_is_a_number(mode: str, antialias: int, inner: int) -> None:
    """Nearly 2**47 bytes that are one: sizes in the kernel stay within 64 bits, or there is no kernel."""
    n = int((2**47 / inner) ** 0.5)
    w = work(
        (n, n, 1, inner),
        "uint8",
        layout="DHWC",
        strides=(0, 0, inner, 1),
        size=(1, 1, 1024),
        mode=mode,
        antialias=antialias,
    )
    kernel = made(w)
    if isinstance(kernel, Refused):
        assert kernel.status == ctable.MEMORY
    else:
        assert 0 < kernel.info.scratch_bytes < 2**63


def test_strides_of_a_broadcast_view_are_strides() -> None:
    """All 0, as NumPy has them for one sample seen as a column: no byte beyond it is read."""
    one = np.array([[7]], np.float32)
    x = np.broadcast_to(one, (5, 1))
    kernel = Kernel(work(x.shape, "float32", strides=(0, 0), layout="HW", scale_factor=2, mode="bilinear"))
    assert kernel.info.in_bytes == 4
    out = kernel.new_output(np.float32)
    kernel.run(x, out)
    assert (out == 7).all()


def test_null_pointers_are_refused() -> None:
    kernel, text = c.c_void_p(1), c.create_string_buffer(100)
    assert TABLE.create(None, kernel, text, 100) == ctable.ARGUMENT
    assert kernel.value is None
    assert text.value == b"work is a null pointer"
    assert TABLE.create(good(), None, text, 100) == ctable.ARGUMENT
    assert text.value == b"kernel is a null pointer"
    assert TABLE.create(None, None, None, 100) == ctable.ARGUMENT
    assert TABLE.query(None, ctable.Info(c.sizeof(ctable.Info))) == ctable.ARGUMENT
    made_kernel = Kernel(good())
    assert TABLE.query(made_kernel.handle, None) == ctable.ARGUMENT
    for size in (0, c.sizeof(ctable.Info) - 1, 2**40, -1):
        assert TABLE.query(made_kernel.handle, ctable.Info(size)) == ctable.ARGUMENT
    x = np.zeros((1, 3, 16, 16), np.float32)
    out = np.zeros((1, 3, 32, 32), np.float32)
    scratch = np.empty(made_kernel.info.scratch_bytes, np.uint8)
    addresses = [made_kernel.handle, x.ctypes.data, out.ctypes.data, scratch.ctypes.data]
    for i in range(4):
        some: list[Any] = list(addresses)
        some[i] = None
        assert TABLE.execute(*some, 0, 1) == ctable.ARGUMENT
    assert TABLE.execute(*addresses, 0, 1) == ctable.OK
    assert TABLE.retain(None) is None
    TABLE.release(None)


def test_ranges_of_units_are_checked() -> None:
    kernel = Kernel(good())
    x, out = np.zeros((1, 3, 16, 16), np.float32), np.full((1, 3, 32, 32), 7, np.float32)
    units = kernel.info.units
    for lo, hi in ((-1, 1), (0, units + 1), (2, 1), (units, units + 1), (-(2**63), 2**63 - 1), (2**63 - 1, 2**63 - 1)):
        assert kernel.execute(x.ctypes.data, out.ctypes.data, lo, hi) == ctable.UNITS
    for lo in (0, units):
        assert kernel.execute(0, 0, lo, lo) == ctable.OK
    assert (out == 7).all()


def test_addresses_are_checked() -> None:
    kernel = Kernel(good())
    assert kernel.info.alignment == 4
    memory = np.zeros(1 << 16, np.uint8)
    x, size = memory.ctypes.data, kernel.info.in_bytes
    for offset in (1, 2, 3):
        assert kernel.execute(x + offset, x + 2 * size, 0, 1) == ctable.ALIGNMENT
        assert kernel.execute(x, x + 2 * size + offset, 0, 1) == ctable.ALIGNMENT
    for out in (x, x + 4, x + size - 4):
        assert kernel.execute(x, out, 0, 1) == ctable.OVERLAP
    assert kernel.execute(x, x + size, 0, 1) == ctable.OK
    assert kernel.execute(x + kernel.info.out_bytes - 4, x, 0, 1) == ctable.OVERLAP
    assert kernel.execute(x + kernel.info.out_bytes, x, 0, 1) == ctable.OK


def test_the_same_address_is_never_input_and_output() -> None:
    """Also where rows are padded, and other overlaps are the caller's to know."""
    memory = np.zeros((16, 32), np.float32)
    w = work((16, 16), "float32", strides=memory.strides, layout="HW", out_strides=memory.strides, size=(16, 16))
    kernel = Kernel(w)
    address = memory.ctypes.data
    assert kernel.execute(address, address, 0, 1) == ctable.OVERLAP
    assert kernel.execute(address, address + 64, 0, 1) == ctable.OK


def test_an_output_in_the_gap_of_an_input_that_reads_samples_twice() -> None:
    """As many bytes as a dense input has, but not dense: two planes are one, with a gap between rows."""
    w = work((2, 2, 4), "float32", layout="CHW", strides=(0, 48, 4), size=(2, 1), mode="area")
    kernel = Kernel(w)
    memory = np.arange(16, dtype=np.float32)
    address = memory.ctypes.data
    assert (kernel.info.in_bytes, kernel.info.out_bytes) == (64, 16)
    assert kernel.execute(address, address + 16, 0, kernel.info.units) == ctable.OK
    assert memory[4:8].tolist() == [1.5, 13.5] * 2


def test_input_and_output_may_be_neighbours_in_one_picture() -> None:
    """Halves of rows: their extents overlap, their samples do not."""
    atlas = np.random.default_rng(0).integers(0, 256, (16, 48), np.uint8)
    expected = upsample.interpolate(atlas[:8, :16], scale_factor=2, layout="HW")
    w = work((8, 16), "uint8", strides=atlas.strides, out_strides=atlas.strides, scale_factor=2, layout="HW")
    Kernel(w).run(atlas[:8, :16], atlas[:, 16:], parts=3)
    assert (atlas[:, 16:] == expected).all()


@pytest.mark.parametrize("size", [0, 1, 2, 30, 31, 32, 33, 2000])
def test_messages_are_cut_to_the_buffer(size: int) -> None:
    w = changed(good(), "layout", "Né".encode("latin1"))
    whole = made(w)
    assert isinstance(whole, Refused)
    kernel, text = c.c_void_p(), c.create_string_buffer(b"\x7f" * 2001, 2001)
    assert TABLE.create(w, kernel, text, size) == ctable.ARGUMENT
    assert text.raw[size:] == b"\x7f" * (2001 - size)  # nothing beyond
    if size:
        got = text.raw[: text.raw.index(0)]
        assert whole.text.encode().startswith(got)
        assert len(got) in (size - 1, len(whole.text.encode()))
    assert TABLE.create(w, kernel, text, -5) == ctable.ARGUMENT
    assert TABLE.create(w, kernel, None, 0) == ctable.ARGUMENT


def test_a_message_is_cut_between_characters() -> None:
    w = good(scale_factor=None)
    w.layout = b"NC HW"
    whole = made(w)
    assert isinstance(whole, Refused)
    raw = whole.text.encode()
    assert "…" in whole.text
    for size in range(1, len(raw) + 2):
        kernel, text = c.c_void_p(), c.create_string_buffer(size)
        TABLE.create(w, kernel, text, size)
        assert raw.decode().startswith(text.value.decode())  # decodes: no character was cut


def test_every_code_has_a_text() -> None:
    texts = [TABLE.error_text(code) for code in range(14)]
    assert len(set(texts)) == 14
    assert all(texts)
    for code in (-1, 14, 2**31 - 1, -(2**31)):
        assert TABLE.error_text(code) == b"there is no such code"


def test_owners_are_counted() -> None:
    kernel = Kernel(good())
    assert TABLE.retain(kernel.handle) == kernel.handle.value
    x = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    expected = upsample.interpolate(x, **GOOD)
    errors: list[str] = []

    def own() -> None:
        out = np.empty((1, 3, 32, 32), np.float32)
        for _ in range(300):
            TABLE.retain(kernel.handle)
            kernel.execute(x.ctypes.data, out.ctypes.data, 0, kernel.info.units)
            TABLE.release(kernel.handle)
        if not np.array_equal(out, expected):
            errors.append("another result")

    threads = [threading.Thread(target=own) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    TABLE.release(kernel.handle)
    out = np.empty((1, 3, 32, 32), np.float32)
    assert kernel.execute(x.ctypes.data, out.ctypes.data, 0, kernel.info.units) == ctable.OK
    assert np.array_equal(out, expected)


def test_kernels_give_their_memory_back() -> None:
    """Tables of about a megabyte each, made four hundred times, also those of refused requests."""
    resource = pytest.importorskip("resource")
    w = work((1, 1, 30000), "float64", scale_factor=1.7, mode="cubic")
    wrong = work((1, 1, 30000), "float64", scale_factor=1.7, mode="cubic", out_strides=(8, 8, 16))

    def make(times: int) -> int:
        for _ in range(times):
            assert isinstance(made(w), Kernel)
            assert isinstance(made(wrong), Refused)
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    before = make(20)
    assert make(400) - before < 50_000  # KiB; a leak would be 400 MB and more


def test_kernels_are_made_by_many_threads_at_once() -> None:
    """`create` takes the GIL by itself; callers through ctypes do not hold it."""
    results: list[Any] = []

    def make() -> None:
        for i in range(20):
            results.append(made(good() if i % 2 else good(scale_factor=None)))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(r, Kernel) for r in results) == sum(isinstance(r, Refused) for r in results) == 40


def test_create_may_be_called_with_the_gil_held() -> None:
    """As extension modules call it."""
    create = c.PYFUNCTYPE(c.c_int32, c.POINTER(ctable.Work), c.POINTER(c.c_void_p), c.c_void_p, c.c_int64)(
        c.cast(TABLE.create, c.c_void_p).value
    )
    kernel, text = c.c_void_p(), c.create_string_buffer(500)
    assert create(good(scale_factor=None), kernel, text, 500) == ctable.VALUE
    assert create(good(), kernel, text, 500) == ctable.OK
    TABLE.release(kernel)


def test_the_gradient_through_the_table() -> None:
    shape, out_shape = (1, 2, 5, 6), (1, 2, 10, 12)
    answer = Kernel(work(shape, "float64", **GOOD, transposed=1))
    assert (answer.shape("in"), answer.shape("out")) == (out_shape, shape)
    grad = np.random.default_rng(0).normal(size=out_shape)
    got = answer.new_output(np.float64)
    answer.run(grad, got, threads=2, parts=5)
    expected = upsample.plan(shape, np.float64, **GOOD).T(grad)
    assert got.tobytes() == expected.tobytes()


def test_a_plan_with_features_that_kernels_do_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = _embed._resolve
    monkeypatch.setattr(
        _embed, "_resolve", lambda **k: dataclasses.replace(resolve(**k), features=frozenset({"sphere"}))
    )
    refused = made(good())
    assert isinstance(refused, Refused)
    assert (refused.status, refused.text) == (ctable.NOT_IMPLEMENTED, "the cpu backend does not know sphere")


class FromHandler(ValueError):
    """Of a type that would have another code, were it ours."""


@pytest.mark.parametrize("error", [KeyboardInterrupt, FromHandler])
def test_what_a_handler_raises_is_no_bug_and_is_not_lost(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal within `create`: a code and a sentence for the caller, and once the exception in the main thread."""
    embed = _embed.embed
    handled: list[int] = []

    def handler(number: int, _: Any) -> None:
        handled.append(number)
        raise error("now")

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return embed(*arguments)

    def create() -> None:
        status.append(TABLE.create(good(), kernel, text, 200))
        for _ in range(1000):
            pass

    monkeypatch.setattr(_embed, "embed", interrupted)
    kernel, text, status = c.c_void_p(1), c.create_string_buffer(200), [ctable.OK]
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(error, match="now"):
            create()
        for _ in range(1000):
            pass  # nothing comes twice
    finally:
        signal.signal(signal.SIGINT, before)
    assert handled == [signal.SIGINT]
    assert kernel.value is None
    assert text.value.decode() == f"a signal came while the kernel was made: {error('now')!r}"
    assert status in ([ctable.OK], [ctable.OK, ctable.INTERRUPTED])  # it may come before the code is stored


def test_an_interrupt_of_another_thread_does_not_come_to_the_main_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise SystemExit(3)

    monkeypatch.setattr(_embed, "embed", fails)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(made(good())))
    thread.start()
    thread.join()
    for _ in range(1000):
        pass
    assert isinstance(answers[0], Refused)
    assert answers[0].status == ctable.INTERRUPTED
    assert answers[0].text.endswith(": SystemExit(3)")


def test_what_nobody_expects_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise TypeError("no")

    monkeypatch.setattr(_embed, "embed", fails)
    refused = made(good())
    assert isinstance(refused, Refused)
    assert refused.status == ctable.INTERNAL
    assert refused.text.endswith(": TypeError('no')")


def test_an_error_within_the_error_is_still_a_code(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As in an interpreter whose modules are being taken apart: never OK without a kernel, nothing printed."""
    monkeypatch.delattr(_embed, "embed")
    monkeypatch.delattr(_embed, "LayoutError")
    refused = made(good())
    assert isinstance(refused, Refused)
    assert (refused.status, refused.text) == (ctable.INTERNAL, "a bug in upsample: please report it")
    assert capfd.readouterr() == ("", "")
