"""Run a stage from any folder: `python -m stages.qa.download data/raw metrics/download.json`."""

import runpy
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the stage that the first argument names with the other ones."""
    stages = TOP / "stages"
    scripts = [path for path in stages.glob("**/*.py") if not path.stem.startswith("__")]
    known = {".".join(path.relative_to(stages).with_suffix("").parts) for path in scripts}
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in known:
        sys.exit(f"stages: no stage {name!r}; there are: {', '.join(sorted(known))}")
    sys.path[0] = str(TOP)  # in place of this folder, so that `stages` is a package
    del sys.argv[0]
    runpy.run_module(f"stages.{name}", run_name="__main__", alter_sys=True)


main()
