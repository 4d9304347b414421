from typing import Any

import numpy as np
from numpy.typing import NDArray

class AxisMap:
    acc: str
    def __init__(
        self,
        n: int,
        m: int,
        filter: str,
        *,
        coords: str,
        weights: str | None,
        acc: str,
        scale: float = ...,
        align_corners: bool = ...,
        window: tuple[int, int, int, int] | None = ...,
        shift: int | None = ...,
    ) -> None: ...
    @property
    def n(self) -> int: ...
    @property
    def m(self) -> int: ...
    @property
    def filter(self) -> str: ...
    @property
    def coords(self) -> str: ...
    @property
    def weights(self) -> str | None: ...
    @property
    def shift(self) -> int: ...
    @property
    def taps_max(self) -> int: ...
    @property
    def is_copy(self) -> bool: ...
    def taps(
        self, lo: int = ..., hi: int | None = ...
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any] | None]: ...
    def window(self, start: int, stop: int) -> tuple[tuple[int, int], AxisMap]: ...
