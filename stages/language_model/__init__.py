"""The stages of the language model: texts, a model of them, and how it continues them."""
