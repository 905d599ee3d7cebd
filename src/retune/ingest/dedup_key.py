"""The key by which texts are compared, to find duplicates."""

import unicodedata


def dedup_key(text: str) -> str:
    """Return `text` without differences of case, white space and Unicode composition.

    Two texts with the same key in train and validation are a leak; with two labels they are a
    contradiction. The download stage and augmentation use the same key.
    """
    return unicodedata.normalize("NFC", " ".join(text.split()).casefold())
