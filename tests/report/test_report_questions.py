"""Where a reader fails, in charts, in words, and question by question."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_projects import Page, blocks_of, project, whole, write

from retune.core.errors import RetuneError
from retune.core.files import write_json_lines
from retune.tasks.qa.analyse.errors import BOUNDARIES, SENTENCE
from retune.tasks.qa.analyse.groups import groupings
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.normalizers import NORMALIZERS
from retune.tasks.qa.score.question_scores import QuestionScore, write_question_scores
from retune.tools.compare.systems import System
from retune.tools.experiments import listing
from retune.tools.report.command import gather, part
from retune.tools.report.command import write as write_pages
from retune.tools.report.content import IN_SHORT, Part, Report, Section
from retune.tools.report.questions import (
    Browser,
    Candidate,
    Piece,
    Rival,
    Shown,
    codes,
    pieces,
    within,
)
from retune.tools.report.task_sections import _questions, _summary

CONTEXT = "Ada built it in 1871 on Sula, an island."
GRAPH = """\
# Questions. They are few.
stages:
  score:
    cmd: score
    metrics: [metrics/qa.json: {cache: false}]
  analyse:
    cmd: analyse
    metrics: [metrics/qa_analysis.json: {cache: false}]
"""
HOSTILE = "</script><script>alert(1)</script>"


def marked(context: str, *arguments: Any) -> str:
    """The pieces of a passage as text."""
    signs = {"": "", "given": "g", "gold": "r", "both": "b", "bound": "|"}
    return "".join(
        f"{signs[piece.kind]}[{piece.text}]" if piece.text and piece.kind else signs[piece.kind]
        or piece.text
        for piece in pieces(context, *arguments)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given_span", "gold", "bounds", "text"),
    [
        (None, [], [], "abcdefgh"),
        ((2, 4), [], [], "abg[cd]efgh"),
        ((2, 4), [(6, 8)], [], "abg[cd]efr[gh]"),
        ((2, 5), [(3, 7)], [], "abg[c]b[de]r[fg]h"),
        ((0, 8), [(0, 8)], [4], "b[abcd]|b[efgh]"),
        (None, [(1, 2), (1, 3)], [0, 8, 5], "ar[b]r[c]de|fgh"),
    ],
)
def test_answer_reference_and_windows_are_marked(
    given_span: Any, gold: Any, bounds: Any, text: str
) -> None:
    assert marked("abcdefgh", given_span, gold, bounds) == text


spans = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted).map(tuple)


@given(st.one_of(st.none(), spans), st.lists(spans, max_size=3), st.lists(st.integers(0, 8)))
def test_the_pieces_are_the_passage(given_span: Any, gold: Any, bounds: Any) -> None:
    found = list(pieces("abcdefgh", given_span, gold, bounds))
    assert "".join(piece.text for piece in found) == "abcdefgh"
    if given_span:
        chosen = "".join(piece.text for piece in found if piece.kind in ("given", "both"))
        assert chosen == "abcdefgh"[slice(*given_span)]


def shown(name: str, *, error: str | None = None, f1: float = 0.0, sure: float = 0.5) -> Shown:
    pieces_ = (Piece("x" * 100),)
    return Shown(name, "Who?", pieces_, "a", ("b",), error, f1, sure, (Candidate("a", sure),), ())


def test_the_worst_questions_come_first_and_fill_a_page() -> None:
    questions = [
        shown("right", f1=100.0, sure=0.9),
        shown("doubtful", f1=100.0, sure=0.2),
        shown("near", error="e", f1=50.0, sure=0.9),
        shown("unsure", error="e", sure=0.1),
        shown("sure", error="e", sure=0.9),
    ]
    order = ["sure", "unsure", "near", "doubtful", "right"]
    assert [each.id for each in within(questions, 10**6)] == order
    assert [each.id for each in within(questions, 2_500)] == order[:2]
    long = replace(shown("long", error="e"), passage=(Piece("ä" * 1000),))
    assert [each.id for each in within([long, *questions], 2_500)] == order[:2]
    assert [each.id for each in within([long], 3_100)] == ["long"]
    assert within([long], 2_900) == ()


def test_a_question_has_an_anchor_that_a_link_can_name() -> None:
    assert shown("a.1-b_2").anchor == "q-a.1-b_2"
    odd = [shown(name).anchor for name in ("a b", "ä", "x" * 61, "")]
    assert len(set(odd)) == 4
    assert all(re.fullmatch(r"q-[0-9a-f]{12}", anchor) for anchor in odd)


def run(root: Path, monkeypatch: pytest.MonkeyPatch, question: str = "Who built <it>?") -> Path:
    """A run of two questions: one is answered rightly, one beside."""
    examples = [
        Example("a", "t", CONTEXT, question, (Answer("Ada", 0),)),
        Example("b", "t", CONTEXT, "On which island is it?", (Answer("on Sula", 21),)),
    ]
    write(root / "dvc.yaml", GRAPH)
    write(root / "params.yaml", "qa: {model: bert}\n")
    f1 = 100 * (1 + 2 / 3) / 2
    scores = {"exact_match": 50.0, "f1": f1, "details": [{"normalizer": "plain"}]}
    write(root / "metrics/qa.json", {"qa": scores | {"train_seconds": 120.0}})
    rows = [
        {"by": "question word", "group": word, "questions": 1, "passages": 1, "f1": value,
         "f1_low": None, "f1_high": None}
        for word, value in (("which", 66.7), ("who", 100.0))
    ]  # fmt: skip
    errors = [{"error": BOUNDARIES, "questions": 1, "percent": 50.0}]
    write(root / "metrics/qa_analysis.json", {"qa": {"groups": rows, "errors": errors}})
    (root / "data/qa/test").mkdir(parents=True)
    write_examples(root / "data/qa/test/test.jsonl", examples)
    folder = root / "data/qa/predictions"
    write(folder / "manifest.json", {"params": {"qa.squad_v2": False}})
    write(folder / "predictions.json", {"a": "Ada", "b": "Sula"})
    best = [("a", "Ada", 0, 3, 0.95), ("b", "Sula", 24, 28, 0.45)]
    lines = [
        {"id": id_, "candidates": [{"text": t, "start": s, "end": e, "probability": p}]}
        for id_, t, s, e, p in best
    ]
    write_json_lines(folder / "nbest.jsonl", lines)
    ways = groupings(NORMALIZERS["plain"])
    analysed = [
        {"id": id_, "error": error, "groups": {way.name: way.names[place] for way in ways}}
        for place, (id_, error) in enumerate((("a", None), ("b", BOUNDARIES)))
    ]
    (root / "data/qa/analysis").mkdir()
    write_json_lines(root / "data/qa/analysis/questions.jsonl", analysed)
    write(root / "data/qa/test_features/test.arrow", "")
    spans = [[(0, 40)], [(0, 20), (10, 40)]]
    monkeypatch.setattr(_questions, "passage_spans", lambda *_: spans)
    return root


def test_a_question_is_shown_with_its_passage_answers_and_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = gather(run(tmp_path, monkeypatch))
    (browser,) = blocks_of(report, "browser")
    assert isinstance(browser, Browser)
    wrong, right = browser.questions  # the mistake first
    assert (wrong.id, wrong.error, wrong.answer, wrong.gold) == (
        "b", BOUNDARIES, "Sula", ("on Sula",),
    )  # fmt: skip
    assert [piece.text for piece in wrong.passage if piece.kind] == ["", "", "on ", "Sula"]
    assert [piece.kind for piece in right.passage if piece.kind] == ["both"]
    assert browser.errors == (BOUNDARIES,)
    assert [name for name, _ in browser.groupings] == [
        way.name for way in groupings(NORMALIZERS["plain"])
    ]
    assert codes(browser, wrong).split() == ["1"] * len(browser.groupings)
    seen = Page(whole(report))
    assert "Who built <it>?" in seen.text
    assert [a["id"] for a in seen.all("details") if a.get("class") == "question"] == ["q-b", "q-a"]
    assert [a["class"] for a in seen.all("mark")][3:] == ["gold", "both", "both"]
    assert "All 2 questions." in seen.text


def test_the_answers_of_another_system_stand_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run(tmp_path, monkeypatch)
    rows = [
        [QuestionScore("a", "p", "t", "Who?", ("Ada",), False, f1, text),
         QuestionScore("b", "p", "t", "Which?", ("on Sula",), True, 1.0, "on Sula")]
        for f1, text in ((0.0, "Sula"), (0.5, ""))
    ]  # fmt: skip
    rival = System("lstm", rows)
    report = Report(Section("Provenance", ()), (part(root, "qa", "", rival),))
    wrong, right = blocks_of(report, "browser")[0].questions
    assert (wrong.flip, right.flip) == ("lost", "won")
    assert right.rival == Rival(("Sula", ""), 25.0)
    seen = Page(whole(report))
    assert "lstm Sula / none , F1 25.0" in seen.text
    assert [a.get("data-flip") for a in seen.all("details") if "id" in a] == ["lost", "won"]


def test_a_predictions_file_is_shown_beside_the_last_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run(tmp_path, monkeypatch)
    (root / "theirs.json").write_text('{"a": "Ada", "b": "Sula"}', encoding="utf-8")
    browser = blocks_of(gather(root, against="theirs.json"), "browser")[0]
    assert browser.rival == "theirs"
    rivals = {each.id: each.rival for each in browser.questions}
    assert rivals["a"] == Rival(("Ada",), 100.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"against": "lstm", "names": ["toy"]}, "--against is about question answering: add qa to"),
        ({"against": "params.yaml"}, "data/qa/predictions/manifest.json: "),
        ({"against": "lstm"}, "lstm: no predictions file, experiment or commit of that name"),
    ],
)
def test_another_system_must_be_a_run_of_question_answering(
    tmp_path: Path, arguments: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path))
    monkeypatch.setattr(listing, "_known_to_dvc", list)
    with pytest.raises(RetuneError, match=re.escape(message)):
        gather(tmp_path, **arguments)


def test_equal_scores_of_several_seeds_are_no_flip() -> None:
    rival = Rival(("a",), 100 * (0.8 + 0.8 + 0.8) / 3)
    assert replace(shown("a", error="e", f1=80.0), rival=rival).flip == ""
    assert replace(shown("a", error="e", f1=80.0), rival=Rival(("a",), 70.0)).flip == "won"


def test_where_it_fails_is_drawn_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = gather(run(tmp_path, monkeypatch))
    mistakes, words = blocks_of(report, "bars")
    assert [(bar.name, bar.value) for bar in mistakes.bars] == [(BOUNDARIES, 1)]
    assert [(bar.name, bar.value) for bar in words.bars] == [("which (1)", 66.7), ("who (1)", 100)]
    assert (words.title, words.most) == ("F1 by question word", 100)
    assert mistakes.form == "count"
    told = [block.text for block in blocks_of(report, "remark")]
    assert f"The most frequent errors among 1 wrong answer: {BOUNDARIES} (100%)." in told
    values = [row for row in whole(report).split("<tr>") if "which (1)" in row]
    assert "66.70" in values[0]


def test_a_damaged_analysis_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = run(tmp_path, monkeypatch)
    write(root / "metrics/qa_analysis.json", {"qa": {"groups": [{}], "errors": []}})
    told = [block.text for block in blocks_of(gather(root), "remark")]
    assert any("metrics/qa_analysis.json: not of the form that its stage" in text for text in told)


@pytest.mark.parametrize("gone", ["analysis/questions.jsonl", "test_features/test.arrow"])
def test_without_its_files_the_browser_names_them(
    gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run(tmp_path, monkeypatch)
    (root / "data/qa" / gone).unlink()
    report = gather(root)
    assert not blocks_of(report, "browser")
    told = [block.text for block in blocks_of(report, "remark") if block.tone == "missing"]
    assert any(f"data/qa/{gone}" in text and "`dvc repro` creates" in text for text in told)


def test_an_analysis_of_other_answers_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run(tmp_path, monkeypatch)
    path = root / "data/qa/analysis/questions.jsonl"
    text = path.read_text(encoding="utf-8").replace(f'"{BOUNDARIES}"', "null")
    path.write_text(text, encoding="utf-8")
    report = gather(root)
    assert not blocks_of(report, "browser")
    told = [block.text for block in blocks_of(report, "remark") if block.tone == "fault"]
    assert any("of another run than data/qa/predictions; `dvc repro analyse`" in t for t in told)


def test_outputs_of_an_earlier_run_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run(tmp_path, monkeypatch)
    model = {"path": "data/qa/model", "md5": "old"}
    stages = {
        "train": {"cmd": "t", "outs": [model | {"md5": "new"}]},
        "score": {"cmd": "s", "deps": [model], "outs": [{"path": "metrics/qa.json", "md5": "1"}]},
    }
    write(root / "dvc.lock", {"schema": "2.0", "stages": stages})
    report = gather(root)
    assert IN_SHORT not in [section.title for section in report.parts[0].sections]
    assert "83.33" not in Page(whole(report)).text
    told = [block.text for block in blocks_of(report, "remark") if block.tone == "missing"]
    assert any(
        text.startswith("Not run yet, or not of the last run: metrics/qa.json") for text in told
    )


def test_the_index_sums_up_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = run(tmp_path, monkeypatch)
    scores = [
        QuestionScore("a", "p", "t", "Who?", ("Ada",), True, 1.0, "Ada"),
        QuestionScore("b", "o", "t", "Which?", ("on Sula",), False, 2 / 3, "Sula"),
    ]
    (root / "data/qa/scores").mkdir()
    write_question_scores(root / "data/qa/scores/questions.jsonl", scores)
    lock = {"train": {"cmd": "t", "params": {"params.yaml": {"qa.model": "lstm"}}}}
    write(root / "dvc.lock", {"schema": "2.0", "stages": lock})
    (part,) = gather(root).parts
    question, table = part.lead
    assert part.sections[0].title == IN_SHORT
    assert question.text == "How well does lstm answer test questions by which nothing was chosen?"
    rows = dict(table.rows)
    assert rows["score"].startswith("EM 50.00 (")
    assert rows["score"].endswith("Drawn: 2 questions in 2 passages.")
    assert rows["cost"] == "2.0 minutes of training"
    assert rows["reproducible"].startswith("code, settings and figures have not changed since")
    assert "other models" not in rows
    write(root / "metrics/qa.json", {"qa": {"exact_match": 25.0, "f1": 30.0}})
    rows = dict(gather(root).parts[0].lead[-1].rows)
    assert rows["score"] == "EM 25.00, F1 30.00"  # the stored scores are of another run


def compared(**verdicts: tuple[float, float]) -> dict[str, Any]:
    """What `make variants` would write of bert and others: difference in F1, adjusted p."""
    pair = {"low": None, "high": None, "p_value": 0, "won": 0, "lost": 0, "detectable": 1.0}
    rows = [
        pair | {"one": "bert", "other": name, "value": value, "adjusted": p, "score": "f1",
                "clusters_needed": None}
        for name, (value, p) in verdicts.items()
    ]  # fmt: skip
    run_ = {"exact_match": 50.0, "f1": 60.0}
    systems = [{"name": name, "runs": [run_]} for name in ("bert", *verdicts)]
    return {"systems": systems, "pairs": rows}


def test_other_models_are_better_worse_or_not_separable() -> None:
    saved = compared(lstm=(3.0, 0.01), big=(-2.0, 0.02), same=(1.0, 0.5), less=(4.0, 0.04))
    read = {"exact_match": 50.0, "f1": 60.0}
    assert _summary._rivals("bert", read, saved) == (
        "better than lstm, less; worse than big; not separable from same "
        "(by F1, paired by question, p adjusted)"
    )
    assert _summary._rivals("big", read, saved).startswith("better than bert (")
    assert _summary._rivals("other", read, saved) == ""
    assert _summary._rivals("bert", read | {"f1": 61.0}, saved) == ""  # of another run


def browser_of(questions: Sequence[Shown], total: int) -> Report:
    ways = (("question word", ("who", "when")),)
    block = Browser("Test questions", ways, (BOUNDARIES, SENTENCE), tuple(questions), total, "lstm")
    one = Part("qa", "", "dvc repro", (Section("Questions", (block,)),))
    return Report(Section("Provenance", ()), (one,))


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def dom(page: Path, script: str | None, tmp_path: Path, place: str = "") -> str:
    """The page's document in a browser, after `script` has run in a page that allows it."""
    text = page.read_text(encoding="utf-8")
    copy = tmp_path / "copy.html"
    if script is not None:
        text = re.sub(r"script-src '[^']*'", "script-src 'unsafe-inline'", text)
        text = text.replace("</body>", f"<script>{script}</script></body>")
    copy.write_text(text, encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--virtual-time-budget=2000", f"--user-data-dir={tmp_path / 'profile'}",
        f"file://{copy}{place}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_in_a_browser_questions_are_filtered_searched_and_opened(tmp_path: Path) -> None:
    questions = [
        replace(
            shown("one", error=BOUNDARIES),
            groups=("who",),
            question="Who is Ada?",
            rival=Rival(("Ada",), 100.0),
        ),
        replace(shown("two", error=SENTENCE), groups=("when",), question=HOSTILE),
        replace(shown("three", f1=100.0), groups=("who",), question="Who is Bo?"),
    ]
    write_pages(tmp_path / "report", browser_of(questions, 3))
    page = tmp_path / "report/qa.html"
    script = """
      const said = [];
      const form = document.querySelector("form");
      const choose = (values) => {
        for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
        form.dispatchEvent(new Event("input"));
        const kept = [...document.querySelectorAll(".question")].filter((q) => !q.hidden);
        said.push([kept.map((q) => q.id), form.querySelector("output").textContent]);
      };
      said.push(form.hidden);
      choose({error: "wrong"});
      choose({error: "right"});
      choose({error: "1"});
      choose({error: "", group: "0 0"});
      choose({group: "", text: " ADA "});
      choose({text: "n-best"});
      choose({text: "", flip: "lost"});
      choose({flip: ""});
      said.push(document.getElementById("q-two").open, document.getElementById("q-one").open);
      document.body.textContent = JSON.stringify(said);
    """
    text = dom(page, script, tmp_path, "#q-two")
    found = re.search(r"<body>(.*?)</body>", text, re.DOTALL)
    assert found
    assert json.loads(found[1]) == [
        False,
        [["q-one", "q-two"], "2 shown"],
        [["q-three"], "1 shown"],
        [["q-two"], "1 shown"],
        [["q-one", "q-three"], "2 shown"],
        [["q-one"], "1 shown"],
        [[], "0 shown"],
        [["q-one"], "1 shown"],
        [["q-one", "q-two", "q-three"], "3 shown"],
        True,
        False,
    ]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_lets_its_own_script_run_and_no_other(tmp_path: Path) -> None:
    hostile = replace(shown("one", error=BOUNDARIES), groups=("who",), question=HOSTILE)
    write_pages(tmp_path / "report", browser_of([hostile], 1))
    page = tmp_path / "report/qa.html"
    assert '<form class="filters"' in dom(page, None, tmp_path)
    assert ' hidden=""' not in re.findall("<form[^>]*>", dom(page, None, tmp_path))[0]


def test_ten_thousand_questions_fit_into_two_megabytes_and_say_how_many_are_left_out() -> None:
    generator = np.random.default_rng(0)
    words = np.array(["reader", "passage", "answer", "of", "the", "question"])
    passage = " ".join(generator.choice(words, 130))
    row = replace(
        shown("x", error=BOUNDARIES),
        passage=tuple(pieces(passage, (5, 20), [(30, 40), (32, 44)], [])),
        candidates=tuple(Candidate("an answer", 0.2) for _ in range(5)),
        groups=("who",),
    )
    questions = within([replace(row, id=f"q{n}") for n in range(10_570)], _questions.BUDGET)
    text = whole(browser_of(questions, 10_570))
    assert 500 < len(questions) < 10_570
    assert len(text.encode()) < 2_000_000
    assert f"The {len(questions):,} worst of 10,570 questions." in Page(text).text


def test_a_page_without_questions_needs_no_form(tmp_path: Path) -> None:
    assert not Page(whole(gather(project(tmp_path)))).all("form")
