"""Numbers written freely, of MNIST's test digits: the pictures of `samples/numbers`."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Pick = Callable[[int], Grey]
"""Gives some test digit with this label."""

HIGH = 56
"""Height of a strip, px."""


def strips(pick: Pick, random: np.random.Generator) -> Iterator[tuple[str, str, Grey]]:
    """Yield numbers as people write them: name, value, picture."""
    yield "apart.png", "40718", scanned(row(pick, "40718", 8), random)
    yield "touching.png", "3650", scanned(row(pick, "3650", -4), random)
    yield "slanted.png", "92846", scanned(slanted(row(pick, "92846", 2)), random)
    yield "leading-zeros.png", "00315", scanned(row(pick, "00315", 4), random)
    yield "thousands.png", "5181", scanned(row(pick, "5.181", 3), random)
    yield "cents.png", "1250", scanned(row(pick, "12.50", 3), random)
    yield "flourish.jpg", "2440", scanned(row(pick, "2.440.-", 3), random, pattern=True)
    ruled = row(pick, "6739", 5)
    ruled[-12:-10] = np.maximum(ruled[-12:-10], 150)
    yield "on-a-line.png", "6739", scanned(ruled, random)
    yield "in-boxes.png", "190286", scanned(boxed(pick, "190286"), random)
    yield "fax.png", "8042", np.where(row(pick, "8042", 4) > 100, 0, 255).astype(np.uint8)
    yield "blank.png", "", scanned(np.zeros((HIGH, 200), np.uint8), random)
    yield (
        "two-numbers.png",
        "none",
        scanned(
            np.hstack([row(pick, "325", 3), np.zeros((HIGH, 90), np.uint8), row(pick, "71", 3)]),
            random,
        ),
    )
    yield "corrected.png", "none", scanned(corrected(pick), random)
    yield "scribble.png", "none", scanned(scribble(random), random)


def row(pick: Pick, text: str, gap: int) -> Grey:
    """Write a number: digits 40 px high, `gap` px apart, with points and dashes."""
    parts = [np.zeros((HIGH, 12), np.uint8)]
    for sign in text:
        part = mark(sign) if sign in ".-" else digit(pick(int(sign)))
        if gap < 0:
            joined = np.zeros((HIGH, parts[-1].shape[1] + part.shape[1] + gap), np.uint8)
            joined[:, : parts[-1].shape[1]] = parts[-1]
            left = parts[-1].shape[1] + gap
            joined[:, left:] = np.maximum(joined[:, left:], part)
            parts[-1] = joined
        else:
            parts += [part, np.zeros((HIGH, gap), np.uint8)]
    return np.hstack([*parts, np.zeros((HIGH, 12), np.uint8)])


def digit(picture: Grey) -> Grey:
    """Enlarge a digit, and cut it to the columns with ink."""
    large = cv2.resize(picture, (HIGH, HIGH), interpolation=cv2.INTER_CUBIC)
    x = np.flatnonzero((large > 60).any(axis=0))
    return np.asarray(large[:, x[0] : x[-1] + 1], np.uint8)


def mark(sign: str) -> Grey:
    """Write a point or a dash."""
    out = np.zeros((HIGH, 8 if sign == "." else 26), np.uint8)
    if sign == ".":
        cv2.circle(out, (4, 44), 3, 255, -1, cv2.LINE_AA)
    else:
        cv2.line(out, (3, 30), (22, 28), 255, 4, cv2.LINE_AA)
    return out


def slanted(ink: Grey) -> Grey:
    """Slant a number to the right."""
    matrix = np.array([[1, -0.45, 22], [0, 1, 0]])
    return np.asarray(cv2.warpAffine(ink, matrix, (ink.shape[1] + 24, HIGH)), np.uint8)


def boxed(pick: Pick, text: str) -> Grey:
    """Write a number into a comb of boxes."""
    wide = 46
    out = np.zeros((HIGH, 12 + wide * len(text)), np.uint8)
    for at, sign in enumerate(text):
        x = 6 + wide * at
        cv2.rectangle(out, (x, 3), (x + wide, HIGH - 4), 190, 2)
        small = cv2.resize(pick(int(sign)), (38, 38), interpolation=cv2.INTER_AREA)
        part = out[9:47, x + 4 : x + 42]
        np.maximum(part, small, out=part)
    return out


def corrected(pick: Pick) -> Grey:
    """Write a number, strike it out, and write another one under it."""
    wrong, better = row(pick, "583", 3), row(pick, "538", 3)
    for y in (24, 31):
        cv2.line(wrong, (4, y + 3), (wrong.shape[1] - 5, y - 3), 255, 4, cv2.LINE_AA)
    out = np.zeros((2 * HIGH - 10, max(wrong.shape[1], better.shape[1])), np.uint8)
    out[:HIGH, : wrong.shape[1]] = wrong
    part = out[HIGH - 10 :, : better.shape[1]]
    np.maximum(part, better, out=part)
    return np.pad(out, ((0, 0), (0, max(0, 2 * len(out) - out.shape[1]))))


def scribble(random: np.random.Generator) -> Grey:
    """Draw a signature of sorts: loops, and a stroke under them."""
    out = np.zeros((HIGH, 190), np.uint8)
    turn = np.linspace(0, 14, 160)
    x = 20 + turn * 10 + 12 * np.cos(2.1 * turn)
    y = 28 + 15 * np.sin(2.1 * turn) * np.linspace(1, 0.4, 160)
    points = np.column_stack([x, y]) + random.normal(0, 0.6, (160, 2))
    cv2.polylines(out, [np.rint(points).astype(np.int32)], False, 255, 3, cv2.LINE_AA)
    cv2.line(out, (14, 50), (160, 42), 255, 3, cv2.LINE_AA)
    return out


def scanned(ink: Grey, random: np.random.Generator, *, pattern: bool = False) -> Grey:
    """Lay ink on paper, as a scanner sees it."""
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]]
    paper = 232 - 10 * x / ink.shape[1]
    if pattern:
        wave = y + 3 * np.sin(x / 9)
        paper = paper - 28 * (wave % 6 < 2)
    grey = paper - ink / 255.0 * 150 + random.normal(0, 3, ink.shape)
    return grey.clip(0, 255).astype(np.uint8)
