"""The splits that every data set has."""

#: In this order they are read, checked and reported.
SPLITS = ("train", "validation")
