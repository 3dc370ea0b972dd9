"""The picture of a blank form: laid straight, and its markers found."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import Grey
from batchdigits.templates.template import DICTIONARIES, Box, Marker

FINE = 6
"""Pixels a millimetre of the picture that is searched, whatever the scan's."""
MOST = 12.0
"""Greatest angle that a page is turned back by, degrees."""
LEAST = 0.03
"""Smallest, degrees: 0.1 mm over the length of an A4 page."""
SHORT, ENOUGH = 4.0, 40.0
"""Lines under so many mm say nothing of the page's angle; longer than the second they say no more:
edges of the paper are among them."""
ALIKE = 0.15
"""How much the sides of a form's markers may differ."""


def angle(grey: Grey, size: tuple[float, float]) -> float:
    """Measure how far a page's lines are turned, degrees clockwise; 0 where it has none.

    Args:
        grey: the page, uint8, (height, width).
        size: width and height of the paper in it, mm.
    """
    found = cv2.createLineSegmentDetector().detect(_small(grey, size))[0]
    if found is None:
        return 0.0
    across, down = (found.reshape(-1, 4)[:, 2:] - found.reshape(-1, 4)[:, :2]).T
    length = np.hypot(across, down) / FINE
    turned = (np.degrees(np.arctan2(down, across)) + 45) % 90 - 45
    kept = (length >= SHORT) & (np.abs(turned) <= MOST)
    if not kept.any():
        return 0.0
    order = np.argsort(turned[kept])
    weight = np.cumsum(np.minimum(length[kept], ENOUGH)[order])
    return float(turned[kept][order][np.searchsorted(weight, weight[-1] / 2)])


def _small(grey: Grey, size: tuple[float, float]) -> Grey:
    pixels = [max(1, round(side * FINE)) for side in size]
    how = cv2.INTER_AREA if pixels[0] < grey.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, pixels, interpolation=how), np.uint8)


def straightened(grey: Grey, degrees: float) -> Grey:
    """Turn a page back about its middle; what comes in at the corners is white."""
    high, wide = grey.shape
    matrix = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), degrees, 1)
    return np.asarray(
        cv2.warpAffine(grey, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=255),
        np.uint8,
    )


def markers(grey: Grey, size: tuple[float, float]) -> tuple[str, list[Marker]]:
    """Find a form's ArUco markers.

    Args:
        grey: the form, straight.
        size: width and height of the paper in it, mm.

    Returns:
        The dictionary's name as a template has it, and three markers or more, by id; none where
        no dictionary has three of one size on the page.
    """
    small = _small(grey, size)
    found = [(name, _alike(_found(small, name))) for name in DICTIONARIES]
    name, best = max(found, key=lambda one: len(one[1]))
    return name, sorted(best, key=lambda one: one.id) if len(best) >= 3 else []


def _found(small: Grey, name: str) -> Iterator[Marker]:
    side = name[0]
    dictionary = getattr(cv2.aruco, f"DICT_{side}X{side}_1000")
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(dictionary), settings)
    quads, ids, _ = detector.detectMarkers(small)
    for quad, number in zip(quads, [] if ids is None else ids.ravel().tolist(), strict=True):
        yield Marker(id=number, box=_upright((quad[0].astype(np.float64) + 0.5) / FINE))


def _upright(quad: NDArray[np.float64]) -> Box:
    """Give the upright box of four corners, mm."""
    across, down = np.sort(quad, axis=0).T
    left, right = across[:2].mean(), across[2:].mean()
    top, bottom = down[:2].mean(), down[2:].mean()
    sides = (left, top, right - left, bottom - top)
    x, y, wide, high = (round(float(side), 2) for side in sides)
    return x, y, wide, high


def _alike(found: Iterator[Marker]) -> list[Marker]:
    """Keep markers of one size: a chance likeness in print has another."""
    listed = list({one.id: one for one in found}.values())
    if not listed:
        return []
    usual = float(np.median([one.box[2] for one in listed]))
    return [
        one for one in listed if all(abs(side - usual) <= ALIKE * usual for side in one.box[2:])
    ]
