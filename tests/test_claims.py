"""Documents, figures and the ledger say the same, and nothing is stated without a claim."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stated_numbers as stated

from retune.core.errors import RetuneError
from retune.core.params import load_yaml
from retune.tools.claims import ledger
from retune.tools.claims.ledger import Place, Published, Reproduced

ROOT = Path(__file__).resolve().parent.parent
CLAIMS = ledger.load(ROOT)
EXACT = CLAIMS["bert"].values["metrics/qa.json#qa/exact_match"]


@pytest.fixture(scope="module", autouse=True)
def _parsed_once() -> Iterator[None]:
    """Parse each long YAML file once, though most tests copy all of them and spoil one."""
    known: dict[bytes, dict[str, Any]] = {}

    def load(path: Path) -> dict[str, Any]:
        content = path.read_bytes()
        if content not in known:
            known[content] = load_yaml(path)
        return known[content]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retune.tools.claims.project.load_yaml", load)
        yield


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The documents and the figures, to be spoilt."""
    graph = ["params.yaml", "dvc.yaml", "dvc.lock"]
    folders = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("pipelines/*/dvc.yaml"))
    files = ["claims.yaml", *graph, *(str(folder / name) for folder in folders for name in graph)]
    files += [source for claim in CLAIMS.values() for source in getattr(claim, "sources", ())]
    files += [place.file for claim in CLAIMS.values() for place in claim.stated]
    files += [key.partition("#")[0] for key in ("metrics/qa.json", *settings())]
    for name in {*files, *stated.documents(ROOT)}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def settings() -> list[str]:
    return [k for c in CLAIMS.values() if c.kind == "setting" for k in getattr(c, "values", ())]


def problems(folder: Path, changed: str = "claims.yaml") -> str:
    claims = ledger.load(folder) if changed == "claims.yaml" else CLAIMS
    found = stated.problems(folder, claims)
    if not changed.endswith(".md"):
        found += ledger.problems(folder, claims)
    return "\n".join(found)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_ledger_agrees_with_what_was_measured() -> None:
    assert "\n".join(ledger.problems(ROOT, CLAIMS)) == ""


def test_every_stated_number_has_a_claim() -> None:
    assert "\n".join(stated.problems(ROOT, CLAIMS)) == ""


def test_the_rule_sees_the_numbers_of_every_document() -> None:
    counts = {
        name: len(stated.results((ROOT / name).read_text(encoding="utf-8")))
        for name in stated.documents(ROOT)
    }
    assert counts["README.md"] > 30
    assert counts["docs/sweeps.md"] > 8
    assert counts["docs/performance.md"] > 130
    assert counts["docs/trials.md"] > 80


def test_every_model_and_every_preset_has_a_claim() -> None:
    models = {path.stem for path in (ROOT / "src/retune/tasks/qa/models").glob("[a-z]*.py")}
    models.remove("bert_adapter_fusion")  # of the graph of adapters: claim adapters-methods
    reproduced = {name for name, c in CLAIMS.items() if isinstance(c, Reproduced) and c.retrain}
    assert reproduced == models
    presets = {
        path.stem for path in (ROOT / "experiments").glob("*.yaml")
        if "Published with the notebook" in " ".join(path.read_text(encoding="utf-8").split())
    }  # fmt: skip
    assert len(presets) == 5
    assert presets <= {name for name, c in CLAIMS.items() if isinstance(c, Published)}


SPOILT = [
    pytest.param(
        "README.md", "## More", "The best F1 was 51.3 once.\n\n## More",
        r"README.md:\d+: 51.3 is stated .*no claim in claims.yaml covers it",
        id="a new number in prose",
    ),
    pytest.param(
        "README.md", "## More", "| x | y |\n|---|--:|\n| lstm | 4 |\n\n## More",
        r"README.md:\d+: 4 is stated",
        id="a new number in a table",
    ),
    pytest.param(
        "docs/design.md", "## Decisions", "It is 3.5x as fast, in 12 s.\n\n## Decisions",
        r"design.md:\d+: 3.5 is stated[\s\S]*design.md:\d+: 12 is stated",
        id="a ratio and seconds",
    ),
    pytest.param(
        "docs/trials.md", "| 55.72 | 69.69 |", "| 57.72 | 69.69 |",
        r"trials-real-questions: docs/trials.md does not state '\| 55.72",
        id="a number written by hand that is changed",
    ),
    pytest.param(
        "metrics/qa.json", f"{EXACT}", "92.5",
        r"bert: sources: metrics/qa.json is [\s\S]*bert: values: metrics/qa.json#qa/exact_match is "
        rf"92.5, but the ledger has {EXACT}; .*--accept",
        id="figures that are changed",
    ),
    pytest.param(
        "metrics/qa_variants.json", '"name": "lstm"', '"name":  "lstm"',
        r"lstm: sources: metrics/qa_variants.json is",
        id="one byte of a source",
    ),
    pytest.param(
        "bench/results/startup.json", "rounds", "round", r"startup: sources: ",
        id="a bench that ran again",
    ),
    pytest.param(
        "claims.yaml", "metrics/qa.json#qa/f1: ", "metrics/qa.json#qa/f1: 9",
        r"bert: values: metrics/qa.json#qa/f1 is .*the ledger has 9",
        id="a ledger that is changed",
    ),
    pytest.param(
        "params.yaml", "seed: 42", "seed: 43",
        r"lstm: params: [\s\S]*dvc.lock: params.yaml has changed since the last run",
        id="params that are changed and not run",
    ),
    pytest.param(
        "params.yaml", "hidden_size: 768", "hidden_size: 700",
        r"claims.yaml: lstm: params: ",
        id="params of another variant",
    ),
    pytest.param(
        "dvc.lock", CLAIMS["bert"].data, "f" * 32 + ".dir",
        rf"bert: data: data is f+.dir, but the ledger has {CLAIMS['bert'].data}",
        id="other data",
    ),
    pytest.param(
        "pipelines/adapters/params.yaml", "reduction: 16", "reduction: 8",
        r"adapters-methods: params: [\s\S]*adapters/dvc.lock: params.yaml has changed",
        id="params of a sister pipeline",
    ),
    pytest.param(
        "pipelines/adapters/metrics/lora/scores.json", '"questions": 72', '"questions": 71',
        r"adapters-methods: sources: .*lora/scores.json is",
        id="figures of a sister pipeline",
    ),
    pytest.param(
        "docs/sweeps.md", "EM 60.00, F1 70.67", "EM 61.00, F1 70.67",
        r"n1-bert-mini: docs/sweeps.md does not state 'EM 60.00",
        id="a published number",
    ),
    pytest.param(
        "claims.yaml", "F1: 70.67", "F1: 71.67",
        r"n1-bert-mini: docs/sweeps.md states 70.67, which is none of \[60.0, 71.67\]",
        id="a published number in the ledger",
    ),
    pytest.param(
        "src/retune/tools/data_doctor/minhash.py", "THRESHOLD = 0.8", "THRESHOLD = 0.7",
        r"near-contexts: values: .*THRESHOLD is 0.7, but the ledger has 0.8",
        id="a constant",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "message"), SPOILT)
def test_a_disagreement_is_found(file: str, old: str, new: str, message: str, copy: Path) -> None:
    replace(copy / file, old, new)
    found = problems(copy, file)
    assert re.search(message, found), found


def test_numbers_that_are_no_results_need_no_claim() -> None:
    text = (
        "Python 3.11 and torch 2.13.0 read SQuAD 1.1 in YAML 1.2; see `F1 50.25` and N1.\n"
        "```console\n$ retune  # 99.95 %\n```\n| a 3 | b-4 | `12` |\n"
    )
    assert stated.results(text) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("EM of 42 and F1 48.5.", ["42", "48.5"]),
        ("up to 10,784 windows at 12.5 windows/s in 1,793 s", ["10,784", "12.5", "1,793"]),
        ("| **42.63** | 251 s | 7.0 / 9.9, 25.5 / 29.3 | < 10% |",
         ["42.63", "251", "7.0", "9.9", "25.5", "29.3", "10"]),
        ("23 points, 5.59 (5.53-5.59) times", ["23", "5.59", "5.53", "5.59"]),
    ],
)  # fmt: skip
def test_results_are_recognised(text: str, numbers: list[str]) -> None:
    assert [text[start:end] for start, end in stated.results(text)] == numbers


def test_words_cover_numbers_however_the_lines_break() -> None:
    place = Place(file="a.md", text="F1 50.25 in 12 s")
    assert stated.uncovered("a.md", "gives F1 50.25 in\n12 s.", [place]) == []
    (line,) = stated.uncovered("a.md", "gives F1 50.25 in\n13 s.\nF1 50.25 in 12 s", [place])[1:]
    assert line.startswith("a.md:2: 13 is stated")


def test_accepting_writes_what_was_measured_and_keeps_the_rest(copy: Path) -> None:
    text = (copy / "claims.yaml").read_text(encoding="utf-8")
    assert ledger.accept(copy) == []
    replace(copy / "metrics/qa.json", f"{EXACT}", "92.5")
    assert ledger.accept(copy) == ["bert"]
    assert problems(copy) == ""
    new = (copy / "claims.yaml").read_text(encoding="utf-8")
    changed = set(text.splitlines()) ^ set(new.splitlines())
    assert len(changed) in (2, 4)
    assert all("metrics/qa.json" in line for line in changed)


def test_figures_of_other_params_are_not_accepted(copy: Path) -> None:
    before = (copy / "claims.yaml").read_bytes()
    replace(copy / "params.yaml", "seed: 42", "seed: 43")
    with pytest.raises(RetuneError, match=r"changed since .*lstm.* were computed; run them"):
        ledger.accept(copy)
    assert (copy / "claims.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: bench", "kind: bensch", r"claims.yaml: training-speed: Input tag 'bensch'"),
        ("tolerance: {", "tolerances: {", r"claims.yaml: bert.reproduced.tolerances: Extra inputs"),
        ("part: results", "parts: results", r"needs a `part` or a `text`|Extra inputs"),
        ("metrics/qa.json: ", "metrics/q.json: ", r"metrics/q.json: no such file, though a claim"),
        ("#qa/f1:", "#qa/f2:", r"claims.yaml: metrics/qa.json#qa/f2: there is no f2"),
        ("#qa/f1:", "#qa/details:", r"#qa/details: expected a number there, found \["),
        ("py#THRESHOLD", "py#LIMIT", r"minhash.py#LIMIT: no such constant"),
    ],
)
def test_a_wrong_ledger_is_named(old: str, new: str, message: str, copy: Path) -> None:
    replace(copy / "claims.yaml", old, new)
    with pytest.raises(RetuneError, match=message):
        problems(copy)


def test_a_lock_without_data_is_named(copy: Path) -> None:
    lock = copy / "dvc.lock"
    lock.write_text("schema: '2.0'\nstages: {}\n", encoding="utf-8")
    with pytest.raises(RetuneError, match="no stage has written the folder raw; run `dvc repro`"):
        problems(copy)
