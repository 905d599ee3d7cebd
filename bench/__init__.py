"""Benchmarks: ratios of speed between two ways to do the same work on the same machine.

Run one with `python -m bench.<name>`; `--help` lists its options. Every script runs its sides
in turn in one process, so that a change of the machine's speed affects both, and prints the
ratio as median, lowest and highest over the rounds. `--save` writes the figures to
`bench/results/<name>.json`, from which docs/performance.md is generated.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
