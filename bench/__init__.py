"""Speed, measured as ratios between two ways to do the same work on the same machine.

Run one as `python -m bench.<name>`; `--help` tells its settings. Every script runs its
sides alternately in one process run, so that a drift of the machine's speed falls on both,
and prints the ratio of each round: median, lowest and highest. `--save` keeps the figures
in `bench/results/<name>.json`, from which the tables of docs/performance.md are made.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
