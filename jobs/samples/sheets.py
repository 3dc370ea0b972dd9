"""A page that is filled with boxes, text, codes and pictures, from the top to the bottom."""

from collections.abc import Callable

import cv2
import grids
import numpy as np
import pens
from pens import FINE, Box, Digits, Pen
from ranges import Group, Kind, Ranges

NAME = "Muster|Anna|Okafor|Liang|Petersen|Ivanova|Garcia|Smith|Yilmaz|Dupont|Rossi|Novak"
NAMES = NAME.split("|")
WORDS = (
    "please write each digit into its own box and leave empty ones blank all figures are checked "
    "by hand within two weeks of receipt the office does not return copies sums in full units "
    "only members who have moved shall give both addresses late entries count for the next year"
)
WORD = WORDS.split()
PROMPT = "Member number|Date of birth|Account|Telephone|Post code|Invoice no.|Total|Amount paid"
PROMPTS = (PROMPT + "|Year|Room|Points|Weight kg|Name|Meter reading|Quantity|IBAN").split("|")


class Sheet:
    """A page that is being filled from the top."""

    def __init__(
        self,
        digits: Digits,
        random: np.random.Generator,
        ranges: Ranges,
        *,
        dpi: float,
        one_bit: bool,
    ) -> None:
        """Take an empty page; lines shall be seen at `dpi`, in one bit too."""
        self.digits, self.random, self.ranges = digits, random, ranges
        self.size = ranges.paper[random.integers(len(ranges.paper))]
        self.grey = np.full([round(side * FINE) for side in self.size[::-1]], 255, np.uint8)
        self.groups: list[Group] = []
        self.dpi, self.one_bit = dpi, one_bit
        self.left, self.y = random.uniform(10, 20), random.uniform(8, 20)
        self.right, self.end = self.size[0] - self.left, self.size[1] - random.uniform(8, 16)
        fonts = (*pens.FACES, *pens.PLAIN)
        self.font = fonts[random.integers(len(fonts))]
        self.ink = random.uniform(0.75 if one_bit else 0.5, 0.95)
        self.letter = random.uniform(max(1.6, 25.4 / dpi * 7), 3.2)

    def fill(self) -> None:
        """Put one thing below the other."""
        dense = self.random.random() < self.ranges.dense
        kinds: list[tuple[float, Callable[[], float]]] = [
            *((0.1, self._heading), (0.14, self._paragraph), (0.25, self._rows)),
            *((0.15, self._singles), (0.13, self._table), (0.06, self._ticks)),
            *((0.05, self._picture), (0.07, self._codes), (0.05, self._signature)),
        ]
        kinds = kinds[:2] if dense else kinds
        shares = np.array([share for share, _ in kinds])
        while self.y < self.end - 12:
            kind = kinds[self.random.choice(len(kinds), p=shares / shares.sum())][1]
            self.y += kind() + self.random.uniform(3, 9)

    def pen(self, *, dotted: bool = False) -> Pen:
        """Draw a pen whose lines are still seen in the scan."""
        least = self.ranges.seen[int(self.one_bit)]
        while True:
            width = self.random.uniform(*self.ranges.pen)
            grey = int(self.random.choice(self.ranges.greys))
            spread = np.hypot(width, np.hypot(2.2 * 0.12, 25.4 / self.dpi))
            if (255 - grey) * width / spread >= least:
                break
        dash = self.random.uniform((0.6, 0.4), (1.2, 0.8)) if dotted else None
        return Pen(width, grey, None if dash is None else (float(dash[0]), float(dash[1])))

    def _say(self, place: tuple[float, float], words: str, high: float | None = None) -> float:
        return pens.text(self.grey, place, words, high or self.letter, self.font)

    def _words(self, count: int) -> str:
        words = " ".join(WORD[n] for n in self.random.integers(0, len(WORD), count))
        return words.capitalize()

    def _prompt(self, high: float) -> tuple[float, float]:
        """Say what belongs into boxes, above or before them; gives where these begin."""
        words = PROMPTS[self.random.integers(len(PROMPTS))]
        if self.random.random() < 0.4:
            self._say((self.left, self.y), words)
            return self.left, self.y + 1.4 * self.letter + 1
        wide = self._say((self.left, self.y + (high - self.letter) / 2), words)
        return self.left + wide + self.random.uniform(2, 8), self.y

    def _heading(self) -> float:
        high = self.letter * self.random.uniform(1.2, 2)
        self._say((self.left, self.y), self._words(3), high)
        if self.random.random() < 0.6:
            below = self.y + 1.5 * high
            ends = ((self.left, below), (self.right, below))
            pens.line(self.grey, ends, self.pen(), self.random)
        return 1.6 * high

    def _paragraph(self) -> float:
        lines, framed = int(self.random.integers(1, 7)), self.random.random() < 0.3
        inset = self.random.uniform(2, 4) if framed else 0.0
        step = 1.9 * self.letter
        lines = min(lines, max(1, int((self.end - self.y - 2 * inset) / step)))
        for n in range(lines):
            words, room = self._words(30).split(), self.right - self.left - 2 * inset
            count = max(1, int(room / (self.letter * 0.95 * 5.6)))
            self._say((self.left + inset, self.y + inset + n * step), " ".join(words[:count]))
        high = lines * step + 2 * inset
        if framed:
            box = (self.left, self.y, self.right - self.left, high)
            pens.frame(self.grey, box, self.pen(), self.random)
        return high

    def _rows(self) -> float:
        """Draw one, two or three rows of boxes on a line."""
        wide = self.random.uniform(*self.ranges.wide)
        high = wide * self.random.uniform(*self.ranges.tall)
        x, y = self._prompt(high)
        gap = self.random.uniform(*self.ranges.gap) if self.random.random() < 0.4 else 0.0
        gap = min(gap, 0.7 * wide)
        pen = self.pen(dotted=self.random.random() < self.ranges.dotted)
        askew = self.random.random() < self.ranges.turned[0]
        for _ in range(1 if askew else int(self.random.choice([1, 1, 2, 3]))):
            most = int((self.right - x + gap) / (wide + gap))
            if most < 2:
                break
            count = int(self.random.integers(2, min(self.ranges.cells[1], most) + 1))
            boxes = [(x + n * (wide + gap), y, wide, high) for n in range(count)]
            self._row(boxes, pen, gap)
            x = boxes[-1][0] + wide + gap + self.random.uniform(*self.ranges.apart) * wide
        if askew:
            self._glued(boxes)
        return y - self.y + high

    def _row(self, boxes: list[Box], pen: Pen, gap: float) -> None:
        """Draw and fill in a row."""
        x, y, wide, high = boxes[0]
        if gap:
            for box in boxes:
                pens.frame(self.grey, box, pen, self.random)
        else:
            whole = (x, y, wide * len(boxes), high)
            pens.frame(self.grey, whole, pen, self.random)
            for box in boxes[1:]:
                ends = ((box[0], y), (box[0], y + high))
                pens.line(self.grey, ends, pen, self.random)
        values = [""] * len(boxes)
        kind = self._kind()
        if kind:
            count = int(self.random.integers(1, len(boxes) + 1))
            first = int(self.random.integers(0, len(boxes) - count + 1))
            for n in range(first, first + count):
                values[n] = self._one(boxes[n], kind)
        self._add("boxes", boxes, values)

    def _kind(self) -> str:
        """Say what a group holds: nothing, digits, or what is none."""
        kinds = ("", "digits", "words")
        empty, words = self.ranges.empty, self.ranges.words
        return kinds[int(self.random.choice(3, p=[empty, 1 - empty - words, words]))]

    def _one(self, box: Box, kind: str) -> str:
        """Write one digit, or one letter."""
        if kind == "words":
            letter = "ABCDEFGHKLMNPRTUVWXY"[self.random.integers(20)]
            inner = (box[0] + 0.1 * box[2], box[1], 0.8 * box[2], box[3])
            pens.name(self.grey, inner, letter, round(255 * (1 - self.ink)), self.random)
            return "?"
        value = int(self.random.integers(10))
        kinds = self.digits[value]
        picture = kinds[self.random.integers(len(kinds))]
        pens.digit(self.grey, box, picture, self.ink, self.random)
        return str(value)

    def _whole(self, box: Box, kind: str) -> str:
        """Write a number, or a name, into one box."""
        if kind == "words":
            word = NAMES[self.random.integers(len(NAMES))]
            pens.name(self.grey, box, word, round(255 * (1 - self.ink)), self.random)
            return "?"
        most = max(1, min(6, int(box[2] / box[3] / 0.5)))
        value = "".join(map(str, self.random.integers(0, 10, self.random.integers(1, most + 1))))
        pens.number(self.grey, box, value, self.digits, self.ink, self.random)
        return value

    def _glued(self, boxes: list[Box]) -> None:
        """Turn the row that was drawn last, as a strip glued on askew."""
        x, y, wide, high = boxes[0]
        whole = (x - 1, y - 1, wide * len(boxes) + 2 + boxes[-1][0] - x, high + 2)
        most = min(self.ranges.turned[1], np.degrees(4 / whole[2]))
        degrees = float(self.random.uniform(-most, most))
        low = np.floor(np.array(whole[:2]) * FINE).astype(int)
        size = np.ceil(np.array(whole[2:]) * FINE).astype(int)
        part = self.grey[low[1] : low[1] + size[1], low[0] : low[0] + size[0]]
        layer = np.full_like(self.grey, 255)
        layer[low[1] : low[1] + size[1], low[0] : low[0] + size[0]] = part
        part[:] = 255
        middle = low + size / 2
        turn = cv2.getRotationMatrix2D(tuple(map(float, middle)), degrees, 1)
        high_, wide_ = layer.shape
        self.grey = np.minimum(self.grey, cv2.warpAffine(layer, turn, (wide_, high_), None, 1))
        angle = -np.radians(degrees)
        about = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        group = self.groups[-1]
        turned = (group.boxes - middle / FINE) @ about.T + middle / FINE
        self.groups[-1] = group._replace(boxes=turned)

    def _singles(self) -> float:
        """Draw one, two or three boxes for a number each, far from each other."""
        across, down = self.ranges.single
        high = self.random.uniform(*down)
        x, y = self._prompt(high)
        pen = self.pen(dotted=self.random.random() < self.ranges.dotted)
        for _ in range(int(self.random.choice([1, 1, 2, 3]))):
            wide = max(self.random.uniform(*across), 2 * high)
            if x + wide > self.right:
                break
            box = (x, y, wide, high)
            pens.frame(self.grey, box, pen, self.random)
            kind = self._kind()
            self._add("box", [box], [self._whole(box, kind) if kind else ""])
            x += wide + self.random.uniform(8, 30)
        return y - self.y + high

    def _signature(self) -> float:
        wide, high = self.random.uniform(40, 80), self.random.uniform(15, 28)
        box = (self.random.uniform(self.left, self.right - wide), self.y, wide, high)
        pens.frame(self.grey, box, self.pen(), self.random)
        pens.scrawl(self.grey, box, round(255 * (1 - self.ink)), self.random)
        self._add("box", [box], ["?"])
        return high

    def _ticks(self) -> float:
        side = self.random.uniform(2.5, 4.5)
        x, pen = self.left, self.pen()
        for _ in range(int(self.random.integers(1, 5))):
            box = (x, self.y, side, side)
            pens.frame(self.grey, box, pen, self.random)
            if self.random.random() < 0.4:
                pens.tick(self.grey, box, round(255 * (1 - self.ink)), self.random)
            wide = self._say((x + side + 2, self.y + (side - self.letter) / 2), self._words(2))
            self._add("box", [box], ["?"], counts=False)
            x += side + wide + 10
            if x > self.right - 40:
                break
        return side

    def _picture(self) -> float:
        wide, high = self.random.uniform(25, 80), self.random.uniform(20, 50)
        high = min(high, self.end - self.y)
        picture = pens.photograph((wide, high), self.random)
        pens.paste(self.grey, (self.left, self.y), picture)
        if self.random.random() < 0.4:
            pens.frame(self.grey, (self.left, self.y, wide, high), self.pen(), self.random)
        return high

    def _codes(self) -> float:
        side = min(self.random.uniform(10, 30), self.end - self.y)
        pens.paste(self.grey, (self.left, self.y), pens.square_code(side, self.random))
        if self.random.random() < 0.6:
            wide = self.random.uniform(30, 70)
            bars = pens.bars((wide, min(side, self.random.uniform(6, 15))), self.random)
            pens.paste(self.grey, (self.left + side + 15, self.y), bars)
        return side

    def _table(self) -> float:
        """Draw a table, its printed labels, and what was written into it."""
        grid = grids.drawn(self)
        values = [self._cell(box, label=label) for box, label in grid]
        boxes, printed = [box for box, _ in grid], [label for _, label in grid]
        self._add("table", boxes, values, printed)
        return max(box[1] + box[3] for box in boxes) - self.y

    def _cell(self, box: Box, *, label: bool) -> str:
        if not label:
            kind = self._kind()
            return self._whole(box, kind) if kind else ""
        high = min(self.letter, 0.45 * box[3])
        words = self._words(1) if box[2] < 25 else f"{NAMES[self.random.integers(len(NAMES))]}, Jo"
        count = max(2, int((box[2] - 2) / (high * 1.05)))
        self._say((box[0] + 1, box[1] + (box[3] - high) / 2), words[:count], high)
        return "?"

    def _add(
        self,
        kind: Kind,
        boxes: list[Box],
        values: list[str],
        printed: list[bool] | None = None,
        *,
        counts: bool = True,
    ) -> None:
        low = np.array([box[:2] for box in boxes])
        size = np.array([box[2:] for box in boxes])
        ends = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        corners = low[:, None] + size[:, None] * ends
        labels = tuple(printed or [False] * len(boxes))
        self.groups.append(Group(kind, corners, tuple(values), labels, counts))
