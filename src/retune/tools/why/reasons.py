"""The reasons for which DVC would run each stage of a graph again."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from retune.core.errors import RetuneError, listed
from retune.core.yaml_files import load_yaml
from retune.tools.project.cache import Cache
from retune.tools.project.contents import ITSELF, Workspace
from retune.tools.project.graph import entries, joined, read_stages
from retune.tools.project.locks import VERSIONS, Lock
from retune.tools.why.history import History
from retune.tools.why.settings import GONE, changes

SAME, RESTORE, MAY, RUN = "up to date", "outputs missing", "may run again", "would run again"
_LOCK = "dvc.lock"
_MOST_FILES = 12
_PLAIN = re.compile(r"(?!(?:true|false|null)$)[A-Za-z_./][\w./@-]*", re.IGNORECASE)


@dataclass(frozen=True)
class Reason:
    """One reason to run a stage again.

    Attributes:
        kind: `never`, `command`, `listed`, `param`, `files`, `library`, `data`, `upstream`,
            `output` or `restore`. An `upstream` stage may write the same bytes again; the DVC
            cache has the outputs that `restore` names.
        subject: the param, library or path.
        text: the reason as a line.
        details: more about the reason, for programs.
    """

    kind: str
    subject: str
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Stage:
    """A stage in dvc.yaml and dvc.lock; paths are relative to the project's top."""

    base: PurePosixPath
    body: Mapping[str, Any]
    locked: Mapping[str, Any]

    def paths(self, *kinds: str) -> list[str]:
        """Return the paths that dvc.yaml lists."""
        found = [path for kind in kinds for path, _ in entries(self.body.get(kind))]
        return list(dict.fromkeys(joined(self.base, path) for path in found))

    def recorded(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the entries of `deps` or `outs` in dvc.lock, by path."""
        return {
            joined(self.base, str(entry["path"])): entry
            for entry in self.locked.get(kind, ())
            if "md5" in entry
        }


class Graph:
    """The stages of a DVC project and the reasons to run each of them again.

    Args:
        root: the project's top.
        history: git's commits, to find the changed files of a folder; None without git.

    Raises:
        RetuneError: dvc.yaml, dvc.lock or a params file cannot be read.
    """

    def __init__(self, root: Path, history: History | None) -> None:
        self._root, self._history = root, history
        self._workspace, self._cache = Workspace(root), Cache(root)
        lock = Lock(root, "")
        self._lock = lock.stages if lock.there else {}
        self.stages = {name: self._stage(name, body) for name, body in read_stages(root).items()}
        self._reasons: dict[str, list[Reason] | None] = {}
        self._params = cache(lambda path: load_yaml(root / path))
        self._files: dict[tuple[str, str], Reason] = {}

    def reasons(self, name: str) -> list[Reason]:
        """Return why DVC would run this stage; nothing if it is up to date."""
        if name not in self._reasons:
            self._reasons[name] = None
            self._reasons[name] = list(self._found(name, self.stages[name]))
        found = self._reasons[name]
        if found is None:
            raise RetuneError(f"dvc.yaml: stage `{name}` needs its own output; correct its `deps`")
        return found

    def verdict(self, name: str) -> str:
        """Return what `dvc repro` would do with a stage."""
        kinds = {reason.kind for reason in self.reasons(name)}
        if kinds <= {"restore"}:
            return RESTORE if kinds else SAME
        return MAY if kinds <= {"restore", "upstream"} else RUN

    def _stage(self, name: str, body: Mapping[str, Any]) -> _Stage:
        base = PurePosixPath(str(body.get("wdir", ".")))
        return _Stage(base, body, self._lock.get(name, {}))

    def _found(self, name: str, stage: _Stage) -> Iterator[Reason]:
        if not stage.locked:
            yield Reason("never", _LOCK, f"it has never run: {_LOCK} has no entry for it")
            return
        yield from _command(stage)
        yield from _settings(stage, self._params)
        yield from self._deps(name, stage)
        yield from self._outs(stage)

    def _deps(self, name: str, stage: _Stage) -> Iterator[Reason]:
        recorded = stage.recorded("deps")
        for path in stage.paths("deps"):
            makers = [maker for maker in self._makers(path) if maker != name]
            if path not in recorded:
                yield Reason("listed", path, f"{path}: new in its `deps` in dvc.yaml")
            elif makers:
                yield from self._data(path, recorded[path], makers)
            elif state := self._workspace.differs(path, recorded[path]):
                yield self._changed(path, str(recorded[path]["md5"]), state)

    def _data(self, path: str, entry: Mapping[str, Any], makers: list[str]) -> Iterator[Reason]:
        """Yield reasons about a path that other stages write."""
        running = [maker for maker in makers if self.verdict(maker) in (MAY, RUN)]
        if running:
            certain = any(self.verdict(maker) == RUN for maker in running)
            text = f"{path}: {listed(running, 3)} {'would' if certain else 'may'} run first"
            yield Reason("upstream", path, text, {"stages": running})
            return
        written = self.stages[makers[0]].recorded("outs").get(path)
        if written and written["md5"] != entry["md5"]:
            text = f"{path}: {makers[0]} has written it again since"
            yield Reason("data", path, text, {"stages": makers})
        elif not written and self._workspace.differs(path, entry) == "changed":
            yield Reason("data", path, f"{path}: changed since the last run", {"stages": makers})

    def _outs(self, stage: _Stage) -> Iterator[Reason]:
        recorded = stage.recorded("outs")
        for path in stage.paths("outs", "metrics", "plots"):
            if path not in recorded:
                yield Reason("listed", path, f"{path}: new in its outputs in dvc.yaml")
                continue
            md5 = str(recorded[path]["md5"])
            state = self._workspace.differs(path, recorded[path])
            if state == "missing" and self._cache.has(md5):
                text = f"{path}: missing; `dvc checkout` restores it"
                yield Reason("restore", path, text)
            elif state == "missing":
                yield Reason("output", path, f"{path}: missing, and not in DVC's cache")
            elif state:
                yield Reason("output", path, f"{path}: changed since the stage wrote it")

    def _changed(self, path: str, md5: str, state: str) -> Reason:
        """Return the reason for a changed file or folder that no stage writes, found once."""
        if (path, md5) not in self._files:
            details = self._compared(path, md5) if state == "changed" else {"state": state}
            text = f"{path}: {_files_text(details)}"
            self._files[path, md5] = Reason("files", path, text, details)
        return self._files[path, md5]

    def _compared(self, path: str, md5: str) -> dict[str, Any]:
        """Return the differences from the commit to which dvc.lock belongs."""
        if self._history is None:
            return {"state": "changed; git is needed to find the files"}
        if not self._history.commits(path):
            return {"state": "changed since the last run; git has no version of it"}
        ignores = self._workspace.ignores
        if found := self._history.find(path, md5, ignores):
            return {"since": found[0], **_split(found[1], self._workspace.sums(path))}
        commit = self._history.commit_of(md5, _LOCK) or ""
        then = self._history.sums(commit, path, ignores)
        return {"near": commit, **_split(then, self._workspace.sums(path))}

    def _makers(self, path: str) -> list[str]:
        """Return the stages that write a path, a folder around it, or something in it."""
        places = (path, *(str(parent) for parent in PurePosixPath(path).parents))
        around = [self._writers[place] for place in places if place in self._writers]
        return around or self._writers_below.get(path, [])

    @cached_property
    def _writers(self) -> dict[str, str]:
        """Map each output to the stage that writes it."""
        return {
            path: name
            for name, stage in self.stages.items()
            for path in stage.paths("outs", "metrics", "plots")
        }

    @cached_property
    def _writers_below(self) -> dict[str, list[str]]:
        """Map each folder to the stages that write something in it."""
        found: dict[str, list[str]] = {}
        for path, name in self._writers.items():
            for parent in PurePosixPath(path).parents:
                found.setdefault(str(parent), []).append(name)
        return {parent: list(dict.fromkeys(names)) for parent, names in found.items()}


def _command(stage: _Stage) -> Iterator[Reason]:
    old, new = stage.locked.get("cmd"), stage.body.get("cmd")
    if old != new:
        text = f"command: {shown(old)} -> {shown(new)}"
        yield Reason("command", "command", text, {"old": old, "new": new})


def _settings(stage: _Stage, read: Callable[[str], dict[str, Any]]) -> Iterator[Reason]:
    """Yield changed params, then changed libraries."""
    found, libraries = list[Reason](), list[Reason]()
    locked = stage.locked.get("params", {})
    for file, name, old, new in changes(read, stage.base, stage.body.get("params"), locked):
        details = {key: v for key, v in (("old", old), ("new", new)) if v is not GONE}
        is_library = PurePosixPath(file).name == VERSIONS
        if old is GONE:
            change = f"new, {shown(new)}"
        else:
            change = f"{shown(old)} -> {'gone' if new is GONE else shown(new)}"
        if is_library:
            libraries.append(Reason("library", name, f"{name} {change}", details))
        else:
            found.append(Reason("param", name, f"{name}: {change}", {"file": file, **details}))
    yield from (*found, *libraries)


def shown(value: Any) -> str:
    """Return a value as in YAML, shortened."""
    if isinstance(value, str) and (_PLAIN.fullmatch(value) or " " in value.strip()):
        return value if len(value) <= 200 else value[:197] + "..."
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+){2,}\S*", value):  # a version
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def _split(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        "changed": [name for name in now if name in then and now[name] != then[name]],
        "added": sorted(now.keys() - then.keys()),
        "removed": sorted(then.keys() - now.keys()),
    }


def _files_text(details: Mapping[str, Any]) -> str:
    if "state" in details:
        return str(details["state"])
    parts = [
        f"{listed([name for name in details[what] if name != ITSELF], _MOST_FILES)} {what}".strip()
        for what in ("changed", "added", "removed")
        if details[what]
    ]
    files = ", ".join(parts)
    if since := details.get("since"):
        return f"{files} since {since}"
    if not details["near"]:
        return "changed since the last run; git has no commit yet"
    known = f"{files} since {details['near']}, the commit of its sum in {_LOCK}"
    return (
        f"no commit has the files of the last run; {known if files else 'git ignores what differs'}"
    )
