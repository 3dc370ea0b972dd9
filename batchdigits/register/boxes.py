"""Printed boxes in a page, and where a template's boxes would lie among them."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from batchdigits.records import Grey
from batchdigits.register.fits import Matrix, fitted
from batchdigits.register.lines import Points, projected

LONGEST = 1600
"""Longest side, px, that boxes are looked for at."""
SMALL = 10
"""Least side of a box, px at that size."""
FULL = 0.86
"""Share of its upright frame that a box fills; an ellipse fills π / 4."""
MOST = 500
"""Boxes that are looked at, the commonest sizes first."""
SHAPE, SIZE, TURN = 0.25, 0.15, 0.1
"""How far, as natural logarithms, the shape and the size of a box may be off, and how far, in
radians, the way from one box to another."""
PAIRS = 10
"""Pairs of boxes in the page that are tried as any pair of the template's."""
WAYS = 3
"""Ways of lying that are followed up, at most."""


class Boxes(NamedTuple):
    """Boxes in a page, N of them.

    Attributes:
        centre: (N, 2), px.
        size: (N, 2), px, along and across `angle`.
        angle: (N,), radians, within half a right angle of upright.
    """

    centre: Points
    size: Points
    angle: NDArray[np.float64]


def found(grey: Grey) -> Boxes:
    """Find what looks like a printed box, at any turn: light, four-sided, with a dark line round."""
    share = min(1.0, LONGEST / max(grey.shape))
    size = [max(1, round(n * share)) for n in grey.shape[::-1]]
    small = grey if share == 1 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    light = cv2.adaptiveThreshold(small, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 41, 12)
    light = cv2.erode(light, np.ones((2, 2), np.uint8))  # close small breaks in lines
    shapes, tree = cv2.findContours(light, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    out = []
    for shape, links in zip(shapes, [] if tree is None else tree[0], strict=True):
        if links[3] >= 0 or len(shape) < 4:
            continue
        (x, y), (wide, high), angle = cv2.minAreaRect(shape)
        least, most = min(wide, high), max(wide, high)
        if least < SMALL or most > LONGEST / 2:
            continue
        if cv2.contourArea(cv2.convexHull(shape)) < FULL * wide * high:
            continue
        quarter = round(angle / 90)
        sides = (high, wide) if quarter % 2 else (wide, high)
        out.append((x, y, *sides, np.radians(angle - 90 * quarter)))
    every = np.array(out, np.float64).reshape(-1, 5)
    scale = np.array(grey.shape[::-1]) / size
    return Boxes((every[:, :2] + 0.5) * scale - 0.5, every[:, 2:4] * scale, every[:, 4])


def ways(seen: Boxes, boxes: NDArray[np.float64]) -> list[Matrix]:
    """Find how a template may lie in a page so that its boxes fall on the page's.

    Two boxes of the page, far from each other, are taken for every two of the template's that are
    as large and lie as far and in the same direction from each other; how many others then fall on
    boxes says which is likely.

    Args:
        seen: the page's boxes.
        boxes: (N, 4), the template's, x, y, width, height, mm.

    Returns:
        Poses, mm → px, the likeliest first; none where there is too little to go by.
    """
    if len(seen.centre) < 3 or len(boxes) < 3:
        return []
    kept = np.argsort(-_alike(seen.size), kind="stable")[:MOST]
    seen = Boxes(*(part[kept] for part in seen))
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    tree = cKDTree(seen.centre)
    angle = float(np.angle(np.exp(4j * seen.angle).mean()) / 4)
    tried: list[tuple[int, Matrix]] = []
    for quarter in range(4):
        size = seen.size[:, ::-1] if quarter % 2 else seen.size
        turned = angle + quarter * np.pi / 2
        for matrix in _guesses(seen.centre, size, turned, middle, boxes[:, 2:]):
            tried.append((len(_pairs(tree, seen, matrix, middle, boxes)[0]), matrix))
    tried.sort(key=lambda one: -one[0])
    out: list[Matrix] = []
    for count, matrix in tried[: 8 * WAYS]:
        if count < 3 or len(out) == WAYS:
            break
        grown = _grown(tree, seen, matrix, middle, boxes)
        if grown is not None and all(apart(grown, other, boxes) for other in out):
            out.append(grown)
    return out


def apart(one: Matrix, other: Matrix, boxes: NDArray[np.float64]) -> bool:
    """Tell whether two poses put a template's boxes in other places: by over half their height."""
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    back = projected(np.linalg.inv(one), projected(other, middle))
    return bool(np.median(np.linalg.norm(back - middle, axis=1)) > 0.5 * np.median(boxes[:, 3]))


def _alike(size: Points) -> NDArray[np.int64]:
    """Count for each box how many others are as large: a form's boxes come in numbers."""
    tree = cKDTree(np.log(size))
    return np.asarray(tree.query_ball_point(np.log(size), SIZE / 2, return_length=True))


def _guesses(
    centre: Points, size: Points, turned: float, middle: Points, sizes: Points
) -> list[Matrix]:
    """Take pairs of boxes in the page for pairs of the template's: similarities, mm → px."""
    random = np.random.default_rng(0)
    spread = np.linalg.norm(centre - np.median(centre, axis=0), axis=1)
    far = np.median(spread)
    out: list[Matrix] = []
    ratio = np.log(size[:, None] / sizes[None])  # (page's, template's, 2), log px per mm
    shaped = np.abs(ratio[..., 0] - ratio[..., 1]) < SHAPE
    scale = ratio.mean(axis=2)
    step = middle[None] - middle[:, None]  # (from, to, 2), mm
    length = np.hypot(step[..., 0], step[..., 1])
    way = np.arctan2(step[..., 1], step[..., 0])
    for one, two in random.integers(0, len(centre), (6 * PAIRS, 2)).tolist():
        leap = centre[two] - centre[one]
        if np.hypot(*leap) < far or len(out) > 40 * PAIRS:
            continue
        froms, tos = np.flatnonzero(shaped[one]), np.flatnonzero(shaped[two])
        block = np.ix_(froms, tos)
        with np.errstate(divide="ignore"):
            grown = np.log(np.hypot(*leap)) - np.log(length[block])
        off = np.angle(np.exp(1j * (np.arctan2(leap[1], leap[0]) - turned - way[block])))
        good = (np.abs(off) < TURN) & (np.abs(grown - scale[one][froms][:, None]) < SIZE)
        good &= np.abs(grown - scale[two][tos][None]) < SIZE
        for i, j in np.argwhere(good).tolist():
            a, b = froms[i], tos[j]
            out.append(_similar(middle[a], middle[b], centre[one], centre[two]))
    return out


def _similar(a: Points, b: Points, one: Points, two: Points) -> Matrix:
    """Give the similarity that carries points a, b into one, two: (3, 3)."""
    turn = complex(*(two - one)) / complex(*(b - a))
    inner = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.vstack([np.column_stack([inner, one - inner @ a]), [0, 0, 1]])


def _pairs(
    tree: cKDTree, seen: Boxes, matrix: Matrix, middle: Points, boxes: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair the template's boxes with the page's where they fall on one: indices of either."""
    distance, near = tree.query(projected(matrix, middle))
    reach = 0.4 * np.sqrt(np.abs(np.linalg.det(matrix[:2, :2]))) * boxes[:, 2:].min(axis=1)
    mine = np.flatnonzero(distance < reach)
    _, once = np.unique(near[mine], return_index=True)
    return mine[once], near[mine[once]]


def _grown(
    tree: cKDTree, seen: Boxes, matrix: Matrix, middle: Points, boxes: NDArray[np.float64]
) -> Matrix | None:
    """Fit a pose to more and more pairs, until no more fall together."""
    for _ in range(6):
        mine, other = _pairs(tree, seen, matrix, middle, boxes)
        if len(mine) < 3 or np.ptp(middle[mine], axis=0).min() < 1:
            return matrix if len(mine) >= 3 else None
        matrix = fitted(middle[mine], seen.centre[other])
        if abs(np.linalg.det(matrix)) < 1e-9:
            return None
    return matrix
