"""The only room that knows the order: sources, pages, normalize, classify, calibrate, results.

Worker processes decode and normalise chunks of files; this process calls the model on what they
send back and writes the rows, in the order of the files, while the workers go on.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate, classify, engine, pages, results, sources
from batchdigits.errors import ModelError
from batchdigits.normalize import VERSION, Normalized, normalize
from batchdigits.options import RunOptions
from batchdigits.records import As, Failure, Grey, Invert, Kind, Page, Row, Source, Status

log = logging.getLogger(__name__)

CHUNK_FILES = 256
"""Files a worker takes at a time."""
CHUNK_BYTES = 16 << 20
"""Bytes of files a worker takes at a time: a chunk should read well within the time limit."""
WORKER_MIB = 1024
"""Memory a worker may take for its files."""
SLAB_PIXELS = 4 << 20
"""Pixels of crops that a worker holds before it normalises them."""
DOT = 0.13
"""A mark under this share of its crop, in height and in width, is no digit but a dot."""
DIGIT_SIDE, DIGIT_ASPECT, NUMBER_HEIGHT = 256, 1.6, 600
"""What `--as auto` goes by; see `kind_of`."""

Progress = Callable[[int], object]


class Item(NamedTuple):
    """What became of one page in a worker: a digit's picture, or what to say instead.

    Attributes:
        source: index of its file within the chunk.
        page: counted from 1.
        status: None where there is a picture, the next in order.
        detail: why there is none.
    """

    source: int
    page: int
    status: Status | None
    detail: str


class Prepared(NamedTuple):
    """What a worker returns for a chunk: items in order, and pictures (M, 28, 28, 1) in [0, 1]."""

    items: list[Item]
    pictures: NDArray[np.float32]


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


def kind_of(as_: As, height: int, width: int) -> tuple[Kind, str]:
    """Tell what an image holds, and why it is taken for that.

    Args:
        as_: digit, number or form where the user said so; auto goes by size.
        height: in pixels, upright.
        width: in pixels, upright.
    """
    size = f"{width} x {height} px"
    if as_ != "auto":
        return as_, f"{size}; --as {as_}"
    if max(height, width) <= DIGIT_SIDE and width <= DIGIT_ASPECT * height:
        return "digit", f"{size}: up to {DIGIT_SIDE} px, no wider than {DIGIT_ASPECT} x its height"
    if width > DIGIT_ASPECT * height and height < NUMBER_HEIGHT:
        return "number", f"{size}: wider than {DIGIT_ASPECT} x its height, under 600 px high"
    return "form", f"{size}: over {DIGIT_SIDE} px"


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
    opened: AbstractContextManager[results.Write] = results.writer(out, excel=options.excel)
    with opened as write:
        for batch in rows(found.sources, options, progress):
            write(batch)
            summary.statuses.update(row.status for row in batch)
    summary.seconds = time.monotonic() - begin
    return summary


def rows(
    files: Sequence[Source], options: RunOptions, progress: Progress = lambda _: None
) -> Iterator[list[Row]]:
    """Read files; yield their rows batch by batch, in the order of the files."""
    card = _usable_card(options.model)
    prepare_chunk = partial(
        prepare, as_=options.as_, invert=options.invert, max_pixels=options.max_pixels
    )
    outcomes = engine.run(
        prepare_chunk,
        _chunks(files),
        workers=options.workers,
        seconds=options.page_seconds,
        memory_mib=WORKER_MIB,
    )
    judge = Judge(card, options)
    for batch in _batches(outcomes, options.batch_size):
        yield judge.rows(batch)
        progress(sum(len(files) for files, _ in batch))


def _usable_card(model: str | None) -> classify.Card:
    card = classify.card(model)
    if card.preprocessing not in (None, VERSION):
        raise ModelError(
            f"model '{card.name}' expects preprocessing version {card.preprocessing}, this is "
            f"version {VERSION}: train it again, or install the batchdigits it came with"
        )
    if not card.calibrated:
        log.warning(
            "model '%s' is uncalibrated: its confidences may be far from the truth", card.name
        )
    return card


def _chunks(files: Iterable[Source]) -> Iterator[list[Source]]:
    """Cut files into chunks by number and by size on disk."""
    chunk: list[Source] = []
    room = CHUNK_BYTES
    for source in files:
        size = 0 if source.fault else _size(source.path)
        if chunk and (len(chunk) == CHUNK_FILES or size > room):
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
    """Gather outcomes until they hold `batch_size` pictures; a fault becomes an error item."""
    batch: Batch = []
    pictures = 0
    for outcome in outcomes:
        prepared = outcome.result or Prepared(
            [Item(0, 1, "error", f"could not be read: {outcome.fault}")], _no_pictures()
        )
        batch.append((outcome.items, prepared))
        pictures += len(prepared.pictures)
        if pictures >= batch_size:
            yield batch
            batch, pictures = [], 0
    if batch:
        yield batch


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

    def _readings(self, pictures: NDArray[np.float32]) -> list[tuple[int, float, int]]:
        """Read pictures: the digit, its confidence as written, and the runner-up."""
        if not len(pictures):
            return []
        if self._classifier is None:
            self._classifier = classify.load(self._options.model, device=self._options.device)
        logits = self._classifier.logits(pictures)
        likely = calibrate.probabilities(logits, self._card.temperature)
        order = likely.argsort(axis=1, kind="stable")
        best = np.take_along_axis(likely, order[:, -1:], axis=1)[:, 0]
        confidence = calibrate.written(best)
        return list(
            zip(order[:, -1].tolist(), confidence.tolist(), order[:, -2].tolist(), strict=True)
        )

    def _row(self, source: Source, item: Item, readings: Iterator[tuple[int, float, int]]) -> Row:
        if item.status is not None:
            confidence = 0.0 if item.status == "review" else None
            return Row(source.file, item.page, "", "", confidence, item.status, item.detail)
        digit, confidence, second = next(readings)
        status: Status = "ok" if confidence >= self._threshold else "review"
        detail = "" if status == "ok" else f"under {self._threshold:.4f}; may be {second}"
        return Row(source.file, item.page, "", str(digit), confidence, status, detail)


def prepare(chunk: list[Source], *, as_: As, invert: Invert, max_pixels: int) -> Prepared:
    """Decode and normalise a chunk of files; this is what runs in the workers."""
    desk = _Desk(invert)
    for index, source in enumerate(chunk):
        if source.fault:
            desk.say(index, 1, "error", source.fault)
            continue
        for page in pages.read(source.path, max_pixels=max_pixels):
            _take(desk, index, page, as_)
    return desk.done()


def _take(desk: "_Desk", index: int, page: Page | Failure | pages.Unread, as_: As) -> None:
    """Lay one page on the desk, as what it is."""
    if isinstance(page, Failure):
        desk.say(index, page.page, "error", page.detail)
        return
    if isinstance(page, pages.Unread):
        kind: Kind = "form"
        why = page.format
    else:
        kind, why = kind_of(as_, *page.grey.shape)
    if kind == "digit" and isinstance(page, Page):
        desk.add(index, page.number, page.grey)
    else:
        what = "a number of several digits" if kind == "number" else "a page"
        desk.say(
            index,
            page.number,
            "review",
            f"looks like {what} ({why}); this version reads single digits",
        )


class _Desk:
    """Gathers a chunk's crops, normalises them slab by slab, and keeps the items in order."""

    def __init__(self, invert: Invert) -> None:
        self._invert = invert
        self._items: list[Item] = []
        self._crops: list[Grey] = []
        self._waiting: list[int] = []  # where in _items the crops belong
        self._pixels = 0
        self._pictures: list[NDArray[np.float32]] = [_no_pictures()]

    def say(self, source: int, page: int, status: Status, detail: str) -> None:
        self._items.append(Item(source, page, status, detail))

    def add(self, source: int, page: int, crop: Grey) -> None:
        self._waiting.append(len(self._items))
        self._items.append(Item(source, page, None, ""))
        self._crops.append(crop)
        self._pixels += crop.size
        if self._pixels >= SLAB_PIXELS:
            self._normalize()

    def done(self) -> Prepared:
        self._normalize()
        return Prepared(self._items, np.concatenate(self._pictures))

    def _normalize(self) -> None:
        found = normalize(self._crops, invert=self._invert)
        for at, verdict in zip(self._waiting, _verdicts(found), strict=True):
            if verdict:
                self._items[at] = self._items[at]._replace(status=verdict[0], detail=verdict[1])
        clear = [not verdict for verdict in _verdicts(found)]
        self._pictures.append(found.pictures[clear])
        self._crops, self._waiting, self._pixels = [], [], 0


def _verdicts(found: Normalized) -> list[tuple[Status, str] | None]:
    """Say of each crop why it holds no digit that could be read; None where it may hold one."""
    out: list[tuple[Status, str] | None] = []
    for extent, unclear in zip(found.extent.max(axis=1), found.unclear, strict=True):
        if unclear:
            out.append(("review", "not a digit: nothing stands out clearly from the paper"))
        elif extent == 0:
            out.append(("blank", "no ink"))
        elif extent < DOT:
            out.append(("review", f"not a digit: a dot of {extent:.0%} of the image's size"))
        else:
            out.append(None)
    return out


def _no_pictures() -> NDArray[np.float32]:
    return np.zeros((0, 28, 28, 1), np.float32)


class Planned(NamedTuple):
    """A line of `--dry-run`: a file, what it would be read as, its pages, and why."""

    file: str
    read_as: str
    pages: int
    why: str


def plan(files: Sequence[Source], options: RunOptions) -> Iterator[Planned]:
    """Tell what a run would read and as what, from the files' headers alone."""
    outcomes = engine.run(
        partial(_look, as_=options.as_, max_pixels=options.max_pixels),
        _chunks(files),
        workers=options.workers,
        seconds=options.page_seconds,
        memory_mib=WORKER_MIB,
    )
    for outcome in outcomes:
        if outcome.result is None:
            yield Planned(outcome.items[0].file, "error", 1, outcome.fault)
        else:
            yield from outcome.result


def _look(chunk: list[Source], *, as_: As, max_pixels: int) -> list[Planned]:
    out = []
    for source in chunk:
        seen = source.fault or pages.look(source.path, max_pixels=max_pixels)
        if isinstance(seen, str):
            out.append(Planned(source.file, "error", 1, seen))
        elif isinstance(seen, Failure):
            out.append(Planned(source.file, "error", 1, seen.detail))
        elif seen.format == "PDF":
            out.append(Planned(source.file, "form", seen.pages, "PDF"))
        else:
            kind, why = kind_of(as_, seen.height, seen.width)
            out.append(Planned(source.file, kind, seen.pages, f"{seen.format}, {why}"))
    return out
