"""The only room that knows the order of the stages, from sources to results.

Worker processes decode files, lay forms straight and normalise digits, chunk by chunk; this
process calls the model on what they send back and writes the rows, in the order of the files,
while the workers go on.
"""

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from batchdigits import classify, ledger, results, sources
from batchdigits.errors import Stop, TemplateError, UsageError
from batchdigits.ledger.lock import locked
from batchdigits.options import RunOptions
from batchdigits.pipeline import show, tables
from batchdigits.pipeline.findings import Found, Model
from batchdigits.pipeline.judge import Done, Thresholds, done
from batchdigits.pipeline.keeping import Keeper
from batchdigits.pipeline.references import wanted
from batchdigits.pipeline.stream import findings, plan
from batchdigits.pipeline.tasks import Task
from batchdigits.pipeline.terms import settled, usable_card
from batchdigits.pipeline.worker import Planned, prepare_crops
from batchdigits.records import Grey, Laid, Row, Source, Status

__all__ = [
    "Done",
    "Planned",
    "Progress",
    "Summary",
    "check",
    "crop_rows",
    "find",
    "plan",
    "read",
    "rows",
    "run",
    "settled",
    "usable_card",
]

log = logging.getLogger(__name__)


Progress = Callable[[int], object]


@dataclass(slots=True)
class Summary:
    """How a run went.

    Attributes:
        statuses: number of rows of the table by status.
        skipped: number of files passed over in folders, by reason.
        residuals: of each page of a form that was laid straight in this run, mm.
        files: how many files there are.
        read: how many of them were read in this run.
        failed: how many of them have an error row.
        left: how many are left for next time, as they are still being written.
        gone: how many files have rows and are not there.
        pruned: how many files' rows were dropped.
        unchanged: whether the table stands as it was.
        seconds: wall-clock time, s.
        stages: the same, stage by stage.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    skipped: dict[str, int] = field(default_factory=dict)
    residuals: list[float] = field(default_factory=list)
    files: int = 0
    read: int = 0
    failed: int = 0
    left: int = 0
    gone: int = 0
    pruned: int = 0
    unchanged: bool = False
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Take the time of a stage."""
        begin = time.monotonic()
        yield
        took = time.monotonic() - begin
        self.stages[name] = self.stages.get(name, 0.0) + took
        self.seconds += took


def find(inputs: Sequence[str], listed: Sequence[str], *outputs: str | None) -> sources.Found:
    """Find the files to read; the job's own outputs are none of them."""
    ours = [one for one in outputs if one is not None and one != "-"]
    return sources.find(inputs, listed=listed, outputs=ours)


def check(out: str, options: RunOptions) -> None:
    """Find out what is wrong with output, model and templates before anything is read.

    Raises:
        UsageError: the table's suffix, or an option that does not go with it.
        OutputError: the table cannot be written there.
        ModelError: the model cannot be used, as far as can be told without loading it.
        TemplateError: a template cannot be used.
    """
    results.check(out, excel=options.excel)
    if options.digits_out is not None:
        results.check(options.digits_out, excel=options.excel)
        if os.path.realpath(out) == os.path.realpath(options.digits_out):
            raise UsageError(f"--out and --digits-out are both '{out}': give two names")
    classify.card(options.model)
    wanted(options)
    if options.wide or out.lower().endswith(".xlsx"):
        named = [layout.names for layout in tables.layouts(options)]
        if twice := [one for names in named for one in names if names.count(one) > 1]:
            raise TemplateError(
                f"a table with a row a page has a column '{twice[0]}' of its own: give the field "
                "of that name another, or leave --wide and .xlsx out"
            )
    if options.debug_pages is not None:
        show.check(options.debug_pages)


def run(
    found: sources.Found,
    out: str,
    options: RunOptions,
    progress: Progress = lambda _: None,
    stop: Stop | None = None,
) -> Summary:
    """Read what is new and write the table.

    Args:
        found: what `find` found.
        out: the table's path; `-` for CSV on standard output.
        options: the settings.
        progress: called with the number of files done since the last call.
        stop: ends the run where what was read is safe.

    Raises:
        BusyError: another run writes the same output.
        OutputError: the table, or the state, cannot be written; an earlier table still stands.
        ModelError: the model cannot be used.
        TemplateError: a template cannot be used.
        UsageError: a device that is not there.
    """
    options = settled(options)
    summary = Summary(skipped=found.skipped, files=len(found.sources))
    state = state_of(out, options)
    if state is None:
        with summary.stage("read"):
            _stream(found, out, options, progress, summary)
        return summary
    ours = [one for one in (out, options.state) if one is not None and one != "-"]
    with locked(ours, options.wait), ledger.opened(state) as book:
        with summary.stage("look"):
            keeper = Keeper(book, found.sources, options, wanted(options))
        with summary.stage("read"):
            _read(keeper, options, progress, stop or Stop(), summary)
        with summary.stage("write"):
            _write(keeper, book, out, options, summary)
    return summary


def state_of(out: str, options: RunOptions) -> str | None:
    """Name the ledger of a table; none for standard output, unless it is given."""
    if options.state is not None or out == "-":
        return options.state
    return f"{out}.state"


def _stream(
    found: sources.Found, out: str, options: RunOptions, progress: Progress, summary: Summary
) -> None:
    """Read all, and write rows as they come."""
    failed = set()
    with (
        tables.opened(out, options) as write,
        closing(read(found.sources, options, progress)) as batches,
    ):
        for done in batches:
            write(done)
            _show(done, options.debug_pages)
            summary.statuses.update(row.status for row in done.rows)
            failed |= {row.file for row in done.rows if row.status == "error"}
            _log_laid(done.laid, summary)
    summary.read, summary.failed = len(found.sources), len(failed)


def _read(
    keeper: Keeper, options: RunOptions, progress: Progress, stop: Stop, summary: Summary
) -> None:
    """Read what the ledger does not know; it knows it then."""
    thresholds = Thresholds.of(usable_card(options.model), options)
    progress(summary.files - keeper.count)
    with stop.gently(), closing(keeper.read()) as batches:
        for batch in batches:
            for found in batch:
                _log_laid(found.laid, summary)
            if options.debug_pages is not None:
                _show(_done(batch, thresholds, options), options.debug_pages)
            progress(sum(found.task.last for found in batch))
            stop.check()
    summary.read, summary.left = keeper.count, keeper.left


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
    summary.gone = book.gone()
    if options.prune and summary.files:
        summary.pruned, summary.gone = keeper.prune(), 0
    elif summary.gone and not summary.files:
        log.warning(
            "no images found, as if a disk were missing: the rows of %d files are kept",
            summary.gone,
        )
    keeper.tidy()
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
    with closing(findings([*map(Task, files)], options, card, wanted(options))) as batches:
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
