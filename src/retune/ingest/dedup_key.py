"""When two texts are the same."""

import unicodedata


def sameness(text: str) -> str:
    """What two texts have in common that differ in nothing but case, white space and encoding.

    The last is of letters that Unicode can write in two ways, as one or as a letter and its mark.

    Such a pair in train and validation is a leak, and with two labels a contradiction; so
    one rule serves the download stage and augmentation.
    """
    return unicodedata.normalize("NFC", " ".join(text.split()).casefold())
