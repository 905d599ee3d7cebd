import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines
from retune.fetch.fetching import Source, local_source
from retune.tasks.qa.download.download import DownloadParams, download
from retune.tasks.qa.questions.examples import Answer, read_examples

PARAMS: dict[str, Any] = {
    "train_limit": None,
    "validation_limit": None,
    "test_limit": None,
    "validation_share": None,
    "sample_seed": 13,
    "realign": False,
    "unanswerable": "error",
    "shared_contexts": "error",
}


def question(name: str, context: str, start: int = 0, **changes: Any) -> dict[str, Any]:
    answers = {"text": [context.split(maxsplit=1)[0]], "answer_start": [start]}
    return {"id": name, "context": context, "question": f"{name}?", "answers": answers} | changes


def source(folder: Path, name: str, rows: list[dict[str, Any]], questions: Any = None) -> Source:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = local_source(path, None)
    return Source(found.path, found.name, found.sha256, questions)


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, list[Source]]:
    first = [question(f"t{n}", f"word{n // 2} and more", title="T") for n in range(8)]
    second = [question("t8", "late word", answers=[]), question("t9", " spaced word", 1)]
    return {
        "train": [source(tmp_path, "a.jsonl", first), source(tmp_path, "b.jsonl", second)],
        "validation": [source(tmp_path, "v.jsonl", [question("v0", "other word")])],
        "test": [source(tmp_path, "s.jsonl", [question("s0", "scored word")])],
    }


def run(
    folder: Path, sources: dict[str, list[Source]], squad_v2: bool = True, **changes: Any
) -> str:
    params = DownloadParams(**PARAMS | changes)
    raw, test, metrics = folder / "data/raw", folder / "data/test", folder / "metrics.json"
    return download(raw, test, metrics, sources=sources, params=params, squad_v2=squad_v2)


def test_all_splits_are_written_with_their_counts(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    line = run(tmp_path, sources)
    assert line == "train 10 questions, validation 1 questions, test 1 questions"
    examples = list(read_examples(tmp_path / "data/raw/train.jsonl"))
    assert [e.id for e in examples] == [f"t{n}" for n in range(10)]
    assert examples[9].answers == (Answer("spaced", 1),)
    for folder in ("raw", "test"):
        assert (tmp_path / "data" / folder / "findings.jsonl").read_bytes() == b""
    train, validation, test = read_json(tmp_path / "metrics.json")["qa"]["download"]
    assert train == {
        "split": "train",
        "files": [{"name": s.name, "sha256": s.sha256} for s in sources["train"]],
        "limit": None,
        "questions_read": 10,
        "questions": 10,
        "contexts": 6,
        "articles": 1,
        "answerable": 9,
        "unanswerable": 1,
        "answers": 9,
        "findings": {},
    }
    for name, entry in (("validation", validation), ("test", test)):
        assert entry["split"] == name
        assert entry["questions"] == 1
    assert [e.id for e in read_examples(tmp_path / "data/test/test.jsonl")] == ["s0"]


def test_raw_holds_nothing_of_the_test_questions(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    """Not even in the findings: one of them is about a test question."""
    sources["test"] = [source(tmp_path, "s.jsonl", [question("s0", "scored word", 3)])]
    run(tmp_path, sources, realign=True)
    assert sorted(path.name for path in (tmp_path / "data/raw").iterdir()) == [
        *("findings.jsonl", "train.jsonl", "validation.jsonl")
    ]
    assert (tmp_path / "data/test/findings.jsonl").read_bytes()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data/raw").iterdir())
    (example,) = read_examples(tmp_path / "data/test/test.jsonl")
    for text in (example.id, example.question, example.context):
        assert text.encode() not in kept


def test_no_path_of_this_machine_is_written(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    sources["train"] += [source(tmp_path, "c.jsonl", [question("t10", "word x", 1)])]
    run(tmp_path, sources, realign=True)
    for path in [tmp_path / "metrics.json", *(tmp_path / "data").rglob("*.jsonl")]:
        assert str(tmp_path).encode() not in path.read_bytes()


def test_what_was_mended_is_listed_and_counted(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    rows = [question("t10", "word x", 1), question("t11", "word x")]
    sources["train"] += [source(tmp_path, "c.jsonl", rows)]
    line = run(tmp_path, sources, squad_v2=False, realign=True, unanswerable="drop")
    assert line == (
        "train 11 questions, validation 1 questions, test 1 questions, "
        "1 dropped_unanswerable in train, 1 realigned in train"
    )
    assert list(read_json_lines(tmp_path / "data/raw/findings.jsonl")) == [
        {
            "split": "train",
            "file": "b.jsonl",
            "where": "line 1:/answers",
            "id": "t8",
            "kind": "dropped_unanswerable",
            "detail": "no answer; left out",
        },
        {
            "split": "train",
            "file": "c.jsonl",
            "where": "line 1:/answers/answer_start/0",
            "id": "t10",
            "kind": "realigned",
            "detail": "'word' moved from offset 1 to 0",
        },
    ]
    train, *_ = read_json(tmp_path / "metrics.json")["qa"]["download"]
    assert train["findings"] == {"dropped_unanswerable": 1, "realigned": 1}
    assert (train["questions_read"], train["questions"]) == (12, 11)


def test_errors_of_all_splits_come_together_and_write_nothing(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    earlier = tmp_path / "data/raw/train.jsonl"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("earlier")
    sources["train"] += [source(tmp_path, "c.jsonl", [question("t0", "word x")])]
    sources["validation"] += [source(tmp_path, "w.jsonl", [question("t1", "word y", 3)])]
    with pytest.raises(RetuneError) as error:
        run(tmp_path, sources, squad_v2=False)
    message = str(error.value)
    assert message.startswith("4 errors in the data (1 duplicate_id, 1 misaligned, 1 shared_id, 1 ")
    order = ["b.jsonl: line 1:/answers", "c.jsonl: /id", "w.jsonl: /answers/answer_start/0"]
    assert sorted(order, key=message.index) == order
    assert "set `qa.squad_v2: true`" in message
    assert earlier.read_text() == "earlier"
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["raw"]
    assert not (tmp_path / "metrics.json").exists()


def test_shared_contexts_are_an_error_unless_allowed(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    sources["validation"] = [source(tmp_path, "v.jsonl", [question("v0", "word1 and more")])]
    with pytest.raises(RetuneError, match="1 shared_context"):
        run(tmp_path, sources)
    run(tmp_path, sources, shared_contexts="allow")
    _, validation, _ = read_json(tmp_path / "metrics.json")["qa"]["download"]
    assert validation["findings"] == {"shared_context": 1}


def test_limits_apply_after_the_check(tmp_path: Path, sources: dict[str, list[Source]]) -> None:
    run(tmp_path, sources, train_limit="30%")
    assert [e.id for e in read_examples(tmp_path / "data/raw/train.jsonl")] == ["t0", "t1", "t2"]
    train, *_ = read_json(tmp_path / "metrics.json")["qa"]["download"]
    assert (train["limit"], train["questions_read"], train["questions"]) == ("30%", 10, 3)
    with pytest.raises(RetuneError, match="question 't8'"):
        run(tmp_path, sources, squad_v2=False, train_limit=1)


def test_a_limit_that_leaves_nothing_is_an_error(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    with pytest.raises(RetuneError, match=r"validation: no question is left; see qa\.download"):
        run(tmp_path, sources, validation_limit="1%")


def test_another_number_of_questions_than_known_is_an_error(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    sources["validation"] = [source(tmp_path, "v.jsonl", [question("v0", "other word")], 10_570)]
    with pytest.raises(RetuneError, match=r"v.jsonl: 1 questions, but this data set has 10,570"):
        run(tmp_path, sources)


def test_the_same_sources_give_the_same_bytes(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    def digests() -> dict[str, str]:
        run(tmp_path, sources, train_limit="sample 5")
        files = [tmp_path / "metrics.json", *(tmp_path / "data").rglob("*.jsonl")]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    assert digests() == digests()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_limit", 1.5),
        ("train_limit", True),
        ("sample_seed", -1),
        ("realign", "yes"),
        ("unanswerable", "keep"),
        ("shared_contexts", True),
    ],
)
def test_bad_settings_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        DownloadParams(**PARAMS | {name: value})


def test_the_section_is_read_from_a_mapping() -> None:
    params = TypeAdapter(DownloadParams).validate_json(json.dumps(PARAMS))
    assert params == DownloadParams(**PARAMS)


def test_the_stage_starts_without_heavy_imports() -> None:
    heavy = {"torch", "transformers", "datasets", "pandas", "pyarrow", "huggingface_hub"}
    code = (
        f"import sys, retune.tasks.qa.download.download; print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_data_goes_through(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    names = {"train": "squad-train-sample/train.json", "test": "xquad/xquad.es.json"}
    sources = {split: [local_source(shared_data(name), None)] for split, name in names.items()}
    run(tmp_path, sources, squad_v2=False)
    counts = read_json(tmp_path / "metrics.json")["qa"]["download"]
    assert [entry["questions"] for entry in counts] == [3547, 1190]


def test_train_share_keeps_articles_of_train_and_no_other_split_changes(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    rows = [question(f"t{n}", f"word{n} and more", title=f"T{n // 4}") for n in range(40)]
    sources["train"] = [source(tmp_path, "c.jsonl", rows)]
    whole, part = tmp_path / "whole", tmp_path / "part"
    run(whole, sources)
    run(part, sources, train_share=0.3, train_draw=2)
    for name in ("raw/validation.jsonl", "test/test.jsonl"):
        assert (part / "data" / name).read_bytes() == (whole / "data" / name).read_bytes()
    kept = [*read_examples(part / "data/raw/train.jsonl")]
    assert len(kept) == 12
    assert len({example.title for example in kept}) == 3
    train = read_json(part / "metrics.json")["qa"]["download"][0]
    assert (train["questions"], train["questions_read"]) == (12, 40)


def test_train_share_is_taken_of_what_validation_leaves(tmp_path: Path, sources: Any) -> None:
    rows = [question(f"t{n}", f"word{n} and more", title=f"T{n // 4}") for n in range(40)]
    only = {"train": [source(tmp_path, "c.jsonl", rows)], "test": sources["test"]}
    run(tmp_path, only, validation_share=0.2, train_share=0.5)
    sizes = [entry["questions"] for entry in read_json(tmp_path / "metrics.json")["qa"]["download"]]
    assert sizes == [16, 8, 1]


def test_a_draw_changes_the_sampled_training_questions_and_no_other_split(
    tmp_path: Path, sources: dict[str, list[Source]]
) -> None:
    rows = [question(f"t{n}", f"word{n} and more", title=f"T{n // 4}") for n in range(60)]
    only = {"train": [source(tmp_path, "c.jsonl", rows)], "test": sources["test"]}
    sampled = {"train_limit": "sample 20", "validation_limit": "sample 5"}
    kept = {}
    for name, draw in {"default": {}, "1": {"train_draw": 1}, "2": {"train_draw": 2}}.items():
        run(tmp_path / name, only, validation_share=0.3, **sampled, **draw)
        files = ("raw/train.jsonl", "raw/validation.jsonl", "test/test.jsonl")
        kept[name] = [(tmp_path / name / "data" / file).read_bytes() for file in files]
    assert kept["default"] == kept["1"]
    assert kept["2"][1:] == kept["1"][1:]
    ids = [{row.id for row in read_examples(tmp_path / name / "data/raw/train.jsonl")}
           for name in ("1", "2")]  # fmt: skip
    assert [len(drawn) for drawn in ids] == [20, 20]
    assert ids[0] != ids[1]


def test_a_share_and_a_limit_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="train_share and train_limit both cut train"):
        DownloadParams(**PARAMS | {"train_share": 0.5, "train_limit": 10})
