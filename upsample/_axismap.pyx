# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The map of one axis: which adjacent input samples make each output, with which weights.

In: scalars that the front end resolved (sizes, scale, filter, coordinate rule, weight type).
Out: an immutable, hashable `AxisMap` whose `taps(lo, hi)` tabulates any range of outputs, and its adjoint `T`.
It does not know arrays, ranks, modes or layouts.  The formulas are in ``taps.h``.
"""
from libc.stdlib cimport calloc, free

import numpy as np

cdef dict FILTERS = {
    "nearest": FILTER_NEAREST, "nearest-exact": FILTER_NEAREST_EXACT, "linear": FILTER_LINEAR,
    "cubic": FILTER_CUBIC, "area": FILTER_AREA, "triangle-aa": FILTER_TRIANGLE_AA,
    "cubic-aa": FILTER_CUBIC_AA, "lanczos-aa": FILTER_LANCZOS_AA,
}
cdef dict COORDS = {
    "direct32": COORDS_DIRECT32, "torch32": COORDS_TORCH32, "torch64": COORDS_TORCH64, "rational": COORDS_RATIONAL,
}
cdef dict WEIGHTS = {None: WEIGHTS_NONE, "float32": WEIGHTS_F32, "float64": WEIGHTS_F64, "int16": WEIGHTS_I16}
RECIPE_BYTES = sizeof(axis_recipe)
cdef tuple FILTER_NAMES = tuple(FILTERS)
cdef tuple COORDS_NAMES = tuple(COORDS)
cdef tuple WEIGHT_NAMES = tuple(WEIGHTS)
# Parts of adjoints of more samples than this are not looked at row by row.
cdef enum: LONG_WINDOW = 1 << 14


cdef double *_scratch(const axis_recipe *a) except NULL:
    cdef double *p = <double *>calloc(<size_t>taps_scratch(a), sizeof(double))
    if p == NULL:
        raise MemoryError(f"no memory for the weights of {a.taps_max} taps")
    return p


cdef class AxisMap:
    """The taps of one axis as a recipe of scalars.

    ``out[o] = sum_k weight[o, k] * in[clip(first[o] + k, 0, n - 1)]`` for ``k < count[o]``, for
    every output ``o`` of the window ``[0, m)``.

    Parameters
    ----------
    n, m : int
        Input and output size of the whole axis.
    filter : str
        ``nearest``, ``nearest-exact``, ``linear``, ``cubic``, ``area``, ``triangle-aa``, ``cubic-aa``
        or ``lanczos-aa``.
    coords : str
        Coordinate rule: ``direct32``, ``torch32``, ``torch64`` or ``rational``.
    weights : str or None
        Type of the weights; None for copies and box sums.
    acc : str
        Type that sums are made in: ``float32``, ``float64`` or ``int32``.
    scale : float
        The user's factor where it decides the ratio, else 0.
    align_corners : bool
        Whether the first and last samples of both sides coincide.
    adjoint_acc : str, optional
        Type that the adjoint's sums are made in, where it is not `acc`.
    transposed : bool
        Make the map's adjoint, from `m` samples to `n`: all other parameters are those of the map itself.
    limits : tuple, optional
        The adjoint's `taps_max` and `is_uniform` where they are known, which spares looking at every row.
    """

    def __cinit__(self, int64_t n, int64_t m, str filter, *, str coords, weights, str acc, double scale=0.0,
                 bint align_corners=False, window=None, shift=None, str adjoint_acc=None, bint transposed=False,
                 limits=None):
        cdef axis_recipe *a = &self.recipe
        if n < 1 or m < 1:
            raise ValueError(f"an axis map needs sizes of at least 1, got {n} -> {m}")
        a.n, a.m, a.scale, a.align_corners = n, m, scale, align_corners
        a.filter, a.coords, a.weights = FILTERS[filter], COORDS[coords], WEIGHTS[weights]
        a.forward_weights = a.weights
        self.forward_acc, self.adjoint_acc = acc, acc if adjoint_acc is None else adjoint_acc
        self.acc = self.adjoint_acc if transposed else acc
        if (weights == "int16") != (acc == "int32") and weights is not None or weights == "float64" != acc:
            raise ValueError(f"{weights} weights cannot be summed in {acc}")
        cdef int64_t most
        if a.filter == FILTER_AREA:
            most = min(n, (n - 1) // m + 1 + (1 if n % m and m % n else 0))
        elif a.filter <= FILTER_NEAREST_EXACT:
            most = 1
        elif a.filter == FILTER_LINEAR:
            most = 2
        elif a.filter == FILTER_CUBIC:
            most = 4
        else:
            most = antialias_taps_max(a)
        if most >= <int64_t>1 << 31:
            raise RuntimeError(
                f"reducing {n} samples to {m} sums {most} samples for one output, more than 2**31 - 1: reduce in steps")
        a.taps_max = a.forward_taps = <int32_t>most
        a.uniform = a.filter <= FILTER_CUBIC and a.weights != WEIGHTS_I16
        if shift is not None:
            a.shift = shift
        elif a.weights == WEIGHTS_I16:
            with nogil:
                a.shift = integer_shift(a)
        a.out_start, a.out_stop, a.in_start, a.in_stop = window or (0, m, 0, n)
        if transposed:
            _transpose(a, self.acc, limits)

    @property
    def n(self) -> int:
        """Input size (of the window)."""
        cdef axis_recipe *a = &self.recipe
        return a.out_stop - a.out_start if a.transposed else a.in_stop - a.in_start

    @property
    def m(self) -> int:
        """Output size (of the window)."""
        cdef axis_recipe *a = &self.recipe
        return a.in_stop - a.in_start if a.transposed else a.out_stop - a.out_start

    @property
    def transposed(self) -> bool:
        """Whether this is the adjoint of what `filter` and `coords` say."""
        return bool(self.recipe.transposed)

    @property
    def T(self):
        """The adjoint: ``sum_k weight`` by input instead of by output.

        Its outputs are the map's inputs.  Taps that were clipped to one sample are added up, and `count` may
        be 0.  Weights are always explicit, in the type that sums are made in.  ``T.T`` is the map itself.

        Raises
        ------
        NotImplementedError
            For integer weights, whose sums are rounded, and for the adjoint of a window of an adjoint.
        """
        cdef axis_recipe *a = &self.recipe
        if a.transposed and _crops(a):
            raise NotImplementedError(
                "a window of an adjoint cuts taps off and has no adjoint of its own; that of a window is "
                "plan.window(start, stop)[2].T")
        return self._replace((a.out_start, a.out_stop, a.in_start, a.in_stop), not a.transposed)

    @property
    def filter(self) -> str:
        return FILTER_NAMES[self.recipe.filter]

    @property
    def coords(self) -> str:
        return COORDS_NAMES[self.recipe.coords]

    @property
    def weights(self) -> str | None:
        """Type of the weights, or None for copies and box sums."""
        return WEIGHT_NAMES[self.recipe.weights]

    @property
    def shift(self) -> int:
        """Binary places of int16 weights."""
        return self.recipe.shift

    @property
    def taps_max(self) -> int:
        """No output has more taps than this."""
        return self.recipe.taps_max

    @property
    def is_copy(self) -> bool:
        """Whether every output is one input sample, unweighted."""
        return self.recipe.weights == WEIGHTS_NONE and self.recipe.taps_max == 1

    @property
    def is_uniform(self) -> bool:
        """Whether every output has `taps_max` taps."""
        return bool(self.recipe.uniform)

    def recipe_bytes(self) -> bytes | None:
        """The C struct ``axis_recipe``, for code that evaluates taps on another processor with the functions of taps.h.

        None where another processor could not get the same bits (`sin` is the C library's), or would have to look for
        its taps (a transposed map).
        """
        if self.recipe.filter == FILTER_LANCZOS_AA or self.recipe.transposed:
            return None
        return (<char *>&self.recipe)[:sizeof(axis_recipe)]

    def taps(self, int64_t lo=0, hi=None):
        """Taps of outputs ``lo <= o < hi``.

        Returns
        -------
        first : (hi - lo,) int64
            First tap; positions beyond the axis stand for its end samples.
        count : (hi - lo,) int32
            Number of taps.
        weights : (hi - lo, taps_max) array or None
            Zero past ``count``.
        """
        cdef int64_t stop = self.m if hi is None else hi
        if not 0 <= lo <= stop <= self.m:
            raise IndexError(f"outputs {lo}:{stop} are not within 0:{self.m}")
        first = np.empty(stop - lo, np.int64)
        count = np.empty(stop - lo, np.int32)
        weights = None
        cdef int64_t[::1] f = first
        cdef int32_t[::1] c = count
        cdef const unsigned char[::1] raw
        cdef void *w = NULL
        if stop == lo:
            return first, count, None if self.weights is None else np.empty((0, self.taps_max), self.weights)
        if self.recipe.weights != WEIGHTS_NONE:
            weights = np.empty((stop - lo, self.taps_max), self.weights)
            raw = weights.reshape(-1).view(np.uint8)
            w = <void *>&raw[0]
        cdef double *scratch = _scratch(&self.recipe)
        with nogil:
            build_taps(&self.recipe, lo, stop, &f[0], &c[0], w, scratch)
        free(scratch)
        return first, count, weights

    def window(self, int64_t start, int64_t stop):
        """The map of outputs ``start:stop`` and the input range ``(lo, hi)`` that they need."""
        if not 0 <= start < stop <= self.m:
            raise ValueError(f"window {start}:{stop} must be non-empty and within 0:{self.m}")
        cdef axis_recipe *a = &self.recipe
        cdef axis_recipe f
        cdef int64_t lo, hi
        if a.transposed:
            f = forward_of(a)
            outputs_of(a, &f, a.in_start + start, a.in_start + stop, &lo, &hi)
            lo = min(lo, a.out_stop - 1)
            hi = max(hi, lo + 1)
            at = (lo, hi, a.in_start + start, a.in_start + stop)
            # long parts take the limits of the whole, which bound theirs
            limits = (a.taps_max, bool(a.uniform)) if hi - lo + stop - start > LONG_WINDOW else None
            return (lo - a.out_start, hi - a.out_start), self._replace(at, True, limits)
        first, count, _ = self.taps(start, start + 1)
        lo = max(0, min(int(first[0]), self.n - 1))
        first, count, _ = self.taps(stop - 1, stop)
        hi = max(lo + 1, min(int(first[0]) + int(count[0]), self.n))
        at = (a.out_start + start, a.out_start + stop, a.in_start + lo, a.in_start + hi)
        return (lo, hi), self._replace(at, False)

    def _replace(self, window, bint transposed, limits=None):
        return _rebuild(*self._key()[:10], transposed, *window, limits)

    def _key(self):
        cdef axis_recipe *a = &self.recipe
        return (a.n, a.m, a.filter, a.coords, a.forward_weights, a.scale, a.align_corners, a.shift, self.forward_acc,
                self.adjoint_acc, a.transposed, a.out_start, a.out_stop, a.in_start, a.in_stop)

    def __eq__(self, other):
        return isinstance(other, AxisMap) and self._key() == (<AxisMap>other)._key()

    def __hash__(self):
        return hash(self._key())

    def __reduce__(self):
        cdef axis_recipe *a = &self.recipe
        return _rebuild, (*self._key(), (a.taps_max, bool(a.uniform)) if a.transposed else None)

    def __repr__(self):
        cdef axis_recipe *a = &self.recipe
        sizes = (a.m, a.n) if a.transposed else (a.n, a.m)
        name = self.filter + (" transposed" if a.transposed else "")
        ranges = (f"{a.in_start}:{a.in_stop}", f"{a.out_start}:{a.out_stop}")
        source, target = ranges[::-1] if a.transposed else ranges
        part = "" if (self.n, self.m) == sizes else f", window={source} -> {target}"
        return (f"AxisMap({sizes[0]} -> {sizes[1]}, {name}, coords={self.coords}, taps<={a.taps_max}, "
                f"weights={self.weights}, acc={self.acc}{part})")


cdef int _transpose(axis_recipe *a, str acc, limits) except -1:
    """Turn the recipe of a map into that of its adjoint."""
    if acc not in ("float32", "float64"):
        raise NotImplementedError(f"sums in {acc} are rounded to integers, which have no gradient")
    a.weights = WEIGHTS_F64 if acc == "float64" else WEIGHTS_F32
    a.transposed = 1
    if limits is not None:
        a.taps_max, a.uniform = limits
        return 0
    cdef double *scratch = _scratch(a)
    cdef int64_t most
    with nogil:
        most = transposed_limits(a, scratch)
    free(scratch)
    if most >= <int64_t>1 << 31:
        raise RuntimeError(
            f"enlarging {a.n} samples to {a.m} gives one of them {most} outputs, more than 2**31 - 1: enlarge in steps")
    a.taps_max = <int32_t>most
    return 0


cdef bint _crops(const axis_recipe *a):
    """Whether outputs of the forward map within the window have taps outside of it."""
    cdef axis_recipe f = forward_of(a)
    cdef int64_t lo, hi, unused
    forward_extent(&f, a.out_start, &lo, &unused)
    forward_extent(&f, a.out_stop - 1, &unused, &hi)
    return lo < a.in_start or hi >= a.in_stop


def _rebuild(n, m, filter, coords, weights, scale, align_corners, shift, acc, adjoint_acc, transposed, out_start, out_stop,
             in_start, in_stop, limits):
    return AxisMap(n, m, FILTER_NAMES[filter], coords=COORDS_NAMES[coords], weights=WEIGHT_NAMES[weights], acc=acc,
                   scale=scale, align_corners=align_corners, window=(out_start, out_stop, in_start, in_stop), shift=shift,
                   adjoint_acc=adjoint_acc, transposed=bool(transposed), limits=limits)
