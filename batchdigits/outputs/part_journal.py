"""What tells, while the parts of a table are replaced, which of them a run has written.

A hidden file beside the parts names the digests that each may have. It is there as long as the
manifest is not.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchdigits import files
from batchdigits.paths import MANIFEST_NAME

JOURNAL_NAME = ".batchdigits-parts.json"
Digests = dict[str, list[str]]
"""SHA-256 in hexadecimal that a part may have, by its name."""


def load_json(path: str) -> dict[str, Any]:
    """Return what a file of ours holds; nothing if it is missing or damaged."""
    try:
        return dict(json.loads(Path(path).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def load_digests(folder: str) -> Digests:
    """Return the digests of parts that runs have written, as journal or manifest have them."""
    known: Digests = load_json(os.path.join(folder, JOURNAL_NAME)).get("parts", {})
    manifest = load_json(os.path.join(folder, MANIFEST_NAME))
    return known or {part["name"]: [part["sha256"]] for part in manifest.get("parts", [])}


def add_digest(known: Digests, name: str, digest: str) -> None:
    """Note that a part gets another digest; until it is in place it may have the one before."""
    known[name] = [*known.get(name, [])[-1:], digest]


def save_journal(folder: str, known: Mapping[str, Sequence[str]]) -> None:
    """Write the journal.

    Raises:
        OSError: it cannot be written.
    """
    with files.open_atomic_file(Path(folder, JOURNAL_NAME)) as file:
        file.write(json.dumps({"parts": known}).encode())
