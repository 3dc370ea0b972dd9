"""Files and what was read in them: rows of a state that are kept many at a time."""

from collections.abc import Sequence

from batchdigits.records import FileSnapshot
from batchdigits.state.checksums import compute_checksum, compute_checksums
from batchdigits.state.member_records import MemberRecords

FILES_PER_QUERY = 500
"""Names in one query; SQLite took 999 at most for long."""

ReadingRow = tuple[bytes | None, int, int, str]
"""A reading without its number: content, key, whether it failed, and findings."""
FileRow = tuple[str, int, int, int, bytes | None, int]
"""A file: its name, size, time, `FileSnapshot.sure` and content, and the number of its reading."""


class ReadingRecords(MemberRecords):
    """The part of a state that tells of files and readings; see `StateStore`."""

    def save_findings(self, entry: FileSnapshot, key: int, findings: str, *, failed: bool) -> None:
        """Keep the findings of a file, in place of earlier ones.

        Args:
            entry: the file, as it was when it was read.
            key: number of the key that it was read under.
            findings: what was found in it, as text.
            failed: whether it is to be read again next time.
        """
        self.save_readings([entry], key, [findings], failed=failed)

    def save_readings(
        self,
        entries: Sequence[FileSnapshot],
        key: int,
        findings: Sequence[str],
        *,
        failed: bool = False,
    ) -> None:
        """Keep the findings of several files at once; the arguments are as of `save_findings`."""
        rows = [
            (entry.content, key, int(failed or entry.content is None), text)
            for entry, text in zip(entries, findings, strict=True)
        ]
        numbers = self._insert_readings(rows)
        self._save_files(
            [
                (*entry[:3], int(entry.sure), entry.content, number)
                for entry, number in zip(entries, numbers, strict=True)
            ]
        )

    def _insert_readings(self, rows: Sequence[ReadingRow]) -> list[int]:
        """Insert readings; return their numbers, or those of earlier ones of the same content."""
        first = self.find_highest_reading() + 1
        checksums = compute_checksums(rows)
        inserted = self._base.executemany(
            "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (first + n, *row, checksum)
                for n, (row, checksum) in enumerate(zip(rows, checksums, strict=True))
            ],
        )
        if inserted.rowcount == len(rows):
            return list(range(first, first + len(rows)))
        return [self._renew_reading(first + n, row) for n, row in enumerate(rows)]

    def _renew_reading(self, number: int, row: ReadingRow) -> int:
        """Return the number of the reading with a row's content, which may have been read before.

        Args:
            number: that of the row, if it was inserted.
            row: of the reading; an earlier one gets its findings.
        """
        content, key, failed, findings = row
        if failed:
            return number
        number, before = self._base.execute(
            "SELECT id, findings FROM readings WHERE content = ? AND key = ? AND NOT failed",
            (content, key),
        ).fetchone()
        if before != findings:
            self._base.execute(
                "UPDATE readings SET findings = ?, checksum = ? WHERE id = ?",
                (findings, compute_checksum(*row), number),
            )
        return number

    def load_earlier_reading(self, entry: FileSnapshot) -> tuple[str, str] | None:
        """Return thresholds and findings of a file as it was read before; None if it changed."""
        return self.load_earlier_readings([entry]).get(entry.file)

    def load_earlier_readings(self, entries: Sequence[FileSnapshot]) -> dict[str, tuple[str, str]]:
        """Return thresholds and findings of those files that were read before and have not changed.

        Returns:
            By name.
        """
        contents = {entry.file: entry.content for entry in entries}
        found = {}
        files = list(contents)
        for start in range(0, len(files), FILES_PER_QUERY):
            part = files[start : start + FILES_PER_QUERY]
            rows = self._base.execute(
                "SELECT file, files.content, thresholds, findings FROM files"
                " JOIN readings ON readings.id = files.reading"
                " JOIN keys ON keys.id = readings.key"
                f" WHERE file IN ({', '.join('?' * len(part))})",
                part,
            )
            for file, content, thresholds, findings in rows:
                if content is not None and content == contents[file]:
                    found[file] = thresholds, findings
        return found

    def _save_file(self, entry: FileSnapshot, reading: int) -> None:
        self._save_files([(*entry[:3], int(entry.sure), entry.content, reading)])

    def _save_files(self, rows: Sequence[FileRow]) -> None:
        self._base.executemany(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*row, checksum) for row, checksum in zip(rows, compute_checksums(rows), strict=True)],
        )
