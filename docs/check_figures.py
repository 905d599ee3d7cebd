"""Check that the last run's EM and F1 are the committed ones.

    python docs/check_figures.py

Equal digits are expected on the machine that earned them; another processor computes in
another precision, so up to TOLERANCE points of difference are accepted, and said.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATH = "metrics/qa.json"
TOLERANCE = 4.0


def main() -> int:
    """Compare the workspace's metrics file with that of the last commit."""
    shown = subprocess.run(
        ["git", "show", f"HEAD:{PATH}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    committed = json.loads(shown.stdout)["qa"]
    earned = json.loads((ROOT / PATH).read_text(encoding="utf-8"))["qa"]
    return compare(committed, earned)


def compare(committed: dict[str, float], earned: dict[str, float]) -> int:
    """Print each figure of both and return 1 where one is too far off."""
    code = 0
    for name in ("exact_match", "f1"):
        gap = abs(committed[name] - earned[name])
        verdict = "equal" if gap == 0 else f"{gap:.2f} apart, at most {TOLERANCE:.0f} allowed"
        print(f"{name}: committed {committed[name]:.2f}, earned {earned[name]:.2f}: {verdict}")
        code |= int(gap > TOLERANCE)
    return code


if __name__ == "__main__":
    sys.exit(main())
