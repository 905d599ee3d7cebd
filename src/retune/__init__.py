"""retune: fine-tuning experiments as pipelines whose numbers you can reproduce."""

__version__ = "0.1.0"
