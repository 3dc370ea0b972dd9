"""Tables by URL for the commands that take a table of a run: they work on copies on this machine.

Who writes a table, or needs its state, holds its lock meanwhile, as a run does (`stage_table`). Who
reads it alone gets a copy and holds nothing (`fetch_copies`).
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from batchdigits import objects
from batchdigits.errors import BusyError, UsageError
from batchdigits.objects import ObjectError, is_url, make_url, strip_file_scheme
from batchdigits.options import RunOptions
from batchdigits.outputs import sharded
from batchdigits.outputs.choice import find_format
from batchdigits.outputs.part_journal import JOURNAL_NAME
from batchdigits.outputs.remote import StagedOutputs, name_urls, stage_outputs
from batchdigits.paths import MANIFEST_NAME


@contextmanager
def stage_table(
    table: str, options: RunOptions, *, read_only: bool = False
) -> Iterator[StagedOutputs]:
    """Hold a table of a run; yield its place on this machine, as `out` of the options there.

    Of a URL, the copy has the state and what people said beside it. The caller calls `publish` when
    it has changed them. A path is yielded as it is, and its lock is not held here.

    Args:
        table: a path or a URL.
        options: `wait` says how long to wait for a run to end, `state` where the state is.
        read_only: whether nothing is put in place.

    Raises:
        UsageError: there is no such table, or it cannot be read.
        BusyError: a run writes it.
        OutputError: its lock or what is beside it cannot be read or written.
    """
    table = strip_file_scheme(table)
    if is_url(table):
        table = _find_object(table)
        if not table.endswith("/") and find_format(table) is None:
            raise UsageError(
                f"'{table}' is no table: expected a results table of `batchdigits run`"
            )
    alone = RunOptions(out=table, state=options.state, wait=options.wait)
    with stage_outputs(alone, read_only=read_only) as staged:
        yield staged


@contextmanager
def fetch_copies(*places: str) -> Iterator[list[str]]:
    """Fetch tables and other files that URLs name; yield where each is on this machine.

    Args:
        places: paths, which are yielded as they are, and URLs of objects or of folders of parts.

    Raises:
        UsageError: there is no such object, or it cannot be read; or a table is not whole.
        BusyError: a run replaced a table of parts meanwhile.
    """
    plain = [strip_file_scheme(place) for place in places]
    with ExitStack() as stack:
        found = [_find_object(place) if is_url(place) else place for place in plain]
        if not any(map(is_url, found)):
            yield found
            return
        top = stack.enter_context(tempfile.TemporaryDirectory(prefix="batchdigits-"))
        folders = {url: os.path.join(top, str(n)) for n, url in enumerate(found) if is_url(url)}
        stack.enter_context(
            name_urls([(f"{at}/", make_url(url.rstrip("/"), "")) for url, at in folders.items()])
        )
        copies = {url: _fetch_copy(url, folder) for url, folder in folders.items()}
        yield [copies.get(one, one) for one in found]


def is_part_url(place: str) -> bool:
    """Return whether a place is the URL of a folder that holds the parts of a table.

    Raises:
        UsageError: that cannot be told.
    """
    if not is_url(place):
        return False
    try:
        return _holds_parts(f"{place.rstrip('/')}/")
    except ObjectError as fault:
        raise _make_error(place, fault) from None


def exists(place: str) -> bool:
    """Return whether there is a file or an object.

    Raises:
        UsageError: that cannot be told of an object.
    """
    if not is_url(place):
        return os.path.exists(place)
    try:
        return objects.object_exists(place)
    except ObjectError as fault:
        raise _make_error(place, fault) from None


def _find_object(url: str) -> str:
    """Return the URL of what a URL names: of a folder of parts with `/` at its end."""
    place = url.rstrip("/")
    if "/" not in place.partition("://")[2]:
        raise UsageError(f"'{url}' is a bucket: expected a table in it, as {place}/results.csv")
    try:
        if not objects.inspect_object(place).is_folder:
            return place
        if _holds_parts(f"{place}/"):
            return f"{place}/"
    except ObjectError as fault:
        raise _make_error(url, fault) from None
    raise UsageError(f"'{url}' holds no table in parts: expected {MANIFEST_NAME} in it")


def _holds_parts(folder: str) -> bool:
    """Return whether a folder has the parts of a table, which a run may be about to replace."""
    return any(objects.object_exists(folder + name) for name in (MANIFEST_NAME, JOURNAL_NAME))


def _make_error(url: str, fault: ObjectError) -> UsageError:
    if fault.kind == "missing":
        return UsageError(f"'{url}' does not exist: expected a file that a run or `review` wrote")
    return UsageError(f"'{url}' cannot be read: {fault}: {fault.advice}")


def _fetch_copy(url: str, folder: str) -> str:
    """Fetch an object, or the parts of a table, into a new folder; return the path."""
    place = url.rstrip("/")
    path = os.path.join(folder, os.path.basename(place))
    os.mkdir(folder)
    is_there = True
    try:
        if url.endswith("/"):
            os.mkdir(path)
            _fetch_parts(url, path)
        else:
            is_there = objects.fetch_file(url, path)
    except ObjectError as fault:
        raise _make_error(url, fault) from None
    if not is_there:
        raise _make_error(url, ObjectError("missing", "it was deleted meanwhile"))
    return path


def _fetch_parts(url: str, path: str) -> None:
    """Fetch the parts that make up a table, and no others.

    Raises:
        UsageError: the table is not whole.
        BusyError: it was replaced meanwhile.
        ObjectError: the store cannot be read.
    """
    for name in (MANIFEST_NAME, sharded.SUCCESS_NAME):
        objects.fetch_file(url + name, os.path.join(path, name))
    before = sharded.load_manifest(path)
    parts = sharded.list_part_paths(path)
    are_there = objects.fetch_files([(url + os.path.basename(part), part) for part in parts])
    is_whole = objects.object_exists(url + sharded.SUCCESS_NAME)
    objects.fetch_file(url + MANIFEST_NAME, os.path.join(path, MANIFEST_NAME))
    if not (all(are_there) and is_whole and sharded.load_manifest(path) == before):
        raise BusyError(f"a run has replaced parts of '{url}' while they were read: run again")
