"""Files become pictures and strips, chunk by chunk, in worker processes."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, islice
from time import monotonic

from batchdigits import workers
from batchdigits.extract.chunk_builder import ExtractedChunk, ExtractedItem, make_empty_pictures
from batchdigits.extract.chunks import choose_chunk_files, make_chunks
from batchdigits.extract.members import estimate_members, expand_archives
from batchdigits.extract.plan import PlannedFile, plan_chunk
from batchdigits.extract.tasks import FileTasks, Task, find_multipage_files, split_into_pages
from batchdigits.extract.worker import extract_chunk
from batchdigits.objects import is_in_memory
from batchdigits.options import RunOptions
from batchdigits.records import Source
from batchdigits.register import FormTemplates

WORKER_MEMORY_MIB = 800
"""Memory that a worker may take for its files. With its imports it stays under 1 GB."""
MAX_READY_CHUNKS, MAX_READY_FILES = 16, 16_384
"""Chunks that may wait while the model is loaded or busy, and their files. These hold 30 MiB at
most: 784 bytes a picture, and as many for its records."""
MAX_BATCH_WAIT_S = 2.0
"""s after which a batch is read although it is not full. Pages that hold little would wait for
minutes, and a run that is stopped could not keep them."""
PICTURES_PER_STRIP = 8
"""Pictures that a number counts as, because its strip is so much larger."""


def extract_files(
    tasks: FileTasks, options: RunOptions, forms: FormTemplates
) -> Generator[list[tuple[list[Task], ExtractedChunk]]]:
    """Extract digits and numbers from files, or images in memory, in worker processes.

    Args:
        tasks: one for each file, in the order of the table, counted by `count_pages`.
        options: how files are read.
        forms: the forms that pages may be.

    Yields:
        Batches of chunks of tasks, in order, each with its extraction.
    """
    prepare_chunk = make_chunk_function(options, forms)
    chunks = make_file_chunks(tasks, options.workers, forms)
    count = options.workers
    chunk_files = choose_chunk_files(tasks.count_files(), count, forms=bool(forms.templates))
    if tasks.in_memory:  # preparing one chunk is faster than starting a worker
        first_chunks = list(islice(chunks, 2))
        chunks, count = chain(first_chunks, chunks), count if len(first_chunks) > 1 else 0
    if any(is_in_memory(source.path) for source in tasks.sources):
        count = 0  # no other process sees them
    executor = workers.choose_executor(
        count,
        seconds=options.page_seconds,
        memory_mib=WORKER_MEMORY_MIB,
        ahead=max(2, min(MAX_READY_CHUNKS, MAX_READY_FILES // chunk_files) // max(count, 1)),
    )
    # no worker stays behind after an error
    with closing(executor.map_chunks(prepare_chunk, chunks)) as outcomes:
        yield from _gather_batches(outcomes, options.batch_size, forms)


def make_file_chunks(tasks: FileTasks, count: int, forms: FormTemplates) -> Iterator[list[Task]]:
    """Make the chunks of files, of pages, and of members of archives, for so many workers."""
    each = expand_archives(split_into_pages(tasks), tasks)
    return make_chunks(each, tasks.count_files(), count, forms=bool(forms.templates))


def make_chunk_function(
    options: RunOptions, forms: FormTemplates
) -> Callable[[list[Task]], ExtractedChunk]:
    """Make the function that extracts a chunk of tasks; it can be sent to other processes."""
    return partial(
        extract_chunk,
        as_=options.as_,
        invert=options.invert,
        max_pixels=options.max_pixels,
        forms=forms,
        shows=options.debug_pages is not None,
    )


def count_pages(tasks: FileTasks, options: RunOptions) -> int:
    """Count the pages of files that may have many; return how many pages are to be read.

    The members of archives are estimated.
    """
    estimate_members(tasks)
    multipage = find_multipage_files(tasks.sources)
    counts = [line.pages for line in plan_files(multipage, options)] if multipage else []
    tasks.page_counts.update(zip((source.path for source in multipage), counts, strict=True))
    return tasks.estimate_total()


def _gather_batches(
    outcomes: Iterable[workers.ChunkOutcome[Task, ExtractedChunk]],
    batch_size: int,
    forms: FormTemplates,
) -> Iterator[list[tuple[list[Task], ExtractedChunk]]]:
    """Gather outcomes into batches of `batch_size` pictures, or of `MAX_BATCH_WAIT_S`.

    The first pictures are a batch at once: the workers go on while the model is loaded for them. A
    fault becomes items of status error.
    """
    batch: list[tuple[list[Task], ExtractedChunk]] = []
    pictures, min_pictures, since = 0, 1, monotonic()
    for outcome in outcomes:
        prepared = outcome.result or make_failed_chunk(outcome.items[0], outcome.fault, forms)
        batch.append((outcome.items, prepared))
        pictures += len(prepared.pictures) + PICTURES_PER_STRIP * len(prepared.strips)
        if not outcome.more and (
            pictures >= min_pictures or monotonic() - since > MAX_BATCH_WAIT_S
        ):
            yield batch
            batch, pictures, min_pictures, since = [], 0, batch_size, monotonic()
    if batch:
        yield batch


def make_failed_chunk(task: Task, fault: str, forms: FormTemplates) -> ExtractedChunk:
    """Make the chunk of a task whose worker failed: an error for the file or for each field."""
    form = forms.only_template if task.page is not None else None
    detail = f"could not be read: {fault}"
    items = [
        ExtractedItem(0, task.page or 1, "error", detail, one)
        for one in (form.fields if form else [None])
    ]
    return ExtractedChunk(items, make_empty_pictures(), stood=[task.entry])


def plan_files(
    files: Sequence[Source], options: RunOptions, skipped: dict[str, int] | None = None
) -> Iterator[PlannedFile]:
    """Plan what a run would read each file as, from the files' headers alone.

    Args:
        files: the files; of archives, the members are planned.
        options: how files are read.
        skipped: as in `sources.FoundSources`; what is skipped in archives is added.
    """
    plan = partial(
        plan_chunk, as_=options.as_, max_pixels=options.max_pixels, template=bool(options.template)
    )
    executor = workers.choose_executor(
        options.workers, seconds=options.page_seconds, memory_mib=WORKER_MEMORY_MIB
    )
    tasks = FileTasks(files)
    tasks.skipped = {} if skipped is None else skipped
    chunks = make_chunks(expand_archives(tasks, tasks), len(files), options.workers)
    with closing(executor.map_chunks(plan, chunks)) as outcomes:
        for outcome in outcomes:
            if outcome.result is None:
                yield PlannedFile(outcome.items[0].source.file, "error", 1, outcome.fault)
            else:
                yield from outcome.result
