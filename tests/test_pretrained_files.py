import functools
import hashlib
import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hub_server import use_hub
from safetensors.torch import save_file

from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.core.params import Params
from retune.models import pretrained_files
from retune.models.encoders import load_encoder_embeddings
from retune.models.pretrained_files import PretrainedParams, resolve
from retune.models.tokenizer_checks import require_vocabulary

COMMIT = "0123456789abcdef0123456789abcdef01234567"
EMPTY_SUM = "0" * 64
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "is", "it"]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A folder that looks like a pretrained model: weights of one tensor and a configuration."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    words = {"bert.embeddings.word_embeddings.weight": torch.arange(32.0).reshape(8, 4)}
    save_file(words, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return folder


@pytest.fixture
def tokenizer_folder(encoder: Path) -> Path:
    from transformers import BertTokenizer

    BertTokenizer(vocab={word: i for i, word in enumerate(VOCABULARY)}).save_pretrained(encoder)
    return encoder


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return cache


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class FakeHub(http.server.BaseHTTPRequestHandler):
    """The four requests of the hub that a download of one commit needs."""

    files: dict[str, bytes]
    sums: dict[str, str]

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        path = self.path.split("?")[0]
        status, headers, body = self.reply(path)
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def reply(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if "/owner/name/" not in path:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        if f"/{COMMIT}" not in path:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if path.startswith("/api/") and "/tree/" in path:
            return 200, {}, json.dumps([self.entry(name) for name in self.files]).encode()
        if path.startswith("/api/"):
            return 200, {}, json.dumps({"id": "owner/name", "sha": COMMIT}).encode()
        name = path.rsplit("/", 1)[1]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{self.sums[name]}"'}
        return 200, headers, self.files[name]

    def entry(self, name: str) -> dict[str, object]:
        size = len(self.files[name])
        lfs = {"oid": self.sums[name], "size": size, "pointerSize": 100}
        return {"type": "file", "path": name, "size": size, "oid": "0" * 40, "lfs": lfs}

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fake_hub(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeHub]]:
    files = {path.name: path.read_bytes() for path in encoder.iterdir()}
    files["pytorch_model.bin"] = b"a pickle"
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    handler = type("Handler", (FakeHub,), {"files": files, "sums": sums})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    use_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
    yield handler
    server.shutdown()
    server.server_close()


def cached_snapshot(cache: Path, encoder: Path) -> Path:
    """Lay out `encoder` as the hub's cache does: blobs by sum, a snapshot of links."""
    repository = cache / "models--owner--name"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for file in encoder.iterdir():
        blob = repository / "blobs" / sha256(file)
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(blob)
    return snapshot


def hub(commit: str = COMMIT) -> PretrainedParams:
    return PretrainedParams(name="owner/name", revision=commit)


def read_params(tmp_path: Path, text: str) -> PretrainedParams:
    path = tmp_path / "params.yaml"
    path.write_text(f"qa:\n  checkpoint: {text}\n")
    with Params(path) as params:
        return params.section("qa.checkpoint", PretrainedParams)


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:7], COMMIT.upper(), f"{COMMIT}\n"])
def test_revision_that_can_move_is_refused_as_params_are_read(
    tmp_path: Path, revision: str
) -> None:
    text = json.dumps({"name": "owner/name", "revision": revision})
    with pytest.raises(RetuneError, match=r"qa\.checkpoint\.revision: a branch or tag can move"):
        read_params(tmp_path, text)


def test_empty_name_is_refused_as_params_are_read(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"qa\.checkpoint\.name: .* at least 1 character"):
        read_params(tmp_path, f'{{name: "", revision: "{COMMIT}"}}')


def test_folder_with_the_pinned_sum_is_given_back(encoder: Path) -> None:
    params = PretrainedParams(str(encoder), sha256(encoder / "model.safetensors"))
    assert resolve(params) == encoder


def test_folder_may_be_relative_and_look_like_a_hub_id(
    encoder: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.chdir(encoder.parent.parent)
    name = f"{encoder.parent.name}/encoder"
    found = resolve(PretrainedParams(name, sha256(encoder / "model.safetensors")))
    assert found.resolve() == encoder


def test_wrong_sum_is_told_with_both_sums_and_what_to_write(encoder: Path) -> None:
    actual = sha256(encoder / "model.safetensors")
    message = rf"^checkpoint\.revision: .*{actual}.*{EMPTY_SUM}.*`revision: {actual}`"
    with pytest.raises(RetuneError, match=message):
        resolve(PretrainedParams(str(encoder), EMPTY_SUM))


@pytest.mark.parametrize("name", ["./absent", "../absent", "/absent/x", "~/absent-x", "a/b/c"])
def test_missing_path_is_never_asked_of_the_hub(name: str, no_network: None) -> None:
    with pytest.raises(RetuneError, match=r"^checkpoint\.name: no such folder: .*(absent|a/b)"):
        resolve(PretrainedParams(name, COMMIT))


@pytest.mark.parametrize("section", ["qa.checkpoint", "sentiment.checkpoint", "bundle.base"])
def test_a_message_names_the_section_that_was_read(section: str, encoder: Path) -> None:
    with pytest.raises(RetuneError, match=rf"^{section}\.name: no such folder: absent;"):
        resolve(PretrainedParams("./absent", COMMIT), section)
    with pytest.raises(RetuneError, match=rf"^{section}\.revision: {encoder}/model\.saf"):
        resolve(PretrainedParams(str(encoder), EMPTY_SUM), section)


def test_missing_folder_that_looks_like_a_hub_id_is_told_by_its_sum(no_network: None) -> None:
    with pytest.raises(RetuneError, match="no such folder: models/mine"):
        resolve(PretrainedParams("models/mine", EMPTY_SUM))


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_folder_without_a_needed_file_is_refused(encoder: Path, file: str) -> None:
    (encoder / file).unlink()
    with pytest.raises(RetuneError, match=rf"^checkpoint\.name: .* has no {file}"):
        resolve(PretrainedParams(str(encoder), EMPTY_SUM))


def test_package_gives_its_model_folder(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "weights_of_mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('code of a checkpoint was run')")
    encoder.rename(package / "model")
    monkeypatch.syspath_prepend(package.parent)
    weights = package / "model" / "model.safetensors"
    params = PretrainedParams("package:weights_of_mine", sha256(weights))
    assert resolve(params) == package / "model"
    assert "weights_of_mine" not in sys.modules


@pytest.mark.parametrize("module", ["surely_not_installed", "os.path", "", "../up"])
def test_missing_package_is_told(module: str) -> None:
    with pytest.raises(RetuneError, match=r"^checkpoint\.name: package .* is not installed"):
        resolve(PretrainedParams(f"package:{module}", EMPTY_SUM))


def test_package_without_model_folder_is_told() -> None:
    with pytest.raises(RetuneError, match="no such folder: json/model"):
        resolve(PretrainedParams("package:json", EMPTY_SUM))


def test_cached_snapshot_needs_no_network(hub_cache: Path, encoder: Path, no_network: None) -> None:
    snapshot = cached_snapshot(hub_cache, encoder)
    assert resolve(hub()) == snapshot


def test_damaged_blob_in_the_cache_is_refused(
    hub_cache: Path, encoder: Path, no_network: None
) -> None:
    weights = cached_snapshot(hub_cache, encoder) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.resolve().write_bytes(data)
    with pytest.raises(RetuneError, match=r"^checkpoint\.revision: .* is damaged .*delete it"):
        resolve(hub())


@pytest.mark.parametrize("absent", ["model.safetensors", "config.json", None])
def test_download_brings_the_files_but_no_pickle(
    hub_cache: Path, encoder: Path, fake_hub: type[FakeHub], absent: str | None
) -> None:
    if absent:  # an interrupted download left a part of the snapshot
        (cached_snapshot(hub_cache, encoder) / absent).unlink()
    folder = resolve(hub())
    assert sha256(folder / "model.safetensors") == sha256(encoder / "model.safetensors")
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}


def test_download_brings_the_tokenizer_of_a_translator(
    hub_cache: Path, fake_hub: type[FakeHub]
) -> None:
    names = {"source.spm", "target.spm", "vocab.json", "target_vocab.json", "README.md"}
    for name in names:
        fake_hub.files[name] = name.encode()
        fake_hub.sums[name] = hashlib.sha256(name.encode()).hexdigest()
    folder = resolve(hub())
    assert {path.name for path in folder.iterdir()} & names == names - {"README.md"}


def test_downloaded_snapshot_serves_without_network_afterwards(
    hub_cache: Path, fake_hub: type[FakeHub], request: pytest.FixtureRequest
) -> None:
    folder = resolve(hub())
    request.getfixturevalue("no_network")
    assert resolve(hub()) == folder


def test_download_with_a_wrong_sum_is_refused(hub_cache: Path, fake_hub: type[FakeHub]) -> None:
    fake_hub.sums["model.safetensors"] = "f" * 64
    with pytest.raises(RetuneError, match=r"damaged .*expected f{64}"):
        resolve(hub())


def test_hub_model_without_weights_is_refused(hub_cache: Path, fake_hub: type[FakeHub]) -> None:
    del fake_hub.files["model.safetensors"], fake_hub.files["pytorch_model.bin"]
    with pytest.raises(RetuneError, match=r"has no model\.safetensors.*to be converted"):
        resolve(hub())


def test_model_that_the_hub_does_not_have_is_told(hub_cache: Path, fake_hub: type[FakeHub]) -> None:
    with pytest.raises(RetuneError, match=r"^checkpoint\.name: the hub shows no model 'owner/x'"):
        resolve(PretrainedParams("owner/x", COMMIT))


def test_commit_that_the_hub_does_not_have_is_told(
    hub_cache: Path, fake_hub: type[FakeHub]
) -> None:
    with pytest.raises(RetuneError, match=r"^checkpoint\.revision: owner/name has no commit"):
        resolve(hub("a" * 40))


def test_without_network_the_offline_recipe_is_told(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        use_hub(monkeypatch, f"http://127.0.0.1:{unused.getsockname()[1]}")
        recipe = rf"^checkpoint\.name: .*hf download owner/name --revision {COMMIT}.*package:"
        with pytest.raises(RetuneError, match=recipe):
            resolve(hub())


def test_offline_mode_of_the_hub_tells_the_recipe_too(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RetuneError, match=r"OfflineModeIsEnabled.*Without network: "):
        resolve(hub())


def test_tokenizer_is_fast_and_has_its_special_tokens(tokenizer_folder: Path) -> None:
    tokenizer = pretrained_files.load_tokenizer(tokenizer_folder)
    assert tokenizer.is_fast
    assert tokenizer("who is it")["input_ids"] == [2, 5, 6, 7, 3]


def test_folder_without_tokenizer_is_refused(encoder: Path) -> None:
    with pytest.raises(RetuneError, match=rf"^{encoder} has no tokenizer; save one"):
        pretrained_files.load_tokenizer(encoder)


def test_broken_tokenizer_is_refused(tokenizer_folder: Path) -> None:
    (tokenizer_folder / "tokenizer.json").write_text("{}")
    with pytest.raises(RetuneError, match=r"^cannot read the tokenizer in"):
        pretrained_files.load_tokenizer(tokenizer_folder)


def test_slow_tokenizer_is_refused(encoder: Path) -> None:
    (encoder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    (encoder / "vocab.txt").touch()
    with pytest.raises(RetuneError, match=r"slow tokenizer \(ByT5Tokenizer\)"):
        pretrained_files.load_tokenizer(encoder)


def test_tokenizer_without_special_tokens_is_refused(encoder: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"who": 0, "[SEP]": 1}, unk_token="who"))
    PreTrainedTokenizerFast(tokenizer_object=words, sep_token="[SEP]").save_pretrained(encoder)
    with pytest.raises(RetuneError, match="has no cls_token, pad_token"):
        pretrained_files.load_tokenizer(encoder)


def test_embeddings_are_the_matrix_of_the_file(encoder: Path) -> None:
    words = load_encoder_embeddings(encoder)
    assert torch.equal(words, torch.arange(32.0).reshape(8, 4))


def test_embeddings_of_another_precision_are_widened(encoder: Path) -> None:
    half = {"embed_tokens.weight": torch.ones(3, 2, dtype=torch.bfloat16)}
    save_file(half, encoder / "model.safetensors")
    assert load_encoder_embeddings(encoder).dtype == torch.float32


def test_checkpoint_without_embeddings_is_told(encoder: Path) -> None:
    save_file({"position_embeddings.weight": torch.ones(3, 2)}, encoder / "model.safetensors")
    with pytest.raises(RetuneError, match=r"has no word-piece embeddings.*pretrained_embeddings"):
        load_encoder_embeddings(encoder)


def test_vocabulary_larger_than_the_embeddings_is_refused(encoder: Path) -> None:
    require_vocabulary(8, 8, encoder)
    with pytest.raises(RetuneError, match="embeddings for 8 tokens, but its tokenizer has 9"):
        require_vocabulary(8, 9, encoder)


def test_quiet_transformers_hides_warnings_and_bars() -> None:
    from transformers.utils import logging

    logging.set_verbosity_info()
    logging.enable_progress_bar()
    pretrained_files.quiet_transformers()
    assert logging.get_verbosity() == logging.ERROR
    assert not logging.is_progress_bar_enabled()


def test_import_needs_no_heavy_library() -> None:
    code = (
        "import sys, retune.models.pretrained_files, retune.tasks.qa.models;"
        "heavy = {'torch', 'transformers', 'huggingface_hub'};"
        "sys.exit(str(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
