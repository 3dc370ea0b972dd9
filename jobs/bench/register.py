"""How well pages of forms are registered: drawn, filled in, scanned and photographed by a seed.

    python jobs/bench/register.py DIGITS.npz [--pages 1000] [--anchor markers] [--seed N | --final]

DIGITS holds `x_train`, `y_train`: the last 5,000 are written with, which no shipped model learned
from when they are kept apart. What may happen to a page is in `jobs/samples/paper.py`, RANGES, set
before the reader was tuned. Development uses any seed but FINAL, which is run once. Told are the
share of pages registered within 0.5 mm at every corner of every box, the pages that were lost, and
those that were registered wrong without being told; of each the seed, to look at it again.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

sys.path.append(str(Path(__file__).parent.parent / "samples"))
import paper

from batchdigits.records import GreyImage
from batchdigits.register import (
    MAX_RESIDUAL_MM,
    Reference,
    RegistrationFailure,
    build_reference,
    register_page,
)
from batchdigits.templates.template import Template

FINAL = 20_260_000
"""First seed of the final run."""
DEVELOPMENT = 1_000
"""First seed of every other run."""
WRITTEN = 5_000
"""So many of the training digits, the last, are written with."""
ROWS: tuple[tuple[str, float, float, int, float], ...] = (
    ("member_id", 25, 45, 8, 2),
    ("born", 120, 45, 6, 2),
    ("postcode", 25, 75, 5, 2),
    ("phone", 25, 105, 12, 2),
    ("amount", 25, 135, 7, 2),
    ("score_a", 25, 165, 2, 2),
    ("score_b", 75, 165, 2, 2),
    ("score_c", 125, 165, 3, 2),
    ("comb", 25, 200, 10, 0),
    ("account", 25, 240, 10, 2),
)
"""Name, x, y, boxes, gap; each is 8 mm wide with its gap 10, and 9 high."""


class Outcome(NamedTuple):
    """What became of a page: its seed, how far off it is, mm (nan: lost), why, and CPU seconds."""

    seed: int
    off: float
    why: str
    seconds: float


def main() -> None:
    """Draw and register pages, and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=Path)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--anchor", choices=("markers", "image", "page"), default="markers")
    parser.add_argument("--seed", type=int, default=DEVELOPMENT)
    parser.add_argument("--final", action="store_true", help="the final seed: once")
    parser.add_argument("--most-dpi", type=float, default=paper.RANGES.dpi[1])
    given = parser.parse_args()
    cv2.setNumThreads(1)
    data = np.load(given.digits)
    pictures, labels = data["x_train"][-WRITTEN:], data["y_train"][-WRITTEN:]
    digits = {digit: pictures[labels == digit] for digit in range(10)}
    first = FINAL if given.final else given.seed
    ranges = paper.RANGES._replace(dpi=(paper.RANGES.dpi[0], given.most_dpi))
    seeds = range(first, first + given.pages)
    told(list(outcomes(seeds, given.anchor, digits, ranges)))


def template(anchor: str) -> Template:
    """Make the form that is swept: 65 boxes and a number written freely."""
    fields = [
        {
            "name": name,
            "box": [x, y, cells * (8 + gap) - gap, 9],
            "cells": cells,
            "gap": gap,
            "optional": name not in ("member_id", "account"),
        }
        for name, x, y, cells, gap in ROWS
    ]
    fields.append({"name": "free", "box": [120, 200, 60, 12], "optional": True})
    form = {"name": "membership", "size": [210, 297], "anchor": anchor}
    if anchor == "image":
        form["reference"] = "blank.png"
    return Template.model_validate({"form": form, "field": fields})


def outcomes(
    seeds: range, anchor: str, digits: paper.Digits, ranges: paper.Ranges
) -> Iterator[Outcome]:
    """Draw, damage and register a page for each seed."""
    form = template(anchor)
    blank = paper.blank(template("markers"), 300, markers=anchor == "markers")
    reference = build_reference(blank) if anchor == "image" else None
    for seed in tqdm(seeds, unit="page", disable=None):
        random = np.random.default_rng(seed)
        page, _ = paper.filled(form, digits, random, page=blank)
        grey, truth, _ = paper.scanned(page, random, ranges)
        yield outcome(seed, grey, truth, form, reference)


def outcome(
    seed: int,
    grey: GreyImage,
    truth: NDArray[np.float64],
    form: Template,
    reference: Reference | None,
) -> Outcome:
    """Register a page, and measure how far off the corners of its boxes are, at most."""
    start = time.process_time()
    pose = register_page(grey, form, reference)
    seconds = time.process_time() - start
    if isinstance(pose, RegistrationFailure):
        return Outcome(seed, float("nan"), pose.why, seconds)
    boxes = np.array([box for field in form.fields for box in field.boxes()])
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    across, down = (
        np.column_stack([low[:, 0], high[:, 0]]),
        np.column_stack([low[:, 1], high[:, 1]]),
    )
    corners = np.stack([across[:, [0, 1, 1, 0]], down[:, [0, 0, 1, 1]]], axis=-1).reshape(1, -1, 2)
    there = cv2.perspectiveTransform(corners, truth)
    back = cv2.perspectiveTransform(there, np.linalg.inv(pose.matrix))
    off = float(np.linalg.norm(back - corners, axis=2).max())
    return Outcome(seed, off, pose.how, seconds)


def told(found: list[Outcome]) -> None:
    """Print figures."""
    off = np.array([one.off for one in found])
    right = off <= MAX_RESIDUAL_MM
    print(f"pages {len(found)}")
    print(f"within {MAX_RESIDUAL_MM} mm {right.mean():.2%} ({right.sum()})")
    print(f"lost {np.isnan(off).sum()}")
    print(f"wrong without being told {(off > MAX_RESIDUAL_MM).sum()}")
    if right.any():
        print(
            f"off at most, mm: median {np.median(off[right]):.3f}, largest {off[right].max():.3f}"
        )
    print(f"CPU seconds a page {np.mean([one.seconds for one in found]):.3f}")
    for one in found:
        if not one.off <= MAX_RESIDUAL_MM:
            print(f"  seed {one.seed}: {one.off:.2f} mm off, {one.why}")


if __name__ == "__main__":
    main()
