"""A stand-in for CuPy: as much of it as the backend may touch, on host memory, with every launch on record.

Arrays, devices, streams, modules and functions behave as CuPy's do where the backend relies on it, and complain where
it must not: memory of another device than the current one, a NumPy scalar as a parameter, a grid beyond the hardware's
limits, waiting after a kernel's first use.  Functions run the project's own kernels, compiled for the host (`hosted`).
`installed()` puts it where ``import cupy`` would.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hosted
import numpy as np

from upsample._arrays import byte_bounds
from upsample.backends import _cuda

DEVICES = 3


@dataclass
class Record:
    """One launch."""

    program: str
    device: int
    stream: int
    grid: tuple[int, ...]
    block: tuple[int, ...]
    params: Any
    addresses: tuple[int, int]


class World:
    """Everything that happened: launches, uploads, compilations, waits; and the memory there is."""

    def __init__(self) -> None:
        self.launches: list[Record] = []
        self.uploads: list[tuple[int, int]] = []  # device, bytes
        self.compiled: list[tuple[str, int]] = []
        self.waits: list[int] = []
        self.options: dict[str, tuple[str, ...]] = {}
        self.memory: dict[int, tuple[int, int]] = {}  # start: size, device
        self.unpooled: set[int] = set()  # starts of memory that is no pool's
        self.device = 0
        self.streams: dict[int, list[Stream]] = {}
        self.capturing: dict[int, list[Any]] = {}  # streams, and what their graphs will do
        self.run = True

    def captured(self, stream: int, operation: Any) -> bool:
        """Whether a stream records instead of running."""
        if stream in self.capturing:
            self.capturing[stream].append(operation)
        return stream in self.capturing

    def device_of(self, address: int) -> int:
        for start, (size, device) in self.memory.items():
            if start <= address < start + max(size, 1):
                return device
        raise AssertionError(f"address {address:#x} is in no allocation")


world = World()


libc = ctypes.CDLL(None)
libc.free.argtypes = [ctypes.c_void_p]


class Block:
    """Device memory: 512 bytes of alignment, as CuPy's pool gives, and an allocation that ends where it ends.

    So AddressSanitizer, where it is loaded, sees an access to the first byte after it.
    """

    def __init__(self, size: int) -> None:
        at = ctypes.c_void_p()
        assert libc.posix_memalign(ctypes.byref(at), ctypes.c_size_t(512), ctypes.c_size_t(max(size, 1))) == 0
        assert at.value
        self.ptr = self.owned = at.value
        self.bytes = np.frombuffer((ctypes.c_uint8 * size).from_address(self.ptr), np.uint8)
        self.bytes.fill(0xCD)
        self.device_id = world.device
        self.size = size
        world.memory[self.ptr] = (size, world.device)

    def __del__(self) -> None:
        world.memory.pop(self.ptr, None)
        if owned := getattr(self, "owned", 0):
            self.bytes.fill(0xDD)  # what a graph or a stream that still reads it would see
            libc.free(owned)


class Memory(Block):
    """Memory of no pool."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        world.unpooled.add(self.ptr)


class MemoryPointer:
    def __init__(self, mem: Block, offset: int) -> None:
        self.mem, self.ptr, self.device_id = mem, mem.ptr + offset, mem.device_id

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)

    def copy_from_host_async(self, mem: int, size: int, stream: Stream) -> None:
        assert self.ptr - self.mem.ptr + size <= self.mem.size
        assert world.device == self.device_id
        assert stream.ptr not in world.capturing
        ctypes.memmove(self.ptr, mem, size)
        world.uploads.append((world.device, size))


class ndarray:
    """CuPy's array: never a NumPy array, never converted silently."""

    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> None:
        self.dtype = np.dtype(dtype)
        if (self.dtype.kind not in "biufc" and self.dtype.name != "bfloat16") or not self.dtype.isnative:
            raise TypeError(f"Unsupported type {self.dtype}")
        shape = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
        if memptr is None:
            memptr = MemoryPointer(Block(int(np.prod(shape, dtype=object)) * self.dtype.itemsize), 0)
        self.data = memptr
        if strides is None:
            strides = tuple(n * self.dtype.itemsize for n in np.empty(shape, np.int8, order).strides)
        at = memptr.ptr - memptr.mem.ptr
        self.host = np.ndarray(shape, self.dtype, memptr.mem.bytes, at, strides)  # refuses what is out of bounds
        self.shape, self.strides = shape, tuple(strides)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def device(self) -> Device:
        return Device(self.data.device_id)

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def _view(self, host: Any) -> ndarray:
        offset = host.ctypes.data - self.host.ctypes.data if host.size else 0
        return ndarray(host.shape, self.dtype, self.data + offset, host.strides)

    def transpose(self, *axes: Any) -> ndarray:
        return self._view(self.host.transpose(*axes))

    def __getitem__(self, key: Any) -> ndarray:
        return self._view(self.host[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if isinstance(value, ndarray):
            assert value.data.device_id == self.data.device_id, "a copy between devices"
        assert self.data.device_id == world.device, "memory of another device than the current one"
        part = self[key]
        target, source = Region(part), Region(value) if isinstance(value, ndarray) else value

        def run() -> None:
            target.host()[...] = source.host() if isinstance(source, Region) else source

        if not world.captured(get_current_stream().ptr, run):
            run()

    def copy(self, order: str = "C") -> ndarray:
        made = ndarray(self.shape, self.dtype, order="C" if order == "K" else order)
        made[...] = self
        return made

    def get(self) -> Any:
        return self.host.copy()


class Region:
    """What a graph knows of an array: where it is, not whose memory that is."""

    def __init__(self, x: ndarray) -> None:
        self.ptr, self.shape, self.strides, self.dtype = x.data.ptr, x.shape, x.strides, x.dtype

    def host(self) -> Any:
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        assert world.device_of(self.ptr) == world.device
        lo, hi = byte_bounds(self.shape, self.strides, self.dtype.itemsize)
        memory = (ctypes.c_uint8 * (hi - lo)).from_address(self.ptr + lo)
        return np.ndarray(self.shape, self.dtype, memory, -lo, self.strides)


class Graph:
    """What a stream did while it captured; it holds no memory."""

    def __init__(self, operations: list[Any]) -> None:
        self.operations = operations

    def launch(self, stream: Any = None) -> None:
        for operation in self.operations:
            operation()


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(shape, dtype, order=order)


def asarray(a: Any, dtype: Any = None) -> ndarray:
    if isinstance(a, ndarray):
        return a
    a = np.asarray(a, dtype)
    made = ndarray(a.shape, a.dtype)
    made.host[...] = a
    world.uploads.append((world.device, made.nbytes))
    return made


def asnumpy(a: Any) -> Any:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


class Device:
    def __init__(self, number: int | None = None) -> None:
        self.id = world.device if number is None else number
        self.before: list[int] = []

    def __enter__(self) -> Device:
        self.before.append(world.device)
        world.device = self.id
        return self

    def __exit__(self, *unused: Any) -> None:
        world.device = self.before.pop()

    def __int__(self) -> int:
        return self.id

    def use(self) -> None:
        world.device = self.id

    @property
    def attributes(self) -> dict[str, int]:
        return {"MultiProcessorCount": 4}


class Stream:
    made = 0

    def __init__(self, null: bool = False, non_blocking: bool = False, ptr: int | None = None) -> None:
        Stream.made += 1
        self.ptr = ptr if ptr is not None else 0 if null else 0x1000 + Stream.made

    def __enter__(self) -> Stream:
        world.streams.setdefault(world.device, []).append(self)
        return self

    def __exit__(self, *unused: Any) -> None:
        world.streams[world.device].pop()

    def synchronize(self) -> None:
        assert self.ptr not in world.capturing, "waiting for a stream that captures"
        world.waits.append(self.ptr)

    def begin_capture(self) -> None:
        assert self.ptr != 0, "the default stream cannot be captured"
        world.capturing[self.ptr] = []

    def end_capture(self) -> Graph:
        return Graph(world.capturing.pop(self.ptr))


def get_current_stream(device_id: int = -1) -> Stream:
    stack = world.streams.get(world.device if device_id == -1 else device_id)
    return stack[-1] if stack else Stream(ptr=0)


def alloc(size: int) -> MemoryPointer:
    return MemoryPointer(Block(size), 0)


class CPointer:
    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class Function:
    def __init__(self, program: str, device: int) -> None:
        self.program, self.device = program, device

    def __call__(self, grid: Any, block: Any, args: Any, shared_mem: int = 0, stream: Any = None) -> None:
        assert world.device == self.device, "a function of another device than the current one"
        assert shared_mem == 0
        stream = get_current_stream() if stream is None else stream
        *pointers, params = args
        assert all(type(p) is MemoryPointer for p in pointers), pointers  # numbers take CuPy longer
        source, target = (p.ptr for p in pointers)
        size = _cuda.PARAMS.itemsize
        assert size == hosted.layout()[""][1]
        if isinstance(params, np.ndarray):
            assert params.size == 1
            assert params.dtype == np.dtype(f"V{size}")  # structured ones take CuPy long
            params = CPointer(params.ctypes.data)
        assert isinstance(params, CPointer), type(params)
        grid, block = tuple(map(int, grid)), tuple(map(int, block))
        assert len(grid) == len(block) == 3
        assert min(*grid, *block) >= 1
        assert grid[0] < 2**31
        assert max(grid[1:]) <= 65535
        assert np.prod(block) <= 128
        assert block[2] <= 64
        kept = np.frombuffer(ctypes.string_at(params.ptr, size), _cuda.PARAMS).copy()
        world.launches.append(Record(self.program, self.device, stream.ptr, grid, block, kept[0], (source, target)))
        sizes = np.array([grid, block], np.uint32)

        def run() -> None:
            for address in (source, target, *(int(kept[0][a][t]) for a in "dhw" for t in ("records", "weights"))):
                assert address == 0 or world.device_of(address) == self.device, "memory of another device"
            if world.run:
                hosted.function(self.program)(
                    sizes.ctypes.data, sizes[1:].ctypes.data, source, target, kept.ctypes.data
                )  # fmt: skip

        if not world.captured(stream.ptr, run):
            run()


class RawKernel:
    def __init__(self, program: str) -> None:
        self.program = program
        self.functions: dict[int, Function] = {}

    @property
    def kernel(self) -> Function:
        if world.device not in self.functions:
            self.functions[world.device] = Function(self.program, world.device)
            world.compiled.append((self.program, world.device))
        return self.functions[world.device]


class RawModule:
    def __init__(
        self, *, code: str | None = None, options: tuple[str, ...] = (), backend: str = "nvrtc", jitify: bool = False
    ) -> None:
        assert isinstance(code, str)
        assert isinstance(options, tuple)
        assert backend == "nvrtc"
        assert not jitify
        assert "KERNEL(in, out, p)" in code
        assert not _cuda._lock.locked(), "others wait while a program is compiled"
        (self.program,) = re.findall(r"^#define KERNEL (.*)$", code, re.MULTILINE)
        (self.blocks,) = map(int, re.findall(r"^#define BLOCKS (\d+)$", code, re.MULTILINE))
        assert re.fullmatch(r"\w+<[\w,]+>", self.program), self.program
        world.options[self.program] = options

    def get_function(self, name: str) -> RawKernel:
        assert name == "upsample_kernel"
        return RawKernel(self.program)


def modules(devices: int = DEVICES) -> types.ModuleType:
    """The stand-in as a module."""
    cupy = types.ModuleType("cupy")
    cupy.__version__ = "14.0.0 (stand-in)"  # type: ignore[attr-defined]
    for value in (ndarray, empty, asarray, asnumpy, RawModule, RawKernel):
        setattr(cupy, value.__name__, value)
    ndarray.__module__ = "cupy"
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: devices,
        getDevice=lambda: world.device,
        getDeviceProperties=lambda number: {"name": f"stand-in {number}".encode()},
        streamIsCapturing=lambda ptr: ptr in world.capturing,
    )
    cupy.cuda = types.SimpleNamespace(  # type: ignore[attr-defined]
        runtime=runtime, Device=Device, Stream=Stream, alloc=alloc, Memory=Memory,
        MemoryPointer=MemoryPointer, function=types.SimpleNamespace(CPointer=CPointer),
        get_current_stream=get_current_stream, nvrtc=types.SimpleNamespace(getVersion=lambda: (12, 9)),
    )  # fmt: skip
    return cupy


@contextlib.contextmanager
def installed(devices: int = DEVICES, run: bool = True) -> Iterator[World]:
    """A fresh world behind ``import cupy``, with nothing compiled and no kernel prepared."""
    global world
    from upsample import _interpolate
    from upsample.backends import cuda

    _interpolate._cached_device_kernel.cache_clear()
    before, outer, world = sys.modules.get("cupy"), world, World()
    world.run = run
    sys.modules["cupy"] = modules(devices)
    _cuda._modules.clear()
    _cuda._functions.clear()
    cuda._usable = False
    try:
        yield world
    finally:
        world = outer
        _interpolate._cached_device_kernel.cache_clear()
        _cuda._modules.clear()
        _cuda._functions.clear()
        cuda._usable = False
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before
