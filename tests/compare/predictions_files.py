"""A small SQuAD file and predictions for it."""

import json
from pathlib import Path
from typing import Any

PASSAGES, QUESTIONS = 6, 4


def document(*, unanswerable: int = 0, titles: int = 3) -> dict[str, Any]:
    """`PASSAGES` passages in articles, with `QUESTIONS` questions each.

    The last `unanswerable` questions have no answer. The answer to question `p2q1` is "word p2q1".
    """
    articles: dict[str, list[dict[str, Any]]] = {}
    for p in range(PASSAGES):
        context = " ".join(f"word p{p}q{q}." for q in range(QUESTIONS))
        qas = []
        for q in range(QUESTIONS):
            text = f"word p{p}q{q}"
            answers = [{"text": text, "answer_start": context.index(text)}]
            gone = p * QUESTIONS + q >= PASSAGES * QUESTIONS - unanswerable
            qas.append(
                {"id": f"p{p}q{q}", "question": f"{('What', 'Who')[q % 2]} is p{p}q{q}?",
                 "answers": [] if gone else answers, "is_impossible": gone}
            )  # fmt: skip
        paragraphs = articles.setdefault(f"article {p % titles}", [])
        paragraphs.append({"context": context, "qas": qas})
    data = [{"title": title, "paragraphs": each} for title, each in articles.items()]
    return {"version": "v2.0", "data": data}


def ids() -> list[str]:
    """All ids of `document`."""
    return [f"p{p}q{q}" for p in range(PASSAGES) for q in range(QUESTIONS)]


def right(*wrong: str) -> dict[str, str]:
    """Answers that are right but for those to the questions `wrong`."""
    return {id_: "something else" if id_ in wrong else f"the word {id_}" for id_ in ids()}


def write(path: Path, value: Any) -> Path:
    """Write JSON."""
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path
