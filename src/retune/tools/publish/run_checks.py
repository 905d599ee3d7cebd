"""Whether a run may be published: its parts belong together, and git has them."""

from collections.abc import Sequence
from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.errors import RetuneError, listed
from retune.core.params import Params
from retune.core.yaml_files import flatten
from retune.tools.project.commands import git, uncommitted
from retune.tools.project.locks import Lock, outdated_stages, outs_of, sums_of


def require_parts(lock: Lock, params: Params, results: Path) -> Path:
    """Return the folder of test questions; refuse folders that do not belong together."""
    read = {name: params.value(name) for name in ("qa.checkpoint", "qa.model", "qa.squad_v2")}
    own = {kind: results / kind for kind in ("model", "logits", "predictions", "scores")}
    folder = params.path.parent
    windows = {"test_features": _read_beside(lock, folder, own["logits"], own["model"])}
    questions = {"raw": _read_beside(lock, folder, own["scores"], own["predictions"])}
    for reads in (
        {"model": own["model"], "logits": own["logits"]} | windows,
        {"logits": own["logits"], "predictions": own["predictions"]} | windows | questions,
        {"predictions": own["predictions"], "scores": own["scores"]} | questions,
    ):
        with sealed(read, reads=reads, writes={}):
            pass
    return questions["raw"]


def _read_beside(lock: Lock, pipeline: Path, written: Path, other: Path) -> Path:
    """Return the data that the maker of a folder reads besides another folder."""
    top = pipeline.resolve()
    out, known = (path.resolve().relative_to(top).as_posix() for path in (written, other))
    for stage in lock.stages.values():
        if out in outs_of(stage):
            data = [path for path in sums_of(stage) if path.startswith("data/") and path != known]
            if len(data) == 1:
                return pipeline / data[0]
    raise RetuneError(
        f"{lock.name}: no stage that writes {out} from {known} and test questions; run `dvc repro`"
    )


def require_current(lock: Lock, params: Params, model: Path) -> None:
    """Refuse metrics of other settings, code or data than those of the workspace."""
    written = makers(lock, params.path.parent, model.parent)
    outdated = written & outdated_stages(lock.stages, dict(flatten(params.values)))
    changed = lock.changed()
    if outdated or changed:
        raise RetuneError(
            f"{lock.name}: not of the present settings and code "
            f"({listed(sorted([*outdated, *changed]))}); run `dvc repro`, and commit"
        )


def require_committed(top: Path, files: Sequence[Path]) -> None:
    """Refuse files that differ from the last commit, and `files` that are in none."""
    names = [path.resolve().relative_to(top.resolve()).as_posix() for path in files]
    tracked = git(top, "ls-files", "-z", "--", *names).split("\0")
    if changed := [*uncommitted(top), *sorted({*names} - {*tracked})]:
        raise RetuneError(
            f"changed since the last commit, which the model card names: {listed(changed)}; "
            "commit the run first"
        )


def makers(lock: Lock, pipeline: Path, results: Path) -> set[str]:
    """Return the stages of a lock that write into the folder of a run."""
    place = results.resolve().relative_to(pipeline.resolve()).as_posix()
    return {
        name
        for name, stage in lock.stages.items()
        if any(path.startswith(f"{place}/") for path in outs_of(stage))
    }
