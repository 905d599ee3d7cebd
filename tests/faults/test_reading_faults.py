"""Bad data files: one row a fault, read as the download stage reads them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tiny
from pyarrow import parquet

from retune.core.errors import RetuneError
from retune.core.params import load_yaml
from retune.core.user_errors import guarded
from retune.tasks.qa.datasets import files
from retune.tasks.qa.download.checking import LONGEST_CONTEXT
from retune.tasks.qa.download.download import DownloadParams, download
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.tokenize.tokenize import TokenizeParams, tokenize

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = "abc def ghi"
OTHER = "a context of its own"


def row(**changes: Any) -> dict[str, Any]:
    """A sound question on the train split, with changes; `...` takes a field away."""
    answers = {"text": ["def"], "answer_start": [4]}
    sound = {"id": "q1", "context": CONTEXT, "question": "What?", "answers": answers}
    return {key: value for key, value in (sound | changes).items() if value is not ...}


def nested(*questions: dict[str, Any], title: Any = "T") -> dict[str, Any]:
    qas = [
        {"id": one["id"], "question": one["question"], "answers": [
            {"text": text, "answer_start": start}
            for text, start in zip(*one["answers"].values(), strict=True)
        ]}
        for one in questions
    ]  # fmt: skip
    return {"data": [{"title": title, "paragraphs": [{"context": CONTEXT, "qas": qas}]}]}


def dump(*values: Any) -> bytes:
    """JSON of one value, JSON lines of several."""
    return b"\n".join(json.dumps(value).encode() for value in values)


def answers(text: Any, start: Any) -> bytes:
    return dump(row(answers={"text": text, "answer_start": start}))


VALIDATION = row(id="v1", context=OTHER, answers={"text": ["own"], "answer_start": [17]})
SOUND = dump(row())


class Run:
    """The download stage on a train file, and what it left behind."""

    def __init__(self, folder: Path, train: bytes, name: str, test: bytes, **changes: Any) -> None:
        self.raw, self.metrics = folder / "out" / "raw", folder / "metrics.json"
        own = folder / "own"
        own.mkdir()
        (own / name).write_bytes(train)
        (own / "test.json").write_bytes(test)
        section = load_yaml(ROOT / "params.yaml")["qa"]["download"]
        self.params = DownloadParams(**(section | {"validation_share": None} | changes))
        self.files = files.Params(
            str(own), [files.File(name, None)], [], [files.File("test.json", None)]
        )

    def __call__(self) -> None:
        sources = files.sources(self.files)
        download(
            self.raw, self.raw, self.metrics, sources=sources, params=self.params, squad_v2=False
        )

    def read(self) -> list[Any]:
        return list(read_examples(self.raw / "train.jsonl"))

    def counts(self) -> dict[str, int]:
        train, _ = json.loads(self.metrics.read_text(encoding="utf-8"))["qa"]["download"]
        return dict(train["findings"])


# the train file, its name, what the message says
FILES = [
    pytest.param(
        SOUND[:-2],
        "t.json",
        "t.json:1:109: the JSON is cut off (expecting ',' delimiter), 0 whole questions before it",
        id="R01 cut JSON",
    ),
    pytest.param(
        dump(row(), row(id="q2"), row(id="q3"))[:-9],
        "t.jsonl",
        "t.jsonl:3:90: the JSON is cut off (unterminated string starting at), 2 whole questions",
        id="R01 cut line",
    ),
    pytest.param(
        json.dumps(nested(row(), row(id="q2"), row(id="q3")), indent=1).encode()[:-60],
        "t.json",
        "t.json:35:10: the JSON is cut off (unterminated string starting at), 2 whole questions",
        id="R01 cut in the third question",
    ),
    pytest.param(dump(row(), 7), "t.jsonl", "line 2:: 7 is not an object", id="R02 no record"),
    pytest.param(
        dump({"data": [{"title": "T", "text": "..."}]}),
        "t.json",
        "/data/0: keys ['title', 'text']; expected an article",
        id="R03 neither nested nor flat",
    ),
    pytest.param(
        dump({"version": "1.1"}),
        "t.json",
        "t.json: found keys ['version']; expected a list of articles or of questions",
        id="R02 without data",
    ),
    pytest.param(b"", "t.json", "t.json: the file has no records", id="R04 empty"),
    pytest.param(b" \n\n", "t.jsonl", "t.jsonl: the file has no records", id="R04 blank"),
    pytest.param(b"[]", "t.json", "t.json: the file has no records", id="R04 empty list"),
    pytest.param(
        b"id,context,question,answer_text,answer_start\n",
        "t.csv",
        "t.csv: the file has no records",
        id="R04 header only",
    ),
    pytest.param(
        dump(row(answers=...)),
        "t.json",
        "t.json: /answers (question 'q1'): no `answers`",
        id="R05 no answers",
    ),
    pytest.param(
        dump(row(context=None)),
        "t.json",
        "/context (question 'q1'): None (NoneType) is not a string",
        id="R06 context null",
    ),
    pytest.param(
        dump(row(question=7)),
        "t.json",
        "/question (question 'q1'): 7 (int) is not a string",
        id="R06 question a number",
    ),
    pytest.param(
        answers(["def", "abc"], [4]),
        "t.json",
        "/answers (question 'q1'): 2 in `text` but 1 in `answer_start`",
        id="R07 two lengths",
    ),
    pytest.param(
        answers(["def"], ["four"]),
        "t.json",
        "/answers/answer_start/0 (question 'q1'): the answer_start 'four' (str) is not an integer",
        id="R08 offset as text",
    ),
    pytest.param(
        answers(["def"], [4.5]),
        "t.json",
        "/answers/answer_start/0 (question 'q1'): the answer_start 4.5 (float) is not an integer",
        id="R08 offset as a fraction",
    ),
    pytest.param(
        dump(row(id="1"), row(id=1, question="Why?")),
        "t.jsonl",
        "the ids 1 (int) here and '1' (str) at t.jsonl: line 1: are one as text; change one",
        id="R09 one id in two types",
    ),
    pytest.param(
        dump(row(), row(context="def def xx", question="Why?")),
        "t.jsonl",
        "line 2:/id (question 'q1'): the id is already at t.jsonl: line 1: with other content",
        id="R10 one id on two questions",
    ),
    pytest.param(
        dump(row(), row()),
        "t.jsonl",
        "(question 'q1'): the id is already at t.jsonl: line 1: with the same content; delete",
        id="R10 one question twice",
    ),
    pytest.param(
        SOUND.replace(b'{"id"', b'{"id": "q0", "id"'),
        "t.json",
        "t.json:1:14: the key 'id' appears twice in one object",
        id="R12 key twice",
    ),
    pytest.param(
        SOUND.replace(b"[4]", b"[NaN]"), "t.json", "t.json:1:107: NaN is not JSON", id="R13 NaN"
    ),
    pytest.param(
        SOUND.replace(b"[4]", b"[-Infinity]"),
        "t.json",
        "t.json:1:107: -Infinity is not JSON",
        id="R13 infinity",
    ),
    pytest.param(
        dump(row()).replace(b"What?", "Où?".encode("latin-1")),
        "t.json",
        "t.json: not UTF-8 at byte 53; save it as UTF-8 (in Windows-1252 this is 'ù')",
        id="R15 Latin-1",
    ),
    pytest.param(
        SOUND.decode().encode("utf-16"), "t.json", "t.json: the file is UTF-16", id="R15 UTF-16"
    ),
    pytest.param(
        SOUND.decode().encode("utf-16-be"), "t.json", "perhaps UTF-16 without", id="R15 no mark"
    ),
    pytest.param(
        dump(row(context="abc def \ud83d")),
        "t.json",
        "/context (question 'q1'): half of a surrogate pair, '\\ud83d', at offset 8",
        id="R16 lone surrogate",
    ),
    pytest.param(
        SOUND.replace(b"ghi", b"gh\0"),
        "t.json",
        "t.json:1:36: not valid JSON (invalid control character at), 0 whole questions before",
        id="R17 raw NUL",
    ),
    pytest.param(
        dump(row(context="abc def" + " x" * (LONGEST_CONTEXT // 2))),
        "t.json",
        "/context (question 'q1'): 10,000,007 characters; at most 10,000,000, so split it",
        id="R23 context over the limit",
    ),
]


@pytest.mark.parametrize(("data", "name", "message"), FILES)
def test_a_bad_file_is_refused_by_name_and_place(
    data: bytes, name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, data, name, dump(VALIDATION))
    assert guarded(run, "stage") == 1
    error = capsys.readouterr().err
    assert message in error
    assert name in error
    assert "Traceback" not in error
    assert list(run.raw.parent.iterdir()) == []
    assert not run.metrics.exists()


def parquet_bytes(folder: Path, *rows: dict[str, Any]) -> bytes:
    parquet.write_table(pa.Table.from_pylist(list(rows)), folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


# the train file, its name, the contexts read, what is counted
ACCEPTED = [
    pytest.param(dump(nested(row())), "t.json", [CONTEXT], {}, id="R02 nested"),
    pytest.param(dump([row()]), "t.json", [CONTEXT], {}, id="R03 flat list"),
    pytest.param(dump({"data": [row()]}), "t.json", [CONTEXT], {}, id="R03 flat under data"),
    pytest.param(
        dump({"data": [*nested(row())["data"], row(id="q2", context="x def", question="Why?",
                       answers={"text": ["x"], "answer_start": [0]})]}),
        "t.json", [CONTEXT, "x def"], {}, id="R03 nested and flat mixed",
    ),
    pytest.param(b"\xef\xbb\xbf" + SOUND, "t.json", [CONTEXT], {}, id="R14 byte order mark"),
    pytest.param(
        b"\r\n\r\n" + dump(row(context="abc def\r\nghi")) + b"\r\n\r\n",
        "t.jsonl", ["abc def\r\nghi"], {}, id="R14 CRLF and blank lines, kept inside a context",
    ),
    pytest.param(
        b'id,context,question,answer_text,answer_start\r\nq1,"abc def\r\nghi",What?,def,4\r\n',
        "t.csv", ["abc def\r\nghi"], {}, id="R14 CRLF in a cell",
    ),
    pytest.param(
        dump(row(context="abc def\0\x07 ghi")),
        "t.json", ["abc def\0\x07 ghi"], {"control_characters": 1}, id="R17 NUL as an escape",
    ),
    pytest.param(
        answers(["def"], ["4"]), "t.json", [CONTEXT], {"converted": 1}, id="R08 offset as text"
    ),
    pytest.param(
        answers(["def"], [4.0]), "t.json", [CONTEXT], {"converted": 1}, id="R08 offset as float"
    ),
    pytest.param(
        dump(row(id=1), row(id="2", question="Why?"), row(id=3, question="Who?")),
        "t.jsonl", [CONTEXT] * 3, {"converted": 1}, id="R09 ids of two types",
    ),
    pytest.param(dump(row(title=None)), "t.json", [CONTEXT], {}, id="R25 title null"),
    pytest.param(dump(nested(row(), title=None)), "t.json", [CONTEXT], {}, id="R25 nested"),
    pytest.param(dump(row()), "t.json", [CONTEXT], {}, id="R25 no title"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "name", "contexts", "counts"), ACCEPTED)
def test_an_unusual_file_is_read_whole(
    data: bytes, name: str, contexts: list[str], counts: dict[str, int], tmp_path: Path
) -> None:
    run = Run(tmp_path, data, name, dump(VALIDATION))
    run()
    assert [example.context for example in run.read()] == contexts
    assert run.counts() == counts
    assert all(
        example.context.startswith(answer.text, answer.start)
        for example in run.read()
        for answer in example.answers
    )


def test_a_title_that_is_not_there_is_empty(tmp_path: Path) -> None:
    run = Run(tmp_path, parquet_bytes(tmp_path, row(title=None)), "t.parquet", dump(VALIDATION))
    run()
    assert [example.title for example in run.read()] == [""]


@pytest.mark.parametrize(
    ("train", "changes", "message"),
    [
        pytest.param(
            dump(row(answers=[])),
            {"unanswerable": "drop"},
            "train: no question is left; see qa.download in the params",
            id="R19 all dropped",
        ),
        pytest.param(
            SOUND, {"train_limit": "1%"}, "train: no question is left; see", id="R19 limit"
        ),
        pytest.param(
            dump(row(id="v1")),
            {},
            "test.json: /id (question 'v1'): this id of test is also in train, at t.json: ",
            id="R20 shared id",
        ),
        pytest.param(
            dump(VALIDATION | {"id": "q1"}),
            {},
            "(question 'v1'): the context 'a context of its own', with 1 questions in test, is "
            "also in train (question 'q1')",
            id="R20 shared context",
        ),
    ],
)
def test_splits_that_cannot_teach_or_measure_are_refused(
    train: bytes,
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Run(tmp_path, train, "t.json", dump(VALIDATION), **changes)
    assert guarded(run, "stage") == 1
    assert message in capsys.readouterr().err
    assert list(run.raw.parent.iterdir()) == []


@pytest.mark.parametrize(
    "changes", [pytest.param({"shared_contexts": "allow"}, id="R20 shared context allowed")]
)
def test_shared_contexts_that_are_allowed_are_counted(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    run = Run(tmp_path, dump(VALIDATION | {"id": "q1"}), "t.json", dump(VALIDATION), **changes)
    run()
    _, test = json.loads(run.metrics.read_bytes())["qa"]["download"]
    assert test["findings"] == {"shared_context": 1}


@pytest.mark.parametrize(
    ("rule", "kept", "dropped"),
    [
        pytest.param(
            "first", ["first?", "other?"], ["line 3:", "line 4:"], id="D39 the first is kept"
        ),
        pytest.param(
            "last", ["other?", "third?"], ["line 1:", "line 3:"], id="D39 the last is kept"
        ),
    ],
)
def test_of_one_id_one_question_is_kept_and_the_others_are_listed(
    rule: str, kept: list[str], dropped: list[str], tmp_path: Path
) -> None:
    names = [("q", "first?"), ("q1", "other?"), ("q", "second?"), ("q", "third?")]
    train = dump(*[row(id=name, question=question) for name, question in names])
    run = Run(tmp_path, train, "t.jsonl", dump(VALIDATION), repeated_ids=rule)
    run()
    assert [each.question for each in run.read()] == kept
    findings = [json.loads(line) for line in (run.raw / "findings.jsonl").open()]
    assert [finding["where"] for finding in findings] == [f"{place}/id" for place in dropped]
    assert run.counts() == {"repeated_id": 2}


def test_d39_a_repeated_id_is_an_error_that_names_the_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, dump(row(), row()), "t.jsonl", dump(VALIDATION))
    assert guarded(run, "stage") == 1
    assert "or set `qa.download.repeated_ids: first` or `last`" in capsys.readouterr().err


def linked_folder(run: Run, folder: Path) -> None:
    os.rename(folder / "own", folder / "elsewhere")
    (folder / "own").symlink_to(folder / "elsewhere")


def linked_inside(run: Run, folder: Path) -> None:
    os.rename(folder / "own/t.json", folder / "own/real.json")
    (folder / "own/t.json").symlink_to("real.json")


def linked_outside(run: Run, folder: Path) -> None:
    os.rename(folder / "own/t.json", folder / "real.json")
    (folder / "own/t.json").symlink_to(folder / "real.json")


def linked_output(run: Run, folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "kept").write_text("kept")
    run.raw.parent.mkdir()
    run.raw.symlink_to(folder / "elsewhere")


@pytest.mark.parametrize(
    ("link", "message"),
    [
        pytest.param(linked_folder, None, id="R21 the folder that DVC watches, through its link"),
        pytest.param(linked_inside, None, id="R21 a file inside the folder"),
        pytest.param(linked_outside, "t.json is not in the folder", id="R21 a file outside"),
        pytest.param(linked_output, None, id="R21 the output, which replaces the link"),
    ],
)
def test_links_are_followed_only_where_dvc_follows_them(
    link: Callable[[Run, Path], None], message: str | None, tmp_path: Path
) -> None:
    run = Run(tmp_path, SOUND, "t.json", dump(VALIDATION))
    link(run, tmp_path)
    if message:
        with pytest.raises(RetuneError, match=message):
            run()
        assert not run.raw.exists()
        return
    run()
    assert len(run.read()) == 1
    assert not run.raw.is_symlink()
    if link is linked_output:
        assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["kept"]


WORDS = "the river Lomma flows for 90 miles through three valleys " * 18_000
WORD = "a" * 1_000_000


@pytest.mark.parametrize(
    ("context", "answer", "windows", "lost"),
    [
        pytest.param(
            f"{WORDS}steel", "steel", range(500, 5000), {}, id="R23 a context of one megabyte"
        ),
        pytest.param(
            f"{WORD} steel", WORD[:10], range(1, 2), {"label_widened": 1}, id="R24 a word of 1 MB"
        ),
    ],
)
def test_a_context_of_a_megabyte_goes_through(
    context: str, answer: str, windows: range, lost: dict[str, int], tmp_path: Path
) -> None:
    place = {"text": [answer], "answer_start": [context.rindex(answer)]}
    if answer in WORD:
        place["answer_start"] = [5]
    run = Run(tmp_path, dump(row(context=context, answers=place)), "t.json", dump(VALIDATION))
    run()
    tokenize(
        run.raw,
        tmp_path / "features",
        tmp_path / "windows.json",
        tokenizer=tiny.wordpiece(),
        params=TokenizeParams(**load_yaml(ROOT / "params.yaml")["qa"]["tokenize"]),
        scoring=ScoreParams(normalizer="squad"),
        squad_v2=False,
    )
    train, _ = json.loads((tmp_path / "windows.json").read_bytes())["qa"]["windows"]
    notes = (tmp_path / "features/train_notes.jsonl").read_text(encoding="utf-8").splitlines()
    assert train["windows"] in windows
    assert train["answer_in_no_window"] == 0
    assert {kind: train[kind] for kind in lost} == lost
    assert {json.loads(note)["kind"]: json.loads(note)["id"] for note in notes} == dict.fromkeys(
        lost, "q1"
    )
