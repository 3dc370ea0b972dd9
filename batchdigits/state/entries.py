"""What a ledger takes and gives."""

from typing import NamedTuple

MOVED = -2
"""Size and time, in the ledger, of a file that a run moved away after it was read."""


class FileRecord(NamedTuple):
    """What is known of a file.

    Attributes:
        file: as in the table.
        thresholds: of the key it was read under, as they were given to `Ledger.key`.
        findings: what was found of it, as it was given to `Ledger.put`.
        here: whether it is among the files of this run.
    """

    file: str
    thresholds: str
    findings: str
    here: bool


class TableRecord(NamedTuple):
    """A table as it was left.

    Attributes:
        size: bytes.
        time: of its last change, ns since 1970.
        content: a digest of what is in it.
        settings: what it was made with; empty where more is known since.
        summary: what was said of it.
    """

    size: int
    time: int
    content: bytes
    settings: str
    summary: str
