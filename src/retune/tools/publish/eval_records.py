"""The scores in the forms of others: the hub's `.eval_results`, and Every Eval Ever.

Every Eval Ever (https://evalevalai.com, schema 0.3.0) has one record for an evaluation, with a line
for each question and score beside it.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from retune import __version__
from retune.core.files import sha256, write_json, write_json_lines
from retune.stats.paired import Draws
from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tools.publish.card import SCORES, Labels, dataset_name, hub_dataset, model_id
from retune.tools.publish.published_run import PublishedRun

_SCHEMA = "0.3.0"


def write_eval_results(folder: Path, run: PublishedRun, labels: Labels) -> bool:
    """Write `.eval_results/`, and return whether it was written.

    The hub's leaderboards are those of whole data sets of the hub.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    dataset = hub_dataset(run, labels)
    if dataset is None or run.limits:
        return False
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=labels.task,
        value=run.value("scores", "f1"),
        dataset_revision=_revision(run) if dataset == run.hub_dataset else None,
        date=run.date,
        notes=f"F1; exact match {run.means['exact_match'].value:.2f}",
    )
    path = folder / ".eval_results" / f"{dataset.rpartition('/')[2]}.yaml"
    path.parent.mkdir()
    rows = eval_result_entries_to_yaml([entry])
    path.write_text(yaml.safe_dump(rows, sort_keys=False), encoding="utf-8")
    return True


def write_record(folder: Path, run: PublishedRun, labels: Labels, run_environment: str) -> Path:
    """Write the record of Every Eval Ever, with its lines by question; return its path."""
    name = model_id(run, labels)
    benchmark = _path_word(dataset_name(run, labels).rpartition("/")[2])
    evaluation = f"{benchmark}/{name}/{run.seconds}"
    place = Path("data", benchmark, *map(_path_word, name.split("/")))
    stem = _uuid(evaluation, run.commit)
    samples = place / f"{stem}_samples.jsonl"
    (folder / place).mkdir(parents=True)
    count = write_json_lines(folder / samples, _lines(run, name, evaluation))
    record = {
        "schema_version": _SCHEMA,
        "evaluation_id": evaluation,
        "evaluation_timestamp": run.date,
        "retrieved_timestamp": str(run.seconds),
        "source_metadata": {
            "source_name": "retune",
            "source_type": "evaluation_run",
            "source_organization_name": name.partition("/")[0],
            "evaluator_relationship": "first_party",
            "additional_details": {"commit": run.commit},
        },
        "eval_library": {"name": "retune", "version": __version__},
        "model_info": _model_info(run, name, run_environment),
        "evaluation_results": [_result(run, labels, metric) for metric in SCORES],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": samples.as_posix(),
            "hash_algorithm": "sha256",
            "checksum": sha256(folder / samples),
            "total_rows": count,
        },
    }
    write_json(folder / place / f"{stem}.json", record)
    return place / f"{stem}.json"


def _model_info(run: PublishedRun, name: str, environment: str) -> dict[str, Any]:
    return {
        "name": name.partition("/")[2],
        "id": name,
        "developer": name.partition("/")[0],
        "inference_engine": {"name": "retune", "version": __version__},
        "additional_details": {
            "deployment_type": "self_deployed",
            "model_availability": "open_weights",
            "variant": str(run.trained.variant),
            "parameters": str(run.value("costs", "parameters")),
            "seed": str(run.setting("qa.seed")),
            "environment": environment,
        },
    }


def _result(run: PublishedRun, labels: Labels, metric: str) -> dict[str, Any]:
    mean = run.means[metric]
    uncertainty: dict[str, Any] = {"num_samples": len(run.questions)}
    if mean.low is not None and mean.high is not None:
        uncertainty["num_bootstrap_samples"] = Draws().count
        uncertainty["confidence_interval"] = {
            "lower": mean.low, "upper": mean.high, "confidence_level": 0.95,
            "method": f"bootstrap over {run.passages} passages",
        }  # fmt: skip
    return {
        "evaluation_result_id": metric,
        "evaluation_name": f"{dataset_name(run, labels)}, test questions",
        "source_data": _source(run, labels),
        "evaluation_timestamp": run.date,
        "metric_config": {
            "evaluation_description": "SQuAD's score against the reference answers",
            "metric_id": metric,
            "metric_name": SCORES[metric],
            "metric_kind": metric,
            "metric_unit": "percent",
            "metric_parameters": {"normalizer": run.setting("qa.score.normalizer")},
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 100,
        },
        "score_details": {"score": run.value("scores", metric), "uncertainty": uncertainty},
    }


def _source(run: PublishedRun, labels: Labels) -> dict[str, Any]:
    details = {"test_files_sha256": json.dumps(_test_sums(run))}
    name = dataset_name(run, labels)
    if dataset := hub_dataset(run, labels):
        return {
            "dataset_name": name, "source_type": "hf_dataset", "hf_repo": dataset,
            "hf_split": run.scored_split, "samples_number": len(run.questions),
            "additional_details": details,
        }  # fmt: skip
    return {"dataset_name": name, "source_type": "other", "additional_details": details}


def _test_sums(run: PublishedRun) -> list[str]:
    files: Sequence[dict[str, str]] = run.value("data", "files", [], split="test")
    return [file["sha256"] for file in files]


def _lines(run: PublishedRun, name: str, evaluation: str) -> Iterator[dict[str, Any]]:
    for question in run.questions:
        for metric in SCORES:
            yield _line(question, metric) | {"evaluation_id": evaluation, "model_id": name}


def _line(question: QuestionScore, metric: str) -> dict[str, Any]:
    """Return the line of a question and a score; the answer is a span of its passage."""
    references = [*question.references]
    score = float(question.exact_match) if metric == "exact_match" else question.f1
    summed = hashlib.sha256((question.question + "".join(references)).encode()).hexdigest()
    return {
        "schema_version": _SCHEMA,
        "evaluation_name": metric,
        "evaluation_result_id": metric,
        "sample_id": question.id,
        "sample_hash": summed,
        "interaction_type": "single_turn",
        "input": {"raw": question.question, "reference": references},
        "output": {"raw": [question.answer]},
        "answer_attribution": [
            {
                "turn_idx": 0, "source": "output.raw", "extracted_value": question.answer,
                "extraction_method": "span", "is_terminal": True,
            }
        ],
        "evaluation": {"score": score, "is_correct": question.exact_match},
        "metadata": {"passage": question.passage, "article": question.article},
    }  # fmt: skip


def _revision(run: PublishedRun) -> str | None:
    section = run.setting(f"qa.datasets.{run.setting('qa.dataset')}") or {}
    found = section.get("revision")
    return None if found is None else str(found)


def _path_word(text: str) -> str:
    """Return a name that may be part of a path everywhere."""
    kept = [letter if letter.isalnum() or letter in "-_." else "-" for letter in text]
    return "".join(kept).strip(".-") or "unnamed"


def _uuid(*parts: str) -> str:
    """Return a random-looking UUID that is the same for the same parts."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))
