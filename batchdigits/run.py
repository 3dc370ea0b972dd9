"""The order of a run, from the files of its INPUTs to the rows of its table.

Worker processes decode files, register forms and normalise digits, chunk by chunk. Meanwhile this
process calls the model on what they send back. Findings go in the order of the files through the
state, if one is kept, to the table.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

from batchdigits import cluster, sources
from batchdigits.archive.moves import move_files, prepare_folders
from batchdigits.corrections import (
    CorrectionBook,
    apply_corrections,
    load_book,
    place_fields,
)
from batchdigits.extract.chunk_builder import EMPTY_PAGE_DETAIL
from batchdigits.extract.plan import PlannedFile
from batchdigits.extract.stream import count_pages, extract_files, plan_files
from batchdigits.extract.tasks import FileTasks
from batchdigits.job import Inputs, Job
from batchdigits.options import RunOptions, count_processors
from batchdigits.options.reading import BATCH_SIZE
from batchdigits.outputs import debug_pages, open_results_table, open_tables, prepare_outputs
from batchdigits.paths import OutputPaths
from batchdigits.postprocess.judge import OutputRows, judge_findings
from batchdigits.predict.plain_digits import ChunkFindings
from batchdigits.predict.predictor import Predictor
from batchdigits.records import Row
from batchdigits.state.keeping import State, open_state
from batchdigits.state.known import FileFindings, NoState
from batchdigits.state.lock import lock_outputs
from batchdigits.state.renewal import select_new_rows
from batchdigits.summary import PageCount, Progress, StopRequest, Summary

__all__ = ["PlannedFile", "Progress", "Summary", "find_files", "plan_files", "read_rows", "run_job"]

log = logging.getLogger(__name__)


def run_job(
    job: Job,
    progress: Progress = lambda _done, _pages: None,
    stop: StopRequest | None = None,
    summary: Summary | None = None,
) -> Summary:
    """Read new files, write the tables, then move files that were read, if the options ask for it.

    Args:
        job: with a table to write.
        progress: called with how many pages are done, and of how many.
        stop: ends the run at a point where what was read is safe.
        summary: filled as the run goes, so that a caller has it even if the run fails.

    Returns:
        The summary.

    Raises:
        BusyError: another run writes the same output.
        OutputError: a table or the state cannot be written, and an earlier table is kept; or the
            table is written, but files cannot be moved.
        ModelError: the model cannot be used.
        UsageError: a device does not exist, a folder to move files to holds other files, or the
            corrections cannot be read.
    """
    summary, stop = summary or Summary(), stop or StopRequest()
    prepare_outputs(job.paths)
    prepare_folders(job)
    with (
        lock_outputs([*job.paths.locked.values()], job.options.wait),
        open_state(job, summary) as state,
    ):
        book = load_book(job.paths.corrections)
        with summary.time_stage("look"):
            listing = find_files(job.inputs, job.paths)
            summary.files, summary.skipped = len(listing.sources), listing.skipped
            tasks = state.plan_tasks(listing)
        _log_settings(job.options)
        with summary.time_stage("read"), summary.time_children("extract"):
            pages = PageCount(progress, count_pages(tasks, job.options))
            findings = _read_files(tasks, job, summary)
            findings = _log_and_draw_pages(findings, job, summary)
            known_findings = state.keep_findings(findings, pages, stop)
        with summary.time_stage("write"):
            _write_tables(job, state, known_findings, book, summary)
        move_files(job, state, stop, summary)
    return summary


def _log_settings(options: RunOptions) -> None:
    """Log how many workers read on this machine, how large batches are, and why."""
    if options.engine == "ray":
        return
    asked = "as asked for"
    every = options.workers == count_processors()
    usual = options.batch_size == BATCH_SIZE
    log.info(
        "reading with %d workers (%s), in batches of %d crops (%s)",
        options.workers,
        "one for each processor that it may use" if every else asked,
        options.batch_size,
        "as fast as larger ones, and kept sooner" if usual else asked,
    )


def _read_files(tasks: FileTasks, job: Job, summary: Summary) -> Generator[list[ChunkFindings]]:
    """Read files on this machine, or on a cluster; yield their findings in order."""
    if job.options.engine == "ray":
        return summary.time_steps("wait", cluster.read_files(tasks, job))
    predictor = Predictor(job.card, job.options.device, job.options.runtime)
    return _read_files_here(tasks, job, summary, predictor)


def _read_files_here(
    tasks: FileTasks, job: Job, summary: Summary, predictor: Predictor
) -> Generator[list[ChunkFindings]]:
    """Read files, or images in memory, on this machine; yield their findings in order."""
    extracted = extract_files(tasks, job.options, job.forms)
    with closing(summary.time_steps("wait", extracted)) as batches:  # else workers stay behind
        for batch in batches:
            with summary.time_work("predict"):
                found = predictor.predict_batch(batch)
            yield found


def find_files(inputs: Inputs, paths: OutputPaths) -> sources.FoundSources:
    """Find the files to read, without those that the run writes and those that runs have moved.

    Raises:
        UsageError: an INPUT does not exist.
    """
    return sources.find_sources(
        inputs.typed,
        listed=inputs.listed,
        outputs=paths.written,
        moved=[*paths.move_folders.values()],
        archives=True,
    )


def _log_and_draw_pages(
    batches: Generator[list[ChunkFindings]], job: Job, summary: Summary
) -> Generator[list[ChunkFindings]]:
    """Log how pages were registered, and draw the debug pages that the options ask for."""
    with closing(batches):
        for batch in batches:
            findings = [one for chunk in batch for one in chunk.others]  # a plain digit is no form
            for page in (page for one in findings for page in one.laid):
                log.info(
                    "%s, page %d: form %s, residual %.3f mm (%s)",
                    *(page.file, page.page, page.form, page.residual, page.how),
                )
                summary.residuals.append(page.residual)
            if job.paths.debug_pages is not None:
                debug_pages.draw_pages(job.paths.debug_pages, findings, job.thresholds)
            yield batch


def _write_tables(
    job: Job,
    state: State | NoState,
    known_findings: Iterable[list[FileFindings]],
    book: CorrectionBook,
    summary: Summary,
) -> None:
    """Write the tables of all that is known and was said, unless they are up to date."""
    state.prune_rows()
    later = CorrectionBook(book.corrections[state.said_before :])
    if state.can_skip_tables() and not (later and job.paths.new_rows):
        with _open_new_rows(job, later):
            return
    with_digits = job.paths.digits_out is not None
    settings = {
        "model": job.card.name,
        "fingerprint": job.fingerprint,
        "min_confidence": job.threshold,
        "wide": job.options.wide,
    }
    opening = str(job.paths.out), job.paths.digits_out, job.layouts, job.dialect, settings
    with state.guard_tables():
        with open_tables(*opening) as write, _open_new_rows(job, later) as add:
            for batch in known_findings:
                judged = [_judge_file(one, job, book, with_digits) for one in batch]
                summary.statuses.update([row.status for rows, _ in judged for row in rows])
                for one, (rows, _) in zip(batch, judged, strict=True):
                    _count_rows(one, rows, summary)
                    add(one, rows)
                write(judged)
        state.note_shown_readings(len(book.corrections))


@contextmanager
def _open_new_rows(
    job: Job, later: CorrectionBook
) -> Iterator[Callable[[FileFindings, Sequence[Row]], None]]:
    """Open the table of new rows, if one is wanted; yield a function that takes all rows.

    Args:
        job: says whether, where and how.
        later: what people said since the last run.
    """
    if job.paths.new_rows is None:
        yield lambda _one, _rows: None
        return
    whole_pages = job.options.wide or len(job.layouts) > 1
    with open_results_table(job.paths.new_rows, job.layouts, job.dialect) as write:
        yield lambda one, rows: write(
            select_new_rows(
                one, rows, whole_pages=whole_pages, said=_find_corrected_rows(one, job, later)
            )
        )


def _find_corrected_rows(one: FileFindings, job: Job, book: CorrectionBook) -> set[int]:
    """Return the indexes of a file's rows that the corrections are about."""
    if not book:
        return set()
    places = place_fields(one.file, one.content, one.findings, job.form_names)
    return {at for at, place in enumerate(places) if book.find_matches(place)}


def _count_rows(one: FileFindings, rows: Sequence[Row], summary: Summary) -> None:
    """Count a file's pages by what was found on them, and the file if it has an error row."""
    if len(rows) == 1 and rows[0].status in {"ok", "verified"} and not rows[0].field:
        return  # a single digit or number: most files of a large folder
    summary.blank_pages += sum(row.detail == EMPTY_PAGE_DETAIL for row in rows)
    _count_found_fields(one, summary)
    wrong = next((row for row in rows if row.status == "error"), None)
    if one.here and wrong is not None:
        summary.count_failure(wrong.file, wrong.page, wrong.detail)
        log.info("not read: %s, page %d: %s", wrong.file, wrong.page, wrong.detail)


def _judge_file(one: FileFindings, job: Job, book: CorrectionBook, with_digits: bool) -> OutputRows:
    """Return the rows of a file: what was read, and what people said about it."""
    rows = judge_findings(one.file, one.findings, one.thresholds, with_digits)
    if not book:
        return rows
    places = place_fields(one.file, one.content, one.findings, job.form_names)
    return apply_corrections(rows, places, book)


def _count_found_fields(one: FileFindings, summary: Summary) -> None:
    """Count a file's pages without a template by the fields that were found on them."""
    fields: defaultdict[int, list[str]] = defaultdict(list)
    for item in (finding.item for finding in one.findings):
        if not item.described and item.field is not None:
            fields[item.page].append(item.field.name)
    for page, names in fields.items():
        summary.count_page(tuple(names), one.file, page)


def read_rows(
    job: Job,
    tasks: FileTasks | None = None,
    progress: Progress = lambda _done, _pages: None,
    predictor: Predictor | None = None,
) -> Iterator[list[Row]]:
    """Read files, or images in memory; yield their rows batch by batch, in the order of the tasks.

    Args:
        job: says how to read; nothing is written.
        tasks: one for each file; None for the files of the job's INPUTs.
        progress: called with how many pages are done, and of how many.
        predictor: holds the job's networks, if several calls share them.

    Raises:
        ModelError: the model cannot be used.
        UsageError: an INPUT or a device does not exist.
    """
    if tasks is None:
        tasks = FileTasks(find_files(job.inputs, job.paths).sources)
    summary = Summary(files=len(tasks.sources))
    pages = PageCount(progress, count_pages(tasks, job.options))
    predictor = predictor or Predictor(job.card, job.options.device, job.options.runtime)
    findings = _read_files_here(tasks, job, summary, predictor)
    for batch in NoState(job, summary).keep_findings(findings, pages, StopRequest()):
        yield [
            row
            for one in batch
            for row in judge_findings(one.file, one.findings, one.thresholds).rows
        ]
