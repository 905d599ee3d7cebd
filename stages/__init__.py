"""Stage scripts: paths and settings in, one library call, paths out.

The library is taken from `src` beside these scripts, so that an experiment in a
temporary copy of the project runs the code of that copy, the code that DVC hashed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from retune.core.process_end import prepare_to_end

prepare_to_end()
