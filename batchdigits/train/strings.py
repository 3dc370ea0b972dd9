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

from batchdigits.labelled import NONE
from batchdigits.records import Grey
from batchdigits.train.alter import Hand, Random, laid, written_otherwise
from batchdigits.train.corpus import Corpus
from batchdigits.train.paper import scanned
from batchdigits.train.strangers import stranger
from batchdigits.train.strokes import Writer, drawn, writer

SEPARATOR, FLOURISH, OTHER = 10, 11, 12
"""What signs mean beside the ten digits: `.` and `,`; `-`, `=`, `#` and the like; no digit."""
HIGH = 44
"""Height of a digit on the canvas, px, before chance has its say."""

HANDS = (
    Hand(turn=3, slant=0.08, stretch=0.12, tremble=(0.4, 1.2), trembling=0.4),
    Hand(turn=5, slant=0.14, stretch=0.2, tremble=(0.6, 2.4), trembling=0.8),
)
SIZE = 0.25
"""How much more often a larger source is taken: by this power of its size."""
OTHERWISE = {0: 0.03, 1: 0.35, 7: 0.25}
"""Share of these digits that get the stroke some countries give them."""
STROKES, WRITERS = 0.15, 0.3
"""Share of the digits that are drawn by strokes, and of the strings that are, in one hand."""
_POINTS = "." * 6 + "," * 4 + "'"
_ENDS = (".-", ".-", ",-", "-", "-", "=", "=", ".", ",", ".=", "--", "#", "*", "~")
_STARTS = ("#", "=", "-", "*", "$")


class Sign(NamedTuple):
    """One sign of a string: what it is, and its ink, cut to it."""

    label: int
    ink: Grey


class Script(NamedTuple):
    """How all of a string is written.

    Attributes:
        hand: how far its digits are from what they were.
        source: which labelled set they come from.
        by: who draws them by strokes, instead; None for no one.
        thin: whether strokes are made thinner.
        mixed: whether each digit comes from another source.
    """

    hand: Hand
    source: int
    by: Writer | None
    thin: bool
    mixed: bool


class Written(NamedTuple):
    """A string on a canvas.

    Attributes:
        ink: uint8, shape (H, W), ink light on no paper.
        labels: what is written, from left to right: digits, `SEPARATOR`, `FLOURISH`, `OTHER`.
        boxed: columns where one box ends and the next begins; none where there are no boxes.
    """

    ink: Grey
    labels: list[int]
    boxed: list[int]


class Hands:
    """Draws strings from the digits of a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        """Sort the corpus by source and label."""
        self._inks = corpus.inks
        self._digits: list[list[NDArray[np.int64]]] = []
        self._none = np.flatnonzero(corpus.labels == NONE)
        for source in range(int(corpus.sources.max()) + 1):
            of = corpus.sources == source
            each = [np.flatnonzero(of & (corpus.labels == digit)) for digit in range(10)]
            if all(len(one) for one in each):
                self._digits.append(each)
        size = np.array([sum(map(len, each)) for each in self._digits], np.float64)
        self._weights = size**SIZE / (size**SIZE).sum()

    def strip(self, random: Random) -> tuple[Grey, list[int]]:
        """Compose one string as a scan; return it with its labels."""
        written = self.written(random)
        return scanned(written.ink, written.boxed, random), written.labels

    def written(self, random: Random) -> Written:
        """Write one string."""
        digits = _digits(random)
        kind = random.random()
        if kind < 0.05:
            return self._no_number(digits, random)
        if kind < 0.13:
            return self._boxes(digits, random)
        signs = self._signs(digits, random)
        return _row(signs, random)

    def _signs(self, digits: Sequence[int], random: Random) -> list[Sign]:
        """Give each digit its ink, and put separators and flourishes among them."""
        script, pen = self._script(random), int(random.integers(3, 6))
        alien = 0.25 if random.random() < 0.03 else 0.0
        out = []
        points = _points(len(digits), random)
        if random.random() < 0.08:
            out.append(Sign(FLOURISH, _flourish(random.choice(_STARTS), pen, random)))
        for at, digit in enumerate(digits):
            if at in points:
                out.append(Sign(SEPARATOR, _point(points[at], pen, random)))
            if random.random() < alien:
                out.append(Sign(OTHER, self._stranger(random)))
                continue
            out.append(Sign(digit, self._digit(digit, script, random)))
        if random.random() < 0.35:
            for mark in _ENDS[int(random.integers(len(_ENDS)))]:
                label = SEPARATOR if mark in ".," else FLOURISH
                draw = _point if label == SEPARATOR else _flourish
                out.append(Sign(label, draw(mark, pen, random)))
        return out

    def _script(self, random: Random) -> Script:
        """Choose how all of a string is written."""
        return Script(
            hand=HANDS[int(random.integers(len(HANDS)))],
            source=self._source(random),
            by=writer(random) if random.random() < WRITERS else None,
            thin=random.random() < 0.4,
            mixed=random.random() < 0.25,
        )

    def _digit(self, digit: int, script: Script, random: Random) -> Grey:
        """Write one digit, at times as in countries that give 1 an upstroke and 7 a bar."""
        if script.by or random.random() < STROKES:
            ink = _cut(drawn(digit, script.by or writer(random), random))
        else:
            rows = self._digits[self._source(random) if script.mixed else script.source][digit]
            ink = self._inks[int(rows[random.integers(len(rows))])]
            if random.random() < OTHERWISE.get(digit, 0.0):
                ink = written_otherwise(ink, digit, random)
        ink = _proportioned(_cut(laid(ink, random, script.hand)), random)
        return _pressed(ink, script.thin)

    def _source(self, random: Random) -> int:
        return int(random.choice(len(self._weights), p=self._weights))

    def _stranger(self, random: Random) -> Grey:
        """Give something that is no digit: a letter, a sign, a scribble."""
        if len(self._none) and random.random() < 0.6:
            chosen = self._inks[int(self._none[random.integers(len(self._none))])]
            return _cut(laid(chosen, random))
        two = [self._inks[at] for at in random.integers(len(self._inks), size=2)]
        return _cut(stranger(random, two))

    def _no_number(self, digits: Sequence[int], random: Random) -> Written:
        """Write what is no number: a word, scribbles, a number struck out, one above another."""
        kind = random.random()
        if kind < 0.35:
            signs = [Sign(OTHER, self._stranger(random)) for _ in digits]
            return _row(signs, random)
        row = _row(self._signs(digits, random), random)
        if kind < 0.7:
            ink = _struck(row.ink, random)
            return Written(ink, [OTHER] * sum(one < 10 for one in row.labels), [])
        below = _row(self._signs(_digits(random), random), random)
        if random.random() < 0.6:
            row = row._replace(ink=_struck(row.ink, random))
        many = max(sum(one < 10 for one in part.labels) for part in (row, below))
        return Written(_stacked(row.ink, below.ink, random), [OTHER] * many, [])

    def _boxes(self, digits: Sequence[int], random: Random) -> Written:
        """Write a digit into each box of a row."""
        script = self._script(random)._replace(thin=False)
        wide = int(HIGH * random.uniform(0.8, 1.6))
        high = int(HIGH * random.uniform(1.15, 1.6))
        canvas = np.zeros((high, wide * len(digits)), np.uint8)
        for at, digit in enumerate(digits):
            ink = self._digit(digit, script, random)
            ink = _sized(ink, HIGH * random.uniform(0.75, 1.05), wide - 3)
            x = int(wide * at + random.uniform(0.2, 0.8) * (wide - ink.shape[1]))
            y = int(random.uniform(0.1, 0.9) * max(0, high - ink.shape[0]))
            _lay(canvas, ink, x, y)
        return Written(canvas, list(digits), [wide * at for at in range(len(digits) + 1)])


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


def _cut(ink: Grey) -> Grey:
    """Cut a picture to its ink."""
    mask = ink > 40
    x, y = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(x):
        return np.full((4, 4), 255, np.uint8)
    return ink[y[0] : y[-1] + 1, x[0] : x[-1] + 1]


def _proportioned(ink: Grey, random: Random) -> Grey:
    """Give a digit other proportions: a small loop on a long stem, or the other way round."""
    out = ink
    for axis, spread in ((0, 0.22), (1, 0.12)):
        along = np.linspace(0, 1, ink.shape[axis]) ** np.exp(random.normal(0, spread))
        out = out.take(np.rint(along * (ink.shape[axis] - 1)).astype(int), axis=axis)
    return out


def _pressed(ink: Grey, thin: bool) -> Grey:
    """Bring a digit to full ink, and its strokes to a thinner pen where that leaves them whole."""
    low, high = (110 if thin else 10), max(80, int(ink.max()))
    low = min(low, high // 2)
    levels = np.maximum(ink, low) - np.uint8(low)
    return np.asarray(cv2.convertScaleAbs(levels, alpha=290 / (high - low)), np.uint8)


def _sized(
    ink: Grey, high: float, widest: float = 4 * HIGH, stretch: float | np.floating = 1.0
) -> Grey:
    """Scale ink to a height, stretched across by a factor, and no wider than so much."""
    share = min(high / ink.shape[0], widest / ink.shape[1])
    wide = min(ink.shape[1] * share * stretch, widest)
    size = [max(2, round(wide)), max(2, round(ink.shape[0] * share))]
    way = cv2.INTER_AREA if share < 0.8 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(ink, size, interpolation=way), np.uint8)


def _lay(canvas: Grey, ink: Grey, x: int, y: int) -> None:
    """Lay ink on a canvas; what would leave it is cut off."""
    top, left = max(0, y), max(0, x)
    bottom, right = min(canvas.shape[0], y + ink.shape[0]), min(canvas.shape[1], x + ink.shape[1])
    if bottom > top and right > left:
        part = canvas[top:bottom, left:right]
        np.maximum(part, ink[top - y : bottom - y, left - x : right - x], out=part)


def _row(signs: Sequence[Sign], random: Random) -> Written:
    """Write signs side by side: apart, touching or overlapping, along a line that drifts."""
    gap = HIGH * random.choice((0.02, 0.1, 0.2, 0.4), p=(0.35, 0.35, 0.2, 0.1))
    uneven = HIGH * random.uniform(0.02, 0.14)
    size, rough = random.uniform(0.8, 1.0), random.uniform(0.02, 0.14)
    stretch, small = np.exp(random.normal(0, 0.18)), random.uniform(0.55, 1.0)
    drift, slant = random.normal(0, 0.04), random.normal(0.12, 0.22)
    level = random.choice((1.0, 0.5), p=(0.7, 0.3))
    placed, x = [], 0.0
    for number, (label, ink) in enumerate(signs):
        inked = ink
        if label in (SEPARATOR, FLOURISH):
            y = _level(label, ink.shape[0], random)
        else:
            high = HIGH * size * np.exp(random.normal(0, rough))
            high *= small if label == 0 and number else 1.0
            inked = _sized(ink, high, 1.5 * HIGH, stretch)
            y = (HIGH - inked.shape[0]) * level + random.normal(0, HIGH * rough * 0.6)
        step = max(random.normal(gap, uneven), -0.35 * inked.shape[1])
        if number and random.random() < 0.04:
            step += HIGH * random.uniform(0.2, 0.9)
        x += step if number else 0
        placed.append((inked, x, y + drift * x))
        x += inked.shape[1]
    labels = [label for label, _ in signs]
    return Written(_cut(_slanted(_canvas(placed), slant)), labels, [])


def _level(label: int, tall: int, random: Random) -> float:
    """Choose how high a separator or flourish stands: points on the line, strokes in the middle."""
    if label == SEPARATOR:
        return HIGH - tall * random.uniform(0.2, 0.9) + random.normal(0, 2)
    return HIGH * random.uniform(0.1, 0.9) - tall / 2


def _canvas(placed: Sequence[tuple[Grey, float, float]]) -> Grey:
    """Lay inks by their x, y on a canvas that holds them all."""
    left, top = int(min(x for _, x, _ in placed)) - 1, int(min(y for *_, y in placed)) - 1
    right = max(int(x) + ink.shape[1] for ink, x, _ in placed)
    bottom = max(int(y) + ink.shape[0] for ink, _, y in placed)
    canvas = np.zeros((bottom - top + 2, right - left + 2), np.uint8)
    for ink, x, y in placed:
        _lay(canvas, ink, int(x) - left, int(y) - top)
    return canvas


def _slanted(ink: Grey, slant: float) -> Grey:
    """Slant a whole string to the right; at most by 0.7."""
    slant = float(np.clip(slant, -0.4, 0.7))
    height, width = ink.shape
    wider = int(abs(slant) * height)
    shift = slant * (height - 1) if slant > 0 else 0.0
    matrix = np.array([[1, -slant, shift], [0, 1, 0]])
    return np.asarray(cv2.warpAffine(ink, matrix, (width + wider, height)), np.uint8)


def _point(sign: str, pen: int, random: Random) -> Grey:
    """Draw a point, a comma or an apostrophe."""
    canvas = np.zeros((40, 40), np.uint8)
    if sign == ".":
        axes = (
            max(1, round(pen * random.uniform(0.5, 1.1))),
            max(1, round(pen * random.uniform(0.5, 1))),
        )
        cv2.ellipse(canvas, (20, 20), axes, random.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    else:
        long = random.uniform(6, 15)
        lean = random.uniform(-0.2, 0.8) * long
        ends = [
            (round(20 + lean / 2), round(20 - long / 2)),
            (round(20 - lean / 2), round(20 + long / 2)),
        ]
        cv2.line(canvas, ends[0], ends[1], 255, pen, cv2.LINE_AA)
    return _cut(canvas)


def _flourish(sign: str, pen: int, random: Random) -> Grey:
    """Draw a stroke or two as stand before and after amounts."""
    canvas = np.zeros((64, 96), np.uint8)

    def line(x: float, y: float, to_x: float, to_y: float) -> None:
        points = np.array([[x, y], [(x + to_x) / 2, (y + to_y) / 2], [to_x, to_y]])
        points = points + random.normal(0, 1.5, points.shape)
        cv2.polylines(
            canvas, [np.rint(points * 8).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 3
        )

    long, tall = random.uniform(8, 40), random.uniform(20, 52)
    tilt = random.normal(0, 0.12) * long
    if sign in "-~=":
        for row in range(2 if sign == "=" else 1):
            y = 28 + row * random.uniform(7, 14)
            if sign == "~":
                x = np.linspace(0, long, 8)
                wave = y + random.uniform(2, 5) * np.sin(x / long * 2 * np.pi)
                points = np.rint(np.column_stack([20 + x, wave])).astype(np.int32)
                cv2.polylines(canvas, [points], False, 255, pen, cv2.LINE_AA)
            else:
                line(20, y, 20 + long, y - tilt)
    elif sign in "/$":
        line(50, 32 - tall / 2, 40, 32 + tall / 2)
        if sign == "$":
            curl = [(58, 22), (44, 18), (38, 26), (50, 32), (56, 40), (46, 48), (34, 44)]
            cv2.polylines(canvas, [np.array(curl, np.int32)], False, 255, pen, cv2.LINE_AA)
    elif sign == "o":
        axes = tuple(random.integers(5, 10, 2).tolist())
        cv2.ellipse(canvas, (40, 30), axes, 0, 0, 360, 255, pen, cv2.LINE_AA)
    else:
        for way in (-1, 1):
            line(40 + 8 * way, 10, 36 + 8 * way, 52)
            line(24, 31 + 8 * way, 56, 28 + 8 * way)
        if sign == "*":
            canvas[:] = cv2.warpAffine(canvas, np.array([[0.5, 0, 20], [0.25, 0.5, 5]]), (96, 64))
    return _cut(canvas)


def _struck(ink: Grey, random: Random) -> Grey:
    """Strike a string out: by lines through all of it, or by a scribble."""
    out = cv2.copyMakeBorder(ink, 6, 6, 10, 10, cv2.BORDER_CONSTANT)
    height, width = out.shape
    pen = int(random.integers(2, 6))
    kind = random.random()
    if kind < 0.6:
        for _ in range(int(random.integers(1, 4))):
            ends = [
                (int(x), int(random.uniform(0.3, 0.7) * height))
                for x in (random.uniform(0, 9), width - random.uniform(1, 9))
            ]
            cv2.line(out, ends[0], ends[1], 255, pen, cv2.LINE_AA)
    elif kind < 0.8:
        for way in range(int(random.integers(1, 3))):
            ys = (2, height - 3) if way else (height - 3, 2)
            cv2.line(out, (4, ys[0]), (width - 5, ys[1]), 255, pen, cv2.LINE_AA)
    else:
        many = max(4, int(width / HIGH * random.uniform(3, 7)))
        x = np.linspace(4, width - 5, many) + random.normal(0, 2, many)
        y = np.where(np.arange(many) % 2, 0.15, 0.85) * height + random.normal(0, 4, many)
        points = np.rint(np.column_stack([x, y])).astype(np.int32)
        cv2.polylines(out, [points], False, 255, pen, cv2.LINE_AA)
    return np.asarray(out, np.uint8)


def _stacked(upper: Grey, lower: Grey, random: Random) -> Grey:
    """Write one string above another."""
    size = random.uniform(0.6, 1.0)
    upper = _sized(upper, max(12, upper.shape[0] * size), 2000)
    y = upper.shape[0] + HIGH * random.uniform(-0.15, 0.4)
    moved = random.uniform(-0.3, 0.3) * upper.shape[1]
    return _canvas([(upper, moved, 0.0), (lower, 0.0, y)])
