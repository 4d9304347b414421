"""How many threads a call may use: process-wide, and within a ``with`` block.

In: the user's numbers and the environment, read once at import.  Out: `current()`, which a CPU
kernel asks for at each call.  No OpenMP setting or environment variable is touched.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import operator
import os
from collections.abc import Iterator
from typing import Any

MAX_THREADS = 1024
_context: contextvars.ContextVar[int | None] = contextvars.ContextVar("upsample_threads", default=None)


def integer(n: Any, what: str, kind: str = "an int") -> int:
    """`n` as an int; True and False are none."""
    try:
        number = operator.index(n)
    except TypeError:
        number = None
    if number is None or isinstance(n, bool):
        raise TypeError(f"{what} must be {kind}, got {type(n).__name__} {n!r}")
    return number


def _checked(n: Any, what: str) -> int:
    number = integer(n, what)
    if not 1 <= number <= MAX_THREADS:
        raise ValueError(f"{what} must be between 1 and {MAX_THREADS}, got {n}")
    return number


def _cgroup_limit() -> int | None:
    """CPUs that the container's quota allows, rounded up, or None without a quota."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as f:
            quota, period = f.read().split()[:2]
        return None if quota == "max" else max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass
    try:
        with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as f:
            quota_us = int(f.read())
        with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as f:
            period_us = int(f.read())
        return max(1, math.ceil(quota_us / period_us)) if quota_us > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _available() -> int:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, _cgroup_limit() or cpus, MAX_THREADS))


def initial(environ: Any) -> int:
    """The number that the environment asks for, else what the machine gives.

    Raises
    ------
    ValueError
        If ``UPSAMPLE_NUM_THREADS`` is not a number of threads.
    """
    own = environ.get("UPSAMPLE_NUM_THREADS", "").strip()
    if own:
        try:
            return _checked(int(own), "UPSAMPLE_NUM_THREADS")
        except ValueError:
            raise ValueError(
                f"the environment variable UPSAMPLE_NUM_THREADS must be a number from 1 to {MAX_THREADS}, got {own!r}"
            ) from None
    shared = environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if shared.isascii() and shared.isdigit() and 1 <= int(shared) <= MAX_THREADS:
        return int(shared)
    return _available()


_process = initial(os.environ)


def set_num_threads(n: int) -> None:
    """Set the number of threads that calls of this process use.

    Parameters
    ----------
    n : int
        From 1 to 1024. Results never depend on it. More threads than CPUs bring nothing, and OpenMP ends a
        process in which it cannot start them.

    Raises
    ------
    TypeError, ValueError
        For anything else.

    Examples
    --------
    >>> import upsample
    >>> before = upsample.get_num_threads()
    >>> upsample.set_num_threads(1)
    >>> upsample.get_num_threads()
    1
    >>> upsample.set_num_threads(before)
    """
    global _process
    _process = _checked(n, "the number of threads")


def get_num_threads() -> int:
    """The number of threads that a call made here would use at the most.

    Returns
    -------
    int

    Examples
    --------
    >>> import upsample
    >>> upsample.get_num_threads() >= 1
    True
    """
    return _context.get() or _process


@contextlib.contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Use `n` threads within a ``with`` block, in this thread or task only.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Examples
    --------
    >>> import upsample
    >>> with upsample.num_threads(1):
    ...     upsample.get_num_threads()
    1
    """
    token = _context.set(_checked(n, "the number of threads"))
    try:
        yield
    finally:
        _context.reset(token)
