"""Named sets of parameters: only the differences from params.yaml."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.errors import RetuneError, excerpt
from retune.params import load_yaml

FOLDER = Path("experiments")
SEED = "qa.seed"
_LARGEST_SEED = 2**32 - 1  # numpy's limit, the narrowest of the generators


@dataclass(frozen=True)
class Experiment:
    """A name and the parameters that it changes, by dotted name."""

    name: str
    changes: Mapping[str, Any]

    def overrides(self, file: str | None = None) -> list[str]:
        """The changes in the form that `dvc exp run -S` reads; of params.yaml, or of `file`."""
        of = "" if file is None else f"{file}:"
        return [f"{of}{key}={_override(value)}" for key, value in self.changes.items()]


def planned(
    words: Sequence[str], seeds: str | None = None, folder: Path = FOLDER
) -> list[Experiment]:
    """The experiments that a command line names: files, a grid, and all that with each seed.

    Args:
        words: names of experiments, and assignments for `grid`.
        seeds: such as `1,2,3`, to run each experiment once with each of them.
        folder: where the named ones stand.
    """
    assignments = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word]
    named = [load_experiment(name, folder) for name in names]
    experiments = [*named, *grid(assignments)]
    if seeds is None:
        return experiments
    if any(word.partition("=")[0] == SEED for word in assignments):
        raise RetuneError(f"{SEED}=... and --seeds both say the seeds; give only one of them")
    return seeded(experiments, parse_seeds(seeds))


def parse_seeds(text: str) -> list[int]:
    """Read distinct seeds, such as `1,2,3`, each from 0 to 2^32-1."""
    seeds = []
    for word in map(str.strip, text.split(",")):
        if not re.fullmatch(r"[0-9]+", word) or int(word) > _LARGEST_SEED:
            raise RetuneError(
                f"seeds {text!r}: {excerpt(word)} is no seed; whole numbers from 0 to "
                f"{_LARGEST_SEED} are, with commas between them"
            )
        if int(word) in seeds:
            raise RetuneError(
                f"seeds {text!r}: {int(word)} stands there twice; a run that is repeated says "
                "nothing about the noise of seeds, so name each once"
            )
        seeds.append(int(word))
    return seeds


def seeded(experiments: Sequence[Experiment], seeds: Sequence[int]) -> list[Experiment]:
    """Each experiment with each seed in place of its own, named `NAME-seed=1`."""
    return [
        Experiment(f"{experiment.name}-seed={seed}", {**experiment.changes, SEED: seed})
        for experiment in experiments
        for seed in seeds
    ]


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


def grid(assignments: Sequence[str]) -> list[Experiment]:
    """Every combination of assignments such as `qa.model=bert,lstm` and `qa.seed=1,2`.

    An experiment is named after its values: `lstm-seed=1`.
    """
    axes = []
    for assignment in assignments:
        key, _, values = assignment.partition("=")
        choices = [value.strip() for value in values.split(",")]
        if not key or "" in choices:
            raise RetuneError(f"{assignment!r}: expected key=value or key=value,value")
        if key == SEED:
            choices = list(map(str, parse_seeds(values)))
        if len(set(choices)) < len(choices):
            raise RetuneError(f"{assignment!r}: a value stands there twice; once is enough")
        axes.append([(key, value) for value in choices])
    return [
        Experiment("-".join(itertools.starmap(_name_part, point)), dict(point))
        for point in itertools.product(*axes)
        if point
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _override(value: Any) -> str:
    """`value` in the grammar of Hydra's overrides, which `dvc exp run -S` uses."""
    match value:
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


def _name_part(key: str, value: str) -> str:
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", value)
    return text if key == "qa.model" else f"{key.rpartition('.')[2]}={text}"
