"""Load on `retune serve`: many clients at once against one request after the other.

The clients ask the test questions of a data folder. Every answer is compared with that of
`retune.Reader`. Scores may differ a little, because sums round differently in other batches.
"""

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import requests

from bench.measure import Spread, parser, report
from retune.core.files import read_json_lines
from retune.inference.reader import Answer, Reader

#: How far a score may differ.
_ROUNDING = 1e-3


class Question(NamedTuple):
    """A question, and the answer of the reader."""

    inputs: dict[str, str]
    expected: Answer


class Load(NamedTuple):
    """What some requests gave.

    Attributes:
        rate: requests a second.
        seconds: of each request.
        lost: requests without an answer.
        wrong: answers that are not the reader's.
    """

    rate: float
    seconds: list[float]
    lost: int
    wrong: int


def main() -> None:
    arguments = parser("serving", __doc__.split("\n")[0])
    for name, value, text in (
        ("--data", Path("data/qa"), "folder with a model and its test split"),
        ("--requests", 10_000, "requests of all clients together"),
        ("--clients", 32, "clients at the same time"),
        ("--single", 1500, "requests one by one"),
    ):
        arguments.add_argument(
            name,
            type=Path if name == "--data" else int,
            default=value,
            help=f"{text} (default: {value})",
        )
    options = arguments.parse_args()
    questions = asked(options.data)
    loads: dict[str, list[Load]] = {"together": [], "one by one": []}
    with server(options.data / "model") as url:
        load(url, questions, options.clients, 10 * options.clients)  # warm-up
        memory = [resident(url)]
        for number in range(options.rounds):
            sizes = parts(options.requests, options.rounds), parts(options.single, options.rounds)
            together = load(url, questions, options.clients, sizes[0][number])
            single = load(url, questions, 1, sizes[1][number])
            loads["together"].append(together)
            loads["one by one"].append(single)
            memory.append(resident(url))
            print(f"round {number + 1}: {together.rate:.1f} and {single.rate:.1f} requests/s, "
                  f"{memory[-1] / 2**20:.0f} MiB", file=sys.stderr)  # fmt: skip
        figures = requests.get(f"{url}/metrics", timeout=60).text
    rows = [row(side, its, loads["one by one"]) for side, its in loads.items()]
    for each in rows:
        print(
            f"{each['side']}: {Spread(**each['rate']).text(1)} requests/s, "
            f"ratio {Spread(**each['ratio']).text()}, "
            f"p50 {each['p50']:.3f} s, p99 {each['p99']:.3f} s, "
            f"{each['requests']:,} requests, {each['lost']} lost, {each['wrong']} wrong"
        )
    sums = (figure(figures, f"retune_batch_windows_{name}") for name in ("sum", "count"))
    batch = next(sums) / next(sums)
    print(f"memory: {', '.join(f'{size / 2**20:.0f}' for size in memory)} MiB")
    print(f"windows of a batch: {batch:.1f}")
    report("serving", [], options, rows=rows, memory=memory, clients=options.clients, batch=batch)


def asked(data: Path) -> list[Question]:
    """Return the test questions with the answers of the reader."""
    rows = [*read_json_lines(data / "test/test.jsonl")]
    random.Random(0).shuffle(rows)  # so that all parts have contexts of all lengths
    answers = Reader(data / "model")([r["question"] for r in rows], [r["context"] for r in rows])
    return [
        Question({name: row[name] for name in ("question", "context")}, answer)
        for row, answer in zip(rows, answers, strict=True)
    ]


@contextmanager
def server(model: Path) -> Iterator[str]:
    """Yield the URL of a server."""
    command = [sys.executable, "-m", "retune.tools.cli.main", "serve", "--port", "0", "--json"]
    with subprocess.Popen(
        [*command, "--model", str(model)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def load(url: str, questions: list[Question], clients: int, count: int) -> Load:
    """Send requests from some clients at once, each as soon as its last one is answered."""
    sizes = parts(count, clients)
    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        first = [number * len(questions) // clients for number in range(clients)]
        found = [*pool.map(partial(client, url, questions), first, sizes)]
    rate = count / (time.perf_counter() - begin)
    seconds = [each for its in found for each in its.seconds]
    return Load(rate, seconds, sum(its.lost for its in found), sum(its.wrong for its in found))


def client(url: str, questions: list[Question], first: int, count: int) -> Load:
    """Send requests one by one, from the question in place `first` on."""
    seconds, lost, wrong = list[float](), 0, 0
    with requests.Session() as session:
        for question in islice(cycle(questions), first, first + count):
            begin = time.perf_counter()
            reply = session.post(f"{url}/answer", json={"inputs": question.inputs}, timeout=120)
            seconds.append(time.perf_counter() - begin)
            if reply.status_code != 200:
                lost += 1
            elif not is_same(reply.json(), question.expected):
                wrong += 1
    return Load(0.0, seconds, lost, wrong)


def is_same(found: dict[str, Any], expected: Answer) -> bool:
    same = all(found[key] == expected[key] for key in ("answer", "start", "end"))  # type: ignore[literal-required]
    return same and abs(found["score"] - expected["score"]) < _ROUNDING


def parts(count: int, number: int) -> list[int]:
    """Return `number` sizes whose sum is `count`."""
    return [(count + place) // number for place in range(number)]


def resident(url: str) -> float:
    """Return the bytes of memory that the server has."""
    return figure(requests.get(f"{url}/metrics", timeout=60).text, "process_resident_memory_bytes")


def figure(metrics: str, name: str) -> float:
    found = re.search(rf"^{name} (.*)$", metrics, re.MULTILINE)
    if found is None:
        sys.exit(f"/metrics has no {name}")
    return float(found[1])


def row(side: str, loads: list[Load], single: list[Load]) -> dict[str, Any]:
    """Return the figures of a side, and its ratio to one request after the other."""
    seconds = np.concatenate([load.seconds for load in loads])
    ratios = [one.rate / other.rate for one, other in zip(loads, single, strict=True)]
    return {
        "side": side,
        "rate": vars(Spread.of([load.rate for load in loads])),
        "ratio": vars(Spread.of(ratios)),
        "p50": float(np.quantile(seconds, 0.5)),
        "p99": float(np.quantile(seconds, 0.99)),
        "requests": len(seconds),
        "lost": sum(load.lost for load in loads),
        "wrong": sum(load.wrong for load in loads),
    }


if __name__ == "__main__":
    main()
