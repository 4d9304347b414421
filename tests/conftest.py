"""Shared by the tests: where the helpers are, how hypothesis runs in CI, and what stood in for PyTorch."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("default")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if importlib.util.find_spec("torch") is None:
        terminalreporter.write_line(
            "PyTorch is not installed: golden vectors of it stand in (pip install torch==2.13.0 compares with itself)"
        )
