"""Poses that put a template's boxes on the boxes of a page."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.register.detected import PageBoxes, Quads, measure_boxes
from batchdigits.register.fits import Matrix, fit_transform
from batchdigits.register.lines import Points, project_points

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

MAX_PAGE_BOXES = 500
"""Most boxes of a page that are used, the commonest sizes first."""
SHAPE_TOLERANCE_LOG, SIZE_TOLERANCE_LOG, TURN_TOLERANCE_RAD = 0.25, 0.15, 0.1
"""Largest error of a box's shape and size, natural logarithms, and of the direction from one box
to another, radians."""
MAX_PAGE_PAIRS = 20
"""Pairs of boxes in the page that are compared with all pairs of the template's."""
MAX_TRIED_PAIRS = 8 * MAX_PAGE_PAIRS
"""Most pairs of boxes in the page that are tried: not every pair matches one of the template's."""
MATCH_DISTANCE_SHARE = 0.4
"""A box falls on another if their centres are nearer than this share of its shorter side."""
MAX_INLIER_DISTANCE_MM = 1.0
"""Largest distance, mm, of the centres of matching boxes under a pose."""
MAX_SCORED_BOXES = 60
"""Most boxes of the template that count in a score; they are drawn evenly."""
MAX_TRANSFORMS_PER_TURN = 2
"""Most poses that are refined at each of the four turns."""
MIN_SCORE_RATIO = 0.6
"""Least score of a pose that is returned, as a share of the best score."""


def find_box_transforms(quads: Quads, boxes: NDArray[np.float64]) -> list[Matrix]:
    """Find poses by which a template's boxes fall on the page's.

    Pairs of boxes that are far apart in the page are matched with all pairs of the template's that
    have the same sizes, distance and direction. Each match is scored by how many other boxes then
    fall on boxes.

    Args:
        quads: the page's boxes.
        boxes: (N, 4), the template's, x, y, width, height, mm.

    Returns:
        Poses, mm → px, the best first; empty if there are fewer than three boxes.
    """
    if len(quads) < 3 or len(boxes) < 3:
        return []
    page_boxes = measure_boxes(quads)
    order = np.argsort(-_count_same_size(page_boxes.size), kind="stable")[:MAX_PAGE_BOXES]
    page_boxes = PageBoxes(*(part[order] for part in page_boxes))
    angle = float(np.angle(np.exp(4j * page_boxes.angle).mean()) / 4)
    scored = [
        one
        for quarter in range(4)
        for one in _find_transforms_at_turn(page_boxes, boxes, angle, quarter)
    ]
    best_score = max((score for score, _ in scored), default=0.0)
    scored.sort(key=lambda one: -one[0])
    return [matrix for score, matrix in scored if score > MIN_SCORE_RATIO * best_score]


def build_tree(points: Points) -> "cKDTree":
    """Build a tree that finds the nearest of N points."""
    from scipy.spatial import cKDTree  # noqa: PLC0415  (a third of a second)

    return cKDTree(points)


def find_unmatched_boxes(quads: Quads, matrix: Matrix, boxes: NDArray[np.float64]) -> Quads:
    """Return the page's boxes on which a pose puts none of a template's."""
    if not len(quads):
        return quads
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    centre = quads.mean(axis=1)
    _, taken = _pair_boxes(build_tree(centre), matrix, middle, boxes[:, 2:].min(axis=1))
    return np.asarray(np.delete(quads, taken, axis=0))


def _find_transforms_at_turn(
    page_boxes: PageBoxes, boxes: NDArray[np.float64], angle: float, quarter: int
) -> list[tuple[float, Matrix]]:
    """Find the best poses at one of the four turns; return each with its score."""
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    guesses = _propose_similarities(page_boxes, boxes, angle, quarter)
    some = np.linspace(0, len(boxes) - 1, min(len(boxes), MAX_SCORED_BOXES)).astype(int)
    place = guesses[:, :1] * (middle[some] @ [1, 1j])[None] + guesses[:, 1:]  # (G, counted)
    reach = MATCH_DISTANCE_SHARE * np.abs(guesses[:, :1]) * boxes[some, 2:].min(axis=1)[None]
    score = _score_similarities(place, reach, page_boxes.centre)
    tree = build_tree(page_boxes.centre)
    distinct: list[tuple[float, Matrix]] = []
    for _ in range(MAX_TRANSFORMS_PER_TURN):
        if score.max(initial=0) < 2:
            break
        best = int(score.argmax())
        likely = float(score[best])
        score[np.median(np.abs(place - place[best]), axis=1) < np.median(reach[best])] = 0
        grown = _refine_transform(
            tree, page_boxes.centre, build_similarity(*guesses[best]), middle, boxes
        )
        if grown is not None and all(
            is_distinct_transform(grown, other, boxes) for _, other in distinct
        ):
            distinct.append((likely, grown))
    return distinct


def is_distinct_transform(one: Matrix, other: Matrix, boxes: NDArray[np.float64]) -> bool:
    """Return whether two poses put a template's boxes over half their height apart."""
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    back = project_points(np.linalg.inv(one), project_points(other, middle))
    return bool(np.median(np.linalg.norm(back - middle, axis=1)) > 0.5 * np.median(boxes[:, 3]))


def build_similarity(turn: complex, shift: complex) -> Matrix:
    """Return the matrix that maps a point z, as a complex number, to `turn` z + `shift`."""
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0, 0, 1]]
    )


def _count_same_size(size: Points) -> NDArray[np.int64]:
    """Count for each box how many have its size: a form has many boxes of the same size."""
    tree = build_tree(np.log(size))
    return np.asarray(
        tree.query_ball_point(np.log(size), SIZE_TOLERANCE_LOG / 2, return_length=True)
    )


def _propose_similarities(
    page_boxes: PageBoxes, boxes: NDArray[np.float64], angle: float, quarter: int
) -> NDArray[np.complex128]:
    """Match pairs of boxes in the page with pairs of the template's.

    Returns:
        G similarities, complex (G, 2): a point z, mm, as a complex number, maps to
        z * [:, 0] + [:, 1], px.
    """
    size = page_boxes.size[:, ::-1] if quarter % 2 else page_boxes.size
    turned = angle + quarter * np.pi / 2
    centre, middle = page_boxes.centre @ [1, 1j], (boxes[:, :2] + boxes[:, 2:] / 2) @ [1, 1j]
    spread = np.median(np.abs(centre - np.median(page_boxes.centre, axis=0) @ [1, 1j]))
    ratio = np.log(size[:, None] / boxes[None, :, 2:])  # (page's, template's, 2)
    shaped = np.abs(ratio[..., 0] - ratio[..., 1]) < SHAPE_TOLERANCE_LOG
    scale = ratio.mean(axis=2)  # log px per mm
    similarities: list[NDArray[np.complex128]] = []
    for one, two in _draw_far_pairs(
        page_boxes.centre, np.flatnonzero(shaped.any(axis=1)), float(spread)
    ):
        leap = centre[two] - centre[one]
        froms, tos = np.flatnonzero(shaped[one]), np.flatnonzero(shaped[two])
        step = middle[tos][None] - middle[froms][:, None]
        turn = leap / np.where(step == 0, 1e-9, step)  # for a box and itself: far too large
        grown = np.log(np.abs(turn))
        good = np.abs(np.angle(turn * np.exp(-1j * turned))) < TURN_TOLERANCE_RAD
        good &= np.abs(grown - scale[one, froms][:, None]) < SIZE_TOLERANCE_LOG
        good &= np.abs(grown - scale[two, tos][None]) < SIZE_TOLERANCE_LOG
        start, _ = np.nonzero(good)
        if len(start):
            similarities.append(
                np.column_stack([turn[good], centre[one] - turn[good] * middle[froms][start]])
            )
        if len(similarities) == MAX_PAGE_PAIRS:
            break
    return np.concatenate(similarities) if similarities else np.zeros((0, 2), np.complex128)


def _draw_far_pairs(
    centre: Points, usable: NDArray[np.int64], spread: float
) -> Iterator[tuple[int, int]]:
    """Draw pairs of a page's usable boxes, first of those that are a spread of all boxes apart.

    Nearer ones follow: boxes that are far apart may be those of two copies of the form.
    """
    if not len(usable):
        return
    pairs = usable[np.random.default_rng(0).integers(0, len(usable), (MAX_TRIED_PAIRS, 2))]
    for n, (one, two) in enumerate(pairs.tolist()):
        if np.linalg.norm(centre[two] - centre[one]) > spread * (1 - n / MAX_TRIED_PAIRS):
            yield one, two


def _score_similarities(
    place: NDArray[np.complex128], reach: NDArray[np.float64], centre: Points
) -> NDArray[np.float64]:
    """Score each guess by how near the template's boxes fall to boxes in the page.

    Args:
        place: (G, N), px, complex: where each guess puts N of the template's boxes.
        reach: (G, N), px: the distance from which a box counts nothing.
        centre: (M, 2), px: of the page's boxes.

    Returns:
        (G,), 0 to N.
    """
    low, high = centre.min(axis=0), centre.max(axis=0)
    cell = max(1.0, float((high - low).max()) / 500)
    size: NDArray[np.int64] = np.ceil((high - low) / cell).astype(np.int64) + 3
    free = np.ones(size[::-1], np.uint8)
    x, y = ((centre - low) / cell).round().astype(int).T + 1
    free[y, x] = 0
    away = cv2.distanceTransform(free, cv2.DIST_L2, 3) * cell  # px to the nearest box
    across = np.rint((place.real - low[0]) / cell + 1).astype(int)
    down = np.rint((place.imag - low[1]) / cell + 1).astype(int)
    inside = (across >= 0) & (across < size[0]) & (down >= 0) & (down < size[1])
    distance = np.where(
        inside, away[np.where(inside, down, 0), np.where(inside, across, 0)], np.inf
    )
    return np.asarray(np.maximum(1 - (distance / reach) ** 2, 0).sum(axis=1))


def _pair_boxes(
    tree: "cKDTree", matrix: Matrix, middle: Points, short_sides: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair the template's boxes with the page's on which they fall; return indices of both."""
    distance, nearest = tree.query(project_points(matrix, middle))
    reach = MATCH_DISTANCE_SHARE * np.sqrt(np.abs(np.linalg.det(matrix[:2, :2]))) * short_sides
    mine = np.flatnonzero(distance < reach)
    other: NDArray[np.int64] = np.asarray(nearest, np.int64)[mine]
    _, once = np.unique(other, return_index=True)
    return mine[once], other[once]


def _refine_transform(
    tree: "cKDTree", centre: Points, matrix: Matrix, middle: Points, boxes: NDArray[np.float64]
) -> Matrix | None:
    """Fit a pose to the pairs that it gives, again and again, until it gives no more pairs.

    In a photograph a similarity holds in one place and is off in another, where it gives wrong
    pairs. So the fit is robust against outliers.

    Returns:
        The pose; None if it is degenerate or has fewer than three pairs.
    """
    count = 0
    for _ in range(10):
        mine, other = _pair_boxes(tree, matrix, middle, boxes[:, 2:].min(axis=1))
        if len(mine) < 3 or np.ptp(middle[mine], axis=0).min() < 1:
            return matrix if len(mine) >= 3 else None
        if len(mine) <= count:
            break
        count = len(mine)
        if count < 8:
            matrix = fit_transform(middle[mine], centre[other])
        else:
            back, _ = cv2.findHomography(
                centre[other], middle[mine], cv2.USAC_MAGSAC, MAX_INLIER_DISTANCE_MM
            )
            if back is None or abs(np.linalg.det(back)) < 1e-12:
                return None
            matrix = np.linalg.inv(back)
            matrix = np.asarray(matrix / matrix[2, 2], np.float64)
        if abs(np.linalg.det(matrix)) < 1e-9:
            return None
    return matrix
