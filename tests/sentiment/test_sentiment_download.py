"""The download stage: what is checked, what is dropped, and that both are told."""

import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines
from retune.fetch.fetching import Source, local_source
from retune.tasks.sentiment.download.download import DownloadParams, download
from retune.tasks.sentiment.download.rows import Layout
from retune.tasks.sentiment.texts.examples import Example, read_examples

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = Layout(False, 2, 1, {"0": "negative", "1": "positive"})
PARAMS: dict[str, Any] = {
    "train_limit": None,
    "validation_limit": None,
    "sample_seed": 13,
    "contradictions": "error",
    "duplicates": "error",
    "overlap": "error",
    "treebank_tokens": "keep",
}
TRAIN = "1\tgood\n0\tbad\n1\tfine\n0\tpoor\n"


def run(
    folder: Path, train: str | bytes = TRAIN, validation: str = "1\tlovely\n", **changes: Any
) -> str:
    sources = {}
    for split, content in (("train", train), ("validation", validation)):
        path = folder / f"{split}.tsv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        sources[split] = [local_source(path, None)]
    params = DownloadParams(**PARAMS | changes)
    raw, metrics = folder / "data" / "raw", folder / "metrics.json"
    return download(raw, metrics, sources=sources, layout=LAYOUT, params=params)


def texts(folder: Path, split: str = "train") -> list[str]:
    return [example.text for example in read_examples(folder / "data/raw" / f"{split}.jsonl")]


def findings(folder: Path) -> list[dict[str, str]]:
    return list(read_json_lines(folder / "data/raw/findings.jsonl"))


def counts(folder: Path) -> list[dict[str, Any]]:
    report: list[dict[str, Any]] = read_json(folder / "metrics.json")["sentiment"]["download"]
    return report


def test_both_splits_are_written_with_their_counts(tmp_path: Path) -> None:
    assert run(tmp_path) == "train 4 texts, validation 1 texts"
    first, *_ = read_examples(tmp_path / "data/raw/train.jsonl")
    assert first == Example("train-1", "good", 1, None, None)
    assert texts(tmp_path, "validation") == ["lovely"]
    assert findings(tmp_path) == []
    train, validation = counts(tmp_path)
    source = local_source(tmp_path / "train.tsv", None)
    assert train == {
        "split": "train", "files": [{"name": "train.tsv", "sha256": source.sha256}],
        "limit": None, "rows_read": 4, "rows": 4, "negative": 2, "positive": 2, "findings": {},
    }  # fmt: skip
    assert (validation["negative"], validation["positive"]) == (0, 1)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("2\tgood\n", r"train\.tsv: line 1: no label '2'; allowed: '0', '1'; `labels` of"),
        ("1\tgood\n-1\tbad\n", r"line 2: no label '-1'; allowed: '0', '1' \(-1 marks a label"),
        ("1\t \n", r"train\.tsv: line 1: the text is empty; fill it, or delete the row"),
        ("1\ta\tb\n1\n", r"train\.tsv: line 2: 1 cells under a first row of 3; correct the row"),
        (b"1\tna\xefve\n", r"train\.tsv: not UTF-8 at byte 4; .*Windows-1252 this is '\xef'\)"),
    ],
)  # fmt: skip
def test_unsound_rows_are_errors_with_their_place(
    train: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        run(tmp_path, train)
    assert not (tmp_path / "data/raw").exists()


MAPPED = "; `labels` of the data set can map it to negative, positive or drop"


def test_all_errors_of_both_splits_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RetuneError) as caught:
        run(tmp_path, "3\tgood\n1\t\n", "x\tlovely\n")
    assert str(caught.value).splitlines() == [
        "3 errors in the data (1 empty_field, 2 unknown_label); nothing was written",
        "  train.tsv: line 1: no label '3'; allowed: '0', '1'" + MAPPED,
        "  train.tsv: line 2: the text is empty; fill it, or delete the row",
        "  validation.tsv: line 1: no label 'x'; allowed: '0', '1'" + MAPPED,
    ]


def test_treebank_tokens_are_joined_before_texts_are_compared(tmp_path: Path) -> None:
    train = "1\tit is n't bad .\n1\tIt isn't bad.\n0\t-lrb- a -rrb- bore\n0\tgood , no\n"
    said = run(tmp_path, train, "1\tgood, no\n", treebank_tokens="join", duplicates="drop",
               overlap="drop")  # fmt: skip
    assert said == (
        "train 2 texts, validation 1 texts, 1 dropped_duplicate in train, 1 dropped_overlap in "
        "train, 1 treebank_tokens in train"
    )
    assert texts(tmp_path) == ["it isn't bad.", "(a) bore"]
    note = next(f for f in findings(tmp_path) if f["kind"] == "treebank_tokens")
    assert (note["where"], note["detail"]) == ("line 3", "Treebank tokens, read as '(a) bore'")


def test_treebank_tokens_that_contradict_plain_text_are_found(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"t good\.\W is negative here and positive at"):
        run(tmp_path, "0\tIt is n't good .\n1\tit isn't good.\n", treebank_tokens="join")


#: By kind: a train split with it, what is left when it is dropped, and the first message.
REPEATED = {
    "duplicate": (
        "1\tgood\n0\tbad\n1\t GOOD \n", ["good", "bad"],
        "' GOOD ' is already at train.tsv: line 1", 1,
    ),
    "contradiction": (
        "1\tgood\n0\tbad\n0\tGood\n", ["bad"],
        "'good' is positive here and negative at train.tsv: line 3", 2,
    ),
    "overlap": (
        "1\tgood\n0\tbad\n1\tLovely\n", ["good", "bad"],
        "'Lovely' is also in validation, at validation.tsv: line 1", 1,
    ),
}  # fmt: skip


def test_a_text_in_two_forms_of_unicode_is_one_text(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Café good") for form in ("NFC", "NFD"))
    assert composed != apart
    with pytest.raises(RetuneError, match=r"is also in validation, at validation.tsv: line 1"):
        run(tmp_path, f"1\t{apart}\n0\tbad\n", f"1\t{composed}\n")


def setting(kind: str) -> str:
    return kind if kind == "overlap" else f"{kind}s"


@pytest.mark.parametrize("kind", REPEATED)
def test_the_same_text_twice_is_an_error_that_names_the_setting(kind: str, tmp_path: Path) -> None:
    train, _, message, number = REPEATED[kind]
    with pytest.raises(RetuneError) as caught:
        run(tmp_path, train)
    head, first, *_ = str(caught.value).splitlines()
    assert f"({number} {kind})" in head
    assert first.endswith(f"{message}; delete or change one, or set `sentiment.download."
                          f"{setting(kind)}: drop`")  # fmt: skip


@pytest.mark.parametrize("kind", REPEATED)
def test_the_same_text_twice_is_dropped_counted_and_listed(kind: str, tmp_path: Path) -> None:
    train, left, message, number = REPEATED[kind]
    line = run(tmp_path, train, **{setting(kind): "drop"})
    assert texts(tmp_path) == left
    assert line.endswith(f"{number} dropped_{kind} in train")
    assert counts(tmp_path)[0]["findings"] == {f"dropped_{kind}": number}
    assert len(findings(tmp_path)) == number
    first = findings(tmp_path)[0]
    assert (first["split"], first["file"]) == ("train", "train.tsv")
    assert first["detail"] == f"{message}; left out"


@pytest.mark.parametrize("kind", REPEATED)
def test_the_same_text_twice_is_kept_and_listed(kind: str, tmp_path: Path) -> None:
    train, _, _, number = REPEATED[kind]
    run(tmp_path, train, **{setting(kind): "keep"})
    assert len(texts(tmp_path)) == 3
    assert counts(tmp_path)[0]["findings"] == {kind: number}


def test_ids_are_numbers_of_rows_whatever_is_dropped(tmp_path: Path) -> None:
    run(tmp_path, "1\tgood\n1\tgood\n0\tbad\n", duplicates="drop")
    ids = [example.id for example in read_examples(tmp_path / "data/raw/train.jsonl")]
    assert ids == ["train-1", "train-3"]


def test_control_characters_are_a_note(tmp_path: Path) -> None:
    line = run(tmp_path, "1\tgo\x07od\n0\tbad\n")
    assert line == "train 2 texts, validation 1 texts, 1 control_characters in train"
    assert texts(tmp_path)[0] == "go\x07od"


def test_limits_come_after_the_checks(tmp_path: Path) -> None:
    run(tmp_path, train_limit=2)
    assert texts(tmp_path) == ["good", "bad"]
    run(tmp_path, train_limit="sample 50%")
    sample = texts(tmp_path)
    assert len(sample) == 2
    run(tmp_path, train_limit="sample 50%")
    assert texts(tmp_path) == sample
    with pytest.raises(RetuneError, match=r"train\.tsv: line 5: no label 'x'"):
        run(tmp_path, TRAIN + "x\tgood\n", train_limit=2)


def test_a_split_without_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"train: no text is left; see sentiment\.download"):
        run(tmp_path, "1\tgood\n0\tgood\n", contradictions="drop")


def test_another_number_of_rows_than_the_data_set_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(TRAIN)
    known = local_source(tmp_path / "a.tsv", None)
    source = Source(known.path, known.name, known.sha256, 5)
    sources = {"train": [source], "validation": [known]}
    params = DownloadParams(**PARAMS)
    with pytest.raises(RetuneError, match=r"a\.tsv: 4 rows, but this data set has 5; this is"):
        download(tmp_path, tmp_path / "m", sources=sources, layout=LAYOUT, params=params)


@pytest.mark.parametrize(
    ("name", "value"), [("train_limit", "0%"), ("overlap", "allow"), ("sample_seed", -1)]
)
def test_bad_settings_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        DownloadParams(**PARAMS | {name: value})


def test_real_data_goes_through(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    names = {"train": "sst2/train.tsv", "validation": "sst2/dev.tsv"}
    sources = {split: [local_source(shared_data(name), None)] for split, name in names.items()}
    params = DownloadParams(**PARAMS | {"duplicates": "drop"})
    raw, metrics = tmp_path / "data" / "raw", tmp_path / "metrics.json"
    line = download(raw, metrics, sources=sources, layout=LAYOUT, params=params)
    assert line == "train 6,911 texts, validation 872 texts, 9 dropped_duplicate in train"


def test_the_stage_runs_on_the_bundled_corpus(tmp_path: Path) -> None:
    section = {"dataset": "bundled", "datasets": {"bundled": {}}, "download": PARAMS}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"sentiment": section}))
    for attempt in ("a", "b"):
        done = subprocess.run(
            [sys.executable, "-m", "stages.sentiment.download", "--params", f"{tmp_path}/p.yaml",
             f"{tmp_path}/{attempt}/raw", f"{tmp_path}/{attempt}/metrics.json"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == "train 456 texts, validation 232 texts\n"
    names = ["findings.jsonl", "manifest.json", "train.jsonl", "validation.jsonl"]
    assert sorted(path.name for path in (tmp_path / "a/raw").iterdir()) == names
    for name in names:
        assert (tmp_path / "a/raw" / name).read_bytes() == (tmp_path / "b/raw" / name).read_bytes()
