"""Measure how often what is no number comes out `ok` as one.

    python jobs/bench/no_numbers.py STROKES [--model BUNDLE] [--count 400] [--out sheet.png]

STROKES is the folder of UNIPEN's strokes. Words, signatures, scribbles, fractions, times, dates
with letters, and numbers that are struck out or corrected are drawn of the signs of hidden
writers, as images of one number. The goal is 0.5% of each kind.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "train"))
import sources

import batchdigits
from batchdigits.training.pen import draw_strokes, scale_strokes

HIGH, MARGIN = 48, 16
Ink = np.ndarray
Random = np.random.Generator


def main() -> None:
    """Draw each kind, read it, and print the share that is `ok`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("strokes", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--out", type=Path, help="a sheet of those that are ok")
    given = parser.parse_args()
    signs = Signs(given.strokes)
    sure: list[Ink] = []
    print("kind | ok")
    for name, draw in KINDS.items():
        random = np.random.default_rng(len(name))
        crops = [scan(draw(signs, random), random) for _ in range(given.count)]
        ok = read(crops, given.model)
        print(f"{name} | {ok.sum()} of {len(ok)}, {ok.mean():.2%}", flush=True)
        sure += [crop for crop, sent in zip(crops, ok, strict=True) if sent]
    if given.out and sure:
        cv2.imwrite(str(given.out), tile(sure[:120]))


def read(crops: list[Ink], model: str | None) -> np.ndarray:
    """Read crops as numbers; tell which are `ok`."""
    with tempfile.TemporaryDirectory() as folder:
        for at, crop in enumerate(crops):
            cv2.imwrite(f"{folder}/{at:05}.png", crop)
        found = batchdigits.read(folder, as_="number", model=model, device="cpu")
    return found["status"].to_numpy() == "ok"


class Signs:
    """Digits and letters of UNIPEN's writers that no string is composed of, as strokes."""

    def __init__(self, folder: Path) -> None:
        """Load them."""
        hidden = sources.hidden_string_writers(folder / "unipen_number_strings.npz")
        self._signs: dict[str, list[tuple[np.ndarray, ...]]] = {}
        for name in ("unipen_digits.npz", "unipen_letters_symbols.npz"):
            with np.load(folder / name) as found:
                held = {key: found[key] for key in found.files}
            chosen = np.isin(held["writer"], hidden) if "digits" in name else slice(None)
            for n in np.arange(len(held["label"]))[chosen].tolist():
                first, last = held["sample_off"][n : n + 2].tolist()
                offsets = held["stroke_off"][first : last + 1].tolist()
                parts = [held["xy"][a:b] * (1, -1) for a, b in pairwise(offsets)]
                self._signs.setdefault(str(held["label"][n]), []).append(scale_strokes(parts))
        self.letters = [sign for sign in self._signs if sign.isalpha() and sign not in "OoIlQDSZB"]

    def draw(self, text: str, random: Random, *, apart: float = 0.15) -> Ink:
        """Write a text, ink light."""
        pen, size = int(random.integers(2, 5)), HIGH * random.uniform(0.8, 1.1)
        canvas, x = np.zeros((2 * HIGH, HIGH * (len(text) + 3)), np.uint8), 10.0
        for sign in text:
            known = self._signs[sign]
            strokes = known[int(random.integers(len(known)))]
            points = np.concatenate(strokes)
            scale = size / max(np.ptp(points[:, 1]), 0.7)
            low = points.min(axis=0)
            moved = tuple((one - low) * scale + (x, 20) for one in strokes)
            draw_strokes(canvas, moved, pen)
            x += np.ptp(points[:, 0]) * scale + apart * HIGH * random.uniform(0.5, 1.5)
        return cut(canvas)

    def number(self, random: Random, least: int = 2, most: int = 6) -> str:
        """Choose digits by chance."""
        return "".join(str(n) for n in random.integers(0, 10, int(random.integers(least, most))))


def cut(ink: Ink) -> Ink:
    """Cut a picture to its ink."""
    y, x = (np.flatnonzero((ink > 40).any(axis=axis)) for axis in (1, 0))
    return ink[y[0] : y[-1] + 1, x[0] : x[-1] + 1]


def draw_word(signs: Signs, random: Random) -> Ink:
    """Write a word."""
    word = "".join(random.choice(signs.letters) for _ in range(int(random.integers(3, 8))))
    return signs.draw(word, random)


def draw_signature(signs: Signs, random: Random) -> Ink:
    """Write letters over each other, with a stroke below."""
    ink = np.pad(draw_word(signs, random), 12)
    middle = ink.shape[0] / 2
    x = np.linspace(4, ink.shape[1] - 4, 40)
    wave = middle + 0.3 * ink.shape[0] * np.sin(x / random.uniform(8, 20)) * np.linspace(1, 0.1, 40)
    draw_strokes(ink, (np.column_stack([x, wave]),), 3)
    return ink


def draw_scribble(_: Signs, random: Random) -> Ink:
    """Draw a line to and fro."""
    ink = np.zeros((HIGH + 10, HIGH * int(random.integers(2, 6))), np.uint8)
    points = np.cumsum(random.normal(0, (14, 20), (60, 2)), axis=0)
    points = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    draw_strokes(ink, (points * (ink.shape[1] - 9, HIGH) + 4,), int(random.integers(2, 5)))
    return ink


def draw_fraction(signs: Signs, random: Random) -> Ink:
    """Write a fraction, alone or after a number."""
    upper, lower = (signs.draw(text, random) for text in random.choice(FRACTIONS))
    small = [
        cv2.resize(one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for one in (upper, lower)
    ]
    ink = np.zeros((2 * HIGH, 3 * HIGH), np.uint8)
    lay(ink, small[0], 10, 8)
    slanted = random.random() < 0.6
    lay(ink, small[1], 10 + (small[0].shape[1] if slanted else 0) + 4, 40 if not slanted else 30)
    line = (
        [(8, 36), (38, 35)]
        if not slanted
        else [(12 + small[0].shape[1], 56), (20 + small[0].shape[1], 10)]
    )
    draw_strokes(ink, (np.array(line, float),), 2)
    ink = cut(ink)
    if random.random() < 0.6:
        whole = signs.draw(signs.number(random, 1, 3), random)
        out = np.zeros(
            (max(len(whole), len(ink)) + 4, whole.shape[1] + ink.shape[1] + 12), np.uint8
        )
        lay(out, whole, 2, 2)
        lay(out, ink, whole.shape[1] + 8, int(random.integers(0, 6)))
        ink = out
    return ink


FRACTIONS = (("1", "2"), ("1", "4"), ("3", "4"), ("1", "3"))


def lay(canvas: Ink, ink: Ink, x: int, y: int) -> None:
    """Lay ink on a canvas."""
    part = canvas[y : y + ink.shape[0], x : x + ink.shape[1]]
    np.maximum(part, ink[: part.shape[0], : part.shape[1]], out=part)


def draw_time(signs: Signs, random: Random) -> Ink:
    """Write a time: hours, a colon, minutes."""
    parts = [
        signs.draw(f"{random.integers(24)}", random),
        signs.draw(f"{random.integers(60):02}", random),
    ]
    ink = np.zeros((HIGH + 24, sum(one.shape[1] for one in parts) + 40), np.uint8)
    lay(ink, parts[0], 4, 8)
    x = parts[0].shape[1] + 14
    for y in (20, 40):
        cv2.circle(ink, (x, y), int(random.integers(2, 4)), 255, -1, cv2.LINE_AA)
    lay(ink, parts[1], x + 12, 8)
    return ink


def draw_date(signs: Signs, random: Random) -> Ink:
    """Write a day, letters of a month, and a year."""
    month = "".join(random.choice(signs.letters) for _ in range(3))
    return signs.draw(
        f"{random.integers(1, 32)}{month}{random.integers(10, 99)}", random, apart=0.25
    )


def draw_struck(signs: Signs, random: Random) -> Ink:
    """Strike a number out."""
    ink = np.pad(signs.draw(signs.number(random), random), 6)
    high, wide = ink.shape
    for _ in range(int(random.integers(1, 3))):
        ends = random.uniform(0.35, 0.65, 2) * high
        points = np.array([(2, ends[0]), (wide / 2, high / 2), (wide - 3, ends[1])])
        draw_strokes(ink, (points,), int(random.integers(2, 5)))
    return ink


def draw_corrected(signs: Signs, random: Random) -> Ink:
    """Write a digit over another, or strike one out, or write a number above a struck one."""
    ink = np.pad(signs.draw(signs.number(random, 3, 6), random), 6)
    kind = random.random()
    at = int(random.uniform(0.1, 0.9) * (ink.shape[1] - 30))
    if kind < 0.4:
        lay(ink, signs.draw(str(random.integers(10)), random)[: ink.shape[0]], at, 4)
    elif kind < 0.7:
        for end in (0, 1):
            line = np.array(
                [(at, 8 if end else ink.shape[0] - 8), (at + 30, ink.shape[0] - 8 if end else 8)]
            )
            draw_strokes(ink, (line.astype(float),), 4)
    else:
        ink = draw_struck(signs, random)
        above = cv2.resize(signs.draw(signs.number(random), random), None, fx=0.7, fy=0.7)
        out = np.zeros(
            (ink.shape[0] + above.shape[0] + 4, max(ink.shape[1], above.shape[1]) + 9), np.uint8
        )
        lay(out, above, 4, 0)
        lay(out, ink, 2, above.shape[0] + 3)
        ink = out
    return ink


KINDS: dict[str, Callable[[Signs, Random], Ink]] = {
    "words": draw_word,
    "signatures": draw_signature,
    "scribbles": draw_scribble,
    "fractions": draw_fraction,
    "times": draw_time,
    "dates with letters": draw_date,
    "struck out": draw_struck,
    "corrected": draw_corrected,
}


def scan(ink: Ink, random: Random) -> Ink:
    """Scan ink: dark on light paper, blurred, with noise."""
    canvas = np.pad(ink, MARGIN).astype(np.float32)
    canvas = cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.5, 1.2))
    grey = random.uniform(200, 250) - canvas * random.uniform(0.4, 0.8)
    return np.clip(grey + random.normal(0, random.uniform(0, 5), grey.shape), 0, 255).astype(
        np.uint8
    )


def tile(crops: list[Ink]) -> Ink:
    """Lay crops side by side, ten a row."""
    cells = []
    for crop in crops:
        size = min(150 / crop.shape[1], 60 / crop.shape[0])
        small = cv2.resize(crop, None, fx=size, fy=size)
        cells.append(
            np.pad(
                small, ((0, 62 - small.shape[0]), (0, 152 - small.shape[1])), constant_values=255
            )
        )
    cells += [np.full((62, 152), 255, np.uint8)] * (-len(cells) % 10)
    return np.vstack([np.hstack(cells[n : n + 10]) for n in range(0, len(cells), 10)])


if __name__ == "__main__":
    main()
