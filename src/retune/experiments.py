"""Named sets of parameters: only the differences from params.yaml."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.errors import RetuneError
from retune.params import load_yaml

FOLDER = Path("experiments")
SEED = "qa.seed"


class HydraValue(str):
    """A value as the command line has it, in the grammar of Hydra's overrides."""


@dataclass(frozen=True)
class Experiment:
    """A name and the parameters that it changes, by dotted name.

    Attributes:
        name: of the experiment.
        changes: values by dotted name.
        swept: the names among them that the command line gave one by one.
    """

    name: str
    changes: Mapping[str, Any]
    swept: frozenset[str] = frozenset()

    def overrides(self, file: str | None = None) -> list[str]:
        """The changes in the form that `dvc exp run -S` reads; of params.yaml, or of `file`."""
        of = "" if file is None else f"{file}:"
        return [f"{of}{key}={_override(value)}" for key, value in self.changes.items()]


def load_experiment(name: str, folder: Path = FOLDER) -> Experiment:
    """Read `<name>.yaml`."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise RetuneError(f"{path}: no such experiment; there are: {names}")
    return Experiment(name, parameters(path))


def parameters(path: Path) -> dict[str, Any]:
    """All parameters of a file by their dotted names."""
    return dict(_flat(load_yaml(path)))


def parameter_names(path: Path = Path("params.yaml")) -> list[str]:
    """The dotted names of all parameters."""
    return list(parameters(path))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _override(value: Any) -> str:
    """`value` in the grammar of Hydra's overrides, which `dvc exp run -S` uses."""
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
    # A backslash is doubled only where a quote follows it, says Hydra's grammar.
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + found[2], text)
    return "'" + escaped.replace("'", "\\'") + "'"
