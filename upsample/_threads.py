"""How many threads a call may use, process-wide and within a ``with`` block, and how those without work wait.

In: the user's numbers and the environment, read once at import.  Out: `get_num_threads()`, which a CPU kernel asks for
at each call, and an OpenMP runtime whose waiting threads sleep.  Environment variables are set while that runtime is
loaded, and only then.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import operator
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

MAX_THREADS = 1024
# Where the user has not set them: libgomp's threads spin for 300,000 rounds, which is 6 ms here and a time slice of
# anybody else on the same CPU; 1,000 rounds are about 20 us, and keep threads of calls in a loop awake.
POLICY = "OMP_WAIT_POLICY"
SOON_ASLEEP = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
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


def _is_worker() -> bool:
    """Whether this process is one of several that `multiprocessing` started to share the CPUs."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def initial(environ: Any) -> int | None:
    """The number that the environment asks for, or None where it asks for none.

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
    others = environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if others.isascii() and others.isdigit() and 1 <= int(others) <= MAX_THREADS:
        return int(others)
    return None


_process = initial(os.environ)
_machine = _available()
_waiting = "there are no threads"
_spinning = False  # or may do so, for all that is known


def _default() -> int:
    """Where nobody named a number. (Asked at each call: a process learns late that it is a worker.)"""
    if _is_worker():
        return 1
    return max(1, _machine // 2) if _spinning else _machine


def _openmp_files() -> set[str] | None:
    """Files of OpenMP runtimes that are loaded in this process, or None where the system does not tell."""
    try:
        with open("/proc/self/maps") as f:
            return {os.path.realpath(line.split(None, 5)[-1].strip()) for line in f if "omp" in line}
    except OSError:
        return None


def load_openmp(load: Callable[[], str | None]) -> bool:
    """Load an OpenMP runtime such that threads that wait go to sleep soon.

    Parameters
    ----------
    load : callable
        Loads the runtime, lets it read its settings, and returns its file, or None where there is none.

    Returns
    -------
    bool
        Whether threads may wait at others' expense all the same: only much work should be given to them.
    """
    global _waiting, _spinning
    before = _openmp_files()
    named = os.environ.get(POLICY, "").strip().lower() in ("active", "passive")
    ours = {} if named else {n: v for n, v in SOON_ASLEEP.items() if n not in os.environ}
    os.environ.update(ours)
    try:
        file = load()
    finally:
        for name in ours:
            os.environ.pop(name, None)
    if file is None:
        return False
    library = os.path.basename(file)
    setting = POLICY if named else "GOMP_SPINCOUNT" if "gomp" in library else "KMP_BLOCKTIME"
    if before is not None and os.path.realpath(file) in before:
        _spinning = setting not in os.environ
        _waiting = f"as {library} was told when another package loaded it; else they spin"
    elif setting in os.environ:
        _waiting = f"as {setting}={os.environ[setting]} says"
    else:
        _waiting = f"threads sleep after some 20 us (set while {library} was loaded)"
        if before is None:
            _waiting += ", unless another package loaded it before"
    return _spinning


def waiting() -> str:
    """How threads wait, and who decided that."""
    return _waiting


def set_num_threads(n: int) -> None:
    """Set the number of threads that calls of this process use.

    Parameters
    ----------
    n : int
        From 1 to 1024. Results never depend on it. It is the most that a call uses; more threads than CPUs
        bring nothing.

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
    return _context.get() or _process or _default()


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
