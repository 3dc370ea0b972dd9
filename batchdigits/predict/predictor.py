"""Pictures and strips become findings: the networks of a model read them."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate, predict
from batchdigits.extract.chunk_builder import ExtractedChunk, ExtractedItem, decode_strip
from batchdigits.extract.tasks import Task
from batchdigits.normalize import shares
from batchdigits.options import Runtime
from batchdigits.predict import Card, numbers
from batchdigits.predict.decoding import DecodedStrip
from batchdigits.predict.findings import DigitPrediction, Finding, TaskFindings
from batchdigits.predict.plain_digits import ChunkFindings, PlainDigits
from batchdigits.records import GreyImage
from batchdigits.templates.field import Field

log = logging.getLogger(__name__)

UNCALIBRATED_MESSAGE = "model '%s' is uncalibrated: its confidences may be far off"
NO_PREDICTIONS = calibrate.DigitPredictions(
    digit=np.zeros(0, np.int64),
    confidence=np.zeros(0),
    second=np.zeros(0, np.int64),
    other=np.zeros(0, np.bool_),
    likely=np.zeros((0, calibrate.DIGIT_COUNT)),
)
Batch = Sequence[tuple[list[Task], ExtractedChunk]]
"""Chunks of tasks, each with what a worker extracted."""


class Predictor:
    """The networks of a model; each is loaded when its first picture comes."""

    def __init__(self, card: Card, device: str, runtime: Runtime = "tensorflow") -> None:
        """Prepare to run the model of a card on a device, without loading it."""
        self._card, self._device, self._runtime = card, device, runtime
        self._classifier: predict.DigitNetwork | None = None
        self._reader: predict.NumberReader | None = None

    def predict_batch(self, batch: Batch) -> list[ChunkFindings]:
        """Read a batch's pictures and strips; return the findings of each chunk, in order."""
        strips = [decode_strip(one) for _, prepared in batch for one in prepared.strips]
        items = [item for _, prepared in batch for item in prepared.items]
        pictures = np.concatenate([prepared.pictures for _, prepared in batch])
        of_fields = [_find_field_pictures(prepared) for _, prepared in batch]
        reads = self._predict_digits(pictures, np.concatenate(of_fields))
        fields = [item.field for item in items if item.number is not None]
        lines = iter(zip(strips, self._predict_numbers(strips, fields), strict=True))
        chunks, start = [], 0
        for tasks, prepared in batch:
            middle = start + len(prepared.pictures) - len(prepared.plain.indexes)
            plain = PlainDigits.select(prepared.plain, reads, middle)
            others = self._list_findings(tasks, prepared, _list_reads(reads, start, middle), lines)
            chunks.append(ChunkFindings(tasks, plain if plain.digits else None, others))
            start += len(prepared.pictures)
        return chunks

    def _list_findings(
        self,
        tasks: Sequence[Task],
        prepared: ExtractedChunk,
        reads: Iterator[DigitPrediction],
        lines: Iterator[tuple[GreyImage, DecodedStrip | None]],
    ) -> list[TaskFindings]:
        """List the findings of those of a chunk's tasks that are no plain crops."""
        stood = prepared.stood or [None] * len(tasks)
        plain = set(prepared.plain.indexes)
        of_tasks = {
            n: TaskFindings(task, [], [], stood[n])
            for n, task in enumerate(tasks)
            if n not in plain
        }
        for item in prepared.items:
            of_tasks[item.source].findings.append(self._make_finding(item, reads, lines))
        for source, page in prepared.laid:
            of_tasks[source].laid.append(page)
        for one in prepared.shown:
            seen = (*of_tasks[one.source].shown, one)
            of_tasks[one.source] = of_tasks[one.source]._replace(shown=seen)
        return list(of_tasks.values())

    def _make_finding(
        self,
        item: ExtractedItem,
        reads: Iterator[DigitPrediction],
        lines: Iterator[tuple[GreyImage, DecodedStrip | None]],
    ) -> Finding:
        if item.number is None:
            return Finding(
                item, tuple(next(reads) if spot.status is None else None for spot in item.spots)
            )
        strip, number = next(lines)
        if number is None:
            return Finding(item)
        return Finding(
            item, (), number, tuple(numbers.list_number_digits(strip, item.number, number))
        )

    def _predict_digits(
        self, pictures: NDArray[np.uint8], of_fields: NDArray[np.bool_]
    ) -> calibrate.DigitPredictions:
        """Read pictures; those of fields (N,) are looked at several times, if the model can."""
        if not len(pictures):
            return NO_PREDICTIONS
        if self._classifier is None:
            self._classifier = predict.load_classifier(
                self._card, device=self._device, runtime=self._runtime
            )
            if not self._card.calibrated:
                log.warning(UNCALIBRATED_MESSAGE, self._card.name)
        if isinstance(self._classifier, predict.Cascade) and of_fields.any():
            logits = np.zeros((len(pictures), len(self._card.classes)), np.float32)
            logits[of_fields] = self._classifier.read_fields(shares(pictures[of_fields]))
            logits[~of_fields] = self._classifier.logits(shares(pictures[~of_fields]))
        else:
            logits = self._classifier.logits(shares(pictures))
        return calibrate.predict_digits(logits, self._card.temperature)

    def _predict_numbers(
        self, strips: Sequence[GreyImage], fields: Sequence[Field | None]
    ) -> Sequence[DecodedStrip | None]:
        """Read strips; the results are None if the model has no number reader."""
        if not strips or self._card.numbers is None:
            return [None] * len(strips)
        if self._reader is None:
            self._reader = predict.load_number_reader(self._card, device=self._device)
        temperature = self._card.numbers.temperature
        return numbers.read_numbers(self._reader.logits, strips, fields, temperature)


def _list_reads(
    predictions: calibrate.DigitPredictions, start: int, end: int
) -> Iterator[DigitPrediction]:
    """Return the predictions for the pictures from `start` on, up to `end`, as records."""
    columns = [column[start:end].tolist() for column in predictions]
    return map(DigitPrediction._make, zip(*columns, strict=True))


def _find_field_pictures(prepared: ExtractedChunk) -> NDArray[np.bool_]:
    """Find the pictures (N,) of a chunk that are boxes of fields of several boxes."""
    of_fields = [
        len(item.spots) > 1
        for item in prepared.items
        if item.number is None
        for spot in item.spots
        if spot.status is None
    ]
    return np.array(of_fields + [False] * len(prepared.plain.indexes), bool)
