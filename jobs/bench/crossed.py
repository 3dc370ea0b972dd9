"""Which files of the package one image crosses, from the listing of its INPUT to its row.

    python jobs/bench/crossed.py samples/digits/00267.png
    python jobs/bench/crossed.py samples/forms/02-skewed.png samples/forms/membership.toml

A file counts if one of its functions runs between the search for files and the table's taking its
place, in one process, with a state. What an import runs does not count, nor do `cli` and `report`,
which only show how the run goes.
"""

import argparse
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType

import batchdigits
from batchdigits import run
from batchdigits.job import Inputs, resolve_job
from batchdigits.options import RunOptions

PACKAGE = f"{Path(batchdigits.__file__).parent}/"
DOOR = ("cli/", "report.py")
FUNCTION = 1
"""Flag of code that is a function's: CO_OPTIMIZED; the bodies of modules and classes lack it."""


def main() -> None:
    """Print the files, and their number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image")
    parser.add_argument("template", nargs="?")
    given = parser.parse_args()
    found = trace_run(given.image, given.template)
    print(*sorted(found), f"{len(found)} files", sep="\n")


def trace_run(image: str, template: str | None) -> set[str]:
    """Run over one image; return the files, as paths below the package."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & FUNCTION and code.co_filename.startswith(PACKAGE):
            name = code.co_filename.removeprefix(PACKAGE)
            if not name.startswith(DOOR) and not is_importing(frame):
                found.add(name)

    def start(*given: object) -> object:
        threading.setprofile(note)
        sys.setprofile(note)
        return find_files(*given)

    def stop(*given: object) -> None:
        write_tables(*given)
        sys.setprofile(None)

    find_files, write_tables = run.find_files, run._write_tables
    run.find_files, run._write_tables = start, stop
    with tempfile.TemporaryDirectory() as folder:
        options = {"out": f"{folder}/out.csv", "workers": 0, "device": "cpu", "template": template}
        run.run_job(resolve_job(RunOptions.from_settings(options), Inputs([image])))
    return found


def is_importing(frame: FrameType | None) -> bool:
    """Return whether a call is made while a module of the package is imported."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" and code.co_filename.startswith(PACKAGE):
            return True
        frame = frame.f_back
    return False


if __name__ == "__main__":
    main()
