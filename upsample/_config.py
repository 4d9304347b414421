"""What this installation is: versions, SIMD level, threads, backends; and how much memory it keeps."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ._kernels.cpu import skeleton
from ._threads import get_num_threads, integer, waiting
from ._version import __version__
from .backends import backends, selected
from .backends.cpu import MOST_POOL


def config() -> dict[str, Any]:
    """The facts that `show_config` prints."""
    return {
        "upsample": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "simd level": skeleton.level(),
        "simd levels": ", ".join(skeleton.levels()),
        "openmp": "yes" if skeleton.has_openmp() else "no: calls run on one thread",
        "threads": get_num_threads(),
        "waiting": waiting(),
        "regions": _regions(),
        "output pool": _pool(),
        "backends": ", ".join(backends()),
        "backend": _backend(),
        "cupy": getattr(sys.modules.get("cupy"), "__version__", "not imported"),
        "gpu": _gpu(),
    }


def _backend() -> str:
    name = selected()
    if name is None:
        return "by array type"
    return name if name in backends() else f"{name} (there is none of that name: calls will fail)"


def _gpu() -> str:
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return "not looked for: CuPy has not been imported"
    from .backends.cuda import unusable

    reason = unusable(cupy)
    if reason:
        return reason
    runtime = cupy.cuda.runtime
    names = [runtime.getDeviceProperties(i)["name"].decode() for i in range(runtime.getDeviceCount())]
    return ", ".join(names)


def _pool() -> str:
    state = skeleton.pool_info()
    if state["limit"] == 0:
        return "off"
    return f"{_size(state['kept'])} of {_size(state['limit'])} kept in {state['blocks']} blocks"


def _regions() -> str:
    count = skeleton.regions()
    text = f"{count['regions']} parallel"
    if count["crowded"]:
        text += f", {count['crowded']} of which met CPUs that others use, so that {count['serial']} calls were serial"
    if count["refused"]:
        text += f", {count['refused']} with fewer threads than asked for: the system gives no more"
        text += " (ulimit -u, pids.max, memory)"
    return text


def _size(n: int) -> str:
    return f"{n >> 20} MiB" if n >= 1 << 20 or n == 0 else f"{n} B"


def set_pool_limit(limit: int | None = None) -> None:
    """Set how many bytes of freed outputs this process keeps for new ones; what is above that is freed at once.

    Parameters
    ----------
    limit : int, optional
        In bytes; 0 keeps nothing. None asks for what holds without ``UPSAMPLE_POOL``: the smaller of 512 MiB and
        an eighth of the memory. Where there is no pool (other systems than Linux) nothing is kept whatever it is.

    Raises
    ------
    TypeError, ValueError
        For anything else.

    Examples
    --------
    >>> import upsample
    >>> upsample.set_pool_limit(0)  # gives back what is kept
    >>> upsample.set_pool_limit(256 << 20)
    >>> upsample.set_pool_limit()
    """
    if limit is not None:
        limit = integer(limit, "the pool's limit", "an int or None")
        if not 0 <= limit <= MOST_POOL:
            raise ValueError(f"the pool's limit must be a number of bytes from 0 (off) to {MOST_POOL}, got {limit}")
    skeleton.set_pool_limit(limit)


def show_config() -> None:
    """Print versions, SIMD level, threads, output pool and backends, one per line.

    Examples
    --------
    >>> import upsample
    >>> upsample.show_config()  # doctest: +ELLIPSIS
    upsample     ...
    """
    for name, value in config().items():
        print(f"{name:<12} {value}")


def get_include() -> str:
    """The folder of ``upsample.h``, for compilers of C, C++ and Cython modules.

    Returns
    -------
    str
        An absolute path.

    Examples
    --------
    >>> import os, upsample
    >>> sorted(os.listdir(upsample.get_include()))
    ['upsample.h']
    """
    return str(Path(__file__).resolve().parent / "include")
