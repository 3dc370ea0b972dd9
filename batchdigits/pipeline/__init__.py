"""The only room that knows the order: sources, pages, normalize, classify, calibrate, results.

Worker processes decode and normalise chunks of files; this process calls the model on what they
send back and writes the rows, in the order of the files, while the workers go on.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate, classify, engine, results, sources
from batchdigits.normalize import shares
from batchdigits.options import RunOptions
from batchdigits.pipeline.desk import (
    Item,
    Planned,
    Prepared,
    look,
    no_pictures,
    prepare,
    prepare_crops,
)
from batchdigits.pipeline.terms import settled, usable_card
from batchdigits.records import Grey, Row, Source, Status

__all__ = [
    "Judge",
    "Planned",
    "Progress",
    "Summary",
    "check",
    "crop_rows",
    "find",
    "plan",
    "rows",
    "run",
    "settled",
    "usable_card",
]

log = logging.getLogger(__name__)

LEAST_FILES, MOST_FILES = 64, 1024
"""Files a worker takes at a time: many, as crops of one size are worked on together, but so few
that every worker has several chunks to take. It changes no result."""
CHUNK_BYTES = 16 << 20
"""Bytes of files a worker takes at a time: a chunk should read well within the time limit."""
WORKER_MIB = 1024
"""Memory a worker may take for its files."""
AHEAD = 64
"""Chunks that may be ready and wait while the model is loaded or busy: 50 MiB at most, at 784
bytes a picture."""

Progress = Callable[[int], object]


@dataclass(slots=True)
class Summary:
    """How a run went.

    Attributes:
        statuses: number of rows by status.
        skipped: number of files passed over in folders, by reason.
        seconds: wall-clock time, s.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    skipped: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def find(inputs: Sequence[str], listed: Sequence[str], out: str | None) -> sources.Found:
    """Find the files to read; the job's own output is none of them."""
    outputs = [] if out is None or out == "-" else [out]
    return sources.find(inputs, listed=listed, outputs=outputs)


def check(out: str, options: RunOptions) -> None:
    """Find out what is wrong with output and model before anything is read.

    Raises:
        UsageError: the table's suffix, or an option that does not go with it.
        OutputError: the table cannot be written there.
        ModelError: the model cannot be used, as far as can be told without loading it.
    """
    results.check(out, excel=options.excel)
    classify.card(options.model)


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
        UsageError: a device that is not there.
    """
    begin = time.monotonic()
    summary = Summary(skipped=found.skipped)
    if not found.sources and out != "-" and os.path.exists(out):
        log.warning("no images found, as if a disk were missing: the table in '%s' is kept", out)
        return summary
    opened: AbstractContextManager[results.Write] = results.writer(out, excel=options.excel)
    with opened as write, closing(rows(found.sources, options, progress)) as batches:
        for batch in batches:
            write(batch)
            summary.statuses.update(row.status for row in batch)
    summary.seconds = time.monotonic() - begin
    return summary


def rows(
    files: Sequence[Source], options: RunOptions, progress: Progress = lambda _: None
) -> Generator[list[Row], None, None]:
    """Read files; yield their rows batch by batch, in the order of the files."""
    card = usable_card(options.model)
    options = settled(options)
    prepare_chunk = partial(
        prepare, as_=options.as_, invert=options.invert, max_pixels=options.max_pixels
    )
    outcomes = engine.run(
        prepare_chunk,
        _chunks(files, options.workers),
        workers=options.workers,
        seconds=options.page_seconds,
        memory_mib=WORKER_MIB,
        ahead=max(2, AHEAD // max(options.workers, 1)),
    )
    judge = Judge(card, options)
    with closing(outcomes):  # whatever happens, no worker stays behind
        for batch in _batches(outcomes, options.batch_size):
            yield judge.rows(batch)
            progress(sum(len(files) for files, _ in batch))


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
        files = [Source(name, "") for name in names[part]]
        yield judge.rows([(files, prepare_crops(crops[part], invert=options.invert))])
        progress(len(files))


def _chunks(files: Sequence[Source], workers: int) -> Iterator[list[Source]]:
    """Cut files into chunks by number and by size on disk."""
    most = min(max(len(files) // (4 * max(workers, 1)), LEAST_FILES), MOST_FILES)
    chunk: list[Source] = []
    room = CHUNK_BYTES
    for source in files:
        size = 0 if source.fault else _size(source.path)
        if chunk and (len(chunk) == most or size > room):
            yield chunk
            chunk, room = [], CHUNK_BYTES
        chunk.append(source)
        room -= size
    if chunk:
        yield chunk


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


Batch = list[tuple[list[Source], Prepared]]


def _batches(
    outcomes: Iterable[engine.Outcome[Source, Prepared]], batch_size: int
) -> Iterator[Batch]:
    """Gather outcomes until they hold `batch_size` pictures; a fault becomes an error item.

    The first pictures are given at once: the workers go on while the model is loaded for them.
    """
    batch: Batch = []
    pictures, wanted = 0, 1
    for outcome in outcomes:
        prepared = outcome.result or Prepared(
            [Item(0, 1, "error", f"could not be read: {outcome.fault}")], no_pictures()
        )
        batch.append((outcome.items, prepared))
        pictures += len(prepared.pictures)
        if pictures >= wanted:
            yield batch
            batch, pictures, wanted = [], 0, batch_size
    if batch:
        yield batch


Read = tuple[int, float, int, bool]
"""One picture's digit, confidence, second and other, as in `calibrate.Judged`."""


class Judge:
    """Turns what the workers prepared into rows; the model is loaded at the first picture."""

    def __init__(self, card: classify.Card, options: RunOptions) -> None:
        """Take the threshold from the options, else from the model's card."""
        self._card, self._options = card, options
        wanted = options.min_confidence
        self._threshold = card.threshold if wanted is None else wanted
        self._classifier: classify.Classifier | None = None

    def rows(self, batch: Batch) -> list[Row]:
        """Classify the batch's pictures and give the row of each item, in order."""
        pictures = np.concatenate([prepared.pictures for _, prepared in batch])
        readings = iter(self._readings(pictures))
        return [
            self._row(files[item.source], item, readings)
            for files, prepared in batch
            for item in prepared.items
        ]

    def _readings(self, pictures: NDArray[np.uint8]) -> list[Read]:
        if not len(pictures):
            return []
        if self._classifier is None:
            self._classifier = classify.load(self._options.model, device=self._options.device)
            if not self._card.calibrated:
                log.warning(
                    "model '%s' is uncalibrated: its confidences may be far off", self._card.name
                )
        logits = self._classifier.logits(shares(pictures))
        judged = calibrate.judged(logits, self._card.temperature)
        return list(zip(*(column.tolist() for column in judged), strict=True))

    def _row(self, source: Source, item: Item, readings: Iterator[Read]) -> Row:
        if item.status is not None:
            confidence = 0.0 if item.status == "review" else None
            return Row(source.file, item.page, "", "", confidence, item.status, item.detail)
        digit, confidence, second, other = next(readings)
        if other:
            detail = f"not a digit; if it is one, {digit} or {second}"
            return Row(source.file, item.page, "", str(digit), confidence, "review", detail)
        status: Status = "ok" if confidence >= self._threshold else "review"
        detail = "" if status == "ok" else f"under {round(self._threshold, 10)}; may be {second}"
        return Row(source.file, item.page, "", str(digit), confidence, status, detail)


def plan(files: Sequence[Source], options: RunOptions) -> Iterator[Planned]:
    """Tell what a run would read and as what, from the files' headers alone."""
    outcomes = engine.run(
        partial(look, as_=options.as_, max_pixels=options.max_pixels),
        _chunks(files, options.workers),
        workers=options.workers,
        seconds=options.page_seconds,
        memory_mib=WORKER_MIB,
    )
    with closing(outcomes):
        for outcome in outcomes:
            if outcome.result is None:
                yield Planned(outcome.items[0].file, "error", 1, outcome.fault)
            else:
                yield from outcome.result
