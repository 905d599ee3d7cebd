"""`retune publish` writes a folder that others accept, and `retune verify --from` checks it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import stated_numbers
import yaml
from hub_server import COMMIT, serving, use_hub
from hub_uploads import taking_uploads
from in_process import run_graph
from projects import Project

import retune
from retune.core.files import read_json, read_json_lines, sha256
from retune.tools.cli.main import main
from retune.tools.publish import published_run
from retune.tools.verify import published as verified

SCHEMAS = json.loads(
    (Path(__file__).parents[1] / "reference/record_schemas.json").read_text(encoding="utf-8")
)
ANSWERS = "every_eval_ever/data/*/*/*/*"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a committed run of `bert` on files of its own."""
    made = Project(tmp_path_factory.mktemp("publish"), whole=True)
    (made.folder / ".gitignore").open("a", encoding="utf-8").write("/reader*\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        run_graph()
    made.run("dvc", "commit", "--force", "--quiet")
    made.commit("a run")
    return made.folder


@pytest.fixture(scope="module")
def published(project: Path) -> Path:
    """The folder of its model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        words = ["--license", "cc0-1.0", "--language", "en", "--dataset-id", "ada/questions"]
        assert main(["publish", "reader", *words]) == 0
    return project / "reader"


@pytest.fixture
def here(project: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project, and a copy of the published folder that may be spoilt."""
    monkeypatch.chdir(project)
    shutil.copytree(published, "reader-copy")
    yield project
    shutil.rmtree("reader-copy", ignore_errors=True)


def card(folder: Path) -> tuple[dict[str, Any], str]:
    _, head, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


def test_the_card_has_the_scores_of_the_run(project: Path, published: Path) -> None:
    head, text = card(published)
    scores = read_json(project / "metrics/qa.json")["qa"]
    (result,) = head["model-index"][0]["results"]
    assert {m["type"]: m["value"] for m in result["metrics"]} == {
        name: scores[name] for name in ("exact_match", "f1")
    }
    assert head["license"] == "cc0-1.0"
    assert head["datasets"] == ["ada/questions"]
    assert f"| F1 | {scores['f1']:.2f} |" in text
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert f"git checkout {commit}" in text


def test_no_number_of_the_card_is_without_a_claim(published: Path) -> None:
    _, text = card(published)
    claims = {claim["text"] for claim in read_json(published / "retune.json")["claims"]}
    stated = {text[start:end] for start, end in stated_numbers.results(text)}
    assert len(stated) > 5
    assert stated - claims <= {"95"}  # of every interval


def test_addresses_of_data_and_encoder_stay_here(published: Path) -> None:
    settings = yaml.safe_load((published / "params.yaml").read_text(encoding="utf-8"))["qa"]
    assert "datasets" not in settings
    assert settings["checkpoint"]["name"] == "a local folder"
    texts = [path.read_text() for path in published.rglob("*.md")]
    assert not any("./encoder" in text for text in texts)


def test_the_code_of_the_card_works(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(published)
    _, text = card(published)
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(example, {})
        assert capsys.readouterr().out.strip()


def test_transformers_alone_gives_the_same_logits(project: Path, published: Path) -> None:
    import torch
    from transformers import AutoModelForQuestionAnswering

    from retune.tasks.qa.predict.reader import load

    ids = torch.tensor([[2, 5, 6, 3, 7, 8, 9, 3]])
    models = (
        AutoModelForQuestionAnswering.from_pretrained(published),
        load("bert", project / "data/qa/model"),
    )
    with torch.inference_mode():
        one, other = (model(input_ids=ids) for model in models)
    assert torch.equal(one.start_logits, other.start_logits)
    assert torch.equal(one.end_logits, other.end_logits)


def test_the_records_have_the_form_of_every_eval_ever(published: Path) -> None:
    record_path, lines_path = sorted(published.glob(ANSWERS), key=lambda path: path.suffix)
    record, lines = read_json(record_path), [*read_json_lines(lines_path)]
    jsonschema.validate(record, SCHEMAS["record"])
    check = jsonschema.Draft7Validator(SCHEMAS["line"])
    for line in lines:
        check.validate(line)
    detail = record["detailed_evaluation_results"]
    assert published / "every_eval_ever" / detail["file_path"] == lines_path
    assert (detail["total_rows"], detail["checksum"]) == (len(lines), sha256(lines_path))
    for result in record["evaluation_results"]:
        name = result["evaluation_result_id"]
        scores = [x["evaluation"]["score"] for x in lines if x["evaluation_result_id"] == name]
        assert 100 * sum(scores) / len(scores) == pytest.approx(result["score_details"]["score"])


def test_the_hub_reads_the_evaluation_results(project: Path, published: Path) -> None:
    from huggingface_hub import parse_eval_result_entries

    rows = yaml.safe_load((published / ".eval_results/questions.yaml").read_text())
    (entry,) = parse_eval_result_entries(rows)
    assert entry.dataset_id == "ada/questions"
    assert entry.value == read_json(project / "metrics/qa.json")["qa"]["f1"]


def test_croissant_describes_the_data_files(project: Path, published: Path) -> None:
    mlc = pytest.importorskip("mlcroissant", reason="the extra `publish` is not installed")
    shutil.copy(published / "croissant.json", project / "own/croissant.json")
    try:
        found = mlc.Dataset(jsonld=project / "own/croissant.json")
        assert not found.metadata.issues.errors
        files = {each.name: each.sha256 for each in found.metadata.distribution}
        assert files == {name: sha256(project / "own" / name) for name in files}
        assert set(files) == {"train.json", "validation.json", "test.json"}
        rows = [*found.records("test-questions")]
    finally:
        (project / "own/croissant.json").unlink()
    ids = [row["test-questions/id"].decode() for row in rows]
    tests = json.loads((project / "own/test.json").read_text(encoding="utf-8"))["data"]
    assert ids == [q["id"] for a in tests for p in a["paragraphs"] for q in p["qas"]]


def test_the_checklist_answers_what_is_known(published: Path) -> None:
    rows = (published / "checklist.md").read_text(encoding="utf-8").splitlines()[6:]
    names = [row.split(" | ")[0].strip("| ") for row in rows]
    assert [name[0] for name in names] == [*"AABBBBBBCCCCDE"]
    unknown = [name for name, row in zip(names, rows, strict=True) if "retune does not know" in row]
    assert unknown == ["A2", "B3", "B4", "D1-D5", "E1"]


def test_the_same_run_gives_the_same_bytes(here: Path) -> None:
    words = ["--license", "cc0-1.0", "--language", "en", "--dataset-id", "ada/questions"]
    assert main(["publish", "reader-copy", *words]) == 0
    one, other = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (here / "reader", here / "reader-copy")
    )
    assert one == other


def test_a_published_folder_is_verified(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--from", "reader-copy", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {check["verdict"] for check in found["checks"]} == {"same"}
    assert [check["what"] for check in found["checks"]] == [
        "files", "model card", "answers", "EM", "F1",
    ]  # fmt: skip


def test_an_edited_card_is_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / "reader-copy/README.md"
    path.write_text(re.sub(r"\| F1 \| [\d.]+", "| F1 | 99.00", path.read_text()))
    assert main(["verify", "--from", "reader-copy"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"files +differs +changed or missing: README.md", printed)
    assert re.search(r"model card +differs +not as in its source: f1", printed)


def test_edited_metadata_is_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / "reader-copy/README.md"
    head, text = card(here / "reader-copy")
    head["model-index"][0]["results"][0]["metrics"][1]["value"] = 97.0
    path.write_text(f"---\n{yaml.safe_dump(head)}---\n{text}", encoding="utf-8")
    assert main(["verify", "--from", "reader-copy"]) == 1
    assert "not as in its source: f1 in the metadata" in " ".join(capsys.readouterr().out.split())


def test_metrics_that_are_not_the_mean_of_the_scores_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_run, "require_current", lambda *_: None)
    monkeypatch.setattr(published_run, "require_committed", lambda *_: None)
    path = here / "metrics/qa.json"
    before = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"f1": [\d.]+', '"f1": 91.5', before), encoding="utf-8")
    try:
        assert main(["publish", "new"]) == 1
    finally:
        path.write_text(before, encoding="utf-8")
    assert "metrics/qa.json: f1 is 91.5, but the scored questions give" in capsys.readouterr().err


def test_a_run_that_git_does_not_have_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "rm", "-q", "--cached", "metrics/qa.json"], check=True)
    try:
        assert main(["publish", "new"]) == 1
    finally:
        subprocess.run(["git", "reset", "-q"], check=True)
    assert "which the model card names: metrics/qa.json" in capsys.readouterr().err


def test_a_published_answer_that_the_model_does_not_give_is_found(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here / "reader-copy/evaluation/questions.jsonl"
    first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    row = json.loads(first) | {"answer": "made up", "f1": 0.5}
    path.write_text(json.dumps(row) + "\n" + "".join(rest), encoding="utf-8")
    assert main(["verify", "--from", "reader-copy"]) == 1
    assert re.search(r"answers +differs +\d+ of \d+ are equal", capsys.readouterr().out)


def test_another_machine_may_round_differently() -> None:
    assert verified.allowed(373) == (7, 0.5)
    assert verified.allowed(50) == (1, 2.0)
    assert verified._verdict(3, 7) == "within tolerance"
    assert verified._verdict(8, 7) == "differs"
    words = ["EPYC", "1 process", "2 threads", "fp32", "torch 2.13.0"]
    assert verified._machine(words) == ["EPYC", "2 threads", "torch 2.13.0"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "--from", "own"], "own: has no retune.json, so `retune publish` did not"),
        (["verify", "--from", "reader", "--here"], "--from checks a published folder; give no"),
        (["verify", "--data", "own"], "--data names the test questions of --from"),
        (["verify", "--from", "reader", "--data", "none.json"], "none.json: no such file; the"),
        (
            ["verify", "--from", "reader", "--data", "own/train.json"],
            "own/train.json: lacks 4 of 4 published test questions",
        ),
        (["publish", "new", "--id", "reader"], "reader: no name on the hub; give OWNER/NAME"),
        (["publish", "new", "--push", "a b/c"], "a b/c: no name on the hub ("),
        (["publish", "new", "--model", "reader"], "reader: published; publish the model that"),
        (["publish", "own"], "own: not a published folder, so it is not replaced"),
        (["publish", "new", "--model", "encoder"], "encoder: no model of a pipeline of retune"),
        (["publish", "new", "--model", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_published_or_verified_is_refused(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) in (1, 2)
    assert message in capsys.readouterr().err
    assert not Path("new").exists()


def test_other_test_questions_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*read_json_lines(here / "data/qa/test/test.jsonl")]
    rows[0]["question"] = "Another one?"
    Path("others.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["verify", "--from", "reader", "--data", "others.jsonl"]) == 2
    Path("others.jsonl").unlink()
    lacks = f"others.jsonl: lacks 1 of {len(rows)} published test questions: {rows[0]['id']}"
    assert lacks in capsys.readouterr().err


def test_a_run_that_is_not_committed_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here / "LICENSE"
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        assert main(["publish", "new"]) == 1
    finally:
        path.write_bytes(before)
    assert "changed since the last commit, which the model card names: LICENSE" in (
        capsys.readouterr().err
    )


def test_an_outdated_run_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = here / "params.yaml"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("n_best: ", "n_best: 1"), encoding="utf-8")
    try:
        assert main(["publish", "new"]) == 1
    finally:
        path.write_text(before, encoding="utf-8")
    error = capsys.readouterr().err
    assert "dvc.lock: not of the present settings and code (" in error
    assert "postprocess" in error


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: (f / "config.json").write_text("{}"),
            "config.json: missing, damaged or changed",
        ),
        (lambda f: (f / "retune.json").write_text("{}"), "retune.json: form, retune, variant"),
        (lambda f: (f / "special_tokens_map.json").write_text("{}"), "not of the published model"),
        (
            lambda f: (f / "retune.json").write_text(
                (f / "retune.json").read_text().replace('"config.json"', '"../config.json"')
            ),
            "retune.json: ../config.json outside of the folder",
        ),
        (
            lambda f: (f / "retune.json").write_text(
                (f / "retune.json").read_text().replace("#f1/value", "#f1/none")
            ),
            "the claim 'f1' has no source 'evaluation/questions.jsonl#f1/none'",
        ),
    ],
)
def test_a_damaged_folder_is_refused(
    spoil: Any, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(here / "reader-copy")
    assert main(["verify", "--from", "reader-copy"]) == 2
    assert message in capsys.readouterr().err


def test_a_reader_of_the_folder_gives_the_scored_answers(here: Path) -> None:
    (here / "reader-copy/.gitattributes").write_text("*.safetensors filter=lfs\n")
    rows = [*read_json_lines(here / "data/qa/test/test.jsonl")]
    texts = [[row[name] for row in rows] for name in ("question", "context")]
    scored = read_json(here / "data/qa/predictions/predictions.json")
    found = retune.Reader("reader-copy")(*texts)
    assert [each["answer"] for each in found] == [scored[row["id"]] for row in rows]
    own = retune.Reader("data/qa/model")(*texts)
    assert [each["confidence"] for each in found] == [each["confidence"] for each in own]


def test_a_reader_gets_a_published_model_from_the_hub(
    here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with serving({"ada/reader": here / "reader"}) as server:
        use_hub(monkeypatch, server.address)
        reader = retune.Reader("ada/reader", revision=COMMIT)
    question, context = "Who?", "Ada saw Vik."
    local = retune.Reader("reader")(question=question, context=context)
    assert reader(question=question, context=context) == local
    again = retune.Reader("ada/reader", revision=COMMIT)  # from the cache, without the server
    assert again(question=question, context=context) == local


def test_a_push_uploads_every_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    words = ["publish", "reader-copy", "--push", "ada/reader", "--private"]
    with taking_uploads("hf_secret") as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", server.address)
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_TOKEN", "wrong")
        assert main(words) == 1
        assert "--push ada/reader: not uploaded (" in capsys.readouterr().err
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        server.private = False
        assert main(words) == 1
        assert "--push ada/reader: the repository exists and is public" in capsys.readouterr().err
        server.private = True
        server.files = {"every_eval_ever/data/old.json": b"{}"}
        assert main(words) == 0
    assert server.created["ada/reader"]["visibility"] == "private"
    top = here / "reader-copy"
    assert server.files == {
        path.relative_to(top).as_posix(): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file()
    }
    assert "uploaded: " in capsys.readouterr().out
    assert "ada/reader" in card(top)[1]
