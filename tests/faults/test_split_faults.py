"""Splits that are missing, and settings that need them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from training_runs import run, settings, write_features

from retune.core.errors import RetuneError
from retune.preflight.validation import require_valid
from retune.tasks.masked_lm.train.language import train_language
from retune.tasks.qa.download.holding_out import hold_out
from retune.tasks.qa.questions.examples import Example, write_examples

ROOT = Path(__file__).resolve().parents[2]

REFUSED = [
    pytest.param(
        {"dataset": "squad", "download": {"validation_share": None}},
        r"qa\.train\.keep is best, but there is no validation split .*: set "
        r"qa\.download\.validation_share .*, name files .*, or set qa\.train\.keep: last",
        id="P71 SQuAD without a share",
    ),
    pytest.param(
        {
            "dataset": "files",
            "datasets": {"files": {"validation": []}},
            "download": {"validation_share": None},
        },
        r"qa\.train\.keep is best, but there is no validation split",
        id="P71 files without validation",
    ),
    pytest.param(
        {"train": {"keep": "last", "patience": 3}},
        r"qa\.train: keep is last, which trains all epochs, but patience is 3; set patience: null",
        id="P72 patience without a choice",
    ),
    pytest.param(
        {"dataset": "files", "datasets": {"files": {"test": ...}}},
        r"qa\.datasets\.files: no `test`: the scored questions are named `test` now, and "
        r"`validation` only chooses the epoch; rename `validation` to `test`",
        id="P73 params of two splits",
    ),
]


def changed(values: Any, changes: dict[str, Any]) -> Any:
    """Merge `changes` into `values`; `...` deletes a key."""
    merged = dict(values)
    for key, change in changes.items():
        if change is ...:
            del merged[key]
        else:
            is_section = isinstance(change, dict)
            merged[key] = changed(merged[key], change) if is_section else change
    return merged


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_settings_that_need_another_split_are_refused_before_any_stage(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values | {"qa": changed(values["qa"], changes)}))
    with pytest.raises(RetuneError, match=message):
        require_valid(ROOT, path)


@pytest.mark.parametrize("count", [pytest.param(3, id="D63 one article")])
def test_a_validation_split_cannot_be_taken_out_of_one_article(count: int) -> None:
    rows = [Example(f"q{n}", "T", f"context {n}", "Who?", ()) for n in range(count)]
    with pytest.raises(RetuneError, match=r"train: 1 article, .*set qa\.train\.keep: last"):
        hold_out(rows, 0.1, seed=1)


@pytest.mark.parametrize("keep", [pytest.param("best", id="T32 best without validation")])
def test_a_training_that_cannot_choose_stops_before_any_step(keep: str, tmp_path: Path) -> None:
    data = write_features(tmp_path / "data", questions=2)
    (data / "features/validation.arrow").unlink()
    with pytest.raises(RetuneError, match=r"features: no validation\.arrow, .*keep: last"):
        run(data, tmp_path / "run", keep=keep)
    assert settings(keep="last").keep == "last"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("split", [pytest.param("validation", id="T32 language adapter")])
def test_a_language_adapter_needs_the_split_too(split: str, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    write_examples(raw / "train.jsonl", [Example("q", "T", "context", "Who?", ())])
    params: Any = SimpleNamespace(folder=".", files=[], section="adapters.language")
    nothing: Any = None
    with pytest.raises(RetuneError, match=rf"raw: no {split} split, .*validation_share"):
        train_language(raw, nothing, tmp_path / "m.json", params=params, base=nothing, seed=1)
