"""Pictures become readings by the model, and readings rows."""

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits import calibrate, classify
from batchdigits.normalize import shares
from batchdigits.options import RunOptions
from batchdigits.pipeline import numbers
from batchdigits.pipeline.desk import Item, Prepared, unpacked
from batchdigits.pipeline.tasks import Task
from batchdigits.pipeline.values import PLAIN, Filled, Read, Value, of_field, of_image
from batchdigits.records import Digit, Grey, Laid, Row

log = logging.getLogger(__name__)

Logits = NDArray[np.float32]
Batch = Sequence[tuple[Sequence[Task], Prepared]]


class Done(NamedTuple):
    """What came of a batch.

    Attributes:
        rows: of the table.
        digits: of `--digits-out`; none where the options do not ask for them.
        laid: the pages of forms that were laid straight.
    """

    rows: list[Row]
    digits: list[Digit]
    laid: list[Laid]


class Judge:
    """Turns what the workers prepared into rows; the model is loaded at the first picture."""

    def __init__(self, card: classify.Card, options: RunOptions) -> None:
        """Take the threshold from the options, else from the model's card."""
        self._card, self._options = card, options
        wanted = options.min_confidence
        self._threshold = card.threshold if wanted is None else wanted
        self._classifier: classify.Classifier | None = None
        own = card.numbers.threshold if card.numbers else card.threshold
        self._number_threshold = own if wanted is None else wanted
        self._reader: classify.Reader | None = None

    def done(self, batch: Batch) -> Done:
        """Classify the batch's pictures and give the row of each item, in order."""
        pictures = np.concatenate([prepared.pictures for _, prepared in batch])
        readings = iter(self._readings(pictures))
        strips = [unpacked(one) for _, prepared in batch for one in prepared.strips]
        lines = iter(zip(strips, self._lines(strips), strict=True))
        out = Done([], [], [])
        for tasks, prepared in batch:
            for item in prepared.items:
                file = tasks[item.source].source.file
                if item.number is None:
                    self._add(out, file, item, readings)
                else:
                    self._add_number(out, file, item, next(lines))
            out.laid.extend(prepared.laid)
        return out

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
        columns = [column.tolist() for column in judged[:-1]]
        return [Read(*one) for one in zip(*columns, judged.likely, strict=True)]

    def _lines(self, strips: Sequence[Grey]) -> Sequence[Logits | None]:
        """Read strips; None for each where there is no number reader."""
        if not strips or self._card.numbers is None:
            return [None] * len(strips)
        if self._reader is None:
            self._reader = classify.load_reader(self._options.model, device=self._options.device)
        return self._reader.logits(strips)

    def _add_number(
        self, out: Done, file: str, item: Item, line: tuple[Grey, Logits | None]
    ) -> None:
        """Add what a number says, and its digits."""
        name = "" if item.field is None else item.field.name
        strip, logits = line
        if logits is None or self._card.numbers is None:
            value = Value("", 0.0, "review", item.detail or numbers.NO_READER)
            out.rows.append(Row(file, item.page, name, *value))
            return
        found = numbers.read(logits, item.field, self._card.numbers.temperature)
        value = numbers.of_number(item.field, found, self._number_threshold, item.detail)
        out.rows.append(Row(file, item.page, name, *value))
        if self._options.digits_out is not None and item.number is not None:
            for position, one in enumerate(numbers.digits(strip, item.number, found), 1):
                out.digits.append(Digit(file, item.page, name, position, *one[:-1], *one.place))

    def _add(self, out: Done, file: str, item: Item, readings: Iterator[Read]) -> None:
        """Add what an item says, and its digits."""
        name = "" if item.field is None else item.field.name
        filled: Filled = [
            (spot, next(readings) if spot.status is None else None) for spot in item.spots
        ]
        if item.status is not None:
            confidence = 0.0 if item.status == "review" else None
            value = Value("", confidence, item.status, item.detail)
        elif item.field is None and len(filled) == 1:
            value = of_image(*filled[0], self._threshold)
        else:
            value = of_field(item.field or PLAIN, filled, self._threshold, item.detail)
        out.rows.append(Row(file, item.page, name, *value))
        if self._options.digits_out is not None:
            for position, (spot, read) in enumerate(filled, 1):
                if read is not None:
                    said = (str(read.digit), read.confidence, str(read.second), read.runner_up)
                    out.digits.append(Digit(file, item.page, name, position, *said, *spot.place))
