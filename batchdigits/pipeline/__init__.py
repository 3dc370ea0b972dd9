"""The only room that knows the order of the stages, from sources to results.

Worker processes decode files, lay forms straight and normalise digits, chunk by chunk; this
process calls the model on what they send back and writes the rows, in the order of the files,
while the workers go on.
"""

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

from batchdigits import classify, engine, forms, results, sources
from batchdigits.errors import TemplateError, UsageError
from batchdigits.options import RunOptions
from batchdigits.pipeline.desk import Item, Prepared, no_pictures
from batchdigits.pipeline.judge import Done, Judge
from batchdigits.pipeline.references import Forms, wanted
from batchdigits.pipeline.tasks import Task, chunks, paged, split
from batchdigits.pipeline.terms import settled, usable_card
from batchdigits.pipeline.worker import Planned, look, prepare, prepare_crops
from batchdigits.records import Grey, Row, Source, Status

__all__ = [
    "Done",
    "Judge",
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

WORKER_MIB = 1024
"""Memory a worker may take for its files."""
AHEAD = 64
"""Chunks that may be ready and wait while the model is loaded or busy: 50 MiB at most, at 784
bytes a picture."""

STRIP = 8
"""Pictures of digits that a number counts for in a batch: so much larger its strip is."""

Progress = Callable[[int], object]


@dataclass(slots=True)
class Summary:
    """How a run went.

    Attributes:
        statuses: number of rows by status.
        skipped: number of files passed over in folders, by reason.
        residuals: of each page of a form that was laid straight, mm.
        seconds: wall-clock time, s.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    skipped: dict[str, int] = field(default_factory=dict)
    residuals: list[float] = field(default_factory=list)
    seconds: float = 0.0


def find(
    inputs: Sequence[str], listed: Sequence[str], out: str | None, digits_out: str | None = None
) -> sources.Found:
    """Find the files to read; the job's own outputs are none of them."""
    outputs = [one for one in (out, digits_out) if one not in (None, "-")]
    return sources.find(inputs, listed=listed, outputs=outputs)


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
        named = [layout.names for layout in layouts(options)]
        if twice := [one for names in named for one in names if names.count(one) > 1]:
            raise TemplateError(
                f"a table with a row a page has a column '{twice[0]}' of its own: give the field "
                "of that name another, or leave --wide and .xlsx out"
            )


def run(
    found: sources.Found, out: str, options: RunOptions, progress: Progress = lambda _: None
) -> Summary:
    """Read the files and write the table.

    Args:
        found: what `find` found.
        out: the table's path; `-` for CSV on standard output.
        options: the settings.
        progress: called with the number of files done since the last call.

    Raises:
        OutputError: the table cannot be written; an earlier one still stands.
        ModelError: the model cannot be used.
        TemplateError: a template cannot be used.
        UsageError: a device that is not there.
    """
    begin = time.monotonic()
    summary = Summary(skipped=found.skipped)
    if not found.sources and out != "-" and os.path.exists(out):
        log.warning("no images found, as if a disk were missing: the table in '%s' is kept", out)
        return summary
    with (
        _tables(out, options) as write,
        closing(read(found.sources, options, progress)) as batches,
    ):
        for done in batches:
            write(done)
            summary.statuses.update(row.status for row in done.rows)
            for page in done.laid:
                log.info(
                    "%s, page %d: form %s, residual %.3f mm (%s)",
                    *(page.file, page.page, page.form, page.residual, page.how),
                )
                summary.residuals.append(page.residual)
    summary.seconds = time.monotonic() - begin
    return summary


@contextmanager
def _tables(out: str, options: RunOptions) -> Iterator[Callable[[Done], None]]:
    """Open the table, and that of single digits where one is wanted; gives what writes to both."""
    with ExitStack() as stack:
        write = stack.enter_context(results.writer(out, *layouts(options), excel=options.excel))
        write_digits: results.Write | None = None
        if options.digits_out is not None:
            digits = results.writer(options.digits_out, results.DIGITS, excel=options.excel)
            write_digits = stack.enter_context(digits)

        def both(done: Done) -> None:
            write(done.rows)
            if write_digits:
                write_digits(done.digits)

        yield both


def layouts(options: RunOptions) -> list[results.Layout]:
    """Say what the table holds: a row a field or a page, in a spreadsheet both."""
    templates = forms.gathered(options.template)
    if not templates:
        return [results.LONG]
    names = dict.fromkeys(field.name for one in templates for field in one.fields)
    both = [results.FIELDS, results.pages(list(names))]
    return both[::-1] if options.wide else both


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
    judge = Judge(usable_card(options.model), settled(options))
    known = wanted(options)
    prepare_chunk = partial(
        prepare,
        as_=options.as_,
        invert=options.invert,
        max_pixels=options.max_pixels,
        forms=known,
    )
    outcomes = engine.run(
        prepare_chunk,
        chunks(
            split(files, _page_counts(files, options)),
            len(files),
            options.workers,
            forms=bool(known.templates),
        ),
        workers=options.workers,
        seconds=options.page_seconds,
        memory_mib=WORKER_MIB,
        ahead=max(2, AHEAD // max(options.workers, 1)),
    )
    with closing(outcomes):  # whatever happens, no worker stays behind
        for batch in _batches(outcomes, options.batch_size, known):
            yield judge.done(batch)
            progress(sum(task.last for tasks, _ in batch for task in tasks))


def _page_counts(files: Sequence[Source], options: RunOptions) -> Callable[[Source], int]:
    """Look how many pages the files have that may have many."""
    many = paged(files)
    counts = [line.pages for line in plan(many, options)] if many else []
    known = dict(zip((source.path for source in many), counts, strict=True))
    return lambda source: known.get(source.path, 1)


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
    judge = Judge(usable_card(options.model), settled(options))
    for start in range(0, len(crops), options.batch_size):
        part = slice(start, start + options.batch_size)
        tasks = [Task(Source(name, "")) for name in names[part]]
        yield judge.done([(tasks, prepare_crops(crops[part], invert=options.invert))]).rows
        progress(len(tasks))


def _batches(
    outcomes: Iterable[engine.Outcome[Task, Prepared]],
    batch_size: int,
    known: Forms,
) -> Iterator[list[tuple[list[Task], Prepared]]]:
    """Gather outcomes until they hold `batch_size` pictures; a fault becomes error items.

    The first pictures are given at once: the workers go on while the model is loaded for them.
    """
    batch: list[tuple[list[Task], Prepared]] = []
    pictures, wanted = 0, 1
    for outcome in outcomes:
        prepared = outcome.result or _failed(outcome.items[0], outcome.fault, known)
        batch.append((outcome.items, prepared))
        pictures += len(prepared.pictures) + STRIP * len(prepared.strips)
        if pictures >= wanted:
            yield batch
            batch, pictures, wanted = [], 0, batch_size
    if batch:
        yield batch


def _failed(task: Task, fault: str, known: Forms) -> Prepared:
    """Say of a file, or of each field of a page, that it was too much for a worker."""
    form = known.only if task.page is not None else None
    why = f"could not be read: {fault}"
    items = [
        Item(0, task.page or 1, "error", why, one) for one in (form.fields if form else [None])
    ]
    return Prepared(items, no_pictures())


def plan(files: Sequence[Source], options: RunOptions) -> Iterator[Planned]:
    """Tell what a run would read and as what, from the files' headers alone."""
    look_at = partial(
        look, as_=options.as_, max_pixels=options.max_pixels, template=bool(options.template)
    )
    outcomes = engine.run(
        look_at,
        chunks(map(Task, files), len(files), options.workers),
        workers=options.workers,
        seconds=options.page_seconds,
        memory_mib=WORKER_MIB,
    )
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.result is None:
                yield Planned(outcome.items[0].source.file, "error", 1, outcome.fault)
            else:
                yield from outcome.result
