"""What a pipeline was run with: its graph, its params and its lock, as they stand today."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, cast

from retune.core.errors import RetuneError
from retune.core.params import load_yaml

NAME = "claims.yaml"
_PARAMS = "params.yaml"
_DATA = "raw"
#: Keys that name a row of a list, for `Claim.values`.
_ROW_NAMES = ("name", "split", "group", "recipe", "score")


class Project:
    """The files that say what was run: read once, when they are needed."""

    def __init__(self, root: Path, folder: str = "") -> None:
        self.root, self.folder = root, root / folder

    @cached_property
    def stages(self) -> dict[str, Any]:
        """The stages of dvc.yaml."""
        return cast(dict[str, Any], load_yaml(self.folder / "dvc.yaml")["stages"])

    @cached_property
    def params(self) -> dict[str, Any]:
        """params.yaml."""
        return load_yaml(self.folder / _PARAMS)

    @cached_property
    def lock(self) -> dict[str, Any]:
        """The stages of dvc.lock."""
        return cast(dict[str, Any], load_yaml(self.folder / "dvc.lock")["stages"])

    def params_of(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Every param that a stage of dvc.yaml reads, with `changes` made to params.yaml."""
        values = deepcopy(self.params)
        for key, value in changes.items():
            section, _, last = key.rpartition(".")
            value_at(values, section.split("."))[last] = value
        entries = (entry for stage in self.stages.values() for entry in stage.get("params", []))
        names = (entry for entry in entries if isinstance(entry, str))  # others: of other files
        resolved = {_resolved(name, values) for name in names}
        return {name: value_at(values, name.split(".")) for name in resolved}

    def params_of_the_last_run(self) -> dict[str, Any]:
        """Every param that dvc.lock names."""
        stages = self.lock.values()
        return {k: v for stage in stages for k, v in stage["params"].get(_PARAMS, {}).items()}

    def params_now(self) -> dict[str, Any]:
        """The same, as they stand in the file."""
        return self.params_of({})

    def outs(self) -> set[str]:
        """What its stages write, as paths from the project's top."""
        written = {out["path"] for stage in self.lock.values() for out in stage["outs"]}
        return {(self.folder / path).relative_to(self.root).as_posix() for path in written}

    def data_md5(self) -> str:
        """Return the hash of the download stage's output in dvc.lock."""
        for stage in self.lock.values():
            for out in stage["outs"]:
                if PurePosixPath(out["path"]).name == _DATA:
                    return str(out["md5"])
        raise RetuneError(f"dvc.lock: no stage has written the folder {_DATA}; run `dvc repro`")


class Sister(Project):
    """Likewise of the pipeline in another folder, whose stages stand for several methods."""

    def params_of(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The whole file: what a method reads of it is up to its `variants`."""
        if changes:
            raise RetuneError(f"{NAME}: `changes` are for the main pipeline, not {self.folder}")
        return self.params

    def params_now(self) -> dict[str, Any]:
        """The params that dvc.lock names, as they stand in the file."""
        names = self.params_of_the_last_run()
        return {name: value_at(self.params, name.split(".")) for name in names}


def value_at(value: Any, keys: list[str], whole: str = "") -> Any:
    """What stands at the place `keys`; a list's rows go by what names them.

    Raises:
        RetuneError: nothing does.
    """
    for key in filter(None, keys):
        if isinstance(value, list):
            rows = [row for row in value if key in (row.get(name) for name in _ROW_NAMES)]
            value = {key: rows[0]} if len(rows) == 1 else {}
        if not isinstance(value, dict) or key not in value:
            raise RetuneError(f"{NAME}: {whole or '.'.join(keys)}: there is no {key}")
        value = value[key]
    return value


def _resolved(name: str, values: Mapping[str, Any]) -> str:
    """A param's name with `${qa.model}` and the like filled in."""
    before, found, rest = name.partition("${")
    if not found:
        return name
    key, _, after = rest.partition("}")
    return _resolved(f"{before}{value_at(values, key.split('.'))}{after}", values)
