"""The stages of language models: texts, blocks of their tokens, and what goes on from a prompt."""
