"""Print one of the README's commands: ``python .ci/readme.py 1``."""

import re
import sys
from pathlib import Path

blocks = re.findall(r"^```sh\n(.*?)^```", Path("README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
print(blocks[int(sys.argv[1]) - 1], end="")
