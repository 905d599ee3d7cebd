import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_doctor import doctor, dump, flat, nested, question, write

from retune.ingest.findings import Finding
from retune.tasks.qa.download.kinds import KINDS
from retune.tasks.qa.tokenize.audit import KINDS as WINDOW_KINDS
from retune.tools.cli.main import main
from retune.tools.data_doctor.doctor import Examined, Options, diagnose
from retune.tools.data_doctor.output import SHOWN, WIDTH, as_text, kinds_table

ROOT = Path(__file__).resolve().parents[2]
SOUND = dump(nested())
NOTED = dump(nested(question(question="a\0")))
MENDABLE = dump(nested(question(id=7)))
BROKEN = dump(nested(question(question="")))
CUT = SOUND[:-1]


def run(*arguments: object) -> int:
    return main(["doctor", *map(str, arguments)])


@pytest.mark.parametrize(
    ("data", "options", "code"),
    [
        (SOUND, [], 0),
        (SOUND, ["--strict"], 0),
        (NOTED, [], 0),
        (NOTED, ["--strict"], 1),
        (MENDABLE, [], 1),
        (BROKEN, [], 1),
        (CUT, [], 2),
        (None, [], 2),
        (SOUND, ["--drop"], 2),
        (SOUND, ["--fix", "out.json"], 0),
        (MENDABLE, ["--fix", "out.json"], 0),
        (BROKEN, ["--fix", "out.json"], 1),
        (BROKEN, ["--fix", "out.json", "--drop"], 2),  # nothing is left of it
        (CUT, ["--fix", "out.json"], 2),
        (SOUND, ["--fix", "out.csv"], 2),
        (SOUND, ["--fix", "f.json"], 2),
    ],
)
def test_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Any, options: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    if data is not None:
        write(tmp_path, "f.json", data)
    assert run("f.json", *options) == code


def test_one_unreadable_file_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path, f"{n}.json", data) for n, data in enumerate((CUT, MENDABLE))]
    assert run(*files, tmp_path, "--json") == 2
    report = json.loads(capsys.readouterr().out)
    assert [(f["kind"], f["where"]) for f in report["findings"]] == [
        ("truncated", f"1:{len(CUT) + 1}"),
        ("converted", "/data/0/paragraphs/0/qas/0/id"),
        ("unreadable", ""),
    ]
    assert [entry["readable"] for entry in report["files"]] == [False, True, False]


def test_the_report_comes_before_the_reason_why_no_copy_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write(tmp_path, "f.json", dump([1, flat()])), tmp_path / "out.json"
    for options in ([], ["--json"]):
        assert run(path, "--fix", out, *options) == 2
        said = capsys.readouterr()
        assert "1 is not an object" in said.out
        assert "items that are no questions, the first at /0; correct them, or leave" in said.err
    assert json.loads(said.out)["exit_code"] == 2


def test_the_json_has_stable_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write(tmp_path, "f.json", MENDABLE), tmp_path / "out.json"
    assert run(path, "--json", "--fix", out) == 0
    text = capsys.readouterr().out
    assert json.loads(text) == {
        "checks": {"labels": False, "leaks": False, "windows": False},
        "labels": None,
        "exit_code": 0,
        "files": [{"file": str(path), "readable": True, "questions": 1}],
        "findings": [
            {
                "change": {"before": 7, "after": "7"},
                "file": str(path),
                "id": "7",
                "kind": "converted",
                "message": "7 (int) is not a string",
                "remedy": "--fix writes it plainly",
                "severity": "note",
                "where": "/data/0/paragraphs/0/qas/0/id",
            }
        ],
        "fix": {"changes": 1, "left": 0, "log": f"{out}.log.jsonl", "out": str(out)},
        "kinds": {"converted": {"found": 1, "mended": 1}},
    }
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_json_is_ascii_and_text_is_printable_whatever_the_data_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path, "f.json", dump(nested(question(id="\ud83d", title="\x1b[31m", more="é")))
    )
    for options in (["--json"], []):
        assert run(path, *options) == 1
        text = capsys.readouterr().out
        assert text.replace("\n", "").isprintable()


def test_the_report_fits_a_terminal(tmp_path: Path) -> None:
    edge = [{"text": "abc ", "answer_start": 0}]
    each = (question(id=f"q{n}", question=f"{n}?" * 40, answers=edge) for n in range(40))
    data = nested(*each)
    examined = doctor(write(tmp_path, "f.json", dump(data)))
    examined.file = "f.json"
    text = as_text([examined], everything=False)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("white space at an edge of") == SHOWN
    assert "f.json: 40 questions, 40 findings" in text
    assert "  and 37 more like these; --all lists them" in text
    assert text.endswith("40 findings: 0 errors, 40 notes; --fix corrects 40")
    assert as_text([examined], everything=True).count("white space at an edge of") == 40


def test_findings_stand_in_the_order_of_their_places(tmp_path: Path) -> None:
    edge = {"text": ["abc "], "answer_start": [0]}
    rows = [flat(id=f"q{n}", question=f"{n}?", answers=edge) for n in range(12)]
    examined = doctor(write(tmp_path, "f.json", dump(rows)))
    assert [f.where for f in examined.findings] == [f"/{n}/answers/text/0" for n in range(12)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no FILE to examine; name one or more"),
        (["a.json", "b.json", "--fix", "c.json"], "corrects one file at a time, but there are 2"),
        (["a.json", "--fix", "c.csv"], "nested JSON, so c.csv must end in .json"),
        (["f.json", "--fix", "folder.json"], "writes a file, but folder.json is a folder"),
        (["f.json", "--validation", "e.json", "--fix", "e.json"], "choose another OUT than e.json"),
        (["f.json", "--fix", "f.json"], "does not write over its source; choose another OUT"),
        (["f.json", "--drop"], "--drop needs --fix OUT, whose copy"),
        (["e.json", "--fix", "c.json", "--drop"], "c.json: not written: no question of e.json is"),
        (["f.json", "--windows"], "params.yaml: no such file"),
    ],
)
def test_a_wrong_command_line_is_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "f.json", SOUND)
    write(tmp_path, "e.json", BROKEN)
    (tmp_path / "folder.json").mkdir()
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


def test_a_json_of_the_downloads_form_stays_unchanged_by_a_second_fix(tmp_path: Path) -> None:
    path = write(tmp_path, "f.jsonl", dump(flat(id=7)) + b"\n" + dump(flat(id=8, question="Who?")))
    outs = [tmp_path / "one.json", tmp_path / "two.json"]
    assert run(path, "--fix", outs[0]) == 0
    assert run(outs[0], "--fix", outs[1]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert Path(f"{outs[1]}.log.jsonl").read_bytes() == b""


def test_what_was_not_checked_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "f.json", SOUND)
    assert run(path) == 0
    said = capsys.readouterr().out
    assert "nothing found" in said
    assert "not checked: what splits share (--validation FILE..., --test FILE...)" in said
    assert "not checked: answers that no window holds (--windows)" in said
    other = write(tmp_path, "v.json", dump(nested(question(id="v"), context="abc other")))
    assert run(path, "--validation", other) == 0
    assert "what splits share" not in capsys.readouterr().out


def leaks(folder: Path, train: bytes, validation: bytes) -> list[Finding]:
    paths = [write(folder, "t.json", train), write(folder, "v.json", validation)]
    sound, other = diagnose(paths[:1], paths[1:], Options())
    assert sound.findings == []
    return other.findings


def test_leaks_into_validation_are_found(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(60)]
    train = dump(nested(context=" ".join(["abc", *words])))
    assert [f.kind for f in leaks(tmp_path, train, train)] == ["shared_context", "shared_id"]
    words[30] = "other"
    near = dump(nested(question(id="v"), context=" ".join(["abc", *words])))
    (finding,) = leaks(tmp_path, train, near)
    assert (finding.kind, finding.severity, finding.id) == ("near_context", "note", "v")
    assert finding.where == "/data/0/paragraphs/0/context"
    assert "shares 90% of its word triples with one in train (question 'q1')" in finding.message


def test_a_context_that_is_almost_one_of_another_file_is_noted_and_an_equal_one_is_not(
    tmp_path: Path,
) -> None:
    words = " ".join(f"word{n}" for n in range(60))
    paths = [
        write(tmp_path, f"{name}.json", dump(nested(question(id=name), context=context)))
        for name, context in [("a", f"abc {words}"), ("b", f"abc {words}"), ("c", f"abc {words} x")]
    ]
    first, same, similar = diagnose(paths, [], Options())
    assert first.findings == []
    assert [finding.kind for finding in same.findings] == ["repeated_question"]
    (finding,) = similar.findings
    assert (finding.kind, finding.severity, finding.id) == ("similar_context", "note", "c")
    assert finding.message.endswith(f"with one at {paths[0]}: /data/0/paragraphs/0/context")


def test_answers_in_no_window_are_found_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    params["qa"]["tokenize"] = {
        "max_length": 40,
        "doc_stride": 4,
        "max_question_length": 8,
        "windows": "all",
        "max_lost_answers": 1.0,
        "max_unknown_tokens": 1.0,
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    context = " ".join(["word"] * 120)
    long = question(answers=[{"text": context[:299], "answer_start": 0}])
    short = question(id="q2", question="why " * 20, answers=[{"text": "word", "answer_start": 0}])
    examined: Examined = doctor(
        write(tmp_path, "f.json", dump(nested(long, short, context=context))), windows=True
    )
    assert [(f.kind, f.id, f.where) for f in examined.findings] == [
        ("answer_in_no_window", "q1", "/data/0/paragraphs/0/qas/0/answers"),
        ("question_trimmed", "q2", "/data/0/paragraphs/0/qas/1/question"),
        ("question_cut", "q2", "/data/0/paragraphs/0/qas/1/question"),
    ]


def test_the_doctor_starts_without_heavy_imports(tmp_path: Path) -> None:
    heavy = {"torch", "transformers", "tokenizers", "datasets", "pandas", "pyarrow", "numpy", "dvc"}
    path = write(tmp_path, "f.json", MENDABLE)
    code = (
        f"import sys; from retune.tools.cli.main import main; main(['doctor', {str(path)!r}]);"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_the_table_of_kinds_is_whole_and_in_the_documents(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(WINDOW_KINDS) <= set(KINDS)
    assert run("--kinds") == 0
    assert capsys.readouterr().out == kinds_table() + "\n"
    assert kinds_table() in (root / "docs" / "doctor.md").read_text(encoding="utf-8")


def test_an_endless_number_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, "f.json", SOUND[:-1] + b', "x": 1e999}')
    assert run(path, "--fix", tmp_path / "out.json") == 2
    assert not (tmp_path / "out.json").exists()


def test_the_example_in_the_guide_is_what_the_doctor_prints(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    root: Path,
) -> None:
    context = "The Rhine is 1,230 km long and ends in the North Sea."
    first = [{"text": "1,230 km ", "answer_start": 12}]
    second = [{"text": "the Baltic Sea", "answer_start": 39}]
    questions = question(id="r1", answers=first), question(id="r2", answers=second, question="?")
    write(tmp_path, "rivers.json", dump(nested(*questions, context=context)))
    monkeypatch.chdir(tmp_path)
    assert run("rivers.json", "--fix", "mended.json") == 1
    assert capsys.readouterr().out in (root / "docs/own-data.md").read_text(encoding="utf-8")
