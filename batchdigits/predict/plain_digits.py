"""Predictions for plain crops, by columns; and their findings, as a state stores them.

What is stored is the same text, to the letter, as `findings.encode_findings` writes. Most findings
of a large folder are of this one form, and one pattern and one template take a tenth of the time.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from batchdigits.calibrate import DIGIT_COUNT, DigitPredictions
from batchdigits.extract.chunk_builder import DigitSpot, ExtractedItem
from batchdigits.extract.plain_crops import PlainCrops
from batchdigits.extract.tasks import Task
from batchdigits.predict.findings import (
    FINDINGS_VERSION,
    DigitPrediction,
    Finding,
    TaskFindings,
    decode_findings,
)
from batchdigits.records import FileSnapshot

_OTHER_TEXTS = ("", ',"other":true')
_PLAIN_TEXT = re.compile(
    rf'{{"version":{FINDINGS_VERSION},"findings":\[{{"spots":\[{{"place":\[0,0,(\d+),(\d+)\],'
    r'"read":{"digit":(\d),"confidence":([^,]+),"likely":{"(\d)":([^,}]+)}(,"other":true)?}}\]}\]}'
)


class PlainDigits(NamedTuple):
    """The predictions for a chunk's plain crops; row n of each column belongs to crop n.

    Attributes:
        crops: their files.
        digits: the likeliest digits.
        confidences: as of `calibrate.DigitPredictions`.
        seconds: the second likeliest digits.
        second_probabilities: their probabilities among all classes.
        others: whether "not a digit" is likelier than every digit.
    """

    crops: PlainCrops
    digits: list[int]
    confidences: list[float]
    seconds: list[int]
    second_probabilities: list[float]
    others: list[bool]

    @classmethod
    def select(cls, crops: PlainCrops, predictions: DigitPredictions, start: int) -> "PlainDigits":
        """Return the predictions for crops, of which the first is at `start` among all."""
        rows = slice(start, start + len(crops.indexes))
        second = predictions.second[rows]
        likely = predictions.likely[rows]
        return cls(
            crops,
            predictions.digit[rows].tolist(),
            predictions.confidence[rows].tolist(),
            second.tolist(),
            likely[range(len(second)), second].tolist(),
            predictions.other[rows].tolist(),
        )

    def encode(self) -> list[str]:
        """Encode the findings of each file, as `findings.encode_findings` does."""
        _, widths, heights, *_ = self.crops
        rows = zip(widths, heights, *self[1:], strict=True)
        start = f'{{"version":{FINDINGS_VERSION},"findings":[{{"spots":[{{"place":[0,0,'
        return [
            f'{start}{width},{height}],"read":{{"digit":{digit},"confidence":{confidence!r},'
            f'"likely":{{"{second}":{probability!r}}}{_OTHER_TEXTS[other]}}}}}]}}]}}'
            for width, height, digit, confidence, second, probability, other in rows
        ]

    def list_snapshots(self, tasks: Sequence[Task]) -> list[FileSnapshot]:
        """Return how each file was when it was read; `tasks` are those of the chunk."""
        indexes, _, _, sures, contents = self.crops
        entries = [tasks[index].entry for index in indexes]
        return [
            FileSnapshot(one.file, one.size, one.time, sure, content)
            for one, sure, content in zip(entries, sures, contents, strict=True)
            if one is not None  # plain crops are of files that were listed
        ]

    def list_findings(self, tasks: Sequence[Task]) -> Iterator[tuple[int, TaskFindings]]:
        """Yield the findings of each file as records, with the index of its task."""
        indexes, widths, heights, *_ = self.crops
        rows = zip(indexes, widths, heights, self.list_snapshots(tasks), *self[1:], strict=True)
        for index, width, height, stood, *read in rows:
            finding = _make_finding(_make_item(width, height), *read)
            yield index, TaskFindings(tasks[index], [finding], [], stood)


class ChunkFindings(NamedTuple):
    """The findings of the tasks of a chunk.

    Attributes:
        tasks: all tasks, in order.
        plain: of files that are one plain digit, by columns; None if there are none.
        others: of all other tasks, in order.
    """

    tasks: Sequence[Task]
    plain: PlainDigits | None
    others: list[TaskFindings]

    def without_tasks(self) -> "ChunkFindings":
        """Return the findings without the tasks, which whoever gets them has."""
        nothing: Any = None
        return ChunkFindings((), self.plain, [one._replace(task=nothing) for one in self.others])

    def with_tasks(self, tasks: Sequence[Task]) -> "ChunkFindings":
        """Return findings that came without tasks, with their tasks."""
        plain = set(() if self.plain is None else self.plain.crops.indexes)
        left = [task for n, task in enumerate(tasks) if n not in plain]
        others = [one._replace(task=task) for one, task in zip(self.others, left, strict=True)]
        return ChunkFindings(tasks, self.plain, others)

    @property
    def task_count(self) -> int:
        """The number of tasks, also where these are left out."""
        return len(self.others) + (0 if self.plain is None else len(self.plain.digits))

    def list_findings(self) -> list[TaskFindings]:
        """Return the findings of all tasks as records, in order."""
        if self.plain is None:
            return self.others
        known = dict(self.plain.list_findings(self.tasks))
        others = iter(self.others)
        return [known.get(n) or next(others) for n in range(len(self.tasks))]


def decode_file_findings(text: str) -> list[Finding]:
    """Decode stored findings, as `findings.decode_findings` does."""
    match = _PLAIN_TEXT.fullmatch(text)
    if match is None:
        return decode_findings(text)
    width, height, digit, confidence, second, probability, other = match.groups()
    item = _make_item(int(width), int(height))
    read = int(digit), float(confidence), int(second), float(probability), other is not None
    return [_make_finding(item, *read)]


@lru_cache(maxsize=4096)
def _make_item(width: int, height: int) -> ExtractedItem:
    """Make the item of a plain crop; crops of one size share it."""
    return ExtractedItem(0, 1, None, "", None, (DigitSpot(None, "", (0, 0, width, height)),))


def _make_finding(  # noqa: PLR0913, PLR0917 (the columns of a prediction)
    item: ExtractedItem,
    digit: int,
    confidence: float,
    second: int,
    probability: float,
    other: bool,
) -> Finding:
    likely = [0.0] * DIGIT_COUNT
    likely[second] = probability
    return Finding(item, (DigitPrediction(digit, confidence, second, other, likely),))
