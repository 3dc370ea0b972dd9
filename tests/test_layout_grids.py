"""Which boxes of a page share a line: the quick search finds what comparing all pairs finds."""

import tracemalloc
from itertools import pairwise

import cv2
import numpy as np
import pytest

from batchdigits import layout
from batchdigits.layout.grids import FARTHEST, TOUCH, beside
from batchdigits.layout.lined import Cell


def make_grid(
    rows: int,
    columns: int,
    *,
    size: tuple[float, float] = (40, 24),
    start: tuple[float, float] = (0, 0),
    slope: float = 0.0,
    jitter: float = 0.0,
    dropped: float = 0.0,
    seed: int = 0,
) -> list[Cell]:
    """Return the cells of a grid of lines, in a random order, with thickness of 1 to 4 px."""
    random = np.random.default_rng(seed)
    wide, high = size
    turn = np.array([[1, slope], [-slope, 1]])
    out = []
    for row in range(rows):
        for column in range(columns):
            if random.random() < dropped:
                continue
            left, top = start[0] + column * wide, start[1] + row * high
            quad = np.array(
                [[left, top], [left + wide, top], [left + wide, top + high], [left, top + high]]
            )
            quad = (quad + random.normal(0, jitter, (4, 2))) @ turn
            out.append(Cell(quad, float(random.uniform(1, 4)), 1.0))
    order = random.permutation(len(out)).tolist()
    return [out[n] for n in order]


def compare_all_pairs(cells: list[Cell], axis: int) -> list[tuple[int, int]]:
    """Return what `beside` promises, by comparing each box with each."""
    corners = ((0, 3), (1, 2)) if axis == 0 else ((0, 1), (3, 2))
    out = []
    for n, one in enumerate(cells):
        for m, two in enumerate(cells):
            end, start = one.quad[list(corners[1])], two.quad[list(corners[0])]
            low, high = (
                max(end[0, 1 - axis], start[0, 1 - axis]),
                min(end[1, 1 - axis], start[1, 1 - axis]),
            )
            length = min(np.linalg.norm(side[1] - side[0]) for side in (end, start))
            if n == m or high - low < 0.5 * length:
                continue
            places = [
                np.interp((low + high) / 2, side[:, 1 - axis], side[:, axis])
                for side in (end, start)
            ]
            small = min(one.size.min(), two.size.min())
            near = max(3.0, min(TOUCH * small, FARTHEST)) + max(one.thickness, two.thickness) / 2
            if abs(places[1] - places[0]) <= near:
                out.append((n, m))
    return out


GRIDS = {
    "a straight table": make_grid(5, 7),
    "a table askew": make_grid(6, 6, slope=0.15, jitter=0.7),
    "gaps and bent sides": make_grid(7, 5, jitter=2.5, dropped=0.3, seed=1),
    "boxes so small that several lines are near": make_grid(4, 9, size=(7, 7), jitter=1, seed=2),
    "a column of lone boxes": make_grid(9, 1, size=(200, 12)),
    "two tables of other sizes that touch": [
        *make_grid(4, 4, seed=3),
        *make_grid(3, 3, size=(53, 31), start=(160, 3), jitter=1.5, seed=4),
    ],
    "a tall box beside a table, whose side leans far": [
        *make_grid(6, 4, seed=5),
        Cell(np.array([[162.0, 0], [260, 0], [240, 144], [150, 144]]), 2.0, 1.0),
    ],
    "no box": [],
    "one box": make_grid(1, 1),
}


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("cells", GRIDS.values(), ids=GRIDS.keys())
def test_the_same_pairs_are_found_as_by_comparing_all(cells: list[Cell], axis: int) -> None:
    assert beside(cells, axis) == compare_all_pairs(cells, axis)


@pytest.mark.parametrize("seed", range(10))
def test_random_grids_give_the_same_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.integers(1, 8, 2).tolist()
    size, slope = tuple(random.uniform(6, 70, 2).tolist()), float(random.uniform(-0.2, 0.2))
    cells = make_grid(rows, columns, size=size, slope=slope, jitter=2, dropped=0.2, seed=seed)
    for axis in (0, 1):
        assert beside(cells, axis) == compare_all_pairs(cells, axis)


def test_a_page_of_3000_cells_takes_little_memory() -> None:
    """To compare all 9 million pairs at once took 600 MiB."""
    cells = make_grid(60, 50, size=(20, 20))
    tracemalloc.start()
    pairs = beside(cells, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs) == 60 * 49
    assert all(one < two for one, two in pairwise(pairs))
    assert peak < 50 << 20


@pytest.mark.parametrize("deep", [4, 5, 6])
def test_the_bar_of_a_seven_is_not_the_line_above_it(deep: int) -> None:
    page = np.full((300, 500), 255, np.uint8)
    for number in range(8):
        left = 60 + 40 * number
        cv2.rectangle(page, (left, 100), (left + 32, 136), 0, 1)
    cv2.line(page, (61, 100 + deep), (91, 100 + deep), 60, 3)
    cv2.line(page, (90, 100 + deep), (80, 130), 60, 3)
    (row,) = [group for group in layout.find(page, upright=True) if len(group.boxes) == 8]
    tops = row.boxes[:, :2, 1]
    assert np.abs(tops - 100).max() <= 2
