"""What asv follows over time: `upsample` alone. The cells come from ``grid.py`` beside this folder, which
`compare.py` shares; peers, and therefore ratios, are that script's business.
"""

import sys
from pathlib import Path

# asv puts only this package itself on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
