"""Run every stage for every variant in one process, and print the SHA-256 of each file.

    python all_variants.py SECONDS MODEL...   # in the project; the clock is SECONDS ahead

The output is JSON: by model and path. Times are left out. `retune.Reader` must give each model's
scored answers, and so must its exports and its published folder, which are written where SECONDS is
not 0.
"""

import hashlib
import json
import sys
import time
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

import yaml
from in_process import run_graph

import retune
from retune.core.files import read_json_lines
from retune.core.params import Params
from retune.inference.settings import find_model
from retune.tools.cli.main import main as main_command
from retune.tools.project.locks import Lock
from retune.tools.publish.card import Labels
from retune.tools.publish.command import write_folder
from retune.tools.publish.published_run import PublishedRun
from retune.tools.verify.published import run as verify

#: Formats whose libraries are there, as after `make environment`.
FORMATS = [
    name
    for name, library in (("onnx", "onnxruntime"), ("openvino", "openvino"))
    if find_spec(library) and find_spec("onnx")
]

#: Where the pipeline keeps its run.
RUN = Path("data/qa")

_now, _now_ns = time.time, time.time_ns
_AHEAD = int(sys.argv[1])
time.time = lambda: _now() + _AHEAD
time.time_ns = lambda: _now_ns() + _AHEAD * 10**9
sys.path.insert(0, "")  # the project's stages


def main() -> None:
    """Run the stages of dvc.yaml in their order; those before train once for all models."""
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    sums: dict[str, dict[str, str]] = {}
    for number, model in enumerate(sys.argv[2:]):
        params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
        params["qa"]["model"] = model
        Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        names = list(stages)
        run_graph(names if number == 0 else names[names.index("train") :])
        require_same_answers(RUN)
        if _AHEAD:  # once is enough
            require_exports(model)
            require_published(model)
        sums[model] = {
            path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for top in ("data/qa", "metrics")
            for path in sorted(Path(top).rglob("*"))
            if path.is_file() and "logs" not in path.parts and path.name != "qa_times.json"
        }
    print(json.dumps(sums))


def require_same_answers(run: Path, model: Path | None = None) -> None:
    """Refuse a model to which `Reader` gives other answers than those that were scored."""
    rows = [*read_json_lines(Path("data/qa/test/test.jsonl"))]
    texts = [[row[name] for row in rows] for name in ("question", "context")]
    answers = [found["answer"] for found in retune.Reader(model or run / "model")(*texts)]
    scored = predictions(RUN if model else run)
    if answers != [scored[row["id"]] for row in rows]:
        raise SystemExit(f"{run}: retune.Reader gives other answers than those that were scored")


def require_published(model: str) -> None:
    """Refuse a published folder whose model gives other answers."""
    metrics = {kind: f"metrics/qa_{kind}.json" for kind in ("costs", "times", "validation")}
    run = PublishedRun(
        Path(), Path(), find_model(RUN, None), Params(), Lock(Path(), ""), RUN / "test", "0" * 40,
        "2026-01-01T00:00:00+00:00", 0,
        metrics | {"scores": "metrics/qa.json", "data": "metrics/qa_download.json"},
    )  # fmt: skip
    out = Path(f"published/{model}")
    out.mkdir(parents=True)
    Path("dvc.lock").touch()  # of whose bytes the folder has the sum
    write_folder(out, run, Labels("ada/reader"))
    require_same_answers(out, out)
    if verify(Namespace(from_=out, data=None, json=True)):
        raise SystemExit(f"{out}: not what was published")


def require_exports(model: str) -> None:
    """Refuse exports of a model that change its answers, or that `Reader` answers otherwise by."""
    for format_ in FORMATS:
        out = Path(f"exports/{model}-{format_}")
        if main_command(["export", format_, "--out", str(out), "--max-loss", "100"]):
            raise SystemExit(f"{model}: no export to {format_}")
        if predictions(out) != predictions(RUN):
            raise SystemExit(f"{model}: the export to {format_} gives other answers")
        require_same_answers(out)


def predictions(run: Path) -> dict[str, str]:
    path = run / "predictions/predictions.json"
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
