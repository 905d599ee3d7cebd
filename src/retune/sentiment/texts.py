"""When two texts are the same."""


def sameness(text: str) -> str:
    """What two texts have in common that differ in nothing but case and white space.

    Such a pair in train and validation is a leak, and with two labels a contradiction; so
    one rule serves the download stage and augmentation.
    """
    return " ".join(text.split()).casefold()
