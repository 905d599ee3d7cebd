"""Language adapters, trained on masked tokens, as the tools see them."""

from retune.tasks.task import Figure, Task

TASK = Task(
    section="adapters.language",
    folder="pipelines/adapters",
    figures=(
        Figure("perplexity_before", "perplexity before", "score"),
        Figure("perplexity", "perplexity", "score", compared="lower"),
        Figure("loss", "loss"),
    ),
    rate=Figure("train_blocks_per_second", "blocks/s"),
    rules=("adapters.language.block_size", "adapters.language.masked"),
)
