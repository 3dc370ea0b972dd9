"""Findings are sorted by file, on disk, where they do not come in the order of the table."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice

from batchdigits.predict.findings import Finding, decode_findings, encode_findings

FILES_PER_PART = 256
"""Files that are recalled at a time."""


class FindingsSorter:
    """Findings in a temporary file of SQLite's; a million of them take little memory.

    Attributes:
        is_needed: whether findings are to be sorted, as the caller notes it.
    """

    def __init__(self) -> None:
        """Begin without findings."""
        self.is_needed = False
        self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._base.execute(
            "CREATE TABLE found (file TEXT PRIMARY KEY, findings TEXT) WITHOUT ROWID"
        )
        self._base.execute("BEGIN")

    def add(self, file: str, findings: Sequence[Finding]) -> None:
        """Take the findings of a file."""
        self._base.execute("INSERT INTO found VALUES (?, ?)", (file, encode_findings(findings)))

    def list_sorted(self) -> Iterator[list[tuple[str, list[Finding]]]]:
        """Yield files with their findings, part by part, by the UTF-8 bytes of their names."""
        rows = self._base.execute("SELECT file, findings FROM found ORDER BY file")
        while part := list(islice(rows, FILES_PER_PART)):
            yield [(file, decode_findings(text)) for file, text in part]

    def close(self) -> None:
        """Forget the findings."""
        self._base.close()
