"""The page of `retune serve` in a browser: ask, see the answer in the text, and ask again."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import served
import tiny
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from trained_readers import trained

from retune.inference.reader import Reader
from retune.tools.serve.application import HEADERS, create_app
from retune.tools.serve.limits import Limits

__all__ = ["trained"]  # a fixture

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
PAGE = Path(served.create_app.__code__.co_filename).with_name("page.html")
#: Characters that are two units of UTF-16 before the answer, and markup, which is text.
TEXT = f"\U0001f600 <b>{tiny.TEXTS[0]}</b> \U0001f600"
QUESTION, OTHER = (question for question, _ in tiny.QUESTIONS[0][:2])
SCRIPT = """
const seen = {};
const texts = (where) => [...document.querySelectorAll(where)].map((each) => each.textContent);
const shown = () => ({
  question: element("asked").textContent,
  answer: element("answer").textContent,
  trust: element("trust").textContent,
  mark: document.querySelector("#passage mark")?.textContent,
  passage: element("passage").textContent,
  candidates: texts("#candidates button span:first-child"),
  pressed: [...document.querySelectorAll("#candidates button")].map((c) => c.ariaPressed),
  error: element("error").textContent,
  past: texts("#history button span:first-child"),
});
const asking = async (text, words) => {
  context.value = text;
  question.value = words;
  form.requestSubmit();
  seen.stop = !element("stop").hidden;
  while (running) await new Promise((done) => setTimeout(done, 20));
  return shown();
};
(async () => {
  seen.model = await describeModel().then(() => element("model").textContent);
  seen.first = await asking(%(text)s, %(question)s);
  seen.spoken = element("spoken").textContent;
  seen.fits = document.documentElement.scrollWidth <= innerWidth;
  document.querySelectorAll("#candidates button")[1].click();
  seen.second = shown();
  seen.large = await asking("a ".repeat(20000), "Why?");
  seen.other = await asking(%(text)s, %(other)s);
  [...document.querySelectorAll("#history button")][1].click();
  seen.again = shown();
  seen.kept = restored().length;
  seen.focus = document.activeElement.id;
  const none = {answer: "", score: 0.6, start: 0, end: 0, confidence: 0.7, abstained: false};
  show({context: "A text.", question: "Why?", answers: [none]});
  seen.none = shown();
  const withheld = {...none, confidence: 0.1, abstained: true};
  show({context: "A text.", question: "Why?", answers: [withheld]});
  seen.withheld = [shown().answer, element("others").hidden];
  element("forget").click();
  seen.forgotten = [element("past").hidden, restored().length];
  document.body.textContent = JSON.stringify(seen);
})();
""" % {name: json.dumps(text) for name, text in
       (("text", TEXT), ("question", QUESTION), ("other", OTHER))}  # fmt: skip


def with_script(reader: Reader) -> Starlette:
    """The application, whose page also runs `SCRIPT`, which its policy allows from this server."""
    app = create_app(served.service_of(reader, Limits(bytes=20_000)), served.HOSTS)

    async def page(_: Request) -> Response:
        text = PAGE.read_text(encoding="utf-8")
        text = text.replace("</head>", '<script src="test.js" defer></script></head>')
        return Response(text, media_type="text/html", headers=HEADERS)

    async def script(_: Request) -> Response:
        return Response(SCRIPT, media_type="text/javascript")

    app.router.routes[:0] = [Route("/", page), Route("/test.js", script)]
    return app


@pytest.fixture(scope="module")
def seen(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    reader = Reader(trained / "model", params=trained / "params.yaml")
    profile = tmp_path_factory.mktemp("profile")
    with served.serving(with_script(reader)) as url:
        command = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
            "--virtual-time-budget=20000", "--window-size=360,800",
            f"--user-data-dir={profile}", url,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r"<body>(.*?)</body>", done.stdout, re.DOTALL)
    assert found
    result: dict[str, Any] = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">"))
    best = reader(QUESTION, TEXT, top_k=5)
    return result | {"expected": best, "expected_other": reader(OTHER, TEXT)}


@pytest.mark.slow
def test_the_answer_is_shown_and_marked_in_the_text(seen: dict[str, Any]) -> None:
    first, (best, *_) = seen["first"], seen["expected"]
    assert seen["model"] == "model answers with a span of your text."
    assert seen["stop"]
    assert seen["spoken"].startswith(f"Answer: {best['answer']} Share among the candidates")
    assert (first["question"], first["answer"]) == (QUESTION, best["answer"])
    assert first["mark"] == best["answer"]
    assert first["passage"] == TEXT
    assert f"{100 * best['score']:.1f} %" in first["trust"]
    assert "not calibrated" in first["trust"]


@pytest.mark.slow
def test_candidates_can_be_seen_in_the_text(seen: dict[str, Any]) -> None:
    candidates = [found["answer"] for found in seen["expected"]]
    assert seen["first"]["candidates"] == candidates
    assert seen["first"]["pressed"] == ["true", *["false"] * (len(candidates) - 1)]
    assert seen["second"]["mark"] == candidates[1]
    assert seen["second"]["pressed"][:2] == ["false", "true"]


@pytest.mark.slow
def test_a_refusal_is_shown_and_the_next_question_is_answered(seen: dict[str, Any]) -> None:
    assert "more than 20,000 bytes; shorten the context" in seen["large"]["error"]
    assert seen["other"]["error"] == ""
    assert seen["other"]["answer"] == seen["expected_other"]["answer"]


@pytest.mark.slow
def test_what_was_asked_before_can_be_seen_again_and_cleared(seen: dict[str, Any]) -> None:
    assert seen["other"]["past"] == [OTHER, QUESTION]
    assert seen["again"]["question"] == QUESTION
    assert seen["again"]["mark"] == seen["first"]["mark"]
    assert seen["kept"] == 2
    assert seen["focus"] == "asked"
    assert seen["forgotten"] == [True, 0]


@pytest.mark.slow
def test_no_answer_and_a_withheld_answer_are_named(seen: dict[str, Any]) -> None:
    assert seen["none"]["answer"] == "The text has no answer."
    assert seen["none"]["trust"] == "Confidence: 70.0 %"
    assert "mark" not in seen["none"]
    assert seen["none"]["passage"] == "A text."
    assert seen["withheld"] == ["Withheld: the model is not sure enough.", True]


@pytest.mark.slow
def test_the_page_is_no_wider_than_a_phone(seen: dict[str, Any]) -> None:
    assert seen["fits"]
