"""Scores against their definitions, and differences against a bootstrap in plain words."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.core.files import read_json, write_json_lines
from retune.core.manifests import seal
from retune.stats import paired
from retune.stats.clusters import Clusters
from retune.stats.paired import Draws
from retune.tasks.language_model.compare.compare import compare, require_generate_only
from retune.tasks.language_model.compare.text_scores import perplexity_scores, text_scores
from retune.tasks.language_model.outputs.likelihoods import Likelihood, perplexity
from retune.tasks.language_model.outputs.records import (
    GeneratedText,
    ReferencePair,
    likelihood_rows,
    read_continuations,
    read_likelihoods,
)
from retune.tasks.language_model.score.rouge import Rouge, distinct_n, repeated, rouge_n
from retune.tasks.language_model.score.rouge_words import rouge_score_words as words
from retune.tasks.language_model.score.score import (
    ScoreParams,
    Share,
    compared,
    score,
    shares,
    totals,
)

PARAMS = ScoreParams(
    first_tokens=4, tokenizer="unicode", longest_ngram=3, resamples=500, resampling_seed=1
)
SECONDS = [
    ("The cat sat on the mat.", [1, 2, 3, 4, 1, 5]),
    ("The dog ran.", [1, 6, 7]),
    ("It rained all day.", [8, 9, 10, 11]),
]
#: What two methods say, after training; before, all say what `bad` says.
GOOD = [
    ("The cat sat down.", [1, 2, 3, 12], True, -4.0),
    ("The dog ran ran ran.", [1, 6, 7, 7, 7], False, -6.5),
    ("It rained.", [8, 9], True, -1.0),
]
BAD = [
    ("the the the the", [1, 1, 1, 1, 1, 1], False, -3.0),
    ("the the", [1, 1], False, -2.0),
    ("", [], True, -9.0),
]
#: Of second sentences and of whole texts, in both states.
LIKELIHOODS = {
    "before": [Likelihood(-60.0, 6), Likelihood(-33.0, 3), Likelihood(-40.0, 4)],
    "after": [Likelihood(-30.0, 6), Likelihood(-15.0, 3), Likelihood(-21.0, 4)],
}


def pairs() -> list[ReferencePair]:
    return [
        ReferencePair(str(number), [1], text, tokens)
        for number, (text, tokens) in enumerate(SECONDS)
    ]


def said(rows: list[Any]) -> list[GeneratedText]:
    return [
        GeneratedText(text, tokens, Likelihood(log, len(tokens) + ended), ended)
        for text, tokens, ended, log in rows
    ]


def write_features(folder: Path) -> Path:
    names = ReferencePair.__slots__
    rows = ({name: getattr(pair, name) for name in names} for pair in pairs())
    write_json_lines(folder / "pairs.jsonl", rows)
    texts = ({"id": str(n), "tokens": tokens} for n, (_, tokens) in enumerate(SECONDS))
    write_json_lines(folder / "validation.jsonl", texts)
    return folder


def write_said(folder: Path, rows: list[Any], model: str = "m") -> Path:
    end = 0
    write_json_lines(
        folder / "continuations.jsonl",
        (
            {"id": str(number), "text": text, "tokens": [*tokens, end] if ended else tokens,
             "log_probability": log, "ended": ended}
            for number, (text, tokens, ended, log) in enumerate(rows)
        ),
    )  # fmt: skip
    seal(folder, {"inputs": {"model": model}, "params": {}})
    return folder


def write_all(folder: Path) -> Path:
    """Features, likelihoods and continuations of both states by two methods."""
    write_features(folder / "features")
    for state, rows in LIKELIHOODS.items():
        for file in ("pairs", "texts"):
            path = folder / "likelihoods" / state / f"{file}.jsonl"
            write_json_lines(path, likelihood_rows("012", rows))
        seal(folder / "likelihoods" / state, {"inputs": {"model": state}, "params": {}})
        for method in ("good", "bad"):
            spoken = GOOD if (state, method) == ("after", "good") else BAD
            write_said(folder / "generated" / state / method, spoken, state)
    return folder


def compared_in(folder: Path) -> dict[str, Any]:
    compare(
        folder / "features", folder / "likelihoods", folder / "generated", folder / "c.json",
        folder / "c.csv", methods=["good", "bad"], params=PARAMS,
    )  # fmt: skip
    values: dict[str, Any] = read_json(folder / "c.json")["language_model"]
    return values


def hits_by_hand(reference: list[int], prediction: list[int]) -> float:
    """Notebook N4's figure: of all 1- to 3-grams of the reference, those that were said."""
    found = total = 0
    for n in (1, 2, 3):
        known = {tuple(prediction[i : i + n]) for i in range(len(prediction) - n + 1)}
        for i in range(len(reference) - n + 1):
            total += 1
            found += tuple(reference[i : i + n]) in known
    return found / total


def rate(texts: list[list[int]], n: int) -> float:
    times, total = (sum(column) for column in zip(*(repeated(t, n) for t in texts), strict=True))
    return times / total


def test_scores_are_those_of_their_definitions(tmp_path: Path) -> None:
    features = write_features(tmp_path / "f")
    told = score(features, write_said(tmp_path / "g", GOOD), tmp_path / "m.json", PARAMS)
    values = read_json(tmp_path / "m.json")["language_model"]
    by_words = [(words(text), words(row[0])) for (text, _), row in zip(SECONDS, GOOD, strict=True)]
    first = [(tokens, row[1][:4]) for (_, tokens), row in zip(SECONDS, GOOD, strict=True)]
    for row in values["rouge"]:
        pairs = {"words": by_words, "tokens": first}[row["over"]]
        every = zip(*(rouge_n(*pair, row["n"]) for pair in pairs), strict=True)
        expected = Rouge(*(sum(figures) / len(pairs) for figures in every))
        assert [row[kind] for kind in expected._fields] == pytest.approx(list(expected))
    assert [(row["over"], row["n"]) for row in values["rouge"]] == [
        (over, n) for over in ("words", "tokens") for n in (1, 2, 3)
    ]
    assert [values[f"rouge_{n}_f1"] for n in (1, 2, 3)] == [r["f1"] for r in values["rouge"][:3]]
    assert values["ngram_hits"] == pytest.approx(sum(hits_by_hand(*each) for each in first) / 3)
    said = [row[1] for row in GOOD]
    assert [(r["n"], r["distinct"], r["repetition"]) for r in values["diversity"]] == [
        (n, distinct_n(said, n), pytest.approx(rate(said, n))) for n in (1, 2, 3)
    ]
    assert values["repetition_3"] == values["diversity"][2]["repetition"]
    assert values["tokens"] == pytest.approx(11 / 3)
    assert values["details"] == [
        {
            "pairs": 3,
            "empty": 0,
            "ended": 2,
            "mean_log_probability": pytest.approx(-11.5 / 13),
            "tokenizer": "unicode",
            "references_without_words": 0,
            "continuations_without_words": 0,
        }
    ]
    assert f"ngram_hits {values['ngram_hits']:.3f}" in told


def test_only_the_first_tokens_are_compared_and_null_means_all() -> None:
    pair, row = (
        ReferencePair("a", [1], "x", [5, 6]),
        GeneratedText("", [1, 2, 3, 4, 5, 6], Likelihood(-1, 6), False),
    )
    few = shares(pair, row, PARAMS)
    every = shares(pair, row, ScoreParams(None, "unicode", 3, 1, 1))
    assert few["ngram_hits"] == few["token_rouge_2_recall"] == Share(0, 1)
    assert every["ngram_hits"] == every["token_rouge_2_recall"] == Share(1, 1)


def test_what_says_nothing_scores_nothing(tmp_path: Path) -> None:
    silent = [("", [], True, -1.0)] * 3
    features = write_features(tmp_path / "f")
    score(features, write_said(tmp_path / "g", silent), tmp_path / "m.json", PARAMS)
    values = read_json(tmp_path / "m.json")["language_model"]
    assert values["details"][0]["empty"] == 3
    assert values["rouge_1_f1"] == values["ngram_hits"] == values["repetition_3"] == 0


figures = st.lists(
    st.tuples(st.integers(-50, 0).map(float), st.integers(1, 9)), min_size=1, max_size=8
)


@given(figures)
def test_a_figure_is_the_mean_of_the_scores_of_its_texts(rows: list[Any]) -> None:
    found = text_scores([Share(*row) for row in rows])
    assert found.mean() == pytest.approx(sum(p for p, _ in rows) / sum(w for _, w in rows))
    assert totals([{"x": Share(*row)} for row in rows]) == {"x": pytest.approx(found.mean())}
    spoken = perplexity_scores([Share(*row) for row in rows])
    assert spoken.mean() == pytest.approx(perplexity([Likelihood(*row) for row in rows]))


def test_of_a_mean_the_scores_are_the_parts_and_without_wholes_they_are_0() -> None:
    assert text_scores([Share(0.1, 1), Share(0.7, 1)]).tolist() == [0.1, 0.7]
    assert text_scores([Share(3, 0), Share(4, 0)]).tolist() == [0, 0]


def test_an_interval_is_that_of_a_bootstrap_in_plain_words() -> None:
    generator = np.random.default_rng(3)
    parts, wholes = generator.integers(-40, -1, 30), generator.integers(1, 9, 30)
    others = parts - generator.integers(-9, 10, 30)
    rows = [list(map(Share, each.tolist(), wholes.tolist())) for each in (parts, others)]
    scores = {name: text_scores(each) for name, each in zip("ab", rows, strict=True)}
    compared_ = paired.compare(scores, Clusters.named(range(30)), Draws(4000), [("a", "b")])
    (found,) = compared_.differences
    again = np.random.default_rng(11)
    values = []
    for _ in range(4000):
        places = again.integers(30, size=30)
        values.append((parts[places].sum() - others[places].sum()) / wholes[places].sum())
    low, high = np.percentile(values, [2.0, 98.0])  # widened for 30 texts
    assert found.value == pytest.approx((parts.sum() - others.sum()) / wholes.sum())
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.1)


def test_states_and_methods_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = compared_in(write_all(tmp_path))
    for row in values["perplexity"]:
        before, after = (perplexity(LIKELIHOODS[state]) for state in ("before", "after"))
        assert [row["before"], row["after"]] == pytest.approx([before, after])
        assert row["difference"] == pytest.approx(after - before)
        assert row["low"] <= row["difference"] <= row["high"] < 0
    assert [row["of"] for row in values["perplexity"]] == ["second sentences", "texts"]
    names = compared(PARAMS)
    assert [(r["state"], r["method"]) for r in values["scores"]] == [
        (state, method) for state in ("before", "after") for method in ("good", "bad")
    ]
    good, bad = (totals([shares(*each, PARAMS) for each in zip(pairs(), said(rows), strict=True)])
                 for rows in (GOOD, BAD))  # fmt: skip
    assert [values["scores"][2][name] for name in names] == pytest.approx([good[n] for n in names])
    changes = {(r["method"], r["figure"]): r["difference"] for r in values["states"]}
    assert changes == {
        **{("good", name): pytest.approx(good[name] - bad[name], abs=1e-6) for name in names},
        **{("bad", name): 0 for name in names},
    }
    between = {(r["state"], r["figure"]): r for r in values["methods"]}
    assert Counter(state for state, _ in between) == {"before": len(names), "after": len(names)}
    assert between["after", "rouge_1_f1"]["difference"] == changes["good", "rouge_1_f1"]
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "perplexity of second sentences" in out
    assert "good over bad, after: ROUGE-1 +" in out
    for row in [*values["states"], *values["methods"]]:
        assert row["p_value"] <= row["adjusted"] <= 2 * row["p_value"]
    (row,) = (r for r in values["methods"] if (r["state"], r["figure"]) == ("before", "ngram_hits"))
    same = {"difference": 0, "low": 0, "high": 0, "p_value": 1, "adjusted": 1, "detectable": 0}
    assert same.items() <= row.items()


def test_the_table_is_also_there_for_plots_and_the_same_each_time(tmp_path: Path) -> None:
    values = compared_in(write_all(tmp_path))
    before = [(tmp_path / name).read_bytes() for name in ("c.json", "c.csv")]
    with (tmp_path / "c.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["before good", "before bad", "after good", "after bad"]
    for row, expected in zip(rows, values["scores"], strict=True):
        assert row["state"] == expected["state"]
        assert float(row["rouge_1_f1"]) == expected["rouge_1_f1"]
    compared_in(tmp_path)
    assert [(tmp_path / name).read_bytes() for name in ("c.json", "c.csv")] == before


def test_one_state_is_of_one_model(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_said(tmp_path / "generated" / "after" / "bad", BAD, "another")
    with pytest.raises(RetuneError, match=r"after/bad: made with another model than .*/after, so"):
        compared_in(tmp_path)


def test_continuations_of_other_pairs_are_refused(tmp_path: Path) -> None:
    folder = write_said(tmp_path / "g", GOOD)
    with pytest.raises(RetuneError, match="its ids are not those of the features in their order"):
        read_continuations(folder, pairs()[::-1])
    path = tmp_path / "l.jsonl"
    write_json_lines(path, likelihood_rows("01", LIKELIHOODS["after"][:2]))
    assert read_likelihoods(path, ["0", "1"]) == LIKELIHOODS["after"][:2]
    with pytest.raises(RetuneError, match="in their order; run the perplexity stage"):
        read_likelihoods(path, ["0", "2"])
    path.write_text(json.dumps({"id": "0", "tokens": 1}), encoding="utf-8")
    with pytest.raises(RetuneError, match=r"l\.jsonl:1: no field 'log_probability'; run the stage"):
        read_likelihoods(path, ["0"])


def test_variants_change_only_how_texts_are_continued() -> None:
    require_generate_only({"greedy": {"generate": {"beam_search": None}}, "beams3": {}})
    with pytest.raises(RetuneError, match=r"variants\.odd\.score: .* may change `generate` alone"):
        require_generate_only({"odd": {"generate": {}, "score": {"longest_ngram": 2}}})
