"""Pretraining on questions that were made by rules, as the tools see it."""

from retune.tasks.task import Figure, Task

TASK = Task(
    section="pretraining",
    folder="pipelines/pretraining",
    figures=(
        Figure("questions", "questions made", "count"),
        Figure("passages", "passages", "count"),
        Figure("left_out_passages", "passages left out", "count"),
        Figure("teacher_f1", "F1 of the teacher", "score"),
    ),
    rate=Figure("train_windows_per_second", "windows/s", short="win/s"),
    documents={"pipelines/pretraining/README.md": ("made_questions",)},
)
