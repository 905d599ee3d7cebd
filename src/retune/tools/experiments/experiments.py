"""Experiments: named changes to params.yaml."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError
from retune.core.params import parameters
from retune.tasks.task import main_task

FOLDER = Path("experiments")
SEED = main_task().key("seed")
MODEL = main_task().key("model")
FOLD = main_task().key("download.fold")
DRAW = main_task().key("download.train_draw")
#: The score that tables are sorted by.
RANKING = main_task().key(main_task().ranking)
#: Names of the runs of `retune curve`: a sum of settings and code, the share, the seed.
CURVE = re.compile(r"curve-[0-9a-f]{8}-0\.\d+-seed=\d+")
#: Names of the runs of `retune few-shot`: a sum of settings, code and data, and the draw.
FEW_SHOT = re.compile(r"few-shot-[0-9a-f]{8}-draw=\d+")


class HydraValue(str):
    """A value from the command line, in Hydra's override grammar."""


@dataclass(frozen=True)
class Experiment:
    """A named set of changes to parameters.

    Attributes:
        name: of the experiment.
        changes: values by dotted name.
        swept: the names among them that the command line gave one by one.
    """

    name: str
    changes: Mapping[str, Any]
    swept: frozenset[str] = frozenset()

    def overrides(self, file: str | None = None) -> list[str]:
        """Return the changes to params.yaml, or to `file`, as arguments of `dvc exp run -S`."""
        of = "" if file is None else f"{file}:"
        return [f"{of}{key}={_override(value)}" for key, value in self.changes.items()]


def load_experiment(name: str, folder: Path = FOLDER) -> Experiment:
    """Read `<name>.yaml`."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise RetuneError(f"{path}: no such experiment; there are: {names}")
    return Experiment(name, parameters(path))


def runs_of(name: str) -> re.Pattern[str]:
    """Return a pattern for the names of an experiment's runs: each fold and seed, or each draw."""
    return re.compile(rf"{re.escape(name)}((-fold=\d+of\d+)?(-seed=\d+)?|-draw=\d+)")


def _override(value: Any) -> str:
    """Return `value` in Hydra's override grammar, which `dvc exp run -S` uses."""
    match value:
        case HydraValue():
            return str(value)
        case None | bool():
            return json.dumps(value)
        case list():
            return f"[{','.join(map(_override, value))}]"
        case dict():
            return "{" + ",".join(f"{key}:{_override(item)}" for key, item in value.items()) + "}"
        case str() if not re.fullmatch(r"[\w.+-]+", value, re.ASCII):
            return _quoted(value)
    return str(value)


def _quoted(text: str) -> str:
    # In Hydra's grammar, only backslashes before a quote are doubled.
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + found[2], text)
    return "'" + escaped.replace("'", "\\'") + "'"
