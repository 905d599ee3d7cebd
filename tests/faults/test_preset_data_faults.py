"""What the data of the presets meet: private files, URLs of entities, lost answers (D60 to D62)."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from hub_server import COMMIT, HubServer, serving

from retune.core.errors import RetuneError
from retune.core.files import read_json, write_json
from retune.core.params import Params
from retune.fetch.data_files import File, file_source
from retune.fetch.fetching import hub_source, local_source
from retune.tasks.ner.train.entities import EntitiesParams
from retune.tasks.qa.download.download import DownloadParams, download

DATA = b"Ada B-PER\nsaw O\n"
SUM = hashlib.sha256(DATA).hexdigest()
PARAMS = Path(__file__).resolve().parents[2] / "pipelines/adapters/params.yaml"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    (tmp_path / "data").mkdir()
    for name in ("a.parquet", "a.conll"):  # under git LFS, and not
        (tmp_path / "data" / name).write_bytes(DATA)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with serving({"datasets/owner/private": tmp_path / "data"}, token="hf_secret") as server:
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a.parquet", id="D60 on the CDN"),
        pytest.param("a.conll", id="D60 on the hub itself"),
    ],
)
def test_the_token_reaches_the_hub_and_no_other_host(
    name: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert hub_source("owner/private", name, COMMIT, SUM).path.read_bytes() == DATA
    assert hub.leaked == []


@pytest.mark.parametrize("name", [pytest.param("a.parquet", id="D60 no token")])
def test_without_a_token_the_message_names_it(
    name: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    message = "shows no such data set to you.*HF_TOKEN if it is private or gated"
    with pytest.raises(RetuneError, match=message):
        hub_source("owner/private", name, COMMIT, SUM)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        pytest.param("https://example.org/a.conll", "a URL needs its sum: write `- {path: URL, ",
                     id="D61 no sum"),
        pytest.param("[{path: 'https://example.org/a', sha256: null}]", "a URL needs its sha256",
                     id="D61 a null sum"),
        pytest.param("[{path: 'ftp://example.org/a', sha256: null}]", "only http:// and https://",
                     id="D61 another protocol"),
        pytest.param("[]", "value should have at least 1 item", id="D61 no file"),
    ],
)  # fmt: skip
def test_entities_of_the_web_need_a_sum(train: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = PARAMS.read_text(encoding="utf-8")
    changed, count = re.subn(r"train: train\.conll", f"train: {train}", text)
    assert count == 1
    path.write_text(changed, encoding="utf-8")
    with (
        pytest.raises(RetuneError, match=r"adapters\.entities\.train.*" + message),
        Params(path) as params,
    ):
        params.section("adapters.entities", EntitiesParams)


@pytest.mark.parametrize("sha256", [pytest.param("0" * 64, id="D61 another sum")])
def test_a_file_of_the_web_with_another_sum_is_refused(sha256: str, hub: HubServer) -> None:
    file = File(f"{hub.cdn}/cdn/{SUM}", sha256)
    with pytest.raises(RetuneError, match=f"SHA-256 is {SUM}, expected 0{{64}}"):
        file_source(Path(), file, "adapters.entities")


def translated(folder: Path, realign: bool | str, *, squad_v2: bool) -> Path:
    """Run the download stage on a corpus whose first answer of each split stands nowhere."""
    sources = {}
    for split, rows in (("train", range(2)), ("test", range(2, 4))):
        data = tiny.squad(rows, impossible=squad_v2)
        question = data["data"][0]["paragraphs"][0]["qas"][0]
        question["answers"] = [{"text": "Santa Bernadete", "answer_start": 0}]
        write_json(folder / f"{split}.json", data)
        sources[split] = [local_source(folder / f"{split}.json", None)]
    params = DownloadParams(
        train_limit=None, validation_limit=None, test_limit=None, validation_share=None,
        sample_seed=1, realign=realign,  # type: ignore[arg-type]
        unanswerable="drop", shared_contexts="error",
    )  # fmt: skip
    raw = folder / "raw"
    download(raw, raw, folder / "m.json", sources=sources, params=params, squad_v2=squad_v2)
    return raw


@pytest.mark.parametrize(
    "squad_v2", [pytest.param(False, id="D62 SQuAD 1.1"), pytest.param(True, id="D62 SQuAD 2.0")]
)
def test_a_question_whose_answers_stand_nowhere_is_dropped_from_training(
    squad_v2: bool, tmp_path: Path
) -> None:
    raw = translated(tmp_path, "drop", squad_v2=squad_v2)
    train = [json.loads(line) for line in (raw / "train.jsonl").read_text().splitlines()]
    assert "q0-0" not in {row["id"] for row in train}
    assert "q0-1" in {row["id"] for row in train}
    assert '"q2-0"' in (raw / "test.jsonl").read_text()  # scored all the same
    dropped = [
        json.loads(line) for line in (raw / "findings.jsonl").read_text().splitlines()
        if '"dropped_answer"' in line
    ]  # fmt: skip
    assert [row["where"] for row in dropped] == [
        "/data/0/paragraphs/0/qas/0/answers/0/answer_start"
    ]
    assert dropped[0]["detail"].endswith("; left out with its question")
    counts = read_json(tmp_path / "m.json")["qa"]["download"][0]
    read = 6 if squad_v2 else 4
    assert (counts["questions_read"], counts["questions"]) == (read, read - 1)


@pytest.mark.parametrize("realign", [pytest.param(True, id="D62 realign without drop")])
def test_without_drop_the_message_names_it(realign: bool, tmp_path: Path) -> None:
    message = "by hand, or set `qa.download.realign: drop` to leave such questions out"
    with pytest.raises(RetuneError, match=message):
        translated(tmp_path, realign, squad_v2=False)
