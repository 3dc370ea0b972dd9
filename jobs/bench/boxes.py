"""How well boxes are found on pages that nobody described: made pages, with truth, of all kinds.

    python jobs/bench/boxes.py mnist.npz [--pages 500] [--seed 1] [--worst FOLDER]

The pages are those of `jobs/samples/undescribed.py`, filled in with the last of MNIST's training
digits of each class. Development uses seeds 1 to 99; the figures that are published are those of
seed 5005 (`ranges.FINAL`), run once. A group is found when it has the right kind and number of
boxes, each where it is; a false one has no box where one is. Small squares beside words count
neither way.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "samples"))
import undescribed

from batchdigits import layout
from batchdigits.labelled import load_labelled_crops
from batchdigits.training.default import held_out

SAME = 0.5
"""Least share that a box and one that was found have in common, of both together."""


def main() -> None:
    """Make pages, find their boxes, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help=".npz with x_train and y_train")
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worst", type=Path, help="folder for pictures of pages with errors")
    given = parser.parse_args()
    _, held = held_out(load_labelled_crops(str(given.mnist), part="train"))
    crops = np.asarray(held.crops)
    digits = {label: crops[held.labels == label] for label in range(10)}
    counts: Counter[str] = Counter()
    for number in range(given.pages):
        page = undescribed.made(digits, np.random.default_rng((given.seed, number)))
        begin = time.perf_counter()
        found = layout.find(page.grey)
        counts["ms"] += round(1000 * (time.perf_counter() - begin))
        one = compared(page, found)
        counts += one
        if one["missed"] or one["false"]:
            print(f"page {number}: {dict(one)}: {page.done}", file=sys.stderr)
            if given.worst:
                given.worst.mkdir(exist_ok=True)
                cv2.imwrite(str(given.worst / f"{number:04}.png"), shown(page, found))
    whole = counts["found"] + counts["missed"]
    print(f"{given.pages} pages, seed {given.seed}: {counts['found']} of {whole} groups found")
    print(f"  ({counts['found'] / max(1, whole):.2%}), {counts['false']} false")
    for kind in ("boxes", "box", "table"):
        print(f"  {kind}: {counts[f'missed {kind}']} missed of {counts[f'all {kind}']}")
    print(f"{counts['ms'] / given.pages:.0f} ms a page to find them, in one process")


def compared(page: undescribed.Made, found: list[layout.Found]) -> Counter[str]:
    """Count the groups that were found, that were missed, and that are none."""
    counts: Counter[str] = Counter()
    seen = [group.boxes for group in found]
    used = set()
    for group in page.groups:
        match = [n for n, boxes in enumerate(seen) if same(group.boxes, boxes)]
        right = [n for n in match if found[n].kind == group.kind]
        used |= set(match)
        if group.counts:
            counts[f"all {group.kind}"] += 1
            counts["found" if right else "missed"] += 1
            counts[f"missed {group.kind}"] += not right
    middles = np.concatenate([np.zeros((0, 4, 2)), *(group.boxes for group in page.groups)])
    for n, boxes in enumerate(seen):
        counts["false"] += n not in used and not any(near(box, middles) for box in boxes)
    return counts


def same(one: np.ndarray, two: np.ndarray) -> bool:
    """Tell whether two groups have the same boxes."""
    return len(one) == len(two) and all(any(alike(a, b) for b in two) for a in one)


def alike(one: np.ndarray, two: np.ndarray) -> bool:
    """Tell whether two boxes have most of their area in common."""
    far = np.linalg.norm(one.mean(axis=0) - two.mean(axis=0))
    if far > np.linalg.norm(np.ptp(one, axis=0)) / 2:
        return False
    shared = cv2.intersectConvexConvex(one.astype(np.float32), two.astype(np.float32))[0]
    whole = cv2.contourArea(one.astype(np.float32)) + cv2.contourArea(two.astype(np.float32))
    return bool(shared >= SAME * (whole - shared))


def near(box: np.ndarray, others: np.ndarray) -> bool:
    """Tell whether a box's middle lies in another."""
    middle = tuple(map(float, box.mean(axis=0)))
    return any(cv2.pointPolygonTest(one.astype(np.float32), middle, False) >= 0 for one in others)


def shown(page: undescribed.Made, found: list[layout.Found]) -> np.ndarray:
    """Draw truth in green, what was found in red."""
    picture = cv2.cvtColor(page.grey, cv2.COLOR_GRAY2BGR)
    thick = max(1, max(page.grey.shape) // 700)
    for group in page.groups:
        cv2.polylines(picture, np.rint(group.boxes).astype(int), True, (0, 160, 0), 2 * thick)
    for boxes in (group.boxes for group in found):
        cv2.polylines(picture, np.rint(boxes).astype(int), True, (0, 0, 255), thick)
        ends = tuple(np.rint(boxes[0][0]).astype(int).tolist())
        cv2.putText(picture, str(len(boxes)), ends, 0, thick, (200, 0, 0), thick)
    scale = min(1, 1400 / max(picture.shape))
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    main()
