"""Question answering, as the tools see it."""

from retune.tasks.task import Asker, Figure, Task

ASKER = Asker(
    name="qa",
    module="retune.tools.ask.qa",
    text="a question",
    params="params.yaml",
    model="data/qa/model",
    has_confidence=True,
)
TASK = Task(
    section="qa",
    folder="",
    figures=(
        Figure("exact_match", "EM", "score", compared="higher"),
        Figure("f1", "F1", "score", compared="higher"),
        Figure("ceiling_f1", "F1 ceiling", "score"),
        Figure("validation_exact_match", "validation EM", "score"),
        Figure("validation_f1", "validation F1", "score"),
    ),
    rate=Figure("train_windows_per_second", "windows/s", short="win/s"),
    ranking="f1",
    rules=("qa.squad_v2", "qa.score.normalizer"),
    asker=ASKER,
    report="retune.tools.report.task_sections.qa",
)
