"""Run every stage for every variant in one process, and print the SHA-256 of each file.

    python all_variants.py SECONDS MODEL...   # in the project; the clock is SECONDS ahead

The output is JSON: by model and path. Times are left out. `retune.Reader` must give each model's
scored answers.
"""

import gc
import hashlib
import importlib
import json
import shlex
import sys
import time
from pathlib import Path

import yaml
from stage_commands import paths_of

import retune
from retune.core.files import read_json_lines
from retune.core.stage import call

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
        for name in names if number == 0 else names[names.index("train") :]:
            run(stages[name]["cmd"])
        require_same_answers()
        sums[model] = {
            path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for top in ("data/qa", "metrics")
            for path in sorted(Path(top).rglob("*"))
            if path.is_file() and "logs" not in path.parts and path.name != "qa_times.json"
        }
    print(json.dumps(sums))


def require_same_answers() -> None:
    """Refuse a model to which `Reader` gives other answers than those that were scored."""
    rows = [*read_json_lines(Path("data/qa/test/test.jsonl"))]
    texts = [[row[name] for row in rows] for name in ("question", "context")]
    answers = [found["answer"] for found in retune.Reader("data/qa/model")(*texts)]
    scored = json.loads(Path("data/qa/predictions/predictions.json").read_text("utf-8"))
    if answers != [scored[row["id"]] for row in rows]:
        raise SystemExit("retune.Reader gives other answers than those that were scored")


def run(command: str) -> None:
    """Run the stage with the paths of its command."""
    gc.freeze()  # each training asks for full garbage collections: what is loaded stays
    _, _, module, *words = shlex.split(command.removeprefix("exec "))
    arguments, options = paths_of(words)
    named = {name: Path(path) for name, path in options.items()}
    stage = importlib.import_module(module).main
    print(call(stage, *map(Path, arguments), **named), file=sys.stderr)


if __name__ == "__main__":
    main()
