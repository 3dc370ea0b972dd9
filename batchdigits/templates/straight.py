"""Lay the picture of a blank form straight, and find its markers."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.templates.boxes import Box
from batchdigits.templates.template import ARUCO_DICTIONARIES, Marker

SEARCH_PX_PER_MM = 6
"""Pixels a millimetre of the picture that is searched, whatever the scan has."""
MAX_SKEW_DEGREES = 12.0
"""Largest angle by which a page is turned back, degrees."""
MIN_SKEW_DEGREES = 0.03
"""Smallest angle by which a page is turned back, degrees: 0.1 mm over the length of an A4 page."""
MIN_LINE_MM, MAX_LINE_WEIGHT_MM = 4.0, 40.0
"""Lines shorter than the first, mm, are not used for the page's angle. Lines longer than the second
weigh no more than it: they may be edges of the paper."""
MARKER_SIZE_TOLERANCE = 0.15
"""Share by which the sides of a form's markers may differ from the median."""


def measure_skew(grey: GreyImage, size: tuple[float, float]) -> float:
    """Measure by how many degrees a page's lines are turned clockwise; 0 where it has no lines.

    Args:
        grey: the page, uint8, (height, width).
        size: width and height of the paper in it, mm.
    """
    segments = cv2.createLineSegmentDetector().detect(_resize_for_search(grey, size))[0]
    if segments is None:
        return 0.0
    across, down = (segments.reshape(-1, 4)[:, 2:] - segments.reshape(-1, 4)[:, :2]).T
    length = np.hypot(across, down) / SEARCH_PX_PER_MM
    turned = (np.degrees(np.arctan2(down, across)) + 45) % 90 - 45
    is_used = (length >= MIN_LINE_MM) & (np.abs(turned) <= MAX_SKEW_DEGREES)
    if not is_used.any():
        return 0.0
    order = np.argsort(turned[is_used])
    weight = np.cumsum(np.minimum(length[is_used], MAX_LINE_WEIGHT_MM)[order])
    return float(turned[is_used][order][np.searchsorted(weight, weight[-1] / 2)])


def _resize_for_search(grey: GreyImage, size: tuple[float, float]) -> GreyImage:
    pixels = [max(1, round(side * SEARCH_PX_PER_MM)) for side in size]
    interpolation = cv2.INTER_AREA if pixels[0] < grey.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, pixels, interpolation=interpolation), np.uint8)


def deskew_page(grey: GreyImage, degrees: float) -> GreyImage:
    """Turn a page back about its middle. Corners that were outside the page are white."""
    high, wide = grey.shape
    matrix = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), degrees, 1)
    return np.asarray(
        cv2.warpAffine(grey, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=255),
        np.uint8,
    )


def detect_form_markers(grey: GreyImage, size: tuple[float, float]) -> tuple[str, list[Marker]]:
    """Find a form's ArUco markers.

    Args:
        grey: the form, straight.
        size: width and height of the paper in it, mm.

    Returns:
        The dictionary's name as in a template, and three markers or more, sorted by id; no markers
        where no dictionary has three of the same size on the page.
    """
    small = _resize_for_search(grey, size)
    by_dictionary = [
        (name, _keep_same_size_markers(_detect_markers(small, name))) for name in ARUCO_DICTIONARIES
    ]
    name, best = max(by_dictionary, key=lambda one: len(one[1]))
    return name, sorted(best, key=lambda one: one.id) if len(best) >= 3 else []


def _detect_markers(small: GreyImage, name: str) -> Iterator[Marker]:
    side = name[0]
    dictionary = getattr(cv2.aruco, f"DICT_{side}X{side}_1000")
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(dictionary), settings)
    quads, ids, _ = detector.detectMarkers(small)
    for quad, number in zip(quads, [] if ids is None else ids.ravel().tolist(), strict=True):
        yield Marker(
            id=number, box=_fit_upright_box((quad[0].astype(np.float64) + 0.5) / SEARCH_PX_PER_MM)
        )


def _fit_upright_box(quad: NDArray[np.float64]) -> Box:
    """Return the upright box of four corners, mm."""
    across, down = np.sort(quad, axis=0).T
    left, right = across[:2].mean(), across[2:].mean()
    top, bottom = down[:2].mean(), down[2:].mean()
    sides = (left, top, right - left, bottom - top)
    x, y, wide, high = (round(float(side), 2) for side in sides)
    return x, y, wide, high


def _keep_same_size_markers(markers: Iterator[Marker]) -> list[Marker]:
    """Keep the markers of the usual size: print that looks like a marker has another."""
    distinct = list({one.id: one for one in markers}.values())
    if not distinct:
        return []
    usual = float(np.median([one.box[2] for one in distinct]))
    return [
        one
        for one in distinct
        if all(abs(side - usual) <= MARKER_SIZE_TOLERANCE * usual for side in one.box[2:])
    ]
