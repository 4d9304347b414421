"""Arrays at the door: which kind they are, which axes are spatial, what an output looks like.

In: the user's array, `layout` and `out`.  Out: plain facts (shape, dtype, spatial
axes, output order).  Layouts end here; nothing lower knows N, C or channels-last.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or cupy.ndarray; a Protocol would promise more than is used

WEIGHTED_DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "uint16", "int16")


def as_array(x: Any, what: str = "input") -> Array:
    """The array itself (a NumPy subclass as its base class), or a TypeError naming the conversion."""
    if type(x) is np.ndarray:
        return x
    if is_masked(x):
        raise TypeError(
            f"{what} is a masked array, whose mask would be lost: pass x.filled(value), or x.data to ignore it"
        )
    if isinstance(x, np.ndarray):
        return x.view(np.ndarray)
    cupy_array = getattr(sys.modules.get("cupy"), "ndarray", None)  # None while another thread imports CuPy
    if cupy_array is not None and isinstance(x, cupy_array):
        return x
    text = f"{what} must be a numpy.ndarray or cupy.ndarray, got {type(x).__module__}.{type(x).__qualname__}"
    if isinstance(x, type):
        raise TypeError(f"{text} (the class {x.__module__}.{x.__qualname__} itself): pass an array")
    if x is None or isinstance(x, (str, bytes)):
        raise TypeError(text)
    raise TypeError(f"{text}: convert it with {sharing(x, 'x') or 'numpy.asarray(x)'}")


def sharing(x: Any, name: str) -> str:
    """The call that makes an array of another library's, without a copy; empty where there is none."""
    protocol = hasattr(x, "__dlpack__")
    detached = f"{name}.detach()" if getattr(x, "requires_grad", False) is True else name
    try:
        on_gpu = hasattr(x, "__cuda_array_interface__")
    except Exception:  # PyTorch, of a tensor that requires gradients
        on_gpu, detached = True, f"{name}.detach()"
    if on_gpu:
        return f"cupy.from_dlpack({detached})" if protocol else f"cupy.asarray({detached})"
    if not protocol:
        return ""
    try:
        on_gpu = x.__dlpack_device__()[0] in (2, 13)  # CUDA's memory, its managed memory
    except Exception:
        on_gpu = False
    return f"{'cupy' if on_gpu else 'numpy'}.from_dlpack({detached})"


def spatial_axes(ndim: int, layout: str | None) -> tuple[tuple[int, ...], int | None]:
    """Spatial axes (D, H, W order) and the channel axis (None where there is none).

    Without a layout they are those after (N, C), however many: the rank is judged with the mode.

    Raises
    ------
    ValueError
        For a layout that does not name the axes once each, spatial ones in D, H, W order.
    TypeError
        For a layout that is not a string.
    """
    if layout is None:
        return tuple(range(2, ndim)), 1 if ndim > 2 else None
    if not isinstance(layout, str):
        raise TypeError(f"layout must be a string such as 'HWC' or None, got {type(layout).__name__} {layout!r}")
    return _named_axes(ndim, layout)


@lru_cache(maxsize=256)
def _named_axes(ndim: int, layout: str) -> tuple[tuple[int, ...], int | None]:
    spatial = [c for c in layout if c in "DHW"]
    if (
        not layout.isascii()
        or not layout.isalpha()
        or len(set(layout)) != len(layout)
        or not spatial
        or spatial != sorted(spatial)
    ):
        raise ValueError(
            f"layout {layout!r} must name each axis by a different letter, with at least one of D, H, W (upper case, "
            "in that order): 'HWC', 'NCHW', 'NDHWC', 'HW', 'CW', …"
        )
    if len(layout) != ndim:
        raise ValueError(f"layout {layout!r} names {len(layout)} axes, but the array has {ndim}")
    axes = tuple(i for i, c in enumerate(layout) if c in "DHW")
    return axes, layout.find("C") if "C" in layout else None


def is_channels_last(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether a 4-D or 5-D array keeps axis 1 innermost in memory, as torch's memory format does.

    Slices of such arrays count too; where the strides could mean either order (one channel, or
    one sample per channel) the answer is no.
    """
    ndim = len(shape)
    if ndim not in (4, 5) or 0 in shape:
        return False
    if shape[1] == 1 or all(s == 1 for s in shape[2:]):
        return False
    smallest = 0
    for axis in (1, *range(ndim - 1, 1, -1), 0):
        if strides[axis] < smallest or (axis == 1 and strides[axis] == 0):
            return False
        if axis == 0 and smallest == strides[1]:
            return False
        smallest = strides[axis] * shape[axis]
    return True


def output_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of the output from outermost to innermost in memory: a function of the input's shape and strides."""
    ndim = len(shape)
    if is_channels_last(shape, strides):
        return (0, *range(2, ndim), 1)
    return tuple(range(ndim))


def empty_output(out_shape: tuple[int, ...], x: Array) -> Array:
    """A new output for input `x`, in native byte order and the order that `output_order` says."""
    order = output_order(x.shape, x.strides)
    xp = np if isinstance(x, np.ndarray) else sys.modules["cupy"]
    made = xp.empty([out_shape[a] for a in order], dtype=native(x.dtype))
    return made.transpose(np.argsort(order)) if order != tuple(range(len(order))) else made


def check_out(out: Any, out_shape: tuple[int, ...], dtype: np.dtype[Any], x: Array) -> None:
    """Refuse an `out` that cannot hold the result, before anything is written."""
    if type(out) is not type(x) and not isinstance(out, np.ndarray):
        library = "numpy" if isinstance(x, np.ndarray) else "cupy"
        if library == "numpy" or not isinstance(out, sys.modules["cupy"].ndarray):  # subclasses are as good
            hint = "" if isinstance(out, type) else sharing(out, "out")
            raise TypeError(
                f"out must be a {library}.ndarray like the input, got {type(out).__module__}.{type(out).__qualname__}"
                + (f": pass {hint}, which shares its memory" if hint.startswith(library + ".") else "")
            )
    if is_masked(out):
        raise TypeError("out is a masked array, whose mask would not be updated: pass out.data")
    if isinstance(out, np.ndarray) is not isinstance(x, np.ndarray):
        raise TypeError("out must live where the input lives: both NumPy or both CuPy arrays")
    if out.shape != out_shape:
        raise ValueError(f"out has shape {out.shape}, the result has shape {out_shape}")
    if native(out.dtype) != native(dtype):
        raise ValueError(f"out has dtype {out.dtype}, the result has dtype {native(dtype)}")
    if isinstance(out, np.ndarray):
        out = out.view(np.ndarray)  # a subclass is not asked
        if not out.flags.writeable:
            raise ValueError("out is read-only: pass a writeable array")
    elif out.data.device_id != x.data.device_id:
        raise ValueError(
            f"out is on device {out.data.device_id}, the input on device {x.data.device_id}: pass an array on the same"
        )
    if overlaps_itself(out.shape, out.strides, out.dtype.itemsize):
        raise ValueError(f"out overlaps itself in memory (strides {out.strides} for shape {out.shape})")
    if may_share_memory(out, x):
        raise ValueError("out may share memory with the array that it is made from: pass one of its own")


def output_for(plan: Any, x: Array, out: Any) -> Array:
    """Refuse an input that the plan is not for; then `out`, checked, or a new output."""
    if x.shape != plan.shape or native(x.dtype) != plan.dtype:
        raise ValueError(f"expected {plan.dtype} of shape {plan.shape}, got {x.dtype} of shape {x.shape}")
    if out is None:
        return empty_output(plan.out_shape, x)
    check_out(out, plan.out_shape, plan.dtype, x)
    return out


def write(out: Array, values: Any) -> None:
    """Fill `out`, without asking the subclass that it may be."""
    (out.view(np.ndarray) if isinstance(out, np.ndarray) else out)[...] = values


@lru_cache(maxsize=256)
def overlaps_itself(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> bool:
    """Whether two elements may share a byte; errs on the side of yes for interleaved strides."""
    if 0 in shape:
        return False
    reach = itemsize
    for stride, n in sorted((abs(st), n) for st, n in zip(strides, shape, strict=True) if n > 1):
        if stride < reach:
            return True
        reach = stride * (n - 1) + reach
    return False


def may_share_memory(a: Array, b: Array) -> bool:
    """Whether the bytes between two arrays' first and last ones overlap."""
    if isinstance(a, np.ndarray):
        return np.may_share_memory(a, b)
    if 0 in a.shape or 0 in b.shape:
        return False
    a_start, b_start = a.data.ptr, b.data.ptr
    a_lo, a_hi = byte_bounds(a.shape, a.strides, a.dtype.itemsize)
    b_lo, b_hi = byte_bounds(b.shape, b.strides, b.dtype.itemsize)
    return bool(a_start + a_lo < b_start + b_hi and b_start + b_lo < a_start + a_hi)


@lru_cache(maxsize=256)
def byte_bounds(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """From an array's first sample to its lowest byte, and to the one past its highest."""
    reach = [s * (n - 1) for s, n in zip(strides, shape, strict=True)]
    return sum(r for r in reach if r < 0), sum(r for r in reach if r > 0) + itemsize


def is_masked(x: Any) -> bool:
    """Whether `x` is a masked array, without importing numpy.ma (12 ms) for those who never did."""
    ma = sys.modules.get("numpy.ma")
    return ma is not None and isinstance(x, ma.MaskedArray)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in the machine's byte order, within structures too: the same object where it is so already."""
    if dtype.subdtype is not None:  # `isnative` does not look into these
        base, shape = dtype.subdtype
        return dtype if native(base) is base else np.dtype((native(base), shape))
    if dtype.fields is not None and dtype.names is not None:
        fields = [dtype.fields[name] for name in dtype.names]
        if all(native(f[0]) is f[0] for f in fields):
            return dtype
        spec: dict[str, Any] = {
            "names": dtype.names,
            "formats": [native(f[0]) for f in fields],
            "offsets": [f[1] for f in fields],
            "itemsize": dtype.itemsize,
        }
        if any(len(f) > 2 for f in fields):
            spec["titles"] = [f[2] if len(f) > 2 else None for f in fields]
        return np.dtype(spec, align=dtype.isalignedstruct)  # type: ignore[call-overload,no-any-return]
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def dtype_name(dtype: np.dtype[Any]) -> str:
    """The dtype's name without its byte order; `bfloat16` is recognised without importing ml_dtypes."""
    return native(dtype).name
