"""Files become findings: decoded and normalised in the workers, predicted in this process."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, islice
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate, classify, engine
from batchdigits.decode import Decoded
from batchdigits.forms.template import Field
from batchdigits.job import Forms, Job
from batchdigits.normalize import shares
from batchdigits.options import RunOptions
from batchdigits.pipeline import numbers
from batchdigits.pipeline.desk import Item, Prepared, no_pictures, unpacked
from batchdigits.pipeline.findings import Finding, Found, Read
from batchdigits.pipeline.tasks import Task, Tasks, chunks, paged, split
from batchdigits.pipeline.worker import Planned, look, prepare
from batchdigits.records import Grey, Source

log = logging.getLogger(__name__)

Batch = Sequence[tuple[Sequence[Task], Prepared]]

WORKER_MIB = 800
"""Memory a worker may take for its files: with what its imports took and map, under 1 GB."""
AHEAD = 16
"""Chunks that may be ready and wait while the model is loaded or busy: of crops 30 MiB at most, at
784 bytes a picture and as many for what is known of it."""
HELD = 2.0
"""s that what was read waits for more before it is a batch: pages that hold little, or nothing,
would wait for minutes, and a run that is stopped could not keep them."""
STRIP = 8
"""Pictures of digits that a number counts for: so much larger its strip is."""


class Predictor:
    """The job's networks, each loaded when the first picture for it comes."""

    def __init__(self, job: Job) -> None:
        """Take the job's model, without loading it."""
        self._card, self._device = job.card, job.options.device
        self._classifier: classify.Classifier | None = None
        self._reader: classify.NumberReader | None = None

    def predict(self, batch: Batch) -> Iterator[Found]:
        """Read a batch's pictures and strips; yield what was found of each task, in order."""
        reads = iter(self._reads(np.concatenate([prepared.pictures for _, prepared in batch])))
        strips = [unpacked(one) for _, prepared in batch for one in prepared.strips]
        items = [item for _, prepared in batch for item in prepared.items]
        fields = [item.field for item in items if item.number is not None]
        lines = iter(zip(strips, self._lines(strips, fields), strict=True))
        for tasks, prepared in batch:
            stood = prepared.stood or [None] * len(tasks)
            of_tasks = [Found(task, [], [], one) for task, one in zip(tasks, stood, strict=True)]
            for item in prepared.items:
                of_tasks[item.source].findings.append(self._finding(item, reads, lines))
            for source, page in prepared.laid:
                of_tasks[source].laid.append(page)
            for one in prepared.shown:
                seen = (*of_tasks[one.source].shown, one)
                of_tasks[one.source] = of_tasks[one.source]._replace(shown=seen)
            yield from of_tasks

    def _finding(
        self, item: Item, reads: Iterator[Read], lines: Iterator[tuple[Grey, Decoded | None]]
    ) -> Finding:
        if item.number is None:
            return Finding(
                item, tuple(next(reads) if spot.status is None else None for spot in item.spots)
            )
        strip, number = next(lines)
        if number is None:
            return Finding(item)
        return Finding(item, (), number, tuple(numbers.digits(strip, item.number, number)))

    def _reads(self, pictures: NDArray[np.uint8]) -> list[Read]:
        if not len(pictures):
            return []
        if self._classifier is None:
            self._classifier = classify.load(self._card, device=self._device)
            if not self._card.calibrated:
                log.warning(
                    "model '%s' is uncalibrated: its confidences may be far off", self._card.name
                )
        logits = self._classifier.logits(shares(pictures))
        judged = calibrate.judged(logits, self._card.temperature)
        return [Read(*one) for one in zip(*(column.tolist() for column in judged), strict=True)]

    def _lines(
        self, strips: Sequence[Grey], fields: Sequence[Field | None]
    ) -> Sequence[Decoded | None]:
        """Read strips; None for each where there is no number reader."""
        if not strips or self._card.numbers is None:
            return [None] * len(strips)
        if self._reader is None:
            self._reader = classify.load_reader(self._card, device=self._device)
        temperature = self._card.numbers.temperature
        return numbers.read(self._reader.logits, strips, fields, temperature)


def read_findings(job: Job, tasks: Tasks, predictor: Predictor) -> Generator[list[Found]]:
    """Read files, or images in memory; yield what was found, batch by batch, in their order.

    Args:
        job: how they are read.
        tasks: one for each file, in the order of the table.
        predictor: holds the job's networks.

    Raises:
        ModelError: the model cannot be used.
        UsageError: a device that is not there.
    """
    options, known = job.options, job.forms
    prepare_chunk = partial(
        prepare,
        as_=options.as_,
        invert=options.invert,
        max_pixels=options.max_pixels,
        forms=known,
        shows=job.paths.debug_pages is not None,
    )
    single_pages = split(tasks, _page_counts(tasks.sources, options))
    cut = chunks(single_pages, len(tasks.sources), options.workers, forms=bool(known.templates))
    workers = options.workers
    if tasks.in_memory:  # one chunk is prepared sooner than a worker starts
        first = list(islice(cut, 2))
        cut, workers = chain(first, cut), workers if len(first) > 1 else 0
    outcomes = engine.run(
        prepare_chunk,
        cut,
        workers=workers,
        seconds=options.page_seconds,
        memory_mib=WORKER_MIB,
        ahead=max(2, AHEAD // max(workers, 1)),
    )
    with closing(outcomes):  # whatever happens, no worker stays behind
        for batch in _batches(outcomes, options.batch_size, known):
            yield list(predictor.predict(batch))


def _page_counts(files: Sequence[Source], options: RunOptions) -> Callable[[Source], int]:
    """Count the pages of the files that may have many; return what gives a file's count."""
    many = paged(files)
    counts = [line.pages for line in plan_files(many, options)] if many else []
    known = dict(zip((source.path for source in many), counts, strict=True))
    return lambda source: known.get(source.path, 1)


def _batches(
    outcomes: Iterable[engine.Outcome[Task, Prepared]],
    batch_size: int,
    known: Forms,
) -> Iterator[list[tuple[list[Task], Prepared]]]:
    """Gather outcomes until they hold `batch_size` pictures, or for `HELD`; faults become items.

    The first pictures are given at once: the workers go on while the model is loaded for them.
    """
    batch: list[tuple[list[Task], Prepared]] = []
    pictures, wanted, since = 0, 1, monotonic()
    for outcome in outcomes:
        prepared = outcome.result or _failed(outcome.items[0], outcome.fault, known)
        batch.append((outcome.items, prepared))
        pictures += len(prepared.pictures) + STRIP * len(prepared.strips)
        if not outcome.more and (pictures >= wanted or monotonic() - since > HELD):
            yield batch
            batch, pictures, wanted, since = [], 0, batch_size, monotonic()
    if batch:
        yield batch


def _failed(task: Task, fault: str, known: Forms) -> Prepared:
    """Say of a file, or of each field of a page, that it was too much for a worker."""
    form = known.only if task.page is not None else None
    why = f"could not be read: {fault}"
    items = [
        Item(0, task.page or 1, "error", why, one) for one in (form.fields if form else [None])
    ]
    return Prepared(items, no_pictures(), stood=[task.entry])


def plan_files(files: Sequence[Source], options: RunOptions) -> Iterator[Planned]:
    """Yield what a run would read each file as, and why, from the files' headers alone."""
    look_at = partial(
        look, as_=options.as_, max_pixels=options.max_pixels, template=bool(options.template)
    )
    outcomes = engine.run(
        look_at,
        chunks(Tasks(files), len(files), options.workers),
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
