"""Inputs of a pipeline's last run: its graph, its params and its lock."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from retune.core.errors import RetuneError
from retune.core.params import load_yaml
from retune.tools.project.graph import read_stages
from retune.tools.project.locks import PARAMS, Lock

NAME = "claims.yaml"
_DATA = "raw"
#: Keys that name a row of a list, for a claim's `values`.
_ROW_NAMES = ("name", "split", "group", "recipe", "score", "seed")


class Project:
    """The graph, params and lock of the main pipeline, each read on first use."""

    def __init__(self, root: Path, folder: str = "") -> None:
        self.root, self.folder, self.lock = root, root / folder, Lock(root, folder)
        self._sisters: dict[str, Sister] = {}

    def sister(self, folder: str) -> "Sister":
        """Return a sister pipeline by its folder; the same one each time."""
        return self._sisters.setdefault(folder, Sister(self.root, folder))

    @cached_property
    def params(self) -> dict[str, Any]:
        """params.yaml."""
        return load_yaml(self.folder / PARAMS)

    def params_of(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return every param that a stage of dvc.yaml reads, after `changes` to params.yaml."""
        values = deepcopy(self.params)
        for key, value in changes.items():
            section, _, last = key.rpartition(".")
            value_at(values, section.split("."))[last] = value
        stages = read_stages(self.folder, values).values()
        entries = (entry for stage in stages for entry in stage.get("params", []))
        names = {entry for entry in entries if isinstance(entry, str)}  # mappings name other files
        return {name: value_at(values, name.split(".")) for name in names}

    def params_of_the_last_run(self) -> dict[str, Any]:
        """Return every param in dvc.lock."""
        return self.lock.params(PARAMS)

    def params_now(self) -> dict[str, Any]:
        """Return the present values of the params that stages read."""
        return self.params_of({})

    def outs(self) -> set[str]:
        """Return the outputs of its stages, as paths from the project's top."""
        written = {out["path"] for stage in self.lock.stages.values() for out in stage["outs"]}
        return {(self.folder / path).relative_to(self.root).as_posix() for path in written}

    def data_md5(self) -> str:
        """Return the hash of the download stage's output in dvc.lock."""
        for stage in self.lock.stages.values():
            for out in stage["outs"]:
                if PurePosixPath(out["path"]).name == _DATA:
                    return str(out["md5"])
        raise RetuneError(f"dvc.lock: no stage has written the folder {_DATA}; run `dvc repro`")


class Sister(Project):
    """A sister pipeline, whose stages run for several variants."""

    def params_of(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return all of params.yaml, because each variant reads other parts of it."""
        if changes:
            raise RetuneError(f"{NAME}: `changes` are for the main pipeline, not {self.folder}")
        return self.params

    def params_now(self) -> dict[str, Any]:
        """Return the present values of the params that dvc.lock records."""
        names = self.params_of_the_last_run()
        return {name: value_at(self.params, name.split(".")) for name in names}


def value_at(value: Any, keys: list[str], whole: str = "") -> Any:
    """Return the value at the place `keys`; rows of a list are named by `_ROW_NAMES`.

    Raises:
        RetuneError: there is no such place.
    """
    for key in filter(None, keys):
        if isinstance(value, list):
            rows = [row for row in value if key in (str(row.get(name)) for name in _ROW_NAMES)]
            value = {key: rows[0]} if len(rows) == 1 else {}
        if not isinstance(value, dict) or key not in value:
            raise RetuneError(f"{NAME}: {whole or '.'.join(keys)}: there is no {key}")
        value = value[key]
    return value
