"""Text files in UTF-8; for another encoding or an archive, the error names it."""

from pathlib import Path

from retune.core.errors import RetuneError
from retune.core.plain_files import read_bytes

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
    """A file that cannot be read at all, so that its rows are unknown.

    `where` is `line:column` in text, "" for the whole file. `kind` is the kind of a finding about
    the file (`retune.ingest.findings`).
    """

    def __init__(self, kind: str, file: str, why: str, where: str = "") -> None:
        super().__init__(f"{file}:{where}: {why}" if where else f"{file}: {why}")
        self.kind = kind
        self.file = file
        self.why = why
        self.where = where


def read_text(path: Path, file: str, sha256: str | None = None) -> str:
    """Read a text file, which messages call `file`; with `sha256`, compare its sum first."""
    return decoded(read_bytes(path, sha256), file)


def decoded(data: bytes, file: str) -> str:
    """Decode the bytes of a UTF-8 file.

    Raises:
        UnreadableError: the file has another encoding, is an archive, or is blank.
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
