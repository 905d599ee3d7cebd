"""retune: fine-tuning experiments as pipelines whose numbers can be re-earned."""

__version__ = "0.1.0"
