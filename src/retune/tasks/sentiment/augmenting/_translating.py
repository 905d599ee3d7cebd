"""Translate texts with MarianMT models; each text is translated once."""

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retune.core.errors import RetuneError, listed
from retune.core.files import cache_folder, read_json, read_json_lines, sha256, write_json_lines
from retune.core.plain_files import require_unchanged, summed
from retune.models.config_safety import explained
from retune.models.pretrained_files import (
    WEIGHTS,
    PretrainedParams,
    is_commit,
    quiet_transformers,
    resolve,
)
from retune.models.tokenizer_checks import require_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Translations are saved after this many texts, whatever happens to the rest.
_PART = 512
#: The files of MarianMT's own tokenizer, and its output vocabulary if that is separate.
_SENTENCEPIECE_FILES = ("source.spm", "target.spm", "vocab.json")
_TARGET_VOCABULARY = "target_vocab.json"
#: What a translation depends on besides the weights.
_FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", *_SENTENCEPIECE_FILES, _TARGET_VOCABULARY),
)
#: A word of the vocabulary that tells a model which language to translate into.
_TARGET = re.compile(r">>[^<>]+<<")


@dataclass(frozen=True, slots=True)
class Decoding:
    """Settings of the search; one beam is greedy search. `max_length` is in tokens."""

    beams: int
    batch_size: int
    max_length: int


def translated(
    texts: Iterable[str], pretrained: PretrainedParams, section: str, decoding: Decoding
) -> dict[str, str]:
    """Return the translation of each text, from the user's cache or else by the model.

    It is "" if a text or its translation is longer than `max_length`, because half a sentence may
    have another label. It is also "" if a text contains a special token of the model.

    Args:
        texts: to translate.
        pretrained: the translator for this direction.
        section: the section of params.yaml that names it, for messages.
        decoding: of the search.

    Raises:
        RetuneError: the translator is absent, not the pinned one, or no MarianMT model of one
            language, or it has too few positions.
    """
    path = _cache_file(pretrained, section, decoding)
    known = _kept(path)
    # Texts of similar length need little padding; the order does not depend on the data set's.
    missing = sorted({*texts} - known.keys(), key=lambda text: (len(text), text))
    if missing:
        translator = _Translator(resolve(pretrained, section), section, decoding)
    for begin in range(0, len(missing), _PART):
        part = missing[begin : begin + _PART]
        known |= zip(part, translator.translations(part), strict=True)
        done = ({"text": text, "translation": known[text]} for text in sorted(known))
        write_json_lines(path, done)
    return known


def _cache_file(pretrained: PretrainedParams, section: str, decoding: Decoding) -> Path:
    """The cache file, named by everything that decides a translation; batches do not."""
    parts = [pretrained.revision, str(decoding.beams), str(decoding.max_length)]
    if not is_commit(pretrained.revision):  # a sum, which pins only the weights
        folder = resolve(pretrained, section)
        parts += [f"{name} {sha256(folder / name)}" for name in _FILES if (folder / name).is_file()]
    digest = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    return cache_folder() / "translations" / f"{digest}.jsonl"


def _kept(path: Path) -> dict[str, str]:
    """Read the translations of earlier runs."""
    if not path.exists():
        return {}
    try:
        return {str(row["text"]): str(row["translation"]) for row in read_json_lines(path)}
    except (RetuneError, KeyError, TypeError):
        raise RetuneError(
            f"{path}: damaged; rename it, and the stage translates its texts again"
        ) from None


class _Translator:
    """A MarianMT model with its tokenizer."""

    def __init__(self, folder: Path, section: str, decoding: Decoding) -> None:
        from transformers import GenerationConfig

        self.decoding = decoding
        self.tokenizer = _tokenizer(folder, section)
        self.model = _model(folder, section)
        config = self.model.config
        require_vocabulary(config.vocab_size, len(self.tokenizer), folder)
        if decoding.max_length > config.max_position_embeddings:
            raise RetuneError(
                f"{section}: {folder} has {config.max_position_embeddings} positions; lower "
                "max_length to that"
            )
        self.prefix = _target(self.tokenizer, folder, section)
        # Special tokens, which a text must not contain.
        self.marks = {*self.tokenizer.all_special_tokens}
        # Complete, because the search settings in a translator's folder are not pinned.
        self.model.generation_config = GenerationConfig(
            num_beams=decoding.beams,
            do_sample=False,
            max_new_tokens=decoding.max_length,
            bad_words_ids=[[config.pad_token_id]],
            pad_token_id=config.pad_token_id,
            eos_token_id=config.eos_token_id,
            decoder_start_token_id=config.decoder_start_token_id,
        )

    def translations(self, texts: Sequence[str]) -> Iterator[str]:
        """The translation of each text, in order."""
        from tqdm import tqdm

        size = self.decoding.batch_size
        for begin in tqdm(range(0, len(texts), size), desc="translate", leave=False, disable=None):
            yield from self._batch(texts[begin : begin + size])

    def _batch(self, texts: Sequence[str]) -> list[str]:
        import torch

        ids = [self.tokenizer(self.prefix + text)["input_ids"] for text in texts]
        readable = [n for n, each in enumerate(ids) if self._is_readable(texts[n], each)]
        found = [""] * len(texts)
        if not readable:
            return found
        batch = self.tokenizer.pad({"input_ids": [ids[n] for n in readable]}, return_tensors="pt")
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            )
        end = self.model.config.eos_token_id
        for n, tokens in zip(readable, output[:, 1:], strict=True):  # behind the start token
            if end in tokens:
                found[n] = str(self.tokenizer.decode(tokens, skip_special_tokens=True)).strip()
        return found

    def _is_readable(self, text: str, ids: Sequence[int]) -> bool:
        is_short = len(ids) <= self.decoding.max_length
        return is_short and not any(mark in text for mark in self.marks)


def _tokenizer(folder: Path, section: str) -> "PreTrainedTokenizerBase":
    quiet_transformers()
    with explained(f"{section}: cannot read the tokenizer in {folder}"):
        read = _fast if (folder / "tokenizer.json").is_file() else _sentencepiece
        tokenizer = read(folder, section)
    if tokenizer.pad_token is None or tokenizer.eos_token is None:
        raise RetuneError(
            f"{section}: the tokenizer in {folder} names no pad_token or no eos_token; name them "
            "in its tokenizer_config.json"
        )
    return tokenizer


def _target(tokenizer: "PreTrainedTokenizerBase", folder: Path, section: str) -> str:
    """The prefix that names the target language; "" if the model needs none."""
    codes = sorted(filter(_TARGET.fullmatch, tokenizer.get_vocab()))
    if len(codes) > 1:  # without a code, the model may answer in any language
        raise RetuneError(
            f"{section}: {folder} translates into the languages {listed(codes)}, and none of them "
            "can be chosen; name a translator into one language"
        )
    if codes and codes[0] not in tokenizer.tokenize(f"{codes[0]} x"):
        raise RetuneError(
            f"{section}: the tokenizer in {folder} does not keep {codes[0]} in one piece; make it "
            "one of its added tokens"
        )
    return f"{codes[0]} " if codes else ""


def _fast(folder: Path, _: str) -> "PreTrainedTokenizerBase":
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(  # type: ignore[no-any-return]
        folder, local_files_only=True, trust_remote_code=False
    )


def _sentencepiece(folder: Path, section: str) -> "PreTrainedTokenizerBase":
    """Load Marian's own tokenizer, which most of its models on the hub have."""
    settings = folder / "tokenizer_config.json"
    needed = list(_SENTENCEPIECE_FILES)
    if settings.is_file() and read_json(settings).get("separate_vocabs"):
        needed.append(_TARGET_VOCABULARY)
    absent = [name for name in needed if not (folder / name).is_file()]
    if absent:
        raise RetuneError(
            f"{section}: {folder} has no tokenizer: neither tokenizer.json nor {listed(absent)}; "
            "save one there, too"
        )
    try:
        import sentencepiece  # noqa: F401  # what MarianTokenizer reads by
    except ImportError:
        raise RetuneError(
            f"{section}: {folder} has the SentencePiece files of Marian; to read them run "
            "`pip install sentencepiece`, or save its tokenizer as tokenizer.json"
        ) from None
    from transformers import MarianTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sacremoses, which changes nothing here
        return MarianTokenizer.from_pretrained(  # type: ignore[no-any-return]
            folder,
            sp_model_kwargs={},  # the translator's own might sample
            local_files_only=True,
            trust_remote_code=False,
        )


def _model(folder: Path, section: str) -> Any:
    import torch
    from transformers import AutoConfig, MarianMTModel

    from retune.models.model_checks import require_fitting_sizes

    with explained(f"{section}: transformers cannot load {folder} as a translator"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if config.model_type != "marian":
        raise RetuneError(f"{section}: {folder} is of type {config.model_type!r}; allowed: marian")
    with explained(f"{section}: transformers cannot load {folder} as a translator"):
        require_fitting_sizes(folder / WEIGHTS, config, MarianMTModel)
        loaded: Any = MarianMTModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    require_unchanged(summed([folder / WEIGHTS]))
    model, report = loaded
    if missing := sorted(report["missing_keys"]):  # transformers fills them with random numbers
        raise RetuneError(
            f"{section}: {folder} lacks weights: {listed(missing, 3)}; its config.json and "
            "model.safetensors do not belong together"
        )
    return model.eval()
