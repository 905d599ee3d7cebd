"""Labelled texts that are not as they must be: rows L of what the download stage reads."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines
from retune.tasks.sentiment.datasets import files
from retune.tasks.sentiment.download.download import DownloadParams, download
from retune.tasks.sentiment.texts.examples import read_examples

FILES: dict[str, Any] = {
    "train": ["train.tsv"], "validation": ["validation.tsv"], "header": True,
    "text": "text", "label": "label", "labels": {"0": "negative", "1": "positive"},
}  # fmt: skip
HEAD = "label\ttext\n"
GOOD = HEAD + "1\tgood\n0\tbad\n"
KEEP = {
    "contradictions": "error", "duplicates": "error", "overlap": "error",
    "treebank_tokens": "keep",
}  # fmt: skip


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def run(
    folder: Path, train: str | bytes, validation: str = HEAD + "1\tlovely\n",
    settings: dict[str, Any] | None = None, **changes: Any,
) -> str:  # fmt: skip
    """The download stage on two files."""
    given = FILES | (settings or {}) | {"folder": str(folder)}
    for (name,), content in ((given["train"], train), (given["validation"], validation)):
        data = content if isinstance(content, bytes) else content.encode("utf-8")
        (folder / name).write_bytes(data)
    own = files.Params(**given)
    params = DownloadParams(
        **{"train_limit": None, "validation_limit": None, "sample_seed": 1} | KEEP | changes
    )
    return download(
        folder / "raw", folder / "texts.json",
        sources=files.sources(own), layout=files.layout(own), params=params,
    )  # fmt: skip


def train_counts(folder: Path) -> dict[str, Any]:
    counts: dict[str, Any] = read_json(folder / "texts.json")["sentiment"]["download"][0]
    return counts


LINES = {"train": ["train.jsonl"], "validation": ["validation.jsonl"]}
NUMBERS = {"header": False, "text": 2, "label": 1}


@pytest.mark.parametrize(
    ("train", "settings", "message"),
    [
        case("L01 a third label", GOOD + "2\tfine\n", {}, r"line 4: no label '2'; allowed: '0', "),
        case("L01 a label in words", GOOD + "positive\tfine\n", {}, "line 4: no label 'positive'"),
        case("L01 no label", GOOD + "\tfine\n", {}, "line 4: no label ''"),
        case("L01 labels withheld", GOOD + "-1\tfine\n", {}, r"'-1'.*\(-1 marks a label that is w"),
        case("L01 a fraction", '{"label": 0.5, "text": "fine"}\n', LINES,
             r"line 1: the label 0\.5 \(float\) is neither a string nor an integer; allowed"),
        case("L35 a boolean that is not named", GOOD + "True\tfine\n", {},
             r"line 4: no label 'True'; .*; `labels` of the data set can map it to negative, pos"),
        case("L02 an empty text", GOOD + "1\t\n", {}, "line 4: the text is empty; fill it, or del"),
        case("L02 white space", GOOD + "1\t  \n", {}, "line 4: the text is empty"),
        case("L02 no string", '{"label": 1, "text": null}\n', LINES,
             r"line 1: the text None \(NoneType\) is not a string"),
        case("L03 cells missing", GOOD + "1\n", {}, "line 4: 1 cells under a header of 2; correct"),
        case("L03 cells too many", GOOD + "1\ta\tb\n", {}, "line 4: 3 cells under a header of 2"),
        case("L03 a torn line", '{"label": 1,\n', LINES, "line 1: not a JSON object"),
        case("L03 a key missing", '{"label": 1}\n', LINES, "line 1: no 'text'; its keys are "),
        case("L03 quotes that do not close", 'label,text\n1,"fine\n',
             {"train": ["train.csv"]}, r"train\.csv:2: not valid CSV"),
        case("L04 Latin-1", GOOD.encode() + b"1\tcaf\xe9\n", {}, "not UTF-8 at byte 29; save it"),
        case("L04 UTF-16", GOOD.encode("utf-16"), {}, "is UTF-16; save it as UTF-8"),
        case("L04 gzip", b"\x1f\x8b\x08", {}, "compressed by gzip; unpack it"),
        case("L04 half of a surrogate pair", '{"label": 1, "text": "\\ud83d"}\n', LINES,
             "line 1: half of a surrogate pair"),
        case("L05 no header where one is said", "1\tgood\n0\tbad\n", {},
             "no columns 'label'|no columns 'text'"),
        case("L05 no header, and columns by number", "1\tgood\n0\tbad\n",
             {"text": 2, "label": 1}, "first row has the label '1', so it is not a header; set"),
        case("L05 a header where none is said", GOOD, NUMBERS, "line 1: no label 'label'"),
        case("L06 a column that is not there", GOOD, {"text": "sentence"},
             "no columns 'sentence'; its columns are 'label', 'text'"),
        case("L06 a column twice", "label\ttext\ttext\n1\ta\tb\n", {}, "2 columns 'text'"),
        case("L06 a number beyond the last", GOOD, NUMBERS | {"text": 3},
             "no column 3; its first row has 2"),
        case("L07 a header alone", HEAD, {}, r"train\.tsv: the file has no rows; add some"),
        case("L07 blank lines", "\n \n", {}, r"train\.tsv: the file has no records"),
    ],
)  # fmt: skip
def test_unsound_files_are_refused_with_their_place(
    train: str | bytes, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    validation = '{"label": 1, "text": "x"}\n' if settings == LINES else HEAD + "1\tlovely\n"
    with pytest.raises(RetuneError, match=message):
        run(tmp_path, train, validation, settings)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        case("L06 one column for both", {"text": "label"}, "text and label are the same column"),
        case("L06 names without a header", {"header": False}, "have columns 1, 2, ... and no na"),
        case("L01 no label means negative", {"labels": {"1": "positive"}},
             "labels names none that means negative"),
        case("L01 labels that mean something else", {"labels": {"2": "neutral"}}, "labels"),
        case("L35 labels that are one as text", {"labels": {1: "positive", "1": "negative"}},
             "two labels are one as text; keep one of them"),
        case("L07 a suffix that is not read", {"train": ["a.txt"]}, r"a\.txt is not read; allowed"),
    ],
)  # fmt: skip
def test_settings_that_no_file_can_meet_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        files.Params(**FILES | {"folder": "."} | changes)


QUOTED = '1\t"a ""good"" one"\n0\ta "bad" one\n'
TABLE = {"train": ["train.csv"], "labels": {"0": "negative", "1": "positive"}}


@pytest.mark.parametrize(
    ("train", "settings", "rows", "findings"),
    [
        case("L31 cells in quotes", HEAD + QUOTED, {},
             [('a "good" one', 1), ('a "bad" one', 0)], {"converted": 1}),
        case("L31 a line end in quotes", HEAD + '1\t"good\nor ""fine"""\n0\tbad\n', {},
             [('good\nor "fine"', 1), ("bad", 0)], {"converted": 1}),
        case("L31 quotes that belong to the text", HEAD + '1\t"good" or "fine"\n0\t"bad\n', {},
             [('"good" or "fine"', 1), ('"bad', 0)], {}),
        case("L31 quotes on two lines swallow neither", HEAD + '1\t"good\n0\tbad"\n', {},
             [('"good', 1), ('bad"', 0)], {}),
        case("L32 semicolons", "label;text\n1;good, really\n0;bad\n", TABLE,
             [("good, really", 1), ("bad", 0)], {"converted": 1}),
        case("L33 numbers with a fraction of 0", HEAD + "1.0\tgood\n0.0\tbad\n", {},
             [("good", 1), ("bad", 0)], {}),
        case("L33 booleans of a table", HEAD + "1\tgood\nTrue\tfine\nFALSE\tbad\n",
             {"labels": {True: "positive", False: "negative", "1": "positive"}},
             [("good", 1), ("fine", 1), ("bad", 0)], {}),
        case("L33 words", HEAD + "1\tgood\npos\tfine\nneg\tbad\n",
             {"labels": {"neg": "negative", "pos": "positive", "1": "positive"}},
             [("good", 1), ("fine", 1), ("bad", 0)], {}),
        case("L34 stars, the middle left out", HEAD + "5\tgood\n1\tbad\n3\tso so\n3\t\n",
             {"labels": {1: "negative", 3: "drop", 5: "positive", "lovely": "drop"}},
             [("good", 1), ("bad", 0)], {"dropped_label": 2}),
    ],
)  # fmt: skip
def test_labels_and_quotes_are_read_as_they_are_meant(
    train: str, settings: dict[str, Any], rows: list[tuple[str, int]],
    findings: dict[str, int], tmp_path: Path,
) -> None:  # fmt: skip
    positive = 5 if 5 in settings.get("labels", {}) else 1
    run(tmp_path, train, f"{HEAD}{positive}\tlovely\n", settings)
    read = list(read_examples(tmp_path / "raw/train.jsonl"))
    assert [(example.text, example.label) for example in read] == rows
    assert [example.id for example in read] == [f"train-{n}" for n in range(1, len(rows) + 1)]
    assert train_counts(tmp_path)["findings"] == findings
    listed = [row["kind"] for row in read_json_lines(tmp_path / "raw/findings.jsonl")]
    assert listed == [kind for kind, count in findings.items() for _ in range(count)]


def test_labels_in_parquet_may_have_any_type(tmp_path: Path) -> None:
    columns = {"text": ["good", "bad", "so so"], "label": [1.0, 0.0, 2.0]}
    parquet.write_table(pa.table(columns), tmp_path / "train.parquet")
    labels = {"0": "negative", "1": "positive", "2": "drop"}
    settings = {"train": ["train.parquet"], "labels": labels}
    run(tmp_path, (tmp_path / "train.parquet").read_bytes(), settings=settings)
    read = list(read_examples(tmp_path / "raw/train.jsonl"))
    assert [(example.text, example.label) for example in read] == [("good", 1), ("bad", 0)]
    assert train_counts(tmp_path)["findings"] == {"dropped_label": 1}


#: By setting: rows, what is left when they are dropped, and what the counts call that.
TWICE: dict[str, tuple[str, list[str], str]] = {
    "duplicates": ("1\tGOOD \n", ["good", "bad"], "duplicate"),
    "contradictions": ("0\tGood\n", ["bad"], "contradiction"),
    "overlap": ("1\tLovely\n", ["good", "bad"], "overlap"),
}


@pytest.mark.parametrize("policy", ["error", "drop", "keep"])
@pytest.mark.parametrize(
    "setting",
    [
        case("L08 a text twice", "duplicates"),
        case("L09 a text with both labels", "contradictions"),
        case("L10 a text of validation in train", "overlap"),
    ],
)
def test_texts_that_stand_twice_are_treated_as_the_params_say(
    setting: str, policy: str, tmp_path: Path
) -> None:
    more, left, kind = TWICE[setting]
    if policy == "error":
        with pytest.raises(RetuneError, match=rf"or set `sentiment\.download\.{setting}: drop`"):
            run(tmp_path, GOOD + more)
        return
    run(tmp_path, GOOD + more, **{setting: policy})
    texts = [example.text for example in read_examples(tmp_path / "raw/train.jsonl")]
    said, kept = ("dropped_", left) if policy == "drop" else ("", ["good", "bad", more[2:-1]])
    assert texts == kept
    found = train_counts(tmp_path)["findings"]
    assert found == {f"{said}{kind}": 2 if kind == "contradiction" else 1}
    listed = list(read_json_lines(tmp_path / "raw/findings.jsonl"))
    assert len(listed) == sum(found.values())


@pytest.mark.parametrize(
    "label", [case("L11 positive alone", "1"), case("L11 negative alone", "0")]
)
def test_one_class_alone_is_taken_and_counted(label: str, tmp_path: Path) -> None:
    run(tmp_path, f"{HEAD}{label}\tgood\n{label}\tfine\n")
    counts = train_counts(tmp_path)
    assert (counts["negative"], counts["positive"]) == ((2, 0) if label == "0" else (0, 2))


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        case("L12 a limit that rounds to nothing", "", {"train_limit": "1%"}),
        case("L12 all are dropped", "0\tgood\n1\tbad\n", {"contradictions": "drop"}),
    ],
)
def test_a_split_without_a_text_is_refused(
    more: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=r"train: no text is left; see sentiment\.download in"):
        run(tmp_path, GOOD + more, **changes)
