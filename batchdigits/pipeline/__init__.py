"""The only room that knows the order of the stages, from sources to results.

Worker processes decode files, lay forms straight and normalise digits, chunk by chunk; this
process calls the model on what they send back and writes the rows, in the order of the files,
while the workers go on.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from functools import partial

import numpy as np
from numpy.typing import NDArray

from batchdigits import ledger, sources
from batchdigits.errors import Stop
from batchdigits.ledger.lock import locked
from batchdigits.options import RunOptions
from batchdigits.pipeline import moves, show, tables
from batchdigits.pipeline.begin import apart, check, find, held, outputs, state_of
from batchdigits.pipeline.findings import Found, Model
from batchdigits.pipeline.judge import Done, Thresholds, done
from batchdigits.pipeline.keeping import Keeper
from batchdigits.pipeline.references import wanted
from batchdigits.pipeline.stream import findings, plan
from batchdigits.pipeline.summary import Progress, Summary
from batchdigits.pipeline.tasks import Task
from batchdigits.pipeline.terms import settled, usable_card
from batchdigits.pipeline.worker import Planned, prepare_crops
from batchdigits.records import Grey, Laid, Row, Source

__all__ = [
    "Done",
    "Planned",
    "Progress",
    "Summary",
    "apart",
    "check",
    "crop_rows",
    "find",
    "outputs",
    "plan",
    "read",
    "rows",
    "run",
    "settled",
    "state_of",
    "usable_card",
]

log = logging.getLogger(__name__)

KEPT = "what was read is kept for the next run; an earlier table stands"
"""What is said of a run that is stopped."""
MISSING = "no images found%s, as if a disk were missing: the rows of %d files are kept"


def run(  # noqa: PLR0913, PLR0917
    found: sources.Found | Callable[[], sources.Found],
    out: str,
    options: RunOptions,
    progress: Progress = lambda _: None,
    stop: Stop | None = None,
    summary: Summary | None = None,
) -> Summary:
    """Read what is new and write the table, then move what was read, where the options say so.

    Args:
        found: what `find` found; or what finds it, once no other run writes the same output: that
            may have moved files.
        out: the table's path; `-` for CSV on standard output.
        options: the settings.
        progress: called with the number of files done since the last call.
        stop: ends the run where what was read is safe.
        summary: gets what is known so far, for those who ask how a run was that did not end well.

    Raises:
        BusyError: another run writes the same output.
        OutputError: the table, or the state, cannot be written; an earlier table still stands. Or
            files cannot be moved; then it is written.
        ModelError: the model cannot be used.
        TemplateError: a template cannot be used.
        UsageError: a device that is not there.
    """
    options, summary, stop = settled(options), summary or Summary(), stop or Stop()
    state = state_of(out, options)
    if state is None:
        with summary.stage("look"):
            files = _found(found, summary).sources
        with summary.stage("read"):
            _stream(files, out, options, progress, summary)
        return summary
    ours = [*held(out, options).values()]
    tables.narrow(state, out)
    with locked(ours, options.wait), ledger.opened(state) as book:
        tables.narrow(state, out)  # a new one in the place of one that was damaged
        with summary.stage("look"):
            keeper = Keeper(book, _found(found, summary), options, wanted(options))
        with summary.stage("read"):
            _read(keeper, options, progress, stop, summary)
        with summary.stage("write"):
            _write(keeper, book, out, options, summary)
        if options.moves:
            with summary.stage("move"):
                moves.move(keeper, options, stop, summary)
    return summary


def _found(found: sources.Found | Callable[[], sources.Found], summary: Summary) -> sources.Found:
    found = found if isinstance(found, sources.Found) else found()
    summary.skipped, summary.files = found.skipped, len(found.sources)
    return found


def _stream(
    files: list[Source], out: str, options: RunOptions, progress: Progress, summary: Summary
) -> None:
    """Read all, and write rows as they come."""
    failed = set()
    with (
        tables.opened(out, options) as write,
        closing(read(files, options, progress)) as batches,
    ):
        for done in batches:
            write(done)
            _show(done, options.debug_pages)
            summary.statuses.update(row.status for row in done.rows)
            failed |= {row.file for row in done.rows if row.status == "error"}
            _log_laid(done.laid, summary)
    summary.read, summary.failed = len(files), len(failed)


def _read(
    keeper: Keeper, options: RunOptions, progress: Progress, stop: Stop, summary: Summary
) -> None:
    """Read what the ledger does not know; it knows it then."""
    thresholds = Thresholds.of(usable_card(options.model), options)

    def seen(batch: list[Found]) -> None:
        for found in batch:
            _log_laid(found.laid, summary)
        if options.debug_pages is not None:
            _show(_done(batch, thresholds, options), options.debug_pages)

    progress(summary.files - keeper.count)
    with stop.gently(KEPT), closing(keeper.read(seen)) as kept:
        for count in kept:
            summary.read += count
            progress(count)
            stop.check()
    summary.read, summary.left = keeper.count, keeper.left
    if keeper.replaced:
        log.warning(
            "%d files came under the names of files that were moved, and their rows took the place "
            "of those: give each scan a name of its own, or each night another --out",
            keeper.replaced,
        )


def _log_laid(laid: Iterable[Laid], summary: Summary) -> None:
    for page in laid:
        log.info(
            "%s, page %d: form %s, residual %.3f mm (%s)",
            *(page.file, page.page, page.form, page.residual, page.how),
        )
        summary.residuals.append(page.residual)


def _write(
    keeper: Keeper, book: ledger.Ledger, out: str, options: RunOptions, summary: Summary
) -> None:
    """Write the tables of all that the ledger knows, unless they stand as they should."""
    if options.prune and summary.files:
        summary.pruned = keeper.prune()
    keeper.tidy()
    summary.gone = len(book.gone())
    if summary.gone and not summary.files:
        log.error(MISSING, "", summary.gone)
    else:
        for folder, count in keeper.missing().items():
            log.error(MISSING, f" in '{folder}'", count)
    if not book.any() and tables.strange(out, book):
        log.error("nothing was read, and nothing is known: '%s' is left as it is", out)
        summary.unchanged = True
        return
    terms = tables.terms(options)
    paths = [path for path in (out, options.digits_out) if path is not None]
    standing = [tables.standing(path, book, terms) for path in paths]
    if all(standing) and standing[0] is not None:
        said = json.loads(standing[0].summary)
        if "error" not in said:  # else which of them are still there has to be counted
            summary.unchanged, summary.statuses = True, Counter(said)
            return
    with ExitStack() as stack:
        for path in paths:
            counts = partial(json.dumps, summary.statuses)
            stack.enter_context(tables.guarded(path, book, terms, counts))
        with tables.opened(out, options) as write:
            for told, done in keeper.told():
                summary.statuses.update(row.status for row in done.rows)
                summary.failed += told.here and any(row.status == "error" for row in done.rows)
                write(done)


def _show(done: Done, folder: str | None) -> None:
    """Save the pages that people want to see."""
    for file, page in done.shown if folder is not None else ():
        rows = [row for row in done.rows if row.file == file and row.page == page.page]
        show.write(str(folder), file, page, rows)


def rows(
    files: Sequence[Source], options: RunOptions, progress: Progress = lambda _: None
) -> Generator[list[Row], None, None]:
    """Read files; yield their rows batch by batch, in the order of the files."""
    with closing(read(files, options, progress)) as batches:
        for done in batches:
            yield done.rows


def read(
    files: Sequence[Source], options: RunOptions, progress: Progress = lambda _: None
) -> Generator[Done, None, None]:
    """Read files; yield what came of them batch by batch, in the order of the files."""
    card, options = usable_card(options.model), settled(options)
    thresholds = Thresholds.of(card, options)
    with closing(findings(map(Task, files), files, options, card, wanted(options))) as batches:
        for batch in batches:
            yield _done(batch, thresholds, options)
            progress(sum(found.task.last for found in batch))


def _done(batch: Iterable[Found], thresholds: Thresholds, options: RunOptions) -> Done:
    """Judge findings."""
    out = Done([], [], [], [])
    for found in batch:
        file = found.task.source.file
        one = done(file, found.findings, thresholds, with_digits=options.digits_out is not None)
        out.rows.extend(one.rows)
        out.digits.extend(one.digits)
        out.laid.extend(found.laid)
        out.shown.extend((file, page) for page in found.shown)
    return out


def crop_rows(
    crops: Sequence[Grey] | NDArray[np.uint8],
    names: Sequence[str],
    options: RunOptions,
    progress: Progress = lambda _: None,
) -> Generator[list[Row], None, None]:
    """Read crops of single digits that are in memory as `rows` reads those of files.

    Args:
        crops: N pictures, uint8, each (height, width), of any sizes.
        names: what each row says in `file`.
        options: the settings; those of decoding have nothing to do here.
        progress: called with the number of crops done since the last call.
    """
    card, options = usable_card(options.model), settled(options)
    model, thresholds = Model(card, options), Thresholds.of(card, options)
    for start in range(0, len(crops), options.batch_size):
        part = slice(start, start + options.batch_size)
        tasks = [Task(Source(name, "")) for name in names[part]]
        batch = model.found([(tasks, prepare_crops(crops[part], invert=options.invert))])
        yield _done(batch, thresholds, options).rows
        progress(len(tasks))
