"""Files as text: UTF-8, or an error that says what they are instead."""

from retune.core.errors import RetuneError

_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"BZh": "compressed by bzip2; unpack it",
    b"\xfd7zXZ": "compressed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}


class UnreadableError(RetuneError):
    """A file that cannot be read at all, so that nothing is known about its rows.

    `where` is `line:column` in text, "" for the whole file; `kind` is what a finding about the
    file would have (`retune.ingest.findings`).
    """

    def __init__(self, kind: str, file: str, why: str, where: str = "") -> None:
        super().__init__(f"{file}:{where}: {why}" if where else f"{file}: {why}")
        self.kind = kind
        self.file = file
        self.why = why
        self.where = where


def decoded(data: bytes, file: str) -> str:
    """The text of a file in UTF-8.

    Raises:
        UnreadableError: for another encoding, an archive, or nothing but blanks.
    """
    for magic, what in _FOREIGN.items():
        if data.startswith(magic):
            kind = "wrong_encoding" if what.startswith("UTF") else "archive"
            raise UnreadableError(kind, file, f"the file is {what}")
    if data[257:262] == b"ustar":
        raise UnreadableError("archive", file, "the file is a tar archive; unpack it")
    if b"\0" in data[:2]:
        why = "NUL at its start, so perhaps UTF-16 without a mark; save it as UTF-8"
        raise UnreadableError("wrong_encoding", file, why)
    skipped = len(_BOM) if data.startswith(_BOM) else 0
    try:
        text = data[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        byte = skipped + error.start
        guess = data[byte : byte + 1].decode("cp1252", "replace")
        why = f"not UTF-8 at byte {byte}; save it as UTF-8 (in Windows-1252 this is {guess!r})"
        raise UnreadableError("wrong_encoding", file, why) from None
    if not text.strip():
        raise UnreadableError("empty_file", file, "the file has no records")
    return text
