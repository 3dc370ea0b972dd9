"""Files become pictures and strips, chunk by chunk, in worker processes."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, islice
from time import monotonic

from batchdigits import workers
from batchdigits.extract.desk import Item, Prepared, no_pictures
from batchdigits.extract.tasks import Task, Tasks, chunks, paged, split
from batchdigits.extract.worker import Planned, look, prepare
from batchdigits.options import RunOptions
from batchdigits.records import Source
from batchdigits.register import Forms

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


def extract_files(
    tasks: Tasks, options: RunOptions, known: Forms
) -> Generator[list[tuple[list[Task], Prepared]]]:
    """Extract digits and numbers from files, or images in memory, in worker processes.

    Args:
        tasks: one for each file, in the order of the table.
        options: how files are read.
        known: the forms that pages may be of.

    Yields:
        Batches of chunks of tasks, in their order, each with what a worker made of it.
    """
    prepare_chunk = partial(
        prepare,
        as_=options.as_,
        invert=options.invert,
        max_pixels=options.max_pixels,
        forms=known,
        shows=options.debug_pages is not None,
    )
    single_pages = split(tasks, _page_counts(tasks.sources, options))
    cut = chunks(single_pages, len(tasks.sources), options.workers, forms=bool(known.templates))
    count = options.workers
    if tasks.in_memory:  # one chunk is prepared sooner than a worker starts
        first = list(islice(cut, 2))
        cut, count = chain(first, cut), count if len(first) > 1 else 0
    outcomes = workers.run(
        prepare_chunk,
        cut,
        workers=count,
        seconds=options.page_seconds,
        memory_mib=WORKER_MIB,
        ahead=max(2, AHEAD // max(count, 1)),
    )
    with closing(outcomes):  # whatever happens, no worker stays behind
        yield from _batches(outcomes, options.batch_size, known)


def _page_counts(files: Sequence[Source], options: RunOptions) -> Callable[[Source], int]:
    """Count the pages of the files that may have many; return what gives a file's count."""
    many = paged(files)
    counts = [line.pages for line in plan_files(many, options)] if many else []
    known = dict(zip((source.path for source in many), counts, strict=True))
    return lambda source: known.get(source.path, 1)


def _batches(
    outcomes: Iterable[workers.Outcome[Task, Prepared]],
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
    outcomes = workers.run(
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
