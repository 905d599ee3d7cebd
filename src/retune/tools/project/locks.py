"""dvc.lock of a pipeline: params, versions and file hashes of the last run."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from ruamel.yaml.resolver import Resolver

from retune.core.errors import RetuneError, excerpt
from retune.core.yaml_files import flatten

VERSIONS = "versions.yaml"
PARAMS = "params.yaml"
_LARGEST = 2**24  # bytes of a file that is summed; code and figures are smaller


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's C parser with ruamel's rules for scalars, which DVC uses."""

    # Locks are long: ruamel takes a second longer for the longest one.
    yaml_implicit_resolvers = Resolver.yaml_implicit_resolvers

    def get_single_node(self) -> yaml.Node | None:
        """Compose the document; reject aliases, because a few can stand for billions of nodes."""
        root: yaml.Node | None = super().get_single_node()
        open_, seen = [root] if root else [], set[int]()
        while open_:
            node = open_.pop()
            if id(node) in seen:
                raise yaml.YAMLError("it has an alias (`*name`), which DVC never writes")
            seen.add(id(node))
            match node:
                case yaml.MappingNode():
                    open_ += chain(*node.value)
                case yaml.SequenceNode():
                    open_ += node.value
        return root


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    """Return an integer by the rules of YAML 1.2: `010` is 10, `0o10` is 8."""
    digits = str(loader.construct_scalar(node)).replace("_", "")
    return int(digits, 10 if digits.lstrip("+-").isdigit() else 0)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def parse(text: str) -> Any:
    """Parse YAML with the values that DVC sees, ten times faster than `checked_yaml.parse`.

    Raises:
        yaml.YAMLError: the text is not YAML, or has aliases.
    """
    return yaml.load(text, Loader=_Loader)


def sums_of(stage: Mapping[str, Any]) -> dict[str, str]:
    """Return the MD5 of each dep of a stage, by path."""
    return {str(dep.get("path")): str(dep.get("md5")) for dep in stage.get("deps", ())}


def outs_of(stage: Mapping[str, Any]) -> dict[str, str]:
    """Return the MD5 of each out of a stage, by path."""
    return {str(out.get("path")): str(out.get("md5")) for out in stage.get("outs", ())}


def outdated_outs(
    stages: Mapping[str, Any], params: Mapping[str, Any] | None = None
) -> frozenset[str]:
    """Return the paths of outs that are not made of what the lock now has.

    A run that ends early (`dvc repro train`) leaves the outs of later stages as they were.

    Args:
        stages: of a lock, by name.
        params: what is in params.yaml, by dotted name; without it, only files are compared.
    """
    made = {path: md5 for stage in stages.values() for path, md5 in outs_of(stage).items()}
    outdated: set[str] = set()
    for stage in _in_order(stages):
        deps = sums_of(stage)
        if (
            any(made.get(path, md5) != md5 for path, md5 in deps.items())
            or any(PurePosixPath(out).is_relative_to(dep) for out in outdated for dep in deps)
            or (params is not None and _reads_others(stage, params))
        ):
            outdated.update(outs_of(stage))
    return frozenset(outdated)


def _in_order(stages: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return stages after those that make their deps."""
    makers = {path: name for name, stage in stages.items() for path in outs_of(stage)}
    before = {
        name: {
            maker
            for path, maker in makers.items()
            for dep in sums_of(stage)
            if maker != name and PurePosixPath(path).is_relative_to(dep)
        }
        for name, stage in stages.items()
    }
    return [stages[name] for name in TopologicalSorter(before).static_order()]


def _reads_others(stage: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Return whether a stage read other values of params.yaml than those in `params`."""
    read = stage.get("params", {}).get(PARAMS, {})
    present = {
        name: value
        for name, value in params.items()
        if any(name == key or name.startswith(f"{key}.") for key in read)
    }
    return dict(flatten(read)) != present


class Lock:
    """dvc.lock of one pipeline, read on first use.

    Args:
        root: the project's top.
        folder: of the pipeline, from there.
    """

    def __init__(self, root: Path, folder: str) -> None:
        self.root, self.folder = root, root / folder
        self.name = f"{folder}/dvc.lock".lstrip("/")

    @property
    def there(self) -> bool:
        """Whether the file exists."""
        return (self.root / self.name).is_file()

    @property
    def sha256(self) -> str:
        """The file's SHA-256."""
        return hashlib.sha256((self.root / self.name).read_bytes()).hexdigest()

    @cached_property
    def stages(self) -> dict[str, Any]:
        """The stages by name.

        Raises:
            RetuneError: it cannot be read, or has none.
        """
        try:
            text = (self.root / self.name).read_text(encoding="utf-8")
            value = parse(text)
        except FileNotFoundError:
            raise RetuneError(f"{self.name}: no such file; `dvc repro` writes it") from None
        except (yaml.YAMLError, AttributeError, LookupError, RecursionError, ValueError) as error:
            raise RetuneError(
                f"{self.name}: {' '.join(str(error).split())}; `git checkout HEAD -- {self.name}`"
            ) from None
        stages = value.get("stages") if isinstance(value, dict) else value
        if not isinstance(stages, dict) or not all(map(_is_stage, stages.values())):
            raise RetuneError(
                f"{self.name}: expected `stages:` as DVC writes them, got {excerpt(stages)}; "
                f"`git checkout HEAD -- {self.name}`"
            )
        return stages

    def params(self, file: str) -> dict[str, Any]:
        """Return what the last run read of the params file of this name, by dotted name."""
        found: dict[str, Any] = {}
        for stage in self.stages.values():
            for path, read in stage.get("params", {}).items():
                if PurePosixPath(path).name == file:
                    found |= read
        return found

    def changed(self) -> list[str]:
        """Return the files of code and figures that changed since the last run."""
        return [path for path, md5 in self._sums() if not self._is(path, md5)]

    def _sums(self) -> Iterator[tuple[str, str]]:
        seen: dict[str, str] = {}
        for stage in self.stages.values():
            for entry in (*stage.get("deps", ()), *stage.get("outs", ())):
                if str(entry.get("md5", ".dir")).endswith(".dir"):
                    continue
                seen[str(entry["path"])] = str(entry["md5"])
        # Data is often absent, and the report does not show it.
        yield from ((path, md5) for path, md5 in seen.items() if not path.startswith("data/"))

    def _is(self, path: str, md5: str) -> bool:
        """Return whether a file, relative to the lock's folder, has this MD5."""
        file = self.folder / path
        if not file.is_file() or file.stat().st_size > _LARGEST:
            return file.is_file()
        return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() == md5


def _is_stage(value: Any) -> bool:
    """Return whether a value has the form of a stage in dvc.lock."""
    if not isinstance(value, dict) or not isinstance(value.get("params", {}), dict):
        return False
    files = (value.get("deps", []), value.get("outs", []))
    if not all(isinstance(entries, list) for entries in files):
        return False
    params_ = value.get("params", {}).values()
    return all(map(_is_entry, chain(*files))) and all(map(_has_names, params_))


def _is_entry(value: Any) -> bool:
    return isinstance(value, dict) and "path" in value


def _has_names(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)
