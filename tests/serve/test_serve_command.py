"""`retune serve` as a process: where it listens, how it ends, and what it refuses to begin."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forks
import pytest
import requests
import tiny
from served import until
from trained_readers import calibrated, trained

from retune.tools.cli.main import main

__all__ = ["trained"]  # a fixture

QUESTION = tiny.QUESTIONS[0][0][0]


@contextmanager
def running(
    *words: str, programs: Path = forks.REAL
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Yield a server, and what it printed."""
    command = [programs / "python", "-m", "retune.tools.cli.main", "serve"]
    with subprocess.Popen(
        [*command, "--port", "0", "--json", *words],
        env=os.environ | forks.environment(programs), stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdout
        try:
            yield server, json.loads(server.stdout.readline())
        finally:
            server.kill()


def asked(context: str, **parameters: Any) -> dict[str, Any]:
    return {"inputs": {"question": QUESTION, "context": context}, "parameters": parameters}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_answers_first_and_ends_well(
    trained: Path, tmp_path: Path, how: signal.Signals
) -> None:
    # The command of a forked process passes on this signal alone.
    programs = forks.commands() if how == signal.SIGINT else forks.REAL
    model = calibrated(trained, tmp_path)
    words = ["--model", str(model), "--params", str(trained / "params.yaml")]
    with running(*words, "--min-confidence", "0.99", programs=programs) as (server, printed):
        assert printed["model"]["calibrated"]
        assert printed["model"]["min_confidence"] == 0.99
        reply = requests.post(f"{printed['url']}/answer", json=asked(tiny.TEXTS[0]), timeout=60)
        found = reply.json()
        assert (found["answer"], found["abstained"]) == ("", True)
        assert 0 < found["confidence"] < 0.99
        refused = requests.post(
            f"{printed['url']}/answer", json=asked(tiny.TEXTS[0], max_answer_len=2), timeout=60
        )
        assert refused.status_code == 422
        assert "min_confidence is for answers that the model's own" in refused.json()["error"]
        # A request that began to come before the signal.
        address = "127.0.0.1", int(printed["url"].rpartition(":")[2])
        body = json.dumps(asked(tiny.TEXTS[0])).encode()
        with socket.create_connection(address) as client:
            client.settimeout(60)
            head = f"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            client.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:9])
            figures = f"{printed['url']}/metrics"
            until(lambda: "in_progress 1" in requests.get(figures, timeout=60).text)
            server.send_signal(how)
            until(lambda: not is_reached(figures))
            client.sendall(body[9:])
            assert client.recv(12) == b"HTTP/1.1 200"
        assert server.wait(60) == 0
        assert server.stdout
        assert server.stdout.read() == ""


def is_reached(url: str) -> bool:
    try:
        return requests.get(url, timeout=60).ok
    except requests.ConnectionError:
        return False


def test_a_server_that_is_stopped_at_once_stops(trained: Path) -> None:
    with running("--model", str(trained / "model")) as (server, _):
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "nothing"], "nothing: no such folder; for a model of the Hugging Face hub"),
        (["--port", "70000"], "--port is 70000; give a number from 0 (any free one) to 65535"),
        (["--host", "256.1.1.1"], "--host 256.1.1.1 --port 0: "),
        (["--host", "a..b"], "--host a..b --port 0: "),
        (["--max-requests", "0"], "--max-requests is 0; give a number, 1 or more"),
        (["--max-seconds", "nan"], "--max-seconds is nan; give a number, 0.001 or more"),
        (["--max-seconds", "inf"], "--max-seconds is inf; give a number, 0.001 or more"),
    ],
)
def test_what_cannot_be_served_is_refused(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--port", "0", *words]) == 1
    assert message in capsys.readouterr().err


def test_a_port_that_is_taken_is_named_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["serve", "--port", port, "--model", "nothing"]) == 1
    expected = f"--port {port}: Address already in use; choose another address, or --port 0"
    assert expected in capsys.readouterr().err


def test_a_model_that_was_not_trained_yet_is_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--port", "0"]) == 1
    assert "`dvc repro` trains the model, --model names another" in capsys.readouterr().err


def test_without_its_extra_the_command_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "retune.tools.serve.command", raising=False)
    assert main(["serve"]) == 1
    assert "retune serve needs uvicorn, which is not installed: in a checkout of" in (
        capsys.readouterr().err
    )
