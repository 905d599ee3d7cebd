"""Wrong labels: how many of those planted in a data set `retune doctor --model` ranks first.

`--plant` writes a copy of a data set in which some labels are shifted by a few words or swapped for
that of another question on the passage. Train models on the copy in folds, wrong labels and all;
`--found` then says how many of them are ranked first. On data without planted labels, `--flagged`
says how many labels are taken for wrong, and how many of those planted after the training are
found, in many draws. Both compare with the order by loss, that is, by the likelihood of the label.
"""

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from bench.measure import RESULTS, plain_parser
from retune.tasks.qa.labels.corruption import KINDS, Kind, Span, corrupted, words_of
from retune.tasks.qa.labels.evidence import Labelled
from retune.tasks.qa.labels.ranking import ranked_labels
from retune.tools.compare.predictions import read_gold
from retune.tools.data_doctor.label_review import read_labels

SHARE = 0.05
DRAWS = 20
PLANTED = "planted.json"
_EXAMPLE = "--plant src/retune/corpora/encyclopaedia planted"


def plant(folder: Path, out: Path, seed: int) -> None:
    """Write the files of a folder of nested JSON with wrong labels, and a list of these."""
    files = {path.name: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}
    paragraphs = [each for data in files.values() for each in _paragraphs(data)]
    spans = {qa["id"]: _label(qa) for each in paragraphs for qa in each["qas"] if qa["answers"]}
    generator = Random(seed)
    chosen = {*generator.sample(sorted(spans), round(SHARE * len(spans)))}
    planted = {}
    for paragraph in paragraphs:
        context = paragraph["context"]
        for qa in paragraph["qas"]:
            if qa["id"] in chosen:
                others = [spans[o["id"]] for o in paragraph["qas"] if o is not qa and o["answers"]]
                kind, wrong = _made_wrong(context, spans[qa["id"]], others, generator)
                qa["answers"] = [{"text": context[slice(*wrong)], "answer_start": wrong[0]}]
                planted[qa["id"]] = {"kind": kind, "right": spans[qa["id"]], "wrong": wrong}
    out.mkdir(parents=True)
    for name, data in files.items():
        (out / name).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    (out / PLANTED).write_text(json.dumps(planted, indent=1), encoding="utf-8")
    print(f"{len(planted):,} of {len(spans):,} labels in {out} are wrong")


def found(folder: Path, model: str) -> dict[str, Any]:
    """Return how many labels, planted before the training, are ranked first."""
    planted = json.loads((folder / PLANTED).read_text("utf-8"))
    files = sorted(path for path in folder.glob("*.json") if path.name != PLANTED)
    labels = _labels(model, files)
    ranked = {label.id for label in labels}
    kinds = {id_: each["kind"] for id_, each in planted.items() if id_ in ranked}
    return {"labels": len(labels), "planted": len(kinds), **_shares(labels, kinds, 0)}


def flagged(files: Sequence[Path], model: str, draws: int) -> dict[str, Any]:
    """Return how many labels are flagged, and how many planted ones are ranked first."""
    labels = _labels(model, files)
    ranked = ranked_labels(labels)
    rows = []
    for seed in range(draws):
        generator = Random(seed)
        ids = sorted({label.id for label in labels})
        chosen = {*generator.sample(ids, round(SHARE * len(ids)))}
        planted, kinds = _planted(labels, chosen, generator)
        rows.append(_shares(planted, kinds, seed))
    return {
        "labels": len(labels),
        "flagged": sum(one.is_flagged for one in ranked),
        "draws": draws,
        "mean": {key: float(np.mean([row[key] for row in rows])) for key in rows[0]},
        "lowest": {key: float(np.min([row[key] for row in rows])) for key in rows[0]},
    }


def _planted(
    labels: Sequence[Labelled], chosen: set[str], generator: Random
) -> tuple[list[Labelled], dict[str, Kind]]:
    """Replace all labels of the chosen questions by a wrong one; return the kind of each, too."""
    of_passage: dict[str, dict[str, Span]] = {}
    for label in labels:
        of_passage.setdefault(label.context, {}).setdefault(label.id, label.label)
    kinds: dict[str, Kind] = {}
    result = []
    for label in labels:
        if label.id not in chosen:
            result.append(label)
        elif label.id not in kinds:
            others = [span for id_, span in of_passage[label.context].items() if id_ != label.id]
            kinds[label.id], wrong = _made_wrong(label.context, label.label, others, generator)
            result.append(replace(label, label=wrong))
    return result, kinds


def _shares(labels: Sequence[Labelled], kinds: Mapping[str, Kind], seed: int) -> dict[str, float]:
    """Return the share of wrong labels among as many that are ranked first, in percent."""
    ranked = ranked_labels(labels, seed)
    first = [one.labelled.id for one in ranked[: len(kinds)]]
    by_loss = sorted(labels, key=lambda each: each.readings.likelihood(each.label).total)
    flagged_ids = [one.labelled.id for one in ranked if one.is_flagged]
    right = len(labels) - len(kinds)
    shares = {
        "precision": _percent(id_ in kinds for id_ in first),
        "precision_by_loss": _percent(each.id in kinds for each in by_loss[: len(kinds)]),
        "flagged": float(len(flagged_ids)),
        "flagged_precision": _percent(id_ in kinds for id_ in flagged_ids),
        "right_flagged": 100.0 * sum(id_ not in kinds for id_ in flagged_ids) / right,
    }
    for kind in KINDS:
        shares[kind] = _percent(id_ in first for id_, made in kinds.items() if made == kind)
    return shares


def _percent(values: Iterable[bool]) -> float:
    every = [*values]
    return 100.0 * sum(every) / len(every) if every else 100.0


def _labels(model: str, files: Iterable[Path]) -> list[Labelled]:
    examples = [example for path in files for example in read_gold(path, squad_v2=True)]
    return read_labels(model, examples).labels


def _made_wrong(
    context: str, own: Span, others: Sequence[Span], generator: Random
) -> tuple[Kind, Span]:
    """Return a wrong label of a drawn kind, or of the other kind if this one is not possible."""
    words = words_of(context)
    for kind in generator.sample(KINDS, len(KINDS)):
        if span := corrupted(kind, words, own, others, generator):
            return kind, span
    raise SystemExit(f"no wrong label is possible in {context[:60]!r}")


def _paragraphs(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for article in data["data"]:
        yield from article["paragraphs"]


def _label(qa: Mapping[str, Any]) -> Span:
    answer = qa["answers"][0]
    return answer["answer_start"], answer["answer_start"] + len(answer["text"])


def _arguments() -> Namespace:
    parser = plain_parser("wrong_labels", str(__doc__), _EXAMPLE)
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--plant", type=Path, nargs=2, metavar=("FOLDER", "OUT"),
        help="write a copy of a folder of nested JSON with wrong labels",
    )  # fmt: skip
    actions.add_argument(
        "--found", type=Path, metavar="OUT", help="labels that were planted before the training"
    )
    actions.add_argument(
        "--flagged", type=Path, nargs="+", metavar="FILE", help="data without planted labels"
    )
    parser.add_argument("--model", default="bert", help="experiments in folds (default: bert)")
    parser.add_argument("--seed", type=int, default=0, help="of planted labels (default: 0)")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"(default: {DRAWS})")
    parser.add_argument("--save", metavar="NAME", help="save the figures to bench/results/")
    arguments = parser.parse_args()
    if not (arguments.plant or arguments.found or arguments.flagged):
        parser.error("give --plant, --found or --flagged")
    return arguments


def main() -> None:
    """Plant wrong labels, or print how many are found."""
    arguments = _arguments()
    if arguments.plant:
        folder, out = arguments.plant
        plant(folder, out, arguments.seed)
        return
    if arguments.found:
        figures = found(arguments.found, arguments.model)
    else:
        figures = flagged(arguments.flagged, arguments.model, arguments.draws)
    if arguments.save:
        path = RESULTS / "wrong_labels.json"
        saved = json.loads(path.read_text("utf-8")) if path.exists() else {}
        text = json.dumps({**saved, arguments.save: figures}, indent=2, sort_keys=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
