"""The public calls: `interpolate` and its gradient, `Upsample` and its kin, `plan`, `explain`.

In: the user's arrays and arguments.  Out: the result, through a cache of prepared kernels.
A call seen before is one look-up and one kernel call; everything else goes down the path
arrays -> geometry -> axis maps -> plan -> backend.
"""

from __future__ import annotations

import sys
import warnings
from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np

from . import _geometry, backends
from ._arrays import as_array, check_out, dtype_name, spatial_axes
from ._plan import NUMERICS, Plan, build_plan, check_gradient

SMALL_INPUT = 2**18  # bytes
_SIMPLE = frozenset({int, float, bool, str, type(None)})


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    numerics: str = "torch",
    layout: str | None = None,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Resample an array to a size or by a factor, as ``torch.nn.functional.interpolate`` does.

    Parameters
    ----------
    input : (N, C, W), (N, C, H, W) or (N, C, D, H, W) array, or as `layout` says
        A NumPy or CuPy array. A plain image is no such array: pass ``layout="HWC"`` or ``"HW"``, or its
        last axis is taken for the width. Nearest modes take every fixed-size dtype, the others float16,
        bfloat16 (of ``ml_dtypes``), float32, float64, uint8, int8, uint16 and int16.
    size : int or sequence of int, optional
        Output size in samples, for all spatial axes or one per axis in D, H, W order.
    scale_factor : float or sequence of float, optional
        Output size over input size; the size is ``trunc(n * factor)``.
    mode : str
        ``nearest``, ``nearest-exact``, ``linear`` (one spatial axis), ``bilinear`` and ``bicubic`` (two),
        ``trilinear`` (three), ``cubic``, ``area`` and ``lanczos`` (any).
    align_corners : bool, optional
        For the linear and cubic modes: the centres of the corner samples of both sides coincide,
        rather than the outer edges.
    recompute_scale_factor : bool, optional
        Take the ratio from the resulting sizes instead of from `scale_factor`.
    antialias : bool
        Widen the filter when reducing (linear, cubic and lanczos modes; lanczos requires it).
    numerics : {"torch", "exact"}
        PyTorch's coordinates and precision, or exact coordinates with float64 sums rounded once.
    layout : str, optional
        The meaning of the axes, a letter each; D, H and W are spatial. None stands for (N, C, spatial…).
    out : array, optional
        Where to write: exact shape and dtype, any strides, not overlapping the input.
    backend : str, optional
        A name of `upsample.backends`; otherwise the one for the array's type.

    Returns
    -------
    array
        Of the input's type and dtype (native byte order), a new array or `out`. A channels-last image or
        volume gives a channels-last output.

    Raises
    ------
    ValueError
        For contradictory arguments: both or neither of `size` and `scale_factor`, a wrong number of
        them, `align_corners` or `antialias` with a mode that has none, a bad `layout` or `out`.
    TypeError
        For arguments of the wrong type.
    NotImplementedError
        For an unknown mode, or one that does not take this rank or dtype.
    RuntimeError
        For sizes below 1, or that overflow.
    MemoryError
        If there is no memory for the output.
    upsample.BackendError
        If no backend runs the request (a RuntimeError).

    Notes
    -----
    Along each axis an output sample is a weighted sum of adjacent input samples; for ``linear`` those at
    ``c = (i + 1/2) / factor - 1/2`` (or ``i (n-1) / (m-1)`` with aligned corners), for the cubic modes
    the convolution of Keys [1]_ with a = -3/4, and a = -1/2 with antialias.

    References
    ----------
    .. [1] R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans.
       Acoustics, Speech, and Signal Processing 29(6), 1981.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    >>> upsample.interpolate(x, scale_factor=2, mode="bilinear", layout="HW")
    array([[1.  , 1.25, 1.75, 2.  ],
           [1.5 , 1.75, 2.25, 2.5 ],
           [2.5 , 2.75, 3.25, 3.5 ],
           [3.  , 3.25, 3.75, 4.  ]], dtype=float32)
    """
    return _run(
        input, None, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, numerics, layout, out,
        backend,
    )  # fmt: skip


def _run(
    x: Any,
    input_shape: tuple[int, ...] | None,
    size: Any,
    scale_factor: Any,
    mode: Any,
    align_corners: Any,
    recompute_scale_factor: Any,
    antialias: Any,
    numerics: Any,
    layout: Any,
    out: Any,
    backend: str | None,
) -> Any:
    """`interpolate` of `x`, or its gradient for inputs of `input_shape` from the one by the output, `x`."""
    name = backends.selected() if backend is None else backend
    if size.__class__ in _SIMPLE and scale_factor.__class__ in _SIMPLE:
        nested = None
    else:
        nested = _nested_types(size, scale_factor)
    cache = like = kernel = None
    if nested is not False:
        if type(x) is np.ndarray:
            cache = _cached_kernel if x.nbytes <= SMALL_INPUT else _cached_large_kernel
        elif isinstance(x, getattr(sys.modules.get("cupy"), "ndarray", ())):  # no type where nobody imported it
            cache, like = _cached_device_kernel, _Like()
            like.array = x
    if cache is not None:
        try:
            kernel = cache(
                x.shape, x.strides, x.dtype, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias,
                numerics, layout, name, input_shape, like, nested, size.__class__, scale_factor.__class__,
                align_corners.__class__, recompute_scale_factor.__class__, antialias.__class__,
            )  # fmt: skip
        except TypeError:  # unhashable arguments: the full path below says what is wrong with them
            kernel = None
    if kernel is None:
        x = as_array(x, "input" if input_shape is None else "grad_output")
        plan_ = _resolve_either(
            input_shape, x.shape, x.dtype, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias,
            numerics, layout, name,
        )  # fmt: skip
        kernel = backends.kernel_for(plan_, x, name)
    if layout is None and x.ndim == 3:
        _warn_if_image(x.shape if input_shape is None else input_shape)
    return kernel(x, out)


class _Like(float):
    """An array on a device, as part of a cache's key: there until the kernel is made, so no cache keeps its memory.

    As keys all are equal, and a float's comparison is the fastest.
    """

    __slots__ = ("array",)
    array: Any


def interpolate_backward(
    grad_output: Any,
    input_shape: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    numerics: str = "torch",
    layout: str | None = None,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """The gradient of `interpolate` by its input, from the gradient by its output.

    It is the exact adjoint of `interpolate` with the same arguments: the same weights, transposed. Sums are
    made in float32 (float64 for float64 samples, ``numerics="exact"`` and sums of very many), in a fixed order, and
    rounded once; the bits are the same in every run and for any number of threads.

    Parameters
    ----------
    grad_output : array of the shape that `interpolate` gives for `input_shape`
        The gradient of a scalar by the output: float16, bfloat16 (of ``ml_dtypes``), float32 or float64. Its dtype
        must be that of the forward's input, on which the weights depend: convert with ``astype`` where a target made
        it float64.
    input_shape : sequence of int
        Shape of the input of `interpolate`.
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
        As they were given to `interpolate`.
    numerics, layout, backend
        As for `interpolate`.
    out : array, optional
        Where to write: shape `input_shape` and the dtype of `grad_output`, any strides, not overlapping it.

    Returns
    -------
    array
        The gradient by the input: of shape `input_shape` and the dtype of `grad_output`, a new array or `out`.
        Channels-last in, channels-last out (images and volumes).

    Raises
    ------
    ValueError
        If `grad_output` does not have the shape of the output, and as `interpolate`.
    NotImplementedError
        For dtypes without gradients (integers, whose results are rounded to steps), and as `interpolate`.
    TypeError, RuntimeError, MemoryError
        As `interpolate`.

    Notes
    -----
    `interpolate` is linear, so this is all there is to know of its derivative: the gradient of this function by
    `grad_output` is `interpolate` again.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> g = np.array([[[1, 2, 3, 4, 5, 6]]], np.float32)
    >>> upsample.interpolate_backward(g, (1, 1, 3), scale_factor=2, mode="linear")
    array([[[ 3.25,  7.  , 10.75]]], dtype=float32)
    """
    if input_shape.__class__ is not tuple or bool in [n.__class__ for n in input_shape]:
        input_shape = _shape(input_shape)
    try:
        gcd(*input_shape)  # the fastest way to ask whether all are integers: 2.0 has the hash of 2
    except TypeError:
        input_shape = _shape(input_shape)
    return _run(
        grad_output, input_shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, numerics,
        layout, out, backend,
    )  # fmt: skip


def _nested_types(size: Any, scale_factor: Any) -> Any:
    """Types within tuple arguments (hash and equality do not tell 2 from 2.0), or False for others."""
    types = []
    for value in (size, scale_factor):
        if value.__class__ is tuple:
            inner = tuple([v.__class__ for v in value])
            if not _SIMPLE.issuperset(inner):
                return False
            types.append(inner)
        elif value.__class__ not in _SIMPLE:
            return False
    return tuple(types)


def _prepared_kernel(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    size: Any,
    scale_factor: Any,
    mode: Any,
    align_corners: Any,
    recompute_scale_factor: Any,
    antialias: Any,
    numerics: Any,
    layout: Any,
    name: str | None,
    input_shape: tuple[int, ...] | None,
    like: _Like | None,
    *kinds: Any,  # of the arguments, for the key alone: 2, 2.0 and True are equal
) -> Any:
    plan_ = _resolve_either(
        input_shape, shape, dtype, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, numerics,
        layout, name,
    )  # fmt: skip
    if like is None:
        x = np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides, writeable=False)
    else:
        x, like.array = like.array, None
    kernel = backends.kernel_for(plan_, x, name)
    if like is None:
        _count_kept(getattr(kernel, "kept_bytes", 0), x.nbytes > SMALL_INPUT)
    return getattr(kernel, "alike", kernel)  # the key has compared what that relies on


# Kernels of large arrays hold large tables, so fewer of them are kept.
_cached_kernel = lru_cache(maxsize=1024)(_prepared_kernel)
_cached_large_kernel = lru_cache(maxsize=64)(_prepared_kernel)
_cached_device_kernel = lru_cache(maxsize=256)(_prepared_kernel)
# What the first two may keep, and what was made for them since they were last empty.
_most_kept = (64 << 20, 192 << 20)
_made = [0, 0]


def _count_kept(made: int, large: bool) -> None:
    """Empty a cache whose kernels may hold more memory than it may keep."""
    _made[large] += made
    if _made[large] > _most_kept[large]:
        (_cached_large_kernel if large else _cached_kernel).cache_clear()
        _made[large] = made


def _resolve(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    size: Any,
    scale_factor: Any,
    mode: Any,
    align_corners: Any,
    recompute_scale_factor: Any,
    antialias: Any,
    numerics: Any,
    layout: Any,
    backend: str | None,
) -> Plan:
    if numerics not in NUMERICS:
        raise ValueError(f"numerics must be 'torch' or 'exact', got {numerics!r}")
    spatial, channel = spatial_axes(len(shape), layout)
    geometry = _geometry.resolve(
        tuple(shape[a] for a in spatial),
        size,
        scale_factor,
        mode,
        align_corners,
        recompute_scale_factor,
        antialias,
        len(shape) if layout is None else None,
    )
    if channel is not None and shape[channel] == 0 and (geometry.method != "area" or len(spatial) == 3):
        raise RuntimeError(f"Non-empty channels expected, but got an array of shape {shape}")
    return build_plan(shape, dtype, spatial, geometry, numerics, mode, backend)


def _resolve_either(
    input_shape: tuple[int, ...] | None, shape: tuple[int, ...], dtype: np.dtype[Any], *arguments: Any
) -> Plan:
    """The plan for arrays of `shape`; given an `input_shape`, the adjoint of the one whose output has that shape."""
    if input_shape is None:
        return _resolve(shape, dtype, *arguments)
    check_gradient(dtype)
    forward = _resolve(_shape(input_shape), dtype, *arguments)
    if forward.out_shape != shape:
        raise ValueError(
            f"grad_output has shape {shape}, but interpolate makes {forward.out_shape} of an input of shape "
            f"{forward.shape} with these arguments"
        )
    return forward.T


def _warn_if_image(shape: tuple[int, ...]) -> None:
    if shape[2] in (1, 3, 4) and shape[0] >= 16 and shape[1] >= 16:
        warnings.warn(
            f"an array of shape {shape} is taken as (N, C, W), so its last axis of {shape[2]} is resampled; for an "
            "image pass layout='HWC', for volumes or signals pass layout='NCW' to silence this",
            UserWarning,
            stacklevel=backends.stack_outside(),
        )


def plan(
    input_shape: Any,
    dtype: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    numerics: str = "torch",
    layout: str | None = None,
    backend: str | None = None,
) -> Plan:
    """Work a resampling out once, for many arrays of one shape and dtype.

    Parameters
    ----------
    input_shape : sequence of int
        Whole shape of the arrays to come.
    dtype : dtype-like
        Their dtype.
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, numerics, layout, backend
        As for `interpolate`.

    Returns
    -------
    Plan
        Immutable and hashable; ``plan(x, out=None)`` resamples, ``plan.out_shape`` is the result's shape,
        ``plan.T(g, out=None)`` makes gradients, ``plan.window(start, stop)`` is the plan of one chunk.

    Raises
    ------
    ValueError, TypeError, NotImplementedError, RuntimeError
        As `interpolate`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> double = upsample.plan((1, 1, 4), np.float32, scale_factor=2, mode="linear")
    >>> double.out_shape
    (1, 1, 8)
    >>> double(np.array([[[0, 1, 2, 3]]], np.float32))
    array([[[0.  , 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.  ]]], dtype=float32)
    """
    shape = _shape(input_shape)
    if dtype is None:
        raise TypeError("dtype must be given, got None")
    if layout is None and len(shape) == 3:
        _warn_if_image(shape)
    return _resolve(
        shape, np.dtype(dtype), size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, numerics,
        layout, _known_backend(backend),
    )  # fmt: skip


def _shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, np.ndarray) and shape.ndim != 1:
        raise TypeError("input_shape must be a sequence of ints, got an array: pass x.shape")
    try:
        given = tuple(shape)
        sizes = tuple(int(v.__index__()) for v in given)
        plain = bool not in map(type, given)
    except (TypeError, AttributeError):
        plain = False
    if not plain:
        raise TypeError(f"input_shape must be a sequence of ints, got {shape!r}")
    if any(v < 0 for v in sizes):
        raise ValueError(f"input_shape has a negative size: {sizes}")
    return sizes


def _known_backend(name: str | None) -> str | None:
    if name is not None:
        backends.find(name)
    return name


def explain(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    numerics: str = "torch",
    layout: str | None = None,
    out: Any = None,
    backend: str | None = None,
    input_shape: Any = None,
) -> str:
    """Say what `interpolate` would do with the same arguments: passes, backend, kernel path, and why.

    With `input_shape`, what `interpolate_backward` would do.

    Parameters
    ----------
    input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
        As for `interpolate`; nothing is computed.
    numerics, layout, out, backend
        As for `interpolate`; `out` is not written.
    input_shape : sequence of int, optional
        As for `interpolate_backward`, whose `grad_output` is then `input`.

    Returns
    -------
    str
        Several lines of text.

    Raises
    ------
    ValueError, TypeError, NotImplementedError, RuntimeError
        As `interpolate` or `interpolate_backward` would.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> print(upsample.explain(np.zeros((1, 1, 4), np.float32), scale_factor=2).splitlines()[0])
    float32 (1, 1, 4) -> (1, 1, 8)
    >>> g = np.zeros((1, 1, 8), np.float32)
    >>> print(upsample.explain(g, scale_factor=2, input_shape=(1, 1, 4)).splitlines()[0])
    gradient, float32 (1, 1, 8) -> (1, 1, 4)
    """
    if input_shape is not None:
        input_shape = _shape(input_shape)
    x = as_array(input, "input" if input_shape is None else "grad_output")
    name = backends.selected() if backend is None else backend
    plan_ = _resolve_either(
        input_shape, x.shape, x.dtype, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias,
        numerics, layout, name,
    )  # fmt: skip
    if layout is None and x.ndim == 3:
        _warn_if_image(x.shape if input_shape is None else input_shape)
    if out is not None:
        check_out(out, plan_.out_shape, plan_.dtype, x)
    if name is not None:
        backends.known(name)
    kind = "" if input_shape is None else "gradient, "
    lines = [f"{kind}{dtype_name(plan_.dtype)} {plan_.shape} -> {plan_.out_shape}"]
    for step in plan_.passes:
        lines.append(f"  axis {step.axis}: {step.map!r}, store={step.store}")
    if not plan_.passes:
        lines.append("  no axis changes: a copy" if plan_.shape == plan_.out_shape else "  no axis is resampled")
    chosen = backends.default_for(x) if name is None else name
    for candidate in dict.fromkeys((chosen, *backends.backends())):
        kernel = backends.why_not(plan_, x, candidate, load=candidate == chosen)
        if isinstance(kernel, str):
            lines.append(f"- {candidate}: " + (kernel if kernel is backends.NOT_LOADED else f"cannot run it: {kernel}"))
        else:
            said = (getattr(kernel, "explain", str)(), backends.remarks(candidate, plan_, x, out))
            how = "; ".join(text for text in said if text)
            verb = "runs it" if candidate == chosen else "could run it, when named"
            lines.append(f"- {candidate}: {verb}" + (f": {how}" if how else ""))
    return "\n".join(lines)


class Upsample:
    """Resampling as an object, as ``torch.nn.Upsample``.

    Parameters
    ----------
    size : int or sequence of int, optional
        Output size in samples.
    scale_factor : float or tuple of float, optional
        Output size over input size.
    mode : str
        As for `interpolate`.
    align_corners : bool, optional
        As for `interpolate`.
    recompute_scale_factor : bool, optional
        As for `interpolate`.
    numerics, layout, backend
        As for `interpolate`.

    Raises
    ------
    TypeError, ValueError
        For a scale factor that ``float`` does not take. Everything else is checked when called.

    Examples
    --------
    >>> import numpy as np, upsample as nn
    >>> up = nn.Upsample(scale_factor=2, mode="nearest")
    >>> up
    Upsample(scale_factor=2.0, mode='nearest')
    >>> up(np.arange(1, 5, dtype=np.float32).reshape(1, 1, 2, 2))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.],
             [3., 3., 4., 4.],
             [3., 3., 4., 4.]]]], dtype=float32)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        numerics: str = "torch",
        layout: str | None = None,
        backend: str | None = None,
    ) -> None:
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor: Any = tuple(float(v) for v in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor
        self.numerics = numerics
        self.layout = layout
        self.backend = backend
        self.training = True

    def forward(self, input: Any, *, out: Any = None) -> Any:
        """Resample `input`; see `interpolate` for shapes, `out` and errors."""
        return interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
            numerics=self.numerics,
            layout=self.layout,
            out=out,
            backend=self.backend,
        )

    def backward(self, grad_output: Any, input_shape: Any, *, out: Any = None) -> Any:
        """The gradient by an input of `input_shape`, from the one by the output; see `interpolate_backward`.

        The dtype of `grad_output` must be that of the input.
        """
        return interpolate_backward(
            grad_output,
            input_shape,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
            numerics=self.numerics,
            layout=self.layout,
            out=out,
            backend=self.backend,
        )

    def __call__(self, input: Any, **keywords: Any) -> Any:
        """The same as `forward`."""
        return self.forward(input, **keywords)

    def train(self, mode: bool = True) -> Upsample:
        """Set ``training``, which changes nothing here; returns the object."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        return self

    def eval(self) -> Upsample:
        """The same as ``train(False)``."""
        return self.train(False)

    def extra_repr(self) -> str:
        """The part of the text between the parentheses."""
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"recompute_scale_factor": True, **state})


class UpsamplingNearest2d(Upsample):
    """`Upsample` with ``mode="nearest"``.

    Parameters
    ----------
    size : int or sequence of int, optional
        Output size in samples.
    scale_factor : float or tuple of float, optional
        Output size over input size.

    Examples
    --------
    >>> import upsample
    >>> upsample.UpsamplingNearest2d(scale_factor=2)
    UpsamplingNearest2d(scale_factor=2.0, mode='nearest')
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with ``mode="bilinear"`` and ``align_corners=True``.

    Parameters
    ----------
    size : int or sequence of int, optional
        Output size in samples.
    scale_factor : float or tuple of float, optional
        Output size over input size.

    Examples
    --------
    >>> import upsample
    >>> upsample.UpsamplingBilinear2d(size=(4, 4))
    UpsamplingBilinear2d(size=(4, 4), mode='bilinear')
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
