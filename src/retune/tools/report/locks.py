"""What dvc.lock says of the last run: params, versions, sums of files."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from ruamel.yaml.resolver import Resolver

from retune.core.errors import RetuneError, excerpt

VERSIONS = "versions.yaml"
PARAMS = "params.yaml"
_LARGEST = 2**24  # bytes of a file that is summed; code and figures are smaller


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """DVC's rules for scalars, which are ruamel's, with the parser in C."""

    # A lock is long: for sentiment's, ruamel takes over a second longer than this loader.
    yaml_implicit_resolvers = Resolver.yaml_implicit_resolvers

    def get_single_node(self) -> yaml.Node | None:
        """Compose the tree of the document, and refuse aliases: a few can stand for billions."""
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
    """An integer as YAML 1.2 has it: `010` is 10, `0o10` is 8."""
    digits = str(loader.construct_scalar(node)).replace("_", "")
    return int(digits, 10 if digits.lstrip("+-").isdigit() else 0)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


class Lock:
    """dvc.lock of one pipeline, read when it is needed.

    Args:
        root: the project's top.
        folder: of the pipeline, from there.
    """

    def __init__(self, root: Path, folder: str) -> None:
        self.root, self.folder = root, root / folder
        self.name = f"{folder}/dvc.lock".lstrip("/")

    @property
    def there(self) -> bool:
        """Whether anything has been run."""
        return (self.root / self.name).is_file()

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256((self.root / self.name).read_bytes()).hexdigest()

    @cached_property
    def stages(self) -> dict[str, Any]:
        """Its stages.

        Raises:
            RetuneError: it cannot be read, or has none.
        """
        try:
            text = (self.root / self.name).read_text(encoding="utf-8")
            value = yaml.load(text, Loader=_Loader)
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
        """What the last run read of the params file of this name, by dotted name."""
        found: dict[str, Any] = {}
        for stage in self.stages.values():
            for path, read in stage.get("params", {}).items():
                if PurePosixPath(path).name == file:
                    found |= read
        return found

    def changed(self) -> list[str]:
        """Files of code and figures that are not what they were in the last run."""
        return [path for path, md5 in self._sums() if not self._is(path, md5)]

    def _sums(self) -> Iterator[tuple[str, str]]:
        seen: dict[str, str] = {}
        for stage in self.stages.values():
            for entry in (*stage.get("deps", ()), *stage.get("outs", ())):
                if str(entry.get("md5", ".dir")).endswith(".dir"):
                    continue
                seen[str(entry["path"])] = str(entry["md5"])
        # Data is often absent, and is not what the report shows.
        yield from ((path, md5) for path, md5 in seen.items() if not path.startswith("data/"))

    def _is(self, path: str, md5: str) -> bool:
        """Whether a file has this sum; its path is from the lock's folder."""
        file = self.folder / path
        if not file.is_file() or file.stat().st_size > _LARGEST:
            return file.is_file()
        return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() == md5


def _is_stage(value: Any) -> bool:
    """Whether it has the form of a stage in a lock, as far as that is read here."""
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
