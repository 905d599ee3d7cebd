"""Experiments of a command line: presets, grids of values, and seeds."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.errors import RetuneError, excerpt
from retune.core.params import parameters
from retune.tools.experiments.experiments import (
    FOLD,
    FOLDER,
    MODEL,
    SEED,
    Experiment,
    HydraValue,
    load_experiment,
)

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_LARGEST_SEED = 2**32 - 1  # numpy's limit, the narrowest of the generators
_FOLDS = range(2, 101)
_LONG = 40  # characters; a table has 80 columns

Axis = list[tuple[str, HydraValue]]


def planned(
    words: Sequence[str],
    seeds: str | None = None,
    folder: Path = FOLDER,
    seed_param: str = SEED,
    folds: int | None = None,
) -> list[Experiment]:
    """Return the experiments of a command line: presets and a grid, in each fold, with each seed.

    Args:
        words: names of experiments, and assignments for `grid`.
        seeds: such as `1,2,3`, to run each experiment once with each of them.
        folder: of the named experiments.
        seed_param: the dotted name of the seed.
        folds: to run each experiment in each of so many folds of the data.
    """
    assignments = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word]
    named = [load_experiment(name, folder) for name in names]
    experiments = [*named, *grid(assignments)]
    if folds is not None:
        experiments = in_folds(experiments, folds)
    if seeds is None:
        return experiments
    if any(word.partition("=")[0].strip() == seed_param for word in assignments):
        raise RetuneError(f"{seed_param}=... and --seeds both set the seeds; give only one of them")
    return seeded(experiments, parse_seeds(seeds), seed_param)


def seed_of(params: Path) -> str:
    """Return the dotted name of the one seed that all trainings of a params file share.

    Raises:
        RetuneError: there is none, because a list of seeds is trained with in every run.
    """
    names = [name for name in parameters(params) if name.count(".") == 1]
    found = [name for name in names if name.endswith(".seed")]
    if found:
        return found[0]
    lists = [name for name in names if name.endswith(".seeds")]
    if not lists:
        raise RetuneError(f"{params}: there is no seed; leave out --seeds")
    raise RetuneError(
        f"--seeds: every run trains with each of `{lists[0]}` in {params}, and its figures have "
        f"95 % intervals already; leave out --seeds, or give '{lists[0]}=[1,2,3]'"
    )


def parse_seeds(text: str) -> list[int]:
    """Read distinct seeds, such as `1,2,3`, each from 0 to 2^32-1."""
    seeds = []
    for word in map(str.strip, text.split(",")):
        if not re.fullmatch(r"[0-9]+", word) or int(word) > _LARGEST_SEED:
            raise RetuneError(
                f"seeds {text!r}: {excerpt(word)} is not a seed; give whole numbers from 0 to "
                f"{_LARGEST_SEED}, separated by commas"
            )
        if int(word) in seeds:
            raise RetuneError(
                f"seeds {text!r}: {int(word)} is given twice; a repeated run says nothing "
                "about seed noise, so give each seed once"
            )
        seeds.append(int(word))
    return seeds


def seeded(
    experiments: Sequence[Experiment], seeds: Sequence[int], seed_param: str = SEED
) -> list[Experiment]:
    """Return each experiment with each seed, named `NAME-seed=1`."""
    return [
        Experiment(
            f"{experiment.name}-seed={seed}",
            {**experiment.changes, seed_param: seed},
            experiment.swept,
        )
        for experiment in experiments
        for seed in seeds
    ]


def in_folds(experiments: Sequence[Experiment], folds: int) -> list[Experiment]:
    """Return each experiment in each fold, named `NAME-fold=1of5`.

    Raises:
        RetuneError: an experiment has a fold already.
    """
    if any(FOLD in experiment.changes for experiment in experiments):
        raise RetuneError(f"{FOLD} and --folds both set the fold; give only one of them")
    return [
        Experiment(
            f"{experiment.name}-fold={fold}of{folds}",
            {**experiment.changes, FOLD: f"{fold}/{folds}"},
            experiment.swept,
        )
        for experiment in experiments
        for fold in range(1, folds + 1)
    ]


def parse_folds(text: str, params: Path) -> int:
    """Read a number of folds, for a pipeline with a params file that may set one."""
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or int(text) not in _FOLDS:
        raise RetuneError(
            f"--folds {text}: expected a whole number from {_FOLDS[0]} to {_FOLDS[-1]}"
        )
    if FOLD not in parameters(params):
        raise RetuneError(f"--folds: {params} has no {FOLD}; leave out --folds")
    return int(text)


def grid(assignments: Sequence[str]) -> list[Experiment]:
    """Return every combination of assignments such as `qa.model=bert,lstm` and `qa.seed=1,2`.

    Values are in the grammar of `dvc exp run -S`: commas between values, `[a,b]` for a list,
    quotes around a text with special characters. An experiment is named after its values:
    `lstm-seed=1`. A long name leaves out keys with one value, except `qa.model`.

    Raises:
        RetuneError: an assignment cannot be parsed, or a key or a value is given twice.
    """
    axes = [_axis(assignment) for assignment in assignments]
    _refuse_repeated([axis[0][0] for axis in axes], assignments)
    points = [point for point in itertools.product(*axes) if point]
    varied = {axis[0][0] for axis in axes if len(axis) > 1} | {MODEL}
    long = any(len(_name(point)) > _LONG for point in points)
    return [
        Experiment(
            _name([pair for pair in point if not long or pair[0] in varied] or point),
            dict(point),
            frozenset(key for key, _ in point),
        )
        for point in points
    ]


def python_value(value: Any) -> Any:
    """Return the value that DVC writes to the params file for a value of an experiment."""
    if not isinstance(value, HydraValue):
        return value
    parsed: Any = _parse(f"key={value}").value()
    return getattr(parsed, "text", parsed)  # of a quoted text


def _axis(assignment: str) -> Axis:
    """Return the key of an assignment with each of its values."""
    key, _, text = assignment.partition("=")
    key, text = key.strip(), text.strip()
    if not key or not text or "" in map(str.strip, text.split(",")):
        raise RetuneError(f"{assignment!r}: expected key=value or key=value,value")
    values = list(map(str, parse_seeds(text))) if key == SEED else _values(assignment, text)
    if len({repr(python_value(HydraValue(value))) for value in values}) < len(values):
        raise RetuneError(f"{assignment!r}: a value is given twice; once is enough")
    return [(key, HydraValue(value)) for value in values]


def _values(assignment: str, text: str) -> list[str]:
    """Return the values of an assignment, as typed unless Hydra computes them."""
    try:
        override = _parse(f"key={text}")
    except ValueError as error:
        raise RetuneError(
            f"{assignment!r}: {error}; values are parsed as by `dvc exp run -S`, so put quotes "
            f"around text with special characters: {assignment.partition('=')[0]}=\"'...'\""
        ) from None
    if not override.is_sweep_override():
        return [text]
    computed = list(override.sweep_string_iterator())
    typed = [value.strip() for value in text.split(",")]
    return typed if len(typed) == len(computed) else computed


def _parse(override: str) -> "Override":
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise ValueError(str(error).splitlines()[0]) from None


def _refuse_repeated(keys: Sequence[str], assignments: Sequence[str]) -> None:
    for key, count in Counter(keys).items():
        if count > 1:
            given = [word for word, other in zip(assignments, keys, strict=True) if other == key]
            raise RetuneError(
                f"{key} is given {count} times: {', '.join(given)}; give each key once, with "
                f"commas between its values: {key}=VALUE,VALUE"
            )


def _name(point: Sequence[tuple[str, str]]) -> str:
    return "-".join(itertools.starmap(_name_part, point))


def _name_part(key: str, value: str) -> str:
    plain = value.strip("[]{}'\"")
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", plain) or "empty"
    return text if key == MODEL else f"{key.rpartition('.')[2]}={text}"
