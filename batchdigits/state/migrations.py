"""The steps that migrate a state from each version to the next.

A released step is never edited, and imports nothing that may change, because it defines what a
state of its version holds. A change of the tables, or of what they store, is a new step at the end.
"""

import sqlite3
from collections.abc import Callable

from batchdigits.state.checksums import compute_checksum
from batchdigits.state.name_findings import name_findings
from batchdigits.state.raise_findings import raise_findings

Step = str | Callable[[sqlite3.Connection], None]
"""SQL statements, separated by `;`, or a function that takes the connection."""


def _name_findings_and_columns(base: sqlite3.Connection) -> None:
    """Name findings and columns by what they are, and give all rows new checksums."""
    base.create_function("name_findings", 1, name_findings, deterministic=True)
    base.create_function("checksum_4", -1, compute_checksum, deterministic=True)
    run_step(
        base,
        """
        UPDATE readings SET told = name_findings(told);
        UPDATE pages SET told = name_findings(told);
        ALTER TABLE keys RENAME terms TO thresholds;
        ALTER TABLE keys RENAME sum TO checksum;
        ALTER TABLE readings RENAME told TO findings;
        ALTER TABLE readings RENAME sum TO checksum;
        ALTER TABLE files RENAME sum TO checksum;
        ALTER TABLE written RENAME terms TO settings;
        ALTER TABLE written RENAME sum TO checksum;
        ALTER TABLE pages RENAME told TO findings;
        ALTER TABLE pages RENAME sum TO checksum;
        DROP INDEX reading;
        CREATE UNIQUE INDEX readings_by_content ON readings (content, key) WHERE NOT failed;
        DROP INDEX told_of;
        CREATE INDEX files_by_reading ON files (reading);
        UPDATE keys SET checksum = checksum_4(key, thresholds);
        UPDATE readings SET checksum = checksum_4(content, key, failed, findings);
        UPDATE files SET checksum = checksum_4(file, size, time, sure, content, reading);
        UPDATE written SET checksum = checksum_4(name, size, time, content, settings, summary);
        UPDATE pages SET checksum = checksum_4(file, page, size, time, key, findings)
        """,
    )


def _raise_version_of_findings(base: sqlite3.Connection) -> None:
    """Raise findings to version 3, which may have more keys: every text of version 2 is one."""
    base.create_function("checksum_4", -1, compute_checksum, deterministic=True)
    base.create_function("raise_findings", 1, raise_findings, deterministic=True)
    run_step(
        base,
        """
        UPDATE readings SET findings = raise_findings(findings);
        UPDATE pages SET findings = raise_findings(findings);
        UPDATE readings SET checksum = checksum_4(content, key, failed, findings);
        UPDATE pages SET checksum = checksum_4(file, page, size, time, key, findings)
        """,
    )


STEPS: list[Step] = [
    """
    CREATE TABLE keys (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, terms TEXT NOT NULL,
        sum INTEGER NOT NULL);
    CREATE TABLE readings (id INTEGER PRIMARY KEY, content BLOB, key INTEGER NOT NULL,
        failed INTEGER NOT NULL, told TEXT NOT NULL, sum INTEGER NOT NULL);
    CREATE UNIQUE INDEX reading ON readings (content, key) WHERE NOT failed;
    CREATE TABLE files (file TEXT PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL,
        sure INTEGER NOT NULL, content BLOB, reading INTEGER NOT NULL, sum INTEGER NOT NULL)
        WITHOUT ROWID;
    CREATE INDEX told_of ON files (reading)
    """,
    """
    CREATE TABLE written (name TEXT PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL,
        content BLOB NOT NULL, terms TEXT NOT NULL, summary TEXT NOT NULL, sum INTEGER NOT NULL)
        WITHOUT ROWID
    """,
    """
    CREATE TABLE pages (file TEXT NOT NULL, page INTEGER NOT NULL, size INTEGER NOT NULL,
        time INTEGER NOT NULL, key INTEGER NOT NULL, told TEXT NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (file, page)) WITHOUT ROWID
    """,
    _name_findings_and_columns,
    _raise_version_of_findings,
]
"""STEPS[n] migrates a state from version n to n + 1; version 0 is an empty file."""


def run_step(base: sqlite3.Connection, step: Step) -> None:
    """Run a step within the open transaction."""
    if callable(step):
        step(base)
        return
    for statement in step.split(";"):  # executescript would commit first
        base.execute(statement)


def migrate(base: sqlite3.Connection, version: int) -> None:
    """Migrate a state from a version to the latest, within the open transaction."""
    for step in STEPS[version:]:
        run_step(base, step)


def make_empty_state(version: int) -> sqlite3.Connection:
    """Make an empty state of a version in memory, to compare others with; the caller closes it."""
    base = sqlite3.connect(":memory:", isolation_level=None)
    for step in STEPS[:version]:
        run_step(base, step)
    return base
