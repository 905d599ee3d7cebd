"""`retune serve` answers over HTTP as the reader does, and refuses what is over its limits."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import served
import tiny
from huggingface_hub import InferenceClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families
from trained_readers import trained

from retune.inference.reader import Reader
from retune.tools.serve import shared_batches
from retune.tools.serve.application import ADDRESSES, Service
from retune.tools.serve.limits import Limits
from retune.tools.serve.openapi import description

__all__ = ["trained"]  # a fixture

TEXT = tiny.TEXTS[0]
QUESTION, OTHER = (question for question, _ in tiny.QUESTIONS[0][:2])
CLOSE = pytest.approx


class Server(NamedTuple):
    url: str
    service: Service
    reader: Reader

    def post(self, body: Any, **options: Any) -> requests.Response:
        return requests.post(f"{self.url}/answer", json=body, timeout=60, **options)

    def ask(self, question: str, context: str, **parameters: Any) -> requests.Response:
        inputs = {"question": question, "context": context}
        return self.post({"inputs": inputs, "parameters": parameters})


@pytest.fixture(scope="module")
def reader(trained: Path) -> Reader:
    return Reader(trained / "model", params=trained / "params.yaml")


@pytest.fixture(scope="module")
def server(reader: Reader) -> Iterator[Server]:
    with served.served(reader, Limits(bytes=20_000, windows=50)) as (url, service):
        yield Server(url, service, reader)


def equal(found: Any, expected: Any) -> bool:
    """Whether answers are the same, but for how sums round."""
    return bool(found == {**expected, "score": CLOSE(expected["score"], abs=1e-5)})


def test_an_answer_is_that_of_the_reader(server: Server) -> None:
    reply = server.ask(QUESTION, TEXT)
    assert reply.status_code == 200
    assert equal(reply.json(), server.reader(QUESTION, TEXT))


def test_options_are_those_of_the_reader(server: Server) -> None:
    best = server.ask(QUESTION, TEXT, top_k=3, handle_impossible_answer=True).json()
    expected = server.reader(QUESTION, TEXT, top_k=3, handle_impossible_answer=True)
    assert len(best) == 3
    assert all(map(equal, best, expected))
    lengths = {"max_seq_len": 32, "doc_stride": 4, "max_question_len": 16, "max_answer_len": 2}
    assert equal(
        server.ask(QUESTION, TEXT, align_to_words=True, **lengths).json(),
        server.reader(QUESTION, TEXT, align_to_words=True, **lengths),
    )


def test_the_client_of_the_hugging_face_hub_is_a_client(server: Server) -> None:
    client = InferenceClient(f"{server.url}/answer")
    expected = server.reader(QUESTION, TEXT)
    found = client.question_answering(question=QUESTION, context=TEXT)
    assert (found.answer, found.start, found.end) == (
        expected["answer"], expected["start"], expected["end"],
    )  # fmt: skip
    assert len(client.question_answering(question=QUESTION, context=TEXT, top_k=2)) == 2


def test_many_clients_get_their_own_answers(server: Server) -> None:
    asked = [(question, text) for text in tiny.TEXTS for question, _ in tiny.QUESTIONS[0]] * 3
    expected = server.reader([question for question, _ in asked], [text for _, text in asked])
    with ThreadPoolExecutor(16) as pool:
        replies = [*pool.map(lambda each: server.ask(*each), asked)]
    assert [reply.status_code for reply in replies] == [200] * len(asked)
    assert all(equal(reply.json(), its) for reply, its in zip(replies, expected, strict=True))


GOOD = {"inputs": {"question": QUESTION, "context": TEXT}}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 422, "the body is not JSON: EOF"),
        (b'{"inputs": {"question": "\\ud800", "context": "a"}}', 422, "not JSON: "),
        (b"\xff", 422, "the body is not JSON: "),
        (b"[" * 10_000, 422, "the body is not JSON: recursion limit"),
        ([], 422, "the body: Input should be an object"),
        ({}, 422, "inputs: Field required"),
        ({"inputs": {"question": QUESTION}}, 422, "inputs.context: Field required"),
        ({"inputs": {"question": " ", "context": TEXT}}, 422, "inputs.question: is blank; give"),
        ({"inputs": {"question": 5, "context": TEXT}}, 422, "inputs.question: Input should be a"),
        ({**GOOD, "parameters": {"top_k": 0}}, 422, "parameters.top_k: Input should be greater"),
        ({**GOOD, "parameters": {"top_k": 1000}}, 422, "parameters.top_k: Input should be less"),
        ({**GOOD, "parameters": {"stride": 1}}, 422, "parameters.stride: Extra inputs are not"),
        ({**GOOD, "parameters": {"doc_stride": 127}}, 422, "doc_stride 127, the overlap of"),
        ({**GOOD, "parameters": {"max_seq_len": 8000}}, 422, "8000 is more than the"),
        ({"inputs": {"question": QUESTION, "context": "a" * 20_000}}, 413, "more than 20,000 byt"),
        (
            {
                "inputs": {"question": QUESTION, "context": "a " * 3000},
                "parameters": {"max_seq_len": 64, "doc_stride": 40},
            },
            413,
            "windows, at most 50 are allowed; shorten it, or lower doc_stride",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_and_the_next_is_answered(
    server: Server, body: Any, status: int, message: str
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    with requests.Session() as session:
        refused = session.post(f"{server.url}/answer", data=data, headers=kind, timeout=60)
        assert (refused.status_code, [*refused.json()]) == (status, ["error"])
        assert message in refused.json()["error"]
        assert session.post(f"{server.url}/answer", json=GOOD, timeout=60).status_code == 200


def test_a_body_of_unknown_length_is_limited_too(server: Server) -> None:
    pieces = (b"a" * 1000 for _ in range(100))
    kind = {"Content-Type": "application/json"}
    refused = requests.post(f"{server.url}/answer", data=pieces, headers=kind, timeout=60)
    assert refused.status_code == 413


def test_other_sites_cannot_send_or_read(server: Server) -> None:
    """A browser sends a form or plain text to any address, and JSON only where it may."""
    plain = requests.post(f"{server.url}/answer", data=json.dumps(GOOD), timeout=60)
    assert (plain.status_code, plain.json()["error"][:9]) == (415, "send JSON")
    rebound = server.post(GOOD, headers={"Host": "evil.example:8000"})
    assert (rebound.status_code, rebound.json()) == (
        400, {"error": "this server is not evil.example:8000; see --allowed-host"},
    )  # fmt: skip
    assert "Access-Control-Allow-Origin" not in server.post(GOOD).headers


class Held:
    """Holds up the predictions of a reader.

    Attributes:
        gate: is set to let them pass.
        entered: is set by the first one.
        cancelled: is set when a request is cancelled.
        sizes: windows of each batch.
    """

    def __init__(self, reader: Reader, patch: pytest.MonkeyPatch) -> None:
        self.gate, self.entered, self.cancelled = (threading.Event() for _ in range(3))
        self.sizes: list[int] = []
        predict, cancel = reader.model.predict, shared_batches.Request.cancel

        def held(part: Any) -> Any:
            self.sizes.append(len(part))
            self.entered.set()
            assert self.gate.wait(60)
            return predict(part)

        def noted(request: shared_batches.Request) -> None:
            cancel(request)
            self.cancelled.set()

        patch.setattr(reader.model, "predict", held)
        patch.setattr(shared_batches.Request, "cancel", noted)


@pytest.fixture
def held(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(reader, monkeypatch)


#: A context with many windows, and the lengths that cut it into these.
LONG = f"{TEXT} " * 40
SHORT_WINDOWS = {"max_seq_len": 32, "doc_stride": 8, "max_question_len": 8}


def test_requests_beyond_the_queue_are_refused_and_all_others_answered(
    reader: Reader, held: Held
) -> None:
    with served.served(reader, Limits(requests=3)) as (url, service), ThreadPoolExecutor(3) as pool:
        server = Server(url, service, reader)
        waiting = [pool.submit(server.ask, QUESTION, TEXT) for _ in range(3)]
        served.until(lambda: service.admission.in_progress == 3)
        refused = server.ask(OTHER, TEXT)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert refused.json() == {"error": "3 requests wait already; repeat it later"}
        assert requests.get(f"{url}/health", timeout=60).status_code == 200
        held.gate.set()
        assert [future.result(60).status_code for future in waiting] == [200] * 3
        assert server.ask(OTHER, TEXT).status_code == 200


def test_an_answer_that_takes_too_long_is_refused_and_costs_no_more(
    reader: Reader, held: Held
) -> None:
    with served.served(reader, Limits(seconds=3)) as (url, service), ThreadPoolExecutor(1) as pool:
        server = Server(url, service, reader)
        late = pool.submit(server.ask, QUESTION, LONG, **SHORT_WINDOWS)
        assert held.entered.wait(60)
        assert held.cancelled.wait(60)
        held.gate.set()
        refused = late.result(60)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert "there was no answer within 3 seconds" in refused.json()["error"]
        assert server.ask(QUESTION, TEXT).status_code == 200
        assert service.admission.in_progress == 0
    assert len(held.sizes) == 2  # many more windows were asked for


def test_a_client_that_leaves_costs_no_more(reader: Reader, held: Held) -> None:
    with served.served(reader) as (url, service):
        inputs = {"question": QUESTION, "context": LONG}
        body = json.dumps({"inputs": inputs, "parameters": SHORT_WINDOWS}).encode()
        head = (
            "POST /answer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            client.sendall(head.encode() + body)
            assert held.entered.wait(60)
        assert held.cancelled.wait(60)
        assert service.admission.in_progress == 1  # its thread still works
        held.gate.set()
        served.until(lambda: service.admission.in_progress == 0)
        assert Server(url, service, reader).ask(QUESTION, TEXT).status_code == 200
    assert len(held.sizes) == 2


def test_a_body_that_does_not_arrive_is_refused(reader: Reader) -> None:
    with served.served(reader, Limits(seconds=0.3)) as (url, _):
        head = "POST /answer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{"
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            client.settimeout(60)
            client.sendall(head.encode())
            reply = b"".join(iter(lambda: client.recv(4096), b""))  # until it is closed
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive within 0.3 seconds" in reply


def test_requests_with_other_options_do_not_disturb_each_other(server: Server) -> None:
    """They share a tokenizer."""
    options: list[dict[str, Any]] = [
        {}, {"max_seq_len": 40, "doc_stride": 6, "max_question_len": 12}, {"max_seq_len": 64},
    ]  # fmt: skip
    asked = [(f"{TEXT} {number}", options[number % 3]) for number in range(45)]
    with ThreadPoolExecutor(15) as pool:
        replies = [*pool.map(lambda each: server.ask(QUESTION, each[0], **each[1]), asked)]
    for reply, (text, given) in zip(replies, asked, strict=True):
        assert equal(reply.json(), server.reader(QUESTION, text, **given))


def test_a_broken_model_is_no_fault_of_the_client(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(part: Any) -> Any:
        raise ValueError("not this time")

    monkeypatch.setattr(reader.model, "predict", broken)
    with served.served(reader) as (url, service):
        reply = Server(url, service, reader).ask(QUESTION, TEXT)
    assert (reply.status_code, reply.json()) == (
        500, {"error": "the model failed: not this time"},
    )  # fmt: skip
    assert "ValueError: not this time" in capfd.readouterr().err


def test_the_description_is_openapi_and_fits_the_replies(server: Server) -> None:
    found = requests.get(f"{server.url}/openapi.json", timeout=60).json()
    assert found == description()
    validate(found)
    post = found["paths"]["/answer"]["post"]
    components = {"components": found["components"]}
    for parameters in ({}, {"top_k": 2}):
        schema = post["responses"]["200"]["content"]["application/json"]["schema"]
        answer = server.ask(QUESTION, TEXT, **parameters).json()
        OAS31Validator({**schema, **components}).validate(answer)
    asked = post["requestBody"]["content"]["application/json"]["schema"]
    assert OAS31Validator({**asked, **components}).is_valid(GOOD)
    assert not OAS31Validator({**asked, **components}).is_valid({"inputs": {}})
    assert {"413", "429", "503"} <= {*post["responses"]}
    assert {*found["paths"]} == {*ADDRESSES} - {"/", "/openapi.json"}


def test_health_names_the_model(server: Server) -> None:
    health = requests.get(f"{server.url}/health", timeout=60).json()
    assert health["status"] == "ok"
    assert health["model"] == server.service.model.model_dump()


def test_figures_are_counted_for_prometheus(reader: Reader) -> None:
    with served.served(reader) as (url, service):
        server = Server(url, service, reader)
        assert server.ask(QUESTION, TEXT).status_code == 200
        assert server.ask(" ", TEXT).status_code == 422
        reply = requests.get(f"{url}/metrics", timeout=60)
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(reply.text)
    samples = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert samples["retune_requests_total", "200"] == 1
    assert samples["retune_requests_total", "422"] == 1
    assert samples["retune_request_seconds_count",] == 1
    assert samples["retune_batch_requests_sum",] == 1
    assert samples["retune_requests_in_progress",] == 0
    assert samples["retune_model", "model", ""] == 1
    assert samples["process_resident_memory_bytes",] > 0


def test_other_addresses_are_named(server: Server) -> None:
    missing = requests.get(f"{server.url}/nothing", timeout=60)
    assert (missing.status_code, missing.json()) == (
        404,
        {"error": "no such address; there are /, /answer, /health, /metrics, /openapi.json"},
    )
    wrong = requests.get(f"{server.url}/answer", timeout=60)
    assert (wrong.status_code, wrong.json()) == (405, {"error": "/answer does not take GET"})


def test_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    page = requests.get(f"{server.url}/", timeout=60)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for name in ("", "page.css", "page.js"):
        text = requests.get(f"{server.url}/{name}", timeout=60).text
        assert "http:" not in text
        assert "https:" not in text
