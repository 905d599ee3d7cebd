"""`retune publish`: write the folder, and upload it if asked to."""

import json
import shutil
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from retune import __version__
from retune.core import manifests
from retune.core.errors import RetuneError, excerpt, listed
from retune.core.files import atomic_path, sha256, write_json
from retune.core.terminal_text import escaped_json
from retune.inference.confidence import CALIBRATION
from retune.inference.published import NAME, PARAMS, Claim, Published, RunPlace, is_published
from retune.tasks.qa.score.score import QUESTIONS
from retune.tools.publish.card import QUESTIONS as PUBLISHED_QUESTIONS
from retune.tools.publish.card import Labels, write_card
from retune.tools.publish.checklist import write_checklist
from retune.tools.publish.croissant import own_files, write_croissant
from retune.tools.publish.eval_records import write_eval_results, write_record
from retune.tools.publish.published_run import PublishedRun, read_run
from retune.tools.publish.upload import upload

#: Sections of params.yaml that the run read. `datasets` may have addresses that are not public.
_SECTIONS = (
    "dataset", "model", "squad_v2", "seed", "checkpoint", "download", "tokenize", "train",
    "predict", "postprocess", "calibrate", "score",
)  # fmt: skip


def run(arguments: Namespace) -> int:
    """Write the folder and return 0.

    Raises:
        RetuneError: the run is incomplete, outdated or not committed, or the folder is another one.
    """
    out: Path = arguments.folder
    if out.exists() and not (out.is_dir() and (is_published(out) or not any(out.iterdir()))):
        raise RetuneError(
            f"{out}: not a published folder, so it is not replaced; give a new or empty folder"
        )
    labels = Labels(
        arguments.push or arguments.id, arguments.license, arguments.data_license,
        tuple(arguments.language),
        arguments.dataset_id, arguments.task_id, arguments.repository,
    )  # fmt: skip
    for name in filter(None, (labels.id, labels.dataset)):
        _require_id(name)
    published = read_run(arguments.model)
    with atomic_path(out) as folder:
        folder.mkdir(parents=True)
        left_out = write_folder(folder, published, labels)
    address = upload(out, arguments.push, private=arguments.private) if arguments.push else None
    facts = {"folder": str(out), "left_out": left_out, "address": address}
    if arguments.json:
        print(escaped_json(json.dumps(facts, indent=2)))
    else:
        print("\n".join(_sentences(out, published, left_out, address)))
    return 0


def write_folder(folder: Path, run: PublishedRun, labels: Labels) -> list[str]:
    """Write all files into an empty folder; return what was left out, and why."""
    reads = _write_model(folder, run)
    for path in sorted(set(run.metrics.values())):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.folder / path, folder / path)
    (folder / PUBLISHED_QUESTIONS).parent.mkdir()
    shutil.copyfile(run.results / "scores" / QUESTIONS, folder / PUBLISHED_QUESTIONS)
    environment = [str(word) for word in run.value("times", "environment")]
    files = own_files(run)
    if files:
        write_croissant(folder / "croissant.json", labels, files)
    claims = write_card(folder / "README.md", run, labels, environment, croissant=bool(files))
    write_checklist(folder / "checklist.md", run, labels, environment)
    has_results = write_eval_results(folder, run, labels)
    (folder / "every_eval_ever").mkdir()
    write_record(folder / "every_eval_ever", run, labels, ", ".join(environment))
    _write_record(folder, run, reads, environment, claims)
    left_out = []
    if not has_results and run.limits:
        left_out.append(f".eval_results: only a part of the data was used ({listed(run.limits)})")
    elif not has_results:
        left_out.append(".eval_results: the data set has no id on the hub; give --dataset-id")
    if not files:
        left_out.append("croissant.json: the data files are not in the project")
    if not labels.license:
        left_out.append("license: give --license")
    return left_out


def _write_model(folder: Path, run: PublishedRun) -> list[str]:
    """Copy what questions are answered by; return the names of these files."""
    model = run.trained.folder
    names = [*manifests.read(model)["files"]]
    clash = {"README.md", NAME, PARAMS} & set(names)
    if clash:
        raise RetuneError(f"{model}: has {listed(sorted(clash))}, which publishing would replace")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model / name, folder / name)
    text = yaml.safe_dump({"qa": _settings(run)}, sort_keys=False, allow_unicode=True)
    (folder / PARAMS).write_text(text, encoding="utf-8")
    calibration = model.parent / CALIBRATION
    if calibration.is_dir():
        shutil.copytree(calibration, folder / CALIBRATION)
        inside = [path for path in (folder / CALIBRATION).rglob("*") if path.is_file()]
        names += [path.relative_to(folder).as_posix() for path in inside]
    return sorted([*names, PARAMS])


def _settings(run: PublishedRun) -> Mapping[str, Any]:
    """Return the settings of the run, which its stages read."""
    settings = {name: run.setting(f"qa.{name}") for name in _SECTIONS}
    model = settings["model"]
    settings["models"] = {model: run.setting(f"qa.models.{model}")}
    if run.has_local_encoder:
        settings["checkpoint"] = settings["checkpoint"] | {"name": "a local folder"}
    return settings


def _require_id(name: str) -> None:
    """Refuse what cannot be the name of a repository on the hub."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise RetuneError(f"{name}: no name on the hub ({excerpt(str(error), 120)})") from None
    if "/" not in name:
        raise RetuneError(f"{name}: no name on the hub; give OWNER/NAME, such as ada/reader")


def _write_record(
    folder: Path, run: PublishedRun, reads: list[str], environment: list[str], claims: list[Claim]
) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    record = Published(
        form=1,
        retune=__version__,
        variant=str(run.trained.variant),
        squad_v2=run.trained.squad_v2,
        model=manifests.digest(run.trained.folder),
        run=RunPlace(
            run.commit,
            run.lock.sha256,
            run.pipeline,
            run.test.resolve().relative_to(run.folder.resolve()).as_posix(),
        ),
        environment=environment,
        reads=reads,
        files={path.relative_to(folder).as_posix(): sha256(path) for path in files},
        claims=claims,
    )
    write_json(folder / NAME, asdict(record))


def _sentences(out: Path, run: PublishedRun, left_out: list[str], address: str | None) -> list[str]:
    scores = {name: mean.value for name, mean in run.means.items()}
    lines = [
        f"{out}: {run.trained.variant}, EM {scores['exact_match']:.2f}, F1 {scores['f1']:.2f} on "
        f"{len(run.questions):,} test questions, commit {run.commit[:12]}",
        *(f"left out: {line}" for line in left_out),
        "The folder holds the test questions with their answers (evaluation/, every_eval_ever/).",
    ]
    if address:
        return [*lines, f"uploaded: {address}"]
    return [*lines, f"Check it with `retune verify --from {out}`."]
