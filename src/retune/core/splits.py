"""The splits of the tasks that are scored on their validation split."""

#: In this order they are read, checked and reported.
SPLITS = ("train", "validation")
