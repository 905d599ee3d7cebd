"""Labels of a data set that are probably wrong, by models that have not seen them.

Stored logits are enough; no model is loaded. `retune doctor --model` is the command.
"""
