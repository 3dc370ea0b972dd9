"""Make the fixtures of states, `tests/states/v<version of the state>/<name>/`, by this version.

    python jobs/samples/states.py --out tests/states [NAME...]

Every later version has to give the rows of these states unchanged (`tests/test_states.py`), so the
fixtures of a version of the state are made once and never again: a folder that is there is refused.
`state_kinds.py` says what they are of.
"""

import argparse
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from state_kinds import DIGITS, KINDS, STATE, TABLE, Kind, run

KEPT = (TABLE, STATE, DIGITS, "form.toml", "inbox", "finished.csv", "rejudged.csv")
"""What of a folder belongs to its fixture."""


def main() -> None:
    """Make the fixtures that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder of all versions")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(KINDS)}")
    given = parser.parse_args()
    for name in given.names or KINDS:
        with TemporaryDirectory() as folder:
            make_fixture(Path(folder), KINDS[name])
            target = given.out / f"v{read_version(Path(folder) / STATE)}" / name
            if target.exists():
                sys.exit(f"refused: '{target}' is there, and a fixture is made only once")
            save_fixture(Path(folder), target)
        size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
        print(f"{target}: {size / 1024:.0f} KiB")


def make_fixture(folder: Path, kind: Kind) -> None:
    """Make a fixture in an empty folder, and write down what runs of it give."""
    (folder / "inbox").mkdir()
    kind.make(folder)
    again = [*kind.arguments, "--min-confidence", kind.threshold]
    table = "finished.csv" if (folder / "finished.csv").exists() else TABLE
    with TemporaryDirectory() as other:
        copy = Path(other) / "copy"
        shutil.copytree(folder, copy)
        runs = [record_run(copy, kind.arguments, table), record_run(copy, again, "rejudged.csv")]
        shutil.copy(copy / "rejudged.csv", folder)
    if (folder / "rejudged.csv").read_bytes() == (folder / table).read_bytes():
        sys.exit(f"refused: --min-confidence {kind.threshold} changes no row of {table}")
    told = {
        "reason": kind.reason,
        "model": runs[0].pop("model"),
        "times": {path: (folder / path).stat().st_mtime_ns for path in kind.timed},
        "runs": [runs[0], {key: value for key, value in runs[1].items() if key != "model"}],
    }
    (folder / "fixture.json").write_text(json.dumps(told, indent=2) + "\n")


def record_run(folder: Path, arguments: list[str], table: str) -> dict[str, Any]:
    """Run, and return what came of it; its table becomes `table`, or has to be the one there."""
    ending = run(folder, arguments)
    found = (folder / TABLE).read_bytes()
    if not (folder / table).exists():
        (folder / table).write_bytes(found)
    if (folder / table).read_bytes() != found:
        sys.exit(f"refused: {' '.join(arguments)} does not give '{table}'")
    return {
        "arguments": arguments,
        "code": ending.code,
        "read": ending.summary["files"]["read"],
        "laid": ending.summary["pages_laid_straight"],
        "table": table,
        "model": ending.summary["model"],
    }


def save_fixture(folder: Path, target: Path) -> None:
    """Copy what belongs to a fixture to its place."""
    target.mkdir(parents=True)
    for name in (*KEPT, "fixture.json"):
        place = folder / name
        if place.is_dir():
            shutil.copytree(place, target / name)
        elif place.exists():
            shutil.copy2(place, target)
            (target / name).chmod(0o644)


def read_version(state: Path) -> int:
    """Read the version of a state."""
    with closing(sqlite3.connect(state)) as base:
        return int(base.execute("PRAGMA user_version").fetchone()[0])


if __name__ == "__main__":
    main()
