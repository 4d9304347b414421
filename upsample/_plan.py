"""From a resolved geometry to a `Plan`: the passes that make the output, and nothing else.

In: shape, dtype, spatial axes, a `Geometry`, the numerics.  Out: an immutable,
hashable plan whose passes hold axis maps.  Modes, corners, antialias and
numerics are consumed here; backends see passes and arrays only.
"""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, dataclass, field, replace
from operator import index
from typing import Any
from weakref import ref

import numpy as np

from . import backends
from ._arrays import WEIGHTED_DTYPES, as_array, dtype_name, native
from ._axismap import AxisMap
from ._geometry import Geometry

NUMERICS = ("torch", "exact")
# float32 coordinates resolve half a sample up to here; beyond it every map is exact.
EXACT_BEYOND = 2**22
# torch's 2-D nearest kernels switch index rules where height + width of the output exceeds this.
DIRECT_LIMIT = 128
# More samples than this along an axis are summed in float64: those of a bin, and an adjoint's of one input.
LONG_BIN = 4096
EIGHT_BIT = ("uint8", "int8")
GRADIENT_DTYPES = ("float16", "bfloat16", "float32", "float64")
_ANTIALIAS_FILTER = {"linear": "triangle-aa", "cubic": "cubic-aa", "lanczos": "lanczos-aa"}


@dataclass(frozen=True, slots=True)
class Pass:
    """One axis resampled: ``store`` is "acc" (keep the sum's type) or "dtype" (round before the next pass)."""

    axis: int
    map: AxisMap
    store: str


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Plan:
    """A resampling worked out for one shape and dtype: call it with arrays.

    Attributes
    ----------
    shape, out_shape : tuple of int
        Whole shapes of input and output.
    dtype : numpy.dtype
        Of both, in native byte order.
    passes : tuple of Pass
        In the order in which they run, from the last spatial axis outward; an axis without a
        pass is copied.
    spatial : tuple of int
        The array axes that `window` counts, in D, H, W order.
    features : frozenset of str
        Names of properties that a backend must know to run the plan.
    backend : str or None
        The backend asked for when the plan was made.
    """

    shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    passes: tuple[Pass, ...]
    spatial: tuple[int, ...]
    features: frozenset[str] = frozenset()
    backend: str | None = None
    _kernels: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    # The adjoint; of one that was made as such, a weak reference to its maker: a cycle would keep all tables alive.
    _adjoint: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def __call__(self, x: Any, out: Any = None) -> Any:
        """Resample `x`.

        Parameters
        ----------
        x : array of shape `shape` and dtype `dtype`
            Any strides, alignment and byte order.
        out : array of shape `out_shape`, optional
            Written in place and returned.

        Returns
        -------
        array of shape `out_shape`

        Raises
        ------
        ValueError
            For another shape or dtype, or an `out` that is read-only or may overlap.
        """
        name = self.backend if self.backend is not None else backends.selected()
        try:
            run, _ = self._kernels[x.__class__, x.shape, x.dtype, x.strides, name]
        except (KeyError, AttributeError, TypeError):  # no array, or none of ours
            pass
        else:
            return run(x, out)
        x = as_array(x)
        if x.shape != self.shape or dtype_name(x.dtype) != dtype_name(self.dtype):
            raise ValueError(f"the plan is for {self.dtype} of shape {self.shape}, got {x.dtype} of shape {x.shape}")
        kernel = backends.kernel_for(self, x, name)
        if len(self._kernels) >= 16:
            for key, (_, other) in list(self._kernels.items()):
                if not getattr(other, "kept", None):  # graphs use what they keep
                    self._kernels.pop(key, None)
        alike = getattr(kernel, "alike", kernel)
        self._kernels[type(x), x.shape, x.dtype, x.strides, name] = alike, kernel
        return kernel(x, out)

    @property
    def T(self) -> Plan:
        """The adjoint plan, which makes the gradient of the input from the gradient of the output.

        With ``y = plan(x)`` and the gradient ``g`` of a scalar by ``y``, ``plan.T(g)`` is its gradient by
        ``x``: the transposed weights of this very plan, summed in float32 (float64 for float64 samples,
        ``numerics="exact"`` and sums of very many) in a fixed order and rounded once. It is a plan as any other: it
        has windows, and ``plan.T.T`` is `plan`. Only its windows have no adjoint: take the window first.

        Raises
        ------
        NotImplementedError
            For a dtype that is no real floating-point type, and for a window of an adjoint.

        Examples
        --------
        >>> import numpy as np, upsample
        >>> double = upsample.plan((1, 1, 3), np.float64, scale_factor=2, mode="linear")
        >>> double.T(np.ones((1, 1, 6)))
        array([[[2., 2., 2.]]])
        """
        for known in self._adjoint:
            found: Plan | None = known() if isinstance(known, ref) else known
            if found is not None:
                return found
        check_gradient(self.dtype)
        adjoint = replace(
            self,
            shape=self.out_shape,
            out_shape=self.shape,
            passes=tuple(replace(p, map=p.map.T) for p in self.passes),
        )
        adjoint._adjoint.append(ref(self))
        self._adjoint[:] = [adjoint]
        return adjoint

    def window(self, start: tuple[int, ...], stop: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], Plan]:
        """The plan of one chunk of the output.

        Parameters
        ----------
        start, stop : tuple of int
            The chunk in output coordinates, one number per spatial axis.

        Returns
        -------
        in_start, in_stop : tuple of int
            The part of the input that the chunk needs, one number per spatial axis.
        plan : Plan
            Maps that part to the chunk, with the bits of the whole.

        Raises
        ------
        ValueError, TypeError
            For a chunk that is empty, outside the output, or not given as ints.

        Examples
        --------
        >>> import numpy as np, upsample
        >>> x = np.arange(10, dtype=np.float32).reshape(1, 1, 10)
        >>> whole = upsample.plan(x.shape, x.dtype, scale_factor=2, mode="linear")
        >>> (lo,), (hi,), part = whole.window((6,), (10,))
        >>> lo, hi
        (2, 6)
        >>> bool((part(x[..., lo:hi]) == whole(x)[..., 6:10]).all())
        True
        """
        try:
            bounds = [(index(lo), index(hi)) for lo, hi in zip(start, stop, strict=True)]
        except TypeError:
            raise TypeError(f"start and stop must be sequences of ints, got {start!r} and {stop!r}") from None
        except ValueError:
            bounds = []
        if len(bounds) != len(self.spatial):
            raise ValueError(f"start and stop need {len(self.spatial)} numbers each, got {start} and {stop}")
        maps = {p.axis: p for p in self.passes}
        shape, out_shape = list(self.shape), list(self.out_shape)
        ranges: list[tuple[int, int]] = []
        moved: dict[int, Pass] = {}
        for axis, (lo, hi) in zip(self.spatial, bounds, strict=True):
            if not 0 <= lo < hi <= out_shape[axis]:
                raise ValueError(f"window {lo}:{hi} must be non-empty and within 0:{out_shape[axis]} on axis {axis}")
            ranges.append((lo, hi))
            if axis in maps:
                ranges[-1], part = maps[axis].map.window(lo, hi)
                moved[axis] = replace(maps[axis], map=part)
            elif shape[axis] != out_shape[axis]:  # sums of no samples, which no pass makes
                ranges[-1] = (0, 0)
            shape[axis], out_shape[axis] = ranges[-1][1] - ranges[-1][0], hi - lo
        plan = replace(
            self,
            shape=tuple(shape),
            out_shape=tuple(out_shape),
            passes=tuple(moved[p.axis] for p in self.passes),
        )
        return tuple(r[0] for r in ranges), tuple(r[1] for r in ranges), plan

    def __hash__(self) -> int:
        return hash((self.shape, self.out_shape, self.dtype, self.passes, self.features, self.backend))

    def __reduce__(self) -> tuple[Any, ...]:
        return Plan, (
            self.shape,
            self.out_shape,
            self.dtype,
            self.passes,
            self.spatial,
            self.features,
            self.backend,
        )


def _frozen(self: Any, name: str, *value: Any) -> None:
    raise FrozenInstanceError(
        f"cannot {'assign to' if value else 'delete'} {name!r}: a {type(self).__name__} is immutable"
    )


# What dataclass puts there fails with slots for names of no field, by a TypeError about super().
for _class in (Pass, Plan):
    _class.__setattr__ = _class.__delattr__ = _frozen  # type: ignore[method-assign]


def build_plan(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    spatial: tuple[int, ...],
    geometry: Geometry,
    numerics: str,
    mode: str,
    backend: str | None = None,
) -> Plan:
    """The plan of a resolved request.

    Raises
    ------
    NotImplementedError
        For a dtype that the method cannot resample.
    RuntimeError
        For arrays whose bytes 64 bits cannot count.
    """
    check_dtype(dtype, mode)
    dtype = native(dtype)
    out_shape = list(shape)
    for axis, m in zip(spatial, geometry.out_sizes, strict=True):
        out_shape[axis] = m
    for what, sizes in (("input", shape), ("output", out_shape)):  # an input of a plan or a gradient need not be there
        if math.prod(m for m in sizes if m) * dtype.itemsize >= 2**63:
            raise RuntimeError(
                f"an {what} of shape {tuple(sizes)} and dtype {dtype} does not fit 64-bit byte counts (overflow)"
            )
    passes: list[Pass] = []
    for i in reversed(range(len(spatial))):
        if 0 not in geometry.out_sizes and _has_pass(geometry, i, dtype, numerics):
            passes.append(_make_pass(spatial[i], i, dtype, geometry, numerics))
    return Plan(tuple(shape), tuple(out_shape), dtype, tuple(passes), spatial, frozenset(), backend)


def check_dtype(dtype: np.dtype[Any], mode: str) -> None:
    """Refuse a dtype that the mode cannot resample."""
    if mode in ("nearest", "nearest-exact"):
        if dtype.hasobject or dtype.itemsize == 0:
            raise NotImplementedError(
                f"mode {mode!r} copies samples of a fixed size, it is not implemented for {dtype}"
            )
        return
    name = dtype_name(dtype)
    if name not in WEIGHTED_DTYPES:
        raise NotImplementedError(
            f"mode {mode!r} is not implemented for {dtype}: it takes {', '.join(WEIGHTED_DTYPES)} "
            "(convert with x.astype), and only nearest and nearest-exact take every dtype"
        )


def check_gradient(dtype: np.dtype[Any]) -> None:
    """Refuse a dtype in which nothing has a gradient."""
    if dtype_name(dtype) not in GRADIENT_DTYPES:
        why = " (integers change in steps, which have no derivative)" if dtype.kind in "iu" else ""
        raise NotImplementedError(
            f"{dtype} has no gradient{why}: this library makes gradients in {', '.join(GRADIENT_DTYPES[:-1])} and "
            f"{GRADIENT_DTYPES[-1]} (convert with x.astype)"
        )


def _has_pass(g: Geometry, i: int, dtype: np.dtype[Any], numerics: str) -> bool:
    """Whether an axis is resampled at all: torch's CPU copies most unchanged axes, whatever the factor."""
    if g.sizes[i] != g.out_sizes[i]:
        return True
    if g.scales[i] in (0.0, 1.0) or g.antialias or g.align_corners:
        return False
    if g.method == "cubic":
        return not (numerics == "torch" and dtype.name in EIGHT_BIT)
    if g.method == "nearest":
        return numerics == "exact" or not direct_rule(g.out_sizes)
    return g.method == "nearest-exact"


def direct_rule(out_sizes: tuple[int, ...]) -> bool:
    """Whether torch picks nearest samples of a contiguous 2-D image by its direct rule."""
    return len(out_sizes) == 2 and sum(out_sizes) <= DIRECT_LIMIT


def _make_pass(axis: int, i: int, dtype: np.dtype[Any], g: Geometry, numerics: str) -> Pass:
    n, m = g.sizes[i], g.out_sizes[i]
    wide = dtype == np.float64
    exact = numerics == "exact" or max(n, m) > EXACT_BEYOND
    coords = "rational" if exact else "torch64" if wide else "torch32"
    weights: str | None = "float64" if wide or numerics == "exact" else "float32"
    acc = weights or ""
    store = "acc"
    method = g.method
    if method in ("nearest", "nearest-exact"):
        weights = None
        if not exact and direct_rule(g.out_sizes):
            coords = "direct32"
    elif method == "area":
        weights = None
        if any(n > m * LONG_BIN for n, m in zip(g.sizes, g.out_sizes, strict=True)):
            acc = "float64"  # a running float32 sum of so many samples would lose the last ones
    elif dtype.name in EIGHT_BIT and numerics == "torch":
        weights, acc, store = "int16", "int32", "dtype"
        coords = "rational" if exact else "torch64"
    # likewise the adjoint's float32 sums of so many gradients
    adjoint_acc = "float64" if any(m > n * LONG_BIN for n, m in zip(g.sizes, g.out_sizes, strict=True)) else None
    name = _ANTIALIAS_FILTER[method] if g.antialias else method
    made = AxisMap(
        n, m, name, coords=coords, weights=weights, acc=acc, scale=g.scales[i], align_corners=g.align_corners,
        adjoint_acc=adjoint_acc,
    )  # fmt: skip
    return Pass(axis, made, store)
