# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The map of one axis: which adjacent input samples make each output, with which weights.

In: scalars that the front end resolved (sizes, scale, filter, coordinate rule, weight type).
Out: an immutable, hashable `AxisMap` whose `taps(lo, hi)` tabulates any range of outputs.
It does not know arrays, ranks, modes or layouts.  The formulas are in ``taps.h``.
"""
from libc.stdlib cimport free, malloc

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
cdef tuple FILTER_NAMES = tuple(FILTERS)
cdef tuple COORDS_NAMES = tuple(COORDS)
cdef tuple WEIGHT_NAMES = tuple(WEIGHTS)


cdef double *_scratch(int64_t taps_max) except NULL:
    cdef double *p = <double *>malloc(<size_t>max(taps_max, 4) * sizeof(double))
    if p == NULL:
        raise MemoryError(f"no memory for the weights of {taps_max} taps")
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
    """

    def __cinit__(self, int64_t n, int64_t m, str filter, *, str coords, weights, str acc, double scale=0.0,
                 bint align_corners=False, window=None, shift=None):
        cdef axis_recipe *a = &self.recipe
        if n < 1 or m < 1:
            raise ValueError(f"an axis map needs sizes of at least 1, got {n} -> {m}")
        a.n, a.m, a.scale, a.align_corners = n, m, scale, align_corners
        a.filter, a.coords, a.weights = FILTERS[filter], COORDS[coords], WEIGHTS[weights]
        self.acc = acc
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
        a.taps_max = <int32_t>most
        if shift is not None:
            a.shift = shift
        elif a.weights == WEIGHTS_I16:
            with nogil:
                a.shift = integer_shift(a)
        a.out_start, a.out_stop, a.in_start, a.in_stop = window or (0, m, 0, n)

    @property
    def n(self) -> int:
        """Input size (of the window)."""
        return self.recipe.in_stop - self.recipe.in_start

    @property
    def m(self) -> int:
        """Output size (of the window)."""
        return self.recipe.out_stop - self.recipe.out_start

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
        cdef double *scratch = _scratch(self.recipe.taps_max)
        with nogil:
            build_taps(&self.recipe, lo, stop, &f[0], &c[0], w, scratch)
        free(scratch)
        return first, count, weights

    def window(self, int64_t start, int64_t stop):
        """The map of outputs ``start:stop`` and the input range ``(lo, hi)`` that they need."""
        if not 0 <= start < stop <= self.m:
            raise ValueError(f"window {start}:{stop} must be non-empty and within 0:{self.m}")
        first, count, _ = self.taps(start, start + 1)
        cdef int64_t lo = max(0, min(int(first[0]), self.n - 1))
        first, count, _ = self.taps(stop - 1, stop)
        cdef int64_t hi = max(lo + 1, min(int(first[0]) + int(count[0]), self.n))
        cdef int64_t base = self.recipe.in_start
        at = (self.recipe.out_start + start, self.recipe.out_start + stop, base + lo, base + hi)
        return (lo, hi), self._replace(at)

    def _replace(self, window):
        cdef axis_recipe *a = &self.recipe
        return AxisMap(a.n, a.m, self.filter, coords=self.coords, weights=self.weights, acc=self.acc, scale=a.scale,
                       align_corners=a.align_corners, window=window, shift=a.shift)

    def _key(self):
        cdef axis_recipe *a = &self.recipe
        return (a.n, a.m, a.filter, a.coords, a.weights, a.scale, a.align_corners, a.shift, self.acc,
                a.out_start, a.out_stop, a.in_start, a.in_stop)

    def __eq__(self, other):
        return isinstance(other, AxisMap) and self._key() == (<AxisMap>other)._key()

    def __hash__(self):
        return hash(self._key())

    def __reduce__(self):
        return _rebuild, self._key()

    def __repr__(self):
        cdef axis_recipe *a = &self.recipe
        part = "" if (self.n, self.m) == (a.n, a.m) else (
            f", window={a.in_start}:{a.in_stop} -> {a.out_start}:{a.out_stop}")
        return (f"AxisMap({a.n} -> {a.m}, {self.filter}, coords={self.coords}, taps<={a.taps_max}, "
                f"weights={self.weights}, acc={self.acc}{part})")


def _rebuild(n, m, filter, coords, weights, scale, align_corners, shift, acc, *window):
    return AxisMap(n, m, FILTER_NAMES[filter], coords=COORDS_NAMES[coords], weights=WEIGHT_NAMES[weights], acc=acc,
                   scale=scale, align_corners=align_corners, window=window, shift=shift)
