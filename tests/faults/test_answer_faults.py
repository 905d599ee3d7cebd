"""Logits that are broken, tied or out of place, and what is answered then: rows Q01 to Q15.

That answers come from the model and data they claim to (Q11), and that no half-written file
is ever read (Q13), has tests of its own.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from runs import (
    TOKENIZERS,
    answers,
    lines,
    row,
    run_download,
    run_postprocess,
    run_tokenize,
    write_logits,
)

from retune.core.errors import RetuneError
from retune.core.files import write_json
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.windows.features import feature_batches, read_windows

CONTEXT = "Ada met Bo in Vik"
NFD = "cafe\u0301"
LONG = " ".join(tiny.TEXTS)
Logits = dict[str, tuple[float, float]]


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


def prepared(
    folder: Path, *rows: dict[str, Any], kind: Any = None, squad_v2: bool = False, **changes: Any
) -> None:
    """Validation windows of `rows`; a word is a token unless a `kind` of tokenizer is named."""
    run_download(folder, [row("t", "something else", "else")], rows, squad_v2=squad_v2)
    run_tokenize(folder, kind or words(), squad_v2=squad_v2, **changes)


def words() -> Any:
    """A tokenizer for which every word is one unknown token, and the question too."""
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
    tokenizer.backend_tokenizer.pre_tokenizer = WhitespaceSplit()
    return tokenizer


def write(folder: Path, context: str, *windows: Logits) -> None:
    """Logits of the windows: 0, but at the tokens that are named; CLS and Q(uestion) too."""
    found = read_windows(folder / "features" / "test.arrow")
    values = np.zeros((found.tokens, 2), np.float32)
    for window, (begin, logits) in enumerate(zip(found.window_tokens(), windows, strict=False)):
        low, high = int(found.context_start[window]), int(found.context_end[window])
        spans = zip(found.char_start[begin:], found.char_end[begin:], strict=True)
        names = {context[start:end]: i for i, (start, end) in enumerate(spans) if low <= i < high}
        places = names | {"CLS": 0, "Q": 1}
        for name, pair in logits.items():
            values[begin + places[name]] = pair
    write_logits(folder, values)


def best(folder: Path) -> list[dict[str, Any]]:
    """The n-best list of the first question."""
    candidates: list[dict[str, Any]] = lines(folder / "predictions" / "nbest.jsonl")[0][
        "candidates"
    ]
    return candidates


@pytest.mark.parametrize("squad_v2", [False, True])
@pytest.mark.parametrize(
    ("place", "pair", "said"),
    [
        case("Q01 NaN start", "Bo", (np.nan, 0), "the start logit of a token is nan"),
        case("Q01 NaN end", "Vik", (0, np.nan), "the end logit of a token is nan"),
        case("Q01 infinite", "Ada", (np.inf, 0), "the start logit of a token is inf"),
        case("Q01 minus infinite", "Ada", (0, -np.inf), "the end logit of a token is -inf"),
        case("Q01 at CLS", "CLS", (np.nan, np.nan), "the start logit of a token is nan"),
    ],
)
def test_a_logit_that_is_no_number_stops_postprocess(
    tmp_path: Path, place: str, pair: tuple[float, float], said: str, squad_v2: bool
) -> None:
    prepared(tmp_path, row("q7", CONTEXT, "Bo"), squad_v2=squad_v2)
    write(tmp_path, CONTEXT, {})
    run_postprocess(tmp_path, squad_v2=squad_v2)
    before = sorted((p.name, p.read_bytes()) for p in (tmp_path / "predictions").iterdir())
    write(tmp_path, CONTEXT, {place: pair})
    with pytest.raises(RetuneError, match=f"question q7, window 1: {said}; the model is broken"):
        run_postprocess(tmp_path, squad_v2=squad_v2)
    after = sorted((p.name, p.read_bytes()) for p in (tmp_path / "predictions").iterdir())
    assert before == after
    assert not list(tmp_path.glob(".*"))


def test_q01_predict_writes_no_logits_of_a_broken_model(tmp_path: Path) -> None:
    import torch

    prepared(tmp_path, row("q1", LONG, "Vik"), row("q2", CONTEXT, "Bo"), max_length=32)
    model = random_lstm(words())
    with torch.no_grad():
        model.output.bias[1] = torch.nan
    params = PredictParams(batch_size=2, precision="fp32")
    with pytest.raises(RetuneError, match=r"not a number at window 0, of the question in line 1"):
        predict(tmp_path / "features", model, tmp_path / "logits", params)
    assert not (tmp_path / "logits").exists()
    assert not list(tmp_path.glob(".*"))


def test_q01_no_json_holds_nan(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"f.json: a.0 is nan; refusing to write it"):
        write_json(tmp_path / "f.json", {"a": [float("nan")]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("logits", "texts"),
    [
        case("Q02 all equal", {}, ["Ada", "Ada met", "Ada met Bo"]),
        case("Q02 two ends", {"met": (5, 0), "Bo": (0, 3), "Vik": (0, 3)},
             ["met Bo", "met Bo in Vik", "Ada met Bo"]),
        case("Q02 two starts", {"Ada": (5, 0), "Bo": (5, 3)}, ["Ada met Bo", "Bo", "Ada"]),
        case("Q02 same sum", {"Ada": (2, 1), "met": (1, 2)}, ["Ada met", "Ada", "met"]),
    ],
)  # fmt: skip
def test_ties_are_ordered_by_start_and_then_by_length(
    tmp_path: Path, logits: Logits, texts: list[str]
) -> None:
    prepared(tmp_path, row("q", CONTEXT, "Bo"))
    write(tmp_path, CONTEXT, logits)
    run_postprocess(tmp_path)
    assert [candidate["text"] for candidate in best(tmp_path)] == texts


def test_q03_the_null_score_is_the_lowest_of_all_windows(tmp_path: Path) -> None:
    context = " ".join(f"w{n}" for n in range(40))
    prepared(tmp_path, row("q", context, "w3"), squad_v2=True, max_length=32, doc_stride=2)
    write(tmp_path, context, {"CLS": (-4, -4), "w3": (3, 3)}, {"CLS": (9, 9)})
    run_postprocess(tmp_path, squad_v2=True)
    (line,) = lines(tmp_path / "predictions" / "nbest.jsonl")
    assert (answers(tmp_path)["q"], line["null_score"]) == ("w3", -8.0)


@pytest.mark.parametrize(
    ("logits", "changes", "text"),
    [
        case("Q04 best tokens outside the context", {"CLS": (9, 9), "Q": (8, 8), "in": (1, 1)},
             {"n_best": 1}, "in"),
        case("Q04 best end before best start", {"Vik": (9.5, 0), "Ada": (0, 9), "in": (1, 0)},
             {"n_best": 1}, "Vik"),
        case("Q04 best span too long", {"Ada": (9, 0), "Vik": (0, 9), "met": (0, 1)},
             {"n_best": 1, "max_answer_length": 2}, "Ada met"),
        case("Q09 length in tokens: two long words", {"Ada": (9, 0), "met": (0, 9)},
             {"max_answer_length": 2}, "Ada met"),
        case("Q09 length in tokens: three short ones", {"met": (9, 0), "in": (0, 9), "Bo": (0, 1)},
             {"max_answer_length": 2}, "met Bo"),
        case("Q10 characters (0, 0) of special tokens", {"CLS": (99, 99), "Q": (99, 99)},
             {}, "Ada"),
    ],
)  # fmt: skip
def test_the_answer_is_a_span_of_the_context(
    tmp_path: Path, logits: Logits, changes: dict[str, int], text: str
) -> None:
    prepared(tmp_path, row("q", CONTEXT, "Bo"))
    write(tmp_path, CONTEXT, logits)
    assert run_postprocess(tmp_path, **changes).startswith("1 answers, 0 of them empty")
    assert answers(tmp_path) == {"q": text}
    for candidate in best(tmp_path):
        assert 0 <= candidate["start"] < candidate["end"] <= len(CONTEXT)
        assert candidate["text"] == CONTEXT[candidate["start"] : candidate["end"]] != ""


@pytest.mark.parametrize(
    ("context", "null", "text"),
    [
        case("Q05 the null answer is best", CONTEXT, 9.0, ""),
        case("Q05 no other candidate", "\u200b\u0007", -9.0, ""),
        case("Q05 the null answer is worst", CONTEXT, -9.0, "Ada"),
    ],
)
def test_a_list_of_empty_answers_has_an_end(
    tmp_path: Path, context: str, null: float, text: str
) -> None:
    prepared(tmp_path, row("q", context), kind="wordpiece", squad_v2=True)
    write(tmp_path, context, {"CLS": (null, null)})
    run_postprocess(tmp_path, squad_v2=True, n_best=1)
    assert answers(tmp_path) == {"q": text}
    assert "" in [candidate["text"] for candidate in best(tmp_path)]
    assert sum(candidate["probability"] for candidate in best(tmp_path)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("counts", "values", "message"),
    [
        case("Q06 other features", {"windows": 2, "tokens": 9}, np.zeros((9, 2), np.float32),
             r"logits of {'windows': 2, 'tokens': 9}, but the features have {'windows': 1, 'tok"),
        case("Q06 too few logits", None, np.zeros((3, 2), np.float32), r"shape \(3, 2\)"),
        case("Q08 halves", None, np.zeros((9, 2), np.float16), "damaged .float16 of shape"),
        case("Q15 padded rectangles", None, np.zeros((1, 64, 2), np.float32), r"shape \(1, 64, 2"),
    ],
)  # fmt: skip
def test_logits_of_other_windows_are_refused(
    tmp_path: Path, counts: dict[str, int] | None, values: Any, message: str
) -> None:
    prepared(tmp_path, row("q", CONTEXT, "Bo"))
    write(tmp_path, CONTEXT, {})
    np.save(tmp_path / "logits" / "logits.npy", values)
    if counts:
        (tmp_path / "logits" / "windows.json").write_text(json.dumps(counts))
    with pytest.raises(RetuneError, match=message):
        run_postprocess(tmp_path)
    assert not (tmp_path / "predictions").exists()


def test_q07_questions_without_features_are_listed(tmp_path: Path) -> None:
    prepared(tmp_path, row("q", CONTEXT, "Bo"))
    write(tmp_path, CONTEXT, {})
    path = tmp_path / "raw" / "test.jsonl"
    more = json.loads(path.read_bytes()) | {"id": "q2"}
    path.write_bytes(path.read_bytes() + json.dumps(more).encode() + b"\n")
    with pytest.raises(RetuneError, match="questions have no window: q2; run the tokenize stage"):
        run_postprocess(tmp_path)
    assert not (tmp_path / "predictions").exists()


@pytest.mark.parametrize(
    "size", [case("Q08 beyond halves", 6e4), case("Q08 beyond singles", 3.3e38)]
)
def test_sums_of_large_logits_do_not_overflow(tmp_path: Path, size: float) -> None:
    prepared(tmp_path, row("q", CONTEXT, "Bo"))
    write(tmp_path, CONTEXT, {"Ada": (size / 2, size / 2), "Bo": (size, 0), "Vik": (0, size)})
    run_postprocess(tmp_path)
    first = best(tmp_path)[0]
    assert (first["text"], first["probability"]) == ("Bo in Vik", 1.0)
    assert first["start_logit"] + first["end_logit"] == pytest.approx(2 * size)


@pytest.mark.parametrize(
    "kind",
    [
        case("Q12 accent that the tokenizer drops", "wordpiece"),
        case("Q12 accent in tokens of its own", "byte_level"),
    ],
)
def test_an_answer_does_not_end_between_letter_and_accent(tmp_path: Path, kind: str) -> None:
    prepared(tmp_path, row("q", f"the {NFD} noir", NFD), kind=kind)
    part = read_windows(tmp_path / "features" / "test.arrow")
    values = np.zeros((part.tokens, 2), np.float32)
    values[part.char_start == 4, 0] = 9
    values[(part.char_end == 8) & (part.char_start >= 4), 1] = 9
    write_logits(tmp_path, values)
    run_postprocess(tmp_path)
    assert answers(tmp_path) == {"q": NFD}


def random_lstm(tokenizer: Any) -> Any:
    import torch

    from retune.tasks.qa.models import lstm

    torch.manual_seed(0)
    params = lstm.Params(embedding_size=8, hidden_size=8)
    return lstm.build(params, Path(), len(tokenizer), pad_token_id=0)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, Path]]:
    """The same windows, of many lengths, predicted in batches of several sizes."""
    from retune.tasks.qa.models import bert

    folder = tmp_path_factory.mktemp("predicted")
    rows = [row(f"q{n}", " ".join(tiny.TEXTS[n:]), "the") for n in range(5)]
    prepared(folder, *rows, kind="wordpiece")
    tiny.write_checkpoint(folder / "encoder")
    tokenizer = TOKENIZERS["wordpiece"]
    models = {
        "bert": bert.build(bert.Params(dropout=None), folder / "encoder", len(tokenizer), 0),
        "lstm": random_lstm(tokenizer),
    }
    found: dict[str, dict[int, Path]] = {}
    for name, model in models.items():
        for size in (1, 3, 16):
            params = PredictParams(batch_size=size, precision="fp32")
            logits = folder / f"{name}-{size}"
            predict(folder / "features", model, logits, params)
            found.setdefault(name, {})[size] = logits
    return found


@pytest.mark.parametrize("name", [case("Q14 packed", "bert"), case("Q15 padded", "lstm")])
def test_batches_and_padding_do_not_change_answers(
    predicted: dict[str, dict[int, Path]], name: str
) -> None:
    texts, logits = [], []
    for folder in predicted[name].values():
        here = folder.parent
        (part,) = feature_batches(here / "features" / "test.arrow")
        logits.append(np.load(folder / "logits.npy"))
        assert logits[-1].shape == (part.tokens, 2)
        (here / "logits").unlink(missing_ok=True)
        (here / "logits").symlink_to(folder)
        run_postprocess(here)
        texts.append(answers(here))
    assert len(set(np.diff(part.window_tokens()).tolist())) > 1
    assert texts[0] == texts[1] == texts[2]
    for other in logits[1:]:
        np.testing.assert_allclose(logits[0], other, atol=1e-5)
