"""Pretrained encoders as verified local folders: from a package, a folder or the hub.

A pretrained model is pinned by content (SHA-256 of its weights) or by commit (the hub), so
that the same params.yaml means the same weights everywhere. Weights are read from
safetensors only; a file of pickled weights is converted first (`retune.models.pickled_weights`),
and only where a sum pins it. Nothing here unpickles a file or runs a model's own code.
"""

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from retune.core.errors import RetuneError, excerpt
from retune.core.params import STRICT
from retune.core.plain_files import home_expanded, sha256
from retune.models import hub_snapshots, pickled_weights
from retune.models.config_safety import check_configuration, explained
from retune.models.tokenizer_checks import require_sound

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WEIGHTS = pickled_weights.WEIGHTS
PICKLED = pickled_weights.PICKLED

#: Special tokens that tasks need of an encoder, and of a decoder, which ends texts.
ENCODER_TOKENS = ("cls_token", "sep_token", "pad_token")
DECODER_TOKENS = ("eos_token",)
_FAMILIES = {
    ENCODER_TOKENS: "a pretrained encoder, such as one of the BERT or RoBERTa families",
    DECODER_TOKENS: "a pretrained decoder, such as one of the GPT-2 family",
}

_PACKAGE = "package:"
_HUB_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?")
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")
_SENTENCEPIECE = "*.model"
_TOKENIZER_FILES = (*_VOCABULARIES, _SENTENCEPIECE)
#: What transformers reads a SentencePiece model with.
_SENTENCEPIECE_PACKAGES = ("sentencepiece", "protobuf")
#: The files of a pretrained model besides its weights.
_FILES = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "*.spm",  # of translators, like the next one
    "target_vocab.json",
    *_TOKENIZER_FILES,
)


def _pinned(revision: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision):
        raise ValueError(
            "a branch or tag can move; for a hub id give the full commit (40 lower-case hex "
            f"digits), for a folder or package the SHA-256 of its {WEIGHTS} (64 digits)"
        )
    return revision


def is_commit(revision: str) -> bool:
    """Whether a revision is a commit of the hub, which pins all files, not a sum of weights."""
    return len(revision) == 40


@dataclass(frozen=True, config=STRICT)
class PretrainedParams:
    """Section `checkpoint` of a task: the pretrained model and its tokenizer, pinned.

    `name` is `package:<module>` (an installed package with the files in its folder
    `model/`), the path of a folder, or a hub id `owner/name`. `revision` is the SHA-256
    of model.safetensors for the first two and a commit for a hub id. `pickle_sha256` is the sum of
    pytorch_model.bin; it allows the conversion of a model that has nothing else. It may be
    null for a hub id, because a commit pins that file, too.
    """

    name: Annotated[str, Field(min_length=1)]
    revision: Annotated[str, AfterValidator(_pinned)]
    pickle_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


def resolve(params: PretrainedParams, section: str = "checkpoint") -> Path:
    """Return the local folder with the pretrained model's files, verified.

    The network is used only for a hub id that is not complete in the local hub cache. `section`
    names the params in messages.

    Raises:
        RetuneError: the model is absent, incomplete, or not the pinned one.
    """
    folder = locate(params, section)
    if params.name.startswith(_PACKAGE) or _means_folder(params):
        with _said_of(section):
            _verify_sum(folder / WEIGHTS, params.revision)
    return folder


def locate(params: PretrainedParams, section: str = "checkpoint") -> Path:
    """Like `resolve`, without comparing the sum of a folder's or package's weights."""
    with _said_of(section):
        folder = _found(params)
    check_configuration(folder)
    return folder


def load_tokenizer(
    folder: Path, needed: tuple[str, ...] = ENCODER_TOKENS
) -> "PreTrainedTokenizerFast":
    """The fast tokenizer in `folder`, with the special tokens `needed`.

    Raises:
        RetuneError: there is none, or it lacks such a token.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    quiet_transformers()
    if not any((folder / name).exists() for name in _VOCABULARIES):
        _require_sentencepiece(folder)
    check_configuration(folder)
    with explained(f"cannot read the tokenizer in {folder}"):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        if isinstance(tokenizer, PreTrainedTokenizerFast):
            require_sound(tokenizer)
    if not tokenizer.is_fast:
        raise RetuneError(
            f"{folder} has a slow tokenizer ({type(tokenizer).__name__}), which knows no "
            "character offsets; choose a model with a fast tokenizer"
        )
    absent = [token for token in needed if getattr(tokenizer, token) is None]
    if absent:
        families = _FAMILIES[needed]
        raise RetuneError(
            f"the tokenizer in {folder} has no {', '.join(absent)}; choose {families}"
        )
    return cast(PreTrainedTokenizerFast, tokenizer)


def _require_sentencepiece(folder: Path) -> None:
    """Check that a folder without other vocabularies has a SentencePiece model, readable here.

    Without one, transformers would make an empty vocabulary. If a package is absent, its message
    names the wrong one.

    Raises:
        RetuneError: there is no model, or a package is absent.
    """
    model = next(folder.glob(_SENTENCEPIECE), None)
    if model is None:
        raise RetuneError(f"{folder} has no tokenizer; save one there, too")
    for package in _SENTENCEPIECE_PACKAGES:
        try:
            version(package)
        except PackageNotFoundError:
            raise RetuneError(
                f"{model} is a SentencePiece model, which needs {package}, and that is not "
                "installed: in a checkout of retune, `make environment` installs it, and so does "
                "`pip install --editable '.[sentencepiece]'`"
            ) from None


def quiet_transformers() -> None:
    """Silence transformers' warnings, load reports and bars for local files."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


@contextmanager
def _said_of(section: str) -> Iterator[None]:
    """Prefix messages about a field of `PretrainedParams` with its section."""
    try:
        yield
    except RetuneError as error:
        raise RetuneError(f"{section}.{error}") from None


def _found(params: PretrainedParams) -> Path:
    if params.name.startswith(_PACKAGE):
        folder = _package_folder(params.name.removeprefix(_PACKAGE))
    elif _means_folder(params):
        folder = home_expanded(Path(params.name))
    else:
        return _hub_folder(params)
    if not folder.is_dir():
        raise RetuneError(
            f"name: no such folder: {folder}; give a folder with {WEIGHTS}, an id of the "
            "hub (`owner/name`) with a commit as revision, or `package:<module>`"
        )
    _require_files(folder)
    return folder if (folder / WEIGHTS).is_file() else _converted(folder, params.pickle_sha256)


def _hub_folder(params: PretrainedParams) -> Path:
    """The folder of a hub id; safetensors are preferred to pickled weights."""
    cached = hub_snapshots.cached(params.name, params.revision, _FILES)
    if cached is None or not (cached / WEIGHTS).is_file():
        if cached is not None and (kept := _kept_conversion(cached, params)):
            return kept
        try:
            cached = hub_snapshots.download(params.name, params.revision, _FILES)
        except RetuneError:
            if cached is None:
                raise
    _require_files(cached)
    if not (cached / WEIGHTS).is_file():
        return _converted(cached, params.pickle_sha256 or hub_snapshots.blob_sum(cached / PICKLED))
    hub_snapshots.verify_blob(cached / WEIGHTS)
    return cached


def _kept_conversion(snapshot: Path, params: PretrainedParams) -> Path | None:
    """The earlier conversion of a snapshot with pickled weights."""
    pin = params.pickle_sha256 or hub_snapshots.blob_sum(snapshot / PICKLED)
    return pickled_weights.kept(pin, _beside_weights(snapshot)) if pin else None


def _converted(folder: Path, pin: str | None) -> Path:
    """A folder with the pickled weights of `folder` as safetensors."""
    if pin is None:
        raise pickled_weights.unpinned(folder / PICKLED)
    return pickled_weights.convert(folder, pin, _beside_weights(folder))


def _beside_weights(folder: Path) -> list[Path]:
    return sorted({path for pattern in _FILES for path in folder.glob(pattern)})


def _means_folder(params: PretrainedParams) -> bool:
    # A name that can only be a path must never become a request to the hub. A SHA-256 as revision
    # means that `models/mine` is a folder, even if it is missing.
    return (
        _HUB_NAME.fullmatch(params.name) is None
        or not is_commit(params.revision)
        or Path(params.name).exists()
    )


def _package_folder(module: str) -> Path:
    # A top-level name only: looking up `a.b` would import (run) the package `a`.
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is None:
        raise RetuneError(
            f"name: package {excerpt(module)} is not installed in this environment; install "
            "it with `make`, or name a folder or a hub id"
        )
    places = spec.submodule_search_locations or []
    folders = [Path(place) / "model" for place in places]
    return next((folder for folder in folders if folder.is_dir()), Path(module) / "model")


def _require_files(folder: Path) -> None:
    for names in ((WEIGHTS, PICKLED), ("config.json",)):
        if not any((folder / name).is_file() for name in names):
            raise RetuneError(
                f"name: {folder} has no {names[0]}; the layout of `save_pretrained` with "
                f"one file of weights is needed ({WEIGHTS}, or {PICKLED} to be converted)"
            )


def _verify_sum(weights: Path, expected: str) -> None:
    actual = sha256(weights)
    if actual != expected:
        raise RetuneError(
            f"revision: {weights} has SHA-256 {actual}, but params ask for {expected}; if "
            f"this file is the one you want, put `revision: {actual}` into params.yaml"
        )
