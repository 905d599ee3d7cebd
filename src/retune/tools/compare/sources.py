"""Where the scores of a system come from: a predictions file, or a run of the pipeline."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from retune.core.errors import RetuneError
from retune.tasks.qa.questions.examples import Example
from retune.tools.compare.predictions import read_answers, read_gold, score_answers
from retune.tools.compare.systems import System


def read_systems(names: Sequence[str], arguments: Namespace) -> tuple[list[System], int | None]:
    """Read the systems of a command line, and how often their questions were looked at."""
    gold: list[Example] = []
    systems = []
    for name in names:
        label, _, files = name.rpartition("=")
        paths = [Path(file) for file in files.split(",")]
        if arguments.data is None:
            raise RetuneError(f"{name}: a predictions file needs the questions; give --data FILE")
        gold = gold or read_gold(arguments.data, squad_v2=arguments.squad_v2)
        scored = [
            score_answers(read_answers(path), gold, squad_v2=arguments.squad_v2,
                          normalizer=arguments.normalizer, missing=arguments.missing)
            for path in paths
        ]  # fmt: skip
        systems.append(System(label or paths[0].stem, [each.questions for each in scored]))
    return systems, None
