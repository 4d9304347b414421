"""Shared by the tests: where the helpers are, how hypothesis runs in CI, and what stood in for PyTorch."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("default")


@pytest.fixture
def level() -> Iterator[Any]:
    """Kernels made in the test use the level it sets; plans are made anew, past the call cache."""
    from upsample._kernels.cpu import skeleton

    before = skeleton.level()
    yield skeleton.set_level
    skeleton.set_level(before)


@pytest.fixture
def made() -> Iterator[Callable[[], dict[str, int]]]:
    """What each path of the CPU kernels made since the last look, by the path's name: units or rows."""
    from upsample._kernels.cpu import skeleton

    def look() -> dict[str, int]:
        found = {name: count for name, count in skeleton.made_by_paths().items() if count}
        skeleton.count_paths()
        return found

    skeleton.count_paths()
    yield look
    skeleton.count_paths(False)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if importlib.util.find_spec("torch") is None:
        terminalreporter.write_line(
            "PyTorch is not installed: golden vectors of it stand in (pip install torch==2.13.0 compares with itself)"
        )
