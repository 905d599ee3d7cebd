"""Write the generated parts of README.md and docs/, and the README's picture, or check them.

    python docs/generate.py            # write
    python docs/generate.py --accept   # first update claims.yaml with the measured figures
    python docs/generate.py --check    # exit 1 if a document or a picture is out of date

A generated part lies between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

import csv
import sys
from pathlib import Path
from statistics import stdev
from typing import Any

import yaml

from retune.core.files import read_json
from retune.core.user_errors import guarded
from retune.stats.paired import LEVEL
from retune.tables.metrics_files import figures_of
from retune.tasks.task import tasks
from retune.tools.claims import ledger, looks, tables
from retune.tools.compare import saved
from retune.tools.compare.systems import DECISIVE, SCORES
from retune.tools.compare.tables import interval, rank

ROOT = Path(__file__).resolve().parent.parent


def stages() -> str:
    """Return the stages of dvc.yaml with their descriptions."""
    rows = [f"| `{name}` | {stage['desc']} |" for name, stage in _pipeline()["stages"].items()]
    return "\n".join(["| stage | what it does |", "|---|---|", *rows])


def graph() -> str:
    """Return the stages of dvc.yaml and the data that flows between them, for Mermaid."""
    made_by, lines = {}, ["```mermaid", "flowchart LR"]
    for name, stage in _pipeline()["stages"].items():
        for path in map(_path, stage.get("deps", [])):
            if path in made_by:
                lines.append(f"    {made_by[path]} -- {Path(path).name} --> {name}")
        made_by |= {_path(out): name for out in stage.get("outs", [])}
    return "\n".join([*lines, "```"])


def results() -> str:
    """The variants on the bundled corpus, best F1 first, and which of them are separable."""
    compared = read_json(ROOT / "metrics/qa_variants.json")
    headings = [f"{label} | 95 %" for label in SCORES.values()]
    lines = [
        f"| model | {' | '.join(headings)} | rank | parameters | training | windows/s |",
        f"|---|{'--:|' * (2 * len(headings) + 4)}",
    ]
    for system in compared["systems"]:
        scores = [f"{mean.value:.2f} | {interval(mean)}" for mean in saved.means(system).values()]
        costs = system["costs"]
        lines.append(
            f"| `{system['name']}` | {' | '.join(scores)} | {rank(system['rank'])} "
            f"| {_parameters(costs)} | {costs['train_seconds']:.0f} s "
            f"| {costs['train_windows_per_second']:.1f} |"
        )
    told = [*saved.summary(compared, "`"), looks.told(looks.stated(ROOT))]
    return "\n".join([*lines, "", *(f"- {sentence}" for sentence in told)])


def _parameters(row: dict[str, Any]) -> str:
    """All parameters, and those that were trained where they are fewer."""
    total = row["parameters"]
    trained = row.get("trained_parameters") or total
    return f"{total:,.0f}" if trained == total else f"{total:,.0f} ({trained:,.0f} trained)"


def curve() -> str:
    """Return the training loss of the default run, for Mermaid, and its score after each epoch."""
    steps, epochs = (_csv(f"metrics/qa_curves/{name}.csv") for name in ("train", "validation"))
    losses = ", ".join(f"{float(row['loss']):.2f}" for row in steps)
    scores = "; ".join(
        f"epoch {float(row['epoch']):.0f}: EM {float(row['exact_match']):.1f}, "
        f"F1 {float(row['f1']):.1f}"
        for row in epochs
    )
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            '    title "Training loss of the default run"',
            f'    x-axis "step" 1 --> {steps[-1]["step"]}',
            '    y-axis "loss" 0 --> 7',
            f"    line [{losses}]",
            "```",
            "",
            f"On the validation questions: {scores}.",
        ]
    )


def presets() -> str:
    """Return the experiments with the first comment of each file."""
    lines = ["| experiment | what it is |", "|---|---|"]
    for path in sorted((ROOT / "experiments").glob("*.yaml")):
        comment = path.read_text(encoding="utf-8").split("\nqa:")[0]
        text = " ".join(line.removeprefix("#").strip() for line in comment.splitlines())
        lines.append(f"| `{path.stem}` | {text} |")
    return "\n".join(lines)


def speed() -> str:
    """Return the headline ratios of the saved benchmarks."""
    lines = ["| what | against | times as fast | on |", "|---|---|--:|---|"]
    for name in BENCHMARKS:
        figures = _bench(name)
        for comparison in figures["comparisons"]:
            for row in comparison["rows"][1:]:
                lines.append(
                    f"| {comparison['title']} | {row['side']} | {_spread(row['ratio'])} "
                    f"| {_short(figures['machine'])} |"
                )
    return "\n".join(lines)


def benchmarks() -> str:
    """Return rates, ratios and goals of the saved benchmarks."""
    lines = []
    for name in BENCHMARKS:
        figures = _bench(name)
        for comparison in figures["comparisons"]:
            lines += [*_comparison(name, figures, comparison), ""]
            lines += _remarks(figures, comparison)
    return "\n".join(lines[:-1])


def memory() -> str:
    """Return the peak memory of whole stages at two sizes of the data."""
    figures = _bench("memory")
    small, large = (f"{size:,} windows" for size in figures["sizes"])
    lines = [f"| stage | {small} | {large} | growth | goal |", "|---|--:|--:|--:|--:|"]
    for row in figures["growth"]:
        before, after = (f"{mb:,.0f} MB" for mb in row["mb"])
        lines.append(
            f"| `{row['stage']}` | {before} | {after} | {row['growth'] - 1:.1%} "
            f"| < {row['goal'] - 1:.0%} |"
        )
    return "\n".join([*lines, "", f"{figures['machine']}; `python -m bench.memory`"])


def startup() -> str:
    """Return the seconds of short commands and of a whole small pipeline."""
    figures = _bench("startup")
    lines = ["| what | measured | goal |", "|---|--:|--:|"]
    for row in figures["rows"]:
        value = f"{_spread(row['seconds'])} s" if "seconds" in row else _spread(row["ratio"])
        goal = f"{row['goal']:g}" if row.get("goal") else ""
        lines.append(f"| {row['what']} | {value} | {goal} |")
    return "\n".join([*lines, "", f"{figures['machine']}; `python -m bench.startup`"])


def serving() -> str:
    """Return how `retune serve` bears many clients at once."""
    figures = _bench("serving")
    lines = [
        "| clients | requests | lost | wrong | requests/s | ratio | p50 | p99 |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in figures["rows"]:
        clients = figures["clients"] if row["side"] == "together" else 1
        lines.append(
            f"| {clients} | {row['requests']:,} | {row['lost']} | {row['wrong']} "
            f"| {_spread(row['rate'])} | {_spread(row['ratio'])} | {row['p50']:.2f} s "
            f"| {row['p99']:.2f} s |"
        )
    sizes = ", ".join(f"{size / 2**20:,.0f}" for size in figures["memory"])
    memory = (
        f"Memory of the server after the warm-up and after each third of the requests: {sizes} "
        f"MiB. A batch has {figures['batch']:.1f} windows on average."
    )
    return "\n".join([*lines, "", memory, "", f"{figures['machine']}; `python -m bench.serving`"])


def ablation() -> str:
    """Return the speed of retune's training recipe without one ingredient each."""
    return _speed_of_training("ablation")


def packing() -> str:
    """Return the speed of modern encoders with packed windows against padded ones."""
    return _speed_of_training("packing")


def _speed_of_training(option: str) -> str:
    """Return all comparisons of an option of bench.training."""
    figures = _bench(f"training_{option}")
    lines = []
    for comparison in figures["comparisons"]:
        lines += [*_comparison("training", figures, comparison, f"--{option}"), ""]
    return "\n".join(lines[:-1])


def trainings() -> str:
    """Return the minutes of a training by params.yaml and by presets, in each precision."""
    figures = _bench("presets")
    columns = [
        {row["side"]: _minutes(row) for row in comparison["rows"]}
        for comparison in figures["comparisons"]
    ]
    titles = [each["title"].removeprefix("Training in ") for each in figures["comparisons"]]
    lines = [f"| settings | {' | '.join(titles)} |", f"|---|{'--:|' * len(titles)}"]
    for side in columns[0]:
        cells = " | ".join(column[side] for column in columns)
        lines.append(f"| `{side}` | {cells} |")
    return "\n".join([*lines, "", f"{figures['machine']}; `python -m bench.presets`"])


def _minutes(row: dict[str, Any]) -> str:
    """Return the minutes of a training, and their share of those by params.yaml."""
    told = f"{60 / row['rate']['median']:.1f} min"
    return f"{told} ({row['ratio']['median']:.0%})" if "ratio" in row else told


def learning() -> str:
    """Return the F1 of the plain recipe and of retune's, seed by seed."""
    if not (ROOT / "bench" / "results" / "learning.json").exists():
        return "Not measured yet; `python -m bench.learning --save` does it."
    figures = _bench("learning")
    seeds = sorted({run["seed"] for run in figures["runs"]})
    lines = [
        f"| recipe | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | deviation |",
        f"|---|{'--:|' * (len(seeds) + 2)}",
    ]
    for recipe, summary in figures["f1"].items():
        f1s = [f"{run['f1']:.2f}" for run in figures["runs"] if run["recipe"] == recipe]
        lines.append(
            f"| {recipe} | {' | '.join(f1s)} | {summary['mean']:.2f} | {summary['deviation']:.2f} |"
        )
    return "\n".join([*lines, "", f"{figures['machine']}; `python -m bench.learning --save`"])


def searches() -> str:
    """Return how often `retune try` errs in simulated searches."""
    figures = _bench("tries")
    seeds = sorted({row["seeds"] for row in figures["worlds"]})
    headings = [f"{what}, {count} seeds" for count in seeds for what in ("false keeps", "found")]
    cells: dict[str, list[str]] = {}
    for row in figures["worlds"]:
        kind = "mixed" if row["likes"] else "plain, unstable" if row["unstable"] > 1 else "plain"
        setting = f"| {kind} | {row['seed_deviation']:.1f} | {row['passages']} |"
        shares = f"{row['false_keeps']:.1%}", f"{row['found']:.0%}"
        cells.setdefault(setting, []).extend(shares)
    lines = [
        f"| gain | sd over seeds | passages | {' | '.join(headings)} |",
        "|---|--:|--:|" + "--:|" * len(headings),
        *(f"{setting} {' | '.join(shares)} |" for setting, shares in cells.items()),
    ]
    systems = read_json(ROOT / "metrics/qa_variants.json")["systems"]
    measured = ", ".join(
        f"`{system['name']}` {stdev(run['f1'] for run in system['runs']):.1f}"
        for system in systems
        if len(system["runs"]) > 1
    )
    told = (
        f"{figures['loops']} searches for each figure. Measured standard deviation of the test F1 "
        f"over the seeds of `make variants`: {measured}."
    )
    return "\n".join([*lines, "", told])


def decoding() -> str:
    """Compare retune's searches with transformers' `generate`."""
    figures = _bench("decoding")
    lines: list[str] = []
    for comparison in figures["comparisons"]:
        lines += [*_comparison("decoding", figures, comparison), ""]
    same = figures["identical_continuations"]
    told = ", ".join(f"{name} {share:.0%}" for name, share in same.items())
    return "\n".join([*lines, f"Continuations that are the same, token for token: {told}."])


def adapters() -> str:
    """Compare training on a frozen encoder with full fine-tuning: rates, ratios, peak memory."""
    if not (ROOT / "bench" / "results" / "adapters.json").exists():
        return "Not measured yet; `python -m bench.adapters` does it."
    figures = _bench("adapters")
    lines = []
    for comparison in figures["comparisons"]:
        lines += [*_comparison("adapters", figures, comparison), ""]
    lines += ["| side | peak memory | parameters | trained |", "|---|--:|--:|--:|"]
    for side, mb in figures["peak_mb"].items():
        counts = figures["parameters"][side]
        trained, total = counts["trained_parameters"], counts["parameters"]
        lines.append(f"| {side} | {mb:,.0f} MB | {total:,} | {trained:,} |")
    return "\n".join(lines)


def methods() -> str:
    """Return the results of the adapters pipeline, method by method."""
    folder = ROOT / "pipelines/adapters/metrics"
    if not (folder / "full/scores.json").exists():
        return "Not run yet; `cd pipelines/adapters && dvc repro` does it."
    lines = [
        "| method | EM | F1 | trained parameters | stored | training | windows/s | peak memory |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in _yaml("pipelines/adapters/params.yaml")["variants"]:
        scores = read_json(folder / name / "scores.json")["qa"]
        files = (folder / name / f"{kind}.json" for kind in ("costs", "times"))
        costs, times = map(figures_of, map(read_json, files))
        trained, total = costs["trained_parameters"], costs["parameters"]
        lines.append(
            f"| `{name}` | {scores['exact_match']:.2f} | {scores['f1']:.2f} "
            f"| {trained:,} ({trained / total:.2%}) | {costs['model_bytes']:,} bytes "
            f"| {times['train_seconds']:.0f} s | {times['train_windows_per_second']:.1f} "
            f"| {times['peak_memory_mb']:,} MB |"
        )
    language, entities = (
        read_json(folder / f"{name}.json")["adapters"][name] for name in ("language", "entities")
    )
    before = language["details"][0]["perplexity_before"]
    return "\n".join(
        [
            *lines,
            "",
            f"The language adapter brings the perplexity of masked tokens from {before:,.0f} to "
            f"{language['perplexity']:,.0f}; the entity adapter has an entity F1 of "
            f"{entities['f1']:.2f}.",
            "",
            looks.told(looks.stated(ROOT, "pipelines/adapters")),
        ]
    )


def made_questions() -> str:
    """Return the questions that the pretraining pipeline made: counts, and some to read."""
    folder = ROOT / "pipelines/pretraining/metrics"
    if not (folder / "questions.json").exists():
        return "Not run yet; `cd pipelines/pretraining && dvc repro` does it."
    figures = read_json(folder / "questions.json")["pretraining"]
    forms = list(dict.fromkeys(each["form"] for each in figures["made"]))
    lines = [f"| kind | {' | '.join(forms)} |", f"|---{'|--:' * len(forms)}|"]
    for kind in dict.fromkeys(each["kind"] for each in figures["made"]):
        counts = [f"{e['questions']:,}" for e in figures["made"] if e["kind"] == kind]
        lines.append(f"| {kind} | {' | '.join(counts)} |")
    shown = _csv("pipelines/pretraining/metrics/questions.csv")[:_MADE]
    return "\n".join(
        [
            f"{figures['questions']:,} questions from {figures['passages']:,} passages of the "
            "bundled corpus:",
            "",
            *lines,
            "",
            "The first of them:",
            "",
            "| kind | question | answer |",
            "|---|---|---|",
            *(f"| {row['kind']} | {row['question']} | {row['answer']} |" for row in shown),
        ]
    )


def sentiment() -> str:
    """Return the results of the sentiment pipeline, variant by variant."""
    folder = ROOT / "pipelines/sentiment/metrics"
    if not (folder / "compare.json").exists():
        return "Not run yet; `cd pipelines/sentiment && dvc repro` does it."
    compared = read_json(folder / "compare.json")["sentiment"]
    lines = [
        "| variant | accuracy | over sentences | rank | macro F1 | calibration error | ensemble "
        "| parameters | stored | training |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in compared["variants"]:
        told = read_json(folder / row["name"] / "scores.json")["sentiment"]
        (ensemble,) = told["ensemble"]
        scores = {score["score"]: score for score in row["scores"]}
        accuracy, macro = (
            f"{scores[name]['mean']:.2f} ± {scores[name]['half_width']:.2f}"
            for name in ("accuracy", "macro_f1")
        )
        trained, total = row["trained_parameters"], row["parameters"]
        lines.append(
            f"| `{row['name']}` | {accuracy} | {row['over_sentences']['low']:.1f} to "
            f"{row['over_sentences']['high']:.1f} | {rank(row['rank'])} "
            f"| {macro} | {told['expected_calibration_error']:.1f} "
            f"| {ensemble['accuracy']:.2f} | {total:,} ({trained / total:.1%} trained) "
            f"| {row['model_bytes']:,} bytes | {row['train_seconds']:.0f} s |"
        )
    seeds = len(compared["variants"][0]["scores"][0]["by_seed"])
    first, tests = compared["variants"][0]["name"], compared["sentence_noise"]
    smallest = [test["detectable"] for test in tests]
    legend = (
        f"± is half of the 95 % interval over {seeds} seeds; the calibration error, in points, and "
        f"the seconds are means over them; the ensemble is the accuracy of all {seeds} models by "
        "their mean probability. The interval over sentences and the rank are of the accuracy "
        "averaged over seeds, had other sentences been drawn. Variants whose ranks overlap are not "
        f"separable; the smallest difference that these sentences could show is {min(smallest):.1f}"
        f" to {max(smallest):.1f} points, depending on the pair. Below, `{first}` is compared with "
        "every other variant, and then these with each other; p-values are adjusted for all "
        f"{len(tests)} pairs (Holm)."
    )
    best, others = _differences(compared, first)
    summary = f"<summary>The other {len(others)} pairs</summary>"
    folded = ["<details>", summary, "", *others, "", "</details>"]
    return "\n".join([*lines, "", legend, "", *best, "", *folded])


def _differences(compared: dict[str, Any], first: str) -> tuple[list[str], list[str]]:
    """Compare each pair over seeds and sentences: pairs with the variant `first`, other pairs."""
    gaps = {
        frozenset((gap["better"], gap["worse"])): gap
        for gap in compared["seed_noise"]
        if gap["key"] == "accuracy"
    }
    best: list[str] = []
    others: list[str] = []
    for test in compared["sentence_noise"]:
        lines = best if first in (test["better"], test["worse"]) else others
        gap = gaps[frozenset((test["better"], test["worse"]))]
        doubt = "; within seed noise" if gap["verdict"] == "below" else ""
        doubt = f", {test['verdict']}{doubt}" if test["verdict"] != "better" else doubt
        lines.append(
            f"- `{test['better']}` over `{test['worse']}`: {test['mean']:+.2f} ± "
            f"{gap['half_width']:.2f} points of accuracy over seeds, {test['low']:+.2f} to "
            f"{test['high']:+.2f} over sentences (p = {test['adjusted']:.2g}){doubt}"
        )
    return best, others


def probes() -> str:
    """Return the pass rates of the sentiment probes by kind and capability."""
    folder = ROOT / "pipelines/sentiment/metrics"
    if not (folder / "compare.json").exists():
        return "Not run yet; `cd pipelines/sentiment && dvc repro` does it."
    names = list(_yaml("pipelines/sentiment/params.yaml")["variants"])
    found = [read_json(folder / name / "probes.json")["sentiment"] for name in names]
    lines = [
        f"| probes | | {' | '.join(f'`{name}`' for name in names)} | baseline |",
        f"|---|--:|{'--:|' * (len(names) + 1)}",
    ]
    for group, key in (("kinds", "kind"), ("capabilities", "capability")):
        for rows in zip(*(each[group] for each in found), strict=True):
            rates = " | ".join(f"{row['mean']:.1f}" for row in rows)
            floor = f"{rows[0]['one_answer']:.1f}"
            lines.append(f"| {rows[0][key]} | {rows[0]['total']} | {rates} | {floor} |")
    return "\n".join(lines)


def language_model() -> str:
    """Return the results of the language model before and after training, method by method."""
    folder = ROOT / "pipelines/language_model/metrics"
    if not (folder / "compare.json").exists():
        return "Not run yet; `cd pipelines/language_model && dvc repro` does it."
    compared = read_json(folder / "compare.json")["language_model"]
    lines = [
        "| perplexity of | texts | before | after | difference, 95 % interval |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in compared["perplexity"]:
        interval = f"{row['low']:+,.2f} to {row['high']:+,.2f}"
        lines.append(
            f"| {row['of']} | {row['texts']} | {row['before']:,.2f} | {row['after']:,.2f} "
            f"| {row['difference']:+,.2f} ({interval}) |"
        )
    shown = [name for name in compared["scores"][0] if name.startswith(("rouge", "ngram"))]
    shown += [name for name in compared["scores"][0] if name.startswith(("distinct", "repetition"))]
    lines += [
        "",
        f"| model | method | {' | '.join(f'`{name}`' for name in shown)} | tokens |",
        f"|---|---|{'--:|' * (len(shown) + 1)}",
    ]
    for row in compared["scores"]:
        values = " | ".join(f"{row[name]:.3f}" for name in shown)
        lines.append(f"| {row['state']} | `{row['method']}` | {values} | {row['tokens']:.1f} |")
    same = [
        (row["one"], row["other"])
        for row in compared["methods"]
        if (row["state"], row["figure"]) == ("after", "rouge_1_f1") and row["adjusted"] >= LEVEL
    ]
    separable = f"Not separable by ROUGE-1 after training: {saved.ties(same, '`')}."
    training = _training("language_model")
    return "\n".join([*lines, "", separable, "", *_beams(), "", training])


def _beams() -> list[str]:
    lines = [
        "| beams | mean log-probability of a token | above one beam less | below |",
        "|--:|--:|--:|--:|",
    ]
    for row in _csv("pipelines/language_model/metrics/plots/pair_beams.csv"):
        shares = [f"{float(row[name]):.0%}" if row[name] else "" for name in ("above", "below")]
        mean = float(row["mean_log_probability"])
        lines.append(f"| {row['beams']} | {mean:.3f} | {' | '.join(shares)} |")
    return lines


def _training(task: str) -> str:
    folder = ROOT / "pipelines" / task / "metrics"
    files = (folder / f"{name}.json" for name in ("costs", "times"))
    costs, times = map(figures_of, map(read_json, files))
    machine = ", ".join(times["environment"][:4])  # processor, processes, threads, precision
    return (
        f"{costs['parameters']:,} parameters; trained in {times['train_seconds']:.0f} s "
        f"({machine}). Intervals are over texts."
    )


def exports() -> str:
    """Return how fast exported models are against torch, and their sizes."""
    figures = _bench("exports")
    lines = ["| export | MB | windows/s | times as fast as torch |", "|---|--:|--:|--:|"]
    for comparison in figures["comparisons"]:
        first, torch = comparison["rows"]
        lines.append(
            f"| `{first['side']}` | {figures['megabytes'][first['side']]:.1f} "
            f"| {_spread(first['rate'])} | {_spread(torch['ratio'])} |"
        )
    return "\n".join([*lines, "", f"{figures['machine']}; `python -m bench.exports`"])


def profiles() -> str:
    """Return the operators of one training step by their own time, before and after."""
    figures = _bench("profile")
    lines = []
    for name, step in figures["steps"].items():
        lines += [
            f"{name}: {step['total_ms']:,.0f} ms for 16 windows",
            "",
            "| operator | calls | ms | share |",
            "|---|--:|--:|--:|",
        ]
        for row in step["rows"]:
            lines.append(
                f"| `{row['operator']}` | {row['calls']:,} | {row['ms']:,.1f} "
                f"| {row['share']:.1%} |"
            )
        lines.append("")
    return "\n".join([*lines, f"{figures['machine']}; `python -m bench.profile`"])


def claims() -> str:
    """Return the claims as tables."""
    return tables.ledger(ROOT)


BENCHMARKS = ("training", "prediction", "tokenize", "postprocess")
#: The generated parts of each document.
DOCUMENTS = {
    "README.md": (results,),
    "docs/pipeline.md": (graph, stages, curve),
    "docs/sweeps.md": (presets,),
    "docs/trying.md": (searches,),
    "docs/performance.md": (
        *(speed, trainings, benchmarks, memory, startup, serving, exports, ablation, packing),
        *(learning, adapters, decoding, profiles),
    ),
    "docs/claims.md": (claims,),
} | {
    document: tuple(globals()[part] for part in parts)
    for task in tasks().values()
    for document, parts in task.documents.items()
}


#: What the picture says about each stage.
CAPTIONS = {
    "download": "one checked format",
    "tokenize": "cut into windows",
    "train": "keep best epoch",
    "predict": "start and end logits",
    "postprocess": "best answer spans",
    "score": "exact match, F1",
}
#: Colours of the picture in GitHub's light and dark themes.
THEMES = {
    "light": {"text": "#1f2328", "muted": "#59636e", "box": "#f6f8fa", "accent": "#0969da"},
    "dark": {"text": "#f0f6fc", "muted": "#9198a1", "box": "#151b23", "accent": "#4493f8"},
}
_BOX = 156, 62  # width and height of a stage
_COLUMN, _ROW = 182, 104  # distance from one stage to the next
_BARS = 226  # where the bars begin
_MADE = 10  # questions that rules made, to read


def picture(theme: str) -> str:
    """Draw the pipeline and the F1 of every variant as SVG."""
    shapes = [shape for number, name in enumerate(CAPTIONS) for shape in _stage(number, name)]
    shapes.append('<path d="M 442 62 V 83 H 78 V 98"/>')  # from the first row to the second
    rows = read_json(ROOT / "metrics/qa_variants.json")["systems"]
    shapes.append(f'<text class="caption" x="0" y="{_BARS - 14}">F1 on the bundled corpus</text>')
    shapes += [shape for number, row in enumerate(rows) for shape in _bar(number, row)]
    colours = THEMES[theme]
    style = (
        "text { font: 14px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; "
        f"fill: {colours['text']} }} .name {{ font-weight: 600; font-size: 18px }} "
        f".caption {{ fill: {colours['muted']} }} .bar {{ fill: {colours['accent']} }} "
        f".box {{ fill: {colours['box']}; stroke: {colours['muted']} }} "
        f"path {{ fill: none; stroke: {colours['muted']}; stroke-width: 2; marker-end: url(#a) }}"
    )
    arrow = (
        '<marker id="a" markerWidth="4" markerHeight="4" refX="3" refY="2" orient="auto">'
        f'<polygon points="0,0 4,2 0,4" fill="{colours["muted"]}"/></marker>'
    )
    size = f"-2 -2 524 {_BARS + 26 * len(rows)}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}">',
            f"<style>{style}</style>",
            f"<defs>{arrow}</defs>",
            *shapes,
            "</svg>\n",
        ]
    )


def _stage(number: int, name: str) -> list[str]:
    """Draw the box of a stage, and the arrow to the next box in its row."""
    (width, height), (row, column) = _BOX, divmod(number, 3)
    x, y = column * _COLUMN, row * _ROW
    middle = f'text-anchor="middle" x="{x + width // 2}"'
    shapes = [
        f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>',
        f'<text class="name" {middle} y="{y + 27}">{name}</text>',
        f'<text class="caption" {middle} y="{y + 48}">{CAPTIONS[name]}</text>',
    ]
    if column < 2:
        shapes.append(f'<path d="M {x + width} {y + height // 2} h 20"/>')
    return shapes


def _bar(number: int, row: dict[str, Any]) -> list[str]:
    """Draw the F1 of a variant: its name, a bar and the figure."""
    f1 = saved.means(row)[DECISIVE].value
    y, width = _BARS + 26 * number, 5.8 * f1
    return [
        f'<text x="0" y="{y + 14}">{row["name"]}</text>',
        f'<rect class="bar" x="162" y="{y}" width="{width:.1f}" height="18" rx="3"/>',
        f'<text x="{168 + width:.1f}" y="{y + 14}">{f1:.1f}</text>',
    ]


def generate(text: str, name: str = "README.md") -> str:
    """Return the text of the document `name` with every part generated anew."""
    for make in DOCUMENTS[name]:
        part = make.__name__
        begin, end = f"<!-- begin {part} -->\n", f"<!-- end {part} -->"
        if begin not in text or end not in text:
            raise SystemExit(f"{name} has no part {part}")
        before, after = text.partition(begin)[0], text.partition(end)[2]
        text = f"{before}{begin}{make()}\n{end}{after}"
    return text


def main() -> int:
    """Write or check the documents and the pictures, and return 1 if one is out of date."""
    if "--accept" in sys.argv[1:]:
        print("updated claims:", ", ".join(ledger.accept(ROOT)) or "none")
    texts = {name: generate((ROOT / name).read_text(encoding="utf-8"), name) for name in DOCUMENTS}
    texts |= {f"docs/overview-{theme}.svg": picture(theme) for theme in THEMES}
    if "--check" not in sys.argv[1:]:
        for name, text in texts.items():
            (ROOT / name).write_text(text, encoding="utf-8", newline="\n")
        return 0
    stale = [name for name in texts if (ROOT / name).read_text(encoding="utf-8") != texts[name]]
    for name in stale:
        print(f"{name} is out of date: run `python docs/generate.py`")
    return 1 if stale else 0


def _bench(name: str) -> dict[str, Any]:
    figures: dict[str, Any] = read_json(ROOT / "bench" / "results" / f"{name}.json")
    return figures


def _comparison(
    name: str, figures: dict[str, Any], comparison: dict[str, Any], options: str = ""
) -> list[str]:
    """Return a comparison as a table; the others are compared with the side in its first row."""
    unit = comparison["rows"][0]["unit"]
    command = f"python -m bench.{name} {options}".strip()
    lines = [
        f"**{comparison['title']}** ({figures['machine']}; rounds: {figures['rounds']}; "
        f"`{command}`)",
        "",
        f"| side | {unit} | ratio | goal |",
        "|---|--:|--:|--:|",
    ]
    for row in comparison["rows"]:
        ratio = _spread(row["ratio"]) if "ratio" in row else ""
        goal = f"{row['goal']:g}" if row.get("goal") else ""
        lines.append(f"| {row['side']} | {_spread(row['rate'], 1)} | {ratio} | {goal} |")
    return lines


def _remarks(figures: dict[str, Any], comparison: dict[str, Any]) -> list[str]:
    """Return the share of equal answers, and what the matrix rate of the machine allows."""
    lines = []
    if same := figures.get("identical_answers"):
        lines += [f"{same:.2%} of the answers are the same text.", ""]
    for model, share in figures.get("share_of_matrix_rate", {}).items():
        if f" {model}," in comparison["title"]:
            ratios = {row["side"]: row["ratio"]["median"] for row in comparison["rows"][1:]}
            most = ", ".join(f"{ratio / share:.1f} to {side}" for side, ratio in ratios.items())
            lines += [
                f"retune's products run at {share:.0%} of the machine's {figures['precision']} "
                f"matrix rate; a step of nothing but products at all of it would have the ratios "
                f"{most}.",
                "",
            ]
    return lines


def _spread(spread: dict[str, float], digits: int = 2) -> str:
    low, high = (f"{spread[key]:,.{digits}f}" for key in ("low", "high"))
    return f"{spread['median']:,.{digits}f} ({low}-{high})"


def _short(machine: str) -> str:
    return machine.replace(" (", ", ").rstrip(")")


def _pipeline() -> dict[str, Any]:
    return _yaml("dvc.yaml")


def _yaml(path: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return content


def _csv(path: str) -> list[dict[str, str]]:
    with (ROOT / path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _path(entry: str | dict[str, Any]) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


if __name__ == "__main__":
    codes: list[int] = []
    sys.exit(guarded(lambda: codes.append(main()), "generate.py") or codes[0])
