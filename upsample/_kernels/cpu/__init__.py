"""The CPU kernels. What loads them loads OpenMP, and this is where it is told how its threads wait."""

from __future__ import annotations

from upsample._threads import load_openmp as _load_openmp
from upsample._threads import may_spin as _may_spin


def _load() -> str | None:
    from . import skeleton

    return skeleton.openmp_library()


_load_openmp(_load)
if _may_spin():
    from . import skeleton

    skeleton.set_thread_cost(500_000)
