"""Pretraining of an encoder on questions that were made by rules; its stages are those of `qa`."""
