"""Upsampling of signals, images and volumes with PyTorch's semantics, without PyTorch.

>>> import numpy as np, upsample
>>> upsample.interpolate(np.array([[[0.0, 1.0]]]), scale_factor=2, mode="linear")
array([[[0.  , 0.25, 0.75, 1.  ]]])
"""

from ._version import __version__

try:
    from . import _axismap  # noqa: F401
except ImportError as error:  # pragma: no cover - shown by a test in a process of its own
    from pathlib import Path as _Path

    _folder = _Path(__file__).parent
    if not _folder.is_dir():
        raise ImportError(
            f"{_folder} is inside an archive, from which Python loads no compiled modules: install it"
        ) from error
    if not [*_folder.glob("_axismap*.so"), *_folder.glob("_axismap*.pyd")]:
        raise ImportError(
            f"upsample's compiled modules are missing: {_folder.parent} is a source tree. Run `pip install -e .` in "
            "it, or `pip install .` and then import from another folder."
        ) from None
    raise

from ._config import get_include, set_pool_limit, show_config
from ._interpolate import (
    Upsample,
    UpsamplingBilinear2d,
    UpsamplingNearest2d,
    explain,
    interpolate,
    interpolate_backward,
    plan,
)
from ._threads import get_num_threads, num_threads, set_num_threads
from .backends import BackendError, backends, register_backend, use_backend
from .backends import cpu as _cpu  # noqa: F401  (it registers itself)
from .backends import cuda as _cuda  # noqa: F401
from .backends import reference as _reference  # noqa: F401

__all__ = [
    "BackendError",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
    "__version__",
    "backends",
    "explain",
    "get_include",
    "get_num_threads",
    "interpolate",
    "interpolate_backward",
    "num_threads",
    "plan",
    "register_backend",
    "set_num_threads",
    "set_pool_limit",
    "show_config",
    "use_backend",
]
