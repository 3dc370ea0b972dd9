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

import numpy as np
from numpy.typing import NDArray

from batchdigits import classify, forms, results, sources
from batchdigits.errors import UsageError
from batchdigits.options import RunOptions
from batchdigits.pipeline.findings import Found, Model
from batchdigits.pipeline.judge import Done, Thresholds, digits, row
from batchdigits.pipeline.references import wanted
from batchdigits.pipeline.stream import findings, plan
from batchdigits.pipeline.tasks import Task
from batchdigits.pipeline.terms import settled, usable_card
from batchdigits.pipeline.worker import Planned, prepare_crops
from batchdigits.records import Grey, Row, Source, Status

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
    card, options = usable_card(options.model), settled(options)
    thresholds = Thresholds.of(card, options)
    with closing(findings(files, options, card, wanted(options))) as batches:
        for batch in batches:
            yield _done(batch, thresholds, options)
            progress(sum(found.task.last for found in batch))


def _done(batch: Iterable[Found], thresholds: Thresholds, options: RunOptions) -> Done:
    """Judge findings."""
    done = Done([], [], [])
    for found in batch:
        file = found.task.source.file
        done.rows.extend(row(file, one, thresholds) for one in found.findings)
        done.laid.extend(found.laid)
        if options.digits_out is not None:
            for one in found.findings:
                done.digits.extend(digits(file, one))
    return done


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
