"""Entities in sentences, as the tools see them."""

from retune.tasks.task import Figure, Task

TASK = Task(
    section="adapters.entities",
    folder="pipelines/adapters",
    figures=(
        Figure("f1", "F1", "score", compared="higher"),
        Figure("precision", "precision", "score"),
        Figure("recall", "recall", "score"),
        Figure("loss", "loss"),
    ),
    rate=Figure("train_sentence_parts_per_second", "parts/s"),
    rules=("adapters.entities.validation",),
    documents={"pipelines/adapters/README.md": ("methods",)},
)
