"""The C interface from Python: the capsule's table through ctypes, as a C caller would use it.

Calls through it release the GIL, so threads that execute units run at the same time.
"""

from __future__ import annotations

import ctypes as c
import itertools
import random
import threading
from typing import Any

import numpy as np

import upsample._capi

MAX_NDIM = 8
OK, ARGUMENT, VALUE, NOT_IMPLEMENTED, RUNTIME, MEMORY, LAYOUT, ALIGNMENT, UNITS, OVERLAP = range(10)
INTERNAL, INTERRUPTED = 12, 13
DTYPES = ("float32", "float64", "float16", "bfloat16", "uint8", "int8", "uint16", "int16")
RAW = len(DTYPES)
MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "cubic", "area", "lanczos")
SIZE, SCALE = 1, 2
CANARY = 8192  # bytes behind the scratch that nothing may write

Axes = c.c_int64 * MAX_NDIM
Spatial = c.c_int64 * 3


class Work(c.Structure):
    """`upsample_work` of the header."""

    _fields_ = (
        ("struct_size", c.c_int64),
        ("ndim", c.c_int32),
        ("dtype", c.c_int32),
        ("itemsize", c.c_int64),
        ("shape", Axes),
        ("strides", Axes),
        ("out_strides", Axes),
        ("has_strides", c.c_int32),
        ("has_out_strides", c.c_int32),
        ("layout", c.c_char * 16),
        ("mode", c.c_int32),
        ("align_corners", c.c_int32),
        ("antialias", c.c_int32),
        ("recompute_scale_factor", c.c_int32),
        ("numerics", c.c_int32),
        ("given", c.c_int32),
        ("size", Spatial),
        ("scale", c.c_double * 3),
        ("window_start", Spatial),
        ("window_stop", Spatial),
        ("has_window", c.c_int32),
        ("reserved", c.c_int32),
        ("transposed", c.c_int32),
        ("fresh_output", c.c_int32),
    )


class Info(c.Structure):
    """`upsample_info` of the header."""

    _fields_ = (
        ("struct_size", c.c_int64),
        ("ndim", c.c_int32),
        ("alignment", c.c_int32),
        ("in_shape", Axes),
        ("in_strides", Axes),
        ("out_shape", Axes),
        ("out_strides", Axes),
        ("in_start", Spatial),
        ("in_bytes", c.c_int64),
        ("out_bytes", c.c_int64),
        ("units", c.c_int64),
        ("scratch_bytes", c.c_int64),
    )


class Table(c.Structure):
    """`upsample_table` of the header."""

    _fields_ = (
        ("major", c.c_int32),
        ("minor", c.c_int32),
        ("table_size", c.c_int64),
        ("work_size", c.c_int64),
        ("info_size", c.c_int64),
        ("version", c.c_char_p),
        ("create", c.CFUNCTYPE(c.c_int32, c.POINTER(Work), c.POINTER(c.c_void_p), c.c_void_p, c.c_int64)),
        ("query", c.CFUNCTYPE(c.c_int32, c.c_void_p, c.POINTER(Info))),
        ("execute", c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p, c.c_int64, c.c_int64)),
        ("retain", c.CFUNCTYPE(c.c_void_p, c.c_void_p)),
        ("release", c.CFUNCTYPE(None, c.c_void_p)),
        ("error_text", c.CFUNCTYPE(c.c_char_p, c.c_int32)),
    )


def _pointer(capsule: Any) -> Any:
    get = c.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = c.c_void_p, (c.py_object, c.c_char_p)
    return get(capsule, b"upsample._capi.table")


TABLE = Table.from_address(_pointer(upsample._capi.table))


class Refused(Exception):
    """A code other than 0."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


def work(shape: tuple[int, ...], dtype: Any, **arguments: Any) -> Work:
    """A description, from the arguments of `upsample.interpolate` and fields of the structure."""
    w = Work(c.sizeof(Work), len(shape))
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    w.dtype = DTYPES.index(name) if name in DTYPES else RAW
    if w.dtype == RAW:
        w.itemsize = np.dtype(dtype).itemsize
    rank = 0
    layout = arguments.pop("layout", None)
    if layout:
        w.layout = layout.encode()
        rank = sum(letter in "DHW" for letter in layout)
    rank = min(3, rank or len(shape) - 2)
    for field, kind in (("size", SIZE), ("scale_factor", SCALE)):
        value = arguments.pop(field, None)
        if value is not None:
            w.given |= kind
            values = value if isinstance(value, tuple) else (value,) * rank
            getattr(w, "size" if kind == SIZE else "scale")[: len(values)] = values
    w.mode = MODES.index(arguments.pop("mode", "nearest"))
    w.numerics = int(arguments.pop("numerics", "torch") == "exact")
    w.shape[: len(shape)] = shape
    for field, flag in (
        ("strides", "has_strides"),
        ("out_strides", "has_out_strides"),
        ("window_start", "has_window"),
        ("window_stop", "has_window"),
    ):
        value = arguments.pop(field, None)
        if value is not None:
            getattr(w, field)[: len(value)] = value
            setattr(w, flag, 1)
    for field, value in arguments.items():
        setattr(w, field, int(value or 0))
    return w


class Kernel:
    """An owner of a kernel."""

    def __init__(self, w: Work) -> None:
        made, text = c.c_void_p(), c.create_string_buffer(2000)
        status = TABLE.create(w, made, text, len(text))
        if status != OK:
            assert made.value is None
            raise Refused(status, text.value.decode())
        assert text.value == b""
        self.handle = made
        self.info = Info(c.sizeof(Info))
        assert TABLE.query(self.handle, self.info) == OK

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            TABLE.release(self.handle)

    def shape(self, side: str) -> tuple[int, ...]:
        return tuple(getattr(self.info, f"{side}_shape")[: self.info.ndim])

    def strides(self, side: str) -> tuple[int, ...]:
        return tuple(getattr(self.info, f"{side}_strides")[: self.info.ndim])

    def new_output(self, dtype: Any) -> Any:
        """An output with the strides that the kernel tells, within memory of the size that it tells."""
        memory = np.full(self.info.out_bytes, 0xA5, np.uint8)
        low = sum(min(0, (n - 1) * st) for n, st in zip(self.shape("out"), self.strides("out"), strict=True))
        if 0 in self.shape("out"):
            return np.empty(self.shape("out"), dtype)
        return np.ndarray(self.shape("out"), dtype, memory, -low, self.strides("out"))

    def execute(self, x: int, out: int, lo: int, hi: int, scratch: Any = None) -> int:
        """Addresses and a range of units; the code."""
        if scratch is None:
            scratch = np.empty(self.info.scratch_bytes, np.uint8)
        return int(TABLE.execute(self.handle, x, out, scratch.ctypes.data, lo, hi))

    def run(self, x: Any, out: Any, threads: int = 1, parts: int = 1, seed: int = 0) -> None:
        """All units, cut at random into parts that threads take in random order."""
        rng = random.Random(seed)
        units = self.info.units
        cuts = sorted({0, units, *(rng.randint(0, units) for _ in range(parts - 1))})
        ranges = list(itertools.pairwise(cuts))
        rng.shuffle(ranges)
        codes: list[int] = []
        source, target = x.ctypes.data, out.ctypes.data

        def work_off() -> None:
            # garbage, at an odd address: neither content nor alignment of scratch matters
            size = self.info.scratch_bytes
            scratch = np.full(size + 1 + CANARY, 0x5A, np.uint8)[1:]
            while ranges:
                try:
                    lo, hi = ranges.pop()
                except IndexError:
                    break
                codes.append(self.execute(source, target, lo, hi, scratch))
            beyond.append(int(np.count_nonzero(scratch[size:] != 0x5A)))

        beyond: list[int] = []
        pool = [threading.Thread(target=work_off) for _ in range(threads)]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
        assert set(codes) <= {OK}, codes
        assert set(beyond) == {0}, "bytes behind the scratch were written"


def made(w: Work) -> Kernel | Refused:
    """A kernel, or why there is none."""
    try:
        return Kernel(w)
    except Refused as refused:
        return refused
