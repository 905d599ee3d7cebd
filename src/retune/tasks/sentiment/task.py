"""Sentiment of sentences, as the tools see it."""

from retune.tasks.task import Asker, Figure, Task

TASK = Task(
    section="sentiment",
    folder="pipelines/sentiment",
    figures=(
        Figure("accuracy", "accuracy", "score", compared="higher"),
        Figure("f1", "F1", "score", compared="higher"),
        Figure("macro_f1", "macro F1", "score"),
        Figure("mft_pass_rate", "MFT passed, %", "score", compared="higher"),
        Figure("mft_pass_rate_of_one_answer", "MFT of the baseline, %", "score"),
        Figure("probe_pass_rate", "probes passed, %", "score"),
        Figure("probe_pass_rate_of_one_answer", "probes of the baseline, %", "score"),
        Figure("expected_calibration_error", "calibration error", "score"),
    ),
    rate=Figure("train_texts_per_second", "texts/s"),
    rules=("sentiment.probe.folder", "sentiment.probe.tolerance"),
    asker=Asker(
        name="sentiment",
        module="retune.tools.ask.sentiment",
        text="a sentence",
        params="pipelines/sentiment/params.yaml",
        model="pipelines/sentiment/data/bert/runs/1234/model",
    ),
    report="retune.tools.report.task_sections.sentiment",
    documents={"pipelines/sentiment/README.md": ("sentiment", "probes")},
)
