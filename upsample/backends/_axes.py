"""What backends of flat memory share: a plan on an array as five numbers (outer, D, H, W, inner).

In: a plan and the order of its axes in memory.  Out: which array axes make up each of the five, or a kernel
that runs the plan on a transposed copy.  Axes without a pass are merged into their neighbours.  It knows axes; it
knows no samples, no taps and no array types.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._arrays import output_for, write

if TYPE_CHECKING:
    from .._plan import Plan

Groups = tuple[tuple[int, ...], ...]


def size_of(plan: Plan, axes: tuple[int, ...]) -> int:
    """Samples of the input along some axes together."""
    return math.prod(plan.shape[a] for a in axes)


def groups_of(order: tuple[int, ...], passes: set[int]) -> Groups | None:
    """Axes of outer, D, H, W and inner, given all axes from outermost to innermost in memory."""
    at = [i for i, axis in enumerate(order) if axis in passes]
    if [order[i] for i in at] != sorted(passes):
        return None  # the innermost axis in memory runs first, which would change the order of the passes
    outer, inner = order[: at[0]], order[at[-1] + 1 :]
    between = [order[a + 1 : b] for a, b in itertools.pairwise(at)]
    along = [(order[i],) for i in at]
    if len(along) == 1:
        return outer, (), (), along[0], inner
    if len(along) == 2:
        if between[0]:
            return outer, along[0], between[0], along[1], inner
        return outer, (), along[0], along[1], inner
    if len(along) == 3 and not any(between):
        return outer, along[0], along[1], along[2], inner
    return None


def groups_for(
    x: Any, order: tuple[int, ...], passes: set[int], obstacle: Callable[[Any, Groups], str]
) -> Groups | None:
    """`groups_of`; or others, with which an array is regular whose axes without a pass are not one after the other.

    Others have a sixth group, before the five, of one axis along which the job is repeated.
    """
    groups = groups_of(order, passes)
    if groups is None or not obstacle(x, groups):
        return groups
    return next((other for other in _other_groups(order, passes) if not obstacle(x, other)), groups)


def _other_groups(order: tuple[int, ...], passes: set[int]) -> Iterator[Groups]:
    along = sorted(passes)
    last = order.index(along[-1])
    kinds: list[tuple[tuple[int, ...], tuple[int, ...], list[int]]] = [((along[-1],), order[last + 1 :], along[:-1])]
    if order[-1] not in passes and len(along) < 3:
        kinds.append(((order[-1],), (), along))
    for w, inner, others in kinds:
        rest = tuple(a for a in order if a not in passes and a not in (*w, *inner))
        d, h = ((), (), *((a,) for a in others))[-2:]
        for repeated in ((), *((a,) for a in rest)):
            outer = tuple(a for a in rest if a not in repeated)
            # neighbours in the output's memory as well
            if all(order.index(b) == order.index(a) + 1 for a, b in itertools.pairwise(outer)):
                yield repeated, outer, d, h, w, inner


def irregular(x: Any, groups: Groups) -> str:
    """Why the strides of an array are not those of five numbers; empty where they are."""
    expected = x.dtype.itemsize
    for axis in reversed((*groups[-2], *groups[-1])):  # W and inner are dense
        if x.shape[axis] != 1 and x.strides[axis] != expected:
            return f"its axis {axis} is not dense"
        expected *= x.shape[axis]
    for group in groups[:-2]:  # the axes of the others have one stride together
        long = [axis for axis in reversed(group) if x.shape[axis] != 1]
        for inner, axis in itertools.pairwise(long):
            if x.strides[axis] != x.strides[inner] * x.shape[inner]:
                return f"its axes {axis} and {inner} are not one after the other"
    return ""


def own_order(plan: Plan, x: Any, obstacle: Callable[[Any, Groups], str]) -> tuple[int, ...] | None:
    """The order in which a reduction of an input that has an obstacle had better be run, and its result be copied.

    It is that of the input in memory; None where that cannot be. The order of the passes may change where all of them
    copy.
    """
    passes = {p.axis for p in plan.passes}
    if math.prod(plan.out_shape) >= math.prod(plan.shape):
        return None
    long = iter(sorted((a for a in range(x.ndim) if x.shape[a] > 1), key=lambda a: -abs(x.strides[a])))
    order = tuple(next(long) if x.shape[a] > 1 else a for a in range(x.ndim))
    along = [a for a in order if a in passes]
    if along != sorted(along) and not all(p.map.is_copy for p in plan.passes):
        return None
    groups = groups_of(tuple(range(x.ndim)), {order.index(a) for a in passes})
    return order if groups is not None and not obstacle(x.transpose(order), groups) else None


def copies(like: Any, out: Any, groups: Groups | None, obstacle: Callable[[Any, Groups], str]) -> str:
    """What running on these arrays copies, given their groups and why a kernel cannot run on an array as it is."""
    said = []
    if groups is not None and (why := obstacle(like, groups)):  # else the kernel says that it copies
        said.append(f"the input is copied first ({why})")
    if out is not None:
        why = "its axes are in another order" if groups is None else obstacle(out, groups)
        if why:
            said.append(f"the result is made in new memory and copied into out ({why})")
    return "; ".join(said)


def nothing_to_do(plan: Plan) -> bool:
    """Whether no axis changes, or there is nothing to write."""
    return not plan.passes or 0 in plan.out_shape or 0 in plan.shape


class Copy:
    """The kernel of a plan with nothing to do."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, x: Any, out: Any = None) -> Any:
        out = output_for(self.plan, x, out)
        if out.size:
            write(out, x)
        return out

    def explain(self) -> str:
        return "a copy"


def moved(plan: Plan, order: tuple[int, ...]) -> Plan:
    """The plan for `x.transpose(order)`."""
    place = {axis: i for i, axis in enumerate(order)}
    passes = sorted((replace(p, axis=place[p.axis]) for p in plan.passes), key=lambda p: -p.axis)
    return replace(
        plan,
        shape=tuple(plan.shape[a] for a in order),
        out_shape=tuple(plan.out_shape[a] for a in order),
        passes=tuple(passes),
        spatial=tuple(place[a] for a in plan.spatial),
    )


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(a) for a in range(len(order)))


class Moved:
    """A plan whose axes are taken in another order.

    `prepare` makes the kernel of a plan whose axes lie in memory in their order.
    """

    def __init__(self, plan: Plan, order: tuple[int, ...], prepare: Callable[[Plan, tuple[int, ...]], Any]) -> None:
        self.plan, self.order, self.inverse = plan, order, inverse(order)
        self.kernel = prepare(moved(plan, order), tuple(range(len(order))))

    @property
    def kept_bytes(self) -> int:
        return int(getattr(self.kernel, "kept_bytes", 0))


class Reordered(Moved):
    """A reduction in the input's memory order, whose result is copied to where it belongs.

    `write` fills an array with another.
    """

    def __init__(
        self,
        plan: Plan,
        order: tuple[int, ...],
        prepare: Callable[[Plan, tuple[int, ...]], Any],
        write: Callable[[Any, Any], None],
    ) -> None:
        super().__init__(plan, order, prepare)
        self.write = write

    def __call__(self, x: Any, out: Any = None) -> Any:
        out = output_for(self.plan, x, out)
        self.write(out, self.kernel(x.transpose(self.order)).transpose(self.inverse))
        return out

    def explain(self) -> str:
        return f"in the memory order of the input, axes {self.order}: {self.kernel.explain()}"


class Transposed(Moved):
    """Passes with other axes between them: run with those moved outward, on a copy of the input.

    `keep` is shown what a call of the kernel leaves behind.
    """

    def __init__(
        self,
        plan: Plan,
        prepare: Callable[[Plan, tuple[int, ...]], Any],
        keep: Callable[..., None] | None = None,
    ) -> None:
        along = sorted(p.axis for p in plan.passes)
        super().__init__(plan, (*(a for a in range(len(plan.shape)) if a not in along), *along), prepare)
        self.keep = keep

    def __call__(self, x: Any, out: Any = None) -> Any:
        out = output_for(self.plan, x, out)
        ordered = x.transpose(self.order).copy("C")
        made = self.kernel(ordered)
        if self.keep is not None:
            self.keep(self.kernel, ordered, made)
        write(out, made.transpose(self.inverse))
        return out

    def explain(self) -> str:
        return "on a transposed copy: " + str(self.kernel.explain())
