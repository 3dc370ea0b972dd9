"""ArUco markers in a page: where a template's markers are, corner by corner."""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.template import Form
from batchdigits.records import Grey

SIDES = (1200, 2400)
"""Longest sides, px, that a page is searched at, until all markers are found: small markers are
lost in a small picture, and blurred ones found in a small picture alone."""


def corners(grey: Grey, form: Form) -> dict[int, NDArray[np.float64]]:
    """Find the form's markers: id → corners (4, 2), px, clockwise from the marker's top left."""
    side = form.dictionary[0]
    dictionary = getattr(cv2.aruco, f"DICT_{side}X{side}_1000")
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(dictionary), settings)
    wanted = {marker.id for marker in form.marks}
    found: dict[int, NDArray[np.float64]] = {}
    for longest in (*SIDES, max(grey.shape)):
        share = min(1.0, longest / max(grey.shape))
        size = [max(1, round(n * share)) for n in grey.shape[::-1]]
        small = grey if share == 1 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        quads, ids, _ = detector.detectMarkers(small)
        for quad, number in zip(quads, [] if ids is None else ids.ravel().tolist(), strict=True):
            if number in wanted and number not in found:
                scale = np.array(grey.shape[::-1]) / size
                found[number] = (quad[0] + 0.5) * scale - 0.5
        if wanted <= found.keys() or share == 1:
            break
    return {number: _refined(grey, quad) for number, quad in found.items()}


def _refined(grey: Grey, quad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring corners to a fraction of a pixel in the page itself."""
    side = np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1).min()
    reach = max(2, int(side / 16))
    ends = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 40, 0.01)
    points = quad.astype(np.float32).reshape(-1, 1, 2)
    return cv2.cornerSubPix(grey, points, (reach, reach), (-1, -1), ends)[:, 0].astype(np.float64)
