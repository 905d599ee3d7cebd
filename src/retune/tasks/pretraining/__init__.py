"""Pretraining an encoder on questions that rules make, by the stages of question answering."""
