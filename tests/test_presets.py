"""The presets' pretrained models and data come by themselves from a hub, pickled ones too."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import modern_encoders
import pytest
import tiny
import torch
from dvc.utils.hydra import apply_overrides
from hub_server import COMMIT, HubServer, serving, use_hub
from safetensors.torch import load_file

from retune.core.errors import RetuneError
from retune.core.files import sha256
from retune.core.params import Params, load_yaml
from retune.models import pickled_weights
from retune.models.encoders import span_model
from retune.models.pretrained_files import WEIGHTS, PretrainedParams, load_tokenizer, resolve
from retune.preflight.validation import require_valid
from retune.tasks.qa.models import bert
from retune.tasks.qa.predict.batches import Collator
from retune.tools.experiments.experiments import load_experiment

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "hf_secret"
NAME = "owner/encoder"
DATA = b"rows"
#: Where the hub has the files of each data set.
FILES = {
    "squad": ("rajpurkar/squad", "plain_text/{}-00000-of-00001.parquet"),
    "sst2": ("nyu-mll/glue", "sst2/{}-00000-of-00001.parquet"),
    "coqa": ("stanfordnlp/coqa", "default/{}/0000.parquet"),
}
#: Presets whose files the user puts into a folder.
BY_HAND = {"n4-tiny", "treebank", "treebank-tiny"}
PRESETS = [
    pytest.param(path.parents[1], path.stem, id=path.stem)
    for path in [*ROOT.glob("experiments/*.yaml"), *ROOT.glob("pipelines/*/experiments/*.yaml")]
]


@pytest.fixture(scope="module")
def pickled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT as it was published years ago: pickled, in torch's old form, with old names."""
    folder = tmp_path_factory.mktemp("pickled")
    tiny.write_checkpoint(folder)
    weights = load_file(folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in weights.items()
    }
    bert = {f"bert.{name}": value for name, value in old.items()}
    torch.save(bert, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "model.safetensors").unlink()
    return folder


@pytest.fixture(scope="module")
def converted_once() -> Iterator[None]:
    """Convert the same pickle in one process for all presets."""
    convert, known = pickled_weights._refusal, dict[str, bytes]()

    def remembering(source: Path, target: Path) -> str:
        if (key := sha256(source)) in known:
            target.write_bytes(known[key])
            return ""
        if not (refusal := convert(source, target)):
            known[key] = target.read_bytes()
        return refusal

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickled_weights, "_refusal", remembering)
        yield


@contextmanager
def served(
    folders: dict[str, Path], commits: dict[str, str], tmp_path: Path, patch: pytest.MonkeyPatch
) -> Iterator[HubServer]:
    """Let the hub be one that has these repositories, all of them private."""
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    patch.setenv("RETUNE_CACHE", str(tmp_path / "own"))
    patch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with serving(folders, commits, token=TOKEN) as server:
        use_hub(patch, server.address)
        yield server


@pytest.fixture
def hub(pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with served({NAME: pickled}, {}, tmp_path, monkeypatch) as server:
        yield server


def test_a_private_pickled_checkpoint_of_the_hub_becomes_a_model(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    params = PretrainedParams(NAME, COMMIT)
    folder = resolve(params)
    assert any(path.startswith("/cdn/") for _, path in hub.asked)
    tokenizer = load_tokenizer(folder)
    model = span_model(folder, None, len(tokenizer))  # strict about weights of the encoder
    assert model.bert.encoder.layer[0].output.LayerNorm.weight.eq(1.0).all()
    asked = len(hub.asked)
    assert resolve(params) == folder
    assert len(hub.asked) == asked  # the second use needs no network


def test_a_private_checkpoint_needs_a_token(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(RetuneError, match=r"the hub shows no model 'owner/encoder'.*set HF_TOKEN"):
        resolve(PretrainedParams(NAME, COMMIT))


def test_another_sum_than_the_pinned_one_is_refused_though_the_hub_states_it(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(RetuneError, match=r"^checkpoint\.pickle_sha256: .*expected 0{64}"):
        resolve(PretrainedParams(NAME, COMMIT, "0" * 64))


@pytest.mark.usefixtures("converted_once")
@pytest.mark.parametrize(("pipeline", "name"), PRESETS)
def test_a_preset_needs_nothing_but_a_hub(
    pipeline: Path, name: str, pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes((pipeline / "params.yaml").read_bytes())
    experiment = load_experiment(name, pipeline / "experiments")
    apply_overrides(path, experiment.overrides())
    values = load_yaml(path)
    task = next(name for name in ("sentiment", "language_model", "qa") if name in values)
    with Params(path) as params:
        checkpoint = params.section(f"{task}.checkpoint", PretrainedParams)
        dataset, own = params.variant(f"{task}.dataset", f"retune.tasks.{task}.datasets",
                                      f"{task}.datasets")  # fmt: skip
    repositories, commits = {checkpoint.name: pickled}, {checkpoint.name: checkpoint.revision}
    hub_data = FILES.get(values[task]["dataset"])
    if hub_data:
        repository, pattern = hub_data
        repositories[f"datasets/{repository}"] = tmp_path / "data"
        commits[f"datasets/{repository}"] = own.revision
        for split in ("train", "validation"):
            file = tmp_path / "data" / pattern.format(split)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(DATA)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with served(repositories, commits, tmp_path, monkeypatch) as hub:
        if not checkpoint.name.startswith("package:"):
            assert (resolve(checkpoint) / WEIGHTS).is_file()
        if hub_data:
            pinned = [field.name for field in fields(own) if field.name.endswith("_sha256")]
            sums = dict.fromkeys(pinned, hashlib.sha256(DATA).hexdigest())
            sources = dataset.sources(replace(own, **sums))
            assert [s.path.read_bytes() for split in sources.values() for s in split] == [DATA] * 2
        assert not hub.leaked
    if name in BY_HAND:
        with pytest.raises(RetuneError, match=r"there is no 'data/sst2'; name a folder that is"):
            require_valid(pipeline, path)
    else:
        assert require_valid(pipeline, path)  # what `retune check` and the first stage do


@pytest.mark.parametrize("name", modern_encoders.PUBLISHED)
def test_a_modern_encoder_is_built_from_its_files_on_the_hub_and_packed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    apply_overrides(path, load_experiment(name, ROOT / "experiments").overrides())
    with Params(path) as params:
        checkpoint = params.section("qa.checkpoint", PretrainedParams)
        settings = params.section("qa.models.bert", bert.Params)
    published = tmp_path / "published"
    modern_encoders.write_published(published, name)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    commits = {checkpoint.name: checkpoint.revision}
    with served({checkpoint.name: published}, commits, tmp_path, monkeypatch):
        folder = resolve(checkpoint)
    tokenizer = load_tokenizer(folder)
    model = bert.build(settings, folder, len(tokenizer), 0)
    assert model.config.model_type == modern_encoders.PUBLISHED[name][0]
    assert Collator.for_model(model, tokenizer, "fp32").packed
    found = tokenizer("Who built the lighthouse?", tiny.TEXTS[0], return_offsets_mapping=True)
    first, last = (tiny.TEXTS[0].index(text) for text in ("Ada", "Berg"))
    begins = {begin for begin, end in found["offset_mapping"] if end > begin}
    assert begins & {first - 1, first}  # SentencePiece counts the space before a word
    assert begins & {last - 1, last}


def test_notebook_n5_downloads_all_its_data() -> None:
    adapters = ROOT / "pipelines/adapters"
    preset = load_yaml(adapters / "experiments/n5-large.yaml")
    own = preset["qa"]["datasets"]["files"], preset["adapters"]["entities"]
    splits = ("train", "validation", "test")
    files = [file for section in own for split in splits for file in section.get(split, [])]
    assert len(files) == 4
    assert all(file["path"].startswith("https://") and len(file["sha256"]) == 64 for file in files)


def test_its_entities_are_those_of_the_data_set(shared_data: Callable[[str], Path]) -> None:
    preset = load_yaml(ROOT / "pipelines/adapters/experiments/n5-large.yaml")
    entities = preset["adapters"]["entities"]
    for split, file in (("train", "train.conll"), ("validation", "dev.conll")):
        assert entities[split][0]["sha256"] == sha256(shared_data(f"lener-br/{file}"))
