"""Files that were just written are waited for, once, where a folder is read for the first time.

Later they are left for the next run. But the first table of a folder would be empty, as long as all
that is in it was just copied there.
"""

import logging
from time import sleep, time

from batchdigits.records import FileSnapshot
from batchdigits.sources import FoundSources, escape_path, inspection
from batchdigits.state.store import StateStore

log = logging.getLogger(__name__)

CLOCK_SLACK_SECONDS = 0.05
"""s by which a pause is longer than the clock of a file system may be off."""


def wait_for_first_files(
    store: StateStore, listing: FoundSources, entries: list[FileSnapshot], seconds: float
) -> bool:
    """Wait until files of folders that were never read have been left alone for long enough.

    Args:
        store: says which folders were read before.
        listing: the files that were found.
        entries: of these files, as they were when they were found; those that were waited for are
            looked at again.
        seconds: how long a file must have been left alone, and how long to wait at most, s.

    Returns:
        Whether there was anything to wait for.
    """
    fresh = [
        index
        for index, source in enumerate(listing.sources)
        if not source.named and inspection.is_unsettled(entries[index], seconds)
    ]
    new_folders = _find_new_folders(store, listing, {listing.sources[index].top for index in fresh})
    fresh = [index for index in fresh if listing.sources[index].top in new_folders]
    if not fresh:
        return False
    newest = max(entries[index].time for index in fresh) / 1e9
    pause = min(seconds, max(0.0, newest + seconds - time())) + CLOCK_SLACK_SECONDS
    log.warning(
        "%d files were just written: waiting %.0f s, so that they are complete (--settle 0 does "
        "not wait)",
        *(len(fresh), pause),
    )
    sleep(pause)
    for index in fresh:
        entries[index] = inspection.stat_source(listing.sources[index])
    return True


def _find_new_folders(store: StateStore, listing: FoundSources, tops: set[str]) -> set[str]:
    """Return those of the INPUTs `tops` of which no file is known."""
    if not tops or not store.has_readings():
        return tops
    known = {one.top for one in listing.sources if one.top in tops and store.has_file(one.file)}
    starts = {top: f"{escape_path(top).rstrip('/')}/" for top in tops - known}
    absent = [*store.list_absent_files()] if starts else []
    return {
        top for top, start in starts.items() if not any(file.startswith(start) for file in absent)
    }
