"""The CPU kernels. What loads them loads OpenMP, and this is where it is told how its threads wait."""

from __future__ import annotations

from upsample._threads import load_openmp as _load_openmp


def _load() -> str | None:
    from . import skeleton

    return skeleton.openmp_library()


if _load_openmp(_load):
    from . import skeleton

    skeleton.set_thread_cost(500_000)
