"""Damaged files of every form end in findings or a sentence, never in a traceback.

`RETUNE_FUZZ_FILES` says how many files; `make fuzz` tries 20,000. File number n is always
the same file.
"""

import contextlib
import io
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from test_doctor import doctor, flat, nested, question

from retune.core.errors import RetuneError
from retune.tasks.qa.download.checking import Checker, Rules
from retune.tasks.qa.download.reading import read_records
from retune.tools.data_doctor.doctor import Examined, fix
from retune.tools.data_doctor.output import as_json, as_text

FILES = int(os.environ.get("RETUNE_FUZZ_FILES", "1500"))
PARTS = 4

ROWS = [
    flat(title="T"),
    flat(id="q2", question="Où?", answers=[{"text": "café", "answer_start": 16}]),
    flat(id="q3", question="😀?", answers=[]),
]
PIECES = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"-1", b"1e999", b"[]", b"{}"]
PIECES += [b"\xff", b"\0", b"\r\n", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b"\xcc\x81", b"true"]
PIECES += [b'"id"', b'"qas"', b'"paragraphs"', b'"data"', b"[" * 1200, b"9" * 4400, b" ", b""]
PIECES += [b"[" * depth + b"]" * depth for depth in (400, 900, 930, 960, 975, 985, 990)]
VALUES = [None, True, 0, 1, -1, 4.0, 10**30, 1e999, "", " ", "abc", " abc ", "\ud800", "a\0"]
VALUES += ["cafe\u0301", [], {}, [[]], ["abc"], [None], {"text": ["abc"], "answer_start": [1]}]
VALUES += [{"text": "abc", "answer_start": "0"}, [{"text": "def"}], {"data": []}, [{"qas": [{}]}]]


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


VALUES += [deep(300), deep(700)]  # json.dumps itself fails beyond


def as_lists(row: dict[str, Any]) -> dict[str, Any]:
    answers = row["answers"]
    lists = {key: [answer[key] for answer in answers] for key in ("text", "answer_start")}
    return row | {"answers": lists}


def csv(delimiter: str) -> bytes:
    names = ["id", "title", "context", "question", "answers"]
    quoted = [json.dumps(as_lists(row)["answers"]).replace('"', '""') for row in ROWS]
    lines = [delimiter.join(names)]
    for row, answers in zip(ROWS, quoted, strict=True):
        cells = [row.get(name, "") for name in names[:-1]]
        lines.append(delimiter.join([*cells, f'"{answers}"']))
    return "\r\n".join(lines).encode()


def table(rows: list[Any]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


TREES: dict[str, Any] = {
    "nested.json": nested(question(), question(id="q2", question="Why?")),
    "bare.json": nested(question(id=1))["data"],
    "flat.json": {"data": ROWS},
    "list.json": list(map(as_lists, ROWS)),
}
FORMS: dict[str, bytes] = {name: json.dumps(tree).encode() for name, tree in TREES.items()}
FORMS |= {
    "indented.json": json.dumps(TREES["nested.json"], indent=1, ensure_ascii=False).encode(),
    "lines.jsonl": "\n".join(map(json.dumps, ROWS)).encode(),
    "rows.csv": csv(","),
    "rows.tsv": csv("\t"),
    "rows.parquet": table(list(map(as_lists, ROWS))),
    "utf16.json": json.dumps(TREES["nested.json"]).encode("utf-16"),
}


def damaged_bytes(chance: random.Random) -> tuple[str, bytes]:
    """A file with up to four places cut out, overwritten or doubled."""
    name = chance.choice(list(FORMS))
    data = bytearray(FORMS[name])
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = start + chance.choice([0, 1, 2, chance.randint(0, 40)])
        piece = chance.choice([*PIECES, bytes(data[start:end]) * 2])
        data[start:end] = piece
    if chance.random() < 0.1:
        del data[chance.randrange(len(data) + 1) :]
    return name, bytes(data)


def damaged_tree(chance: random.Random) -> tuple[str, bytes]:
    """A file with up to three values replaced, deleted, doubled or put elsewhere."""
    name = chance.choice(list(TREES))
    tree = copied(TREES[name])
    for _ in range(chance.randint(1, 3)):
        places = list(slots(tree))
        if not places:
            break
        holder, key = chance.choice(places)
        action = chance.randrange(4)
        if action == 0:
            del holder[key]
        elif action == 1 and isinstance(holder, list):
            holder.append(holder[key])
        elif action == 2:
            other, there = chance.choice(places)
            holder[key] = copied(other[there])
        else:
            holder[key] = copied(chance.choice(VALUES))
    return name, json.dumps(tree).encode()


def copied(value: Any) -> Any:
    """A copy, so that no damage is shared between places or files."""
    return json.loads(json.dumps(value))


def slots(value: Any, levels: int = 10) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) in the upper levels of a tree."""
    if levels == 0 or not isinstance(value, dict | list):
        return
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        yield from slots(value[key], levels - 1)


def outcome(path: Path, out: Path) -> Examined:
    """What the doctor and the download stage say; anything but findings or a sentence fails."""
    examined = doctor(path, drop=path.stat().st_size % 2 == 0)
    as_text([examined], everything=True)
    json.loads(as_json([examined], 0, {}, None))
    with contextlib.suppress(RetuneError):
        fix(examined, out)
    checker = Checker(Rules(squad_v2=False, realign=True, drop_unanswerable=True))
    with contextlib.suppress(RetuneError):
        checker.add(read_records(path, path.name))
        assert checker.examples or checker.findings
    return examined


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("damage", [damaged_bytes, damaged_tree])
def test_damaged_files_never_give_a_traceback(
    tmp_path: Path, damage: Callable[[random.Random], tuple[str, bytes]], part: int
) -> None:
    seen = {True: 0, False: 0}
    for number in range(part, FILES // 2, PARTS):
        name, data = damage(random.Random(number))
        path = tmp_path / name
        path.write_bytes(data)
        examined = outcome(path, tmp_path / "out.json")
        seen[examined.readable] += 1
    assert min(seen.values()) > FILES // 1000, seen
