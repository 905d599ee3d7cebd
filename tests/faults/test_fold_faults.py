"""Folds that cannot be made, swept or pooled."""

from pathlib import Path

import pytest
from compare.test_pooled_folds import system
from pydantic import ValidationError
from qa.test_download import PARAMS, question, run, source

from retune.core.errors import RetuneError
from retune.tasks.qa.download.download import DownloadParams
from retune.tools.cli.main import main
from retune.tools.compare.folds import pooled
from retune.tools.experiments.grid import planned

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "fold",
    [
        pytest.param("6/5", id="P82 above the count"),
        pytest.param("0/5", id="P82 zero"),
        pytest.param("1/1", id="P82 one fold"),
        pytest.param("1", id="P82 no count"),
        pytest.param("1of5", id="P82 as in names"),
    ],
)
def test_what_is_no_fold_is_refused(fold: str) -> None:
    with pytest.raises(ValidationError, match=f"fold is '{fold}'; allowed: null, or '1/5' to"):
        DownloadParams(**PARAMS | {"fold": fold})


def test_d64_more_folds_than_articles(tmp_path: Path) -> None:
    rows = [question(f"q{n}", f"word{n} and more", title=f"T{n // 2}") for n in range(4)]
    sources = {name: [source(tmp_path, f"{name}.jsonl", part)]
               for name, part in (("train", rows[:2]), ("test", rows[2:]))}  # fmt: skip
    with pytest.raises(RetuneError, match="2 articles cannot make 3 folds; set"):
        run(tmp_path, sources, fold="1/3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["qa.model=lstm", "--folds", "1"],
                     "--folds 1: expected a whole number from 2 to 100", id="V87 too few"),
        pytest.param(["qa.model=lstm", "--folds", "many"],
                     "--folds many: expected a whole number from 2 to 100", id="V87 no number"),
        pytest.param(["--pipeline", "sentiment", "sentiment.seeds=[1]", "--folds", "3"],
                     "has no qa.download.fold; leave out --folds", id="V87 another pipeline"),
    ],
)  # fmt: skip
def test_folds_that_cannot_be_swept_are_refused(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["sweep", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_v87_a_fold_and_folds() -> None:
    with pytest.raises(RetuneError, match="fold and --folds both set the fold; give"):
        planned(["qa.download.fold=1/3"], folds=3)


@pytest.mark.parametrize(
    ("folds", "seeds", "message"),
    [
        pytest.param(("1/3", "3/3"), (), "with seed 1: folds 2/3 are missing; run", id="V88 one"),
        pytest.param(("1/2", "2/2", "2/2"), (1, 1, 2), "seed 2: folds 1/2 are", id="V88 a seed"),
        pytest.param(("1/2", "2/3"), (), "have different folds (1/2, 2/3)", id="V88 counts"),
        pytest.param(("1/2", None), (), "have different folds (1/2, None)", id="V88 none"),
        pytest.param(("1/2", "2/2", "2/2"), (), "a fold has two runs (1/2, 2", id="V88 twice"),
        pytest.param(("1/3", "2/3", "3/3"), (), "questions in two folds: p1", id="V88 a question"),
    ],
)
def test_folds_that_do_not_cover_the_questions_once_are_refused(
    folds: tuple[str | None, ...], seeds: tuple[int, ...], message: str
) -> None:
    with pytest.raises(RetuneError) as caught:
        pooled(system(*folds, seeds=seeds))
    assert message in str(caught.value)
