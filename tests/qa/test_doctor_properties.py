"""Offsets hold through reading, mending, checking, writing and reading again, for any text."""

import json
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from hypothesis import assume, given
from hypothesis import example as for_example
from hypothesis import strategies as st
from test_doctor import doctor, dump, flat, nested, question, read

from retune.tasks.qa.download.aligning import is_aligned
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.spellings import spans
from retune.tasks.qa.questions.examples import Answer, Example
from retune.tools.data_doctor.doctor import Examined, fix, log_path
from retune.tools.data_doctor.tolerant_reader import trailing_commas

#: Letters with and without accents apart, blanks of all kinds, wide and invisible ones.
TEXT = st.text(
    alphabet=st.sampled_from("ab é\u0301e\n\t\u00a0\u3000\u200b😀ß語\u1100\u1161가İ\r\0")
)
ANY = st.one_of(TEXT, st.text())
ANSWER = st.fixed_dictionaries({"text": ANY, "answer_start": st.integers(-3, 30)})
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), ANY),
    lambda items: st.one_of(st.lists(items, max_size=3), st.dictionaries(ANY, items, max_size=3)),
    max_leaves=5,
)


def mended(data: Any, folder: Path, **options: bool) -> tuple[Examined, Path]:
    """The examination of `data` written to a file, and its mended copy."""
    path, out = folder / "f.json", folder / "out.json"
    path.write_bytes(dump(data))
    examined = doctor(path, **options)
    if examined.records and not any(f.kind == "malformed" for f in examined.findings):
        fix(examined, out)
    return examined, out


def checked(path: Path) -> list[Example]:
    checker = Checker(Rules(squad_v2=True, realign=False, drop_unanswerable=False))
    checker.add(read(path))
    return checker.examples


def assert_nothing_is_left(out: Path, **options: bool) -> None:
    """The doctor has nothing to change in its copy, and writes the same bytes again."""
    again = doctor(out, **options)
    assert [finding for finding in again.findings if finding.change] == []
    copy = out.with_name("copy.json")
    fix(again, copy)
    assert copy.read_bytes() == out.read_bytes()
    assert log_path(copy).read_bytes() == b""


@given(ANY, ANY, ANY, st.integers(-2, 2), st.sampled_from(["NFC", "NFD", None]))
def test_an_answer_is_mended_to_where_it_stands(
    before: str, text: str, after: str, shift: int, form: Any
) -> None:
    context = f"{before}{text}{after}"
    core = text.strip()
    assume(core and context.count(core) == 1)
    written = unicodedata.normalize(form, text) if form else text
    assume(unicodedata.normalize("NFD", context).count(unicodedata.normalize("NFD", core)) == 1)
    answers = [{"text": written, "answer_start": len(before) + shift}]
    with tempfile.TemporaryDirectory() as folder:
        examined, out = mended(nested(question(answers=answers), context=context), Path(folder))
        examples = checked(out)
        assert_nothing_is_left(out)
    for example in examples:
        (answer,) = example.answers
        assert is_aligned(example.context, answer)
        assert example.context == context
        assert answer.text == answer.text.strip()
        place = len(before) + len(text) - len(text.lstrip())
        if written == text and answer.start != place + shift:  # there in another spelling
            assert answer == Answer(core, place)
        # Blanks, since one behind an invisible character at an edge is trimmed with it.
        assert answer.text == written.strip() or list(spans(f" {answer.text} ", written.strip()))
    lost = any(finding.kind == "misaligned" and not finding.change for finding in examined.findings)
    assert examples or lost


@given(ANY, st.lists(ANSWER, max_size=3), st.booleans())
def test_what_is_mended_is_aligned_and_what_is_not_is_explained(
    context: str, answers: list[dict[str, Any]], drop: bool
) -> None:
    data = [flat(answers=answers) | {"context": context}]
    with tempfile.TemporaryDirectory() as folder:
        examined, out = mended(data, Path(folder), squad_v2=True, drop=drop)
        for example in checked(out) if examined.records else []:
            assert all(is_aligned(example.context, answer) for answer in example.answers)
        errors = {f.id for f in examined.findings if f.severity == "error" and not f.change}
        assert bool(errors) is not bool(checked(out) if examined.records else [])
        if examined.records:
            assert_nothing_is_left(out, squad_v2=True, drop=drop)


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(st.sampled_from(["q1", 1, "1", "", None]), JSON),
        "question": JSON,
        "is_impossible": st.one_of(st.sampled_from([True, False, None, "true"]), JSON),
        "answers": st.one_of(st.lists(st.one_of(ANSWER, JSON), max_size=3), JSON, ANSWER),
        "title": JSON,
        "more": JSON,
    },
)


@given(st.lists(FIELDS, max_size=3), st.one_of(ANY, JSON), JSON, st.booleans())
@for_example([{"is_impossible": True, "answers": {"text": "", "answer_start": 0}}], "", "", False)
def test_any_file_is_mended_once_and_for_all(
    questions: list[dict[str, Any]], context: Any, title: Any, squad_v2: bool
) -> None:
    data = nested(*questions, context=context, title=title)
    with tempfile.TemporaryDirectory() as folder:
        _, out = mended(data, Path(folder), squad_v2=squad_v2)
        if out.exists():
            assert_nothing_is_left(out, squad_v2=squad_v2)


def with_commas(value: Any) -> str:
    """JSON with a comma too many in every list and object that is not empty."""
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}:{with_commas(item)} , \n" for key, item in value.items()]
        return f"{{{''.join(items)}}}"
    if isinstance(value, list):
        return f"[{''.join(f'{with_commas(item)}, ' for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


@given(st.one_of(JSON, st.lists(st.text(alphabet='",]}[{: \\'))))
def test_commas_are_taken_away_outside_strings_only(value: Any) -> None:
    letters = list(with_commas(value))
    for place in trailing_commas("".join(letters)):
        assert letters[place] == ","
        letters[place] = " "
    assert json.loads("".join(letters)) == value


@given(st.lists(ANY, max_size=4))
def test_the_commas_of_sound_json_stay(value: list[str]) -> None:
    assert trailing_commas(json.dumps(value, ensure_ascii=False)) == []
