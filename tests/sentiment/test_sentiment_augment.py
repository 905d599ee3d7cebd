"""The augment stage: which candidates are taken, and the stage script on the bundled corpus."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from retune.core import manifests
from retune.core.files import read_json
from retune.tasks.sentiment.augment.augment import augment
from retune.tasks.sentiment.augmenting import none
from retune.tasks.sentiment.texts.examples import Example, read_examples, write_examples

ROOT = Path(__file__).resolve().parents[2]
TRAIN = [Example("train-1", "Good one.", 1, None, None), Example("train-2", "Bad", 0, None, None)]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    write_examples(folder / "train.jsonl", TRAIN)
    write_examples(folder / "validation.jsonl", [Example("validation-1", "Awful", 0, None, None)])
    return folder


def made(*texts: str, method: str = "some") -> list[Example]:
    return [Example(f"train-2-{n}", t, 0, "train-2", method) for n, t in enumerate(texts)]


def run(raw: Path, *candidates: Example) -> tuple[str, list[Example], dict[str, Any]]:
    def make(examples: Sequence[Example]) -> Iterable[Example]:
        assert examples == TRAIN  # and nothing of validation
        return candidates

    folder, metrics = raw.parent / "augmented", raw.parent / "metrics.json"
    line = augment(raw, folder, metrics, made=make)
    report = read_json(metrics)["sentiment"]["augment"]
    return line, list(read_examples(folder / "train.jsonl")), report


def test_candidates_come_behind_all_originals(raw: Path) -> None:
    candidates = [*made("Poor", "Lousy"), *made("Dire", method="other")]
    line, rows, report = run(raw, *candidates)
    assert line == "2 texts and 3 made of them"
    assert rows == [*TRAIN, *candidates]
    nothing = {"empty": 0, "unchanged": 0, "duplicate": 0, "in_validation": 0}
    assert report == {
        "originals": 2,
        "rows": 5,
        "methods": [
            {"method": "other", "taken": 1, **nothing},
            {"method": "some", "taken": 2, **nothing},
        ],
    }


@pytest.mark.parametrize(
    ("text", "fate"),
    [("bad ", "unchanged"), ("good  ONE.", "duplicate"), ("Poor", "duplicate"),
     (" awful", "in_validation"), (" ", "empty")],
)  # fmt: skip
def test_what_says_nothing_new_is_left_out_and_counted(raw: Path, text: str, fate: str) -> None:
    line, rows, report = run(raw, *made("poor", text))
    assert [row.text for row in rows] == ["Good one.", "Bad", "poor"]
    assert report["methods"][0] | {"taken": 1, fate: 1} == report["methods"][0]
    assert line == f"2 texts and 1 made of them, 1 {fate}"


def test_no_augmentation_leaves_the_originals(raw: Path) -> None:
    folder, metrics = raw.parent / "augmented", raw.parent / "metrics.json"
    line = augment(raw, folder, metrics, made=lambda rows: none.augmented(rows, none.Params()))
    assert line == "2 texts and 0 made of them"
    assert (folder / "train.jsonl").read_bytes() == (raw / "train.jsonl").read_bytes()


def bundled(folder: Path) -> Path:
    """The bundled corpus as the download stage leaves it, and params for rules."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "validation"):
        table = ROOT / "src/retune/corpora/opinions" / f"{split}.tsv"
        rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
        write_examples(
            raw / f"{split}.jsonl",
            (Example(f"{split}-{n}", r[1], int(r[0]), None, None) for n, r in enumerate(rows, 1)),
        )
    manifests.seal(raw, {"inputs": {}, "params": {}})
    settings = {"seed": 7, "share": 0.3, "synonyms": 1, "paraphrases": 1, "dropout": 1, "swaps": 1}
    methods = {"none": {}, "rules": settings}
    values = {"augment": {"method": "none", "methods": methods}}
    variants = {"more": {"augment": {"method": "rules"}}}
    text = yaml.safe_dump({"sentiment": values, "variants": variants})
    (folder / "p.yaml").write_text(text, encoding="utf-8")
    return raw


def run_stage(folder: Path, *options: str) -> str:
    paths = [str(folder / name) for name in ("raw", "augmented", "metrics.json")]
    done = subprocess.run(
        [sys.executable, "-m", "stages.sentiment.augment",
         "--params", f"{folder}/p.yaml", *options, *paths],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_variant_chooses_the_method_and_repeats_itself_to_the_byte(tmp_path: Path) -> None:
    raw = bundled(tmp_path)
    assert run_stage(tmp_path) == "456 texts and 0 made of them\n"
    assert run_stage(tmp_path, "--variant", "more").startswith("456 texts and ")
    first = (tmp_path / "augmented/train.jsonl").read_bytes()
    assert first.startswith((raw / "train.jsonl").read_bytes())
    assert len(first.splitlines()) > 1000
    run_stage(tmp_path, "--variant", "more")
    assert (tmp_path / "augmented/train.jsonl").read_bytes() == first
    report = read_json(tmp_path / "metrics.json")["sentiment"]["augment"]
    assert {entry["method"] for entry in report["methods"]} == {
        "synonyms", "paraphrases", "dropout", "swaps",
    }  # fmt: skip


@pytest.mark.parametrize("module", ["download.download", "augment.augment", "augmenting.rules",
                                    "probe.probes", "augmenting.back_translation"])  # fmt: skip
def test_the_data_side_starts_without_heavy_imports(module: str) -> None:
    heavy = {"torch", "transformers", "pandas", "pyarrow", "huggingface_hub"}
    code = f"import sys, retune.tasks.sentiment.{module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
