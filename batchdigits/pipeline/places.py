"""The places that a run writes to are tried, and made, before anything is read."""

import os

from batchdigits.errors import UsageError
from batchdigits.job import Job
from batchdigits.pipeline import moves, show
from batchdigits.results import place as places
from batchdigits.sources import MARK


def prepare_places(job: Job) -> None:
    """Find out whether files can be written where the job's options say; make the folders.

    Raises:
        OutputError: one of them cannot.
        UsageError: a folder for files that were read holds others.
    """
    for path in (job.paths.state, job.paths.summary_json):
        if path is not None:
            with places.faults(path):
                places.check_place(path)
    if job.paths.debug_pages is not None:
        show.check(job.paths.debug_pages)
    for option, folder in job.paths.move_folders.items():
        _refuse_used(option, folder, job)
    for folder in job.paths.move_folders.values():
        moves.check(folder)


def _refuse_used(option: str, folder: str, job: Job) -> None:
    """Refuse a folder with files of others in it: they would be passed over by every run."""
    place = os.path.realpath(folder)
    with places.faults(folder):
        names = os.listdir(place) if os.path.isdir(place) else []
    ours = {os.path.realpath(path) for _, path in job.paths.list_files()}
    if MARK not in names and any(os.path.join(place, name) not in ours for name in names):
        raise UsageError(
            f"{option} '{folder}' has files that no run has moved there, and that none would read "
            f"any more: give a new folder, or, if that is meant, make a file {MARK} in it"
        )
