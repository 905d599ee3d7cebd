"""Check that each swept parameter changes something: stages read it, and a variant uses it."""

import contextlib
import difflib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.core.params import load_yaml, parameters
from retune.preflight.validation import PARAMS, Reading, problems_of, read_params, unknown_sections
from retune.tools.experiments.experiments import Experiment
from retune.tools.experiments.grid import python_value
from retune.tools.project.yaml_editor import set_values

_VARIANTS = "variants."


def require_effects(
    folder: Path, experiments: Sequence[Experiment], stages: Sequence[str] = ()
) -> list[str]:
    """Check every experiment before any runs; return notes on keys that some variants ignore.

    Args:
        folder: of the pipeline's `dvc.yaml` and `params.yaml`.
        experiments: what is to run.
        stages: the only ones that run, and what they need; all without any.

    Raises:
        RetuneError: with every problem: an unknown key, a value that a stage refuses, a swept key
            that no stage reads or that every variant overrides.
    """
    problems, notes = _unknown_keys(folder / PARAMS, experiments), []
    for experiment in experiments if not problems else ():
        with changed_params(folder, experiment) as changed:
            readings = read_params(folder, changed)
            unknown = unknown_sections(readings, folder, changed)
            values = load_yaml(changed)
        wrong = problems_of(readings)
        for key in sorted(experiment.swept) if readings and not wrong else ():
            faults, remarks = _effect(key, readings, values, stages)
            wrong += faults
            notes += remarks
        wrong = list(dict.fromkeys([*unknown, *wrong]))
        problems += [f"experiment {experiment.name}: {problem}" for problem in wrong]
    if problems:
        raise RetuneError("\n".join(problems))
    return list(dict.fromkeys(notes))


@contextlib.contextmanager
def changed_params(folder: Path, experiment: Experiment) -> Iterator[Path]:
    """Yield a copy of the params of `folder` with the changes of an experiment.

    Raises:
        RetuneError: the params have no such key.
    """
    with TemporaryDirectory(prefix="retune-params-") as top:
        path = Path(top) / PARAMS
        shutil.copy(folder / PARAMS, path)
        try:
            set_values(path, {k: python_value(v) for k, v in experiment.changes.items()})
        except RetuneError as error:
            raise RetuneError(f"experiment {experiment.name}: {error}") from None
        yield path


def _unknown_keys(params: Path, experiments: Sequence[Experiment]) -> list[str]:
    """Return a problem for each swept key that is not in the params file."""
    leaves = list(parameters(params))
    known = {*leaves, *(".".join(key.split(".")[:n]) for key in leaves for n in range(1, 9))}
    swept = sorted({key for experiment in experiments for key in experiment.swept})
    return [
        f"{params}: {key}: unknown key{_nearest(key, sorted(known))}"
        for key in swept
        if key not in known
    ]


def _nearest(key: str, known: Sequence[str]) -> str:
    ends = [name for name in known if name.endswith(f".{key}")]
    near = ends[:1] or difflib.get_close_matches(key, known, n=1)
    return f", did you mean `{near[0]}`?" if near else ""


def _effect(
    key: str, readings: Sequence[Reading], values: Mapping[str, Any], stages: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the problems with a swept key, and remarks on it."""
    reading = [one for one in _running(readings, stages) if _reads(one, key)]
    if not reading:
        return [f"{key} has no effect: {_why(key, readings)}"], []
    losing = {one.variant for one in reading if one.variant and _overrides(values, one, key)}
    winning = {one.variant for one in reading} - losing
    if not losing:
        return [], []
    keys = [f"{_VARIANTS}{name}.{key.partition('.')[2]}" for name in sorted(filter(None, losing))]
    if not winning:
        return [f"{key} has no effect: the variants have values of their own; {_instead(keys)}"], []
    return [], [f"{key} does not change every variant: {listed(keys)} take its place"]


def _instead(keys: Sequence[str]) -> str:
    return f"give {keys[0]}" if len(keys) == 1 else f"give one of {listed(list(keys))}"


def _running(readings: Sequence[Reading], stages: Sequence[str]) -> list[Reading]:
    """Return the readings of the chosen stages' variants, or all if a stage has no variant."""
    variants = {reading.variant for reading in readings if reading.variant}
    chosen = {_variant_of(stage, variants) for stage in stages}
    if not stages or None in chosen:
        return list(readings)
    return [reading for reading in readings if reading.variant in {None, *chosen}]


def _variant_of(stage: str, variants: set[str]) -> str | None:
    """Return the variant in the name of a stage, such as `train@lstm-1234`."""
    end = stage.partition("@")[2]
    fitting = [name for name in variants if end == name or end.startswith(f"{name}-")]
    return max(fitting, key=len, default=None)


def _reads(reading: Reading, key: str) -> bool:
    if key.startswith(_VARIANTS):
        _, _, rest = key.partition(_VARIANTS)
        name, _, inside = rest.partition(".")
        tasks = {section.partition(".")[0] for section in reading.sections}
        if reading.variant != name:
            return False
        return not inside or any(_reads(reading, f"{task}.{inside}") for task in tasks)
    sections = [f"{section}." for section in reading.sections]
    return any(f"{key}.".startswith(s) or s.startswith(f"{key}.") for s in sections)


def _overrides(values: Mapping[str, Any], reading: Reading, key: str) -> bool:
    """Return whether the variant of a reading overrides `key`."""
    if key.startswith(_VARIANTS):
        return False
    value: Any = values.get("variants", {}).get(reading.variant)
    for part in key.split(".")[1:]:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return not isinstance(value, dict)


def _why(key: str, readings: Sequence[Reading]) -> str:
    for sections, chosen, name in _choices(readings):
        wanted = key.removeprefix(f"{sections}.").partition(".")[0]
        if key.startswith(f"{sections}.") and wanted != chosen:
            return f"{name} is {chosen}; give {name}={wanted} with it"
    return "no stage that runs reads it"


def _choices(readings: Sequence[Reading]) -> Iterator[tuple[str, str, str]]:
    """Yield each choice of a module: the parent section, the chosen module, the param."""
    for reading in readings:
        for section in reading.sections:
            parent, _, child = section.rpartition(".")
            for name, chosen in reading.sections.items():
                if chosen == child and name.rpartition(".")[0] == parent.rpartition(".")[0]:
                    yield parent, child, name
