"""Bad values in params.yaml and on the command line: one row a fault.

Every row edits the project's own params.yaml and reads all of it, as the stages do.
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import YAMLFileCorruptedError
from dvc.utils.serialize import load_yaml as dvc_load_yaml
from training_runs import run, write_features

from retune.core.errors import RetuneError
from retune.core.params import Params, Seed, load_yaml
from retune.core.user_errors import guarded
from retune.models.pretrained_files import PretrainedParams
from retune.preflight.validation import require_valid
from retune.tasks.qa.download.download import DownloadParams
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize
from retune.tasks.qa.train.train import TrainParams

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
SECTIONS: dict[str, Any] = {
    "qa.squad_v2": bool,
    "qa.seed": Seed,
    "qa.checkpoint": PretrainedParams,
    "qa.download": DownloadParams,
    "qa.tokenize": TokenizeParams,
    "qa.train": TrainParams,
    "qa.predict": PredictParams,
    "qa.postprocess": PostprocessParams,
    "qa.score": ScoreParams,
}


def read(path: Path) -> dict[str, Any]:
    """Every section of a params file, by the types of the stages that read them."""
    with Params(path) as params:
        values = {name: params.section(name, kind) for name, kind in SECTIONS.items()}
        for name in ("dataset", "model"):
            values[name] = params.variant(f"qa.{name}", f"retune.tasks.qa.{name}s", f"qa.{name}s")[
                1
            ]
    return values


def replaced(section: str, key: str, value: str | None) -> str:
    """The project's params.yaml with another value of a key, or with None without the key."""
    head, start, rest = TEXT.partition(f"\n  {section}:" if section else "\nqa:")
    indent = "    " if section else "  "
    pattern = rf"(?m)^{indent}{key}:.*\n"
    assert re.search(pattern, rest), f"no {section}.{key} in params.yaml"
    line = "" if value is None else f"{indent}{key}: {value}\n"
    return head + start + re.sub(pattern, lambda _: line, rest, count=1)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "params.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a stage prints where params.yaml is refused: one line a problem, no traceback."""
    assert guarded(lambda: read(path), "stage") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"stage: error: {path}: ")
    assert "Traceback" not in error
    return error


def test_the_projects_own_params_are_accepted(tmp_path: Path) -> None:
    assert read(write(tmp_path, TEXT))["qa.train"].lr == 2e-4


POSITIVE = "input should be greater than or equal to 1; got"
INTEGER = "input should be a valid integer; got"
NUMBER = "input should be a valid number; got"
TRUTH = "input should be a valid boolean; got"
FINITE = "input should be a finite number; got"

AT_LEAST_0 = "input should be greater than or equal to 0; got"
ABOVE_0 = "input should be greater than 0; got"
BELOW_1 = "input should be less than 1; got"

# section, key, its value, what is said of it
VALUES = [
    pytest.param("train", "lr", "'3e-5'", f"{NUMBER} '3e-5'", id="P02 quoted number"),
    pytest.param("train", "lr", "abc", f"{NUMBER} 'abc'", id="P03 text for a number"),
    pytest.param("train", "lr", None, "missing", id="P05 missing key"),
    pytest.param("", "squad_v2", "yes", f"{TRUTH} 'yes'", id="P07 yes for true"),
    pytest.param(
        "download",
        "realign",
        "NO",
        "input should be a valid boolean, or drop; got 'NO'",
        id="P07 NO for false",
    ),
    pytest.param("train", "log_every", "1:30", f"{INTEGER} '1:30'", id="P07 sexagesimal"),
    pytest.param("train", "batch_size", "0", f"{POSITIVE} 0", id="P08 batch of none"),
    pytest.param("train", "batch_size", "-1", f"{POSITIVE} -1", id="P08 negative batch"),
    pytest.param("train", "batch_size", "8.0", f"{INTEGER} 8.0", id="P08 float for a batch"),
    pytest.param("train", "batch_size", '"8"', f"{INTEGER} '8'", id="P08 text for a batch"),
    pytest.param("train", "epochs", "0", f"{POSITIVE} 0", id="P09 no epoch"),
    pytest.param("train", "epochs", "-1", f"{POSITIVE} -1", id="P09 negative epochs"),
    pytest.param("train", "lr", "0", f"{ABOVE_0} 0", id="P10 zero"),
    pytest.param("train", "lr", "-.1", f"{ABOVE_0} -0.1", id="P10 negative"),
    pytest.param("train", "lr", "1e30", "input should be less than or equal to 1", id="P10 huge"),
    pytest.param("train", "lr", ".nan", f"{FINITE} nan", id="P10 NaN"),
    pytest.param("train", "lr", ".inf", f"{FINITE} inf", id="P10 infinity"),
    pytest.param("train", "lr", "1e999", f"{FINITE} inf", id="P10 over the largest float"),
    pytest.param("train", "gradient_accumulation", "0", f"{POSITIVE} 0", id="P11 no batch a step"),
    pytest.param("tokenize", "max_length", "0", f"{POSITIVE} 0", id="P12 no token"),
    pytest.param("tokenize", "doc_stride", "-1", f"{AT_LEAST_0} -1", id="P14 negative overlap"),
    pytest.param("tokenize", "doc_stride", '"8"', f"{INTEGER} '8'", id="P14 text for an overlap"),
    pytest.param("tokenize", "doc_stride", "32.0", f"{INTEGER} 32.0", id="P14 float"),
    pytest.param("", "seed", "-1", f"{AT_LEAST_0} -1", id="P16 negative seed"),
    pytest.param("", "seed", "4294967296", "input should be less than 4294967296", id="P16 2**32"),
    pytest.param("", "seed", "1.5", f"{INTEGER} 1.5", id="P16 float for a seed"),
    pytest.param("", "seed", '"7"', f"{INTEGER} '7'", id="P16 text for a seed"),
    pytest.param("", "seed", "null", f"{INTEGER} None", id="P16 no seed"),
    pytest.param(
        "train", "warmup_ratio", "1e9", f"{BELOW_1} 1000000000.0", id="P18 over all steps"
    ),
    pytest.param("train", "warmup_ratio", "1.0", f"{BELOW_1} 1", id="P18 all steps"),
    pytest.param("postprocess", "n_best", "0", f"{POSITIVE} 0", id="P23 no candidate"),
    pytest.param("postprocess", "max_answer_length", "0", f"{POSITIVE} 0", id="P23 no length"),
    pytest.param("postprocess", "null_threshold", ".nan", f"{FINITE} nan", id="P23 NaN threshold"),
]

# the whole file, what is said of it
TEXTS = [
    pytest.param(
        TEXT.replace("    lr:", "    learnig_rate: 1\n    lr:"),
        "qa.train.learnig_rate: unknown key (allowed: lr, ",
        id="P04 unknown key of a section",
    ),
    pytest.param(
        TEXT.replace("    epochs:", "    epoch: 1\n    epochs:"),
        "qa.train.epoch: unknown key, did you mean `epochs`?",
        id="P04 nearest key",
    ),
    pytest.param(
        TEXT.replace("    lstm:", "    lsmt:"),
        "qa.models.lsmt: unknown key, did you mean `lstm`?",
        id="P04 section of no model",
    ),
    pytest.param(
        TEXT.replace("  predict:", "  predict: {batch_size: 8, precision: auto}\n  predict:"),
        "key 'predict' appears at lines ",
        id="P06 duplicate key",
    ),
    pytest.param(TEXT.replace("\n  seed", "\n\tseed"), "cannot start any token", id="P20 tab"),
    pytest.param("", "expected sections (`name: ...`), got None", id="P20 empty file"),
    pytest.param("- qa\n", "expected sections (`name: ...`), got ['qa']", id="P20 list at top"),
    pytest.param(TEXT.encode("utf-16"), "not UTF-8 at byte 0", id="P20 UTF-16"),
    pytest.param("qa: " + "[" * 3000 + "]" * 3000, "nested too deeply", id="P20 endless depth"),
    pytest.param(
        "qa: !!python/object/apply:os.mkdir [planted]\n",
        "could not determine a constructor for the tag",
        id="P21 code in a tag",
    ),
    pytest.param(
        TEXT.replace("      n_best: 20", "      n_best: 0"),
        f"qa.train.evaluation.n_best: {POSITIVE} 0",
        id="P23 of the evaluation in training",
    ),
]


@pytest.mark.parametrize(("section", "key", "value", "message"), VALUES)
def test_a_bad_value_is_refused_by_name(
    section: str,
    key: str,
    value: str | None,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = refusal(write(tmp_path, replaced(section, key, value)), capsys)
    name = f"qa.{section}.{key}".replace("..", ".")
    assert f"{name}: {message}" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(("text", "message"), TEXTS)
def test_a_bad_file_is_refused(
    text: str | bytes,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path, text)
    monkeypatch.chdir(tmp_path)  # where a planted command would leave its mark
    error = refusal(path, capsys)
    assert message in error
    assert len(error.splitlines()) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            TEXT.replace("\n  seed:", "\n  sede: 1\n  seed:"),
            "qa.sede: unknown key, did you mean `seed`?",
            id="P04 unknown section",
        ),
        pytest.param(
            f"{TEXT}train:\n  lrr: 1\n",
            "train: unknown key (allowed: qa, variants)",
            id="P04 a section without its task",
        ),
    ],
)
def test_a_section_that_no_stage_reads_is_refused(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, text)
    assert guarded(lambda: require_valid(ROOT, path), "check") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"check: error: {ROOT / 'params.yaml'}: {message}")
    assert len(error.splitlines()) == 1


GOOD = [
    pytest.param(replaced("train", "lr", "3e-5"), 3e-5, id="P01 float without a point"),
    pytest.param(replaced("train", "lr", "5e-05"), 5e-5, id="P01 as DVC rewrites it"),
    pytest.param(replaced("train", "lr", "0.010"), 0.01, id="P07 decimal with zeros"),
    pytest.param(replaced("train", "lr", "0.000_2"), 2e-4, id="P07 underscore"),
    pytest.param(b"\xef\xbb\xbf" + TEXT.encode(), 2e-4, id="P20 byte order mark"),
    pytest.param(TEXT.replace("\n", "\r\n").encode(), 2e-4, id="P20 CRLF"),
]


@pytest.mark.parametrize(("text", "lr"), GOOD)
def test_an_unusual_spelling_means_the_same_to_stages_and_dvc(
    text: str | bytes, lr: float, tmp_path: Path
) -> None:
    path = write(tmp_path, text)
    assert read(path)["qa.train"].lr == lr
    assert dvc_load_yaml(str(path))["qa"]["train"]["lr"] == lr


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        pytest.param("1_000", 1000, id="P07 underscore in an integer"),
        pytest.param("0x10", 16, id="P07 hexadecimal"),
        pytest.param("0o17", 15, id="P07 octal"),
        pytest.param("017", 17, id="P07 zero in front"),
    ],
)
def test_an_integer_is_the_one_that_dvc_sees(text: str, steps: int, tmp_path: Path) -> None:
    path = write(tmp_path, replaced("train", "log_every", text))
    assert read(path)["qa.train"].log_every == steps
    assert dvc_load_yaml(str(path))["qa"]["train"]["log_every"] == steps


@pytest.mark.parametrize(
    ("override", "message"),
    [
        pytest.param("qa.train.lr=abc", f"qa.train.lr: {NUMBER} 'abc'", id="P03 dvc exp run -S"),
        pytest.param("+qa.train.lrr=1", "qa.train.lrr: unknown key, did", id="P04 added by -S +"),
    ],
)
def test_what_dvc_writes_into_the_file_is_refused(
    override: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, TEXT)
    apply_overrides(path, [override])
    assert message in refusal(path, capsys)


@pytest.mark.parametrize(
    "override", [pytest.param("qa.train.lrr=1", id="P05 a key that is not there")]
)
def test_dvc_itself_refuses_to_set_what_is_not_there(override: str, tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    with pytest.raises(DvcException, match="Invalid `--set-param` value"):
        apply_overrides(path, [override])
    assert path.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("text", [pytest.param("qa: 1\nqb: 2\nqa: 3\n", id="P06 for DVC as well")])
def test_dvc_refuses_duplicate_keys_too(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(YAMLFileCorruptedError):
        dvc_load_yaml(str(path))
    with pytest.raises(RetuneError, match="key 'qa' appears at lines 1 and 3"):
        load_yaml(path)


def write_raw(folder: Path) -> None:
    example = Example("q1", "t", tiny.TEXTS[0], "Who?", (Answer("Ada Berg", 28),))
    for split in ("train", "validation"):
        write_examples(folder / "raw" / f"{split}.jsonl", [example])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"max_length": 3, "doc_stride": 0, "max_question_length": 1},
            "max_length 3 - 3 special tokens - max_question_length 1 leaves -1 tokens for the "
            "context; it must be more than doc_stride 0",
            id="P12 no room for the context",
        ),
        pytest.param(
            {"max_length": 513},
            "qa.tokenize.max_length: 513 is more than the 512 tokens that the encoder's",
            id="P13 more than the tokenizer's length",
        ),
        pytest.param(
            {"max_length": 40, "doc_stride": 37, "max_question_length": 12},
            "max_length 40 - 3 special tokens - max_question_length 12 leaves 25 tokens for the "
            "context; it must be more than doc_stride 37",
            id="P15 overlap as long as the window",
        ),
        pytest.param(
            {"max_length": 40, "doc_stride": 25, "max_question_length": 12},
            "leaves 25 tokens for the context; it must be more than doc_stride 25",
            id="P15 where tokenizers would panic",
        ),
    ],
)
def test_lengths_without_windows_are_refused_before_any_work(
    changes: dict[str, int], message: str, tmp_path: Path
) -> None:
    write_raw(tmp_path)
    values = load_yaml(ROOT / "params.yaml")["qa"]["tokenize"] | changes
    with pytest.raises(RetuneError, match=re.escape(message)):
        tokenize(
            tmp_path / "raw",
            tmp_path / "features",
            tmp_path / "windows.json",
            tokenizer=tiny.wordpiece(),
            params=TokenizeParams(**values),
            scoring=ScoreParams(normalizer="squad"),
            squad_v2=False,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("data"), questions=7)


@pytest.mark.parametrize(
    ("positions", "message"),
    [pytest.param(16, r"max_length: \d+ tokens are more than the 16 positions", id="P13 model")],
)
def test_windows_longer_than_the_model_are_refused(
    positions: int, message: str, data: Path, tmp_path: Path
) -> None:
    encoder = tmp_path / "encoder"
    tiny.write_checkpoint(encoder)
    from transformers import BertConfig, BertModel

    config = BertConfig.from_pretrained(encoder)
    config.max_position_embeddings = positions
    BertModel(config).save_pretrained(encoder)
    (tmp_path / "raw").symlink_to(data / "raw")
    (tmp_path / "features").symlink_to(data / "features")
    with pytest.raises(RetuneError, match=message):
        run(tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        pytest.param(
            # 7 windows make 4 batches and 2 steps an epoch: 4 of warm-up and decay to 0.
            {"batch_size": 2, "gradient_accumulation": 2, "epochs": 2, "warmup_ratio": 0.5},
            [0.0, 3e-3, 6e-3, 3e-3],
            id="P19 a schedule as long as the training",
        )
    ],
)
def test_the_learning_rate_ends_where_the_schedule_ends(
    changes: dict[str, Any], rates: list[float], data: Path, tmp_path: Path
) -> None:
    folder = run(data, tmp_path, lr=6e-3, **changes)
    curve = pd.read_csv(folder / "curves" / "train.csv")
    assert curve["learning_rate"].tolist() == pytest.approx(rates)  # 0 at the step after the last
