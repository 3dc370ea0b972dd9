"""Real strings: the amounts of ORAND-CAR-A.

`orand_car_a_train.zip` holds 1,080 amounts cut from cheques, `labels.csv` with the digits of each,
and `boxes_coco.json` with the box of every digit (Diem and others, "ICFHR 2014 competition on
handwritten digit string recognition in challenging datasets"; the licence of the pictures is
unknown). They stay outside the repository.
"""

import csv
import io
import json
import zipfile
from pathlib import Path

import corrections
import cv2
import numpy as np

from batchdigits.normalize.strips import Strip, strip
from batchdigits.training.material import Real

ABOUT = (
    "ORAND-CAR-A, 1,080 amounts of cheques (ICFHR 2014 competition on handwritten digit strings)",
    "unknown for the pictures",
)
LEAST, WIDEST = 10, 60
"""Height of a digit in a strip at least, and its width at most, px."""


def read(place: Path) -> Real:
    """Read all strings, in the order of `labels.csv`, labelled as `corrections.py` has it."""
    corrected = corrections.read_corrections()
    with zipfile.ZipFile(place) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        crops = [
            cv2.imdecode(np.frombuffer(archive.read(row["file"]), np.uint8), cv2.IMREAD_GRAYSCALE)
            for row in rows
        ]
    return Real(crops, [corrected.get(row["file"], row["digits"]) for row in rows])


def cut_digits(place: Path, real: Real) -> Real:
    """Cut the single digits out of all strings by their boxes in `boxes_coco.json`; add them."""
    with zipfile.ZipFile(place) as archive:
        said = json.loads(archive.read("boxes_coco.json"))
        names = [
            row["file"] for row in csv.DictReader(io.StringIO(archive.read("labels.csv").decode()))
        ]
    files = {one["id"]: one["file_name"] for one in said["images"]}
    label = {one["id"]: int(one["name"]) for one in said["categories"]}
    order = {name: at for at, name in enumerate(names)}
    strips = [strip(crop, straighten=False) for crop in real.crops]
    inks, labels, owners = [], [], []
    for one in said["annotations"]:
        at = order[files[one["image_id"]]]
        ink = None if strips[at].fault else inked(strips[at], one["bbox"])
        if ink is not None:
            inks.append(ink)
            labels.append(label[one["category_id"]])
            owners.append(at)
    return real._replace(inks=inks, labels=labels, owners=owners)


def inked(found: Strip, box: list[float]) -> np.ndarray | None:
    """Cut the ink of a digit out of its strip, without what reaches in from its neighbours."""
    x, y = ((side - start) / found.scale for side, start in zip(box[:2], found.origin, strict=True))
    right, bottom = x + box[2] / found.scale, y + box[3] / found.scale
    part = found.picture[
        max(0, int(y) - 1) : int(np.ceil(bottom)) + 1, max(0, int(x)) : int(np.ceil(right))
    ]
    if part.size == 0:
        return None
    mask = (part > 60).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    area, left = stats[1:, cv2.CC_STAT_AREA], stats[1:, cv2.CC_STAT_LEFT]
    beside = (left == 0) | (left + stats[1:, cv2.CC_STAT_WIDTH] == part.shape[1])
    if not len(area):
        return None
    kept = (area >= 0.5 * area.max()) | ((area >= 0.08 * area.max()) & ~beside)
    near = cv2.dilate(np.isin(labels, np.flatnonzero(kept) + 1).view(np.uint8), np.ones((3, 3)))
    ink = part * near
    rows, columns = np.nonzero(ink > 40)
    cut = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return cut if cut.shape[0] >= LEAST and 2 <= cut.shape[1] <= WIDEST else None
