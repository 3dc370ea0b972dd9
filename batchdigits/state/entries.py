"""The records that a state stores."""

from typing import NamedTuple

MOVED = -2
"""Size and time, in the state, of a file that a run moved away after it was read."""


class FileRecord(NamedTuple):
    """What is known of a file.

    Attributes:
        file: as in the table.
        thresholds: of the key it was read under, as `StateStore.add_key` took them.
        findings: what was found in it, as `StateStore.save_findings` took it.
        here: whether it is among the files of this run.
        reading: the number of its reading; later readings have higher ones.
        content: a digest of its bytes; None if it is not known.
    """

    file: str
    thresholds: str
    findings: str
    here: bool
    reading: int
    content: bytes | None


class TableRecord(NamedTuple):
    """A table as it was left.

    Attributes:
        size: bytes.
        time: of its last change, ns since 1970.
        content: a digest of its bytes.
        settings: what it was made with; empty if more is known since.
        summary: the number of its rows by status, as JSON.
    """

    size: int
    time: int
    content: bytes
    settings: str
    summary: str
