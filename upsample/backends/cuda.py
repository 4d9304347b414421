"""The CUDA backend: CuPy arrays, if the caller has imported CuPy and there is a GPU.

In: a plan and a CuPy array like those to come.  Out: a kernel, or why there is none.  CuPy is never imported here: an
array of it says that the caller has done so, and only then is the rest of the backend (`_cuda`) imported.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .._arrays import output_order
from . import register_backend
from ._axes import Copy, Transposed, copies, groups_of, nothing_to_do

if TYPE_CHECKING:
    from .._plan import Plan


class Cuda:
    """Registered as ``cuda``: CUDA kernels, on CuPy arrays."""

    name = "cuda"

    def prepare(self, plan: Plan, like: Any) -> Any:
        cupy = sys.modules.get("cupy")
        if cupy is None:
            if find_spec("cupy") is None:
                return f"it needs an NVIDIA GPU and CuPy. CuPy is not installed: {install()}, then pass cupy.asarray(x)"
            return (
                "it needs an NVIDIA GPU and CuPy's arrays. CuPy has not been imported: import cupy, then pass "
                "cupy.asarray(x)"
            )
        reason = unusable(cupy)
        if reason:
            return reason
        if not isinstance(like, cupy.ndarray):
            return (
                f"it runs on CuPy arrays, got {type(like).__module__}.{type(like).__name__}: pass cupy.asarray(x), "
                "which copies it to the GPU"
            )
        if plan.features:
            return f"it does not know {', '.join(sorted(plan.features))}"
        if nothing_to_do(plan):
            return OnDevice(Copy(plan), like)
        from ._cuda import prepare

        kernel = prepare(plan, output_order(like.shape, like.strides))
        return kernel if isinstance(kernel, str) else OnDevice(kernel, like)

    def remarks(self, plan: Plan, like: Any, out: Any) -> str:
        """Copies that these arrays cost beside the kernel."""
        from ._cuda import obstacle

        if nothing_to_do(plan):
            return ""
        groups = groups_of(output_order(like.shape, like.strides), {p.axis for p in plan.passes})
        return copies(like, out, groups, obstacle)


class OnDevice:
    """A kernel, called on the device of its input, whichever is current.

    `kept` is the memory that graphs use which were captured of calls: while there is some, the kernel has to live.
    """

    def __init__(self, kernel: Any, like: Any) -> None:
        self.kernel, self.explain = kernel, kernel.explain
        self.kept = getattr(kernel.kernel if isinstance(kernel, Transposed) else kernel, "kept", [])
        self.current = sys.modules["cupy"].cuda.runtime.getDevice
        self.called_again = getattr(kernel, "called_again", lambda geometry, x, out: None)
        self.geometry = like.shape, like.strides, like.dtype

    def __call__(self, x: Any, out: Any = None) -> Any:
        try:
            geometry, device = (x.shape, x.strides, x.dtype), x.data.device_id
        except AttributeError:
            raise TypeError(f"expected a cupy.ndarray, got {type(x).__module__}.{type(x).__name__}") from None
        made = self.called_again(geometry, x, out)
        if made is not None:
            return made
        if device == self.current():
            return self.kernel(x, out)
        with sys.modules["cupy"].cuda.Device(device):
            return self.kernel(x, out)

    def alike(self, x: Any, out: Any = None) -> Any:
        """The same, of an array that has the shape, strides and dtype of the one that the kernel was prepared for."""
        made = self.called_again(self.geometry, x, out)  # as most calls
        return self(x, out) if made is None else made


_usable = False


def install(cuda: int = 0) -> str:
    """How to get CuPy with what it compiles kernels with, for that major version of CUDA, or any."""
    commands = {12: 'pip install "cupy-cuda12x[ctk]>=14"', 13: 'pip install "cupy-cuda13x[ctk]>=14"'}
    return commands.get(cuda) or f"{commands[12]}, or cupy-cuda13x for CUDA 13"


def unusable(cupy: Any) -> str:
    """Why nothing can run at all: no device, or no compiler; an empty string where something can."""
    global _usable
    if _usable:
        return ""
    if getattr(cupy, "ndarray", None) is None or getattr(cupy, "cuda", None) is None:
        where = next(iter(getattr(cupy, "__path__", ())), "no folder")
        return (
            "CuPy is still being imported, by another thread (call again when that is done), or what is called cupy is "
            f"something else: it was found in {where}"
        )
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return f"CuPy finds no GPU: {_line(error)} (no NVIDIA driver, or one too old: does nvidia-smi work?)"
    if count < 1:
        return "CuPy finds no GPU: the driver lists no device (does nvidia-smi?)"
    try:
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:
        try:
            major = int(cupy.cuda.runtime.runtimeGetVersion()) // 1000
        except Exception:
            major = 0
        return f"CuPy has no NVRTC to compile kernels with ({_line(error)}): {install(major)}"
    _usable = True
    return ""


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


register_backend(Cuda())
