"""Check that every stage can read its settings, before any of them runs."""

from pathlib import Path

from retune.core.files import write_json
from retune.core.params import Params
from retune.core.signature import Report
from retune.core.stage import run_stage
from retune.preflight.validation import require_valid


def main(checked: Report) -> str:
    """Read params.yaml as all stages of the graph do; write CHECKED if it is valid.

    The first stage after this one depends on CHECKED, whose bytes are always the same. So a wrong
    setting stops the graph here, before DVC removes the outputs of the stage that reads it.

    Example: python -m stages.check data/qa/checked.json
    """
    count = require_valid(Path(), Params.chosen[0])
    write_json(checked, {"params.yaml": "valid"})
    return f"params.yaml: valid ({count} combinations of stage and variant checked)"


if __name__ == "__main__":
    run_stage(main)
