"""The backend registry: who can run a plan, who runs it now, and why the others do not.

In: a plan and an array.  Out: a kernel, a callable ``kernel(x, out=None)``.  It knows
names and reasons; it knows nothing about modes, layouts or geometry.

Every backend, ours and anyone's, comes through `register_backend`.  A plugin is an object
under the entry-point group ``upsample.backends``; it is imported only when its name is asked for.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .._arrays import check_out, empty_output, output_for, write

if TYPE_CHECKING:
    from .._plan import Plan

__all__ = [
    "Backend",
    "BackendError",
    "Kernel",
    "backends",
    "check_out",
    "empty_output",
    "register_backend",
    "use_backend",
]

ENTRY_POINT_GROUP = "upsample.backends"
NOT_LOADED = "a plugin, imported only when it is named"


class Kernel(Protocol):
    """A plan made ready for arrays of one kind: called with the array, and where to write.

    It may have a method `alike` that does the same for callers who have compared the array's shape, strides and dtype
    with those of the one that it was prepared for.
    """

    def __call__(self, x: Any, out: Any = None) -> Any: ...


@runtime_checkable
class Backend(Protocol):
    """What a backend is: a name, and a way to make kernels.

    `prepare` gets a plan and an array like those that will follow (same type, device, dtype and
    strides), and returns a kernel or, as a string, the reason why it cannot run the plan.  It may read
    ``plan.shape``, ``out_shape``, ``dtype``, ``passes`` and ``features`` and must refuse a plan
    with a feature that it does not know. A backend may also have a method ``remarks(plan, like, out)``, whose text
    `explain` puts after that of its kernel. `empty_output` makes a new result in the order that the
    library promises, `check_out` refuses an ``out`` that cannot hold it.
    """

    name: str

    def prepare(self, plan: Plan, like: Any) -> Kernel | str: ...


class BackendError(RuntimeError):
    """No backend runs the request: unknown name, failed import, or every one refused."""


_lock = threading.RLock()
_registered: dict[str, Backend] = {}
_failed: dict[str, str] = {}
_context: contextvars.ContextVar[str | None] = contextvars.ContextVar("upsample_backend", default=None)
_default: str | None = os.environ.get("UPSAMPLE_BACKEND") or None


def register_backend(backend: Backend) -> None:
    """Make a backend selectable by its name.

    Parameters
    ----------
    backend : Backend
        An object with a ``name`` (a Python identifier) and ``prepare(plan, like)``.

    Raises
    ------
    TypeError
        If it lacks one of the two.
    ValueError
        If the name is no identifier or is taken.

    Examples
    --------
    >>> import upsample
    >>> class Mine:
    ...     name = "mine_for_the_docs"
    ...     def prepare(self, plan, like):
    ...         return "it only shows how to register"
    >>> upsample.register_backend(Mine())
    >>> "mine_for_the_docs" in upsample.backends()
    True
    """
    name = getattr(backend, "name", None)
    if not isinstance(name, str) or not callable(getattr(backend, "prepare", None)):
        raise TypeError(
            f"a backend needs a string `name` and a method `prepare(plan, like)`, got {type(backend).__name__!r} "
            f"with name {name!r}"
        )
    if not name.isidentifier():
        raise ValueError(f"backend name {name!r} is not an identifier: use letters, digits and underscores")
    with _lock:
        if name in _registered:
            raise ValueError(
                f"a backend named {name!r} is registered already ({type(_registered[name]).__qualname__}): "
                "pick another name"
            )
        _registered[name] = backend


def backends() -> tuple[str, ...]:
    """Names of the backends that can be asked for: the registered ones and installed plugins.

    Returns
    -------
    tuple of str
        Plugins are found in the packages' metadata; none is imported.

    Examples
    --------
    >>> import upsample
    >>> upsample.backends()[:2]
    ('cpu', 'cuda')
    """
    return tuple(dict.fromkeys((*_registered, *(ep.name for ep in _entry_points()))))


@contextlib.contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Select a backend within a ``with`` block, for this thread or task only.

    Parameters
    ----------
    name : str
        One of `backends`; an unknown name is refused here, not at the first call.

    Raises
    ------
    BackendError
        If there is no such backend or it cannot be imported.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> with upsample.use_backend("reference"):
    ...     upsample.interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2)
    array([[[1., 1., 2., 2.]]])
    """
    find(name)
    token = _context.set(name)
    try:
        yield
    finally:
        _context.reset(token)


def selected() -> str | None:
    """The name that a call without ``backend=`` uses, or None: by array type."""
    return _context.get() or _default


def default_for(x: Any) -> str:
    """The built-in backend for an array's type."""
    return "cpu" if type(x).__module__.partition(".")[0] == "numpy" else "cuda"


def find(name: str) -> Backend:
    """The backend of that name, importing its plugin if need be; BackendError says what is wrong."""
    if not isinstance(name, str):
        raise TypeError(f"a backend is named by a string, got {type(name).__name__} {name!r}")
    found = _registered.get(name)
    if found is not None:
        return found
    if name not in _failed:
        # not under the lock: the plugin's import may itself register, or wait for another import that does
        _load_plugin(name)
    if name in _registered:
        return _registered[name]
    if name in _failed:
        raise BackendError(f"backend {name!r} cannot be used: {_failed[name]}")
    origin = " (from the environment variable UPSAMPLE_BACKEND)" if name == _default else ""
    from difflib import get_close_matches

    gpu = name.lower() in ("gpu", "cupy", "nvidia")  # the first of which is one letter from "cpu"
    close = ["cuda"] if gpu else get_close_matches(name.lower(), backends(), 1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    raise BackendError(f"there is no backend {name!r}{origin}: {meant}known are {', '.join(backends())}")


def known(name: str) -> None:
    """Refuse a name that nothing has; a plugin stays unimported."""
    if not isinstance(name, str) or name not in backends():
        find(name)


def kernel_for(plan: Plan, x: Any, name: str | None) -> Kernel:
    """A kernel for a plan and arrays like `x`, or BackendError with every backend's reason."""
    chosen = default_for(x) if name is None else name
    try:
        reason = _prepared(find(chosen), plan, x)
    except BackendError as error:
        if name is not None:
            raise
        reason = str(error)
    if not isinstance(reason, str):
        return reason
    lines = [f"backend {chosen!r} does not run this: {reason}"]
    for other in backends():
        if other != chosen:
            answer = why_not(plan, x, other, load=False)
            lines.append(f"  {other}: {answer if isinstance(answer, str) else 'would run it; name it with backend='}")
    raise BackendError("\n".join(lines))


def why_not(plan: Plan, x: Any, name: str, *, load: bool = True) -> Kernel | str:
    """The kernel that a backend prepares, or its reason: a failed import and a raised error are some.

    Without `load` a plugin that was not asked for yet stays unimported.
    """
    if not load and name not in _registered and name not in _failed:
        return NOT_LOADED
    try:
        return _prepared(find(name), plan, x)
    except Exception as error:
        return str(error) if isinstance(error, BackendError) else f"it raised {type(error).__name__}: {error}"


def remarks(name: str, plan: Plan, x: Any, out: Any) -> str:
    """What a backend says, beside its kernel, of running a plan on these arrays."""
    say = getattr(_registered.get(name), "remarks", None)
    return str(say(plan, x, out)) if say is not None else ""


class Nothing:
    """Sums of no samples: what every backend makes of an empty input whose output is not empty."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, x: Any, out: Any = None) -> Any:
        with contextlib.nullcontext() if default_for(x) == "cpu" else x.device:
            out = output_for(self.plan, x, out)
            write(out, 0)
        return out

    def explain(self) -> str:
        return "zeros, since there is nothing to sum"


def _prepared(backend: Backend, plan: Plan, x: Any) -> Kernel | str:
    if 0 in plan.shape and 0 not in plan.out_shape:
        return Nothing(plan)
    kernel = backend.prepare(plan, x)
    if callable(kernel) or isinstance(kernel, str):
        return kernel
    raise TypeError(
        f"backend {backend.name!r}: prepare() must return a callable or a reason, got {type(kernel).__name__}"
    )


def _entry_points() -> list[Any]:
    from importlib.metadata import entry_points

    return list(entry_points(group=ENTRY_POINT_GROUP))


def _load_plugin(name: str) -> None:
    for point in _entry_points():
        if point.name != name:
            continue
        try:
            plugin = point.load()
            with _lock:
                if name in _registered:  # by the import itself, or by another thread
                    return
                if isinstance(plugin, type):
                    plugin = plugin()
                if getattr(plugin, "name", None) != name:
                    raise ValueError(f"entry point {name!r} holds a backend named {getattr(plugin, 'name', None)!r}")
                register_backend(plugin)
        except Exception as error:
            with _lock:
                if name in _failed:
                    return
                _failed[name] = f"its plugin {point.value!r} failed to import: {type(error).__name__}: {error}"
            warnings.warn(f"upsample backend {name!r}: {_failed[name]}", RuntimeWarning, stacklevel=stack_outside())
        return


def stack_outside() -> int:
    """Frames up to the first caller outside the library, for warnings."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "upsample":
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    return level
