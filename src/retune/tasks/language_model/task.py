"""A language model that continues texts, as the tools see it."""

from retune.tasks.task import Asker, Figure, Task

TASK = Task(
    section="language_model",
    folder="pipelines/language_model",
    figures=(
        Figure("text_perplexity", compared="lower"),
        Figure("continuation_perplexity", compared="lower"),
        Figure("rouge_1_f1", compared="higher", digits=4),
        Figure("rouge_2_f1", compared="higher", digits=4),
    ),
    rate=Figure("train_blocks_per_second", "blocks/s"),
    rules=(
        "language_model.tokenize.tokenizer",
        "language_model.tokenize.vocabulary_size",
        "language_model.tokenize.pairs",
        "language_model.perplexity.window",
        "language_model.perplexity.stride",
        "language_model.score.tokenizer",
        "language_model.score.first_tokens",
    ),
    asker=Asker(
        name="generate",
        module="retune.tools.ask.language_model",
        text="the beginning of a text",
        params="pipelines/language_model/params.yaml",
        model="pipelines/language_model/data/after",
    ),
    report="retune.tools.report.task_sections.language_model",
    documents={"pipelines/language_model/README.md": ("language_model",)},
)
