from typing import Any

table: Any
MODES: tuple[str, ...]
NUMERICS: tuple[str, ...]
