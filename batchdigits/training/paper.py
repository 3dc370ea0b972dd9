"""Strings of digits as scans: on paper with a pattern, on lines, in boxes, coarse, as JPEG."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.training.pen import Random

Shades = NDArray[np.float32]
COARSE = 0.3
"""Share of the strings that are scanned so coarsely that a digit is 14 to 27 pixels high."""


def scanned(ink: GreyImage, boxed: Sequence[int], random: Random) -> GreyImage:
    """Scan a string.

    Args:
        ink: uint8, shape (H, W), ink light on no paper.
        boxed: columns of box lines, as in `strings.Written`.
        random: where the chance comes from.

    Returns:
        uint8, of another size: dark ink on light paper.
    """
    coarse = random.random() < COARSE
    scale = random.uniform(0.32, 0.62) if coarse else random.uniform(0.62, 1.15)
    sides = (random.uniform(0.02, 0.35, 4) * ink.shape[0] * (random.random(4) < 0.93)).astype(int)
    top, bottom, left, right = sides.tolist()
    canvas = cv2.copyMakeBorder(ink, top, bottom, left, right, cv2.BORDER_CONSTANT)
    canvas = _turned(_pen(canvas, random), random)
    lines = np.zeros_like(canvas)
    if boxed:
        _boxes(lines, boxed, (left, top, ink.shape[0]), random)
    elif random.random() < 0.5:
        _rules(lines, top + ink.shape[0], random)
    size = [max(8, round(side * scale)) for side in canvas.shape[::-1]]
    canvas, lines = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (canvas, lines))
    if random.random() < 0.4:
        canvas = cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.4, 1.2))
    strokes = np.maximum(canvas.astype(np.float32), lines * random.uniform(0.35, 1.0)) / 255
    if random.random() < 0.07:  # one-bit, as a fax
        grey = np.where(strokes > random.uniform(0.25, 0.6), 0, 255).astype(np.uint8)
    else:
        grey = _printed(strokes, random)
    return grey


def _pen(canvas: GreyImage, random: Random) -> GreyImage:
    """Make all strokes of a string thinner or bolder."""
    chance, wide = random.random(), int(random.integers(2, 5))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide))
    if chance < 0.2:
        return np.asarray(cv2.dilate(canvas, kernel), np.uint8)
    if chance < 0.3:
        return np.asarray(cv2.convertScaleAbs(np.maximum(canvas, 100) - 100, alpha=2), np.uint8)
    return canvas


def _turned(canvas: GreyImage, random: Random) -> GreyImage:
    """Turn a strip a little, as paper lies askew."""
    angle = random.normal(0, 1.2)
    height, width = canvas.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    extra = int(abs(np.sin(np.radians(angle))) * width / 2)
    matrix[1, 2] += extra
    return np.asarray(cv2.warpAffine(canvas, matrix, (width, height + 2 * extra)), np.uint8)


def _rules(lines: GreyImage, base: int, random: Random) -> None:
    """Draw ruled lines: under the number, above it, at its sides."""
    height, width = lines.shape
    light, thick = 255, int(random.integers(1, 4))
    tilt = random.normal(0, 0.01) * width
    where = [int(base + random.normal(1, 4))] if random.random() < 0.85 else []
    if random.random() < 0.3:
        where.append(int(random.uniform(0, 0.12) * height))
    for y in where:
        cv2.line(lines, (0, y), (width, round(y + tilt)), light, thick, cv2.LINE_AA)
        if random.random() < 0.3:
            cv2.line(lines, (0, y + 5), (width, round(y + 5 + tilt)), light, thick, cv2.LINE_AA)
    for x in (random.uniform(0, 6), width - random.uniform(1, 6)):
        if random.random() < 0.15:
            cv2.line(lines, (int(x), 0), (int(x), height), light, thick, cv2.LINE_AA)


def _boxes(
    lines: GreyImage, boxed: Sequence[int], place: tuple[int, int, int], random: Random
) -> None:
    """Draw boxes: a comb, or separate ones; faint, or not at all where a form drops them out."""
    left, top, high = place
    thick, apart = int(random.integers(1, 4)), int(random.integers(0, 5))
    chance = random.random()
    if chance < 0.4:
        return
    for start, end in pairwise(boxed):
        corner = (left + start + apart, top)
        cv2.rectangle(lines, corner, (left + end - apart, top + high - 1), 255, thick)


def _printed(strokes: Shades, random: Random) -> GreyImage:
    """Lay strokes on paper: patterned, shaded, grainy; compress it as JPEG at times."""
    paper = random.uniform(120, 255)
    dark = paper * random.uniform(0.35, 0.95)
    ground = np.zeros_like(strokes)
    if random.random() < 0.6:
        ground += _pattern(strokes.shape, random) * dark * random.uniform(0.05, 0.32)
    if random.random() < 0.3:
        corners = random.uniform(0, 0.15 * paper, (2, 2)).astype(np.float32)
        ground += cv2.resize(corners, strokes.shape[::-1], interpolation=cv2.INTER_LINEAR)
    pressed = strokes * dark
    if random.random() < 0.1:
        field = random.uniform(0.6, 1.2, (3, 9)).astype(np.float32)
        pressed *= np.minimum(cv2.resize(field, strokes.shape[::-1]), 1)
    grey = (
        paper - np.maximum(pressed, ground) + random.normal(0, random.uniform(0, 7), ground.shape)
    )
    out = np.clip(grey, 0, 255).astype(np.uint8)
    if random.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 95))]
        out = cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_GRAYSCALE)
    return np.asarray(out, np.uint8)


def _pattern(shape: tuple[int, ...], random: Random) -> Shades:
    """Draw a security pattern: families of fine lines, straight, wavy or round; shares 0 to 1."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    out = np.zeros(shape, np.float32)
    for _ in range(int(random.integers(1, 4))):
        period, angle = random.uniform(3, 12), random.uniform(0, np.pi)
        if random.random() < 0.3:
            centre = random.uniform(-1, 2, 2) * shape
            phase = np.hypot(y - centre[0], x - centre[1])
        else:
            phase = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
            if random.random() < 0.6:
                wave = random.uniform(10, 60)
                phase = phase + random.uniform(1, 5) * np.sin(
                    (x + y) * np.float32(2 * np.pi / wave)
                )
        line = np.cos(phase.astype(np.float32) * np.float32(2 * np.pi / period))
        sharp = random.uniform(-0.2, 0.8)
        out = np.maximum(out, np.clip((line - sharp) / (1 - sharp), 0, 1) * random.uniform(0.5, 1))
    return out


def rescanned(crop: GreyImage, random: Random) -> GreyImage:
    """Scan a real string once more: a little slanted, stretched, turned, in another light.

    Args:
        crop: uint8, shape (height, width), as scanned.
        random: where the chance comes from.
    """
    height, width = crop.shape
    slant, turn = random.normal(0, 0.2), np.radians(random.normal(0, 1.5))
    across, down = np.exp(random.normal(0, 0.15, 2))
    cos, sin = np.cos(turn), np.sin(turn)
    linear = np.array([[across, slant], [0, down]]) @ [[cos, -sin], [sin, cos]]
    ends = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ linear.T
    low, size = ends.min(axis=0), np.ceil(np.ptp(ends, axis=0)).astype(int)
    back = np.linalg.inv(linear)
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    grid = (2, 4, max(4, round(4 * width / height)))
    wave = random.normal(0, random.uniform(0.005, 0.035) * height, grid).astype(np.float32)
    from_x, from_y = (
        (by[0] * (x + low[0]) + by[1] * (y + low[1])).astype(np.float32)
        + cv2.resize(shift, size.tolist(), interpolation=cv2.INTER_CUBIC)
        for by, shift in zip(back, wave, strict=True)
    )
    out = cv2.remap(crop, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if random.random() < 0.4:
        grown = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2, 2))
        out = cv2.erode(out, grown) if random.random() < 0.5 else cv2.dilate(out, grown)
    if random.random() < 0.3:
        out = cv2.GaussianBlur(out, (0, 0), random.uniform(0.4, 1.0))
    if random.random() < 0.5:
        noisy = out * random.uniform(0.6, 1.0) + random.normal(0, random.uniform(1, 6), out.shape)
        out = np.clip(noisy, 0, 255).astype(np.uint8)
    if random.random() < 0.3:
        share = random.uniform(0.6, 1.0)
        size = [max(8, round(side * share)) for side in out.shape[::-1]]
        out = cv2.resize(out, size, interpolation=cv2.INTER_AREA)
    return np.asarray(out, np.uint8)
