"""dvc.lock of a pipeline: params, versions and file hashes of the last run."""

import hashlib
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from ruamel.yaml.resolver import Resolver

from retune.core.errors import RetuneError, excerpt
from retune.core.yaml_files import flatten
from retune.tools.project.contents import Workspace

VERSIONS = "versions.yaml"
PARAMS = "params.yaml"


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


def outdated_stages(
    stages: Mapping[str, Any], params: Mapping[str, Any] | None = None
) -> frozenset[str]:
    """Return the stages whose outs are not made of what the lock now has.

    A run that ends early (`dvc repro train`) leaves the outs of later stages as they were.

    Args:
        stages: of a lock, by name.
        params: what is in params.yaml, by dotted name; without it, only files are compared.

    Raises:
        RetuneError: stages depend on each other in a circle.
    """
    made = {path: md5 for stage in stages.values() for path, md5 in outs_of(stage).items()}
    before = _makers(stages)
    try:
        order = [*TopologicalSorter(before).static_order()]
    except CycleError as error:
        raise RetuneError(
            f"dvc.lock: stages depend on each other in a circle: {', '.join(error.args[1])}; "
            "`git checkout HEAD -- dvc.lock`"
        ) from None
    outdated: set[str] = set()
    for name in order:
        stage = stages[name]
        if (
            any(made.get(path, md5) != md5 for path, md5 in sums_of(stage).items())
            or before[name] & outdated
            or (params is not None and _reads_others(stage, params))
        ):
            outdated.add(name)
    return frozenset(outdated)


def outs_of_all(stages: Mapping[str, Any], names: Iterable[str]) -> frozenset[str]:
    """Return the paths of the outs of the stages with these names."""
    return frozenset(path for name in names for path in outs_of(stages[name]))


def _makers(stages: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return for each stage the other stages whose outs overlap its deps."""
    # A stage that was renamed may still be there; the last one that names an out counts.
    makers = {
        _with_folders(path): name for name, stage in stages.items() for path in outs_of(stage)
    }
    made_by, within = dict[str, str](), defaultdict[str, set[str]](set)
    for (out, *folders), name in makers.items():
        made_by[out] = name
        for folder in folders:
            within[folder].add(name)
    found = {name: set[str]() for name in stages}
    for name, stage in stages.items():
        for dep, *folders in map(_with_folders, sums_of(stage)):
            found[name] |= within[dep]
            found[name] |= {made_by[path] for path in (dep, *folders) if path in made_by}
        found[name].discard(name)
    return found


def _with_folders(path: str) -> tuple[str, ...]:
    """Return a path and the folders that it is in, in one form (DVC keeps `data/`)."""
    place = PurePosixPath(path)
    return str(place), *map(str, place.parents)


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

    def params(self, file: str, without: Container[str] = ()) -> dict[str, Any]:
        """Return what the last run read of a params file, by dotted name.

        Args:
            file: its name.
            without: stages that are left out.
        """
        found: dict[str, Any] = {}
        for stage in (stage for name, stage in self.stages.items() if name not in without):
            for path, read in stage.get("params", {}).items():
                if PurePosixPath(path).name == file:
                    found |= read
        return found

    def changed(self) -> list[str]:
        """Return the code and the figures that changed since the last run: files and folders."""
        workspace = Workspace(self.folder)
        entries = {str(entry["path"]): entry for entry in self._entries() if "md5" in entry}
        # Data is often absent, and the report does not show it.
        return [
            path
            for path, entry in entries.items()
            if not path.startswith("data/") and workspace.differs(path, entry)
        ]

    def _entries(self) -> Iterator[Mapping[str, Any]]:
        for stage in self.stages.values():
            yield from (*stage.get("deps", ()), *stage.get("outs", ()))


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
