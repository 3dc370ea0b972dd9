"""Numbers written freely, composed of single digits: what the reader of numbers learns from.

A string is written in one hand, or in several, on a canvas with ink light: digits side by side,
apart, touching or overlapping, slanted together, with the separators and flourishes of amounts.
Then it is scanned: dark ink on paper with a pattern, on a ruled line, in boxes, coarse, as JPEG.
All by chance, from a generator the caller gives.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.labelled import NO_DIGIT_LABEL
from batchdigits.records import GreyImage
from batchdigits.training.alter import Hand, Ink, laid, written_otherwise
from batchdigits.training.corpus import Corpus
from batchdigits.training.lines import (
    FLOURISH,
    HIGH,
    OTHER,
    SEPARATOR,
    Sign,
    Written,
    cut,
    in_row,
    lay,
    pressed,
    proportioned,
    sized,
)
from batchdigits.training.paper import scanned
from batchdigits.training.pen import Random, Strokes, add_tremor, draw_strokes
from batchdigits.training.signs import (
    crossed_beside,
    flourish,
    fraction,
    point,
    stacked,
    struck,
    underlined,
)
from batchdigits.training.strangers import draw_stranger
from batchdigits.training.strokes import Writer, drawn, writer

HANDS = (
    Hand(turn=3, slant=0.08, stretch=0.12, tremble=(0.4, 1.2), trembling=0.4),
    Hand(turn=5, slant=0.14, stretch=0.2, tremble=(0.6, 2.4), trembling=0.8),
)
SIZE = 0.5
"""How much more often a larger source is taken: by this power of its size."""
OTHERWISE = {0: 0.03, 1: 0.35, 7: 0.25}
"""Share of these digits that get the stroke some countries give them."""
STROKES, WRITERS = 0.15, 0.3
"""Share of the digits that are drawn by strokes, and of the strings that are, in one hand."""
_POINTS = "." * 6 + "," * 4 + "'"
_ENDS = (".-", ".-", ",-", "-", "-", "=", "=", ".", ".", ",", ".=", "--", "#", "*", "~", "/-", "%")
UNDERLINED, TICKED, SPOILED = 0.16, 0.12, 0.1
"""Shares of the strings with a stroke under them, with a cross beside them, and with a digit that
is struck out, overwritten, or a fraction."""
NO_NUMBERS = 0.12
"""Share of the strings that are no number: words, numbers struck out, one above another."""
STRUCK = 0.08
"""Share of the real strings that are struck out."""
PEN_STRINGS = 0.15
"""Share of the strings that are as a pen wrote them, where there are such."""
_STARTS = ("#", "=", "-", "*", "$")


class Script(NamedTuple):
    """How all of a string is written.

    Attributes:
        hand: how far its digits are from what they were.
        source: which labelled set they come from.
        by: who draws them by strokes, instead; None for no one.
        pen: the width of its strokes, px of a digit 40 px high; 0 for each digit's own.
        mixed: whether each digit comes from another source.
        plain: whether all come from its source as they are, but for its hand.
    """

    hand: Hand
    source: int
    by: Writer | None
    pen: int
    mixed: bool
    plain: bool = False


class PenString(NamedTuple):
    """A string as a pen wrote it, with its labels as in `Written`."""

    strokes: Strokes
    labels: list[int]


class Hands:
    """Draws strings from the digits of a corpus."""

    def __init__(
        self, corpus: Corpus, favourite: float = 0.0, written: Sequence[PenString] = ()
    ) -> None:
        """Sort the corpus by source and label.

        Args:
            corpus: single digits.
            favourite: share of the strings that are written in digits of its last source, if that
                has all ten.
            written: strings as a pen wrote them; they are drawn beside the composed ones.
        """
        self._written = written
        self._inks = corpus.inks
        self._digits: list[list[NDArray[np.int64]]] = []
        self._none = np.flatnonzero(corpus.labels == NO_DIGIT_LABEL)
        for source in range(int(corpus.sources.max()) + 1):
            of = corpus.sources == source
            each = [np.flatnonzero(of & (corpus.labels == digit)) for digit in range(10)]
            whole = all(len(one) for one in each)
            if whole:
                self._digits.append(each)
        self._favourite = favourite if whole else 0.0
        size = np.array([sum(map(len, each)) for each in self._digits], np.float64)
        self._weights = size**SIZE / (size**SIZE).sum()

    def strip(self, random: Random) -> tuple[GreyImage, list[int]]:
        """Compose one string as a scan; return it with its labels."""
        written = self.written(random)
        return scanned(written.ink, written.boxed, random), written.labels

    def written(self, random: Random) -> Written:
        """Write one string."""
        if self._written and random.random() < PEN_STRINGS:
            return _draw_pen_string(self._written[int(random.integers(len(self._written)))], random)
        digits = _digits(random)
        kind = random.random()
        if kind < NO_NUMBERS:
            return self._no_number(digits, random)
        if kind < NO_NUMBERS + 0.08:
            return self._boxes(digits, random)
        row = in_row(self._signs(digits, random), random)
        if random.random() < UNDERLINED:
            row = row._replace(ink=underlined(row.ink, random))
        return row

    def _signs(self, digits: Sequence[int], random: Random) -> list[Sign]:
        """Give each digit its ink, and put separators and flourishes among them."""
        script = self._script(random)
        pen = max(2, (script.pen or 4) + int(random.integers(-1, 2)))
        alien = 0.25 if random.random() < 0.03 else 0.0
        spoiled = int(random.integers(len(digits))) if random.random() < SPOILED else -1
        out = []
        points = _points(len(digits), random)
        if random.random() < 0.05:
            out.append(Sign(FLOURISH, flourish(random.choice(_STARTS), pen, random)))
        for at, digit in enumerate(digits):
            if at in points:
                out.append(Sign(SEPARATOR, point(points[at], pen, random)))
            if random.random() < alien:
                out.append(Sign(OTHER, self._stranger(random)))
                continue
            ink = self._digit(digit, script, random)
            out.append(self._spoil(ink, script, pen, random) if at == spoiled else Sign(digit, ink))
        if random.random() < TICKED:
            out.append(Sign(FLOURISH, crossed_beside(pen, random)))
        if random.random() < 0.35:
            for mark in _ENDS[int(random.integers(len(_ENDS)))]:
                label = SEPARATOR if mark in ".," else FLOURISH
                draw = point if label == SEPARATOR else flourish
                out.append(Sign(label, draw(mark, pen, random)))
        return out

    def _script(self, random: Random) -> Script:
        """Choose how all of a string is written."""
        if random.random() < self._favourite:
            last = len(self._digits) - 1
            return Script(HANDS[0], last, by=None, pen=0, mixed=False, plain=True)
        return Script(
            hand=HANDS[int(random.integers(len(HANDS)))],
            source=self._source(random),
            by=writer(random) if random.random() < WRITERS else None,
            pen=int(random.integers(3, 6)) if random.random() < 0.55 else 0,
            mixed=random.random() < 0.25,
        )

    def _digit(self, digit: int, script: Script, random: Random) -> GreyImage:
        """Write one digit, at times as in countries that give 1 an upstroke and 7 a bar."""
        ink: Ink
        if script.by or (not script.plain and random.random() < STROKES):
            ink = cut(drawn(digit, script.by or writer(random), random))
        else:
            rows = self._digits[self._source(random) if script.mixed else script.source][digit]
            ink = self._inks[int(rows[random.integers(len(rows))])]
            other = not script.plain and random.random() < OTHERWISE.get(digit, 0.0)
            if other and not isinstance(ink, tuple):
                ink = written_otherwise(ink, digit, random)
        ink = proportioned(cut(laid(ink, random, script.hand)), random)
        return pressed(ink, script.pen)

    def _spoil(self, ink: GreyImage, script: Script, pen: int, random: Random) -> Sign:
        """Strike a digit out, write another over it, or write a fraction in its place."""
        kind = random.random()
        other, third = (self._digit(int(random.integers(10)), script, random) for _ in range(2))
        if kind < 0.35:
            return Sign(OTHER, fraction(other, third, max(2, pen - 1), random))
        if kind < 0.65:
            return Sign(OTHER, cut(struck(ink, random)))
        size = (ink.shape[1], ink.shape[0])
        over = cv2.resize(other, size, interpolation=cv2.INTER_AREA)
        return Sign(OTHER, np.maximum(ink, np.asarray(over, np.uint8)))

    def _source(self, random: Random) -> int:
        return int(random.choice(len(self._weights), p=self._weights))

    def _stranger(self, random: Random) -> GreyImage:
        """Give something that is no digit: a letter, a sign, a scribble."""
        if len(self._none) and random.random() < 0.6:
            chosen = self._inks[int(self._none[random.integers(len(self._none))])]
            return cut(laid(chosen, random))
        return cut(draw_stranger(random, lambda digit: self._choose_digit(digit, random)))

    def _choose_digit(self, digit: int | None, random: Random) -> Ink:
        wanted = int(random.integers(10)) if digit is None else digit
        rows = self._digits[self._source(random)][wanted]
        return self._inks[int(rows[random.integers(len(rows))])]

    def _no_number(self, digits: Sequence[int], random: Random) -> Written:
        """Write what is no number: a word, scribbles, a number struck out, one above another."""
        kind = random.random()
        if kind < 0.35:
            signs = [Sign(OTHER, self._stranger(random)) for _ in digits]
            return in_row(signs, random)
        row = in_row(self._signs(digits, random), random)
        if kind < 0.7:
            ink = struck(row.ink, random)
            return Written(ink, [OTHER] * sum(one < 10 for one in row.labels), [])
        below = in_row(self._signs(_digits(random), random), random)
        if random.random() < 0.6:
            row = row._replace(ink=struck(row.ink, random))
        many = max(sum(one < 10 for one in part.labels) for part in (row, below))
        return Written(stacked(row.ink, below.ink, random), [OTHER] * many, [])

    def _boxes(self, digits: Sequence[int], random: Random) -> Written:
        """Write a digit into each box of a row."""
        script = self._script(random)
        wide = int(HIGH * random.uniform(0.8, 1.6))
        high = int(HIGH * random.uniform(1.15, 1.6))
        canvas = np.zeros((high, wide * len(digits)), np.uint8)
        for at, digit in enumerate(digits):
            ink = self._digit(digit, script, random)
            ink = sized(ink, HIGH * random.uniform(0.75, 1.05), wide - 3)
            x = int(wide * at + random.uniform(0.2, 0.8) * (wide - ink.shape[1]))
            y = int(random.uniform(0.1, 0.9) * max(0, high - ink.shape[0]))
            lay(canvas, ink, x, y)
        return Written(canvas, list(digits), [wide * at for at in range(len(digits) + 1)])


def _draw_pen_string(string: PenString, random: Random) -> Written:
    """Draw a string that a pen wrote with another pen, size and slant."""
    points = np.concatenate(string.strokes).astype(np.float64)
    high = max(float(np.ptp(points[:, 1])), 0.02)
    scale = HIGH * random.uniform(0.9, 1.3) / high
    across, slant = np.exp(random.normal(0, 0.15)), random.normal(0, 0.2)
    points = points @ np.array([[scale * across, 0], [slant * scale, scale]])
    if random.random() < 0.6:
        points = add_tremor(points, random.uniform(0.4, 1.6), random)
    points -= points.min(axis=0) - 8
    width, height = np.ceil(points.max(axis=0)).astype(int) + 8
    ends = np.cumsum([len(one) for one in string.strokes])[:-1]
    canvas = np.zeros((min(height, 200), min(width, 2000)), np.uint8)
    draw_strokes(canvas, tuple(np.split(points, ends)), int(random.integers(2, 7)))
    return Written(cut(canvas), string.labels, [])


def _digits(random: Random) -> list[int]:
    """Choose the digits: round amounts have zeros at their end, few numbers are very long."""
    many = min(20, 1 + int(random.gamma(3.2, 1.35)))
    digits: list[int] = random.integers(0, 10, many).tolist()
    if random.random() < 0.25:
        zeros = min(many - 1, int(random.integers(1, 5)))
        digits[many - zeros :] = [0] * zeros
    if random.random() < 0.1:
        at = int(random.integers(many))
        digits[at : at + 2] = [digits[at]] * len(digits[at : at + 2])
    return digits


def _points(many: int, random: Random) -> dict[int, str]:
    """Choose before which digits a separator stands: at thousands, before cents, or anywhere."""
    chance = random.random()
    sign = _POINTS[int(random.integers(len(_POINTS)))]
    if chance < 0.4:
        return dict.fromkeys(range(many - 3, 0, -3), sign)
    if chance < 0.5 and many > 2:
        return {many - 2: sign}
    if chance < 0.55 and many > 1:
        return {int(random.integers(1, many)): sign}
    return {}
