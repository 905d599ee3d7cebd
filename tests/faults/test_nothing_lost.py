"""Whatever goes in comes out, from source files to the score, and what changes is counted."""

import json
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from runs import (
    TOKENIZERS,
    answers,
    labels,
    lines,
    row,
    run_download,
    run_postprocess,
    run_score,
    run_tokenize,
    write_logits,
)

from retune.tasks.qa.tokenize.audit import KINDS
from retune.tasks.qa.windows.features import read_windows

WORD = st.text(st.sampled_from("abz\u00e9e\u0301語😀कु-ß"), min_size=1, max_size=6)
BLANK = st.sampled_from(["", " ", "\n", "\u3000 "])


@st.composite
def questions(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A question with faults that are mended or left out, and with none that stop the stage."""
    words = draw(st.lists(WORD, min_size=1, max_size=60))
    context = f"{name}: {' '.join(words)}"
    if draw(st.sampled_from([False, False, False, True])):
        return row(name, context, question=f"{name}?")
    found = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, len(words)))
        last = draw(st.integers(first, min(first + 30, len(words))))
        pieces = [f"{name}:", *words]
        start = len(" ".join([*pieces[:first], ""]))
        text = " ".join(pieces[first : last + 1])
        before, behind = (context[start - 1 : start], context[start + len(text) :][:1])
        if draw(st.booleans()):  # white space at the edges, which is trimmed
            text, start = before + text + behind, start - len(before)
        # A shift that is mended for certain; a mark alone is no word, but a part of what precedes.
        if context.count(text) == 1 and not unicodedata.category(text.strip()[0]).startswith("M"):
            start += draw(st.integers(-2, 2))
        found.append((text, start))
    if draw(st.booleans()):  # left out, since others remain
        found.insert(draw(st.integers(0, len(found))), ("nowhere at all", 0))
    asked = f"{name} who" + " and what" * draw(st.integers(0, 3))
    return row(name, context, *found, question=f"{draw(BLANK)}{asked}?{draw(BLANK)}")


def splits(count: int) -> st.SearchStrategy[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    names = [f"q{n}" for n in range(count)]
    rows = st.tuples(*map(questions, names))
    return st.tuples(rows, st.integers(1, count - 1)).map(
        lambda pair: (list(pair[0][: pair[1]]), list(pair[0][pair[1] :]))
    )


def ids(path: Path) -> list[str]:
    return [line["id"] for line in lines(path)]


@settings(max_examples=40)
@given(
    rows=st.integers(2, 6).flatmap(splits),
    kind=st.sampled_from(sorted(TOKENIZERS)),
    squad_v2=st.booleans(),
    lengths=st.sampled_from([(48, 8), (64, 0), (400, 30)]),
    seed=st.integers(0, 9),
)
def test_ids_that_go_in_come_out_and_every_change_is_counted(
    rows: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    kind: str,
    squad_v2: bool,
    lengths: tuple[int, int],
    seed: int,
) -> None:
    answerable = [any(question["answers"]["text"] for question in split) for split in rows]
    if not squad_v2 and not all(answerable):
        return  # a split that is left without a question is refused
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = run_download(folder, *rows, squad_v2, realign=True, unanswerable="drop")
        kept = [
            check_download(folder, split, given, entry)
            for split, given, entry in zip(("train", "test"), rows, report, strict=True)
        ]
        audits = run_tokenize(folder, kind, squad_v2, max_length=lengths[0], doc_stride=lengths[1])
        for split, names, audit in zip(("train", "test"), kept, audits, strict=True):
            check_windows(folder, split, names, audit)
        write_logits(folder, seed=seed)
        run_postprocess(folder, squad_v2)
        check_answers(folder, kept[1])
        assert run_score(folder, squad_v2)["questions"] == len(kept[1])


def check_download(
    folder: Path, split: str, given: list[dict[str, Any]], report: dict[str, Any]
) -> list[str]:
    """The ids that are kept: all but those that are listed as left out."""
    findings = [f for f in lines(folder / "raw" / "findings.jsonl") if f["split"] == split]
    names = [question["id"] for question in given]
    dropped = {f["id"] for f in findings if f["kind"] == "dropped_unanswerable"}
    kept = ids(folder / "raw" / f"{split}.jsonl")
    assert kept == [name for name in names if name not in dropped]
    assert report["questions_read"] == len(names) == report["questions"] + len(dropped)
    assert report["findings"] == Counter(f["kind"] for f in findings)
    assert {f["id"] for f in findings} <= set(names)
    changed = {f["id"] for f in findings}
    for before, after in zip(
        (question for question in given if question["id"] in kept),
        lines(folder / "raw" / f"{split}.jsonl"),
        strict=True,
    ):
        assert (after == before) or after["id"] in changed
        lost = [f for f in findings if (f["id"], f["kind"]) == (after["id"], "dropped_answer")]
        assert len(before["answers"]["text"]) == len(after["answers"]["text"]) + len(lost)
    assert report["answers"] == sum(
        len(question["answers"]["text"]) for question in lines(folder / "raw" / f"{split}.jsonl")
    )
    return kept


def check_windows(folder: Path, split: str, names: list[str], audit: dict[str, Any]) -> None:
    notes = lines(folder / "features" / f"{split}_notes.jsonl")
    windows = read_windows(folder / "features" / f"{split}.arrow")
    assert sorted(set(windows.example.tolist())) == list(range(len(names)))
    assert (audit["questions"], audit["windows"]) == (len(names), len(windows))
    assert {kind: audit[kind] for kind in KINDS} == dict.fromkeys(KINDS, 0) | Counter(
        note["kind"] for note in notes
    )
    listed = {(note["id"], note["kind"]) for note in notes}
    assert len(listed) == len(notes)
    found = labels(folder, split)
    for number, question in enumerate(lines(folder / "raw" / f"{split}.jsonl")):
        if question["answers"]["text"]:
            lost = (question["id"], "answer_in_no_window") in listed
            assert lost is not bool(found[number])
        else:
            assert found[number] == []


def check_answers(folder: Path, names: list[str]) -> None:
    assert list(answers(folder)) == sorted(names)
    assert ids(folder / "predictions" / "nbest.jsonl") == names
    report = json.loads((folder / "predictions" / "report.json").read_bytes())
    texts = answers(folder)
    assert report["answers"] == len(names)
    assert report["empty"] == sum(not text for text in texts.values())
    assert set(report["too_long"]) <= set(names)
    contexts = {line["id"]: line["context"] for line in lines(folder / "raw/test.jsonl")}
    assert all(text in contexts[name] for name, text in texts.items())
